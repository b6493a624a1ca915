//! What waits to be written to one connection, in order, with its bytes counted.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use chat_proto::deflate::Deflater;
use chat_proto::encode;
use chat_proto::frame::{self, FRAME_HEADER_MAX, Opcode};
use chat_proto::limits::{LINES_MAX, RUN_BYTES_MAX};

use hashbrown::HashMap;

use crate::bounds::WRITE_PIECES_MAX;
use crate::run::{Content, Shared, compressed};

/// A reply smaller than this grows when it is compressed.
const DEFLATED_BYTES_MIN: usize = 64;

/// A frame of this connection alone; the header is written in front when it is sealed.
#[derive(Debug)]
pub(crate) struct Own {
    buffer: Vec<u8>,
    start: usize,
    lines: usize,
    sealed: bool,
}

impl Own {
    fn seal(&mut self, deflater: Option<&mut Deflater>) {
        let payload = self.buffer.len() - FRAME_HEADER_MAX;
        match deflater {
            Some(deflater) if payload >= DEFLATED_BYTES_MIN => {
                self.buffer = compressed(&self.buffer[FRAME_HEADER_MAX..], deflater);
            }
            _ => {
                let (header, len) = frame::header(Opcode::Text, false, payload);
                self.start = FRAME_HEADER_MAX - len;
                self.buffer[self.start..FRAME_HEADER_MAX].copy_from_slice(&header[..len]);
            }
        }
        self.sealed = true;
    }
}

#[derive(Debug)]
enum Piece {
    Shared(Rc<Shared>),
    Own(Box<Own>),
}

impl Piece {
    fn wire(&self, window_bits: u8) -> &[u8] {
        match self {
            Self::Shared(shared) => shared.frame().wire(window_bits),
            Self::Own(own) => &own.buffer[own.start..],
        }
    }

    /// (room, first, last) of a run.
    fn run(&self) -> Option<(&Rc<str>, u64, u64)> {
        match self {
            Self::Shared(shared) => match &shared.0 {
                Content::Run { room, run, .. } => Some((room, run.first, run.last())),
                Content::Ephemeral { .. } | Content::Control(_) => None,
            },
            Self::Own(_) => None,
        }
    }
}

/// The queue. The first piece stands inline, so that a connection that keeps up allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Out {
    front: Option<Piece>,
    rest: VecDeque<Piece>,
    written: usize,
    bytes: usize,
    /// Frames whose header is not written yet.
    unsealed: usize,
}

