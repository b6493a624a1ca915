//! The rows of the table of bad frames, the examples of RFC 6455, and what a decoder costs.

mod common;

use chat_proto::CloseCode;
use chat_proto::deflate::Inflater;
use chat_proto::frame::{self, Decoder, FrameLimits, Incoming, Opcode};
use common::{ECHO, Item, KEY, LIMITS, frame, read_cut, read_every_way};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn text(text: &str) -> Item {
    Item::Text(text.into())
}

/// The code a stream ends with, however it is cut; 0 if it does not.
#[track_caller]
fn refused(stream: &[u8], limits: &FrameLimits) -> u16 {
    let (items, violation) = read_every_way(stream, limits, false);
    assert_eq!(items, [], "nothing of it is processed");
    violation.map_or(0, |violation| violation.code.0)
}

/// RFC 6455 section 5.7: masked text, a fragmented message and a ping, as given there.
#[test]
fn examples_of_rfc_6455_are_read() {
    let masked = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(
        read_every_way(&masked, &LIMITS, false),
        (vec![text("Hello")], None)
    );
    let ping = [
        0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(
        read_every_way(&ping, &LIMITS, false),
        (vec![Item::Ping(b"Hello".to_vec())], None)
    );
    let fragmented = [frame(TEXT, b"Hel"), frame(FIN, b"lo")].concat();
    assert_eq!(
        read_every_way(&fragmented, &LIMITS, false),
        (vec![text("Hello")], None)
    );
}

/// RFC 6455 section 5.7: unmasked headers of each length form.
#[test]
fn server_headers_have_the_shortest_form() {
    let cases: [(usize, &[u8]); 6] = [
        (5, &[0x81, 5]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (256, &[0x81, 126, 1, 0]),
        (65_535, &[0x81, 126, 0xff, 0xff]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ];
    for (len, expected) in cases {
        let mut out = Vec::new();
        frame::write_header(&mut out, Opcode::Text, false, len);
        assert_eq!(out, expected, "{len}");
    }
    assert_eq!(frame::header(Opcode::Text, true, 0).0[0], 0xc1);
    assert_eq!(frame::header(Opcode::Binary, false, 0).0[0], 0x82);
    assert_eq!(frame::header(Opcode::Close, false, 0).0[0], 0x88);
    assert_eq!(frame::header(Opcode::Ping, false, 0).0[0], 0x89);
    assert_eq!(frame::header(Opcode::Pong, false, 0).0[0], 0x8a);
}

/// Control frames stand between fragments and are delivered at once.
#[test]
fn control_frames_interleave_with_fragments() {
    let stream = [
        frame(TEXT, b"a"),
        frame(FIN | PING, b"p"),
        frame(0, b""),
        frame(FIN | PONG, b""),
        frame(FIN, b"b"),
        frame(FIN | TEXT, b""),
    ]
    .concat();
    let expected = vec![
        Item::Ping(b"p".to_vec()),
        Item::Pong(Vec::new()),
        text("ab"),
        text(""),
    ];
    assert_eq!(read_every_way(&stream, &LIMITS, false), (expected, None));
}

/// Every row of the table that RFC 6455 calls a protocol error.
#[test]
fn forbidden_framing_ends_with_1002() {
    let mut unmasked = frame(FIN | TEXT, b"x");
    unmasked[1] &= 0x7f;
    let mut long_ping = frame(FIN | PING, &[0; 126]);
    assert_eq!(refused(&long_ping, &ECHO), 1002, "long control frame");
    long_ping[1] = 0xff;
    let short_form = |second, length: &[u8]| [&[0x81, second], length, &KEY[..]].concat();
    let rows = [
        ("unmasked", unmasked),
        ("RSV1 without the extension", frame(FIN | RSV1 | TEXT, b"x")),
        ("RSV2", frame(FIN | 0x20 | TEXT, b"x")),
        ("RSV3", frame(FIN | 0x10 | TEXT, b"x")),
        ("RSV1 on a control frame", frame(FIN | RSV1 | PING, b"")),
        ("opcode 3", frame(FIN | 3, b"x")),
        ("opcode 7", frame(FIN | 7, b"x")),
        ("opcode 11", frame(FIN | 0xb, b"x")),
        ("opcode 15", frame(FIN | 0xf, b"x")),
        ("fragmented ping", frame(PING, b"")),
        ("fragmented close", frame(CLOSE, b"")),
        ("long control frame", long_ping),
        ("continuation of nothing", frame(FIN, b"x")),
        (
            "message inside a message",
            [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(),
        ),
        (
            "binary inside a message",
            [frame(TEXT, b"a"), frame(FIN | BINARY, b"b")].concat(),
        ),
        ("16 bits for 125", short_form(0xfe, &[0, 125])),
        (
            "64 bits for 65,535",
            short_form(0xff, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ),
        (
            "64 bits with the top set",
            short_form(0xff, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("close body of one byte", frame(FIN | CLOSE, &[3])),
        (
            "bad close code before a bad reason",
            frame(FIN | CLOSE, b"\xb0\x00\x00\xff"),
        ),
    ];
    for (row, stream) in rows {
        assert_eq!(refused(&stream, &ECHO), 1002, "{row}");
    }
}

/// A close frame may not carry the codes that are reserved, unassigned or never on the wire.
#[test]
fn reserved_close_codes_end_with_1002() {
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        assert_eq!(
            refused(&frame(FIN | CLOSE, &code.to_be_bytes()), &LIMITS),
            1002,
            "{code}"
        );
    }
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999] {
        let stream = frame(FIN | CLOSE, &code.to_be_bytes());
        let expected = vec![Item::Close(Some(code), String::new())];
        assert_eq!(read_every_way(&stream, &LIMITS, false), (expected, None));
    }
}

/// What follows a close frame is ignored, be it what it may.
#[test]
fn bytes_after_close_are_ignored() {
    let close = frame(FIN | CLOSE, b"\x03\xe8bye");
    let stream = [close, frame(FIN | TEXT, b"late"), vec![0xff; 20]].concat();
    let expected = vec![Item::Close(Some(1000), "bye".into())];
    assert_eq!(read_every_way(&stream, &LIMITS, false), (expected, None));
    let bare = frame(FIN | CLOSE, b"");
    let expected = vec![Item::Close(None, String::new())];
    assert_eq!(read_every_way(&bare, &LIMITS, false), (expected, None));
}

/// Invalid UTF-8 in text, in fragments and in a close reason is 1007.
#[test]
fn invalid_utf8_ends_with_1007() {
    let surrogate = b"\xed\xa0\x80";
    let rows = [
        ("in one frame", frame(FIN | TEXT, b"ab\xff")),
        ("overlong", frame(FIN | TEXT, b"\xc0\xaf")),
        ("surrogate", frame(FIN | TEXT, surrogate)),
        ("above U+10FFFF", frame(FIN | TEXT, b"\xf4\x90\x80\x80")),
        ("cut off", frame(FIN | TEXT, b"\xe2\x82")),
        (
            "over fragments",
            [frame(TEXT, b"\xe2\x82"), frame(FIN, b"x")].concat(),
        ),
        (
            "cut off by an empty end",
            [frame(TEXT, b"\xe2\x82"), frame(FIN, b"")].concat(),
        ),
        ("in a close reason", frame(FIN | CLOSE, b"\x03\xe8\xff")),
        (
            "cut off in a close reason",
            frame(FIN | CLOSE, b"\x03\xe8\xe2\x82"),
        ),
    ];
    for (row, stream) in rows {
        assert_eq!(refused(&stream, &LIMITS), 1007, "{row}");
    }
}

/// A character may be spread over fragments and reads.
#[test]
fn characters_may_be_split_anywhere() {
    let euro = "€".as_bytes();
    let stream = [
        frame(TEXT, &euro[..1]),
        frame(0, &euro[1..2]),
        frame(FIN, &euro[2..]),
    ]
    .concat();
    assert_eq!(
        read_every_way(&stream, &LIMITS, false),
        (vec![text("€")], None)
    );
}

/// Nothing after the bad byte is waited for: not the fragment's end, not the frame's.
#[test]
fn text_ends_at_its_first_bad_byte() {
    let stream = frame(FIN | TEXT, b"abc\xf4\x90de");
    // Header of 6 bytes, "abc", 0xf4; then 0x90, with which no character can begin like that.
    assert_eq!(read_cut(&stream[..10], &[9], &LIMITS, false).1, None);
    let violation = read_cut(&stream[..11], &[9], &LIMITS, false).1;
    assert_eq!(
        violation.map(|violation| violation.code),
        Some(CloseCode::INVALID_PAYLOAD)
    );
    let close = frame(FIN | CLOSE, b"\x03\xe8\xff and more");
    let violation = read_cut(&close[..9], &[], &LIMITS, false).1;
    assert_eq!(
        violation.map(|violation| violation.code),
        Some(CloseCode::INVALID_PAYLOAD)
    );
}

/// The declared length is judged before the key and the payload are there, with nothing stored.
#[test]
fn declared_length_over_the_limit_ends_with_1009_at_once() {
    let huge: [&[u8]; 3] = [
        &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1],
        &[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    for header in huge {
        assert_eq!(refused(header, &ECHO), 1009);
        let mut decoder = Decoder::new(false);
        assert!(
            decoder
                .read(&mut header.to_vec(), &ECHO, &mut Inflater::new())
                .is_err()
        );
        assert_eq!(decoder.buffered_bytes(), 0);
    }
    let fits = frame(FIN | TEXT, &vec![b'x'; 65_536]);
    assert_eq!(read_cut(&fits, &[], &LIMITS, false).1, None);
    let fragments = [frame(TEXT, &vec![b'x'; 65_536]), frame(FIN, b"y")].concat();
    let (_, violation) = read_cut(&fragments, &[], &LIMITS, false);
    assert_eq!(violation.map(|violation| violation.code.0), Some(1009));
}

/// 128 fragments are a message, the 129th header ends the connection, empty ones counted.
#[test]
fn too_many_fragments_end_with_1008() {
    let fragments = |count: usize| {
        let mut stream = frame(TEXT, b"");
        for _ in 2..count {
            stream.extend(frame(0, b""));
        }
        [stream, frame(FIN, b"z")].concat()
    };
    assert_eq!(
        read_cut(&fragments(128), &[], &LIMITS, false),
        (vec![text("z")], None)
    );
    let (items, violation) = read_cut(&fragments(129), &[], &LIMITS, false);
    assert_eq!(
        (items, violation.map(|violation| violation.code.0)),
        (vec![], Some(1008))
    );
}

/// Binary is refused at its first byte where only text is spoken, and read where it is not.
#[test]
fn binary_ends_with_1003_where_only_text_is_spoken() {
    assert_eq!(refused(&[FIN | BINARY], &LIMITS), 1003);
    let stream = frame(FIN | BINARY, b"\xff\x00");
    let expected = vec![Item::Binary(vec![0xff, 0])];
    assert_eq!(read_every_way(&stream, &ECHO, false), (expected, None));
}

/// Without `require_utf8` text passes as it is.
#[test]
fn text_is_not_judged_where_utf8_is_not_required() {
    let limits = FrameLimits {
        require_utf8: false,
        ..ECHO
    };
    let stream = [frame(TEXT, b"\xff"), frame(FIN, b"\xfe")].concat();
    let expected = vec![Item::Text(vec![0xff, 0xfe])];
    assert_eq!(read_every_way(&stream, &limits, false), (expected, None));
}

/// A decoder at rest is small, and holds no heap before, between and after messages.
#[test]
fn idle_decoder_is_at_most_48_bytes_and_holds_no_heap() {
    assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
    let mut decoder = Decoder::new(false);
    let mut inflater = Inflater::new();
    let mut stream = [frame(TEXT, &[b'a'; 1000]), frame(FIN, &[b'b'; 1000])].concat();
    let cut = stream.len() - 1;
    let step = decoder
        .read(&mut stream[..cut], &LIMITS, &mut inflater)
        .unwrap();
    assert_eq!((step.consumed, step.item), (cut, None));
    assert!(decoder.mid_message());
    assert!(
        (1999..4000).contains(&decoder.buffered_bytes()),
        "{}",
        decoder.buffered_bytes()
    );
    let step = decoder
        .read(&mut stream[cut..], &LIMITS, &mut inflater)
        .unwrap();
    assert!(matches!(step.item, Some(Incoming::Text(bytes)) if bytes.len() == 2000));
    assert!(!decoder.mid_message());
    assert_eq!(decoder.buffered_bytes(), 0);
}

/// A peer that declares much and sends little ties up little.
#[test]
fn memory_held_follows_what_has_arrived() {
    let stream = frame(FIN | TEXT, &vec![b'x'; 65_536]);
    let mut decoder = Decoder::new(false);
    let mut inflater = Inflater::new();
    for (cut, bound) in [(14, 200), (24, 220), (1024, 2400), (60_000, 70_000)] {
        let mut decoder_of_cut = Decoder::new(false);
        let mut piece = stream[..cut].to_vec();
        decoder_of_cut
            .read(&mut piece, &LIMITS, &mut inflater)
            .unwrap();
        assert!(decoder_of_cut.buffered_bytes() < bound, "{cut}");
    }
    for byte in &stream[..stream.len() - 1] {
        decoder.read(&mut [*byte], &LIMITS, &mut inflater).unwrap();
    }
    assert!(
        decoder.buffered_bytes() < 65_536 + 300,
        "{}",
        decoder.buffered_bytes()
    );
}

/// A whole frame is lent from the input itself: nothing is copied.
#[test]
fn whole_frames_are_lent_from_the_input() {
    let mut stream = frame(FIN | TEXT, b"in place");
    let range = stream.as_ptr_range();
    let mut decoder = Decoder::new(false);
    let mut inflater = Inflater::new();
    let step = decoder.read(&mut stream, &LIMITS, &mut inflater).unwrap();
    let Some(Incoming::Text(bytes)) = step.item else {
        unreachable!("{step:?}")
    };
    assert!(range.contains(&bytes.as_ptr()));
    assert_eq!(bytes, b"in place");
}

/// A long reason is cut between characters so that the frame stays a control frame.
#[test]
fn close_reason_is_cut_between_characters() {
    let mut out = Vec::new();
    frame::write_close(&mut out, CloseCode::SLOW_CONSUMER, &"€".repeat(60));
    assert_eq!(out[..4], [0x88, 2 + 123, 0x10, 0x0c]);
    assert_eq!(out.len(), 2 + 2 + 123);
    assert_eq!(std::str::from_utf8(&out[4..]), Ok(&*"€".repeat(41)));
    out.clear();
    frame::write_close(&mut out, CloseCode::NORMAL, &"ab€".repeat(25));
    assert_eq!(std::str::from_utf8(&out[4..]).map(str::len), Ok(122));
    out.clear();
    frame::write_close(&mut out, CloseCode::NO_STATUS, "never");
    assert_eq!(out, [0x88, 0]);
}
