//! What shards ask of the control plane: three bounded queues and one wake-up a batch.
//!
//! Sends, asks and auths are apart, so that slow reads hold up no send. The rates of users and
//! rooms are kept here, because here all shards meet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_hub::effect::{Ask, Auth, InboxFree, Send, Submission};
use chat_hub::gcra::{Keyed, Rate};

use crate::wake::Wake;

/// Sends that wait; above, sockets are not read.
pub const SENDS_MAX: usize = 8_192;
/// Bytes of sends that wait; above, sockets are not read.
pub const SENDS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Reads that wait; above, sockets are not read.
pub const ASKS_MAX: usize = 16_384;
/// Hellos and renewals that wait; above, sockets are not read.
pub const AUTHS_MAX: usize = 16_384;
/// Users and rooms whose rates are remembered at a time.
const RATES_MAX: usize = 200_000;

#[derive(Debug)]
struct Queues {
    sends: VecDeque<Send>,
    sends_bytes: usize,
    asks: VecDeque<Ask>,
    auths: VecDeque<Auth>,
    users: Keyed,
    rooms: Keyed,
}

/// The inbox of a node.
#[derive(Debug)]
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    rates: bool,
    starving: AtomicBool,
    pub(crate) wake: Wake,
}

impl Inbox {
    pub(crate) fn new(rates: bool) -> std::io::Result<Self> {
        let queues = Queues {
            sends: VecDeque::new(),
            sends_bytes: 0,
            asks: VecDeque::new(),
            auths: VecDeque::new(),
            users: Keyed::new(Rate::per_second(100, 200), RATES_MAX),
            rooms: Keyed::new(Rate::per_second(500, 1_000), RATES_MAX),
        };
        let starving = AtomicBool::new(false);
        Ok(Self {
            queues: Mutex::new(queues),
            rates,
            starving,
            wake: Wake::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a poll round's submissions; sends over a rate come back with the time to wait (µs).
    /// Tells how much each queue takes now, and how many ops a connection may have open.
    pub(crate) fn put(
        &self,
        submissions: &mut Vec<Submission>,
        limited: &mut Vec<(Send, u64)>,
        now_us: u64,
    ) -> (InboxFree, u16) {
        let some = !submissions.is_empty();
        let mut queues = self.lock();
        for submission in submissions.drain(..) {
            match submission {
                Submission::Send(send) => match queues.judge(&send, self.rates, now_us) {
                    Ok(()) => {
                        queues.sends_bytes += send.bytes();
                        queues.sends.push_back(send);
                    }
                    Err(wait_us) => limited.push((send, wait_us)),
                },
                Submission::Ask(ask) => queues.asks.push_back(ask),
                Submission::Auth(auth) => queues.auths.push_back(auth),
            }
        }
        let state = queues.state();
        drop(queues);
        if state.0.sends == 0 || state.0.asks == 0 || state.0.auths == 0 || state.1 < 64 {
            self.starving.store(true, Ordering::Release);
        }
        if some {
            self.wake.ring();
        }
        state
    }

    pub(crate) fn state(&self) -> (InboxFree, u16) {
        self.lock().state()
    }

    /// At most `items_max` sends of at most `bytes_max` bytes (one larger one goes alone).
    pub(crate) fn take_sends(&self, items_max: usize, bytes_max: usize) -> Vec<Send> {
        let mut queues = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < items_max
            && let Some(send) = queues.sends.front()
        {
            bytes += send.bytes();
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            taken.extend(queues.sends.pop_front());
        }
        let freed: usize = taken.iter().map(Send::bytes).sum();
        queues.sends_bytes -= freed;
        drop(queues);
        taken
    }

    pub(crate) fn take_asks(&self, items_max: usize) -> Vec<Ask> {
        let mut queues = self.lock();
        let count = queues.asks.len().min(items_max);
        let taken = queues.asks.drain(..count).collect();
        drop(queues);
        taken
    }

    pub(crate) fn take_auths(&self, items_max: usize) -> Vec<Auth> {
        let mut queues = self.lock();
        let count = queues.auths.len().min(items_max);
        let taken = queues.auths.drain(..count).collect();
        drop(queues);
        taken
    }

    /// Whether shards wait for room; asking takes the mark away.
    pub(crate) fn take_starving(&self) -> bool {
        self.starving.load(Ordering::Acquire) && self.starving.swap(false, Ordering::AcqRel)
    }
}

impl Queues {
    fn judge(&mut self, send: &Send, rates: bool, now_us: u64) -> Result<(), u64> {
        if !rates {
            return Ok(());
        }
        self.users.take(&send.user, now_us)?;
        self.rooms.take(send.room(), now_us)
    }

    fn state(&self) -> (InboxFree, u16) {
        let by_bytes = SENDS_BYTES_MAX.saturating_sub(self.sends_bytes) / 256;
        let free = InboxFree {
            sends: SENDS_MAX.saturating_sub(self.sends.len()).min(by_bytes),
            asks: ASKS_MAX.saturating_sub(self.asks.len()),
            auths: AUTHS_MAX.saturating_sub(self.auths.len()),
        };
        let in_flight_max = match free.sends * 100 / SENDS_MAX {
            50.. => 64,
            25..50 => 16,
            10..25 => 4,
            _ => 1,
        };
        (free, in_flight_max)
    }
}
