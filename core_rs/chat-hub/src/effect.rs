//! What the hub asks of others, and what they answer: plain values that cross threads.

use std::sync::Arc;

use chat_proto::error::ErrorCode;

use crate::run::RunData;

/// Names a connection of a node for ever: shard (7 bits), generation (24), index (32).
pub type Handle = u64;

/// A position as clients give it: (epoch, seq).
pub type Since = (String, u64);

/// A `send` to be stored. One allocation holds room, cid and body.
#[derive(Debug)]
pub struct Send {
    /// Who waits for the answer.
    pub handle: Handle,
    /// The client's id of the op.
    pub id: u64,
    /// When it was received, on the core's clock.
    pub received_us: u64,
    /// The sender.
    pub user: Arc<str>,
    /// The thread it belongs to, if any.
    pub thread: Option<u64>,
    text: Box<str>,
    room_bytes: u16,
    cid_bytes: u16,
}

impl Send {
    /// Copies the parts of a `send`.
    pub fn new(
        (handle, id, received_us): (Handle, u64, u64),
        user: Arc<str>,
        (room, cid, body): (&str, &str, &str),
        thread: Option<u64>,
    ) -> Self {
        let mut text = String::with_capacity(room.len() + cid.len() + body.len());
        text.push_str(room);
        text.push_str(cid);
        text.push_str(body);
        let (room_bytes, cid_bytes) = (room.len() as u16, cid.len() as u16);
        let text = text.into_boxed_str();
        Self {
            handle,
            id,
            received_us,
            user,
            thread,
            text,
            room_bytes,
            cid_bytes,
        }
    }

    /// The room, as clients say it.
    pub fn room(&self) -> &str {
        &self.text[..self.room_bytes as usize]
    }

    /// The client's id of the message.
    pub fn cid(&self) -> &str {
        &self.text[self.room_bytes as usize..][..self.cid_bytes as usize]
    }

    /// The body, exactly as received.
    pub fn body(&self) -> &str {
        &self.text[self.room_bytes as usize + self.cid_bytes as usize..]
    }

    /// How much memory it takes, for the bound of the inbox.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }
}

/// Where a page of history starts.
pub use chat_proto::command::Anchor;

/// An op that needs a read; its answer comes back by handle and id.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields are those of the op in docs/reference/protocol.md"
)]
pub enum Ask {
    Sub {
        handle: Handle,
        id: u64,
        user: Arc<str>,
        room: String,
        since: Option<Since>,
        want: u8,
        held_from: u64,
    },
    Hist {
        handle: Handle,
        id: u64,
        user: Arc<str>,
        room: String,
        anchor: Anchor,
        limit: u32,
        epoch: Option<String>,
    },
    Read {
        handle: Handle,
        id: u64,
        user: Arc<str>,
        room: String,
        n: u64,
    },
    Who {
        handle: Handle,
        id: u64,
        user: Arc<str>,
        room: String,
        count: u64,
        page: Vec<Arc<str>>,
        next_cursor: Option<Arc<str>>,
    },
    /// The hub saw a hole in a log: deliver `after + 1 ..= upto` again.
    Repair { log: String, after: u64, upto: u64 },
}

/// A room that a `hello` resumes.
#[derive(Debug)]
pub struct ResumeAsk {
    /// As clients say it.
    pub room: String,
    /// Where the client stands.
    pub since: Since,
    /// The lowest seq from which memory holds everything, 0 for nothing.
    pub held_from: u64,
}

/// An op about identity.
#[derive(Debug)]
#[allow(
    missing_docs,
    reason = "the fields are those of the op in docs/reference/protocol.md"
)]
pub enum Auth {
    Hello {
        handle: Handle,
        id: u64,
        ticket: bool,
        credential: String,
        rooms: Vec<ResumeAsk>,
        client: Option<String>,
        address: Box<str>,
    },
    Renew {
        handle: Handle,
        id: u64,
        token: String,
        user: Arc<str>,
        session: Box<str>,
    },
}

/// How many submissions of each kind the control plane takes now.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "one number a kind of Submission")]
pub struct InboxFree {
    pub sends: usize,
    pub asks: usize,
    pub auths: usize,
}

impl Default for InboxFree {
    fn default() -> Self {
        Self {
            sends: usize::MAX,
            asks: usize::MAX,
            auths: usize::MAX,
        }
    }
}

/// Something for the control plane.
#[derive(Debug)]
pub enum Submission {
    /// To be stored.
    Send(Send),
    /// To be read.
    Ask(Ask),
    /// To be authenticated.
    Auth(Auth),
}

