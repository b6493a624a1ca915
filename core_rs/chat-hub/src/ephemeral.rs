//! What is said and forgotten: presence, typing, signals, receipts, marks.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use chat_proto::close::CloseCode;
use chat_proto::command::Want;
use chat_proto::encode;
use chat_proto::limits::LINES_MAX;

use crate::bounds::{
    ENDED_SESSIONS_MAX, HELLO_US, PRESENCE_EVERY_US, PRESENCE_NAMES_MAX, SIGNAL_BATCH_BYTES_MAX,
    TYPING_EVERY_US, TYPING_OVER_US, TYPING_USERS_MAX,
};
use crate::conn::Phase;
use crate::effect::{Handle, PeerNews};
use crate::hub::Hub;
use crate::room::Typist;
use crate::run::{Content, FrameData, Shared};

/// A page of a roster: how many users are online, the page, and where the next one starts.
type RosterPage = (u64, Vec<Arc<str>>, Option<Arc<str>>);

impl Hub {
    fn place_in(&mut self, index: u32, room: &str) -> Option<u32> {
        let at = *self.by_name.get(room)?;
        self.desk.conn(index).place_of(at).map(|_| at)
    }

    /// Sends lines to those subscribers of this shard who want them.
    fn say(&mut self, at: u32, want: u8, payload: &[u8], except: &[u32]) {
        let frame = FrameData::text(payload);
        let except = except.into();
        self.spread(
            at,
            Rc::new(Shared(Content::Ephemeral {
                frame,
                want,
                except,
            })),
        );
    }

    fn say_everywhere(&mut self, at: u32, want: u8, line: &[u8], except: &[u32]) {
        self.say(at, want, line, except);
        if self.config.has_peers {
            let room = (*self.rooms[at as usize].name).into();
            self.news.push(PeerNews::Line {
                room,
                want,
                line: line.into(),
            });
        }
    }

    /// News of another shard.
    pub fn on_news(&mut self, news: &PeerNews) {
        match news {
            PeerNews::Presence { room, user, on } => {
                let at = self.room_of(room);
                self.present(at, user, *on);
            }
            PeerNews::Line { room, want, line } => {
                if let Some(&at) = self.by_name.get(&**room) {
                    self.say(at, *want, line, &[]);
                }
            }
        }
    }

    /// One connection of `user` more or less in a room, on whichever shard.
    pub(crate) fn present(&mut self, at: u32, user: &Arc<str>, on: bool) {
        let lively = self.rooms[at as usize].lively();
        let count = lively.roster.entry(user.clone()).or_insert(0);
        let before = *count;
        *count = if on {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        let after = *count;
        if after == 0 {
            lively.roster.remove(user);
        }
        if (before == 0) == (after == 0) {
            return;
        }
        let (to, from) = if after > 0 {
            (&mut lively.came, &mut lively.went)
        } else {
            (&mut lively.went, &mut lively.came)
        };
        if let Some(cancelled) = from.iter().position(|it| it == user) {
            from.swap_remove(cancelled);
        } else if to.len() <= PRESENCE_NAMES_MAX {
            to.push(user.clone());
        }
        if !std::mem::replace(&mut lively.presence_due, true) {
            self.presence.push(at);
        }
    }

    /// Says who came and went, at most once a second a room.
    pub(crate) fn say_presence(&mut self) {
        let now_us = self.desk.now_us;
        for at in std::mem::take(&mut self.presence) {
            let Some(room) = self.rooms.get_mut(at as usize) else {
                continue;
            };
            let Some(lively) = room.lively.as_mut().filter(|it| it.presence_due) else {
                continue;
            };
            if now_us < lively.presence_at_us + PRESENCE_EVERY_US {
                self.presence.push(at);
                continue;
            }
            lively.presence_at_us = now_us;
            lively.presence_due = false;
            let (came, went) = (
                std::mem::take(&mut lively.came),
                std::mem::take(&mut lively.went),
            );
            let wanted = |it: &crate::room::Subscriber| it.wants & Want::PRESENCE != 0;
            if (came.is_empty() && went.is_empty()) || !room.subscribers.iter().any(wanted) {
                continue;
            }
            let count = lively.roster.len();
            let named = |users: &[Arc<str>]| -> Vec<Arc<str>> {
                if count > PRESENCE_NAMES_MAX {
                    Vec::new()
                } else {
                    users.to_vec()
                }
            };
            let (came, went) = (named(&came), named(&went));
            let plus: Vec<&str> = came.iter().map(|user| &**user).collect();
            let minus: Vec<&str> = went.iter().map(|user| &**user).collect();
            let mut line = Vec::new();
            encode::presence(&mut line, &room.name, count as u64, &plus, &minus);
            self.say(at, Want::PRESENCE, &line, &[]);
        }
    }

    /// Who is subscribed now, by user id after `cursor`.
    pub(crate) fn roster_page(&self, room: &str, limit: u32, cursor: Option<&str>) -> RosterPage {
        let empty = BTreeMap::new();
        let at = self.by_name.get(room).map(|at| &self.rooms[*at as usize]);
        let lively = at.and_then(|room| room.lively.as_ref());
        let roster = lively.map_or(&empty, |lively| &lively.roster);
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut users = roster
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(user, _)| user);
        let page: Vec<Arc<str>> = users.by_ref().take(limit as usize).cloned().collect();
        let next = users.next().and_then(|_| page.last().cloned());
        (roster.len() as u64, page, next)
    }

