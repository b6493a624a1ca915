//! What shards ask of the control plane: three bounded queues and one wake-up a batch.
//!
//! Sends, asks and auths are apart, so that slow reads hold up no send. The rates of users and
//! rooms are kept here, because here all shards meet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_hub::bounds::OPS_IN_FLIGHT_MAX;
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
    /// Whether a shard was told that there is little room, and waits for more.
    starving: bool,
}

/// The inbox of a node.
#[derive(Debug)]
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    rates: bool,
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
            starving: false,
        };
        Ok(Self {
            queues: Mutex::new(queues),
            rates,
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
        if some {
            self.wake.ring();
        }
        state
    }

    pub(crate) fn state(&self) -> (InboxFree, u16) {
        self.lock().state()
    }

    /// At most `items_max` sends of at most `bytes_max` bytes (one larger one goes alone), and
    /// whether shards wait for the room that this makes.
    pub(crate) fn take_sends(&self, items_max: usize, bytes_max: usize) -> (Vec<Send>, bool) {
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
        let starving = queues.fed(!taken.is_empty());
        drop(queues);
        (taken, starving)
    }

    pub(crate) fn take_asks(&self, items_max: usize) -> (Vec<Ask>, bool) {
        let mut queues = self.lock();
        let count = queues.asks.len().min(items_max);
        let taken = queues.asks.drain(..count).collect();
        let starving = queues.fed(count > 0);
        drop(queues);
        (taken, starving)
    }

    pub(crate) fn take_auths(&self, items_max: usize) -> (Vec<Auth>, bool) {
        let mut queues = self.lock();
        let count = queues.auths.len().min(items_max);
        let taken = queues.auths.drain(..count).collect();
        let starving = queues.fed(count > 0);
        drop(queues);
        (taken, starving)
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

    /// Whether shards wait for the room that was made; they look themselves, and mark it again.
    fn fed(&mut self, made_room: bool) -> bool {
        made_room && std::mem::take(&mut self.starving)
    }

    /// What a shard is told; where that is little, it is woken when more was taken.
    fn state(&mut self) -> (InboxFree, u16) {
        let by_bytes = SENDS_BYTES_MAX.saturating_sub(self.sends_bytes) / 256;
        let free = InboxFree {
            sends: SENDS_MAX.saturating_sub(self.sends.len()).min(by_bytes),
            asks: ASKS_MAX.saturating_sub(self.asks.len()),
            auths: AUTHS_MAX.saturating_sub(self.auths.len()),
        };
        let in_flight_max = match free.sends * 100 / SENDS_MAX {
            50.. => OPS_IN_FLIGHT_MAX,
            25..50 => 16,
            10..25 => 4,
            _ => 1,
        };
        self.starving |= in_flight_max < OPS_IN_FLIGHT_MAX || free.asks == 0 || free.auths == 0;
        (free, in_flight_max)
    }
}
