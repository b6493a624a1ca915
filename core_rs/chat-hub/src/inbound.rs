//! What clients say: lines become submissions, replies, or ephemeral news.

use std::sync::Arc;

use chat_proto::close::CloseCode;
use chat_proto::command::{self, BadLine, Command, Line, Position};
use chat_proto::encode::{self, ErrLine};
use chat_proto::error::ErrorCode;
use chat_proto::handshake::Credential;
use chat_proto::limits::LINES_MAX;

use crate::bounds::{ERRORS_MAX, OPS_IN_FLIGHT_MAX, RATE_LIMITED_MAX, UNDECODABLE_MAX};
use crate::conn::Phase;
use crate::effect::{Ask, Auth, InboxFree, ResumeAsk, Send, Since, Submission};
use crate::gcra::Rate;
use crate::hub::Hub;

/// Ops of one connection that cost the control plane something.
pub(crate) const OPS: Rate = Rate::per_second(50, 200);

impl Hub {
    /// A whole text message. `false`: do not read this socket until it is in `take_unpaused`.
    pub fn on_text(&mut self, index: u32, message: &[u8]) -> bool {
        self.desk.stats.messages_in += 1;
        if self.is_closing(index) {
            return true;
        }
        let conn = self.desk.conn(index);
        conn.partial_since_us = 0;
        if conn.held {
            let held = &mut conn.cold().held;
            held.push(b'\n');
            held.extend_from_slice(message);
            return false;
        }
        if command::lines(message).nth(LINES_MAX).is_some() {
            self.close(index, CloseCode::POLICY_VIOLATION, "lines");
            return true;
        }
        if self.is_leaving() && self.desk.conn(index).phase == Phase::Live {
            self.refuse_text(index, message);
            return true;
        }
        self.on_lines(index, message)
    }

    /// Executes lines until one has to wait; the rest is held. Whether nothing is.
    fn on_lines(&mut self, index: u32, message: &[u8]) -> bool {
        for line in command::lines(message) {
            if self.is_closing(index) {
                return true;
            }
            if self.must_wait(index) || !self.on_line(index, line) {
                let at = line.as_ptr() as usize - message.as_ptr() as usize;
                let conn = self.desk.conn(index);
                conn.held = true;
                conn.cold().held.extend_from_slice(&message[at..]);
                return false;
            }
        }
        true
    }

    fn must_wait(&self, index: u32) -> bool {
        let conn = &self.desk.conns[index as usize];
        conn.phase == Phase::Authenticating || conn.in_flight >= self.in_flight_max
    }

    /// How many submissions of each kind the inbox takes now, and how many ops one connection may
    /// have open: as the inbox fills, those with most in flight stop first.
    pub fn set_inbox(&mut self, free: InboxFree, in_flight_max: u16) {
        self.inbox_free = free;
        self.in_flight_max = in_flight_max.clamp(1, OPS_IN_FLIGHT_MAX);
        self.resumable.append(&mut self.starved);
    }

    /// Whether the queue that this command needs has no room; the connection is told of later.
    fn is_starved(&mut self, index: u32, command: &Command<'_>) -> bool {
        let free = &mut self.inbox_free;
        let queue = match command {
            Command::Send { .. } => &mut free.sends,
            Command::Hello { .. } | Command::Auth { .. } => &mut free.auths,
            Command::Sub { .. }
            | Command::Hist { .. }
            | Command::Read { .. }
            | Command::Who { .. } => &mut free.asks,
            Command::Unsub { .. }
            | Command::Typing { .. }
            | Command::Signal { .. }
            | Command::Pong => return false,
        };
        if *queue == 0 {
            self.starved.push(index);
            return true;
        }
        *queue -= 1;
        false
    }

    /// Connections whose held lines may run now; go on with each by [`Self::go_on`].
    pub fn take_resumable(&mut self, into: &mut Vec<u32>) {
        into.append(&mut self.resumable);
    }

