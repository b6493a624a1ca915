//! Deadlines: handshake, hello, pings, silence, tokens, slow readers, unanswered closes.

use chat_proto::close::CloseCode;
use chat_proto::encode;

use crate::bounds::{AUTH_EXPIRING_US, BACKLOG_SHED_BYTES, PARTIAL_MESSAGE_US, WEIGH_EVERY_US};
use crate::conn::{Conn, Phase};
use crate::hub::Hub;

impl Hub {
    /// Does what is due at the hub's time; call it when [`Self::next_wake_us`] has come.
    pub fn tick(&mut self) {
        let mut due = Vec::new();
        self.desk.wheel.advance(self.desk.now_us, &mut due);
        for (index, generation) in due {
            let conn = self.desk.conns.get_mut(index as usize);
            if let Some(conn) = conn.filter(|conn| conn.generation == generation) {
                conn.wake_us = u64::MAX;
                self.on_deadline(index);
            }
        }
        self.say_presence();
        self.end_typing();
        self.forget_idle();
        self.forget_ended();
        self.retry_waiting(true);
        self.repair_again();
        self.continue_drain();
        self.evict_largest();
    }

    fn on_deadline(&mut self, index: u32) {
        match self.desk.conn(index).phase {
            Phase::Gone => return,
            Phase::Handshake | Phase::Closing => {
                if self.desk.conn(index).deadline_us <= self.desk.now_us {
                    return self.vanish(index);
                }
            }
            Phase::Greeting | Phase::Authenticating => {
                if self.desk.conn(index).deadline_us <= self.desk.now_us {
                    return self.close(index, CloseCode::AUTH_FAILED, "no hello");
                }
                self.look_at_life(index);
            }
            Phase::Live => {
                self.look_at_backlog(index);
                self.look_at_token(index);
                self.look_at_life(index);
            }
        }
        let ping_us = self.config.ping_ms * 1000;
        let next_us = next_deadline_us(self.desk.conn(index), ping_us);
        self.desk.wake_at(index, next_us);
    }

    fn look_at_backlog(&mut self, index: u32) {
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        if !conn.folded || conn.deadline_us > now_us {
            return;
        }
        conn.folded = false;
        conn.deadline_us = u64::MAX;
        if conn.out.bytes() >= BACKLOG_SHED_BYTES {
            self.close(index, CloseCode::SLOW_CONSUMER, "");
        }
    }

    fn look_at_token(&mut self, index: u32) {
        let now_us = self.desk.now_us;
        let conn = self.desk.conn(index);
        if conn.expires_us <= now_us {
            self.close(index, CloseCode::TOKEN_EXPIRED, "");
        } else if !conn.warned && conn.expires_us <= now_us + AUTH_EXPIRING_US {
            conn.warned = true;
            let in_ms = (conn.expires_us - now_us) / 1000;
            self.desk
                .tell(index, |out| encode::auth_expiring(out, in_ms));
        }
    }

    fn look_at_life(&mut self, index: u32) {
        if self.is_closing(index) {
            return;
        }
        let (now_us, ping_us) = (self.desk.now_us, self.config.ping_ms * 1000);
        let conn = self.desk.conn(index);
        if conn.partial_since_us != 0 && now_us >= conn.partial_since_us + PARTIAL_MESSAGE_US {
            return self.close(
                index,
                CloseCode::POLICY_VIOLATION,
                "message not whole in time",
            );
        }
        // A socket that is not read cannot be heard: it counts as alive.
        if conn.held {
            conn.heard_us = now_us;
        }
        // Before `welcome` nobody is pinged; the time for `hello` bounds that silence.
        if conn.phase != Phase::Live {
            return;
        }
        if now_us >= conn.heard_us + ping_us * 3 / 2 {
            return self.close(index, CloseCode::PING_TIMEOUT, "");
        }
        if now_us >= conn.ping_us {
            conn.ping_us = now_us + ping_us;
            let ping = self.ping.clone();
            self.desk.offer(index, &ping, 0);
        }
    }

    /// Over the bound of all backlogs together the largest goes.
    fn evict_largest(&mut self) {
        let (bound, now_us) = (self.config.outgoing_bytes_max, self.desk.now_us);
        if bound == 0 || now_us < self.weigh_again_us {
            return;
        }
        self.weigh_again_us = now_us + WEIGH_EVERY_US;
        let mut waiting: Vec<(usize, u32)> = Vec::new();
        for (index, conn) in &self.desk.conns {
            if conn.takes_frames() && conn.out.bytes() > 0 {
                waiting.push((conn.out.bytes(), index as u32));
            }
        }
        let mut total: usize = waiting.iter().map(|(bytes, _)| bytes).sum();
        waiting.sort_unstable();
        while total > bound
            && let Some((bytes, index)) = waiting.pop()
        {
            total -= bytes;
            self.close(index, CloseCode::SLOW_CONSUMER, "");
        }
    }
}

/// The nearest deadline of a connection, microseconds.
fn next_deadline_us(conn: &Conn, ping_us: u64) -> u64 {
    let mut next_us = conn.deadline_us;
    if matches!(conn.phase, Phase::Handshake | Phase::Closing | Phase::Gone) {
        return next_us;
    }
    if conn.phase == Phase::Live {
        next_us = next_us.min(conn.heard_us + ping_us * 3 / 2);
        let expiry_us = if conn.warned { 0 } else { AUTH_EXPIRING_US };
        next_us = next_us
            .min(conn.ping_us)
            .min(conn.expires_us.saturating_sub(expiry_us));
    }
    if conn.partial_since_us != 0 {
        next_us = next_us.min(conn.partial_since_us + PARTIAL_MESSAGE_US);
    }
    next_us
}
