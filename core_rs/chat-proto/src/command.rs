//! Lines from a client to commands. A line that is no command yields the error that answers it.
//!
//! Nothing is copied: a command borrows from the line, and a `body` is its exact bytes. Whether
//! the operation is allowed, and whether `id` has grown, is for the hub to say.

use std::borrow::Cow;

use crate::body;
use crate::error::ErrorCode;
use crate::json::{self, JsonError, Scanner, Span};
use crate::limits::{
    CID_CHARS_MAX, CLIENT_BYTES_MAX, CURSOR_BYTES_MAX, EPOCH_BYTES_MAX, HELLO_ROOMS_MAX,
    HIST_EVENTS_DEFAULT, HIST_EVENTS_MAX, ROOM_CHARS_MAX, SIGNAL_BYTES_MAX, WHO_MEMBERS_DEFAULT,
    WHO_MEMBERS_MAX,
};

/// A place in a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// Identity of the log.
    pub epoch: Cow<'a, str>,
    /// Position in it, below 2^53.
    pub seq: u64,
}

/// The kinds of ephemeral events a subscription asks for, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The union of [`Want::PRESENCE`], [`Want::TYPING`] and [`Want::RECEIPTS`].
    pub bits: u8,
}

impl Want {
    /// `presence`.
    pub const PRESENCE: u8 = 1;
    /// `typing`.
    pub const TYPING: u8 = 2;
    /// `receipts`.
    pub const RECEIPTS: u8 = 4;

    /// Whether `kind`, one of the constants, is in the set.
    pub const fn has(self, kind: u8) -> bool {
        self.bits & kind != 0
    }
}

/// Where a page of history lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The last events of the log.
    Newest,
    /// Events before that seq, exclusive.
    Before(u64),
    /// Events after that seq, exclusive.
    After(u64),
    /// Events around that seq, inclusive.
    Around(u64),
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Log in, and resume many rooms at once.
    Hello {
        /// The access token, unless the handshake brought it.
        token: Option<Cow<'a, str>>,
        /// The client program's name.
        client: Option<Cow<'a, str>>,
        /// Rooms to resume, `me` among them.
        rooms: Vec<(Cow<'a, str>, Position<'a>)>,
    },
    /// Renew the access token.
    Auth {
        /// The new token.
        token: Cow<'a, str>,
    },
    /// Subscribe to a room.
    Sub {
        /// The room.
        room: Cow<'a, str>,
        /// Resume after this position.
        since: Option<Position<'a>>,
        /// Ephemeral kinds wanted.
        want: Want,
    },
    /// End a subscription.
    Unsub {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Post a message.
    Send {
        /// The room.
        room: Cow<'a, str>,
        /// The client's id of this send.
        cid: Cow<'a, str>,
        /// The body's exact bytes, judged by [`body::judge`].
        body: &'a [u8],
        /// The seq of the message it answers.
        thread: Option<u64>,
    },
    /// Move the read mark.
    Read {
        /// The room.
        room: Cow<'a, str>,
        /// Messages read, a count.
        n: u64,
    },
    /// Read history.
    Hist {
        /// The room.
        room: Cow<'a, str>,
        /// Where the page lies.
        anchor: Anchor,
        /// Events wanted, 1 to 100.
        limit: u32,
        /// The epoch the client believes in.
        epoch: Option<Cow<'a, str>>,
    },
    /// Who is subscribed now.
    Who {
        /// The room.
        room: Cow<'a, str>,
        /// Members wanted, 1 to 100.
        limit: u32,
        /// Where the last page ended.
        cursor: Option<Cow<'a, str>>,
    },
    /// Typing, or no longer.
    Typing {
        /// The room.
        room: Cow<'a, str>,
        /// Whether the user types.
        on: bool,
    },
    /// Tell the room's other subscribers something that is not stored.
    Signal {
        /// The room.
        room: Cow<'a, str>,
        /// A JSON object of at most 4 KiB, its exact bytes.
        body: &'a [u8],
    },
    /// The answer to a `ping`.
    Pong,
}

/// A command with the id that its reply bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The client's id; 0 for `pong`, `typing` and `signal`, which get no reply.
    pub id: u64,
    /// What is asked for.
    pub command: Command<'a>,
}

/// A line that is no command, as the error that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The id, if the line has a valid one and its operation uses it.
    pub id: Option<u64>,
    /// `bad_request`, `too_large` or `unknown_op`.
    pub code: ErrorCode,
    /// The field that is wrong.
    pub field: Option<&'static str>,
    /// Not JSON as the protocol wants it: counts towards close code 4002.
    pub undecodable: bool,
}

/// A field that is wrong, before the id is known to belong to it.
struct Wrong(ErrorCode, &'static str);

const fn bad(field: &'static str) -> Wrong {
    Wrong(ErrorCode::BadRequest, field)
}

/// The lines of a message. Blank lines and a trailing newline are ignored.
pub fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
}

