//! Strings of JSON: escapes undone, escapes written.

use std::borrow::Cow;
use std::str::Chars;

/// The characters of a string's content with its escapes undone.
///
/// The content must have passed the scanner; of a broken escape the rest is dropped.
#[derive(Clone)]
pub(crate) struct Unescape<'a> {
    chars: Chars<'a>,
}

impl<'a> Unescape<'a> {
    /// `content` is what stands between the quotes.
    pub(crate) fn new(content: &'a str) -> Self {
        Self {
            chars: content.chars(),
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| {
            Some(unit << 4 | self.chars.next()?.to_digit(16)?)
        })
    }
}

impl Iterator for Unescape<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let first = self.chars.next()?;
        if first != '\\' {
            return Some(first);
        }
        match self.chars.next()? {
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let unit = self.hex4()?;
                if !(0xD800..0xDC00).contains(&unit) {
                    return char::from_u32(unit);
                }
                self.chars.next();
                self.chars.next();
                let low = self.hex4()?.checked_sub(0xDC00)?;
                char::from_u32(0x1_0000 + (unit - 0xD800) * 0x400 + low)
            }
            plain => Some(plain),
        }
    }
}

/// `content` with its escapes undone; borrowed if it has none.
pub(crate) fn unescape(content: &str, escaped: bool) -> Cow<'_, str> {
    if escaped {
        Cow::Owned(Unescape::new(content).collect())
    } else {
        Cow::Borrowed(content)
    }
}

/// Appends `s` as a JSON string, quotes included. Only what RFC 8259 section 7 demands is escaped.
pub fn write_string(out: &mut Vec<u8>, s: &str) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digits = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(digits[usize::from(byte >> 4)]);
                out.push(digits[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}