    pub(crate) fn on_typing(&mut self, index: u32, user: &Arc<str>, room: &str, on: bool) {
        let Some(at) = self.place_in(index, room) else {
            return;
        };
        if !on {
            return self.stop_typing(at, user);
        }
        let now_us = self.desk.now_us;
        let over_us = now_us + TYPING_OVER_US;
        let lively = self.rooms[at as usize].lively();
        if let Some(typist) = lively.typists.iter_mut().find(|it| it.user == *user) {
            let soon = now_us < typist.told_us + TYPING_EVERY_US;
            if typist.on || !soon {
                typist.over_us = over_us;
            }
            if soon {
                return;
            }
            (typist.told_us, typist.conn, typist.on) = (now_us, index, true);
        } else {
            if lively.typists.len() >= TYPING_USERS_MAX {
                self.desk.stats.shed += 1;
                return;
            }
            if lively.typists.is_empty() {
                self.typing.push(at);
            }
            let (user, conn) = (user.clone(), index);
            lively.typists.push(Typist {
                user,
                conn,
                told_us: now_us,
                over_us,
                on: true,
            });
        }
        self.say_typing(at, user, index, true);
    }

    fn say_typing(&mut self, at: u32, user: &str, conn: u32, on: bool) {
        let mut line = Vec::new();
        encode::typing(&mut line, &self.rooms[at as usize].name, user, on);
        self.say_everywhere(at, Want::TYPING, &line, &[conn]);
    }

    pub(crate) fn stop_typing(&mut self, at: u32, user: &str) {
        let Some(lively) = self.rooms[at as usize].lively.as_mut() else {
            return;
        };
        let mut on = lively.typists.iter_mut().filter(|it| it.on);
        let Some(typist) = on.find(|it| &*it.user == user) else {
            return;
        };
        typist.on = false;
        let conn = typist.conn;
        self.say_typing(at, user, conn, false);
    }

    /// Ends the typing of those who have fallen silent.
    pub(crate) fn end_typing(&mut self) {
        let now_us = self.desk.now_us;
        for at in std::mem::take(&mut self.typing) {
            let Some(room) = self.rooms.get_mut(at as usize) else {
                continue;
            };
            let Some(lively) = room.lively.as_mut() else {
                continue;
            };
            let over = |typist: &&Typist| typist.on && typist.over_us <= now_us;
            let silent: Vec<Arc<str>> = lively
                .typists
                .iter()
                .filter(over)
                .map(|it| it.user.clone())
                .collect();
            for user in silent {
                self.stop_typing(at, &user);
            }
            let lively = self.rooms[at as usize].lively();
            lively
                .typists
                .retain(|it| it.on || now_us < it.told_us + TYPING_EVERY_US);
            if !lively.typists.is_empty() {
                self.typing.push(at);
            }
        }
    }