/// What one shard tells the others.
#[derive(Clone, Debug)]
pub enum PeerNews {
    /// A user is subscribed on one connection more (`on`) or less, of this room.
    Presence {
        /// The log.
        room: Arc<str>,
        /// Who.
        user: Arc<str>,
        /// More or less.
        on: bool,
    },
    /// An ephemeral line for the room's subscribers who want it.
    Line {
        /// The log.
        room: Arc<str>,
        /// The wish it answers, 0 for everybody.
        want: u8,
        /// The line.
        line: Arc<[u8]>,
    },
}

/// The answer to a stored `send`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Ack {
    pub handle: Handle,
    pub id: u64,
    pub received_us: u64,
    pub seq: u64,
    pub n: u64,
    pub ts_ms: u64,
    pub dup: bool,
}

/// The answer to a good `auth`: from now on the connection is of that session.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Renewal {
    pub handle: Handle,
    pub id: u64,
    pub session: String,
    pub expires_ms: u64,
    pub now_ms: u64,
}

/// The answer `err`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Refusal {
    pub handle: Handle,
    pub id: u64,
    pub room: Option<String>,
    pub code: ErrorCode,
    pub message: Option<String>,
    pub field: Option<String>,
    pub retry_after_ms: Option<u64>,
}

/// Where the events that a client missed are.
#[derive(Debug)]
pub enum Missed {
    /// In memory, or there are none.
    Held,
    /// Too many or too large to replay: `gap`.
    TooMany,
    /// Here, `since + 1 ..= head`.
    Here(Vec<RunData>),
}

/// The answer to `sub`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Attach {
    pub handle: Handle,
    pub id: u64,
    pub room: String,
    pub head: u64,
    pub n: u64,
    pub read: u64,
    pub role: String,
    pub since: Option<Since>,
    pub want: u8,
    pub missed: Missed,
}

/// One room in the answer to `hello`; `role` is `None` for a denied one.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Resume {
    pub room: String,
    pub head: u64,
    pub n: u64,
    pub read: u64,
    pub role: Option<String>,
    pub since: Option<Since>,
    pub missed: Missed,
}

/// The answer to a good `hello`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the reply")]
pub struct Welcome {
    pub handle: Handle,
    pub id: u64,
    pub user: Arc<str>,
    pub session: Box<str>,
    pub expires_ms: u64,
    pub now_ms: u64,
    pub me: Resume,
    pub rooms: Vec<Resume>,
}

/// How a `member` event changes who may be in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Somebody is no longer a member: leave, kick, ban.
    Out,
    /// Nothing that concerns live subscriptions: join, invite, unban, another role.
    Other,
}

/// A change at the end of a part of a delivery.
#[derive(Clone, Debug)]
pub struct Change {
    /// What.
    pub action: Action,
    /// Whom it concerns.
    pub users: Vec<String>,
}

/// Events in one frame, then changes that take effect after the last of them.
#[derive(Clone, Debug)]
pub struct Part {
    /// The frame.
    pub data: Arc<RunData>,
    /// The changes.
    pub changes: Vec<Change>,
}

/// One room's events of one commit.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// A room id, or `me:<user>`.
    pub log: Box<str>,
    /// In seq order.
    pub parts: Vec<Part>,
}

impl Delivered {
    /// Cuts `lines` (seqs from `first`) into frames that end where a change takes effect.
    pub fn new(log: &str, first: u64, lines: &[&[u8]], mut changes: Vec<(u64, Change)>) -> Self {
        changes.retain(|(_, change)| change.action != Action::Other);
        let mut parts = Vec::new();
        let mut from = 0;
        let end = lines.len();
        let mut changes = changes.into_iter().peekable();
        while from < end {
            let next = changes
                .peek()
                .map(|(seq, _)| (seq - first.min(*seq)) as usize + 1);
            let to = next.unwrap_or(end).clamp(from + 1, end);
            let frames = RunData::frames(first + from as u64, lines[from..to].iter().copied());
            let cut = |data| Part {
                data: Arc::new(data),
                changes: Vec::new(),
            };
            parts.extend(frames.into_iter().map(cut));
            while let Some((_, change)) = changes.next_if(|(seq, _)| *seq < first + to as u64) {
                if let Some(part) = parts.last_mut() {
                    part.changes.push(change);
                }
            }
            from = to;
        }
        Self {
            log: log.into(),
            parts,
        }
    }
}
