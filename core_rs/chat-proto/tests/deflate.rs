//! permessage-deflate: negotiation, round trips against flate2, and streams that are broken.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chat_proto::deflate::{Deflater, InflateError, Inflater, negotiate};
use chat_proto::frame::FrameLimits;
use common::{ECHO, Item, LIMITS, frame, read_cut, read_every_way};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

const STATELESS: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A message as some other client would compress it, with any window and level.
fn deflate_as_a_client(payload: &[u8], window_bits: u8, level: u32) -> Vec<u8> {
    let mut stream = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 256);
    stream
        .compress_vec(payload, &mut out, FlushCompress::Sync)
        .unwrap();
    assert_eq!(stream.total_in() as usize, payload.len());
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// The answer to offers, or `None` if they are declined.
fn answer(values: &[&str]) -> Option<String> {
    negotiate(values.iter().copied())
        .unwrap()
        .map(|(_, value)| value)
}

/// Offers that are fine are agreed to without state in either direction.
#[test]
fn acceptable_offers_are_answered_without_context_takeover() {
    for offer in [
        "permessage-deflate",
        "Permessage-Deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=15; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=\"10\"",
        "x-webkit-deflate-frame, permessage-deflate",
        ", permessage-deflate ,, other; p=\"q\"",
    ] {
        assert_eq!(answer(&[offer]).as_deref(), Some(STATELESS), "{offer}");
    }
    assert_eq!(
        answer(&["other", "permessage-deflate"]).as_deref(),
        Some(STATELESS)
    );
}

/// A window for the server is accepted from 9 to 15 and named in the answer.
#[test]
fn server_window_is_kept_and_named() {
    for bits in 9..=15_u8 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (params, value) = negotiate([&*offer].into_iter()).unwrap().unwrap();
        assert_eq!(params.server_max_window_bits, bits);
        assert_eq!(value, format!("{STATELESS}; server_max_window_bits={bits}"));
    }
}

/// Parameters that RFC 7692 does not allow decline their offer; the next may still win.
#[test]
fn offers_with_bad_parameters_are_declined() {
    for parameters in [
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=abc",
        "client_max_window_bits=010",
        "server_max_window_bits",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
        "unheard_of",
    ] {
        let offer = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&[&offer]), None, "{offer}");
        let fallback = format!("{offer}, permessage-deflate");
        assert_eq!(
            answer(&[&fallback]).as_deref(),
            Some(STATELESS),
            "{fallback}"
        );
    }
    assert_eq!(answer(&["bbf-usp-protocol", ""]), None);
}

/// A header that breaks the grammar is told apart from an offer that is declined.
#[test]
fn malformed_offers_are_errors() {
    for offer in [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate client_max_window_bits",
        "perme(ssage",
        "; a",
        "permessage-deflate; a=b c",
    ] {
        assert!(negotiate([offer].into_iter()).is_err(), "{offer}");
    }
}

/// A thousand offers are read to their end.
#[test]
fn a_thousand_extensions_are_read() {
    let offers = "permessage-deflate; unheard_of, ".repeat(1000);
    assert_eq!(answer(&[&offers]), None);
    assert!(negotiate([&*(offers + "permessage-deflate;")].into_iter()).is_err());
}

/// RFC 7692 section 7.2.3: one block, without compression, with BFINAL, and two blocks.
#[test]
fn examples_of_rfc_7692_inflate_to_hello() {
    let examples: [&[u8]; 4] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    ];
    let mut inflater = Inflater::new();
    for example in examples {
        assert_eq!(
            inflater.inflate(example, 5),
            Ok(&b"Hello"[..]),
            "{example:x?}"
        );
        assert_eq!(
            inflater.inflate(example, 4),
            Err(InflateError::TooLarge),
            "{example:x?}"
        );
        let stream = frame(0xc1, example);
        let expected = vec![Item::Text(b"Hello".to_vec())];
        assert_eq!(read_every_way(&stream, &LIMITS, true), (expected, None));
    }
    let stream = [
        frame(0x41, &examples[0][..3]),
        frame(0x80, &examples[0][3..]),
    ]
    .concat();
    let expected = vec![Item::Text(b"Hello".to_vec())];
    assert_eq!(read_every_way(&stream, &LIMITS, true), (expected, None));
    assert_eq!(
        inflater.inflate(&[0], 0),
        Ok(&b""[..]),
        "an empty message is one zero byte"
    );
}

/// RSV1 stands on the first frame of a message only.
#[test]
fn rsv1_on_a_continuation_ends_with_1002() {
    let stream = [frame(0x41, &[0xf2, 0x48]), frame(0xc0, &[0xcd])].concat();
    let (items, violation) = read_every_way(&stream, &LIMITS, true);
    assert_eq!(
        (items, violation.map(|violation| violation.code.0)),
        (vec![], Some(1002))
    );
}

/// Messages that are no whole DEFLATE stream are 1007.
#[test]
fn broken_streams_end_with_1007() {
    let whole = deflate_as_a_client(&b"some text that is long enough ".repeat(20), 15, 6);
    let rows: [(&str, &[u8]); 6] = [
        ("nothing at all", &[]),
        ("reserved block type", &[0x07, 0, 0]),
        (
            "stored length and its complement differ",
            &[0, 5, 0, 5, 0, 1],
        ),
        ("distance before the beginning", &[0x4b, 0x04, 0x82, 0xff]),
        ("cut off", &whole[..whole.len() / 2]),
        (
            "junk behind the end",
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff],
        ),
    ];
    for (row, data) in rows {
        let (items, violation) = read_every_way(&frame(0xc1, data), &LIMITS, true);
        assert_eq!(
            violation.map(|violation| violation.code.0),
            Some(1007),
            "{row}"
        );
        assert_eq!(items, [], "{row}");
    }
}

