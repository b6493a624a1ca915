//! permessage-deflate (RFC 7692), stateless: both directions always without context takeover.
//!
//! So an event is compressed once for everybody, and one [`Inflater`] and one [`Deflater`] serve
//! all connections of a shard.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What was negotiated with one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// Largest window the client can inflate, as a power of two: 9 to 15.
    pub server_max_window_bits: u8,
}

/// Smallest window zlib can write as a raw stream; it silently widens 8 to 9.
const WINDOW_BITS_MIN: u8 = 9;
const WINDOW_BITS_MAX: u8 = 15;
/// What a sender strips from the end of each message (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The tail, then an empty final block: only a stream that was whole can end there.
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// Streams that may follow one another in a message whose sender ends blocks with BFINAL
/// (RFC 7692 section 7.2.3.4); each costs a reset.
const STREAMS_MAX: u32 = 64;
/// First capacity of the output, and what is kept between messages.
const SCRATCH_BYTES: usize = 4 * 1024;
const SCRATCH_BYTES_KEPT: usize = 256 * 1024;

/// Why a compressed message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// It inflates past the limit.
    TooLarge,
    /// It is no whole DEFLATE stream.
    Broken,
}

/// Inflates messages, one at a time, into a buffer of its own.
pub struct Inflater {
    stream: Decompress,
    out: Vec<u8>,
    /// A message that was put together from pieces, kept here while its reader looks at it.
    pub(crate) assembled: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// One for a shard. The stream state takes about 40 KiB.
    pub fn new() -> Self {
        Self {
            stream: Decompress::new(false),
            out: Vec::new(),
            assembled: Vec::new(),
        }
    }

    /// Inflates one whole message of at most `max` bytes.
    ///
    /// # Errors
    /// [`InflateError::TooLarge`] as soon as the limit is passed.
    pub fn inflate(&mut self, data: &[u8], max: usize) -> Result<&[u8], InflateError> {
        self.out.clear();
        self.out.shrink_to(SCRATCH_BYTES_KEPT);
        self.stream.reset(false);
        let mut rest = data;
        for _ in 0..STREAMS_MAX {
            let (used, ended) = self.feed(rest, max)?;
            rest = &rest[used..];
            if !ended {
                return match self.feed(&TAIL_AND_END, max)? {
                    (used, true) if used == TAIL_AND_END.len() => Ok(&self.out),
                    _ => Err(InflateError::Broken),
                };
            }
            if rest.is_empty() {
                return Ok(&self.out);
            }
            self.stream.reset(false);
        }
        Err(InflateError::Broken)
    }

    /// As [`Inflater::inflate`], from the message assembled here.
    pub(crate) fn inflate_assembled(&mut self, max: usize) -> Result<&[u8], InflateError> {
        let data = std::mem::take(&mut self.assembled);
        self.inflate(&data, max)
    }

    /// Feeds all of `input`, or up to the end of the stream: (bytes used, whether it ended).
    fn feed(&mut self, input: &[u8], max: usize) -> Result<(usize, bool), InflateError> {
        let mut used = 0;
        loop {
            if self.out.len() == self.out.capacity() {
                // One byte over the limit is room enough to see that it is passed.
                let grown = (self.out.len() * 2)
                    .max(SCRATCH_BYTES)
                    .min(max.saturating_add(1));
                self.out.reserve_exact(grown - self.out.len());
            }
            let before = self.stream.total_in();
            let status = self
                .stream
                .decompress_vec(&input[used..], &mut self.out, FlushDecompress::None)
                .map_err(|_| InflateError::Broken)?;
            used += (self.stream.total_in() - before) as usize;
            if self.out.len() > max {
                return Err(InflateError::TooLarge);
            }
            if status == Status::StreamEnd {
                return Ok((used, true));
            }
            // Room to spare means that the decoder holds nothing back.
            if self.out.len() < self.out.capacity() {
                return if used == input.len() {
                    Ok((used, false))
                } else {
                    Err(InflateError::Broken)
                };
            }
        }
    }
}

/// Deflates messages, each by itself.
pub struct Deflater {
    stream: Compress,
}

impl Deflater {
    /// One for a shard and window size; `window_bits` outside 9 to 15 is brought inside. The
    /// stream state takes about 260 KiB at 15.
    pub fn new(window_bits: u8) -> Self {
        let bits = window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        let stream = Compress::new_with_window_bits(Compression::fast(), false, bits);
        Self { stream }
    }

