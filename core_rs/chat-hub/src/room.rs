//! One room as a shard knows it: subscribers, recent events, what is being fanned out.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::bounds::{OUTS_MAX, RECENT_ROOM_BYTES_MAX, RECENT_ROOM_EVENTS_MAX};
use crate::effect::Part;
use crate::run::{Content, RunData, Shared};

/// A subscriber that has left while a fan-out was under way.
pub(crate) const VACANT: u32 = u32::MAX;

/// A subscription: 8 bytes, dense, walked by every fan-out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber {
    pub(crate) conn: u32,
    pub(crate) wants: u8,
}

/// Somebody who is typing.
#[derive(Debug)]
pub(crate) struct Typist {
    pub(crate) user: Arc<str>,
    pub(crate) conn: u32,
    pub(crate) told_us: u64,
    pub(crate) over_us: u64,
    /// Whether the others believe so; after the end it is kept until it may be told anew.
    pub(crate) on: bool,
}

/// Events that were committed and not delivered, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    pub(crate) upto: u64,
    pub(crate) asked_us: u64,
}

/// A frame on its way to the subscribers below `end`.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) shared: Rc<Shared>,
    pub(crate) end: u32,
}

/// What only rooms with life in them need.
#[derive(Debug, Default)]
pub(crate) struct Lively {
    /// Users online with the number of their connections, all shards together.
    pub(crate) roster: BTreeMap<Arc<str>, u32>,
    pub(crate) came: Vec<Arc<str>>,
    pub(crate) went: Vec<Arc<str>>,
    pub(crate) presence_at_us: u64,
    pub(crate) presence_due: bool,
    pub(crate) typists: Vec<Typist>,
    /// Signals of this poll round: line and the connection it came from.
    pub(crate) signals: Vec<(u32, Vec<u8>)>,
    pub(crate) signal_bytes: usize,
    /// Runs that arrived beyond a hole, by first seq.
    pub(crate) ahead: BTreeMap<u64, Part>,
    /// The highest seq that arrived beyond a hole, kept or not.
    pub(crate) ahead_upto: u64,
    /// The repair under way, and whether the room stands in the list of those to look after.
    pub(crate) hole: Option<Hole>,
    pub(crate) hole_listed: bool,
    /// Who was put out, at which seq, while answers of the store are under way.
    pub(crate) outs: VecDeque<(u64, Box<str>)>,
    pub(crate) outs_forgotten: u64,
    /// The fan-out under way and how far it is.
    pub(crate) active: Vec<Pending>,
    pub(crate) cursor: u32,
    pub(crate) pending: Vec<Pending>,
    pub(crate) queued: bool,
    pub(crate) vacant: u32,
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    /// Tells apart rooms that had the same index one after the other.
    pub(crate) serial: u64,
    pub(crate) name: Rc<str>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) recent: VecDeque<Rc<Shared>>,
    recent_bytes: usize,
    recent_events: usize,
    /// The last seq delivered; unknown until the first answer of the store.
    pub(crate) last: Option<u64>,
    /// Answers of the store that are under way.
    pub(crate) opening: u32,
    /// Whether it stands in the queue of rooms whose memory may be taken.
    pub(crate) remembered: bool,
    /// Whether it stands in the queue of rooms to be forgotten.
    pub(crate) idling: bool,
    pub(crate) idle_since_us: u64,
    pub(crate) lively: Option<Box<Lively>>,
}

impl Room {
    pub(crate) fn new(serial: u64, name: Rc<str>, now_us: u64) -> Self {
        Self {
            serial,
            name,
            subscribers: Vec::new(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_events: 0,
            last: None,
            opening: 0,
            remembered: false,
            idling: false,
            idle_since_us: now_us,
            lively: None,
        }
    }

    /// Whether it is somebody's private log.
    pub(crate) fn is_private(&self) -> bool {
        self.name.contains(':')
    }

    pub(crate) fn lively(&mut self) -> &mut Lively {
        self.lively.get_or_insert_default()
    }

    pub(crate) fn online(&self) -> u64 {
        self.lively
            .as_ref()
            .map_or(0, |lively| lively.roster.len() as u64)
    }

    /// The runs held in memory, oldest first.
    pub(crate) fn recent_runs(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&Rc<Shared>, &Arc<RunData>)> {
        self.recent.iter().filter_map(|shared| match &shared.0 {
            Content::Run { run, .. } => Some((shared, run)),
            Content::Ephemeral { .. } | Content::Control(_) => None,
        })
    }

    /// The last seq that is known here: delivered, or held until the first answer of the store.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.last
            .or_else(|| self.recent_runs().next_back().map(|(_, run)| run.last()))
    }

