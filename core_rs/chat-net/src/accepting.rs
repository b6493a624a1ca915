//! Accepting connections: who is let in, and what happens when descriptors run out.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags};

use crate::address::Network;
use crate::admission::{Denied, Permit};
use crate::listener::{self, Accepted};
use crate::mailbox::Mail;
use crate::poller::{Interest, Poller};
use crate::shard::{Shard, TOKEN_LISTENER};
use crate::socket::Socket;

/// Connections accepted in one poll round; the rest waits for the next.
const ACCEPTS_PER_ROUND: usize = 64;
/// Connections turned away at a time when descriptors have run out.
const TURNED_AWAY_PER_ROUND: usize = 16;
/// Without descriptors the listener is looked at again after this time, microseconds.
const EXHAUSTED_US: u64 = 200_000;

/// A descriptor that is given up to turn a connection away when there are no others.
pub(crate) fn spare_descriptor() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

impl Shard {
    pub(crate) fn accept_many(&mut self) {
        for _ in 0..ACCEPTS_PER_ROUND {
            let Some(listener) = &self.listener else {
                return;
            };
            match listener::accept(listener) {
                Accepted::Socket(fd, address) => self.admit(fd, address),
                Accepted::Nothing => return,
                Accepted::Failed => {}
                Accepted::Exhausted => return self.turn_away(),
            }
        }
    }

    fn admit(&mut self, fd: OwnedFd, address: IpAddr) {
        let permit = match self.permit(address) {
            Ok(permit) => permit,
            Err(denied) => return refuse(&fd, denied),
        };
        let shards = self.common.mailboxes.len();
        let number = self.common.turn.fetch_add(1, Ordering::Relaxed) % shards;
        if number == self.number {
            self.adopt(fd, permit);
        } else {
            self.common.mailboxes[number].put_now(Mail::Socket(fd, permit));
        }
    }

    fn permit(&self, address: IpAddr) -> Result<Permit, Denied> {
        let mut permit = self.common.admission.enter(address)?;
        if !self.is_proxy(address) {
            permit.begin(self.common.now_us())?;
        }
        Ok(permit)
    }

    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.common
            .trusted_proxies
            .iter()
            .any(|it: &Network| it.contains(address))
    }

    /// Takes an accepted connection over.
    pub(crate) fn adopt(&mut self, fd: OwnedFd, permit: Permit) {
        let index = self.hub.open();
        let socket = Socket::new(fd, permit);
        let added = self
            .poller
            .add(socket.fd.as_fd(), u64::from(index), socket.interest);
        let at = index as usize;
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, || None);
        }
        self.sockets[at] = Some(socket);
        if added.is_err() {
            self.hub.on_lost(index);
        }
    }

    /// Out of descriptors: those who wait are refused now, not left hanging, and without spinning.
    fn turn_away(&mut self) {
        for _ in 0..TURNED_AWAY_PER_ROUND {
            self.spare = None;
            let Some(listener) = &self.listener else {
                return;
            };
            let accepted = listener::accept(listener);
            let done = !matches!(accepted, Accepted::Socket(..) | Accepted::Failed);
            drop(accepted);
            self.spare = spare_descriptor();
            if done {
                break;
            }
        }
        if let Some(listener) = &self.listener {
            self.poller.remove(listener.as_fd());
            self.accept_again_us = self.common.now_us() + EXHAUSTED_US;
        }
    }

    pub(crate) fn accept_after_exhaustion(&mut self, now_us: u64) {
        if self.accept_again_us == 0 || now_us < self.accept_again_us {
            return;
        }
        self.accept_again_us = 0;
        if self.spare.is_none() {
            self.spare = spare_descriptor();
        }
        if let Some(listener) = &self.listener {
            let reading = Interest {
                read: true,
                write: false,
            };
            // When this fails nobody is accepted until the next try, which this asks for.
            if self
                .poller
                .add(listener.as_fd(), TOKEN_LISTENER, reading)
                .is_err()
            {
                self.accept_again_us = now_us + EXHAUSTED_US;
            }
        }
    }

    pub(crate) fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.poller.remove(listener.as_fd());
        }
    }
}

/// A short HTTP answer to who is not let in, as far as the socket takes it at once.
fn refuse(fd: &OwnedFd, denied: Denied) {
    let (status, after) = match denied {
        Denied::Full => ("503 Service Unavailable", 5),
        Denied::Busy(seconds) => ("429 Too Many Requests", seconds),
    };
    let answer = plain_answer(status, after);
    let _ = rustix::net::send(fd, &answer, rustix::net::SendFlags::NOSIGNAL);
}

/// The answer to a handshake whose address is over its rate, behind a proxy.
pub(crate) fn too_many(seconds: u64) -> Vec<u8> {
    plain_answer("429 Too Many Requests", seconds)
}

fn plain_answer(status: &str, retry_after_seconds: u64) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nRetry-After: {retry_after_seconds}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}
