//! The answer to `hello`: who it is, and what becomes of each room that it resumes.

use chat_proto::close::CloseCode;
use chat_proto::encode::{self, LimitsView, ResumeRow};
use chat_proto::limits;

use crate::answers::{Fate, Replay, messages_after};
use crate::conn::Phase;
use crate::effect::{Resume, Welcome};
use crate::hub::Hub;
use crate::inbound::log_name;

/// What is said of a resumed room before its events: fate, replay, and the seq it reaches up to.
type Told = (String, Fate, Option<Replay>, u64);

impl Hub {
    pub(crate) fn do_welcome(&mut self, answer: &Welcome) {
        let Some(index) = self.desk.find(answer.handle) else {
            return;
        };
        self.answered(index);
        if self.desk.conn(index).phase != Phase::Authenticating {
            return;
        }
        if self.ended.contains_key(&answer.session) {
            return self.close(index, CloseCode::SESSION_REVOKED, "");
        }
        self.become_live(index, answer);
        let me = self.room_of(&log_name("me", &answer.user));
        let me_last = self.settle(me, answer.me.head);
        let mut spent = 0;
        let mut rows = Vec::new();
        let mut after = Vec::new();
        if answer.me.since.is_some() {
            let row = self.resume(index, &answer.me, me, &mut spent, &mut after);
            rows.push(row);
        }
        // The private log is one place more than the limit counts.
        let places_max = self.config.subscriptions_max + rows.len();
        for resume in &answer.rooms {
            let full = self.desk.conn(index).places.len() >= places_max;
            let put_out = self
                .by_name
                .get(resume.room.as_str())
                .is_some_and(|at| self.rooms[*at as usize].was_put_out(&answer.user, resume.head));
            if resume.role.is_none() || full || put_out {
                rows.push(Self::denied(resume));
                continue;
            }
            let at = self.room_of(&resume.room);
            self.settle(at, resume.head);
            rows.push(self.resume(index, resume, at, &mut spent, &mut after));
        }
        self.let_go(index, answer.id);
        self.join(index, me, 0);
        self.say_welcome(index, answer, me_last, &rows);
        for (room, fate, replay, last) in after {
            self.say_missed(index, &room, &fate, replay, last);
        }
    }

    fn become_live(&mut self, index: u32, answer: &Welcome) {
        let now_us = self.desk.now_us;
        let expires_us = now_us + answer.expires_ms.saturating_sub(answer.now_ms) * 1000;
        let conn = self.desk.conn(index);
        conn.phase = Phase::Live;
        conn.heard_us = now_us;
        conn.user = Some(answer.user.clone());
        conn.session.clone_from(&answer.session);
        conn.deadline_us = u64::MAX;
        conn.expires_us = expires_us;
        let soon_us = expires_us.saturating_sub(crate::bounds::AUTH_EXPIRING_US);
        let wake_us = conn.ping_us.max(now_us).min(soon_us);
        self.desk.wake_at(index, wake_us);
        self.authenticating -= 1;
        if self.desk.conn(index).held {
            self.resumable.push(index);
        }
    }

    fn denied(resume: &Resume) -> Row<'_> {
        Row {
            room: &resume.room,
            status: "denied",
            seq: 0,
            n: 0,
            read: 0,
            role: None,
        }
    }

    fn resume<'a>(
        &mut self,
        index: u32,
        resume: &'a Resume,
        at: u32,
        spent: &mut usize,
        after: &mut Vec<Told>,
    ) -> Row<'a> {
        let last = self.rooms[at as usize].last.unwrap_or(resume.head);
        let fate = self.fate(resume.since.as_ref(), last);
        let replay = match fate {
            Fate::Resume(since) => Some(self.replay(at, since, last, &resume.missed, spent)),
            Fate::Fresh | Fate::OtherEpoch => None,
        };
        let status = match (&fate, &replay) {
            (_, Some(Replay::Whole(_))) | (Fate::Fresh, _) => "ok",
            (Fate::Resume(_), _) => "gap",
            (Fate::OtherEpoch, _) => "epoch",
        };
        self.join(index, at, 0);
        let n = resume.n + messages_after(&self.rooms[at as usize], resume.head);
        after.push((resume.room.clone(), fate, replay, last));
        let role = resume.role.as_deref();
        Row {
            room: &resume.room,
            status,
            seq: last,
            n,
            read: resume.read,
            role,
        }
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
        let Self {
            room,
            status,
            seq,
            n,
            read,
            role,
        } = *self;
        ResumeRow {
            room,
            status,
            epoch,
            seq,
            n,
            read,
            role,
        }
    }
}
