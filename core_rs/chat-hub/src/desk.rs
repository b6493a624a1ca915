//! The connections of a shard and the queueing of frames for them: backlog, shedding, folding.

use std::rc::Rc;

use chat_proto::deflate::Deflater;
use slab::Slab;

use crate::bounds::{BACKLOG_BYTES_MAX, BACKLOG_GRACE_US, BACKLOG_SHED_BYTES};
use crate::conn::{Conn, Phase};
use crate::effect::Handle;
use crate::run::{Content, Shared};
use crate::stats::Stats;
use crate::wheel::Wheel;

const GENERATION_BITS: u32 = 24;

/// Connections with their outgoing queues.
pub(crate) struct Desk {
    pub(crate) conns: Slab<Conn>,
    pub(crate) dirty: Vec<u32>,
    /// Connections that are too slow: to be closed with 4108.
    pub(crate) overdue: Vec<u32>,
    pub(crate) stats: Stats,
    pub(crate) wheel: Wheel,
    pub(crate) now_us: u64,
    shard: u8,
    generation: u32,
    deflaters: [Option<Deflater>; 7],
}

impl Desk {
    pub(crate) fn new(shard: u8, now_us: u64) -> Self {
        Self {
            conns: Slab::new(),
            dirty: Vec::new(),
            overdue: Vec::new(),
            stats: Stats::default(),
            wheel: Wheel::new(now_us),
            now_us,
            shard,
            generation: 0,
            deflaters: [const { None }; 7],
        }
    }

    pub(crate) fn add(&mut self, deadline_us: u64) -> u32 {
        self.generation = (self.generation + 1) % (1 << GENERATION_BITS);
        let index =
            self.conns
                .insert(Conn::new(self.generation, self.now_us, deadline_us)) as u32;
        self.wake_at(index, deadline_us);
        index
    }

    pub(crate) fn handle(&self, index: u32) -> Handle {
        let generation = self.conns[index as usize].generation;
        u64::from(self.shard) << 56 | u64::from(generation) << 32 | u64::from(index)
    }

    /// The connection that `handle` names, if it is still there.
    pub(crate) fn find(&self, handle: Handle) -> Option<u32> {
        let index = handle as u32;
        let generation = (handle >> 32) as u32 & ((1 << GENERATION_BITS) - 1);
        let conn = self.conns.get(index as usize)?;
        (conn.generation == generation).then_some(index)
    }

    pub(crate) fn conn(&mut self, index: u32) -> &mut Conn {
        &mut self.conns[index as usize]
    }

    pub(crate) fn mark_dirty(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Sees to it that the connection is looked at by `at_us`.
    pub(crate) fn wake_at(&mut self, index: u32, at_us: u64) {
        let conn = &mut self.conns[index as usize];
        if at_us < conn.wake_us {
            conn.wake_us = at_us;
            self.wheel.set((index, conn.generation), at_us);
        }
    }

    /// Queues a reply or control line: never shed, never folded.
    pub(crate) fn tell(&mut self, index: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let conn = &mut self.conns[index as usize];
        if !conn.takes_frames() {
            return;
        }
        conn.out.push_line(write);
        if conn.out.bytes() >= BACKLOG_BYTES_MAX {
            self.relieve(index);
        }
        self.mark_dirty(index);
    }

    /// Queues a shared frame for a subscriber with these wishes.
    pub(crate) fn offer(&mut self, index: u32, shared: &Rc<Shared>, wants: u8) {
        if !shared.is_for(index, wants) {
            return;
        }
        let conn = &mut self.conns[index as usize];
        if conn.phase != Phase::Live || conn.overdue {
            return;
        }
        let ephemeral = matches!(shared.0, Content::Ephemeral { .. });
        if ephemeral && conn.out.bytes() > BACKLOG_SHED_BYTES {
            self.stats.shed += 1;
            return;
        }
        let bits = conn.window_bits;
        if bits != 0 {
            let cell = &mut self.deflaters[bits as usize - 9];
            shared
                .frame()
                .compress(bits, cell.get_or_insert_with(|| Deflater::new(bits)));
        }
        conn.out.push_shared(shared.clone(), bits);
        if matches!(shared.0, Content::Run { .. }) {
            self.stats.deliveries += 1;
        }
        if conn.out.bytes() >= BACKLOG_BYTES_MAX {
            self.relieve(index);
        }
        self.mark_dirty(index);
    }

    /// A backlog has reached its bound: unsent runs become gaps, once. The second time, or where
    /// replies alone are too many, the connection takes nothing more and is closed.
    fn relieve(&mut self, index: u32) {
        if !self.conns[index as usize].folded {
            self.fold(index);
        }
        let conn = &mut self.conns[index as usize];
        if conn.folded || conn.out.bytes() >= BACKLOG_BYTES_MAX {
            conn.overdue = true;
            conn.out.drop_unsent(conn.window_bits);
            self.overdue.push(index);
            return;
        }
        conn.folded = true;
        conn.deadline_us = self.now_us + BACKLOG_GRACE_US;
        let at_us = conn.deadline_us;
        self.wake_at(index, at_us);
    }

    /// Turns the events that wait for a connection into gaps.
    pub(crate) fn fold(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        self.stats.gaps += conn.out.fold(conn.window_bits);
    }

    /// Closes the frame that lines are still added to.
    pub(crate) fn seal(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        let deflater = conn
            .window_bits
            .checked_sub(9)
            .map(|at| self.deflaters[at as usize].get_or_insert_with(|| Deflater::new(at + 9)));
        conn.out.seal(deflater);
    }
}