    /// Goes on with the lines of one connection that were held.
    pub fn go_on(&mut self, index: u32) {
        let Some(conn) = self.desk.conns.get_mut(index as usize) else {
            return;
        };
        if !std::mem::replace(&mut conn.held, false) {
            return;
        }
        let held = conn
            .cold
            .as_mut()
            .map(|cold| std::mem::take(&mut cold.held));
        conn.warm();
        if self.on_lines(index, &held.unwrap_or_default()) {
            self.unpaused.push(index);
        }
    }

    /// An op has got its answer; held lines may go on.
    pub(crate) fn answered(&mut self, index: u32) {
        let limit = self.in_flight_max;
        let conn = self.desk.conn(index);
        conn.in_flight = conn.in_flight.saturating_sub(1);
        if conn.held && conn.in_flight < limit {
            self.resumable.push(index);
        }
    }

    fn submit(&mut self, index: u32, submission: Submission) {
        self.desk.conn(index).in_flight += 1;
        self.submissions.push(submission);
    }

    /// `false`: the line must wait for room in the inbox.
    fn on_line(&mut self, index: u32, line: &[u8]) -> bool {
        match command::parse(line) {
            Ok(line) if self.is_starved(index, &line.command) => return false,
            Ok(line) => self.on_command(index, line),
            Err(bad) => self.on_bad_line(index, &bad),
        }
        true
    }

    pub(crate) fn on_bad_line(&mut self, index: u32, bad: &BadLine) {
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        if conn.phase == Phase::Greeting && !bad.undecodable && bad.code == ErrorCode::UnknownOp {
            return self.refuse_greeting(index, bad.id, ErrorCode::Unauthorized);
        }
        let grew = bad
            .id
            .is_none_or(|id| conn.last_id.is_none_or(|last| id > last));
        let code = if grew {
            bad.code
        } else {
            ErrorCode::BadRequest
        };
        conn.last_id = conn.last_id.max(bad.id);
        let third = bad.undecodable && conn.undecodable.add(now_us) >= UNDECODABLE_MAX;
        let field = if grew { bad.field } else { Some("id") };
        self.err(
            index,
            &ErrLine {
                id: bad.id,
                code,
                field,
                ..PLAIN
            },
        );
        if third {
            self.close(index, CloseCode::UNDECODABLE, "");
        }
    }

    fn on_command(&mut self, index: u32, line: Line<'_>) {
        let id = line.id;
        let answered = !matches!(
            line.command,
            Command::Pong | Command::Typing { .. } | Command::Signal { .. }
        );
        let conn = self.desk.conn(index);
        if answered {
            if conn.last_id.is_some_and(|last| id <= last) {
                let field = Some("id");
                let code = ErrorCode::BadRequest;
                return self.err(
                    index,
                    &ErrLine {
                        id: Some(id),
                        code,
                        field,
                        ..PLAIN
                    },
                );
            }
            conn.last_id = Some(id);
        }
        match (conn.phase, line.command) {
            (
                Phase::Greeting,
                Command::Hello {
                    token,
                    client,
                    rooms,
                },
            ) => {
                let rooms = rooms
                    .into_iter()
                    .map(|(room, at)| (room.into_owned(), since(at)));
                let rooms = rooms.collect();
                let client = client.map(std::borrow::Cow::into_owned);
                self.on_hello(index, id, token.as_deref(), client, rooms);
            }
            (Phase::Greeting, Command::Pong) => {}
            (Phase::Greeting, _) => {
                self.refuse_greeting(index, answered.then_some(id), ErrorCode::Unauthorized);
            }
            (_, Command::Hello { .. }) => {
                self.close(index, CloseCode::NOT_ALLOWED, "second hello");
            }
            (_, command) => self.on_live_command(index, id, command),
        }
    }