/// Every prefix of a compressed stream is broken: it is never taken for a shorter message. (Of a
/// stored one, level 0, the first byte is by itself the empty message.)
#[test]
fn truncated_streams_are_broken() {
    let text =
        b"{\"t\":\"send\",\"id\":1,\"room\":\"lobby\",\"cid\":\"c1\",\"body\":{\"text\":\"hi\"}}";
    let mut inflater = Inflater::new();
    for level in [1, 6, 9] {
        let whole = deflate_as_a_client(text, 15, level);
        assert_eq!(inflater.inflate(&whole, 1000), Ok(&text[..]));
        for cut in 0..whole.len() {
            assert_eq!(
                inflater.inflate(&whole[..cut], 1000),
                Err(InflateError::Broken),
                "{cut}"
            );
        }
    }
}

/// A bomb stops at the limit: the output never grows past it.
#[test]
fn bombs_end_with_1009() {
    let bomb = deflate_as_a_client(&vec![0; 16 << 20], 15, 9);
    assert!(bomb.len() < 32 << 10);
    let (items, violation) = read_cut(&frame(0xc1, &bomb), &[], &LIMITS, true);
    assert_eq!(
        (items, violation.map(|violation| violation.code.0)),
        (vec![], Some(1009))
    );
    let fits = deflate_as_a_client(&vec![b'0'; 65_536], 15, 9);
    assert_eq!(read_cut(&frame(0xc1, &fits), &[], &LIMITS, true).1, None);
    let over = deflate_as_a_client(&vec![b'0'; 65_537], 15, 9);
    let violation = read_cut(&frame(0xc1, &over), &[], &LIMITS, true).1;
    assert_eq!(violation.map(|violation| violation.code.0), Some(1009));
}

/// A message at the limit that does not compress is still taken.
#[test]
fn incompressible_messages_at_the_limit_are_read() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(65_536)
    .collect();
    for level in [0, 1, 9] {
        let data = deflate_as_a_client(&noise, 9, level);
        assert!(data.len() > noise.len());
        let (items, violation) = read_cut(&frame(0xc2, &data), &[], &ECHO, true);
        assert_eq!(
            (items, violation),
            (vec![Item::Binary(noise.clone())], None),
            "{level}"
        );
    }
}

/// Inflated text is judged too.
#[test]
fn inflated_text_must_be_utf8() {
    let data = deflate_as_a_client(b"ab\xff", 15, 6);
    let (_, violation) = read_every_way(&frame(0xc1, &data), &LIMITS, true);
    assert_eq!(violation.map(|violation| violation.code.0), Some(1007));
}

/// A sender that ends every block could make each message a thousand streams; that is refused.
#[test]
fn endless_final_blocks_end_with_1007() {
    let mut inflater = Inflater::new();
    let streams = |count| [3, 0].repeat(count);
    assert_eq!(inflater.inflate(&streams(60), 10), Ok(&b""[..]));
    assert_eq!(
        inflater.inflate(&streams(1000), 10),
        Err(InflateError::Broken)
    );
}

proptest! {
    /// What other clients compress, with any window and level, comes out whole however it is cut.
    #[test]
    fn messages_of_any_window_inflate(
        payload in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..3000),
            "[a-d]{0,8000}".prop_map(String::into_bytes),
        ],
        window_bits in 9..=15_u8,
        level in 0..=9_u32,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let stream = frame(0xc2, &deflate_as_a_client(&payload, window_bits, level));
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let limits = FrameLimits { message_bytes_max: payload.len(), ..ECHO };
        let (items, violation) = read_cut(&stream, &cuts, &limits, true);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(items, vec![Item::Binary(payload)]);
    }

    /// What we compress inflates within the window that was agreed on, each message by itself.
    #[test]
    fn deflated_messages_fit_the_window(
        payloads in proptest::collection::vec(
            ("[ -~]{0,200}", 0..60_usize).prop_map(|(text, times)| text.repeat(times)), 1..4,
        ),
        window_bits in 9..=15_u8,
    ) {
        let mut deflater = Deflater::new(window_bits);
        for payload in payloads {
            let mut data = Vec::new();
            deflater.deflate(payload.as_bytes(), &mut data);
            data.extend_from_slice(&[0, 0, 0xff, 0xff]);
            let mut stream = Decompress::new_with_window_bits(false, window_bits);
            let mut out = Vec::with_capacity(payload.len() + 64);
            stream.decompress_vec(&data, &mut out, FlushDecompress::Sync).unwrap();
            prop_assert_eq!(&out[..], payload.as_bytes());
        }
    }

    /// No bytes make the inflater panic or pass its limit.
    #[test]
    fn inflating_anything_is_bounded(
        data in proptest::collection::vec(any::<u8>(), 0..400),
        max in 0..5000_usize,
    ) {
        if let Ok(out) = Inflater::new().inflate(&data, max) {
            prop_assert!(out.len() <= max);
        }
    }
}
