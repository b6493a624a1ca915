//! Frames that many connections share: encoded once, counted by reference, compressed once.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use chat_proto::deflate::Deflater;
use chat_proto::frame::{self, Opcode};
use chat_proto::limits::{LINES_MAX, RUN_BYTES_MAX};

/// The bytes of one shared frame, for all shards of a node.
#[derive(Debug)]
pub struct FrameData {
    bytes: Vec<u8>,
    payload_at: usize,
    deflated: OnceLock<Box<[OnceLock<Vec<u8>>; 7]>>,
}

impl FrameData {
    /// A text frame over `payload`.
    pub fn text(payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len() + frame::FRAME_HEADER_MAX);
        frame::write_header(&mut bytes, Opcode::Text, false, payload.len());
        let payload_at = bytes.len();
        bytes.extend_from_slice(payload);
        Self {
            bytes,
            payload_at,
            deflated: OnceLock::new(),
        }
    }

    /// The payload, without frame header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// The frame as it goes out: plain for 0 window bits, else compressed for a window of 9..=15.
    pub fn wire(&self, window_bits: u8) -> &[u8] {
        let cell = window_bits
            .checked_sub(9)
            .and_then(|at| self.deflated.get()?[at as usize].get());
        cell.map_or(&self.bytes, Vec::as_slice)
    }

    /// Makes the compressed form for `deflater`'s window, once for all who share the frame.
    pub fn compress(&self, window_bits: u8, deflater: &mut Deflater) {
        let cells = self.deflated.get_or_init(Box::default);
        let Some(cell) = window_bits
            .checked_sub(9)
            .and_then(|at| cells.get(at as usize))
        else {
            return;
        };
        cell.get_or_init(|| compressed(self.payload(), deflater));
    }
}

/// A text frame with RSV1 over the compressed `payload` (RFC 7692 section 7.2.1).
pub(crate) fn compressed(payload: &[u8], deflater: &mut Deflater) -> Vec<u8> {
    let mut body = Vec::with_capacity(payload.len() / 2 + 16);
    deflater.deflate(payload, &mut body);
    let mut bytes = Vec::with_capacity(body.len() + frame::FRAME_HEADER_MAX);
    frame::write_header(&mut bytes, Opcode::Text, true, body.len());
    bytes.extend_from_slice(&body);
    bytes
}

/// Consecutive durable events of one room in one frame: at most 128 lines and 64 KiB (one larger
/// line stands alone).
#[derive(Debug)]
pub struct RunData {
    /// The frame.
    pub frame: FrameData,
    /// Seq of the first line.
    pub first: u64,
    line_ends: Box<[u32]>,
}

impl RunData {
    /// Frames over `lines`, whose seqs start at `first`.
    pub fn frames<'a>(first: u64, lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        let mut frames = Vec::new();
        let (mut payload, mut ends, mut at) = (Vec::new(), Vec::new(), first);
        for line in lines {
            let full = payload.len() + 1 + line.len() > RUN_BYTES_MAX || ends.len() >= LINES_MAX;
            if full && !ends.is_empty() {
                frames.push(Self::seal(&mut payload, &mut ends, &mut at));
            }
            if !payload.is_empty() {
                payload.push(b'\n');
            }
            payload.extend_from_slice(line);
            ends.push(payload.len() as u32);
        }
        if !ends.is_empty() {
            frames.push(Self::seal(&mut payload, &mut ends, &mut at));
        }
        frames
    }

    fn seal(payload: &mut Vec<u8>, ends: &mut Vec<u32>, at: &mut u64) -> Self {
        let run = Self {
            frame: FrameData::text(payload),
            first: *at,
            line_ends: ends.as_slice().into(),
        };
        *at += ends.len() as u64;
        payload.clear();
        ends.clear();
        run
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.line_ends.len()
    }

    /// Whether it holds none, which it never does.
    pub fn is_empty(&self) -> bool {
        self.line_ends.is_empty()
    }

    /// Seq of the last line.
    pub fn last(&self) -> u64 {
        self.first + self.line_ends.len() as u64 - 1
    }

    /// The lines after `seq`, in order.
    pub fn lines_after(&self, seq: u64) -> impl Iterator<Item = &[u8]> {
        let skip = (seq + 1).saturating_sub(self.first) as usize;
        (skip..self.line_ends.len()).map(|index| self.line(index))
    }

    fn line(&self, index: usize) -> &[u8] {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.line_ends[before] as usize + 1);
        &self.frame.payload()[start..self.line_ends[index] as usize]
    }

    /// How many of the lines after `seq` are messages.
    pub fn messages_after(&self, seq: u64) -> u64 {
        self.lines_after(seq)
            .filter(|line| line.starts_with(b"{\"t\":\"msg\""))
            .count() as u64
    }

    /// How many bytes of payload.
    pub fn payload_bytes(&self) -> usize {
        self.frame.payload().len()
    }
}

/// What a shared frame carries, which decides its fate when a reader is slow.
#[derive(Debug)]
pub(crate) enum Content {
    /// A run of events: folds into `gap`.
    Run {
        room: Rc<str>,
        run: Arc<RunData>,
        committed_us: u64,
    },
    /// Ephemeral lines: shed first. `except` are connections that get their own selection.
    Ephemeral {
        frame: FrameData,
        want: u8,
        except: Box<[u32]>,
    },
    /// A JSON ping or another line for everybody: never shed.
    Control(FrameData),
}

/// A frame that several connections of a shard point to.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Content);

impl Shared {
    pub(crate) fn frame(&self) -> &FrameData {
        match &self.0 {
            Content::Run { run, .. } => &run.frame,
            Content::Ephemeral { frame, .. } | Content::Control(frame) => frame,
        }
    }

    /// Whether a subscriber with these wishes, on this connection, gets it.
    pub(crate) fn is_for(&self, connection: u32, wants: u8) -> bool {
        match &self.0 {
            Content::Ephemeral { want, except, .. } => {
                (*want == 0 || wants & want != 0) && !except.contains(&connection)
            }
            Content::Run { .. } | Content::Control(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_seq_over_frames() {
        let lines: Vec<Vec<u8>> = (0..300)
            .map(|at| format!("{{\"at\":{at}}}").into())
            .collect();
        let runs = RunData::frames(10, lines.iter().map(Vec::as_slice));
        assert_eq!(
            runs.iter().map(RunData::len).collect::<Vec<_>>(),
            [128, 128, 44]
        );
        assert_eq!(
            (runs[0].first, runs[2].first, runs[2].last()),
            (10, 266, 309)
        );
        let after: Vec<&[u8]> = runs[2].lines_after(307).collect();
        assert_eq!(after, [&b"{\"at\":298}"[..], &b"{\"at\":299}"[..]]);
        assert!(!runs[0].is_empty());
    }

    #[test]
    fn a_frame_stays_within_its_bytes_but_for_one_large_line() {
        let large = vec![b'x'; RUN_BYTES_MAX + 5];
        let lines = [&b"a"[..], &large, b"b", b"c"];
        let runs = RunData::frames(1, lines);
        assert_eq!(runs.iter().map(RunData::len).collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn messages_are_counted_apart_from_other_events() {
        let lines = [
            &b"{\"t\":\"msg\",\"n\":1}"[..],
            b"{\"t\":\"member\"}",
            b"{\"t\":\"msg\"}",
        ];
        let runs = RunData::frames(5, lines);
        assert_eq!(
            (runs[0].messages_after(4), runs[0].messages_after(5)),
            (2, 1)
        );
    }
}
