//! The scanner: a recursive descent that is at most [`DEPTH_MAX`] deep.

use super::text::{Unescape, unescape};
use super::{JsonError, Member};
use crate::limits::{DEPTH_MAX, KEYS_MAX};

/// Where the content of a string stands, and whether it holds a backslash.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
    pub(super) escaped: bool,
}

/// The members of an object: at most [`KEYS_MAX`] spans of the text that was judged.
pub struct Members<'a> {
    text: &'a str,
    keys: Keys,
    values: [(u32, u32); KEYS_MAX],
}

/// Iterator over the members of an object, in their order.
pub struct MembersIter<'m, 'a> {
    members: &'m Members<'a>,
    index: usize,
}

impl<'a> Members<'a> {
    /// The number of members.
    pub fn len(&self) -> usize {
        self.keys.len
    }

    /// Whether the object is `{}`.
    pub fn is_empty(&self) -> bool {
        self.keys.len == 0
    }

    /// The members, in their order.
    pub fn iter(&self) -> MembersIter<'_, 'a> {
        MembersIter {
            members: self,
            index: 0,
        }
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|member| member.key == key)
            .map(|member| member.value)
    }

    fn at(&self, index: usize) -> Member<'a> {
        let span = self.keys.spans[index];
        let (start, end) = self.values[index];
        Member {
            key: unescape(
                &self.text[span.start as usize..span.end as usize],
                span.escaped,
            ),
            value: &self.text.as_bytes()[start as usize..end as usize],
        }
    }
}

impl<'a> Iterator for MembersIter<'_, 'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        if self.index == self.members.len() {
            return None;
        }
        self.index += 1;
        Some(self.members.at(self.index - 1))
    }
}

impl<'m, 'a> IntoIterator for &'m Members<'a> {
    type Item = Member<'a>;
    type IntoIter = MembersIter<'m, 'a>;

    fn into_iter(self) -> MembersIter<'m, 'a> {
        self.iter()
    }
}

/// The keys of one object seen so far, for the search for duplicates.
///
/// A signature holds the length and the first seven bytes of a key, unescaped: equal keys have
/// equal signatures, so that whole keys are compared only where the signatures agree. This keeps
/// the quadratic search at one comparison of registers a pair.
struct Keys {
    signatures: [u64; KEYS_MAX],
    spans: [Span; KEYS_MAX],
    len: usize,
}

impl Keys {
    const fn new() -> Self {
        let spans = [Span {
            start: 0,
            end: 0,
            escaped: false,
        }; KEYS_MAX];
        Self {
            signatures: [0; KEYS_MAX],
            spans,
            len: 0,
        }
    }

    fn insert(&mut self, text: &str, span: Span) -> Result<(), JsonError> {
        if self.len == KEYS_MAX {
            return Err(JsonError::Keys);
        }
        let content = &text[span.start as usize..span.end as usize];
        let signature = signature(content, span.escaped);
        for (index, &other) in self.signatures[..self.len].iter().enumerate() {
            if other == signature {
                let seen = self.spans[index];
                let other = &text[seen.start as usize..seen.end as usize];
                let same = if span.escaped || seen.escaped {
                    Unescape::new(content).eq(Unescape::new(other))
                } else {
                    content == other
                };
                if same {
                    return Err(JsonError::Duplicate);
                }
            }
        }
        self.signatures[self.len] = signature;
        self.spans[self.len] = span;
        self.len += 1;
        Ok(())
    }
}

fn signature(content: &str, escaped: bool) -> u64 {
    let mut first = [0_u8; 8];
    let mut length = 0;
    if escaped {
        for char in Unescape::new(content) {
            for &byte in char.encode_utf8(&mut [0; 4]).as_bytes() {
                if length < 7 {
                    first[length] = byte;
                }
                length += 1;
            }
        }
    } else {
        length = content.len();
        for (to, &from) in first[..7].iter_mut().zip(content.as_bytes()) {
            *to = from;
        }
    }
    first[7] = length as u8;
    u64::from_le_bytes(first)
}

/// A position in a text that is judged as it advances.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `bytes`, which must be UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonError::Length);
        }
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
        Ok(Self { text, bytes, at: 0 })
    }

    /// The text of a span.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Whether the next byte is `byte`; if so it is passed.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes white space.
    pub(super) fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.whitespace();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(JsonError::Trailing)
        }
    }

    /// The members of the object that must stand here, at `depth`.
    pub(super) fn members(&mut self, depth: usize) -> Result<Members<'a>, JsonError> {
        self.whitespace();
        if self.peek() != Some(b'{') {
            // JSON of another kind and no JSON at all are told apart.
            self.value(depth)?;
            return Err(JsonError::NotObject);
        }
        let mut members = Members {
            text: self.text,
            keys: Keys::new(),
            values: [(0, 0); KEYS_MAX],
        };
        let values = &mut members.values;
        self.object(depth, &mut members.keys, |index, start, end| {
            values[index] = (start as u32, end as u32);
        })?;
        Ok(members)
    }

    /// The elements of the array that must stand here; `None` if there are more than `N`.
    #[allow(
        clippy::type_complexity,
        reason = "the elements and their count, or none"
    )]
    pub(super) fn elements<const N: usize>(
        &mut self,
    ) -> Result<Option<([&'a [u8]; N], usize)>, JsonError> {
        let bytes = self.bytes;
        let mut elements: [&[u8]; N] = [&[]; N];
        let mut count = 0;
        if self.peek() != Some(b'[') {
            return Ok(None);
        }
        self.array(1, |start, end| {
            if let Some(element) = elements.get_mut(count) {
                *element = &bytes[start..end];
            }
            count += 1;
        })?;
        Ok((count <= N).then_some((elements, count)))
    }

    /// Passes one value; `depth` is that of an object or array standing here.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth, &mut Keys::new(), |_, _, _| ()),
            Some(b'[') => self.array(depth, |_, _| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(JsonError::Syntax),
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(literal) {
            return Err(JsonError::Syntax);
        }
        self.at += literal.len();
        Ok(())
    }

    fn object(
        &mut self,
        depth: usize,
        keys: &mut Keys,
        mut on_value: impl FnMut(usize, usize, usize),
    ) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::Depth);
        }
        self.at += 1;
        self.whitespace();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            keys.insert(self.text, key)?;
            self.whitespace();
            if !self.eat(b':') {
                return Err(JsonError::Syntax);
            }
            self.whitespace();
            let start = self.at;
            self.value(depth + 1)?;
            on_value(keys.len - 1, start, self.at);
            self.whitespace();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(JsonError::Syntax);
            }
            self.whitespace();
        }
    }

    fn array(
        &mut self,
        depth: usize,
        mut on_value: impl FnMut(usize, usize),
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
            let start = self.at;
            self.value(depth + 1)?;
            on_value(start, self.at);
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
    pub(super) fn string(&mut self) -> Result<Span, JsonError> {
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
