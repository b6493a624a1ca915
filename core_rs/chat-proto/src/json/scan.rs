//! The scanner: a recursive descent that is at most [`DEPTH_MAX`] deep.

use std::borrow::Cow;

use super::JsonError;
use super::keys::Keys;
use super::text::{Unescape, unescape};
use crate::limits::{DEPTH_MAX, KEYS_MAX};

/// Where the content of a string stands, and whether it holds a backslash.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) escaped: bool,
}

/// A position in a text that is judged as it advances.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    keys: Keys,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `bytes`, which must be UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonError::Length);
        }
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
        Ok(Self {
            text,
            bytes,
            at: 0,
            keys: Keys::new(),
        })
    }

    /// The text of a span.
    pub(crate) fn slice(&self, span: Span) -> &'a str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// The text of a span with its escapes undone.
    pub(crate) fn unescaped(&self, span: Span) -> Cow<'a, str> {
        unescape(self.slice(span), span.escaped)
    }

    /// Whether the key of `span` says `name`.
    pub(crate) fn says(&self, span: Span, name: &str) -> bool {
        let content = self.slice(span);
        content == name || span.escaped && Unescape::new(content).eq(name.chars())
    }

    /// The text from `start` to here.
    fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Whether the next byte is `byte`; if so it is passed.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes white space.
    pub(crate) fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        self.whitespace();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(JsonError::Trailing)
        }
    }

    /// Passes the object that must stand here, alone, at `depth`; `on_value` as in
    /// [`Scanner::object`].
    pub(crate) fn only_object(
        &mut self,
        depth: usize,
        on_value: impl FnMut(&mut Self, Span, usize) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.whitespace();
        if self.peek() == Some(b'{') {
            self.object(depth, on_value)?;
            return self.end();
        }
        // JSON of another kind and no JSON at all are told apart.
        self.value(depth)?;
        self.end()?;
        Err(JsonError::NotObject)
    }

    /// Passes one value and returns its text; `depth` is that of an object or array standing here.
    pub(crate) fn value(&mut self, depth: usize) -> Result<&'a str, JsonError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => {
                return self.object(depth, |scanner, _, depth| scanner.value(depth).map(drop));
            }
            Some(b'[') => self.array(depth, |_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(JsonError::Syntax),
        }?;
        Ok(self.since(start))
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(literal) {
            return Err(JsonError::Syntax);
        }
        self.at += literal.len();
        Ok(())
    }

    /// Passes the object that stands here and returns its text. `on_value` is called at each value
    /// with its key and its depth, and has to pass it.
    pub(crate) fn object(
        &mut self,
        depth: usize,
        on_value: impl FnMut(&mut Self, Span, usize) -> Result<(), JsonError>,
    ) -> Result<&'a str, JsonError> {
        self.object_up_to(KEYS_MAX, depth, on_value)
    }

    /// As [`Scanner::object`], for one that may have more keys than others.
    pub(crate) fn object_up_to(
        &mut self,
        keys_max: usize,
        depth: usize,
        mut on_value: impl FnMut(&mut Self, Span, usize) -> Result<(), JsonError>,
    ) -> Result<&'a str, JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::Depth);
        }
        let start = self.at;
        self.at += 1;
        self.whitespace();
        if self.eat(b'}') {
            return Ok(self.since(start));
        }
        let outer = self.keys.enter();
        loop {
            let key = self.string()?;
            self.keys.insert(self.text, key, keys_max)?;
            self.whitespace();
            if !self.eat(b':') {
                return Err(JsonError::Syntax);
            }
            self.whitespace();
            on_value(self, key, depth + 1)?;
            self.whitespace();
            if self.eat(b'}') {
                self.keys.leave(outer);
                return Ok(self.since(start));
            }
            if !self.eat(b',') {
                return Err(JsonError::Syntax);
            }
            self.whitespace();
        }
    }

    /// Passes the array that stands here; `on_value` is called with each element.
    pub(crate) fn array(
        &mut self,
        depth: usize,
        mut on_value: impl FnMut(&'a str),
    ) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::Depth);
        }
        self.at += 1;
        self.whitespace();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            let element = self.value(depth + 1)?;
            on_value(element);
            self.whitespace();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(JsonError::Syntax);
            }
            self.whitespace();
        }
    }

    /// Passes the string that must stand here.
    pub(crate) fn string(&mut self) -> Result<Span, JsonError> {
        if !self.eat(b'"') {
            return Err(JsonError::Syntax);
        }
        let start = self.at as u32;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    let end = self.at as u32;
                    self.at += 1;
                    return Ok(Span {
                        start,
                        end,
                        escaped,
                    });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return Err(JsonError::Control),
                None => return Err(JsonError::Syntax),
            }
        }
    }

    /// Passes what needs no attention inside a string, eight bytes at a time.
    fn plain(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        const HIGHS: u64 = ONES << 7;
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let (words, _) = self.bytes[self.at..].as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            let quote = zeros(word ^ (ONES * u64::from(b'"')));
            let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
            let special = (control | quote | backslash) & HIGHS;
            if special != 0 {
                // The lowest mark is exact; those above it may be borrows of the subtraction.
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while self
            .peek()
            .is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
        {
            self.at += 1;
        }
    }

    /// Passes an escape behind its backslash.
    fn escape(&mut self) -> Result<(), JsonError> {
        let kind = self.peek().ok_or(JsonError::Syntax)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xD800..=0xDBFF => {
                    if !(self.eat(b'\\') && self.eat(b'u')) {
                        return Err(JsonError::Surrogate);
                    }
                    match self.hex4()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(JsonError::Surrogate),
                    }
                }
                0xDC00..=0xDFFF => Err(JsonError::Surrogate),
                _ => Ok(()),
            },
            _ => Err(JsonError::Syntax),
        }
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or(JsonError::Syntax)?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(JsonError::Syntax)
        } else {
            Ok(self.at - start)
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.eat(b'-');
        let mut suspect = false;
        if !self.eat(b'0') {
            // The largest double has 309 digits before the point.
            suspect = self.digits()? > 308;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            suspect = true;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        if suspect {
            let number: f64 = self.text[start..self.at]
                .parse()
                .map_err(|_| JsonError::Syntax)?;
            if number.is_infinite() {
                return Err(JsonError::Number);
            }
        }
        Ok(())
    }
}
