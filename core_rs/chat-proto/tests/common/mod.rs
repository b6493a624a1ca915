//! What the tests of frames share: writing frames as a client would, and reading all of a stream.
#![allow(dead_code, reason = "each test binary uses its own part")]

use chat_proto::deflate::Inflater;
use chat_proto::frame::{Decoder, FrameLimits, Incoming, Violation, unmask};

pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const LIMITS: FrameLimits = FrameLimits {
    message_bytes_max: 65_536,
    fragments_max: 128,
    binary: false,
    require_utf8: true,
};

pub const ECHO: FrameLimits = FrameLimits {
    binary: true,
    fragments_max: u32::MAX,
    ..LIMITS
};

/// What has arrived, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Incoming<'_>> for Item {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(bytes) => Self::Text(bytes.into()),
            Incoming::Binary(bytes) => Self::Binary(bytes.into()),
            Incoming::Ping(bytes) => Self::Ping(bytes.into()),
            Incoming::Pong(bytes) => Self::Pong(bytes.into()),
            Incoming::Close { code, reason } => Self::Close(code, reason.into()),
        }
    }
}

/// A masked frame with that first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&KEY);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    unmask(&mut bytes[start..], KEY, 0);
    bytes
}

/// Reads `stream` in pieces that end at `cuts`; what arrived, and why it ended, if it did.
pub fn read_cut(
    stream: &[u8],
    cuts: &[usize],
    limits: &FrameLimits,
    deflate: bool,
) -> (Vec<Item>, Option<Violation>) {
    let mut decoder = Decoder::new(deflate);
    let mut inflater = Inflater::new();
    let mut items = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        let mut piece = stream[start..end].to_vec();
        start = end;
        let mut at = 0;
        loop {
            match decoder.read(&mut piece[at..], limits, &mut inflater) {
                Ok(step) => {
                    at += step.consumed;
                    let Some(item) = step.item else { break };
                    items.push(item.into());
                }
                Err(violation) => return (items, Some(violation)),
            }
        }
        assert_eq!(at, piece.len(), "without an item all input is consumed");
    }
    (items, None)
}

/// Reads `stream` whole, a byte at a time, and in two pieces at every cut; they must agree.
pub fn read_every_way(
    stream: &[u8],
    limits: &FrameLimits,
    deflate: bool,
) -> (Vec<Item>, Option<Violation>) {
    let whole = read_cut(stream, &[], limits, deflate);
    let every: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(
        read_cut(stream, &every, limits, deflate),
        whole,
        "a byte at a time"
    );
    for &cut in every.iter().filter(|&&cut| cut < 400) {
        assert_eq!(
            read_cut(stream, &[cut], limits, deflate),
            whole,
            "cut at {cut}"
        );
    }
    whole
}
