//! Tuples of Python to values of the core and back; the shapes stand in chatrooms/_core.pyi.

use chat_hub::effect::{
    Ack, Action, Anchor, Ask, Attach, Auth, Change, Delivered, Missed, Refusal, Renewal, Resume,
    Send, Since, Welcome,
};
use chat_hub::run::RunData;
use chat_proto::error::ErrorCode;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyTuple};

use crate::errors::bad_value;

/// Positions and times stay below this, as JSON numbers must (RFC 8259 section 6); so no sum of
/// the hub's overflows, whatever Python says.
const NUMBER_MAX: u64 = 1 << 53;

type Lines = Option<Vec<PyBackedStr>>;
type ChangeIn = (u64, PyBackedStr, Option<String>, Vec<String>);

/// (log, first seq, lines, changes)
pub(crate) type RunIn = (PyBackedStr, u64, Vec<PyBackedStr>, Vec<ChangeIn>);
/// (conn, id, received µs, seq, n, ts ms, dup)
pub(crate) type AckIn = (u64, u64, u64, u64, u64, u64, bool);
/// (conn, id, room, code, message, field, retry after ms)
pub(crate) type RefusalIn = (
    u64,
    u64,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<u64>,
);
/// (conn, id, room, head, n, read, role, since, want, lines)
pub(crate) type AttachIn = (
    u64,
    u64,
    String,
    u64,
    u64,
    u64,
    String,
    Option<Since>,
    u8,
    Lines,
);
type MeIn = (u64, u64, u64, Option<Since>, Lines);
type ResumeIn = (String, u64, u64, u64, Option<String>, Since, Lines);
/// (conn, id, user, session, expires ms, now ms, me, rooms)
pub(crate) type WelcomeIn = (u64, u64, String, String, u64, u64, MeIn, Vec<ResumeIn>);

fn number(value: u64, what: &str) -> PyResult<u64> {
    if value < NUMBER_MAX {
        return Ok(value);
    }
    Err(bad_value(format!("{what}: below 2^53")))
}

fn action(name: &str) -> PyResult<Action> {
    match name {
        "leave" | "kick" | "ban" => Ok(Action::Out),
        "join" | "invite" | "unban" | "role" => Ok(Action::Other),
        _ => Err(bad_value("unknown action")),
    }
}

pub(crate) fn run((log, first, lines, changes): &RunIn) -> PyResult<Delivered> {
    let end = first.saturating_add(lines.len() as u64);
    if *first == 0 || number(end, "seq").is_err() {
        return Err(bad_value("seq: 1 to 2^53"));
    }
    let mut parsed = Vec::with_capacity(changes.len());
    for (seq, name, _role, users) in changes {
        let users = users.clone();
        parsed.push((
            *seq,
            Change {
                action: action(name)?,
                users,
            },
        ));
    }
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    Ok(Delivered::new(log, *first, &lines, parsed))
}

pub(crate) fn ack((handle, id, received_us, seq, n, ts_ms, dup): AckIn) -> Ack {
    Ack {
        handle,
        id,
        received_us,
        seq,
        n,
        ts_ms,
        dup,
    }
}

pub(crate) fn refusal(refusal: RefusalIn) -> PyResult<Refusal> {
    let (handle, id, room, code, message, field, retry_after_ms) = refusal;
    let code = ErrorCode::parse(&code).ok_or_else(|| bad_value("unknown error code"))?;
    Ok(Refusal {
        handle,
        id,
        room,
        code,
        message,
        field,
        retry_after_ms,
    })
}

fn missed(lines: &Lines, since: Option<&Since>) -> PyResult<Missed> {
    let after = since.map_or(Ok(0), |(_, seq)| number(*seq, "since"))?;
    Ok(match (lines, since) {
        (Some(lines), Some(_)) if !lines.is_empty() => {
            let lines = lines.iter().map(|line| line.as_bytes());
            Missed::Here(RunData::frames(after + 1, lines))
        }
        (Some(_), _) => Missed::TooMany,
        (None, _) => Missed::Held,
    })
}

/// Borrows the lines: strings of Python are let go of attached to it.
pub(crate) fn attach(answer: &AttachIn) -> PyResult<Attach> {
    let (handle, id, room, head, n, read, role, since, want, lines) = answer;
    Ok(Attach {
        handle: *handle,
        id: *id,
        room: room.clone(),
        head: number(*head, "head")?,
        n: number(*n, "n")?,
        read: *read,
        role: role.clone(),
        since: since.clone(),
        want: *want,
        missed: missed(lines, since.as_ref())?,
    })
}

fn resume(answer: &ResumeIn) -> PyResult<Resume> {
    let (room, head, n, read, role, since, lines) = answer;
    Ok(Resume {
        room: room.clone(),
        head: number(*head, "head")?,
        n: number(*n, "n")?,
        read: *read,
        role: role.clone(),
        since: Some(since.clone()),
        missed: missed(lines, Some(since))?,
    })
}

