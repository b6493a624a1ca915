//! The data plane of a node: starts the shards, hands batches over, stops them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use chat_hub::Hub;
use chat_hub::effect::{
    Ack, Ask, Attach, Auth, Delivered, Handle, Refusal, Renewal, Send, Welcome,
};
use chat_hub::stats::Stats;

use crate::admission::Admission;
use crate::config::NodeConfig;
use crate::inbox::Inbox;
use crate::listener;
use crate::mailbox::{Mail, Mailbox};
use crate::metrics::Durations;
use crate::shard::{Common, Shard};

/// A running data plane. Every call may come from any thread.
#[derive(Debug)]
pub struct Node {
    common: Arc<Common>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    address: SocketAddr,
}

fn shard_of(handle: Handle) -> usize {
    (handle >> 56) as usize
}

/// However a shard's thread ends, nobody waits for it any more.
struct Ended(Arc<Common>, usize);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.mailboxes[self.1].close();
    }
}

impl Node {
    /// Binds, then starts one thread a shard.
    ///
    /// # Errors
    /// What the system says of the address or of the threads.
    pub fn start(config: NodeConfig) -> io::Result<Self> {
        let shards = config.shards.clamp(1, 64);
        let socket = listener::listen(config.address, config.reuse_port)?;
        let address = listener::address_of(&socket)?;
        let mailboxes: io::Result<Vec<Mailbox>> = (0..shards).map(|_| Mailbox::new()).collect();
        let common = Arc::new(Common {
            inbox: Inbox::new(config.hub.rate_limits)?,
            mailboxes: mailboxes?,
            admission: Admission::new(config.admission),
            durations: Durations::default(),
            started: Instant::now(),
            seed: config.seed,
            frames: config.frames,
            handshake: config.handshake,
            trusted_proxies: config.trusted_proxies,
            turn: AtomicUsize::new(0),
            stats: (0..shards).map(|_| Mutex::default()).collect(),
        });
        let node = Self {
            common,
            threads: Mutex::default(),
            address,
        };
        let mut socket = Some(socket);
        for number in 0..shards {
            let mut hub = config.hub.clone();
            hub.shard = number as u8;
            hub.has_peers = shards > 1;
            hub.recent_bytes_max /= shards;
            hub.outgoing_bytes_max /= shards;
            let (common, listener) = (node.common.clone(), socket.take());
            let thread = std::thread::Builder::new().name(format!("chat-shard-{number}"));
            let (told, tell) = std::sync::mpsc::sync_channel(1);
            let run = move || {
                let _ended = Ended(common.clone(), number);
                let echo = hub.echo;
                let hub = Hub::new(hub, common.now_us());
                match Shard::new(number, common, hub, listener, echo) {
                    Ok(shard) => {
                        let _ = told.send(Ok(()));
                        shard.run();
                    }
                    Err(error) => {
                        let _ = told.send(Err(error));
                    }
                }
            };
            let spawned = thread.spawn(run)?;
            node.threads().push(spawned);
            match tell.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::Error::other("a shard did not start")),
            }
        }
        Ok(node)
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Readable while something waits to be taken.
    pub fn wake_fd(&self) -> RawFd {
        self.common.inbox.wake.raw()
    }

    /// Makes [`Self::wake_fd`] unreadable; call it before taking from all three queues.
    pub fn clear_wake(&self) {
        self.common.inbox.wake.clear();
    }

    /// Sends in the order of receipt.
    pub fn take_sends(&self, items_max: usize, bytes_max: usize) -> Vec<Send> {
        let (taken, starving) = self.common.inbox.take_sends(items_max, bytes_max);
        self.feed(starving);
        taken
    }

    /// Reads.
    pub fn take_asks(&self, items_max: usize) -> Vec<Ask> {
        let (taken, starving) = self.common.inbox.take_asks(items_max);
        self.feed(starving);
        taken
    }

    /// Hellos and renewals.
    pub fn take_auths(&self, items_max: usize) -> Vec<Auth> {
        let (taken, starving) = self.common.inbox.take_auths(items_max);
        self.feed(starving);
        taken
    }

    fn feed(&self, starving: bool) {
        if starving {
            self.common
                .mailboxes
                .iter()
                .for_each(|mailbox| mailbox.wake.ring());
        }
    }

    /// A commit: replies first, then events, to every shard as one entry.
    pub fn deliver(&self, runs: Vec<Delivered>, acks: Vec<Ack>, refusals: Vec<Refusal>) {
        let committed_us = self.common.now_us();
        let to_commit = &self.common.durations.receipt_to_commit;
        for ack in &acks {
            to_commit.add(committed_us.saturating_sub(ack.received_us));
        }
        let runs: Arc<[Delivered]> = runs.into();
        let mut acks = self.by_shard(acks, |ack| ack.handle);
        let mut refusals = self.by_shard(refusals, |refusal| refusal.handle);
        for (number, mailbox) in self.common.mailboxes.iter().enumerate() {
            let acks = std::mem::take(&mut acks[number]);
            let refusals = std::mem::take(&mut refusals[number]);
            if acks.is_empty() && refusals.is_empty() && runs.is_empty() {
                continue;
            }
            mailbox.put(Mail::Commit {
                runs: runs.clone(),
                acks,
                refusals,
                committed_us,
            });
        }
    }

    fn by_shard<T>(&self, items: Vec<T>, handle: impl Fn(&T) -> Handle) -> Vec<Vec<T>> {
        let count = self.common.mailboxes.len();
        let mut sorted: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
        if count == 1 {
            sorted[0] = items;
            return sorted;
        }
        for item in items {
            if let Some(slot) = sorted.get_mut(shard_of(handle(&item))) {
                slot.push(item);
            }
        }
        sorted
    }

    fn post<T>(&self, items: Vec<T>, handle: impl Fn(&T) -> Handle, mail: impl Fn(Vec<T>) -> Mail) {
        for (number, part) in self.by_shard(items, handle).into_iter().enumerate() {
            if !part.is_empty() {
                self.common.mailboxes[number].put(mail(part));
            }
        }
    }

    fn post_all(&self, mail: impl Fn() -> Mail) {
        self.common
            .mailboxes
            .iter()
            .for_each(|mailbox| mailbox.put(mail()));
    }

    /// Answers to `sub`.
    pub fn attach(&self, answers: Vec<Attach>) {
        self.post(answers, |answer| answer.handle, Mail::Attach);
    }

    /// Answers to `hello`.
    pub fn welcome(&self, answers: Vec<Welcome>) {
        self.post(answers, |answer| answer.handle, Mail::Welcome);
    }

    /// `err` to anything but a `send`.
    pub fn refuse(&self, answers: Vec<Refusal>) {
        self.post(answers, |answer| answer.handle, Mail::Refuse);
    }

    /// `ok` with ready fields.
    pub fn reply(&self, answers: Vec<(Handle, u64, Box<str>)>) {
        self.post(answers, |answer| answer.0, Mail::Reply);
    }

    /// The answer to `auth`.
    pub fn authorize(&self, renewal: Renewal) {
        if let Some(mailbox) = self.common.mailboxes.get(shard_of(renewal.handle)) {
            mailbox.put(Mail::Authorize(renewal));
        }
    }

    /// Read marks that have moved: (reader, user, room, n).
    pub fn marked(&self, moves: Vec<(Handle, String, String, u64)>) {
        let moves: Arc<[_]> = moves.into();
        self.post_all(|| Mail::Marked(moves.clone()));
    }

    /// 4003 to every connection of the session.
    pub fn end_session(&self, session: &str) {
        let session: Arc<str> = session.into();
        self.post_all(|| Mail::EndSession(session.clone()));
    }

    /// Starts leaving; clients are asked back within `window_ms`.
    pub fn drain(&self, window_ms: u64) {
        let entropy = self.common.seed ^ self.common.now_us();
        self.post_all(|| Mail::Drain { window_ms, entropy });
    }

    /// Ends the threads: what is still open is closed with 4110, and cut where the peer does not
    /// answer within 300 ms. A second call changes nothing.
    pub fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads());
        if threads.is_empty() {
            return;
        }
        self.common
            .mailboxes
            .iter()
            .for_each(|mailbox| mailbox.put_now(Mail::Stop));
        for thread in threads {
            // A shard that panicked outside its guards has been counted already.
            let _ = thread.join();
        }
    }

    /// Sockets open now.
    pub fn open_connections(&self) -> usize {
        self.common.admission.count()
    }

    /// The durations measured so far.
    pub fn durations(&self) -> &Durations {
        &self.common.durations
    }

    /// The counters of all shards together.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        let mut closes: BTreeMap<u16, u64> = BTreeMap::new();
        for slot in &self.common.stats {
            let part = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (code, count) in &part.closes {
                *closes.entry(*code).or_default() += count;
            }
            sum.add(&part);
        }
        sum.closes = closes;
        sum
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
