//! tungstenite as the oracle: on the same bytes, cut at every byte, both read the same messages
//! and both refuse, or neither does.

mod common;

use std::io::{self, Read, Write};

use common::{ECHO, Item, KEY, frame, read_cut};
use proptest::prelude::*;
use proptest::sample::Index;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// A socket that holds the stream, would block at its end, and swallows what is written.
struct Replay<'a>(&'a [u8]);

impl Read for Replay<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Replay<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite reads, and whether it refuses. A close frame ends the reading.
fn oracle(stream: &[u8]) -> (Vec<Item>, bool) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(ECHO.message_bytes_max))
        .max_frame_size(Some(ECHO.message_bytes_max));
    let mut socket = WebSocket::from_raw_socket(Replay(stream), Role::Server, Some(config));
    let mut items = Vec::new();
    loop {
        items.push(match socket.read() {
            Ok(Message::Text(text)) => Item::Text(text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Item::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Item::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Item::Pong(bytes.to_vec()),
            Ok(Message::Close(None)) => {
                items.push(Item::Close(None, String::new()));
                return (items, false);
            }
            // It answers a code that is not allowed with 1002 and hands out that answer.
            Ok(Message::Close(Some(close))) if close.reason == "Protocol violation" => {
                return (items, true);
            }
            Ok(Message::Close(Some(close))) => {
                items.push(Item::Close(
                    Some(close.code.into()),
                    close.reason.to_string(),
                ));
                return (items, false);
            }
            Ok(other) => unreachable!("{other:?}"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (items, false);
            }
            Err(_) => return (items, true),
        });
    }
}

/// Ours, in pieces that end at `cuts`.
fn ours(stream: &[u8], cuts: &[usize]) -> (Vec<Item>, bool) {
    let (items, violation) = read_cut(stream, cuts, &ECHO, false);
    (items, violation.is_some())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (120..140_usize).prop_map(|len| vec![b'x'; len]),
        1 => Just(vec![b'y'; 70_000]),
        1 => Just("ä€𝄞".repeat(11_000).into_bytes()),
    ]
}

/// A legal message: its text or bytes cut into fragments, with pings between them.
fn legal_message() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        ("\\PC{0,200}".prop_map(String::into_bytes), Just(1_u8)),
        (proptest::collection::vec(any::<u8>(), 0..300), Just(2_u8)),
        (
            (0..3000_usize).prop_map(|len| "é€".repeat(len).into_bytes()),
            Just(1_u8)
        ),
    ];
    let cuts = proptest::collection::vec((any::<Index>(), any::<bool>()), 0..4);
    (content, cuts).prop_map(|((content, opcode), cuts)| {
        let mut cuts: Vec<_> = cuts
            .iter()
            .map(|(cut, ping)| (cut.index(content.len() + 1), *ping))
            .collect();
        cuts.sort_unstable();
        let (mut stream, mut start, mut opcode) = (Vec::new(), 0, opcode);
        for (cut, ping) in cuts {
            stream.extend(frame(opcode, &content[start..cut]));
            if ping {
                stream.extend(frame(0x89, b"between"));
            }
            (start, opcode) = (cut, 0);
        }
        stream.extend(frame(0x80 | opcode, &content[start..]));
        stream
    })
}

/// Whole frames that need not be legal: any first byte, sometimes no mask, any close code.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop_oneof![
        8 => proptest::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => Just(0x88_u8),
        1 => any::<u8>(),
    ];
    let plain = (likely, payload()).prop_map(|(first, payload)| frame(first, &payload));
    let unmasked = payload().prop_map(|payload| {
        let mut bytes = frame(0x81, &payload);
        bytes[1] &= 0x7f;
        let key = bytes
            .windows(4)
            .position(|window| window == KEY)
            .unwrap_or(2);
        bytes.drain(key..key + 4);
        bytes
    });
    let close = (any::<u16>(), 900..5100_u16, any::<bool>(), payload()).prop_map(
        |(wide, near, is_wide, reason)| {
            let code = if is_wide { wide } else { near };
            let mut body = code.to_be_bytes().to_vec();
            body.extend(reason.iter().take(123));
            frame(0x88, &body)
        },
    );
    prop_oneof![30 => plain, 1 => unmasked, 3 => close]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Legal streams: the same messages, nothing refused, at every single cut and byte by byte.
    #[test]
    fn legal_streams_agree_at_every_byte(
        messages in proptest::collection::vec(legal_message(), 1..4),
    ) {
        let stream = messages.concat();
        let expected = oracle(&stream);
        prop_assert!(!expected.1);
        prop_assert_eq!(&ours(&stream, &[]), &expected);
        let every: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&ours(&stream, &every), &expected);
        let step = stream.len() / 600 + 1;
        for &cut in every.iter().filter(|&&cut| cut < 40 || cut % step == 0) {
            prop_assert_eq!(&ours(&stream, &[cut]), &expected, "cut at {}", cut);
        }
    }

    /// Streams of whole frames, legal or not: the same messages, and both refuse or neither.
    #[test]
    fn streams_of_any_frames_agree(
        frames in proptest::collection::vec(any_frame(), 1..8),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
    ) {
        let stream = frames.concat();
        let expected = oracle(&stream);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&ours(&stream, &[]), &expected);
        let (whole, cut) =
            (read_cut(&stream, &[], &ECHO, false), read_cut(&stream, &cuts, &ECHO, false));
        prop_assert_eq!(cut, whole, "the close code too");
    }

    /// Bytes changed anywhere: we never read what the oracle does not, refuse whatever it refuses,
    /// and where we refuse alone (lengths that are not minimal, frames not yet whole) we have read
    /// a prefix of what it did. The way it is cut changes nothing.
    #[test]
    fn changed_bytes_never_fool_us(
        messages in proptest::collection::vec(legal_message(), 1..4),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = messages.concat();
        for (at, byte) in changes {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let (expected, oracle_refuses) = oracle(&stream);
        let (items, refused) = ours(&stream, &[]);
        let every: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&ours(&stream, &every), &(items.clone(), refused));
        prop_assert!(expected.starts_with(&items));
        prop_assert!(refused || items.len() == expected.len());
        prop_assert!(refused || !oracle_refuses);
    }

    /// No bytes whatever make the decoder panic, and no cut changes its mind.
    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(
        stream in proptest::collection::vec(any::<u8>(), 1..300),
        deflate in any::<bool>(),
    ) {
        let whole = read_cut(&stream, &[], &ECHO, deflate);
        let every: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(read_cut(&stream, &every, &ECHO, deflate), whole);
    }
}
