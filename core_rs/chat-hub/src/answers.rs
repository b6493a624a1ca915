//! What the control plane answers: acks, refusals, `sub`, `hello`, and when they must wait.

use std::rc::Rc;
use std::sync::Arc;

use chat_proto::close::CloseCode;
use chat_proto::encode::{self, ErrLine, SubOk};
use chat_proto::error::ErrorCode;
use chat_proto::limits;

use crate::bounds::{
    SUB_TRIES_MAX, WAITING_ANSWERS_MAX, WAITING_REPAIR_US, WAITING_US, WELCOME_BYTES,
};
use crate::conn::{Opening, Phase};
use crate::effect::{
    Ack, Ask, Attach, Handle, Missed, Refusal, Renewal, Since, Submission, Welcome,
};
use crate::hub::Hub;
use crate::inbound::{PLAIN, log_name};
use crate::run::{Content, RunData, Shared};

/// An answer that names an event which is committed but has not been delivered here yet.
pub(crate) enum Waiting {
    Attach(Attach),
    Welcome(Box<Welcome>),
}

/// What a resume comes to.
pub(crate) enum Replay {
    /// The frames that were missed, oldest first.
    Whole(Vec<Rc<Shared>>),
    /// Too far behind.
    Gap,
    /// What memory held is gone; ask the store.
    Lost,
}

impl Hub {
    fn live(&mut self, handle: Handle) -> Option<u32> {
        let index = self.desk.find(handle)?;
        self.answered(index);
        (self.desk.conn(index).phase == Phase::Live).then_some(index)
    }

    /// A `send` is stored.
    pub fn ack(&mut self, ack: &Ack) {
        let Some(index) = self.live(ack.handle) else {
            return;
        };
        let ack = *ack;
        self.acked_us.push(ack.received_us);
        self.desk.tell(index, |out| {
            encode::ok_send(out, ack.id, ack.seq, ack.n, ack.ts_ms, ack.dup);
        });
    }

    /// `ok` with ready fields.
    pub fn reply(&mut self, handle: Handle, id: u64, fields: &[u8]) {
        let Some(index) = self.live(handle) else {
            return;
        };
        self.desk.tell(index, |out| encode::ok_raw(out, id, fields));
    }

    /// `err`, whatever the op; a refused `hello` closes.
    pub fn refuse(&mut self, refusal: &Refusal) {
        let Some(index) = self.desk.find(refusal.handle) else {
            return;
        };
        self.answered(index);
        self.let_go(index, refusal.id);
        match self.desk.conn(index).phase {
            Phase::Authenticating => {
                self.refuse_greeting(index, Some(refusal.id), refusal.code);
            }
            Phase::Live => {
                let line = ErrLine {
                    id: Some(refusal.id),
                    code: refusal.code,
                    field: refusal.field.as_deref(),
                    msg: refusal.message.as_deref(),
                    retry_after_ms: refusal.retry_after_ms,
                    room: refusal.room.as_deref(),
                };
                self.err(index, &line);
            }
            Phase::Handshake | Phase::Greeting | Phase::Closing | Phase::Gone => {}
        }
    }

    /// `auth` was good.
    pub fn authorize(&mut self, renewal: Renewal) {
        let Renewal {
            handle,
            id,
            session,
            expires_ms,
            now_ms,
        } = renewal;
        let Some(index) = self.live(handle) else {
            return;
        };
        if self.ended.contains_key(session.as_str()) {
            return self.close(index, CloseCode::SESSION_REVOKED, "");
        }
        let expires_us = self.desk.now_us + expires_ms.saturating_sub(now_ms) * 1000;
        let conn = self.desk.conn(index);
        conn.session = session.into();
        conn.expires_us = expires_us;
        conn.warned = false;
        let soon_us = expires_us.saturating_sub(crate::bounds::AUTH_EXPIRING_US);
        self.desk.wake_at(index, soon_us);
        self.desk
            .tell(index, |out| encode::ok_auth(out, id, expires_ms));
    }

    /// The answer to `sub`; it waits until the events that it counts on are here.
    pub fn attach(&mut self, answer: Attach) {
        self.wait_or_do(Waiting::Attach(answer));
    }

    /// The answer to `hello`; it waits as [`Self::attach`] does.
    pub fn welcome(&mut self, answer: Welcome) {
        self.wait_or_do(Waiting::Welcome(Box::new(answer)));
    }

    fn wait_or_do(&mut self, answer: Waiting) {
        if self.behind(&answer).is_none() {
            self.do_answer(answer);
        } else if self.waiting.len() < WAITING_ANSWERS_MAX {
            self.waiting.push_back((self.desk.now_us, answer));
        } else {
            self.give_up(&answer);
        }
    }

