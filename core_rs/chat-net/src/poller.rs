//! The one interface to readiness; epoll behind it now, io_uring may follow.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// What a socket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Level-triggered readiness by token.
pub(crate) trait Poller {
    fn add(&self, socket: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()>;
    fn change(&self, socket: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()>;
    fn remove(&self, socket: BorrowedFd<'_>);
    fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// epoll(7).
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<Event>,
}

impl Epoll {
    /// At most `batch` events a round.
    pub(crate) fn new(batch: usize) -> io::Result<Self> {
        let fd = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self {
            fd,
            events: Vec::with_capacity(batch),
        })
    }
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN | EventFlags::RDHUP, interest.read);
    flags.set(EventFlags::OUT, interest.write);
    flags
}

impl Poller for Epoll {
    fn add(&self, socket: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.fd,
            socket,
            EventData::new_u64(token),
            flags(interest),
        )?)
    }

    fn change(&self, socket: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.fd,
            socket,
            EventData::new_u64(token),
            flags(interest),
        )?)
    }

    fn remove(&self, socket: BorrowedFd<'_>) {
        // A descriptor that is closed right after leaves the set by itself as well.
        let _ = epoll::delete(&self.fd, socket);
    }

    fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.events.clear();
        let timeout = rustix::event::Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(self.fd.as_fd(), buffer, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP;
        ready.extend(self.events.iter().map(|event| {
            // The kernel's struct is packed: its fields are copied, not borrowed.
            let (flags, data) = (event.flags, event.data);
            Ready {
                token: data.u64(),
                read: flags.intersects(EventFlags::IN | ended),
                write: flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP),
            }
        }));
        Ok(())
    }
}
