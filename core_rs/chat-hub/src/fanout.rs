//! Durable events on their way to subscribers: in order, once, in slices.

use std::rc::Rc;
use std::sync::Arc;

use crate::bounds::{AHEAD_RUNS_MAX, FANOUT_PASS_BYTES, FANOUT_SLICE_MEMBERS, REPAIR_EVERY_US};
use crate::effect::{Action, Ask, Change, Delivered, Part, Submission};
use crate::hub::Hub;
use crate::room::{Hole, Pending, VACANT};
use crate::run::{Content, RunData, Shared};

impl Hub {
    /// One room's events of a commit. The only way in for durable events.
    pub fn deliver(&mut self, delivered: &Delivered, committed_us: u64) {
        let log = &*delivered.log;
        let at = match self.by_name.get(log) {
            Some(&at) => at,
            // Perhaps the log of somebody whose `hello` is being judged: who it is, is not known.
            None if self.authenticating > 0 && log.contains(':') => self.room_of(log),
            None => return,
        };
        let room = &self.rooms[at as usize];
        if room.is_private() && room.subscribers.is_empty() {
            self.rest(at);
        }
        for part in &delivered.parts {
            self.deliver_part(at, part, committed_us);
        }
        self.deliver_ahead(at, committed_us);
    }

    fn deliver_part(&mut self, at: u32, part: &Part, committed_us: u64) {
        let room = &self.rooms[at as usize];
        let (first, end) = (part.data.first, part.data.last());
        match room.newest() {
            Some(newest) if end <= newest => {}
            Some(newest) if first <= newest => {
                let frames = RunData::frames(newest + 1, part.data.lines_after(newest));
                let count = frames.len();
                for (nth, data) in frames.into_iter().enumerate() {
                    let data = Arc::new(data);
                    let changes: &[Change] = if nth + 1 == count { &part.changes } else { &[] };
                    self.accept(at, data, changes, committed_us);
                }
            }
            Some(newest) if first > newest + 1 => {
                if room.last.is_some() {
                    return self.keep_ahead(at, part);
                }
                // A hole before the first answer of the store: what is held is of no use.
                self.forget_recent(at);
                self.accept(at, part.data.clone(), &part.changes, committed_us);
            }
            _ => self.accept(at, part.data.clone(), &part.changes, committed_us),
        }
    }

    fn accept(&mut self, at: u32, run: Arc<RunData>, changes: &[Change], committed_us: u64) {
        let room = &mut self.rooms[at as usize];
        let end = run.last();
        let name = room.name.clone();
        let shared = Rc::new(Shared(Content::Run {
            room: name,
            run,
            committed_us,
        }));
        let grown = room.remember(shared.clone());
        self.recent_bytes = self.recent_bytes.saturating_add_signed(grown);
        if !room.remembered {
            room.remembered = true;
            self.remembered.push_back((at, room.serial));
        }
        if let Some(last) = room.last.as_mut() {
            *last = end;
        }
        self.spread(at, shared);
        for change in changes {
            self.apply(at, end, change);
        }
        self.keep_memory_bounded();
    }

    /// A run beyond a hole is kept; the log is asked for what is missing.
    fn keep_ahead(&mut self, at: u32, part: &Part) {
        let lively = self.rooms[at as usize].lively();
        lively.ahead_upto = lively.ahead_upto.max(part.data.last());
        if lively.ahead.len() < AHEAD_RUNS_MAX {
            lively.ahead.insert(part.data.first, part.clone());
        }
        let upto = part.data.first - 1;
        self.repair(at, upto);
    }

    /// Asks the log for what comes after the newest event here, one repair of a room at a time.
    pub(crate) fn repair(&mut self, at: u32, upto: u64) {
        let now_us = self.desk.now_us;
        let room = &mut self.rooms[at as usize];
        let (log, serial, after) = (
            room.name.to_string(),
            room.serial,
            room.newest().unwrap_or(0),
        );
        let lively = room.lively();
        let again = |hole: Hole| now_us >= hole.asked_us + REPAIR_EVERY_US;
        if !lively.hole.is_none_or(again) {
            return;
        }
        lively.hole = Some(Hole {
            upto,
            asked_us: now_us,
        });
        if !std::mem::replace(&mut lively.hole_listed, true) {
            self.holes.push((at, serial));
        }
        self.desk.stats.repairs += 1;
        self.submissions
            .push(Submission::Ask(Ask::Repair { log, after, upto }));
    }

    /// Asks again for what a repair has not brought.
    pub(crate) fn repair_again(&mut self) {
        for (at, serial) in std::mem::take(&mut self.holes) {
            let room = self
                .rooms
                .get_mut(at as usize)
                .filter(|room| room.serial == serial);
            let Some(room) = room else { continue };
            let newest = room.newest();
            let lively = room.lively();
            let open = |hole: &Hole| newest.is_none_or(|newest| newest < hole.upto);
            if let Some(Hole { upto, .. }) = lively.hole.filter(open) {
                self.holes.push((at, serial));
                self.repair(at, upto);
            } else {
                lively.hole_listed = false;
                lively.hole = None;
            }
        }
    }

