//! Replies and events to lines: one JSON object each, without the newline that ends it.
//!
//! Every function appends to `out`, so that several lines can share one frame. Field order is
//! fixed and numbers are written without going through a formatter: these run once per reply.

use crate::error::ErrorCode;
use crate::json::write_string;

/// What an `err` says. Absent fields are not written; `msg` falls back to the code's sentence.
#[derive(Clone, Copy, Debug)]
pub struct ErrLine<'a> {
    /// The `id` of the command it answers, if that is known.
    pub id: Option<u64>,
    /// What went wrong; also decides `retry`.
    pub code: ErrorCode,
    /// The field that is wrong, never its value.
    pub field: Option<&'a str>,
    /// A sentence for people.
    pub msg: Option<&'a str>,
    /// When to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The room it concerns.
    pub room: Option<&'a str>,
}

/// The `ok` of a `sub`.
#[derive(Clone, Copy, Debug)]
pub struct SubOk<'a> {
    /// Identity of the room's log.
    pub epoch: &'a str,
    /// Position up to which the replay that follows reaches.
    pub seq: u64,
    /// Messages in the room.
    pub n: u64,
    /// The user's read mark, a count of messages.
    pub read: u64,
    /// Distinct users subscribed now.
    pub online: u64,
    /// The user's role in the room.
    pub role: &'a str,
    /// Whether the resume succeeded; `None` if none was asked for.
    pub recovered: Option<bool>,
}

/// The limits a `welcome` announces; bytes unless the protocol page says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct LimitsView {
    /// Largest client message.
    pub frame_in: u64,
    /// Largest server frame.
    pub frame_out: u64,
    /// Longest text, in code points.
    pub text: u64,
    /// Largest body.
    pub body: u64,
    /// Longest `cid`, in characters.
    pub cid: u64,
    /// Most subscriptions of a connection.
    pub subs: u64,
    /// Most events of a `hist` page.
    pub hist: u64,
    /// Furthest resume, in events.
    pub resume_events: u64,
    /// Furthest resume.
    pub resume_bytes: u64,
}

/// One room of a `welcome`'s `resume`.
#[derive(Clone, Copy, Debug)]
pub struct ResumeRow<'a> {
    /// The room.
    pub room: &'a str,
    /// `ok`, `gap`, `epoch` or `denied`.
    pub status: &'a str,
    /// Identity of the room's log.
    pub epoch: &'a str,
    /// Position up to which the replay reaches.
    pub seq: u64,
    /// Messages in the room.
    pub n: u64,
    /// The user's read mark.
    pub read: u64,
    /// The user's role, `null` on the wire if there is none.
    pub role: Option<&'a str>,
}

/// The answer to `hello`.
#[derive(Clone, Copy, Debug)]
pub struct Welcome<'a> {
    /// The session's id.
    pub session: &'a str,
    /// The user's id.
    pub user: &'a str,
    /// Milliseconds since 1970.
    pub server_time_ms: u64,
    /// Interval of pings in milliseconds.
    pub ping_ms: u64,
    /// The bounds the client should keep.
    pub limits: &'a LimitsView,
    /// Epoch and seq of the user's own log.
    pub me: (&'a str, u64),
    /// What became of each room of `hello.rooms`.
    pub resume: &'a [ResumeRow<'a>],
}

