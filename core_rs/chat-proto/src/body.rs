//! Message bodies: what a `send` over the socket and a POST over REST may carry.
//!
//! A body is stored and sent as the bytes that came, so all judging happens here, once.

use crate::error::ErrorCode;
use crate::json::{JsonError, Scanner, Span, Unescape};
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
    let bad = |_| refuse(ErrorCode::BadRequest, "body");
    let mut text = None;
    let mut scanner = Scanner::new(value).map_err(bad)?;
    scanner
        .only_object(2, |scanner, key, depth| {
            pass_member(scanner, key, depth, &mut text)
        })
        .map_err(bad)?;
    judge_scanned(value.len(), text)
}

/// Passes a member of a body and keeps the value of `text`, as it stands in JSON.
pub(crate) fn pass_member<'a>(
    scanner: &mut Scanner<'a>,
    key: Span,
    depth: usize,
    text: &mut Option<&'a str>,
) -> Result<(), JsonError> {
    let is_text = scanner.says(key, "text");
    let value = scanner.value(depth)?;
    if is_text {
        *text = Some(value);
    }
    Ok(())
}

/// The rest of [`judge`] for a body that the scanner has passed: its size, and its `text`.
pub(crate) fn judge_scanned(len: usize, text: Option<&str>) -> Result<(), BodyError> {
    if len > BODY_BYTES_MAX {
        return Err(refuse(ErrorCode::TooLarge, "body"));
    }
    let Some(value) = text else { return Ok(()) };
    let content = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let content = content.filter(|content| !content.is_empty());
    let content = content.ok_or(refuse(ErrorCode::BadRequest, "body.text"))?;
    let escaped = content.contains('\\');
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