    fn deliver_ahead(&mut self, at: u32, committed_us: u64) {
        while let Some(room) = self.rooms.get_mut(at as usize)
            && let Some(last) = room.last
            && let Some(lively) = room.lively.as_mut()
        {
            lively.hole = lively.hole.filter(|hole| hole.upto > last);
            let next = lively.ahead.first_key_value().map(|(&first, _)| first);
            let upto = lively.ahead_upto;
            match next {
                Some(first) if first <= last + 1 => {
                    if let Some(part) = lively.ahead.remove(&first) {
                        self.deliver_part(at, &part, committed_us);
                    }
                }
                Some(first) => return self.repair(at, first - 1),
                None if upto > last => return self.repair(at, upto),
                None => return,
            }
        }
    }

    fn forget_recent(&mut self, at: u32) {
        let room = &mut self.rooms[at as usize];
        loop {
            let freed = room.forget_oldest();
            if freed == 0 {
                break;
            }
            self.recent_bytes -= freed;
        }
    }

    /// Over the bound the room whose memory is oldest gives it up.
    fn keep_memory_bounded(&mut self) {
        while self.recent_bytes > self.config.recent_bytes_max
            && let Some((at, serial)) = self.remembered.pop_front()
        {
            match self.rooms.get_mut(at as usize) {
                Some(room) if room.serial == serial => {
                    room.remembered = false;
                    self.forget_recent(at);
                }
                _ => self.remembered_stale = self.remembered_stale.saturating_sub(1),
            }
        }
    }

    /// Queues a frame for every subscriber of now, at once or, in a big room, in slices.
    pub(crate) fn spread(&mut self, at: u32, shared: Rc<Shared>) {
        let failing = self.count_fanout(&shared);
        let room = &mut self.rooms[at as usize];
        let count = room.subscribers.len();
        if count > FANOUT_SLICE_MEMBERS || room.is_fanning() {
            let lively = room.lively();
            lively.pending.push(Pending {
                shared,
                end: count as u32,
            });
            if !std::mem::replace(&mut lively.queued, true) {
                self.fanning.push_back(at);
            }
            return;
        }
        let reach = if failing { count / 2 } else { count };
        for subscriber in &room.subscribers[..reach] {
            self.desk.offer(subscriber.conn, &shared, subscriber.wants);
        }
        self.fanned(&shared);
    }

    fn count_fanout(&mut self, shared: &Shared) -> bool {
        if matches!(shared.0, Content::Run { .. }) {
            self.fanouts += 1;
            let armed = self.config.failpoint_mid_fanout;
            self.failed |= armed != 0 && self.fanouts == armed;
        }
        self.failed
    }

    fn fanned(&mut self, shared: &Shared) {
        if let Content::Run { committed_us, .. } = &shared.0 {
            self.fanned_us.push(*committed_us);
        }
    }

    /// Serves one slice of the fan-outs under way; write what is dirty, then call again.
    pub fn fan_out(&mut self) {
        let Some(at) = self.fanning.pop_front() else {
            return;
        };
        let Some(room) = self.rooms.get_mut(at as usize) else {
            return;
        };
        let Some(lively) = room.lively.as_mut() else {
            return;
        };
        if lively.active.is_empty() {
            let mut bytes = 0;
            let within = lively.pending.iter().take_while(|it| {
                bytes += it.shared.frame().payload().len();
                bytes <= FANOUT_PASS_BYTES
            });
            let count = within.count().max(1).min(lively.pending.len());
            lively.active = lively.pending.drain(..count).collect();
            lively.cursor = 0;
        }
        let from = lively.cursor as usize;
        let to = room.subscribers.len().min(from + FANOUT_SLICE_MEMBERS);
        for slot in from..to {
            let subscriber = room.subscribers[slot];
            if subscriber.conn == VACANT {
                continue;
            }
            for pending in lively.active.iter().filter(|it| slot < it.end as usize) {
                self.desk
                    .offer(subscriber.conn, &pending.shared, subscriber.wants);
            }
        }
        lively.cursor = to as u32;
        let end = lively.active.last().map_or(0, |it| it.end as usize);
        if to < end {
            self.fanning.push_back(at);
            return;
        }
        let done = std::mem::take(&mut lively.active);
        if lively.pending.is_empty() {
            lively.queued = false;
            if lively.vacant > 0 {
                self.compact(at);
            }
        } else {
            self.fanning.push_back(at);
        }
        for pending in &done {
            self.fanned(&pending.shared);
        }
    }

    /// A `member` event takes effect: those who are out see it last, then nothing more.
    fn apply(&mut self, at: u32, seq: u64, change: &Change) {
        if change.action != Action::Out {
            return;
        }
        for user in &change.users {
            self.rooms[at as usize].note_out(seq, user);
            let Some(&own) = self.by_name.get(format!("me:{user}").as_str()) else {
                continue;
            };
            let devices: Vec<u32> = self.rooms[own as usize]
                .subscribers
                .iter()
                .map(|it| it.conn)
                .collect();
            for index in devices.into_iter().filter(|it| *it != VACANT) {
                if let Some(place) = self.desk.conn(index).place_of(at) {
                    self.catch_up(at, place.slot);
                    self.leave(index, place);
                }
            }
        }
    }

    /// Gives one subscriber what fan-outs under way still hold for it.
    pub(crate) fn catch_up(&mut self, at: u32, slot: u32) {
        let room = &self.rooms[at as usize];
        let Some(lively) = room.lively.as_ref() else {
            return;
        };
        let subscriber = room.subscribers[slot as usize];
        let active = lively.active.iter().filter(|_| slot >= lively.cursor);
        for pending in active.chain(&lively.pending).filter(|it| slot < it.end) {
            self.desk
                .offer(subscriber.conn, &pending.shared, subscriber.wants);
        }
    }
}
