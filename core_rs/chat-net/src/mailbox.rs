//! What threads tell a shard: a bounded queue with a wake-up.
//!
//! Bound: [`MAILS_MAX`] entries. When full, the control plane waits (without the interpreter);
//! shards among themselves never wait, because two that waited for each other would stand still.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use chat_hub::effect::{Ack, Attach, Delivered, Handle, PeerNews, Refusal, Renewal, Welcome};

use crate::wake::Wake;

/// Entries of one mailbox.
pub const MAILS_MAX: usize = 1024;

/// One entry.
#[derive(Debug)]
pub(crate) enum Mail {
    Socket(OwnedFd, IpAddr),
    Commit {
        runs: Arc<[Delivered]>,
        acks: Vec<Ack>,
        refusals: Vec<Refusal>,
        committed_us: u64,
    },
    Attach(Vec<Attach>),
    Welcome(Vec<Welcome>),
    Refuse(Vec<Refusal>),
    Reply(Vec<(Handle, u64, Box<str>)>),
    Authorize(Renewal),
    Marked(Arc<[(Handle, String, String, u64)]>),
    EndSession(Arc<str>),
    News(Arc<[PeerNews]>),
    Drain {
        window_ms: u64,
        entropy: u64,
    },
    Stop,
}

/// A shard's letter box.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mails: Mutex<VecDeque<Mail>>,
    room: Condvar,
    pub(crate) wake: Wake,
}

impl Mailbox {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mails = Mutex::new(VecDeque::new());
        Ok(Self {
            mails,
            room: Condvar::new(),
            wake: Wake::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Mail>> {
        // A shard catches its panics outside this lock, so the queue behind it is whole.
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the box is full.
    pub(crate) fn put(&self, mail: Mail) {
        let mut mails = self.lock();
        while mails.len() >= MAILS_MAX {
            mails = self
                .room
                .wait(mails)
                .unwrap_or_else(PoisonError::into_inner);
        }
        mails.push_back(mail);
        drop(mails);
        self.wake.ring();
    }

    /// For shards: never waits.
    pub(crate) fn put_now(&self, mail: Mail) {
        self.lock().push_back(mail);
        self.wake.ring();
    }

    /// Everything there is, in order.
    pub(crate) fn take(&self, into: &mut VecDeque<Mail>) {
        self.wake.clear();
        let mut mails = self.lock();
        std::mem::swap(&mut *mails, into);
        drop(mails);
        self.room.notify_all();
    }
}
