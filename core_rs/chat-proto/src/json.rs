//! A strict JSON scanner (RFC 8259): one pass judges a line before any parser may see it.
//!
//! It says where the members of the outer object are and leaves their bytes alone, so that a
//! message body can be stored and sent exactly as it came. Refused are also texts that parsers
//! read differently: duplicate keys, lone surrogates and numbers beyond an IEEE double. A line is
//! judged without an allocation unless keys are escaped or more than 32 are open at once; depth and
//! keys are bounded by [`limits`](crate::limits).

mod keys;
mod scan;
mod text;

use std::borrow::Cow;
use std::fmt;

use crate::limits::INTEGER_LIMIT;
pub(crate) use scan::{Scanner, Span};
pub(crate) use text::Unescape;
use text::unescape;
pub use text::write_string;

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The exact bytes of the value, without the white space around it.
    pub value: &'a [u8],
}

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON.
    Syntax,
    /// Not UTF-8.
    Utf8,
    /// JSON, but not an object.
    NotObject,
    /// Nested deeper than [`DEPTH_MAX`](crate::limits::DEPTH_MAX).
    Depth,
    /// More than [`KEYS_MAX`](crate::limits::KEYS_MAX) keys in one object.
    Keys,
    /// The same key twice in one object, after unescaping.
    Duplicate,
    /// A surrogate without its other half.
    Surrogate,
    /// A number beyond the range of an IEEE double.
    Number,
    /// A control character that is not escaped.
    Control,
    /// Something after the value.
    Trailing,
    /// Longer than the 4 GiB that spans can address.
    Length,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Syntax => "not JSON",
            Self::Utf8 => "not UTF-8",
            Self::NotObject => "not an object",
            Self::Depth => "nested too deeply",
            Self::Keys => "too many keys",
            Self::Duplicate => "a key stands twice",
            Self::Surrogate => "a lone surrogate",
            Self::Number => "a number out of range",
            Self::Control => "a control character in a string",
            Self::Trailing => "something after the value",
            Self::Length => "too long",
        })
    }
}

impl std::error::Error for JsonError {}

/// The members of an object, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the object is `{}`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.0.iter()
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|member| member.key == key)
            .map(|member| member.value)
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = Member<'a>;
    type IntoIter = std::vec::IntoIter<Member<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'m, 'a> IntoIterator for &'m Members<'a> {
    type Item = &'m Member<'a>;
    type IntoIter = std::slice::Iter<'m, Member<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Judges `line` and finds the members of the object it must be.
///
/// # Errors
/// The first reason to refuse it; the outer object counts as depth 1.
pub fn object(line: &[u8]) -> Result<Members<'_>, JsonError> {
    let mut members = Vec::new();
    Scanner::new(line)?.only_object(1, |scanner, key, depth| {
        let key = scanner.unescaped(key);
        members.push(Member {
            key,
            value: scanner.value(depth)?.as_bytes(),
        });
        Ok(())
    })?;
    Ok(Members(members))
}

/// Judges any value; an object or array that it is counts as depth 1.
///
/// # Errors
/// The first reason to refuse it.
pub fn check(value: &[u8]) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(value)?;
    scanner.whitespace();
    scanner.value(1)?;
    scanner.end()
}

/// The string that `value` is, unescaped; borrowed unless it holds an escape.
pub fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner::new(value).ok()?;
    let span = scanner.string().ok()?;
    scanner.end().ok()?;
    Some(scanner.unescaped(span))
}

/// As [`string`], of a value that has passed the scanner.
pub(crate) fn judged_string(value: &str) -> Option<Cow<'_, str>> {
    let content = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescape(content, content.contains('\\')))
}

/// The integer that `value` is: digits only, no leading zero, below 2^53.
pub fn uint(value: &[u8]) -> Option<u64> {
    match value {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] if value.len() <= 16 => {}
        _ => return None,
    }
    let mut number = 0_u64;
    for &digit in value {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    (number < INTEGER_LIMIT).then_some(number)
}

/// The truth value that `value` is.
pub fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Whether `value` is `null`.
pub fn is_null(value: &[u8]) -> bool {
    value == b"null"
}

/// The elements of the array that `value` is, which has passed the scanner; `None` if it is no
/// array or has more than `N` elements.
pub(crate) fn judged_array<const N: usize>(value: &str) -> Option<([&str; N], usize)> {
    let mut scanner = Scanner::new(value.as_bytes()).ok()?;
    let mut elements = [""; N];
    let mut count = 0;
    if scanner.peek() != Some(b'[') {
        return None;
    }
    scanner
        .array(1, |element| {
            if let Some(slot) = elements.get_mut(count) {
                *slot = element;
            }
            count += 1;
        })
        .ok()?;
    (count <= N).then_some((elements, count))
}