    /// The events that an answer counts on do not come, or too many wait: try again later.
    fn give_up(&mut self, answer: &Waiting) {
        let (handle, id) = match answer {
            Waiting::Attach(attach) => (attach.handle, attach.id),
            Waiting::Welcome(welcome) => (welcome.handle, welcome.id),
        };
        let code = ErrorCode::Unavailable;
        let (room, message, field, retry_after_ms) = (None, None, None, None);
        self.refuse(&Refusal {
            handle,
            id,
            room,
            code,
            message,
            field,
            retry_after_ms,
        });
    }

    fn do_answer(&mut self, answer: Waiting) {
        match answer {
            Waiting::Attach(attach) => self.do_attach(&attach),
            Waiting::Welcome(welcome) => self.do_welcome(&welcome),
        }
    }

    /// The first log of which the hub has not yet delivered what the answer counts on, and up to
    /// where. None also where nobody is there any more who waits for it.
    fn behind(&self, answer: &Waiting) -> Option<(u32, u64)> {
        let late = |log: &str, head: u64| {
            let at = *self.by_name.get(log)?;
            let newest = self.rooms[at as usize].newest()?;
            (newest < head).then_some((at, head))
        };
        let index = self.desk.find(answer.handle())?;
        let conn = &self.desk.conns[index as usize];
        match answer {
            Waiting::Attach(attach) if conn.phase == Phase::Live => {
                late(&log_name(&attach.room, conn.user.as_ref()?), attach.head)
            }
            Waiting::Welcome(welcome) if conn.phase == Phase::Authenticating => {
                let rooms = welcome.rooms.iter().filter(|room| room.role.is_some());
                let mut all = rooms.chain(std::iter::once(&welcome.me));
                all.find_map(|room| late(&log_name(&room.room, &welcome.user), room.head))
            }
            Waiting::Attach(_) | Waiting::Welcome(_) => None,
        }
    }

    /// Does the answers that have waited and may go now; asks for a repair where it takes long,
    /// and refuses where it takes too long.
    pub fn retry_waiting(&mut self, may_repair: bool) {
        for _ in 0..self.waiting.len() {
            let Some((since_us, answer)) = self.waiting.pop_front() else {
                return;
            };
            let Some((at, head)) = self.behind(&answer) else {
                self.do_answer(answer);
                continue;
            };
            let waited_us = self.desk.now_us - since_us;
            if waited_us > WAITING_US {
                self.give_up(&answer);
                continue;
            }
            if may_repair && waited_us > WAITING_REPAIR_US {
                self.repair(at, head);
            }
            self.waiting.push_back((since_us, answer));
        }
    }

    /// Opens the log at `head`, or learns that more is here already. An answer is not done while
    /// less is here, so that what is held always reaches up to the last event.
    pub(crate) fn settle(&mut self, at: u32, head: u64) -> u64 {
        let room = &mut self.rooms[at as usize];
        let newest = room.newest().map_or(head, |newest| newest.max(head));
        *room.last.get_or_insert(newest)
    }

    fn do_attach(&mut self, answer: &Attach) {
        let Some(index) = self.live(answer.handle) else {
            return;
        };
        let Some(user) = self.desk.conn(index).user.clone() else {
            return;
        };
        let log = log_name(&answer.room, &user);
        let at = self.room_of(&log);
        let last = self.settle(at, answer.head);
        let room = &self.rooms[at as usize];
        if !room.holds_after(answer.head) || room.was_put_out(&user, answer.head) {
            return self.ask_again(index, at, answer);
        }
        let fate = self.fate(answer.since.as_ref(), last);
        let replay = match fate {
            Fate::Resume(since) => Some(self.replay(at, since, last, &answer.missed, &mut 0)),
            Fate::Fresh | Fate::OtherEpoch => None,
        };
        let asked_again = self
            .opening_of(index, answer.id)
            .is_some_and(|it| it.tries > 0);
        let store_has_none = asked_again && matches!(answer.missed, Missed::Held);
        if matches!(replay, Some(Replay::Lost)) && !store_has_none {
            return self.ask_again(index, at, answer);
        }
        let cancelled = self.let_go(index, answer.id).is_some_and(|it| it.cancelled);
        if !cancelled {
            self.join(index, at, answer.want);
        }
        let room = &self.rooms[at as usize];
        let (online, n) = (room.online(), answer.n + messages_after(room, answer.head));
        let recovered = answer
            .since
            .as_ref()
            .map(|_| matches!(replay, Some(Replay::Whole(_))));
        let ok = SubOk {
            epoch: &self.config.epoch,
            seq: last,
            n,
            read: answer.read,
            online,
            role: &answer.role,
            recovered,
        };
        self.desk
            .tell(index, |out| encode::ok_sub(out, answer.id, &ok));
        if !cancelled {
            self.say_missed(index, &answer.room, &fate, replay, last);
        }
    }

    /// What the `since` of a client asks for, given the log's last seq.
    pub(crate) fn fate(&self, since: Option<&Since>, last: u64) -> Fate {
        match since {
            None => Fate::Fresh,
            Some((epoch, seq)) if *epoch != self.config.epoch || *seq > last => Fate::OtherEpoch,
            Some((_, seq)) => Fate::Resume(*seq),
        }
    }