/// Whether `room` has the form of a room id: `[A-Za-z0-9_-]{1,64}`, which `me` has too.
pub fn is_room_id(room: &str) -> bool {
    (1..=ROOM_CHARS_MAX).contains(&room.len())
        && room
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Whether `cid` has the form of a client's id: 1 to 64 characters U+0021 to U+007E.
pub fn is_cid(cid: &str) -> bool {
    (1..=CID_CHARS_MAX).contains(&cid.len()) && cid.bytes().all(|byte| byte.is_ascii_graphic())
}

/// One line to the command it is.
///
/// # Errors
/// The error that answers the line. Operations without a reply are refused without an id.
pub fn parse(line: &[u8]) -> Result<Line<'_>, BadLine> {
    let fields = Fields::scan(line).map_err(|_| BadLine {
        id: None,
        code: ErrorCode::BadRequest,
        field: None,
        undecodable: true,
    })?;
    let given = fields.id.and_then(uint);
    let refuse = |id, Wrong(code, field): Wrong| {
        let field = (!field.is_empty()).then_some(field);
        BadLine {
            id,
            code,
            field,
            undecodable: false,
        }
    };
    let kind = fields
        .t
        .and_then(json::judged_string)
        .ok_or_else(|| refuse(given, bad("t")))?;
    let silent = match &*kind {
        "pong" => Some(Ok(Command::Pong)),
        "typing" => Some(fields.typing()),
        "signal" => Some(fields.signal()),
        _ => None,
    };
    if let Some(command) = silent {
        let command = command.map_err(|wrong| refuse(None, wrong))?;
        return Ok(Line { id: 0, command });
    }
    let command = match &*kind {
        "send" => fields.send(),
        "hello" => fields.hello(),
        "auth" => fields.auth(),
        "sub" => fields.sub(),
        "unsub" => fields.room().map(|room| Command::Unsub { room }),
        "read" => fields.read(),
        "hist" => fields.hist(),
        "who" => fields.who(),
        _ => return Err(refuse(given, Wrong(ErrorCode::UnknownOp, ""))),
    };
    let id = given.ok_or_else(|| refuse(None, bad("id")))?;
    let command = command.map_err(|wrong| refuse(Some(id), wrong))?;
    Ok(Line { id, command })
}

macro_rules! fields {
    ($($name:ident)+) => {
        /// The values of the fields the protocol knows, as they stand in JSON; absent where missing
        /// or `null`.
        #[derive(Default)]
        struct Fields<'a> {
            $($name: Option<&'a str>,)+
            /// The `text` of the body.
            text: Option<&'a str>,
        }

        impl<'a> Fields<'a> {
            fn slot(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

fields! {
    t id room cid body thread token client rooms since want n before after around limit epoch
    cursor on
}

impl<'a> Fields<'a> {
    /// Judges a line and finds its fields, those of its body on the way.
    fn scan(line: &'a [u8]) -> Result<Self, JsonError> {
        let mut fields = Self::default();
        let mut scanner = Scanner::new(line)?;
        scanner.only_object(1, |scanner, key, depth| fields.member(scanner, key, depth))?;
        Ok(fields)
    }

    fn member(
        &mut self,
        scanner: &mut Scanner<'a>,
        key: Span,
        depth: usize,
    ) -> Result<(), JsonError> {
        let name = scanner.unescaped(key);
        let is_object = scanner.peek() == Some(b'{');
        let value = match &*name {
            "body" if is_object => {
                let text = &mut self.text;
                scanner.object(depth, |scanner, key, depth| {
                    body::pass_member(scanner, key, depth, text)
                })?
            }
            "rooms" if is_object => scanner.object_up_to(HELLO_ROOMS_MAX, depth, pass)?,
            _ => scanner.value(depth)?,
        };
        if let Some(slot) = self.slot(&name) {
            *slot = Some(value).filter(|&value| value != "null");
        }
        Ok(())
    }

    fn room(&self) -> Result<Cow<'a, str>, Wrong> {
        let room = self
            .room
            .and_then(json::judged_string)
            .filter(|room| is_room_id(room));
        room.ok_or(bad("room"))
    }

    fn body(&self) -> Result<&'a [u8], Wrong> {
        let body = self.body.filter(|body| body.starts_with('{'));
        body.map(str::as_bytes).ok_or(bad("body"))
    }

    fn hello(&self) -> Result<Command<'a>, Wrong> {
        let token = optional(self.token, json::judged_string, "token")?;
        let client = optional(
            self.client,
            |value| opaque(value, CLIENT_BYTES_MAX),
            "client",
        )?;
        let rooms = optional(self.rooms, rooms, "rooms")?.unwrap_or_default();
        Ok(Command::Hello {
            token,
            client,
            rooms,
        })
    }

    fn auth(&self) -> Result<Command<'a>, Wrong> {
        let token = self
            .token
            .and_then(json::judged_string)
            .ok_or(bad("token"))?;
        Ok(Command::Auth { token })
    }

    fn sub(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let since = optional(self.since, position, "since")?;
        let want = optional(self.want, want, "want")?.unwrap_or_default();
        Ok(Command::Sub { room, since, want })
    }

    fn send(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let cid = self
            .cid
            .and_then(json::judged_string)
            .filter(|cid| is_cid(cid))
            .ok_or(bad("cid"))?;
        let body = self.body()?;
        body::judge_scanned(body.len(), self.text)
            .map_err(|error| Wrong(error.code, error.field))?;
        let thread = optional(self.thread, uint, "thread")?;
        Ok(Command::Send {
            room,
            cid,
            body,
            thread,
        })
    }

    fn read(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let n = self.n.and_then(uint).ok_or(bad("n"))?;
        Ok(Command::Read { room, n })
    }

    fn hist(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let before = optional(self.before, uint, "before")?;
        let after = optional(self.after, uint, "after")?;
        let around = optional(self.around, uint, "around")?;
        let anchor = match (before, after, around) {
            (None, None, None) => Anchor::Newest,
            (Some(seq), None, None) => Anchor::Before(seq),
            (None, Some(seq), None) => Anchor::After(seq),
            (None, None, Some(seq)) => Anchor::Around(seq),
            (_, Some(_), None) => return Err(bad("after")),
            (_, _, Some(_)) => return Err(bad("around")),
        };
        let limit = page(self.limit, HIST_EVENTS_DEFAULT, HIST_EVENTS_MAX)?;
        let epoch = optional(self.epoch, |value| opaque(value, EPOCH_BYTES_MAX), "epoch")?;
        Ok(Command::Hist {
            room,
            anchor,
            limit,
            epoch,
        })
    }

    fn who(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let limit = page(self.limit, WHO_MEMBERS_DEFAULT, WHO_MEMBERS_MAX)?;
        let cursor = optional(
            self.cursor,
            |value| opaque(value, CURSOR_BYTES_MAX),
            "cursor",
        )?;
        Ok(Command::Who {
            room,
            limit,
            cursor,
        })
    }

    fn typing(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let on = self
            .on
            .and_then(|value| json::boolean(value.as_bytes()))
            .ok_or(bad("on"))?;
        Ok(Command::Typing { room, on })
    }

    fn signal(&self) -> Result<Command<'a>, Wrong> {
        let room = self.room()?;
        let body = self.body()?;
        if body.len() > SIGNAL_BYTES_MAX {
            return Err(Wrong(ErrorCode::TooLarge, "body"));
        }
        Ok(Command::Signal { room, body })
    }
}