    fn on_hello(
        &mut self,
        index: u32,
        id: u64,
        token: Option<&str>,
        client: Option<String>,
        rooms: Vec<(String, Since)>,
    ) {
        let Some(cold) = self.desk.conn(index).cold.as_mut() else {
            return self.refuse_greeting(index, Some(id), ErrorCode::Unauthorized);
        };
        let given = cold.credential.take();
        let address = std::mem::take(&mut cold.address);
        let (ticket, credential) = match (given, token) {
            (None | Some(Credential::None), Some(token)) => (false, token.to_owned()),
            (Some(Credential::Bearer(bearer)), token) if token.is_none_or(|it| *it == bearer) => {
                (false, bearer)
            }
            (Some(Credential::Ticket(ticket)), None) => (true, ticket),
            _ => return self.refuse_greeting(index, Some(id), ErrorCode::Unauthorized),
        };
        let handle = self.desk.handle(index);
        let mut asks = Vec::with_capacity(rooms.len());
        for (room, since) in rooms {
            let held_from = if room == "me" {
                0
            } else {
                self.hold_open(index, id, &room)
            };
            asks.push(ResumeAsk {
                room,
                since,
                held_from,
            });
        }
        let conn = self.desk.conn(index);
        conn.phase = Phase::Authenticating;
        conn.warm();
        self.authenticating += 1;
        let rooms = asks;
        let hello = Auth::Hello {
            handle,
            id,
            ticket,
            credential,
            rooms,
            client,
            address,
        };
        self.submit(index, Submission::Auth(hello));
    }

    fn on_live_command(&mut self, index: u32, id: u64, command: Command<'_>) {
        let Some(user) = self.desk.conn(index).user.clone() else {
            return;
        };
        let handle = self.desk.handle(index);
        match command {
            Command::Pong | Command::Hello { .. } => {}
            Command::Typing { room, on } => self.on_typing(index, &user, &room, on),
            Command::Signal { room, body } => self.on_signal(index, &user, &room, body),
            Command::Unsub { room } => {
                self.unsubscribe(index, &user, &room);
                self.desk.tell(index, |out| encode::ok_empty(out, id));
            }
            Command::Send {
                room,
                cid,
                body,
                thread,
            } => {
                if !self.within_rate(index, id, &room) {
                    return;
                }
                let Ok(body) = std::str::from_utf8(body) else {
                    return;
                };
                let named = (handle, id, self.desk.now_us);
                let send = Send::new(named, user, (&room, &cid, body), thread);
                self.desk.stats.sends += 1;
                self.submit(index, Submission::Send(send));
            }
            other => {
                if let Some(ask) = self.ask(index, (handle, id), user, other) {
                    self.submit(index, ask);
                }
            }
        }
    }

    /// Holds the room open, then asks who may be in it, unless there are too many already.
    fn ask_sub(
        &mut self,
        index: u32,
        (handle, id): (u64, u64),
        user: Arc<str>,
        (room, since, want): (String, Option<Since>, u8),
    ) -> Option<Submission> {
        let log = log_name(&room, &user);
        if !self.may_subscribe(index, id, &log) {
            return None;
        }
        let held_from = self.hold_open(index, id, &log);
        let ask = Ask::Sub {
            handle,
            id,
            user,
            room,
            since,
            want,
            held_from,
        };
        Some(Submission::Ask(ask))
    }

    /// The ops that need a read.
    fn ask(
        &mut self,
        index: u32,
        (handle, id): (u64, u64),
        user: Arc<str>,
        command: Command<'_>,
    ) -> Option<Submission> {
        Some(match command {
            Command::Sub {
                room,
                since: at,
                want,
            } => {
                let what = (room.into_owned(), at.map(since), want.bits);
                return self.ask_sub(index, (handle, id), user, what);
            }
            Command::Hist {
                room,
                anchor,
                limit,
                epoch,
            } => {
                let (room, epoch) = (room.into_owned(), epoch.map(std::borrow::Cow::into_owned));
                Submission::Ask(Ask::Hist {
                    handle,
                    id,
                    user,
                    room,
                    anchor,
                    limit,
                    epoch,
                })
            }
            Command::Read { room, n } => {
                let room = room.into_owned();
                Submission::Ask(Ask::Read {
                    handle,
                    id,
                    user,
                    room,
                    n,
                })
            }
            Command::Who {
                room,
                limit,
                cursor,
            } => {
                let (count, page, next_cursor) = self.roster_page(&room, limit, cursor.as_deref());
                let room = room.into_owned();
                let ask = Ask::Who {
                    handle,
                    id,
                    user,
                    room,
                    count,
                    page,
                    next_cursor,
                };
                Submission::Ask(ask)
            }
            Command::Auth { token } => self.renew(index, (handle, id), user, token.into_owned()),
            _ => return None,
        })
    }

