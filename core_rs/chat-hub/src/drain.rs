//! A node that leaves: `notice` to everybody, then 4110 to each whose ops are answered.

use chat_proto::close::CloseCode;
use chat_proto::command::{self, Command};
use chat_proto::encode::{self, ErrLine};
use chat_proto::error::ErrorCode;

use crate::conn::Phase;
use crate::desk::Desk;
use crate::hub::Hub;
use crate::inbound::PLAIN;

/// A drain under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    close_from_us: u64,
    window_ms: u64,
    entropy: u64,
}

impl Drain {
    pub(crate) fn notify(self, desk: &mut Desk, index: u32) {
        desk.tell(index, |out| {
            encode::notice_drain(out, self.retry_after_ms(index));
        });
    }

    /// When the connection should come back: spread over the window, the same in notice and close.
    fn retry_after_ms(&self, index: u32) -> u64 {
        let mixed = (u64::from(index) ^ self.entropy).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 33) % self.window_ms.max(1)
    }
}

impl Hub {
    /// Starts the drain. A second call changes nothing.
    pub fn start_drain(&mut self, window_ms: u64, entropy: u64) {
        if self.drain.is_some() {
            return;
        }
        let close_from_us = self.desk.now_us + self.config.drain_notice_ms * 1000;
        let drain = Drain {
            close_from_us,
            window_ms,
            entropy,
        };
        self.drain = Some(drain);
        for index in self.all() {
            drain.notify(&mut self.desk, index);
        }
    }

    fn all(&self) -> Vec<u32> {
        self.desk
            .conns
            .iter()
            .map(|(index, _)| index as u32)
            .collect()
    }

    /// Closes who may go: the notice is old enough and every accepted op is answered. Not sends
    /// alone: a refusal of the control plane does not say what kind of op it answers.
    pub(crate) fn continue_drain(&mut self) {
        let Some(drain) = self.drain else { return };
        if self.desk.now_us < drain.close_from_us {
            return;
        }
        for index in self.all() {
            let conn = self.desk.conn(index);
            let waits = conn.in_flight > 0 || conn.held;
            if matches!(conn.phase, Phase::Closing | Phase::Gone) || waits {
                continue;
            }
            self.close_draining(index);
        }
    }

    /// Whether the notice is so old that nothing new is begun: a client that never pauses would
    /// never have all its ops answered.
    pub(crate) fn is_leaving(&self) -> bool {
        self.drain
            .is_some_and(|drain| self.desk.now_us >= drain.close_from_us)
    }

    /// Refuses what still comes then. It is not the client's fault, so it is not counted as one.
    pub(crate) fn refuse_text(&mut self, index: u32, message: &[u8]) {
        let Some(drain) = self.drain else { return };
        for line in command::lines(message) {
            if self.is_closing(index) {
                return;
            }
            let id = match command::parse(line) {
                Ok(line) => match line.command {
                    Command::Pong | Command::Typing { .. } | Command::Signal { .. } => continue,
                    _ => Some(line.id),
                },
                Err(bad) => {
                    self.on_bad_line(index, &bad);
                    continue;
                }
            };
            let err = ErrLine {
                id,
                code: ErrorCode::Overloaded,
                retry_after_ms: Some(drain.retry_after_ms(index)),
                ..PLAIN
            };
            self.desk.stats.errors += 1;
            self.desk.tell(index, |out| encode::err(out, &err));
        }
    }

    pub(crate) fn close_draining(&mut self, index: u32) {
        let Some(drain) = self.drain else { return };
        let mut reason = Vec::new();
        encode::drain_reason(&mut reason, drain.retry_after_ms(index));
        let reason = String::from_utf8_lossy(&reason);
        self.close(index, CloseCode::DRAINING, &reason);
    }

    /// Whether nobody is left after a drain.
    pub fn is_drained(&self) -> bool {
        self.drain.is_some() && self.desk.conns.is_empty()
    }
}
