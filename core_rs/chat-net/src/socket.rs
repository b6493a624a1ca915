//! One socket of a shard: the handshake's bytes, the frame decoder, what the poller waits for.

use std::os::fd::OwnedFd;

use chat_proto::frame::Decoder;

use crate::admission::Permit;
use crate::poller::Interest;

/// How the bytes that come in are to be read.
#[derive(Debug)]
pub(crate) enum Stage {
    /// As an HTTP request; what has come of it so far.
    Head(Vec<u8>),
    /// As frames.
    Frames,
    /// Not at all: refused, or broken; the end of the stream is awaited.
    Deaf,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
    pub(crate) stage: Stage,
    pub(crate) decoder: Decoder,
    pub(crate) window_bits: u8,
    pub(crate) interest: Interest,
    /// Not to be read until the hub says so; bytes that had been read already wait in `stash`.
    pub(crate) paused: bool,
    pub(crate) stash: Vec<u8>,
    /// What it counts for, until it is dropped.
    pub(crate) permit: Permit,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, permit: Permit) -> Self {
        Self {
            fd,
            stage: Stage::Head(Vec::new()),
            decoder: Decoder::new(false),
            window_bits: 0,
            interest: Interest {
                read: true,
                write: false,
            },
            paused: false,
            stash: Vec::new(),
            permit,
        }
    }
}
