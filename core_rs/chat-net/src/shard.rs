//! An I/O thread: its sockets, its hub, its poll rounds.
//!
//! A round: mails, then ready sockets, then one slice of fan-outs, then one write per connection
//! that has something to send. The thread never touches the interpreter.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chat_hub::Hub;
use chat_hub::effect::{PeerNews, Send, Submission};
use chat_hub::stats::Stats;
use chat_proto::deflate::{Deflater, Inflater};
use chat_proto::frame::FrameLimits;
use chat_proto::handshake::HandshakePolicy;

use crate::address::Network;
use crate::admission::Admission;
use crate::inbox::Inbox;
use crate::mailbox::{Mail, Mailbox};
use crate::metrics::Durations;
use crate::poller::{Epoll, Interest, Poller, Ready};
use crate::socket::Socket;

/// Bytes of the one read buffer of a shard.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Ready sockets taken in one poll round.
const EVENTS_PER_ROUND: usize = 1_024;
pub(crate) const TOKEN_MAILBOX: u64 = u64::MAX;
pub(crate) const TOKEN_LISTENER: u64 = u64::MAX - 1;

/// What all shards of a node share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) inbox: Inbox,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) admission: Admission,
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
    limited: Vec<(Send, u64)>,
    news: Vec<PeerNews>,
    indexes: Vec<u32>,
    fanned_us: Vec<u64>,
    published_us: u64,
    stopping: bool,
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
            buffer: vec![0; READ_BUFFER_BYTES],
            inflater: Inflater::new(),
            deflaters: [const { None }; 7],
            echo,
            mails: VecDeque::new(),
            submissions: Vec::new(),
            limited: Vec::new(),
            news: Vec::new(),
            indexes: Vec::new(),
            fanned_us: Vec::new(),
            published_us: 0,
            stopping: false,
        })
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS_PER_ROUND);
        while !self.stopping {
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

    fn round(&mut self, ready: &[Ready]) {
        self.hub.set_now(self.common.now_us());
        self.guarded(None, Self::read_mails);
        for event in ready {
            self.on_ready(*event);
        }
        self.guarded(None, |shard| {
            shard.hub.resume_held();
            shard.hub.say_signals();
            shard.hub.fan_out();
        });
        self.exchange();
        self.write_dirty();
        self.drop_gone();
        self.on_time();
        if self.hub.failpoint_reached() {
            die();
        }
    }

    /// Runs a step; a panic in it costs one connection, not the thread.
    fn guarded(&mut self, index: Option<u32>, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            let _ = catch_unwind(AssertUnwindSafe(|| self.hub.on_panic(index)));
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
                }
            }
        }
    }

    fn read_mails(&mut self) {
        let mut mails = std::mem::take(&mut self.mails);
        let common = self.common.clone();
        common.mailboxes[self.number].take(&mut mails);
        for mail in mails.drain(..) {
            self.on_mail(mail);
        }
        self.mails = mails;
        let (free, in_flight_max) = self.common.inbox.state();
        self.hub.set_inbox(free, in_flight_max);
    }

    fn on_mail(&mut self, mail: Mail) {
        let hub = &mut self.hub;
        match mail {
            Mail::Commit {
                runs,
                acks,
                refusals,
                committed_us,
            } => {
                for ack in &acks {
                    hub.ack(ack);
                }
                for refusal in &refusals {
                    hub.refuse(refusal);
                }
                runs.iter().for_each(|run| hub.deliver(run, committed_us));
                hub.retry_waiting(false);
            }
            Mail::Attach(answers) => answers.into_iter().for_each(|it| hub.attach(it)),
            Mail::Welcome(answers) => answers.into_iter().for_each(|it| hub.welcome(it)),
            Mail::Refuse(answers) => answers.iter().for_each(|it| hub.refuse(it)),
            Mail::Reply(answers) => {
                for (handle, id, fields) in &answers {
                    hub.reply(*handle, *id, fields.as_bytes());
                }
            }
            Mail::Authorize(renewal) => hub.authorize(renewal),
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
            Mail::Socket(fd, address) => self.adopt(fd, address),
            Mail::Stop => self.stopping = true,
        }
    }

    /// Hands over what the hub wants told: to the control plane and to the other shards.
    fn exchange(&mut self) {
        self.hub.take_submissions(&mut self.submissions);
        if !self.submissions.is_empty() {
            let now_us = self.common.now_us();
            let inbox = &self.common.inbox;
            let (free, in_flight_max) = inbox.put(&mut self.submissions, &mut self.limited, now_us);
            for (send, wait_us) in self.limited.drain(..) {
                self.hub.on_send_limited(&send, wait_us);
            }
            self.hub.set_inbox(free, in_flight_max);
        }
        self.hub.take_news(&mut self.news);
        if !self.news.is_empty() {
            let news: Arc<[PeerNews]> = self.news.drain(..).collect();
            for (number, mailbox) in self.common.mailboxes.iter().enumerate() {
                if number != self.number {
                    mailbox.put_now(Mail::News(news.clone()));
                }
            }
        }
        let mut unpaused = std::mem::take(&mut self.indexes);
        self.hub.take_unpaused(&mut unpaused);
        for index in unpaused.drain(..) {
            self.guarded(Some(index), |shard| shard.unpause(index));
        }
        self.indexes = unpaused;
    }

    fn write_dirty(&mut self) {
        let mut dirty = std::mem::take(&mut self.indexes);
        self.hub.take_dirty(&mut dirty);
        for index in dirty.drain(..) {
            self.write(index);
        }
        self.indexes = dirty;
        self.hub.take_fanned_us(&mut self.fanned_us);
        if !self.fanned_us.is_empty() {
            let now_us = self.common.now_us();
            for committed_us in self.fanned_us.drain(..).filter(|it| *it != 0) {
                let took_us = now_us.saturating_sub(committed_us);
                self.common.durations.commit_to_last_write.add(took_us);
            }
        }
    }

    fn drop_gone(&mut self) {
        let mut gone = std::mem::take(&mut self.indexes);
        self.hub.take_gone(&mut gone);
        for index in gone.drain(..) {
            if let Some(socket) = self.sockets.get_mut(index as usize).and_then(Option::take) {
                self.bury(&socket);
            }
        }
        self.indexes = gone;
    }

    fn bury(&mut self, socket: &Socket) {
        self.poller.remove(socket.fd.as_fd());
        let admission = &self.common.admission;
        if socket.unfinished {
            admission.end(socket.address);
        }
        if socket.counted {
            admission.close(socket.address);
        }
        admission.leave();
    }

    fn on_time(&mut self) {
        let now_us = self.common.now_us();
        if now_us < self.published_us + 100_000 {
            return;
        }
        self.published_us = now_us;
        self.hub.set_now(now_us);
        self.guarded(None, |shard| shard.hub.tick());
        self.write_dirty();
        self.drop_gone();
        self.accept_after_exhaustion(now_us);
        self.publish_stats();
    }

    fn publish_stats(&mut self) {
        let stats = self.hub.stats().clone();
        let slot = &self.common.stats[self.number];
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

/// Ends the process as a crash would: no destructor, no flush.
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