/// A field that may be absent, but not wrong.
fn optional<'a, T>(
    value: Option<&'a str>,
    read: impl FnOnce(&'a str) -> Option<T>,
    field: &'static str,
) -> Result<Option<T>, Wrong> {
    value.map(|value| read(value).ok_or(bad(field))).transpose()
}

/// A string of 1 to `bytes_max` bytes without controls.
fn opaque(value: &str, bytes_max: usize) -> Option<Cow<'_, str>> {
    let string = json::judged_string(value)?;
    let fits = (1..=bytes_max).contains(&string.len());
    (fits && !string.contains(char::is_control)).then_some(string)
}

/// `[epoch, seq]`.
fn position(value: &str) -> Option<Position<'_>> {
    let ([epoch, seq], 2) = json::judged_array::<2>(value)? else {
        return None;
    };
    Some(Position {
        epoch: opaque(epoch, EPOCH_BYTES_MAX)?,
        seq: uint(seq)?,
    })
}

/// `{room: [epoch, seq]}`.
fn rooms(value: &str) -> Option<Vec<(Cow<'_, str>, Position<'_>)>> {
    let mut scanner = Scanner::new(value.as_bytes()).ok()?;
    let mut rooms = Vec::new();
    if scanner.peek() != Some(b'{') {
        return None;
    }
    let read = scanner.object_up_to(HELLO_ROOMS_MAX, 1, |scanner, key, depth| {
        rooms.push((scanner.unescaped(key), scanner.value(depth)?));
        Ok(())
    });
    read.ok()?;
    let judged = rooms.into_iter().map(|(room, value)| {
        let position = position(value).filter(|_| is_room_id(&room))?;
        Some((room, position))
    });
    judged.collect()
}

/// Passes a member in which nothing is looked for.
fn pass(scanner: &mut Scanner<'_>, _: Span, depth: usize) -> Result<(), JsonError> {
    scanner.value(depth).map(drop)
}

/// An array of kinds; those this version does not know are ignored, as unknown fields are.
fn want(value: &str) -> Option<Want> {
    let (kinds, count) = json::judged_array::<16>(value)?;
    let mut bits = 0;
    for kind in &kinds[..count] {
        bits |= match &*json::judged_string(kind)? {
            "presence" => Want::PRESENCE,
            "typing" => Want::TYPING,
            "receipts" => Want::RECEIPTS,
            _ => 0,
        };
    }
    Some(Want { bits })
}

fn page(value: Option<&str>, default: u32, max: u32) -> Result<u32, Wrong> {
    let limit = optional(value, uint, "limit")?.unwrap_or(u64::from(default));
    u32::try_from(limit)
        .ok()
        .filter(|limit| (1..=max).contains(limit))
        .ok_or(bad("limit"))
}

/// An integer below 2^53.
fn uint(value: &str) -> Option<u64> {
    json::uint(value.as_bytes())
}
