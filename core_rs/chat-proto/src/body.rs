//! Message bodies: what a `send` over the socket and a POST over REST may carry.
//!
//! A body is stored and sent as the bytes that came, so all judging happens here, once.

use crate::error::ErrorCode;
use crate::json::{self, Members, Unescape};
use crate::limits::{BODY_BYTES_MAX, TEXT_CODEPOINTS_MAX};

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// `bad_request` or `too_large`.
    pub code: ErrorCode,
    /// `body` or `body.text`.
    pub field: &'static str,
}

const fn refuse(code: ErrorCode, field: &'static str) -> BodyError {
    BodyError { code, field }
}

/// Judges a body: a JSON object of at most 16 KiB as received. If it has a `text`, that is a string
/// of 1 to 4,096 code points without C0 controls other than `\n` and `\t`.
///
/// Depth is counted as in the line that carries it: the body itself is at depth 2.
///
/// # Errors
/// The code and the field to answer with.
pub fn judge(value: &[u8]) -> Result<(), BodyError> {
    if value.len() > BODY_BYTES_MAX {
        return Err(refuse(ErrorCode::TooLarge, "body"));
    }
    let members = json::object_at(value, 2).map_err(|_| refuse(ErrorCode::BadRequest, "body"))?;
    judge_text(&members)
}

fn judge_text(members: &Members<'_>) -> Result<(), BodyError> {
    let Some(value) = members.value("text") else {
        return Ok(());
    };
    let Some((content, escaped)) = json::string_content(value) else {
        return Err(refuse(ErrorCode::BadRequest, "body.text"));
    };
    if content.is_empty() {
        return Err(refuse(ErrorCode::BadRequest, "body.text"));
    }
    // The scanner refuses raw controls, so only an escape can bring one in.
    if escaped && Unescape::new(content).any(is_refused_control) {
        return Err(refuse(ErrorCode::BadRequest, "body.text"));
    }
    // An escape is longer than what it stands for, so bytes bound code points.
    if content.len() > TEXT_CODEPOINTS_MAX && codepoints(content, escaped) > TEXT_CODEPOINTS_MAX {
        return Err(refuse(ErrorCode::TooLarge, "body.text"));
    }
    Ok(())
}

fn codepoints(content: &str, escaped: bool) -> usize {
    if escaped {
        Unescape::new(content).count()
    } else {
        content.chars().count()
    }
}

fn is_refused_control(char: char) -> bool {
    char < ' ' && char != '\n' && char != '\t'
}
