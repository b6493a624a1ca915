//! The hub of one shard: who is where, and what must be said to whom.
//!
//! Pure: what happened comes in by `on_*` and the answers of the control plane, time in
//! microseconds and entropy come in as arguments; what is to be done comes out by `take_*`,
//! `gather` and `next_wake_us`.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use chat_proto::close::CloseCode;
use chat_proto::encode;
use chat_proto::frame;
use chat_proto::handshake::Credential;
use hashbrown::HashMap;
use slab::Slab;

use crate::answers::Waiting;
use crate::bounds::{BACKLOG_SHED_BYTES, CLOSE_US, HANDSHAKE_US, HELLO_US};
use crate::conn::{Conn, Phase};
use crate::desk::Desk;
use crate::drain::Drain;
use crate::effect::{Handle, InboxFree, PeerNews, Submission};
use crate::room::Room;
use crate::run::{Content, FrameData, Shared};
use crate::stats::Stats;
use crate::wheel::TICK_US;

/// The label for every close code that only clients use.
const CLIENT_CLOSE: u16 = 3000;

/// What a hub is told once.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Which shard this is, 0..=126.
    pub shard: u8,
    /// Whether there are other shards that want news.
    pub has_peers: bool,
    /// The identity of the database's logs.
    pub epoch: String,
    /// The period of JSON pings in milliseconds.
    pub ping_ms: u64,
    /// Subscriptions of one connection, `me` apart.
    pub subscriptions_max: usize,
    /// Whether rates are kept (a test switch turns them off).
    pub rate_limits: bool,
    /// Bytes of recent events kept for resume.
    pub recent_bytes_max: usize,
    /// Bytes waiting in all connections together; 0 for no bound. Over it the largest is closed.
    pub outgoing_bytes_max: usize,
    /// How long after `notice` the close 4110 follows at the earliest, milliseconds.
    pub drain_notice_ms: u64,
    /// Whether it only echoes frames (for the conformance tests).
    pub echo: bool,
    /// The fan-out in whose middle the process is to be killed; 0 for none.
    pub failpoint_mid_fanout: u64,
}

/// A socket whose handshake was good.
#[derive(Debug)]
pub struct Established {
    /// What the request carried.
    pub credential: Credential,
    /// The agreed compression window, 0 for none.
    pub window_bits: u8,
    /// Whom it came from.
    pub address: Box<str>,
    /// Randomness for the phase of the pings.
    pub entropy: u64,
}

/// A shard's registry of connections and rooms.
pub struct Hub {
    pub(crate) config: HubConfig,
    pub(crate) desk: Desk,
    pub(crate) rooms: Slab<Room>,
    pub(crate) by_name: HashMap<Rc<str>, u32>,
    /// Rooms with a fan-out under way, served in turn.
    pub(crate) fanning: VecDeque<u32>,
    /// Rooms without subscribers: (room, serial, when to look at it).
    pub(crate) idle: VecDeque<(u32, u64, u64)>,
    /// Rooms with recent events (room, serial), the next to give them up first.
    pub(crate) remembered: VecDeque<(u32, u64)>,
    /// Entries of `remembered` whose room is gone.
    pub(crate) remembered_stale: usize,
    pub(crate) room_serial: u64,
    /// Rooms (room, serial) of which events are missing.
    pub(crate) holes: Vec<(u32, u64)>,
    pub(crate) recent_bytes: usize,
    pub(crate) signalling: Vec<u32>,
    pub(crate) typing: Vec<u32>,
    pub(crate) presence: Vec<u32>,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) news: Vec<PeerNews>,
    pub(crate) gone: Vec<u32>,
    pub(crate) waiting: VecDeque<(u64, Waiting)>,
    /// Connections whose `hello` is being judged.
    pub(crate) authenticating: u32,
    /// Sessions that ended lately, for answers that were read before that.
    pub(crate) ended: HashMap<Box<str>, u64>,
    /// Connections with held lines that may go on, and those that wait for room in the inbox.
    pub(crate) resumable: Vec<u32>,
    pub(crate) starved: Vec<u32>,
    pub(crate) unpaused: Vec<u32>,
    pub(crate) inbox_free: InboxFree,
    pub(crate) in_flight_max: u16,
    pub(crate) drain: Option<Drain>,
    /// Commit times of runs whose fan-out ended in this round.
    pub(crate) fanned_us: Vec<u64>,
    /// Receipt times of the sends whose `ok` was queued in this round.
    pub(crate) acked_us: Vec<u64>,
    pub(crate) fanouts: u64,
    pub(crate) failed: bool,
    /// When all backlogs are added up next.
    pub(crate) weigh_again_us: u64,
    pub(crate) ping: Rc<Shared>,
}