    pub(crate) fn say_missed(
        &mut self,
        index: u32,
        room: &str,
        fate: &Fate,
        replay: Option<Replay>,
        last: u64,
    ) {
        match (fate, replay) {
            (_, Some(Replay::Whole(frames))) => {
                self.desk.stats.resumes_recovered += 1;
                for shared in &frames {
                    self.desk.offer(index, shared, 0);
                }
            }
            (Fate::Resume(since), _) => {
                self.desk.stats.resumes_gap += 1;
                self.desk
                    .tell(index, |out| encode::gap(out, room, since + 1, last));
            }
            (Fate::OtherEpoch, _) => {
                self.desk.stats.resumes_epoch += 1;
                let epoch = &self.config.epoch;
                self.desk
                    .tell(index, |out| encode::epoch(out, room, epoch, last));
            }
            (Fate::Fresh, _) => {}
        }
    }

    fn ask_again(&mut self, index: u32, at: u32, answer: &Attach) {
        let tries = self.opening_of(index, answer.id).map_or(0, |it| it.tries);
        if tries >= SUB_TRIES_MAX {
            self.let_go(index, answer.id);
            let code = ErrorCode::Overloaded;
            return self.err(
                index,
                &ErrLine {
                    id: Some(answer.id),
                    code,
                    ..PLAIN
                },
            );
        }
        let Some(user) = self.desk.conn(index).user.clone() else {
            return;
        };
        if let Some(opening) = self.opening_of(index, answer.id) {
            opening.tries += 1;
        } else {
            self.rooms[at as usize].opening += 1;
            let opening = Opening {
                id: answer.id,
                room: at,
                tries: 1,
                cancelled: false,
            };
            self.desk.conn(index).cold().opening.push(opening);
        }
        self.desk.conn(index).in_flight += 1;
        self.submissions.push(Submission::Ask(Ask::Sub {
            handle: answer.handle,
            id: answer.id,
            user,
            room: answer.room.clone(),
            since: answer.since.clone(),
            want: answer.want,
            held_from: 0,
        }));
    }

    /// The frames after `since` up to `last`, within the bounds: from memory where it reaches, else
    /// from the answer and then from memory. `spent` are the bytes that this `hello` has replayed
    /// already.
    pub(crate) fn replay(
        &mut self,
        at: u32,
        since: u64,
        last: u64,
        missed: &Missed,
        spent: &mut usize,
    ) -> Replay {
        if last - since > limits::RESUME_EVENTS_MAX {
            return Replay::Gap;
        }
        let room = &self.rooms[at as usize];
        let here = match missed {
            _ if room.holds_after(since) => &[][..],
            Missed::TooMany => return Replay::Gap,
            Missed::Here(runs) => runs,
            Missed::Held => return Replay::Lost,
        };
        let (mut frames, mut bytes, mut upto) = (Vec::new(), 0, since);
        for run in here.iter().filter(|run| run.last() > since) {
            bytes += copy_after(room, run, upto, &mut frames);
            upto = run.last();
        }
        if !room.holds_after(upto) {
            return Replay::Lost;
        }
        for (shared, run) in room.recent_runs() {
            if run.last() <= upto {
                continue;
            }
            if run.first > upto {
                bytes += run.payload_bytes();
                frames.push(shared.clone());
            } else {
                bytes += copy_after(room, run, upto, &mut frames);
            }
            upto = run.last();
        }
        let left = limits::HELLO_RESUME_BYTES_MAX - WELCOME_BYTES;
        if bytes > limits::RESUME_BYTES_MAX || *spent + bytes > left {
            return Replay::Gap;
        }
        *spent += bytes;
        Replay::Whole(frames)
    }
}

/// What a client's position means for its resume.
pub(crate) enum Fate {
    Fresh,
    OtherEpoch,
    Resume(u64),
}

impl Waiting {
    fn handle(&self) -> Handle {
        match self {
            Self::Attach(attach) => attach.handle,
            Self::Welcome(welcome) => welcome.handle,
        }
    }
}

/// Adds own frames over those lines of a run that come after `upto`; how many bytes.
fn copy_after(
    room: &crate::room::Room,
    run: &RunData,
    upto: u64,
    frames: &mut Vec<Rc<Shared>>,
) -> usize {
    let mut bytes = 0;
    for run in RunData::frames(run.first.max(upto + 1), run.lines_after(upto)) {
        bytes += run.payload_bytes();
        let (room, run) = (room.name.clone(), Arc::new(run));
        frames.push(Rc::new(Shared(Content::Run {
            room,
            run,
            committed_us: 0,
        })));
    }
    bytes
}

pub(crate) fn messages_after(room: &crate::room::Room, seq: u64) -> u64 {
    room.recent_runs()
        .map(|(_, run)| run.messages_after(seq))
        .sum()
}