    fn renew(
        &mut self,
        index: u32,
        (handle, id): (u64, u64),
        user: Arc<str>,
        token: String,
    ) -> Submission {
        let session = self.desk.conn(index).session.clone();
        Submission::Auth(Auth::Renew {
            handle,
            id,
            token,
            user,
            session,
        })
    }

    fn may_subscribe(&mut self, index: u32, id: u64, log: &str) -> bool {
        let room = self.by_name.get(log).copied();
        let limit = self.config.subscriptions_max;
        let conn = self.desk.conn(index);
        let known = room.is_some_and(|room| conn.place_of(room).is_some());
        let opening = conn.cold.as_ref().map_or(0, |cold| cold.opening.len());
        // The private log is one place more than the limit counts.
        if known || conn.places.len() + opening <= limit {
            return true;
        }
        let code = ErrorCode::LimitExceeded;
        self.err(
            index,
            &ErrLine {
                id: Some(id),
                code,
                ..PLAIN
            },
        );
        false
    }

    fn within_rate(&mut self, index: u32, id: u64, room: &str) -> bool {
        if !self.config.rate_limits {
            return true;
        }
        let now_us = self.desk.now_us;
        let Err(wait_us) = OPS.take(&mut self.desk.conn(index).bucket, now_us) else {
            return true;
        };
        self.rate_limited(index, id, room, wait_us);
        false
    }

    /// The inbox has refused a `send` of this connection: a rate of its user or room is spent.
    pub fn on_send_limited(&mut self, send: &Send, wait_us: u64) {
        let Some(index) = self.desk.find(send.handle) else {
            return;
        };
        self.answered(index);
        self.rate_limited(index, send.id, send.room(), wait_us);
    }

    fn rate_limited(&mut self, index: u32, id: u64, room: &str, wait_us: u64) {
        let line = ErrLine {
            id: Some(id),
            code: ErrorCode::RateLimited,
            retry_after_ms: Some(wait_us.div_ceil(1000)),
            room: Some(room),
            ..PLAIN
        };
        self.err(index, &line);
    }

    /// Answers `err`, counts it, and closes who gets too many.
    pub(crate) fn err(&mut self, index: u32, line: &ErrLine<'_>) {
        self.desk.stats.errors += 1;
        self.desk.tell(index, |out| encode::err(out, line));
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        if line.code == ErrorCode::RateLimited {
            if conn.limited.add(now_us) > RATE_LIMITED_MAX {
                self.close(index, CloseCode::RATE_LIMITED, "");
            }
        } else if conn.errors.add(now_us) >= ERRORS_MAX {
            self.close(index, CloseCode::TOO_MANY_ERRORS, "");
        }
    }

    /// Refuses a connection that did not greet well: `err`, then 4001 or 4101.
    pub(crate) fn refuse_greeting(&mut self, index: u32, id: Option<u64>, code: ErrorCode) {
        self.err(index, &ErrLine { id, code, ..PLAIN });
        let close = match code {
            ErrorCode::TokenExpired => CloseCode::TOKEN_EXPIRED,
            ErrorCode::Internal => CloseCode::INTERNAL,
            ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::Timeout => {
                CloseCode::OVERLOADED
            }
            _ => CloseCode::AUTH_FAILED,
        };
        self.close(index, close, "");
    }
}

/// An `err` with nothing but what is filled in.
pub(crate) const PLAIN: ErrLine<'static> = ErrLine {
    id: None,
    code: ErrorCode::Internal,
    field: None,
    msg: None,
    retry_after_ms: None,
    room: None,
};

fn since(at: Position<'_>) -> Since {
    (at.epoch.into_owned(), at.seq)
}

/// The log that a user means by `room`.
pub(crate) fn log_name(room: &str, user: &str) -> String {
    if room == "me" {
        format!("me:{user}")
    } else {
        room.to_owned()
    }
}