/// Borrows the lines, as [`attach`] does.
pub(crate) fn welcome(answer: &WelcomeIn) -> PyResult<Welcome> {
    let (handle, id, user, session, expires_ms, now_ms, me, rooms) = answer;
    let (head, n, read, since, lines) = me;
    let me = Resume {
        room: "me".to_owned(),
        head: number(*head, "head")?,
        n: number(*n, "n")?,
        read: *read,
        role: Some("owner".to_owned()),
        since: since.clone(),
        missed: missed(lines, since.as_ref())?,
    };
    let rooms: PyResult<Vec<Resume>> = rooms.iter().map(resume).collect();
    Ok(Welcome {
        handle: *handle,
        id: *id,
        user: user.as_str().into(),
        session: session.as_str().into(),
        expires_ms: number(*expires_ms, "expires_ms")?,
        now_ms: number(*now_ms, "now_ms")?,
        me,
        rooms: rooms?,
    })
}

/// The answer to `auth`.
pub(crate) fn renewal(
    (handle, id): (u64, u64),
    session: String,
    (expires_ms, now_ms): (u64, u64),
) -> PyResult<Renewal> {
    Ok(Renewal {
        handle,
        id,
        session,
        expires_ms: number(expires_ms, "expires_ms")?,
        now_ms: number(now_ms, "now_ms")?,
    })
}

pub(crate) fn sends<'py>(py: Python<'py>, sends: &[Send]) -> PyResult<Bound<'py, PyList>> {
    let tuples: PyResult<Vec<_>> = sends
        .iter()
        .map(|it| {
            let tag = (it.handle, it.id, it.received_us);
            (it.room(), &*it.user, it.cid(), it.body(), it.thread, tag).into_pyobject(py)
        })
        .collect();
    PyList::new(py, tuples?)
}

fn anchor(anchor: Anchor) -> (&'static str, u64) {
    match anchor {
        Anchor::Newest => ("newest", 0),
        Anchor::Before(seq) => ("before", seq),
        Anchor::After(seq) => ("after", seq),
        Anchor::Around(seq) => ("around", seq),
    }
}

fn ask<'py>(py: Python<'py>, ask: &Ask) -> PyResult<Bound<'py, PyTuple>> {
    match ask {
        Ask::Sub {
            handle,
            id,
            user,
            room,
            since,
            want,
            held_from,
        } => {
            let since = since.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
            ("sub", *handle, *id, &**user, room, since, *want, *held_from).into_pyobject(py)
        }
        Ask::Hist {
            handle,
            id,
            user,
            room,
            anchor: at,
            limit,
            epoch,
        } => {
            let (kind, seq) = anchor(*at);
            (
                "hist",
                *handle,
                *id,
                &**user,
                room,
                kind,
                seq,
                *limit,
                epoch.as_deref(),
            )
                .into_pyobject(py)
        }
        Ask::Read {
            handle,
            id,
            user,
            room,
            n,
        } => ("read", *handle, *id, &**user, room, *n).into_pyobject(py),
        Ask::Who {
            handle,
            id,
            user,
            room,
            count,
            page,
            next_cursor,
        } => {
            let page: Vec<&str> = page.iter().map(|user| &**user).collect();
            (
                "who",
                *handle,
                *id,
                &**user,
                room,
                *count,
                page,
                next_cursor.as_deref(),
            )
                .into_pyobject(py)
        }
        Ask::Repair { log, after, upto } => ("repair", log, *after, *upto).into_pyobject(py),
    }
}

pub(crate) fn asks<'py>(py: Python<'py>, asks: &[Ask]) -> PyResult<Bound<'py, PyList>> {
    let tuples: PyResult<Vec<_>> = asks.iter().map(|it| ask(py, it)).collect();
    PyList::new(py, tuples?)
}

fn auth<'py>(py: Python<'py>, auth: &Auth) -> PyResult<Bound<'py, PyTuple>> {
    match auth {
        Auth::Hello {
            handle,
            id,
            ticket,
            credential,
            rooms,
            client,
            address,
        } => {
            let kind = if *ticket { "ticket" } else { "token" };
            let rooms: Vec<(&str, &str, u64, u64)> = rooms
                .iter()
                .map(|it| {
                    (
                        it.room.as_str(),
                        it.since.0.as_str(),
                        it.since.1,
                        it.held_from,
                    )
                })
                .collect();
            (
                "hello",
                *handle,
                *id,
                kind,
                credential,
                rooms,
                client.as_deref(),
                &**address,
            )
                .into_pyobject(py)
        }
        Auth::Renew {
            handle,
            id,
            token,
            user,
            session,
        } => ("auth", *handle, *id, token, &**user, &**session).into_pyobject(py),
    }
}

pub(crate) fn auths<'py>(py: Python<'py>, auths: &[Auth]) -> PyResult<Bound<'py, PyList>> {
    let tuples: PyResult<Vec<_>> = auths.iter().map(|it| auth(py, it)).collect();
    PyList::new(py, tuples?)
}
