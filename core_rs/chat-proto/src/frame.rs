//! Frames of RFC 6455 section 5: socket bytes to messages and control frames, and back.
//!
//! A whole, unfragmented, uncompressed frame, which is nearly every one, is unmasked and judged
//! where it lies in the read buffer and lent to the caller. Only pieces are copied, into a buffer
//! that exists while a message is incomplete. A [`Decoder`] at rest is two words.

mod header;
mod mask;
mod write;

use std::mem;

use crate::close::{CloseCode, is_legal_from_client};
use crate::deflate::{InflateError, Inflater};
use header::{Header, Kind, Parsed, Rules};
pub use mask::unmask;
pub use write::{FRAME_HEADER_MAX, Opcode, header, write_close, write_header};

/// What a connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Largest message in bytes, all fragments together, inflated.
    pub message_bytes_max: usize,
    /// Most fragments of a message, empty ones counted.
    pub fragments_max: u32,
    /// Whether binary messages are taken; otherwise they end the connection with 1003.
    pub binary: bool,
    /// Whether text is judged. Without it [`Incoming::Text`] may hold any bytes.
    pub require_utf8: bool,
}

/// What has arrived. The bytes are unmasked, put together and inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message, valid UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes. What it sends after that is ignored.
    Close {
        /// The code, one a client may send.
        code: Option<u16>,
        /// The reason, maybe empty.
        reason: &'a str,
    },
}

/// The outcome of a call to [`Decoder::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Bytes of the input that are dealt with.
    pub consumed: usize,
    /// What has arrived; `None` once all input is consumed.
    pub item: Option<Incoming<'a>>,
}

/// The peer broke the rules: close with this code, read no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1002, 1003, 1007, 1008 or 1009.
    pub code: CloseCode,
    /// What was wrong, for the close frame.
    pub reason: &'static str,
}

const fn violation(code: CloseCode, reason: &'static str) -> Violation {
    Violation { code, reason }
}

const BAD_UTF8: Violation = violation(CloseCode::INVALID_PAYLOAD, "text is not UTF-8");

/// The state of one connection between reads.
#[derive(Debug)]
pub struct Decoder {
    pending: Option<Box<Pending>>,
    deflate: bool,
    closed: bool,
}

/// What is left over of a frame or message that has not arrived whole.
#[derive(Debug, Default)]
struct Pending {
    /// The beginning of a header.
    header: [u8; header::HEADER_BYTES_MAX],
    header_len: u8,
    /// The frame whose payload is being read.
    frame: Option<Partial>,
    /// The message whose fragments are being gathered.
    message: Option<Message>,
    /// The payload, as far as it is here, of a control frame.
    control: Vec<u8>,
}

#[derive(Debug)]
struct Partial {
    header: Header,
    /// Payload bytes that are here.
    read: usize,
}

#[derive(Debug)]
struct Message {
    binary: bool,
    compressed: bool,
    fragments: u32,
    bytes: Vec<u8>,
    /// Length of the prefix of `bytes` that is known to be whole characters.
    judged: usize,
}

impl Decoder {
    /// For a connection on which permessage-deflate was agreed, or not.
    pub fn new(deflate: bool) -> Self {
        Self {
            pending: None,
            deflate,
            closed: false,
        }
    }

    /// Whether bytes of a frame, or fragments of a message, are waiting for more.
    pub fn mid_message(&self) -> bool {
        self.pending.is_some()
    }

