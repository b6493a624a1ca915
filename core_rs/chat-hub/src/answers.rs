//! What the control plane answers: acks, refusals, `sub`, `hello`, and when they must wait.

use std::rc::Rc;

use chat_proto::close::CloseCode;
use chat_proto::encode::{self, ErrLine, LimitsView, ResumeRow, SubOk};
use chat_proto::error::ErrorCode;
use chat_proto::limits;

use crate::bounds::{SUB_TRIES_MAX, WAITING_ANSWERS_MAX, WAITING_REPAIR_US};
use crate::conn::Phase;
use crate::effect::{Ack, Ask, Attach, Handle, Missed, Refusal, Resume, Since, Submission, Welcome};
use crate::hub::Hub;
use crate::inbound::{PLAIN, log_name};
use crate::run::{Content, RunData, Shared};

/// An answer that names an event which is committed but has not been delivered here yet.
pub(crate) enum Waiting {
    Attach(Attach),
    Welcome(Box<Welcome>),
}

/// What a resume comes to.
enum Replay {
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
        let Some(index) = self.live(ack.handle) else { return };
        let conn = self.desk.conn(index);
        conn.sends_in_flight = conn.sends_in_flight.saturating_sub(1);
        let ack = *ack;
        self.desk.tell(index, |out| {
            encode::ok_send(out, ack.id, ack.seq, ack.n, ack.ts_ms, ack.dup);
        });
    }

    /// `ok` with ready fields.
    pub fn reply(&mut self, handle: Handle, id: u64, fields: &[u8]) {
        let Some(index) = self.live(handle) else { return };
        self.desk.tell(index, |out| encode::ok_raw(out, id, fields));
    }

    /// `err`. A refused `send` is one that is no longer in flight; a refused `hello` closes.
    pub fn refuse(&mut self, refusal: &Refusal, of_send: bool) {
        let Some(index) = self.desk.find(refusal.handle) else { return };
        self.answered(index);
        self.let_go(index, refusal.id);
        let conn = self.desk.conn(index);
        if of_send {
            conn.sends_in_flight = conn.sends_in_flight.saturating_sub(1);
        }
        match conn.phase {
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
    pub fn authorize(&mut self, handle: Handle, id: u64, expires_ms: u64, now_ms: u64) {
        let Some(index) = self.live(handle) else { return };
        let expires_us = self.desk.now_us + expires_ms.saturating_sub(now_ms) * 1000;
        let conn = self.desk.conn(index);
        conn.expires_us = expires_us;
        conn.warned = false;
        let soon_us = expires_us.saturating_sub(crate::bounds::AUTH_EXPIRING_US);
        self.desk.wake_at(index, soon_us);
        self.desk.tell(index, |out| encode::ok_auth(out, id, expires_ms));
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
            self.waiting.push_back((self.desk.now_us, false, answer));
        } else if let Some(index) = self.desk.find(answer.handle()) {
            self.close(index, CloseCode::OVERLOADED, "");
        }
    }

    fn do_answer(&mut self, answer: Waiting) {
        match answer {
            Waiting::Attach(attach) => self.do_attach(&attach),
            Waiting::Welcome(welcome) => self.do_welcome(*welcome),
        }
    }

    /// The first log of which the hub has not yet delivered what the answer counts on.
    fn behind(&self, answer: &Waiting) -> Option<(String, u64, u64)> {
        let late = |log: String, head: u64| {
            let at = *self.by_name.get(log.as_str())?;
            let last = self.rooms[at as usize].last?;
            (last < head).then_some((log, last, head))
        };
        match answer {
            Waiting::Attach(attach) => {
                let index = self.desk.find(attach.handle)?;
                let user = self.desk.conns[index as usize].user.as_ref()?;
                late(log_name(&attach.room, user), attach.head)
            }
            Waiting::Welcome(welcome) => {
                let rooms = welcome.rooms.iter().filter(|room| room.role.is_some());
                let mut all = rooms.chain(std::iter::once(&welcome.me));
                all.find_map(|room| late(log_name(&room.room, &welcome.user), room.head))
            }
        }
    }

    /// Does the answers that have waited and may go now; asks for a repair where it takes long.
    pub fn retry_waiting(&mut self, may_repair: bool) {
        for _ in 0..self.waiting.len() {
            let Some((since_us, asked, answer)) = self.waiting.pop_front() else { return };
            let Some((log, last, head)) = self.behind(&answer) else {
                self.do_answer(answer);
                continue;
            };
            let long = self.desk.now_us > since_us + WAITING_REPAIR_US;
            let ask = may_repair && long && !asked;
            if ask {
                self.ask_repair(log, last, head);
            }
            self.waiting.push_back((since_us, asked || ask, answer));
        }
    }

    /// Opens the log at `head`, or learns that more is here already.
    fn settle(&mut self, at: u32, head: u64) -> u64 {
        let room = &mut self.rooms[at as usize];
        let held = room.recent_runs().last().map(|(_, run)| run.last());
        *room.last.get_or_insert(held.map_or(head, |held| held.max(head)))
    }

    fn do_attach(&mut self, answer: &Attach) {
        let Some(index) = self.live(answer.handle) else { return };
        let Some(user) = self.desk.conn(index).user.clone() else { return };
        let log = log_name(&answer.room, &user);
        let at = self.room_of(&log);
        let last = self.settle(at, answer.head);
        if !self.rooms[at as usize].holds_after(answer.head) {
            return self.ask_again(index, at, answer);
        }
        let fate = self.fate(answer.since.as_ref(), last);
        let replay = match fate {
            Fate::Resume(since) => Some(self.replay(at, since, last, &answer.missed, &mut 0)),
            Fate::Fresh | Fate::OtherEpoch => None,
        };
        if matches!(replay, Some(Replay::Lost)) {
            return self.ask_again(index, at, answer);
        }
        self.let_go(index, answer.id);
        self.join(index, at, answer.want);
        let room = &self.rooms[at as usize];
        let (online, n) = (room.online(), answer.n + messages_after(room, answer.head));
        let recovered = answer.since.as_ref().map(|_| matches!(replay, Some(Replay::Whole(_))));
        let ok = SubOk {
            epoch: &self.config.epoch,
            seq: last,
            n,
            read: answer.read,
            online,
            role: &answer.role,
            recovered,
        };
        self.desk.tell(index, |out| encode::ok_sub(out, answer.id, &ok));
        self.say_missed(index, &answer.room, &fate, replay, last);
    }

    /// What the `since` of a client asks for, given the log's last seq.
    fn fate(&self, since: Option<&Since>, last: u64) -> Fate {
        match since {
            None => Fate::Fresh,
            Some((epoch, seq)) if *epoch != self.config.epoch || *seq > last => Fate::OtherEpoch,
            Some((_, seq)) => Fate::Resume(*seq),
        }
    }

    fn say_missed(
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
                self.desk.tell(index, |out| encode::gap(out, room, since + 1, last));
            }
            (Fate::OtherEpoch, _) => {
                self.desk.stats.resumes_epoch += 1;
                let epoch = &self.config.epoch;
                self.desk.tell(index, |out| encode::epoch(out, room, epoch, last));
            }
            (Fate::Fresh, _) => {}
        }
    }

    fn ask_again(&mut self, index: u32, at: u32, answer: &Attach) {
        let tries = self.let_go(index, answer.id);
        if tries >= SUB_TRIES_MAX {
            let code = ErrorCode::Overloaded;
            return self.err(index, &ErrLine { id: Some(answer.id), code, ..PLAIN });
        }
        let Some(user) = self.desk.conn(index).user.clone() else { return };
        let conn = self.desk.conn(index);
        conn.cold().opening.push((answer.id, at, tries + 1));
        conn.in_flight += 1;
        self.rooms[at as usize].opening += 1;
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

    /// The frames after `since` up to `last`, from the answer and from memory, within the bounds.
    /// `spent` are the bytes that this `hello` has replayed already.
    fn replay(
        &mut self,
        at: u32,
        since: u64,
        last: u64,
        missed: &Missed,
        spent: &mut usize,
    ) -> Replay {
        if last - since > limits::RESUME_EVENTS_MAX || matches!(missed, Missed::TooMany) {
            return Replay::Gap;
        }
        let room = &self.rooms[at as usize];
        let (mut frames, mut bytes, mut upto) = (Vec::new(), 0, since);
        if let Missed::Here(runs) = missed {
            for run in runs {
                if run.last() <= upto {
                    continue;
                }
                bytes += run.payload_bytes();
                frames.extend(copied(room, run, upto));
                upto = run.last();
            }
        }
        if !room.holds_after(upto) {
            return Replay::Lost;
        }
        for (shared, run) in room.recent_runs().filter(|(_, run)| run.last() > since) {
            if run.last() <= upto {
                continue;
            }
            bytes += run.payload_bytes();
            if run.first > upto {
                frames.push(shared.clone());
            } else {
                frames.extend(copied(room, run, upto));
            }
            upto = run.last();
        }
        *spent += bytes;
        if bytes > limits::RESUME_BYTES_MAX || *spent > limits::HELLO_RESUME_BYTES_MAX {
            return Replay::Gap;
        }
        Replay::Whole(frames)
    }

    fn do_welcome(&mut self, answer: Welcome) {
        let Some(index) = self.desk.find(answer.handle) else { return };
        self.answered(index);
        if self.desk.conn(index).phase != Phase::Authenticating {
            return;
        }
        self.become_live(index, &answer);
        let me = self.room_of(&log_name("me", &answer.user));
        let me_last = self.settle(me, answer.me.head);
        let mut spent = 0;
        let mut rows = Vec::new();
        let mut after = Vec::new();
        if answer.me.since.is_some() {
            let row = self.resume(index, &answer.me, me, &mut spent, &mut after);
            rows.push(row);
        }
        for resume in &answer.rooms {
            let full = self.desk.conn(index).places.len() >= self.config.subscriptions_max;
            if resume.role.is_none() || full {
                rows.push(self.denied(resume));
                continue;
            }
            let at = self.room_of(&resume.room);
            self.settle(at, resume.head);
            rows.push(self.resume(index, resume, at, &mut spent, &mut after));
        }
        self.let_go(index, answer.id);
        self.join(index, me, 0);
        self.say_welcome(index, &answer, me_last, &rows);
        for (room, fate, replay, last) in after {
            self.say_missed(index, &room, &fate, replay, last);
        }
    }

    fn become_live(&mut self, index: u32, answer: &Welcome) {
        let now_us = self.desk.now_us;
        let expires_us = now_us + answer.expires_ms.saturating_sub(answer.now_ms) * 1000;
        let conn = self.desk.conn(index);
        conn.phase = Phase::Live;
        conn.user = Some(answer.user.clone());
        conn.session.clone_from(&answer.session);
        conn.deadline_us = u64::MAX;
        conn.expires_us = expires_us;
        let soon_us = expires_us.saturating_sub(crate::bounds::AUTH_EXPIRING_US);
        let wake_us = conn.ping_us.max(now_us).min(soon_us);
        self.desk.wake_at(index, wake_us);
        if self.desk.conn(index).held {
            self.resumable.push(index);
        }
    }

    fn denied<'a>(&self, resume: &'a Resume) -> Row<'a> {
        Row { room: &resume.room, status: "denied", seq: 0, n: 0, read: 0, role: None }
    }

    fn resume<'a>(
        &mut self,
        index: u32,
        resume: &'a Resume,
        at: u32,
        spent: &mut usize,
        after: &mut Vec<(String, Fate, Option<Replay>, u64)>,
    ) -> Row<'a> {
        let last = self.rooms[at as usize].last.unwrap_or(resume.head);
        let fate = self.fate(resume.since.as_ref(), last);
        let replay = match fate {
            Fate::Resume(since) => Some(self.replay(at, since, last, &resume.missed, spent)),
            Fate::Fresh | Fate::OtherEpoch => None,
        };
        let status = match (&fate, &replay) {
            (_, Some(Replay::Whole(_))) => "ok",
            (Fate::Resume(_), _) => "gap",
            (Fate::OtherEpoch, _) => "epoch",
            (Fate::Fresh, _) => "ok",
        };
        self.join(index, at, 0);
        let n = resume.n + messages_after(&self.rooms[at as usize], resume.head);
        after.push((resume.room.clone(), fate, replay, last));
        let role = resume.role.as_deref();
        Row { room: &resume.room, status, seq: last, n, read: resume.read, role }
    }

    fn say_welcome(&mut self, index: u32, answer: &Welcome, me_last: u64, rows: &[Row<'_>]) {
        let view = LimitsView {
            frame_in: limits::MESSAGE_BYTES_MAX as u64,
            frame_out: limits::FRAME_OUT_BYTES_MAX as u64,
            text: limits::TEXT_CODEPOINTS_MAX as u64,
            body: limits::BODY_BYTES_MAX as u64,
            cid: limits::CID_CHARS_MAX as u64,
            subs: self.config.subscriptions_max as u64,
            hist: u64::from(limits::HIST_EVENTS_MAX),
            resume_events: limits::RESUME_EVENTS_MAX,
            resume_bytes: limits::RESUME_BYTES_MAX as u64,
        };
        let epoch = self.config.epoch.as_str();
        let resume: Vec<ResumeRow<'_>> = rows.iter().map(|row| row.encoded(epoch)).collect();
        let welcome = encode::Welcome {
            session: &answer.session,
            user: &answer.user,
            server_time_ms: answer.now_ms,
            ping_ms: self.config.ping_ms,
            limits: &view,
            me: (epoch, me_last),
            resume: &resume,
        };
        self.desk.tell(index, |out| encode::welcome(out, &welcome));
    }
}

