//! An I/O thread: its sockets, its hub, its poll rounds.
//!
//! A round: mails, then ready sockets, then one slice of fan-outs, then one write per connection
//! that has something to send. The thread never touches the interpreter. What a round does for one
//! connection is done under a guard of its own, so that a panic costs that connection only.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chat_hub::Hub;
use chat_hub::effect::{Delivered, Handle, Part, PeerNews, Refusal, Send, Submission};
use chat_hub::stats::Stats;
use chat_proto::close::CloseCode;
use chat_proto::deflate::{Deflater, Inflater};
use chat_proto::frame::FrameLimits;
use chat_proto::handshake::HandshakePolicy;

use crate::address::Network;
use crate::admission::Admission;
use crate::inbox::Inbox;
use crate::mailbox::{Mail, Mailbox};
use crate::metrics::Durations;
use crate::poller::{Epoll, Interest, Poller, Ready};
use crate::socket::{Socket, Stage};

/// Bounds of the one read buffer of a shard, bytes. A read takes at most one largest message, so
/// that a flood on one connection does not hold up the others.
const READ_BUFFER_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;
/// Sends gathered in one poll round that are handed over before it ends, bytes: by so much the
/// inbox may pass its bound.
const SUBMIT_EARLY_BYTES: usize = 1024 * 1024;
/// Bytes of events delivered in one poll round after which is written before more is delivered, or
/// quick readers would look slow.
const WRITE_EARLY_BYTES: usize = 256 * 1024;
/// How often deadlines are looked at and counters are published, microseconds.
const TICK_US: u64 = 100_000;
/// After a stop the answers to close frames are awaited this long, microseconds.
const STOP_US: u64 = 300_000;
/// A client's frame header with its mask (RFC 6455 section 5.2), bytes.
const FRAME_HEADER_MAX_IN: usize = 14;
/// Ready sockets taken in one poll round.
const EVENTS_PER_ROUND: usize = 1_024;
pub(crate) const TOKEN_MAILBOX: u64 = u64::MAX;
pub(crate) const TOKEN_LISTENER: u64 = u64::MAX - 1;

/// What all shards of a node share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) inbox: Inbox,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) durations: Durations,
    pub(crate) started: Instant,
    pub(crate) seed: u64,
    pub(crate) frames: FrameLimits,
    pub(crate) handshake: HandshakePolicy,
    pub(crate) trusted_proxies: Vec<Network>,
    /// Which shard gets the next connection.
    pub(crate) turn: AtomicUsize,
    pub(crate) stats: Vec<Mutex<Stats>>,
}

impl Common {
    pub(crate) fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64 + 1
    }
}

/// One shard. It is made in its own thread, because its hub shares frames without locks.
pub(crate) struct Shard {
    pub(crate) number: usize,
    pub(crate) common: Arc<Common>,
    pub(crate) hub: Hub,
    pub(crate) poller: Epoll,
    pub(crate) sockets: Vec<Option<Socket>>,
    pub(crate) listener: Option<OwnedFd>,
    pub(crate) spare: Option<OwnedFd>,
    pub(crate) accept_again_us: u64,
    pub(crate) buffer: Vec<u8>,
    pub(crate) inflater: Inflater,
    pub(crate) deflaters: [Option<Deflater>; 7],
    pub(crate) echo: bool,
    mails: VecDeque<Mail>,
    submissions: Vec<Submission>,
    /// Bytes of the sends among them.
    submitted_bytes: usize,
    /// Bytes of events delivered since the last write.
    delivered_bytes: usize,
    limited: Vec<(Send, u64)>,
    news: Vec<PeerNews>,
    indexes: Vec<u32>,
    fanned_us: Vec<u64>,
    acked_us: Vec<u64>,
    ticked_us: u64,
    publish_at_us: u64,
    /// Ephemeral lines that other shards had no room for.
    shed_lines: u64,
    /// When the thread ends at the latest, once it was told to stop.
    stop_by_us: Option<u64>,
}