    /// Whether it is of use to nobody: no subscriber here or elsewhere, no answer under way.
    pub(crate) fn is_deserted(&self) -> bool {
        let roster = self
            .lively
            .as_ref()
            .is_some_and(|lively| !lively.roster.is_empty());
        self.subscribers.is_empty() && self.opening == 0 && !roster && !self.is_fanning()
    }

    /// Notes that a user was put out at `seq`, for answers that were read before that.
    pub(crate) fn note_out(&mut self, seq: u64, user: &str) {
        if self.opening == 0 {
            return;
        }
        let lively = self.lively();
        if lively.outs.len() >= OUTS_MAX
            && let Some((forgotten, _)) = lively.outs.pop_front()
        {
            lively.outs_forgotten = forgotten;
        }
        lively.outs.push_back((seq, user.into()));
    }

    /// Whether `user` was put out after an answer was read at `head`.
    pub(crate) fn was_put_out(&self, user: &str, head: u64) -> bool {
        self.lively.as_ref().is_some_and(|lively| {
            head < lively.outs_forgotten
                || lively
                    .outs
                    .iter()
                    .any(|(seq, out)| *seq > head && **out == *user)
        })
    }

    /// An answer of the store has come or will not come.
    pub(crate) fn end_opening(&mut self) {
        self.opening -= 1;
        if self.opening == 0
            && let Some(lively) = self.lively.as_mut()
        {
            lively.outs = VecDeque::new();
            lively.outs_forgotten = 0;
        }
    }

    /// The lowest seq from which everything up to `last` is held; 0 for nothing.
    pub(crate) fn held_from(&self) -> u64 {
        self.recent_runs().next().map_or(0, |(_, run)| run.first)
    }

    /// Whether memory holds everything in `after + 1 ..= last`.
    pub(crate) fn holds_after(&self, after: u64) -> bool {
        self.last.is_some_and(|last| after >= last)
            || (self.held_from() != 0 && self.held_from() <= after + 1)
    }

    /// Keeps a run for resume; returns the bytes that the room's memory grew by, maybe negative.
    pub(crate) fn remember(&mut self, shared: Rc<Shared>) -> isize {
        let before = self.recent_bytes;
        if let Content::Run { run, .. } = &shared.0 {
            self.recent_bytes += run.payload_bytes();
            self.recent_events += run.len();
            self.recent.push_back(shared);
        }
        while self.recent.len() > 1
            && (self.recent_bytes > RECENT_ROOM_BYTES_MAX
                || self.recent_events > RECENT_ROOM_EVENTS_MAX)
        {
            self.forget_oldest();
        }
        self.recent_bytes.cast_signed() - before.cast_signed()
    }

    /// Gives up the oldest run; the bytes that were freed.
    pub(crate) fn forget_oldest(&mut self) -> usize {
        let Some(shared) = self.recent.pop_front() else {
            return 0;
        };
        let Content::Run { run, .. } = &shared.0 else {
            return 0;
        };
        self.recent_bytes -= run.payload_bytes();
        self.recent_events -= run.len();
        if self.recent.is_empty() {
            self.recent = VecDeque::new();
        }
        run.payload_bytes()
    }

    pub(crate) fn recent_bytes(&self) -> usize {
        self.recent_bytes
    }

    /// Whether a fan-out is under way, so that slots must not move.
    pub(crate) fn is_fanning(&self) -> bool {
        self.lively
            .as_ref()
            .is_some_and(|it| !it.active.is_empty() || !it.pending.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room without life in it, and a subscription, which fan-outs walk over.
    #[test]
    fn a_room_is_small() {
        assert!(size_of::<Room>() <= 176, "{}", size_of::<Room>());
        assert_eq!(size_of::<Subscriber>(), 8);
    }
}