impl Hub {
    /// An empty hub at `now_us`.
    pub fn new(config: HubConfig, now_us: u64) -> Self {
        let mut line = Vec::new();
        encode::ping(&mut line);
        let ping = Rc::new(Shared(Content::Control(FrameData::text(&line))));
        Self {
            desk: Desk::new(config.shard, now_us),
            config,
            rooms: Slab::new(),
            by_name: HashMap::new(),
            fanning: VecDeque::new(),
            idle: VecDeque::new(),
            remembered: VecDeque::new(),
            remembered_stale: 0,
            room_serial: 0,
            holes: Vec::new(),
            recent_bytes: 0,
            signalling: Vec::new(),
            typing: Vec::new(),
            presence: Vec::new(),
            submissions: Vec::new(),
            news: Vec::new(),
            gone: Vec::new(),
            waiting: VecDeque::new(),
            authenticating: 0,
            ended: HashMap::new(),
            resumable: Vec::new(),
            starved: Vec::new(),
            unpaused: Vec::new(),
            inbox_free: InboxFree::default(),
            in_flight_max: crate::bounds::OPS_IN_FLIGHT_MAX,
            drain: None,
            fanned_us: Vec::new(),
            acked_us: Vec::new(),
            fanouts: 0,
            failed: false,
            weigh_again_us: 0,
            ping,
        }
    }

    /// Moves the hub's clock; call it first in every poll round.
    pub fn set_now(&mut self, now_us: u64) {
        self.desk.now_us = self.desk.now_us.max(now_us);
    }

    /// A socket was accepted; its index until it is [`Self::take_gone`].
    pub fn open(&mut self) -> u32 {
        self.desk.stats.opened += 1;
        self.desk.add(self.desk.now_us + HANDSHAKE_US)
    }

    /// The handshake was answered with 101.
    pub fn established(&mut self, index: u32, how: Established) {
        let now_us = self.desk.now_us;
        self.desk.stats.handshakes += 1;
        let conn = self.desk.conn(index);
        conn.phase = Phase::Greeting;
        conn.window_bits = how.window_bits;
        conn.heard_us = now_us;
        conn.deadline_us = now_us + HELLO_US;
        let ping_us = self.config.ping_ms * 1000;
        conn.ping_us = now_us + 1 + how.entropy % ping_us;
        let cold = conn.cold();
        cold.address = how.address;
        cold.credential = Some(how.credential);
        if self.config.echo {
            conn.phase = Phase::Live;
            (conn.deadline_us, conn.ping_us, conn.cold) = (u64::MAX, u64::MAX, None);
        }
        if let Some(drain) = self.drain {
            drain.notify(&mut self.desk, index);
            self.close_draining(index);
        }
    }

    /// Queues a finished frame for one connection (the echo endpoint's answer).
    pub fn push_frame(&mut self, index: u32, frame: Vec<u8>) {
        self.desk.conn(index).partial_since_us = 0;
        if !self.is_closing(index) {
            self.desk.conn(index).out.push_raw(frame);
            self.desk.mark_dirty(index);
        }
    }

    /// Something came in from the peer, whatever it was.
    pub fn heard(&mut self, index: u32) {
        let now_us = self.desk.now_us;
        self.desk.conn(index).heard_us = now_us;
    }

    /// Whether a message has begun and is not whole.
    pub fn set_partial(&mut self, index: u32, partial: bool) {
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        if !partial {
            conn.partial_since_us = 0;
        } else if conn.partial_since_us == 0 {
            conn.partial_since_us = now_us;
            self.desk
                .wake_at(index, now_us + crate::bounds::PARTIAL_MESSAGE_US);
        }
    }

