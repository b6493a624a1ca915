//! The keys of the objects that are open, for the search for duplicates.

use super::JsonError;
use super::scan::Span;
use super::text::Unescape;

/// Keys held without an allocation; lines of the protocol have about ten.
const INLINE: usize = 32;

/// A key with the hash of what it says, so that keys are compared only where hashes agree.
#[derive(Clone, Copy)]
struct Key {
    hash: u64,
    start: u32,
    end: u32,
}

/// A stack: the keys of an inner object lie on those of the object around it.
pub(super) struct Keys {
    inline: [Key; INLINE],
    spill: Vec<Key>,
    /// Keys on the stack.
    len: usize,
    /// Where those of the innermost object begin.
    base: usize,
}

impl Keys {
    pub(super) const fn new() -> Self {
        let inline = [Key {
            hash: 0,
            start: 0,
            end: 0,
        }; INLINE];
        Self {
            inline,
            spill: Vec::new(),
            len: 0,
            base: 0,
        }
    }

    /// An object begins: what to give to [`Keys::leave`] at its end.
    pub(super) fn enter(&mut self) -> usize {
        std::mem::replace(&mut self.base, self.len)
    }

    /// The innermost object ends.
    pub(super) fn leave(&mut self, outer: usize) {
        self.len = self.base;
        self.base = outer;
        self.spill.truncate(self.len.saturating_sub(INLINE));
    }

    /// Adds a key to the innermost object, which may have `max`.
    pub(super) fn insert(&mut self, text: &str, span: Span, max: usize) -> Result<(), JsonError> {
        if self.len - self.base == max {
            return Err(JsonError::Keys);
        }
        let content = &text[span.start as usize..span.end as usize];
        let key = Key {
            hash: hash(content, span.escaped),
            start: span.start,
            end: span.end,
        };
        let inline = &self.inline[self.base.min(INLINE)..self.len.min(INLINE)];
        let spill = &self.spill[self.base.saturating_sub(INLINE)..];
        let is_same = |seen: &Key| {
            seen.hash == key.hash && same(content, &text[seen.start as usize..seen.end as usize])
        };
        if inline.iter().any(is_same) || spill.iter().any(is_same) {
            return Err(JsonError::Duplicate);
        }
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = key,
            None => self.spill.push(key),
        }
        self.len += 1;
        Ok(())
    }
}

/// Whether two keys say the same.
fn same(one: &str, other: &str) -> bool {
    one == other || Unescape::new(one).eq(Unescape::new(other))
}

/// The hash of what a key says: a multiplication a word of eight bytes.
///
/// It is not keyed. Who makes keys collide gains little: there are few in an object to compare.
fn hash(content: &str, escaped: bool) -> u64 {
    if escaped {
        let said: String = Unescape::new(content).collect();
        return hash(&said, false);
    }
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = content.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(content.len() as u64, |hash, word| {
        mix(hash, u64::from_le_bytes(*word))
    });
    let last = rest
        .iter()
        .fold(0, |word, &byte| word << 8 | u64::from(byte));
    mix(hash, last)
}