/// Appends `value` in decimal.
pub fn write_uint(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends `,"name":value`; `name` is written as it stands.
fn uint(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    write_uint(out, value);
}

/// Appends `,"name":"value"`; `name` is written as it stands, `value` is escaped.
fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    write_string(out, value);
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn boolean(out: &mut Vec<u8>, name: &str, value: bool) {
    key(out, name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn names(out: &mut Vec<u8>, name: &str, users: &[&str]) {
    key(out, name);
    out.push(b'[');
    for (index, user) in users.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, user);
    }
    out.push(b']');
}

fn ok(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(b"{\"t\":\"ok\"");
    uint(out, "id", id);
}

fn event(out: &mut Vec<u8>, kind: &str, room: &str) {
    out.extend_from_slice(b"{\"t\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    text(out, "room", room);
}

/// `ok` of a `send`; `dup` is written only when true.
pub fn ok_send(out: &mut Vec<u8>, id: u64, seq: u64, n: u64, ts_ms: u64, dup: bool) {
    ok(out, id);
    uint(out, "seq", seq);
    uint(out, "n", n);
    uint(out, "ts", ts_ms);
    if dup {
        boolean(out, "dup", true);
    }
    out.push(b'}');
}

/// `ok` with nothing in it, as for `unsub`.
pub fn ok_empty(out: &mut Vec<u8>, id: u64) {
    ok(out, id);
    out.push(b'}');
}

/// `ok` of an `auth`; `expires_at_ms` is milliseconds since 1970.
pub fn ok_auth(out: &mut Vec<u8>, id: u64, expires_at_ms: u64) {
    ok(out, id);
    uint(out, "expires_at", expires_at_ms);
    out.push(b'}');
}

/// `ok` with members encoded elsewhere: `fragment` is `"a":1,"b":2`, or empty.
pub fn ok_raw(out: &mut Vec<u8>, id: u64, fragment: &[u8]) {
    ok(out, id);
    if !fragment.is_empty() {
        out.push(b',');
        out.extend_from_slice(fragment);
    }
    out.push(b'}');
}

/// `ok` of a `sub`.
pub fn ok_sub(out: &mut Vec<u8>, id: u64, sub: &SubOk<'_>) {
    ok(out, id);
    text(out, "epoch", sub.epoch);
    uint(out, "seq", sub.seq);
    uint(out, "n", sub.n);
    uint(out, "read", sub.read);
    uint(out, "online", sub.online);
    text(out, "role", sub.role);
    if let Some(recovered) = sub.recovered {
        boolean(out, "recovered", recovered);
    }
    out.push(b'}');
}

/// `err`, always with `retry`.
pub fn err(out: &mut Vec<u8>, line: &ErrLine<'_>) {
    out.extend_from_slice(b"{\"t\":\"err\"");
    if let Some(id) = line.id {
        uint(out, "id", id);
    }
    text(out, "code", line.code.name());
    text(out, "msg", line.msg.unwrap_or(line.code.message()));
    if let Some(field) = line.field {
        text(out, "field", field);
    }
    boolean(out, "retry", line.code.retry());
    if let Some(retry_after_ms) = line.retry_after_ms {
        uint(out, "retry_after_ms", retry_after_ms);
    }
    if let Some(room) = line.room {
        text(out, "room", room);
    }
    out.push(b'}');
}

/// `gap`: events `from` to `to`, both inclusive, were not sent.
pub fn gap(out: &mut Vec<u8>, room: &str, from: u64, to: u64) {
    event(out, "gap", room);
    uint(out, "from", from);
    uint(out, "to", to);
    out.push(b'}');
}

/// `epoch`: the room's log was replaced.
pub fn epoch(out: &mut Vec<u8>, room: &str, epoch: &str, seq: u64) {
    event(out, "epoch", room);
    text(out, "epoch", epoch);
    uint(out, "seq", seq);
    out.push(b'}');
}

/// `ping`.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":\"ping\"}");
}

/// `auth_expiring`: the token ends in `in_ms` milliseconds.
pub fn auth_expiring(out: &mut Vec<u8>, in_ms: u64) {
    out.extend_from_slice(b"{\"t\":\"auth_expiring\"");
    uint(out, "in_ms", in_ms);
    out.push(b'}');
}

/// `notice` that the node leaves; come back after `retry_after_ms`.
pub fn notice_drain(out: &mut Vec<u8>, retry_after_ms: u64) {
    out.extend_from_slice(b"{\"t\":\"notice\",\"code\":\"drain\"");
    uint(out, "retry_after_ms", retry_after_ms);
    out.push(b'}');
}

/// The reason of a close frame 4110: `{"retry_after_ms":N}`, at most 38 bytes.
pub fn drain_reason(out: &mut Vec<u8>, retry_after_ms: u64) {
    out.extend_from_slice(b"{\"retry_after_ms\":");
    write_uint(out, retry_after_ms);
    out.push(b'}');
}

/// `mark`: another device of the user has read up to message `n`.
pub fn mark(out: &mut Vec<u8>, room: &str, n: u64) {
    event(out, "mark", room);
    uint(out, "n", n);
    out.push(b'}');
}

/// `receipt`: `user` has read up to message `n`.
pub fn receipt(out: &mut Vec<u8>, room: &str, user: &str, n: u64) {
    event(out, "receipt", room);
    text(out, "user", user);
    uint(out, "n", n);
    out.push(b'}');
}

/// `typing`: the user `from` types, or no longer does.
pub fn typing(out: &mut Vec<u8>, room: &str, from: &str, on: bool) {
    event(out, "typing", room);
    text(out, "from", from);
    boolean(out, "on", on);
    out.push(b'}');
}

/// `signal`; `body` is a JSON object that [`crate::command::parse`] has judged, sent as it is.
pub fn signal(out: &mut Vec<u8>, room: &str, from: &str, body: &[u8]) {
    event(out, "signal", room);
    text(out, "from", from);
    key(out, "body");
    out.extend_from_slice(body);
    out.push(b'}');
}

/// `presence`: `count` distinct users are online, `plus` came and `minus` went.
pub fn presence(out: &mut Vec<u8>, room: &str, count: u64, plus: &[&str], minus: &[&str]) {
    event(out, "presence", room);
    uint(out, "count", count);
    names(out, "+", plus);
    names(out, "-", minus);
    out.push(b'}');
}

/// `welcome`.
pub fn welcome(out: &mut Vec<u8>, welcome: &Welcome<'_>) {
    out.extend_from_slice(b"{\"t\":\"welcome\"");
    text(out, "session", welcome.session);
    text(out, "user", welcome.user);
    uint(out, "server_time", welcome.server_time_ms);
    uint(out, "ping_ms", welcome.ping_ms);
    limits(out, welcome.limits);
    key(out, "me");
    out.push(b'[');
    write_string(out, welcome.me.0);
    out.push(b',');
    write_uint(out, welcome.me.1);
    out.push(b']');
    key(out, "resume");
    out.push(b'{');
    for (index, row) in welcome.resume.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        resume_row(out, row);
    }
    out.extend_from_slice(b"}}");
}

fn limits(out: &mut Vec<u8>, limits: &LimitsView) {
    out.extend_from_slice(b",\"limits\":{\"frame_in\":");
    write_uint(out, limits.frame_in);
    uint(out, "frame_out", limits.frame_out);
    uint(out, "text", limits.text);
    uint(out, "body", limits.body);
    uint(out, "cid", limits.cid);
    uint(out, "subs", limits.subs);
    uint(out, "hist", limits.hist);
    uint(out, "resume_events", limits.resume_events);
    uint(out, "resume_bytes", limits.resume_bytes);
    out.push(b'}');
}

fn resume_row(out: &mut Vec<u8>, row: &ResumeRow<'_>) {
    write_string(out, row.room);
    out.extend_from_slice(b":[");
    write_string(out, row.status);
    out.push(b',');
    write_string(out, row.epoch);
    for value in [row.seq, row.n, row.read] {
        out.push(b',');
        write_uint(out, value);
    }
    out.push(b',');
    match row.role {
        Some(role) => write_string(out, role),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b']');
}