    /// A WebSocket ping: answered with its payload (RFC 6455 section 5.5.3).
    pub fn on_ping(&mut self, index: u32, payload: &[u8]) {
        if self.is_closing(index) || self.too_many_control_frames(index) {
            return;
        }
        let mut pong = Vec::with_capacity(payload.len() + frame::FRAME_HEADER_MAX);
        frame::write_header(&mut pong, frame::Opcode::Pong, false, payload.len());
        pong.extend_from_slice(payload);
        self.desk.conn(index).out.push_raw(pong);
        self.desk.mark_dirty(index);
    }

    /// A WebSocket pong.
    pub fn on_pong(&mut self, index: u32) {
        if !self.is_closing(index) {
            self.too_many_control_frames(index);
        }
    }

    fn too_many_control_frames(&mut self, index: u32) -> bool {
        let now_us = self.desk.now_us;
        let count = self.desk.conn(index).control.add(now_us);
        let many = count > crate::bounds::CONTROL_FRAMES_MAX;
        if many {
            self.close(index, CloseCode::RATE_LIMITED, "control frames");
        }
        many
    }

    /// The peer's close frame: echoed, then the socket goes (RFC 6455 section 5.5.1).
    pub fn on_close(&mut self, index: u32, code: Option<u16>) {
        let code = CloseCode(code.unwrap_or(CloseCode::NORMAL.0));
        self.close(index, code, "");
        let conn = self.desk.conn(index);
        conn.peer_closed = true;
        // A close of ours that is under way is still worth its code.
        if conn.out.is_empty() {
            self.vanish(index);
        }
    }

    /// The peer broke the protocol below messages.
    pub fn on_violation(&mut self, index: u32, code: CloseCode, reason: &str) {
        self.close(index, code, reason);
    }

    /// The socket has ended or failed.
    pub fn on_lost(&mut self, index: u32) {
        if self.desk.conns.contains(index as usize) {
            self.vanish(index);
        }
    }

    /// Whether a close frame is queued or the connection is gone.
    pub fn is_closing(&self, index: u32) -> bool {
        let conn = self.desk.conns.get(index as usize);
        conn.is_none_or(|conn| matches!(conn.phase, Phase::Closing | Phase::Gone))
    }

    /// Queues a close frame; subscriptions end at once, the socket when the peer has answered.
    pub fn close(&mut self, index: u32, code: CloseCode, reason: &str) {
        match self.desk.conn(index).phase {
            Phase::Closing | Phase::Gone => return,
            Phase::Handshake => return self.vanish(index),
            Phase::Authenticating => self.authenticating -= 1,
            Phase::Greeting | Phase::Live => {}
        }
        self.leave_everything(index);
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        let bits = conn.window_bits;
        if code == CloseCode::SLOW_CONSUMER {
            conn.out.drop_unsent(bits);
        } else if conn.out.bytes() > BACKLOG_SHED_BYTES {
            self.desk.fold(index);
        }
        self.desk.seal(index);
        let conn = self.desk.conn(index);
        let mut bytes = Vec::new();
        frame::write_close(&mut bytes, code, reason);
        conn.out.push_raw(bytes);
        conn.phase = Phase::Closing;
        conn.deadline_us = now_us + CLOSE_US;
        // The socket is read again, for the peer's close.
        if std::mem::replace(&mut conn.held, false) {
            self.unpaused.push(index);
        }
        self.desk.wake_at(index, now_us + CLOSE_US);
        self.desk.mark_dirty(index);
        self.desk.stats.slow_consumers += u64::from(code == CloseCode::SLOW_CONSUMER);
        let known = CloseCode::ALL.contains(&code);
        let label = if known { code.0 } else { CLIENT_CLOSE };
        *self.desk.stats.closes.entry(label).or_default() += 1;
    }

    /// The connection is over without more words.
    pub(crate) fn vanish(&mut self, index: u32) {
        let phase = self.desk.conn(index).phase;
        if phase == Phase::Gone {
            return;
        }
        if phase == Phase::Authenticating {
            self.authenticating -= 1;
        }
        if phase != Phase::Closing {
            self.leave_everything(index);
            if phase != Phase::Handshake {
                *self.desk.stats.closes.entry(0).or_default() += 1;
            }
        }
        self.desk.conn(index).phase = Phase::Gone;
        self.gone.push(index);
    }