    pub(crate) fn on_signal(&mut self, index: u32, user: &str, room: &str, body: &[u8]) {
        let Some(at) = self.place_in(index, room) else {
            return;
        };
        if self.config.rate_limits {
            let now_us = self.desk.now_us;
            let bucket = &mut self.desk.conn(index).bucket;
            if crate::inbound::OPS.take(bucket, now_us).is_err() {
                self.desk.stats.shed += 1;
                return;
            }
        }
        self.desk.stats.signals += 1;
        let mut line = Vec::with_capacity(body.len() + 96);
        encode::signal(&mut line, room, user, body);
        let lively = self.rooms[at as usize].lively();
        if lively.signals.is_empty() {
            self.signalling.push(at);
        }
        lively.signal_bytes += line.len() + 1;
        lively.signals.push((index, line));
        let full = lively.signals.len() >= LINES_MAX;
        if full || lively.signal_bytes >= SIGNAL_BATCH_BYTES_MAX {
            self.say_signals_of(at);
        }
    }

    /// Sends the signals of this poll round; call it before the writes.
    pub fn say_signals(&mut self) {
        for at in std::mem::take(&mut self.signalling) {
            self.say_signals_of(at);
        }
    }

    /// Everybody shares one frame; who has signalled gets a frame without its own signals.
    fn say_signals_of(&mut self, at: u32) {
        let Some(lively) = self
            .rooms
            .get_mut(at as usize)
            .and_then(|it| it.lively.as_mut())
        else {
            return;
        };
        let signals = std::mem::take(&mut lively.signals);
        lively.signal_bytes = 0;
        if signals.is_empty() {
            return;
        }
        let lines: Vec<&[u8]> = signals.iter().map(|(_, line)| line.as_slice()).collect();
        let payload = lines.join(&b'\n');
        let mut senders: Vec<u32> = signals.iter().map(|(sender, _)| *sender).collect();
        senders.sort_unstable();
        senders.dedup();
        self.say_everywhere(at, 0, &payload, &senders);
        if senders.len() < 2 {
            return;
        }
        for sender in senders {
            let others = signals.iter().filter(|(from, _)| *from != sender);
            let lines: Vec<&[u8]> = others.map(|(_, line)| line.as_slice()).collect();
            let frame = FrameData::text(&lines.join(&b'\n'));
            let content = Content::Ephemeral {
                frame,
                want: 0,
                except: Box::default(),
            };
            let still = self.desk.conns.get(sender as usize);
            if still.is_some_and(|conn| conn.place_of(at).is_some()) {
                self.desk.offer(sender, &Rc::new(Shared(content)), 0);
            }
        }
    }

    /// A read mark moved: `mark` to the user's other devices, `receipt` to who wants it.
    pub fn on_marked(&mut self, handle: Handle, user: &str, room: &str, n: u64) {
        let reader = self.desk.find(handle);
        if let Some(&own) = self.by_name.get(format!("me:{user}").as_str()) {
            let mut line = Vec::new();
            encode::mark(&mut line, room, n);
            let except: Vec<u32> = reader.into_iter().collect();
            self.say(own, 0, &line, &except);
        }
        if let Some(&at) = self.by_name.get(room) {
            let mut line = Vec::new();
            encode::receipt(&mut line, room, user, n);
            let except: Vec<u32> = reader.into_iter().collect();
            self.say(at, Want::RECEIPTS, &line, &except);
        }
    }

    /// The session was revoked: each of its connections closes with 4003, also one whose `hello`
    /// was judged before and is welcomed after.
    pub fn end_session(&mut self, session: &str) {
        if session.is_empty() {
            return;
        }
        if self.ended.len() >= ENDED_SESSIONS_MAX {
            self.close_authenticating();
            self.ended.clear();
        }
        self.ended.insert(session.into(), self.desk.now_us);
        let of_session = |(index, conn): (usize, &crate::conn::Conn)| {
            (&*conn.session == session).then_some(index as u32)
        };
        let found: Vec<u32> = self.desk.conns.iter().filter_map(of_session).collect();
        for index in found {
            self.close(index, CloseCode::SESSION_REVOKED, "");
        }
    }

    fn close_authenticating(&mut self) {
        let of_phase = |(index, conn): (usize, &crate::conn::Conn)| {
            (conn.phase == Phase::Authenticating).then_some(index as u32)
        };
        let found: Vec<u32> = self.desk.conns.iter().filter_map(of_phase).collect();
        for index in found {
            self.close(index, CloseCode::OVERLOADED, "");
        }
    }

    /// Forgets ended sessions that no `hello` or `auth` under way can be of.
    pub(crate) fn forget_ended(&mut self) {
        let now_us = self.desk.now_us;
        self.ended.retain(|_, at_us| *at_us + HELLO_US > now_us);
    }
}