/// What a client's position means for its resume.
enum Fate {
    Fresh,
    OtherEpoch,
    Resume(u64),
}

struct Row<'a> {
    room: &'a str,
    status: &'static str,
    seq: u64,
    n: u64,
    read: u64,
    role: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn encoded(&self, epoch: &'a str) -> ResumeRow<'a> {
        let Self { room, status, seq, n, read, role } = *self;
        ResumeRow { room, status, epoch, seq, n, read, role }
    }
}

impl Waiting {
    fn handle(&self) -> Handle {
        match self {
            Self::Attach(attach) => attach.handle,
            Self::Welcome(welcome) => welcome.handle,
        }
    }
}

/// Own frames over those lines of a run that come after `upto`.
fn copied(room: &crate::room::Room, run: &RunData, upto: u64) -> Vec<Rc<Shared>> {
    let first = run.first.max(upto + 1);
    let frames = RunData::frames(first, run.lines_after(upto)).into_iter();
    let shared = |run| Content::Run { room: room.name.clone(), run: run_of(run), committed_us: 0 };
    frames.map(|run| Rc::new(Shared(shared(run)))).collect()
}

fn run_of(run: RunData) -> std::sync::Arc<RunData> {
    std::sync::Arc::new(run)
}

fn messages_after(room: &crate::room::Room, seq: u64) -> u64 {
    room.recent_runs().map(|(_, run)| run.messages_after(seq)).sum()
}