    /// Bytes of heap held.
    pub fn buffered_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            let message = pending
                .message
                .as_ref()
                .map_or(0, |message| message.bytes.capacity());
            size_of::<Pending>() + message + pending.control.capacity()
        })
    }

    /// Reads up to the end of the next message or control frame. Call it again with the rest of
    /// the input until `item` is `None`, which is when all of it is consumed.
    ///
    /// `input` is unmasked in place: bytes that are consumed are no longer what was received.
    ///
    /// # Errors
    /// The close code the peer has earned. The decoder must not be used again.
    pub fn read<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limits: &FrameLimits,
        inflater: &'a mut Inflater,
    ) -> Result<Step<'a>, Violation> {
        if self.closed || input.is_empty() {
            return Ok(Step {
                consumed: input.len(),
                item: None,
            });
        }
        if self.pending.is_none() {
            let rules = Rules {
                limits,
                deflate: self.deflate,
                message: None,
            };
            if let Parsed::Whole(header, start) = header::parse(input, &rules)? {
                let whole = header.fin && input.len() - start >= header.len;
                if whole {
                    let end = start + header.len;
                    let payload = &mut input[start..end];
                    unmask(payload, header.key, 0);
                    let item = self.lend(header, payload, limits, inflater)?;
                    return Ok(Step {
                        consumed: end,
                        item: Some(item),
                    });
                }
            }
            self.pending = Some(Box::default());
        }
        self.gather(input, limits, inflater)
    }

    /// The fast path: a whole message or control frame lies in the input.
    fn lend<'a>(
        &mut self,
        header: Header,
        payload: &'a [u8],
        limits: &FrameLimits,
        inflater: &'a mut Inflater,
    ) -> Result<Incoming<'a>, Violation> {
        let binary = match header.kind {
            Kind::Close | Kind::Ping | Kind::Pong => {
                return control(header.kind, payload, &mut self.closed);
            }
            kind => kind == Kind::Binary,
        };
        let bytes = if header.compressed {
            inflated(inflater.inflate(payload, limits.message_bytes_max))?
        } else {
            payload
        };
        message(binary, bytes, limits)
    }

    /// The slow path: frames in pieces, fragments, control frames between them.
    fn gather<'a>(
        &mut self,
        input: &mut [u8],
        limits: &FrameLimits,
        inflater: &'a mut Inflater,
    ) -> Result<Step<'a>, Violation> {
        let mut at = 0;
        let Some(pending) = self.pending.as_deref_mut() else {
            return Ok(Step {
                consumed: 0,
                item: None,
            });
        };
        loop {
            at += pending.read_header(&input[at..], limits, self.deflate)?;
            at += pending.read_payload(&mut input[at..], limits)?;
            let Some(partial) = pending
                .frame
                .take_if(|frame| frame.read == frame.header.len)
            else {
                return Ok(Step {
                    consumed: at,
                    item: None,
                });
            };
            let Header { kind, fin, .. } = partial.header;
            let item = if kind.is_control() {
                inflater.assembled = mem::take(&mut pending.control);
                control(kind, &inflater.assembled, &mut self.closed)?
            } else if fin && let Some(whole) = pending.message.take() {
                whole.deliver(limits, inflater)?
            } else {
                continue;
            };
            if pending.message.is_none() {
                self.pending = None;
            }
            return Ok(Step {
                consumed: at,
                item: Some(item),
            });
        }
    }
}

impl Pending {
    /// Reads the header of the next frame, unless one is being read: bytes of input used.
    fn read_header(
        &mut self,
        input: &[u8],
        limits: &FrameLimits,
        deflate: bool,
    ) -> Result<usize, Violation> {
        let mut used = 0;
        while self.frame.is_none() {
            let state = self.message.as_ref();
            let message = state.map(|message| (message.bytes.len(), message.compressed));
            let rules = Rules {
                limits,
                deflate,
                message,
            };
            let have = usize::from(self.header_len);
            match header::parse(&self.header[..have], &rules)? {
                Parsed::Whole(header, _) => self.begin(header, limits)?,
                Parsed::Needs(_) if used == input.len() => break,
                Parsed::Needs(len) => {
                    let more = (len - have).min(input.len() - used);
                    self.header[have..have + more].copy_from_slice(&input[used..used + more]);
                    self.header_len += more as u8;
                    used += more;
                }
            }
        }
        Ok(used)
    }

    /// A header is whole: a frame begins.
    fn begin(&mut self, header: Header, limits: &FrameLimits) -> Result<(), Violation> {
        self.header_len = 0;
        self.frame = Some(Partial { header, read: 0 });
        if header.kind.is_control() {
            return Ok(());
        }
        let message = self.message.get_or_insert_with(|| Message {
            binary: header.kind == Kind::Binary,
            compressed: header.compressed,
            fragments: 0,
            bytes: Vec::new(),
            judged: 0,
        });
        message.fragments += 1;
        if message.fragments > limits.fragments_max {
            return Err(violation(CloseCode::POLICY_VIOLATION, "too many fragments"));
        }
        Ok(())
    }