impl Out {
    /// Bytes still to send.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    fn push(&mut self, piece: Piece) {
        if self.front.is_none() {
            self.front = Some(piece);
        } else {
            self.rest.push_back(piece);
        }
    }

    fn last_own(&mut self) -> Option<&mut Own> {
        match self.rest.back_mut().or(self.front.as_mut()) {
            Some(Piece::Own(own)) if !own.sealed => Some(own),
            _ => None,
        }
    }

    /// Appends a shared frame.
    pub(crate) fn push_shared(&mut self, shared: Rc<Shared>, window_bits: u8) {
        self.bytes += shared.frame().wire(window_bits).len();
        self.push(Piece::Shared(shared));
    }

    /// Appends a line, written by `write`; lines that wait together share a frame.
    pub(crate) fn push_line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(own) = self.last_own()
            && own.lines < LINES_MAX
            && own.buffer.len() < RUN_BYTES_MAX
        {
            let before = own.buffer.len();
            own.buffer.push(b'\n');
            write(&mut own.buffer);
            if own.buffer.len() <= FRAME_HEADER_MAX + RUN_BYTES_MAX {
                own.lines += 1;
                self.bytes += own.buffer.len() - before;
                return;
            }
            let line = own.buffer.split_off(before);
            return self.push_own(|buffer| buffer.extend_from_slice(&line[1..]));
        }
        self.push_own(write);
    }

    fn push_own(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = Vec::with_capacity(128);
        buffer.resize(FRAME_HEADER_MAX, 0);
        write(&mut buffer);
        self.bytes += buffer.len();
        self.unsealed += 1;
        self.push(Piece::Own(Box::new(Own {
            buffer,
            start: 0,
            lines: 1,
            sealed: false,
        })));
    }

    /// Appends finished bytes: a control frame, or an answer that must stand alone.
    pub(crate) fn push_raw(&mut self, buffer: Vec<u8>) {
        self.bytes += buffer.len();
        self.push(Piece::Own(Box::new(Own {
            buffer,
            start: 0,
            lines: 0,
            sealed: true,
        })));
    }

    /// Writes the headers of the frames that lines were added to; call before every write.
    pub(crate) fn seal(&mut self, mut deflater: Option<&mut Deflater>) {
        if self.unsealed == 0 {
            return;
        }
        for piece in self.front.iter_mut().chain(&mut self.rest) {
            if let Piece::Own(own) = piece
                && !own.sealed
            {
                let before = own.buffer.len();
                own.seal(deflater.as_deref_mut());
                self.bytes = self.bytes + own.buffer.len() - own.start - before;
            }
        }
        self.unsealed = 0;
    }

    /// The next bytes to write, at most [`WRITE_PIECES_MAX`] pieces.
    pub(crate) fn gather<'a>(&'a self, window_bits: u8, slices: &mut Vec<IoSlice<'a>>) {
        let Some(front) = &self.front else { return };
        slices.push(IoSlice::new(&front.wire(window_bits)[self.written..]));
        for piece in self.rest.iter().take(WRITE_PIECES_MAX - 1) {
            slices.push(IoSlice::new(piece.wire(window_bits)));
        }
    }

    /// `count` of the gathered bytes have gone out.
    pub(crate) fn wrote(&mut self, count: usize, window_bits: u8) {
        self.written += count;
        while let Some(front) = &self.front {
            let len = front.wire(window_bits).len();
            if self.written < len {
                return;
            }
            self.written -= len;
            self.bytes -= len;
            self.front = self.rest.pop_front();
        }
        self.rest = VecDeque::new();
    }

    /// Replaces every run that has not begun by `gap`, one for all that follow each other in a
    /// room, where the last of them stood: what was told before and after keeps its sense. How
    /// many gaps.
    pub(crate) fn fold(&mut self, window_bits: u8) -> u64 {
        let begun = usize::from(self.written > 0);
        let mut pieces: VecDeque<Piece> = self.front.take().into_iter().collect();
        pieces.append(&mut self.rest);
        let mut gaps: HashMap<usize, (u64, u64)> = HashMap::new();
        let mut before: HashMap<Rc<str>, usize> = HashMap::new();
        for (at, piece) in pieces.iter().enumerate().skip(begun) {
            let Some((room, mut first, last)) = piece.run() else {
                continue;
            };
            if let Some(known) = before.insert(room.clone(), at)
                && let Some(&(from, to)) = gaps.get(&known)
                && to + 1 == first
            {
                gaps.remove(&known);
                first = from;
            }
            gaps.insert(at, (first, last));
        }
        for (at, piece) in pieces.into_iter().enumerate() {
            let Some((room, ..)) = piece.run().filter(|_| at >= begun) else {
                self.push(piece);
                continue;
            };
            if let Some((first, last)) = gaps.get(&at) {
                let room = if room.contains(':') { "me" } else { &**room };
                self.push_line(|out| encode::gap(out, room, *first, *last));
            }
            self.bytes -= piece.wire(window_bits).len();
        }
        gaps.len() as u64
    }

    /// Drops everything that has not begun; a frame that has begun goes out whole.
    pub(crate) fn drop_unsent(&mut self, window_bits: u8) {
        let begun = self.written > 0;
        let front = self.front.take().filter(|_| begun);
        self.bytes = front
            .as_ref()
            .map_or(0, |piece| piece.wire(window_bits).len());
        if !begun {
            self.written = 0;
        }
        self.front = front;
        self.rest = VecDeque::new();
        self.unsealed = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::run::{FrameData, RunData};

    fn run(room: &str, first: u64, count: usize, bytes: usize) -> Rc<Shared> {
        let line = vec![b'x'; bytes];
        let lines = std::iter::repeat_n(line.as_slice(), count);
        let run = Arc::new(RunData::frames(first, lines).remove(0));
        Rc::new(Shared(Content::Run {
            room: room.into(),
            run,
            committed_us: 0,
        }))
    }

    fn offer(out: &mut Out, shared: Rc<Shared>, bits: u8, deflater: &mut Deflater) {
        if bits != 0 {
            shared.frame().compress(bits, deflater);
        }
        out.push_shared(shared, bits);
    }

    /// Everything that waits, as the peer would get it.
    fn wire(out: &Out, bits: u8) -> Vec<u8> {
        let pieces = out.front.iter().chain(&out.rest);
        let all: Vec<u8> = pieces.flat_map(|piece| piece.wire(bits).to_vec()).collect();
        all[out.written..].to_vec()
    }

    fn text(out: &mut Out) -> String {
        out.seal(None);
        String::from_utf8_lossy(&wire(out, 0)).into_owned()
    }

    #[derive(Clone, Debug)]
    enum Op {
        Line(usize),
        Run(u8, usize, usize),
        Ephemeral(usize),
        Raw(usize),
        Write(usize),
        Fold,
        Drop,
    }

    fn ops() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => prop_oneof![9 => 1..200_usize, 1 => 60_000..70_000_usize].prop_map(Op::Line),
            4 => (0..3_u8, 1..9_usize, 1..500_usize).prop_map(|(at, n, len)| Op::Run(at, n, len)),
            1 => (1..300_usize).prop_map(Op::Ephemeral),
            1 => (1..130_usize).prop_map(Op::Raw),
            4 => (0..5_000_usize).prop_map(Op::Write),
            1 => Just(Op::Fold),
            1 => Just(Op::Drop),
        ]
    }

    fn apply(out: &mut Out, op: &Op, seq: &mut u64, bits: u8, deflater: &mut Deflater) {
        match *op {
            Op::Line(len) => out.push_line(|to| to.resize(to.len() + len, b'l')),
            Op::Run(room, count, len) => {
                let shared = run(["a", "b", "me:u"][room as usize], *seq, count, len);
                *seq += count as u64;
                offer(out, shared, bits, deflater);
            }
            Op::Ephemeral(len) => {
                let (frame, except) = (FrameData::text(&vec![b'e'; len]), Box::default());
                let want = 0;
                let content = Content::Ephemeral {
                    frame,
                    want,
                    except,
                };
                offer(out, Rc::new(Shared(content)), bits, deflater);
            }
            Op::Raw(len) => out.push_raw(vec![b'r'; len]),
            Op::Write(len) => {
                out.seal((bits != 0).then_some(deflater));
                let mut slices = Vec::new();
                out.gather(bits, &mut slices);
                assert!(slices.len() <= WRITE_PIECES_MAX);
                let ready: usize = slices.iter().map(|it| it.len()).sum();
                let before = wire(out, bits);
                out.wrote(ready.min(len), bits);
                assert_eq!(wire(out, bits), before[ready.min(len)..]);
            }
            Op::Fold => {
                out.fold(bits);
            }
            Op::Drop => out.drop_unsent(bits),
        }
    }

    proptest! {
        /// The bytes that are counted are those that go out, whatever happened before.
        #[test]
        fn bytes_are_those_that_go_out(
            ops in prop::collection::vec(ops(), 1..120),
            bits in prop::sample::select(vec![0_u8, 9, 15]),
        ) {
            let (mut out, mut seq) = (Out::default(), 1);
            let mut deflater = Deflater::new(bits.max(9));
            for op in ops {
                apply(&mut out, &op, &mut seq, bits, &mut deflater);
                out.seal((bits != 0).then_some(&mut deflater));
                let waiting = wire(&out, bits);
                prop_assert_eq!(out.bytes(), waiting.len());
                prop_assert_eq!(out.is_empty(), waiting.is_empty());
                prop_assert_eq!(out.unsealed, 0);
            }
        }
    }

    /// Lines that wait together share a frame up to 128 lines; a sealed frame takes no more.
    #[test]
    fn lines_share_a_frame_until_it_is_sealed_or_full() {
        let mut out = Out::default();
        for _ in 0..130 {
            out.push_line(|to| to.extend_from_slice(b"{}"));
        }
        assert_eq!(out.rest.len(), 1);
        out.seal(None);
        out.push_line(|to| to.extend_from_slice(b"{}"));
        assert_eq!(out.rest.len(), 2);
        assert!(text(&mut out).starts_with("\u{fffd}~\u{1}\u{7f}{}\n{}"));
    }

    /// One gap for runs that follow each other, where the last stood; a jump begins a new one.
    #[test]
    fn a_fold_joins_what_follows_and_keeps_the_order() {
        let mut out = Out::default();
        let reply = |out: &mut Out, text: &str| {
            out.push_line(|to| to.extend_from_slice(text.as_bytes()));
        };
        for (room, first) in [("a", 1), ("b", 7), ("a", 4)] {
            out.push_shared(run(room, first, 3, 10), 0);
        }
        reply(&mut out, "first");
        out.push_shared(run("a", 2, 3, 10), 0);
        reply(&mut out, "second");
        out.push_shared(run("a", 5, 3, 10), 0);
        out.push_shared(run("me:u", 1, 3, 10), 0);
        assert_eq!(out.fold(0), 4);
        let told = text(&mut out);
        let places: Vec<usize> = [
            r#""b","from":7,"to":9"#,
            r#""a","from":1,"to":6"#,
            "first",
            "second",
            r#""a","from":2,"to":7"#,
            r#""me","from":1,"to":3"#,
        ]
        .iter()
        .map(|it| told.find(it).unwrap())
        .collect();
        assert!(places.is_sorted(), "{told}");
        assert_eq!(out.fold(0), 0);
    }

    /// A frame that has begun goes out whole; the gap begins behind it.
    #[test]
    fn a_begun_frame_is_neither_folded_nor_dropped() {
        let mut out = Out::default();
        let begun = run("a", 1, 3, 10);
        out.push_shared(begun.clone(), 0);
        out.push_shared(run("a", 4, 3, 10), 0);
        out.wrote(5, 0);
        assert_eq!(out.fold(0), 1);
        assert!(text(&mut out).contains(r#""from":4,"to":6"#));
        assert!(wire(&out, 0).starts_with(&begun.frame().wire(0)[5..]));
        out.drop_unsent(0);
        assert_eq!(wire(&out, 0), begun.frame().wire(0)[5..]);
        out.wrote(out.bytes(), 0);
        out.push_line(|to| to.extend_from_slice(b"unsent"));
        out.drop_unsent(0);
        assert!(out.is_empty() && out.bytes() == 0);
    }
}