impl Shard {
    pub(crate) fn new(
        number: usize,
        common: Arc<Common>,
        hub: Hub,
        listener: Option<OwnedFd>,
        echo: bool,
    ) -> io::Result<Self> {
        let poller = Epoll::new(EVENTS_PER_ROUND)?;
        let reading = Interest {
            read: true,
            write: false,
        };
        poller.add(
            common.mailboxes[number].wake.as_fd(),
            TOKEN_MAILBOX,
            reading,
        )?;
        if let Some(listener) = &listener {
            poller.add(listener.as_fd(), TOKEN_LISTENER, reading)?;
        }
        let spare = listener
            .as_ref()
            .and_then(|_| crate::accepting::spare_descriptor());
        Ok(Self {
            number,
            common,
            hub,
            poller,
            sockets: Vec::new(),
            listener,
            spare,
            accept_again_us: 0,
            buffer: Vec::new(),
            inflater: Inflater::new(),
            deflaters: [const { None }; 7],
            echo,
            mails: VecDeque::new(),
            submissions: Vec::new(),
            submitted_bytes: 0,
            delivered_bytes: 0,
            limited: Vec::new(),
            news: Vec::new(),
            indexes: Vec::new(),
            fanned_us: Vec::new(),
            acked_us: Vec::new(),
            ticked_us: 0,
            publish_at_us: 0,
            shed_lines: 0,
            stop_by_us: None,
        })
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS_PER_ROUND);
        while !self.is_over() {
            let now_us = self.common.now_us();
            let wait_us = self.hub.next_wake_us().saturating_sub(now_us);
            let timeout = if self.hub.has_work() { 0 } else { wait_us };
            ready.clear();
            if self
                .poller
                .wait(Duration::from_micros(timeout), &mut ready)
                .is_err()
            {
                // The poller itself is broken: nothing can be served any more.
                return;
            }
            self.round(&ready);
        }
        self.publish_stats();
    }

    fn is_over(&self) -> bool {
        let now_us = self.common.now_us();
        self.stop_by_us
            .is_some_and(|by_us| now_us >= by_us || self.hub.connections() == 0)
    }

    fn round(&mut self, ready: &[Ready]) {
        self.hub.set_now(self.common.now_us());
        self.read_mails();
        for event in ready {
            self.on_ready(*event);
        }
        self.resume_held();
        self.guarded(None, |shard| shard.hub.say_signals());
        self.guarded(None, |shard| shard.hub.fan_out());
        self.exchange();
        self.write_dirty();
        self.drop_gone();
        self.on_time();
        if self.hub.failpoint_reached() {
            die();
        }
    }

    /// Each on its own: a panic in one connection's lines leaves the others theirs.
    fn resume_held(&mut self) {
        let mut resumable = std::mem::take(&mut self.indexes);
        self.hub.take_resumable(&mut resumable);
        for index in resumable.drain(..) {
            self.guarded(Some(index), |shard| shard.hub.go_on(index));
        }
        self.indexes = resumable;
    }

    /// Runs a step; a panic in it costs one connection, not the thread.
    fn guarded(&mut self, index: Option<u32>, step: impl FnOnce(&mut Self)) {
        if !self.catches(step) {
            self.after_panic(index);
        }
    }

    /// As [`Self::guarded`] for an answer to the connection that `handle` names.
    fn serve(&mut self, handle: Handle, step: impl FnOnce(&mut Hub)) {
        if !self.catches(|shard| step(&mut shard.hub)) {
            let index = handle as u32;
            let open = self
                .sockets
                .get(index as usize)
                .is_some_and(Option::is_some);
            let same = open && self.hub.handle(index) == handle;
            self.after_panic(same.then_some(index));
        }
    }

    /// Whether the step came to its end.
    fn catches(&mut self, step: impl FnOnce(&mut Self)) -> bool {
        catch_unwind(AssertUnwindSafe(|| step(self))).is_ok()
    }

    /// Closes the connection that was served; where that fails too, cuts it. What was in use may
    /// be half changed, so it is made anew.
    fn after_panic(&mut self, index: Option<u32>) {
        self.inflater = Inflater::new();
        self.deflaters = [const { None }; 7];
        let again = index.is_some_and(|index| self.hub.is_closing(index));
        let closed = self.catches(|shard| {
            shard.hub.on_panic(index);
            if let Some(index) = index.filter(|_| again) {
                shard.hub.on_lost(index);
            }
        });
        let slot = index.and_then(|at| self.sockets.get_mut(at as usize));
        let Some(slot) = slot else { return };
        match slot {
            // The bytes around what failed are lost, so no frame boundary is known any more.
            Some(socket) if closed => socket.stage = Stage::Deaf,
            _ => {
                if let Some(socket) = slot.take() {
                    self.poller.remove(socket.fd.as_fd());
                }
            }
        }
    }

    fn on_ready(&mut self, event: Ready) {
        match event.token {
            TOKEN_MAILBOX => {}
            TOKEN_LISTENER => self.guarded(None, Self::accept_many),
            token => {
                let index = token as u32;
                if event.write {
                    self.guarded(Some(index), |shard| shard.write(index));
                }
                if event.read {
                    self.guarded(Some(index), |shard| shard.read(index));
                    self.take_submissions();
                    if self.submitted_bytes >= SUBMIT_EARLY_BYTES {
                        self.guarded(None, Self::submit);
                    }
                }
            }
        }
    }

    /// The read buffer, for the time of one read; after a panic in it a new one.
    pub(crate) fn lend_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            let wanted = self.common.frames.message_bytes_max + FRAME_HEADER_MAX_IN;
            buffer.resize(
                wanted.clamp(*READ_BUFFER_BYTES.start(), *READ_BUFFER_BYTES.end()),
                0,
            );
        }
        buffer
    }

    fn read_mails(&mut self) {
        let common = self.common.clone();
        common.mailboxes[self.number].take(&mut self.mails);
        while let Some(mail) = self.mails.pop_front() {
            self.on_mail(mail);
        }
        let (free, in_flight_max) = common.inbox.state();
        self.hub.set_inbox(free, in_flight_max);
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Commit {
                runs,
                acks,
                refusals,
                committed_us,
            } => {
                for ack in &acks {
                    self.serve(ack.handle, |hub| hub.ack(ack));
                }
                self.refuse(&refusals);
                for run in runs.iter() {
                    self.deliver(run, committed_us);
                }
                self.guarded(None, |shard| shard.hub.retry_waiting(false));
            }
            Mail::Attach(answers) => {
                for answer in answers {
                    self.serve(answer.handle, |hub| hub.attach(answer));
                }
            }
            Mail::Welcome(answers) => {
                for answer in answers {
                    self.serve(answer.handle, |hub| hub.welcome(answer));
                }
            }
            Mail::Refuse(answers) => self.refuse(&answers),
            Mail::Reply(answers) => {
                for (handle, id, fields) in &answers {
                    self.serve(*handle, |hub| {
                        #[cfg(test)]
                        crate::faults::strike("reply", fields.as_bytes());
                        hub.reply(*handle, *id, fields.as_bytes());
                    });
                }
            }
            Mail::Authorize(renewal) => {
                self.serve(renewal.handle, |hub| hub.authorize(renewal));
            }
            Mail::Socket(fd, permit) => self.guarded(None, |shard| shard.adopt(fd, permit)),
            other => self.guarded(None, |shard| shard.on_news(other)),
        }
    }

    /// Mails that concern no connection in particular.
    fn on_news(&mut self, mail: Mail) {
        let hub = &mut self.hub;
        match mail {
            Mail::Marked(moves) => {
                for (handle, user, room, n) in moves.iter() {
                    hub.on_marked(*handle, user, room, *n);
                }
            }
            Mail::EndSession(session) => hub.end_session(&session),
            Mail::News(news) => news.iter().for_each(|it| hub.on_news(it)),
            Mail::Drain { window_ms, entropy } => {
                self.stop_listening();
                self.hub.start_drain(window_ms, entropy);
            }
            Mail::Stop => self.start_stop(),
            _ => {}
        }
    }

    fn refuse(&mut self, refusals: &[Refusal]) {
        for refusal in refusals {
            self.serve(refusal.handle, |hub| hub.refuse(refusal));
        }
    }

    /// Events of one room. Much of them is delivered in pieces that are written in between.
    fn deliver(&mut self, run: &Delivered, committed_us: u64) {
        let bytes = |parts: &[Part]| {
            parts
                .iter()
                .map(|it| it.data.payload_bytes())
                .sum::<usize>()
        };
        if self.delivered_bytes + bytes(&run.parts) <= WRITE_EARLY_BYTES {
            self.delivered_bytes += bytes(&run.parts);
            return self.guarded(None, |shard| shard.hub.deliver(run, committed_us));
        }
        for part in &run.parts {
            let piece = Delivered {
                log: run.log.clone(),
                parts: vec![part.clone()],
            };
            self.guarded(None, |shard| shard.hub.deliver(&piece, committed_us));
            self.delivered_bytes += part.data.payload_bytes();
            if self.delivered_bytes >= WRITE_EARLY_BYTES {
                self.write_dirty();
            }
        }
    }

    /// Every connection is told, and given a little time to answer.
    fn start_stop(&mut self) {
        self.stop_listening();
        self.stop_by_us = Some(self.common.now_us() + STOP_US);
        for index in 0..self.sockets.len() {
            if self.sockets[index].is_some() {
                let index = index as u32;
                let code = CloseCode::DRAINING;
                self.guarded(Some(index), |shard| shard.hub.close(index, code, ""));
            }
        }
    }

    /// Hands over what the hub wants told: to the control plane and to the other shards. First
    /// sockets are read on, so that what was read before them goes with it.
    fn exchange(&mut self) {
        let mut unpaused = std::mem::take(&mut self.indexes);
        self.hub.take_unpaused(&mut unpaused);
        for index in unpaused.drain(..) {
            self.guarded(Some(index), |shard| shard.unpause(index));
        }
        self.indexes = unpaused;
        self.take_submissions();
        self.guarded(None, Self::submit);
        self.hub.take_news(&mut self.news);
        if !self.news.is_empty() {
            let news: Arc<[PeerNews]> = self.news.drain(..).collect();
            for (number, mailbox) in self.common.mailboxes.iter().enumerate() {
                if number != self.number {
                    self.shed_lines += mailbox.put_news(&news) as u64;
                }
            }
        }
    }

    fn take_submissions(&mut self) {
        let before = self.submissions.len();
        self.hub.take_submissions(&mut self.submissions);
        for submission in &self.submissions[before..] {
            if let Submission::Send(send) = submission {
                self.submitted_bytes += send.bytes();
            }
        }
    }

    fn submit(&mut self) {
        if self.submissions.is_empty() {
            return;
        }
        self.submitted_bytes = 0;
        let now_us = self.common.now_us();
        let inbox = &self.common.inbox;
        let (free, in_flight_max) = inbox.put(&mut self.submissions, &mut self.limited, now_us);
        for (send, wait_us) in self.limited.drain(..) {
            self.hub.on_send_limited(&send, wait_us);
        }
        self.hub.set_inbox(free, in_flight_max);
    }

    fn write_dirty(&mut self) {
        self.delivered_bytes = 0;
        let mut dirty = std::mem::take(&mut self.indexes);
        if !self.catches(|shard| shard.hub.take_dirty(&mut dirty)) {
            self.after_panic(None);
        }
        for index in dirty.drain(..) {
            self.guarded(Some(index), |shard| shard.write(index));
        }
        self.indexes = dirty;
        self.hub.take_fanned_us(&mut self.fanned_us);
        self.hub.take_acked_us(&mut self.acked_us);
        if !self.fanned_us.is_empty() || !self.acked_us.is_empty() {
            let (now_us, durations) = (self.common.now_us(), &self.common.durations);
            let last_write = &durations.commit_to_last_write;
            last_write.add_since(&mut self.fanned_us, now_us);
            durations.ack.add_since(&mut self.acked_us, now_us);
        }
    }

    fn drop_gone(&mut self) {
        let mut gone = std::mem::take(&mut self.indexes);
        self.hub.take_gone(&mut gone);
        for index in gone.drain(..) {
            if let Some(socket) = self.sockets.get_mut(index as usize).and_then(Option::take) {
                self.poller.remove(socket.fd.as_fd());
            }
        }
        self.indexes = gone;
    }

    fn on_time(&mut self) {
        let now_us = self.common.now_us();
        if now_us >= self.ticked_us + TICK_US {
            self.ticked_us = now_us;
            self.hub.set_now(now_us);
            self.guarded(None, |shard| shard.hub.tick());
            self.exchange();
            self.write_dirty();
            self.drop_gone();
            self.accept_after_exhaustion(now_us);
        }
        if now_us >= self.publish_at_us {
            self.publish_stats();
            // Gauges are summed over all connections: at most a hundredth of the time goes there.
            let took_us = self.common.now_us() - now_us;
            self.publish_at_us = now_us + (took_us * 100).max(TICK_US);
        }
    }

    fn publish_stats(&mut self) {
        let mut stats = self.hub.stats().clone();
        stats.shed += self.shed_lines;
        let slot = &self.common.stats[self.number];
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

/// Ends the process as a crash would: no destructor, no flush.
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