    /// Appends the payload of a frame with RSV1 set: one message, deflated, without its tail.
    pub fn deflate(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.stream.reset();
        loop {
            let used = self.stream.total_in() as usize;
            out.reserve(payload.len() - used + 64);
            let status = self
                .stream
                .compress_vec(&payload[used..], out, FlushCompress::Sync);
            debug_assert!(
                status.is_ok(),
                "a stream that was reset cannot be in a wrong state"
            );
            let whole = self.stream.total_in() as usize == payload.len();
            if (whole && out.len() < out.capacity()) || status.is_err() {
                break;
            }
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
    }
}

/// A `Sec-WebSocket-Extensions` that does not follow the grammar of RFC 6455 section 9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedOffer;

/// What one offer of permessage-deflate comes to.
#[derive(Default)]
struct Offer {
    server_max_window_bits: Option<u8>,
    /// Parameters met so far, one bit each.
    seen: u8,
    declined: bool,
}

impl Offer {
    /// Takes a parameter in; one that is unknown, repeated or out of range declines the offer.
    fn parameter(&mut self, name: &str, value: Option<&str>) {
        let bits = value.and_then(window_bits);
        let (flag, fits) = match name {
            "server_no_context_takeover" => (1, value.is_none()),
            "client_no_context_takeover" => (2, value.is_none()),
            "client_max_window_bits" => (4, value.is_some() == bits.is_some()),
            "server_max_window_bits" => {
                self.server_max_window_bits = bits;
                (8, bits.is_some_and(|bits| bits >= WINDOW_BITS_MIN))
            }
            _ => (0, false),
        };
        self.declined |= !fits || self.seen & flag != 0;
        self.seen |= flag;
    }
}

/// 8 to 15 in decimal without leading zeros (RFC 7692 section 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Chooses among the offers of all `Sec-WebSocket-Extensions` header values: the first acceptable
/// one wins. Returns its parameters and the value to answer with; `None` declines.
///
/// # Errors
/// [`MalformedOffer`] if a value breaks the grammar; a bad parameter only declines its offer.
pub fn negotiate<'a>(
    values: impl Iterator<Item = &'a str>,
) -> Result<Option<(DeflateParams, String)>, MalformedOffer> {
    let mut chosen = None;
    for value in values {
        let mut rest = value;
        loop {
            let (offer, after) = extension(rest)?;
            if chosen.is_none() {
                chosen = offer.and_then(|offer| answer(&offer));
            }
            let Some(after) = after else { break };
            rest = after;
        }
    }
    Ok(chosen)
}

fn answer(offer: &Offer) -> Option<(DeflateParams, String)> {
    if offer.declined {
        return None;
    }
    let mut value =
        String::from("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if let Some(bits) = offer.server_max_window_bits {
        value.push_str("; server_max_window_bits=");
        value.push_str(&bits.to_string());
    }
    let bits = offer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
    Some((
        DeflateParams {
            server_max_window_bits: bits,
        },
        value,
    ))
}

/// Reads one element of the list: the offer, if it is of permessage-deflate, and what follows the
/// comma. Empty elements are allowed (RFC 9110 section 5.6.1).
fn extension(value: &str) -> Result<(Option<Offer>, Option<&str>), MalformedOffer> {
    let value = trim(value);
    let (name, mut rest) = token(value);
    if name.is_empty() && (rest.is_empty() || rest.starts_with(',')) {
        return Ok((None, rest.strip_prefix(',')));
    }
    if name.is_empty() {
        return Err(MalformedOffer);
    }
    let mut offer = name
        .eq_ignore_ascii_case("permessage-deflate")
        .then(Offer::default);
    loop {
        rest = trim(rest);
        if let Some(after) = rest.strip_prefix(',') {
            return Ok((offer, Some(after)));
        }
        if rest.is_empty() {
            return Ok((offer, None));
        }
        let after = rest.strip_prefix(';').ok_or(MalformedOffer)?;
        let (parameter, after) = token(trim(after));
        if parameter.is_empty() {
            return Err(MalformedOffer);
        }
        let after = trim(after);
        let (argument, after) = match after.strip_prefix('=') {
            Some(after) => argument(trim(after)).map(|(value, rest)| (Some(value), rest))?,
            None => (None, after),
        };
        if let Some(offer) = &mut offer {
            offer.parameter(parameter, argument);
        }
        rest = after;
    }
}

/// A token, or a token in quotes (RFC 6455 section 9.1 demands one inside).
fn argument(value: &str) -> Result<(&str, &str), MalformedOffer> {
    let (inner, rest) = match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or(MalformedOffer)?,
        None => token(value),
    };
    if inner.is_empty() || !token(inner).1.is_empty() {
        return Err(MalformedOffer);
    }
    Ok((inner, rest))
}

/// The token (RFC 9110 section 5.6.2) at the beginning of `value`, maybe empty, and the rest.
pub(crate) fn token(value: &str) -> (&str, &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    value.split_at(
        value
            .bytes()
            .position(|byte| !is_token(byte))
            .unwrap_or(value.len()),
    )
}

fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bomb of 16 MiB makes room for one byte more than its limit, and no more.
    #[test]
    fn output_never_outgrows_the_limit() {
        let mut bomb = Vec::new();
        Deflater::new(15).deflate(&vec![0; 16 << 20], &mut bomb);
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&bomb, 65_536), Err(InflateError::TooLarge));
        assert_eq!(inflater.out.capacity(), 65_537);
    }

    /// What a large message needed is given back before the next one.
    #[test]
    fn scratch_of_a_large_message_is_not_kept() {
        let mut large = Vec::new();
        Deflater::new(15).deflate(&vec![0; 16 << 20], &mut large);
        let mut inflater = Inflater::new();
        assert_eq!(
            inflater.inflate(&large, 16 << 20).map(<[u8]>::len),
            Ok(16 << 20)
        );
        assert_eq!(inflater.inflate(&[0], 0), Ok(&[][..]));
        assert!(inflater.out.capacity() <= SCRATCH_BYTES_KEPT);
    }
}