    /// Sockets to be closed now; their indexes may be reused after this call.
    pub fn take_gone(&mut self, into: &mut Vec<u32>) {
        for index in self.gone.drain(..) {
            self.desk.conns.try_remove(index as usize);
            into.push(index);
        }
        if self.desk.conns.is_empty() {
            self.desk.conns.shrink_to_fit();
        }
    }

    /// Connections with something to write; each is told once.
    pub fn take_dirty(&mut self, into: &mut Vec<u32>) {
        while let Some(index) = self.desk.overdue.pop() {
            if self.desk.conns.contains(index as usize) {
                self.close(index, CloseCode::SLOW_CONSUMER, "");
            }
        }
        for index in self.desk.dirty.drain(..) {
            if let Some(conn) = self.desk.conns.get_mut(index as usize) {
                conn.dirty = false;
                into.push(index);
            }
        }
    }

    /// The bytes that wait for this connection, in order, as far as one write takes them.
    pub fn gather<'a>(&'a mut self, index: u32, slices: &mut Vec<IoSlice<'a>>) {
        if self.desk.conns.contains(index as usize) {
            self.desk.seal(index);
            let conn: &Conn = &self.desk.conns[index as usize];
            conn.out.gather(conn.window_bits, slices);
        }
    }

    /// `count` of the gathered bytes were written; whether something still waits.
    pub fn wrote(&mut self, index: u32, count: usize) -> bool {
        let Some(conn) = self.desk.conns.get_mut(index as usize) else {
            return false;
        };
        let bits = conn.window_bits;
        conn.out.wrote(count, bits);
        let left = !conn.out.is_empty();
        if !left && conn.phase == Phase::Closing && conn.peer_closed {
            self.vanish(index);
        }
        left
    }

    /// What the control plane is asked; the order of `send`s is the order of receipt.
    pub fn take_submissions(&mut self, into: &mut Vec<Submission>) {
        into.append(&mut self.submissions);
    }

    /// What the other shards are told.
    pub fn take_news(&mut self, into: &mut Vec<PeerNews>) {
        into.append(&mut self.news);
    }

    /// Connections whose socket may be read again.
    pub fn take_unpaused(&mut self, into: &mut Vec<u32>) {
        into.append(&mut self.unpaused);
    }

    /// Commit times (microseconds) of the runs that all subscribers have been given.
    pub fn take_fanned_us(&mut self, into: &mut Vec<u64>) {
        into.append(&mut self.fanned_us);
    }

    /// Receipt times (microseconds) of the sends whose `ok` is queued; call it after the writes.
    pub fn take_acked_us(&mut self, into: &mut Vec<u64>) {
        into.append(&mut self.acked_us);
    }

    /// Whether the armed failpoint was reached: write what is queued, then die.
    pub fn failpoint_reached(&self) -> bool {
        self.failed
    }

    /// Whether there is work that need not wait for a socket.
    pub fn has_work(&self) -> bool {
        !self.fanning.is_empty() || !self.resumable.is_empty()
    }

    /// When the hub wants [`Self::tick`] at the latest.
    pub fn next_wake_us(&self) -> u64 {
        self.desk.now_us - self.desk.now_us % TICK_US + TICK_US
    }

    /// How many connections there are, unfinished handshakes included.
    pub fn connections(&self) -> usize {
        self.desk.conns.len()
    }

    /// The counters with today's gauges.
    pub fn stats(&mut self) -> &Stats {
        self.desk.stats.connections = self.desk.conns.len() as u64;
        self.desk.stats.rooms = self.rooms.len() as u64;
        self.desk.stats.recent_bytes = self.recent_bytes as u64;
        let backlogs = self
            .desk
            .conns
            .iter()
            .map(|(_, conn)| conn.out.bytes() as u64);
        self.desk.stats.backlog_bytes = backlogs.sum();
        &self.desk.stats
    }

    /// A panic was caught while this connection was served: it goes, the others stay.
    pub fn on_panic(&mut self, index: Option<u32>) {
        self.desk.stats.panics += 1;
        if let Some(index) = index.filter(|at| self.desk.conns.contains(*at as usize)) {
            self.close(index, CloseCode::INTERNAL, "");
        }
    }

    /// The name of `index` for the control plane.
    pub fn handle(&self, index: u32) -> Handle {
        self.desk.handle(index)
    }
}
