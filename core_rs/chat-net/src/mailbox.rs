//! What threads tell a shard: a bounded queue with a wake-up.
//!
//! Bound: [`MAILS_MAX`] entries. When full, the control plane waits (without the interpreter);
//! shards among themselves never wait, because two that waited for each other would stand still:
//! they shed what may be shed.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use chat_hub::effect::{Ack, Attach, Delivered, Handle, PeerNews, Refusal, Renewal, Welcome};

use crate::admission::Permit;
use crate::wake::Wake;

/// Entries of one mailbox.
pub const MAILS_MAX: usize = 1024;

/// One entry.
#[derive(Debug)]
pub(crate) enum Mail {
    Socket(OwnedFd, Permit),
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

#[derive(Debug, Default)]
struct Mails {
    queue: VecDeque<Mail>,
    /// The shard has ended: nothing is taken any more, so nothing is kept and nobody waits.
    closed: bool,
}

/// A shard's letter box.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mails: Mutex<Mails>,
    room: Condvar,
    pub(crate) wake: Wake,
}

impl Mailbox {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            mails: Mutex::default(),
            room: Condvar::new(),
            wake: Wake::new()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Mails> {
        // A shard catches its panics outside this lock, so the queue behind it is whole.
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the box is full; after the shard has ended the mail is dropped.
    pub(crate) fn put(&self, mail: Mail) {
        let mut mails = self.lock();
        while mails.queue.len() >= MAILS_MAX && !mails.closed {
            mails = self
                .room
                .wait(mails)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.push(mails, mail);
    }

    /// For shards: never waits. What it carries is bounded elsewhere: sockets by the node's
    /// connections, presence by their subscriptions.
    pub(crate) fn put_now(&self, mail: Mail) {
        self.push(self.lock(), mail);
    }

    /// News for another shard. Lines are shed when the box is full, as they are for slow readers;
    /// presence is not, because the rosters would drift apart. How many lines were shed.
    pub(crate) fn put_news(&self, news: &Arc<[PeerNews]>) -> usize {
        let mails = self.lock();
        if mails.queue.len() < MAILS_MAX {
            self.push(mails, Mail::News(news.clone()));
            return 0;
        }
        let is_presence = |it: &&PeerNews| matches!(it, PeerNews::Presence { .. });
        let kept: Arc<[PeerNews]> = news.iter().filter(is_presence).cloned().collect();
        let shed = news.len() - kept.len();
        if !kept.is_empty() {
            self.push(mails, Mail::News(kept));
        }
        shed
    }

    fn push(&self, mut mails: MutexGuard<'_, Mails>, mail: Mail) {
        if mails.closed {
            // A socket in it is closed by that, outside the lock.
            drop(mails);
            return;
        }
        mails.queue.push_back(mail);
        drop(mails);
        self.wake.ring();
    }

    /// Everything there is, in order.
    pub(crate) fn take(&self, into: &mut VecDeque<Mail>) {
        self.wake.clear();
        let mut mails = self.lock();
        into.append(&mut mails.queue);
        drop(mails);
        self.room.notify_all();
    }

    /// The shard has ended, however it did: whoever waits for room goes on.
    pub(crate) fn close(&self) {
        let mut mails = self.lock();
        mails.closed = true;
        let left = std::mem::take(&mut mails.queue);
        drop(mails);
        drop(left);
        self.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> PeerNews {
        PeerNews::Line {
            room: "r".into(),
            want: 0,
            line: (*b"{}").into(),
        }
    }

    fn presence() -> PeerNews {
        PeerNews::Presence {
            room: "r".into(),
            user: "u".into(),
            on: true,
        }
    }

    /// The control plane must not stand still for ever on a shard that is no more.
    #[test]
    fn whoever_waits_for_room_goes_on_when_the_shard_ends() {
        let mailbox = Arc::new(Mailbox::new().unwrap());
        for _ in 0..MAILS_MAX {
            mailbox.put(Mail::Stop);
        }
        let waiting = {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || mailbox.put(Mail::Stop))
        };
        mailbox.close();
        waiting.join().unwrap();
        mailbox.put(Mail::Stop);
        let mut left = VecDeque::new();
        mailbox.take(&mut left);
        assert!(left.is_empty());
    }

    /// Shards never wait for each other, so what may be lost is lost and the rest is counted.
    #[test]
    fn a_full_box_sheds_lines_and_keeps_presence() {
        let mailbox = Mailbox::new().unwrap();
        let news: Arc<[PeerNews]> = [line(), presence(), line()].into();
        for _ in 0..MAILS_MAX {
            assert_eq!(mailbox.put_news(&news), 0);
        }
        assert_eq!(mailbox.put_news(&news), 2);
        assert_eq!(mailbox.put_news(&[line()].into()), 1);
        let mut mails = VecDeque::new();
        mailbox.take(&mut mails);
        assert_eq!(mails.len(), MAILS_MAX + 1);
        let Some(Mail::News(last)) = mails.pop_back() else {
            panic!("no news");
        };
        assert!(matches!(&last[..], [PeerNews::Presence { .. }]));
    }
}
