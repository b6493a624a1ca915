//! Frame headers from clients, judged as soon as a byte gives them away.

use super::{FrameLimits, Violation, violation};
use crate::close::CloseCode;
use crate::limits::CONTROL_BYTES_MAX;

/// Two bytes, eight of extended length, four of masking key.
pub(super) const HEADER_BYTES_MAX: usize = 14;

pub(super) const TOO_BIG: Violation =
    violation(CloseCode::MESSAGE_TOO_BIG, "message is over the size limit");

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A header that may stand where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) fin: bool,
    /// RSV1, which on the first frame of a message says that the message is compressed.
    pub(super) compressed: bool,
    /// Payload bytes.
    pub(super) len: usize,
    pub(super) key: [u8; 4],
}

/// What a header is judged by.
pub(super) struct Rules<'a> {
    pub(super) limits: &'a FrameLimits,
    pub(super) deflate: bool,
    /// Bytes gathered of a message whose fragments are arriving, and whether they are compressed.
    pub(super) message: Option<(usize, bool)>,
}

/// As much as the bytes tell.
pub(super) enum Parsed {
    /// A header, and its length.
    Whole(Header, usize),
    /// Nothing wrong so far; the header is at least this long.
    Needs(usize),
}

const fn wrong(reason: &'static str) -> Violation {
    violation(CloseCode::PROTOCOL_ERROR, reason)
}

/// Judges the header at the beginning of `bytes`, whole or not.
pub(super) fn parse(bytes: &[u8], rules: &Rules<'_>) -> Result<Parsed, Violation> {
    let Some(&first) = bytes.first() else {
        return Ok(Parsed::Needs(2));
    };
    let (kind, fin, compressed) = judge_first(first, rules)?;
    let Some(&second) = bytes.get(1) else {
        return Ok(Parsed::Needs(2));
    };
    if second & 0x80 == 0 {
        return Err(wrong("frame is not masked"));
    }
    let short = usize::from(second & 0x7f);
    if kind.is_control() && short > CONTROL_BYTES_MAX {
        return Err(wrong("control frame is too long"));
    }
    let start = match short {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let len = match bytes.get(2..start) {
        Some(extended) => payload_len(short, extended)?,
        None => return Ok(Parsed::Needs(start)),
    };
    if !kind.is_control() {
        judge_len(len, compressed, rules)?;
    }
    let Some(key) = bytes[start..].first_chunk::<4>() else {
        return Ok(Parsed::Needs(start + 4));
    };
    // The limit was compared as u64; what passed it fits.
    let len = usize::try_from(len).map_err(|_| TOO_BIG)?;
    Ok(Parsed::Whole(
        Header {
            kind,
            fin,
            compressed,
            len,
            key: *key,
        },
        start + 4,
    ))
}

fn judge_first(first: u8, rules: &Rules<'_>) -> Result<(Kind, bool, bool), Violation> {
    let fin = first & 0x80 != 0;
    let compressed = first & 0x40 != 0;
    let kind = match first & 0x0f {
        0x0 => Kind::Continuation,
        0x1 => Kind::Text,
        0x2 => Kind::Binary,
        0x8 => Kind::Close,
        0x9 => Kind::Ping,
        0xA => Kind::Pong,
        _ => return Err(wrong("reserved opcode")),
    };
    if first & 0x30 != 0 {
        return Err(wrong("reserved bit is set"));
    }
    if compressed && !(rules.deflate && matches!(kind, Kind::Text | Kind::Binary)) {
        return Err(wrong("reserved bit is set"));
    }
    match (kind, rules.message) {
        (Kind::Close | Kind::Ping | Kind::Pong, _) if !fin => {
            Err(wrong("control frame is fragmented"))
        }
        (Kind::Continuation, None) => Err(wrong("continuation of nothing")),
        (Kind::Text | Kind::Binary, Some(_)) => Err(wrong("message inside a message")),
        (Kind::Binary, None) if !rules.limits.binary => Err(violation(
            CloseCode::UNSUPPORTED_DATA,
            "only text is spoken here",
        )),
        _ => Ok((kind, fin, compressed)),
    }
}

/// The length, which must have the shortest form (RFC 6455 section 5.2).
fn payload_len(short: usize, extended: &[u8]) -> Result<u64, Violation> {
    let len = extended
        .iter()
        .fold(0_u64, |len, &byte| len << 8 | u64::from(byte));
    match (extended.len(), len) {
        (0, _) => Ok(short as u64),
        (2, 0..=125) | (8, 0..=0xffff) => Err(wrong("length is not minimal")),
        (_, 0x8000_0000_0000_0000..) => Err(wrong("length has its top bit set")),
        _ => Ok(len),
    }
}

/// Judges the declared length before anything is stored.
fn judge_len(len: u64, compressed: bool, rules: &Rules<'_>) -> Result<(), Violation> {
    let (gathered, compressed) = rules.message.unwrap_or((0, compressed));
    let max = rules.limits.message_bytes_max;
    // What does not compress grows a little; inflating judges the message itself.
    let max = if compressed {
        max.saturating_add(max / 8 + 64)
    } else {
        max
    };
    let total = len.checked_add(gathered as u64);
    if total.is_none_or(|total| total > max as u64) {
        Err(TOO_BIG)
    } else {
        Ok(())
    }
}