    /// Moves payload of the current frame to where it is gathered: bytes of input used.
    fn read_payload(&mut self, input: &mut [u8], limits: &FrameLimits) -> Result<usize, Violation> {
        let Some(Partial { header, read }) = &mut self.frame else {
            return Ok(0);
        };
        let used = (header.len - *read).min(input.len());
        let piece = &mut input[..used];
        unmask(piece, header.key, *read);
        *read += used;
        if header.kind.is_control() {
            self.control.extend_from_slice(piece);
            if header.kind == Kind::Close {
                close_so_far(&self.control)?;
            }
        } else if let Some(message) = &mut self.message {
            message.append(piece, header.len - *read);
            if limits.require_utf8 && !message.binary && !message.compressed {
                message.judge(header.fin && *read == header.len)?;
            }
        }
        Ok(used)
    }
}

impl Message {
    /// Appends a piece; `missing` more bytes of its frame are still to come. The buffer doubles,
    /// but no further than what was declared, and never ahead of what has arrived.
    fn append(&mut self, piece: &[u8], missing: usize) {
        let len = self.bytes.len() + piece.len();
        if len > self.bytes.capacity() {
            let target = (self.bytes.capacity() * 2).clamp(len, len + missing);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }

    /// Judges what has been appended; `whole` if nothing may follow.
    fn judge(&mut self, whole: bool) -> Result<(), Violation> {
        let fresh = &self.bytes[self.judged..];
        self.judged += match simdutf8::compat::from_utf8(fresh) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() && !whole => error.valid_up_to(),
            Err(_) => return Err(BAD_UTF8),
        };
        Ok(())
    }

    /// The last fragment is here: lends the message from the inflater, so that the connection
    /// holds nothing any more.
    fn deliver<'a>(
        self,
        limits: &FrameLimits,
        inflater: &'a mut Inflater,
    ) -> Result<Incoming<'a>, Violation> {
        inflater.assembled = self.bytes;
        if self.compressed {
            let bytes = inflated(inflater.inflate_assembled(limits.message_bytes_max))?;
            return message(self.binary, bytes, limits);
        }
        let bytes = &inflater.assembled;
        Ok(if self.binary {
            Incoming::Binary(bytes)
        } else {
            Incoming::Text(bytes)
        })
    }
}

fn message<'a>(
    binary: bool,
    bytes: &'a [u8],
    limits: &FrameLimits,
) -> Result<Incoming<'a>, Violation> {
    if binary {
        return Ok(Incoming::Binary(bytes));
    }
    if limits.require_utf8 && simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(BAD_UTF8);
    }
    Ok(Incoming::Text(bytes))
}

fn inflated(outcome: Result<&[u8], InflateError>) -> Result<&[u8], Violation> {
    outcome.map_err(|error| match error {
        InflateError::TooLarge => header::TOO_BIG,
        InflateError::Broken => violation(CloseCode::INVALID_PAYLOAD, "compressed data is broken"),
    })
}

/// A control frame is whole.
fn control<'a>(
    kind: Kind,
    payload: &'a [u8],
    closed: &mut bool,
) -> Result<Incoming<'a>, Violation> {
    match kind {
        Kind::Ping => return Ok(Incoming::Ping(payload)),
        Kind::Pong => return Ok(Incoming::Pong(payload)),
        _ => *closed = true,
    }
    let reason = close_reason(payload)?;
    let (code, reason) = match (payload, reason) {
        ([], _) => (None, &[][..]),
        ([high, low, ..], Some(reason)) => (Some(u16::from_be_bytes([*high, *low])), reason),
        _ => {
            return Err(violation(
                CloseCode::PROTOCOL_ERROR,
                "close body of one byte",
            ));
        }
    };
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| BAD_UTF8)?;
    Ok(Incoming::Close { code, reason })
}

/// The reason in the payload of a close frame behind its code, which must be a legal one.
fn close_reason(payload: &[u8]) -> Result<Option<&[u8]>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Ok(None);
    };
    if is_legal_from_client(u16::from_be_bytes(*code)) {
        return Ok(Some(reason));
    }
    Err(violation(
        CloseCode::PROTOCOL_ERROR,
        "close code is not allowed",
    ))
}

/// Judges a close frame of which only a part is here, in the order of its bytes, so that the first
/// bad one ends it however it is cut.
fn close_so_far(payload: &[u8]) -> Result<(), Violation> {
    let Some(reason) = close_reason(payload)? else {
        return Ok(());
    };
    match std::str::from_utf8(reason) {
        Err(error) if error.error_len().is_some() => Err(BAD_UTF8),
        _ => Ok(()),
    }
}
