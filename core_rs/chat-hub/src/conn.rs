//! One connection as the hub knows it: who it is, what waits for it, how it behaves.

use std::sync::Arc;

use chat_proto::handshake::Credential;

use crate::bounds::POLICE_WINDOW_US;
use crate::out::Out;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The HTTP request is not whole.
    Handshake,
    /// No `hello` yet.
    Greeting,
    /// `hello` is being judged.
    Authenticating,
    /// Authenticated.
    Live,
    /// A close frame is queued; the answer is awaited until the deadline.
    Closing,
    /// To be dropped by the shard.
    Gone,
}

/// A place in a room's list of subscribers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) room: u32,
    pub(crate) slot: u32,
}

/// Counts events in a window that starts with the first of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    from_ms: u32,
    count: u16,
}

impl Tally {
    /// One more; how many in this window. The milliseconds may wrap, their difference does not.
    pub(crate) fn add(&mut self, now_us: u64) -> u16 {
        let at_ms = (now_us / 1000) as u32;
        let since_ms = at_ms.wrapping_sub(self.from_ms);
        if self.count == 0 || u64::from(since_ms) > POLICE_WINDOW_US / 1000 {
            (self.from_ms, self.count) = (at_ms, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// A room held open for the answer to a `sub` or `hello`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// The op.
    pub(crate) id: u64,
    pub(crate) room: u32,
    /// How often the control plane has been asked again.
    pub(crate) tries: u8,
    /// An `unsub` came behind the op: it is answered, but nothing of the room follows.
    pub(crate) cancelled: bool,
}

/// What few connections have at a time: kept apart so that an idle one is small.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    /// The credential and address of the handshake, until `hello`.
    pub(crate) credential: Option<Credential>,
    pub(crate) address: Box<str>,
    pub(crate) opening: Vec<Opening>,
    /// Lines that wait until earlier ops are answered.
    pub(crate) held: Vec<u8>,
}

impl Cold {
    fn is_empty(&self) -> bool {
        self.credential.is_none() && self.opening.is_empty() && self.held.is_empty()
    }
}

/// One socket.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is true or false by itself in any phase"
)]
pub(crate) struct Conn {
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    pub(crate) window_bits: u8,
    pub(crate) dirty: bool,
    pub(crate) held: bool,
    pub(crate) warned: bool,
    pub(crate) folded: bool,
    /// Too slow: takes nothing more and is closed at the end of the poll round.
    pub(crate) overdue: bool,
    /// The peer has sent its close frame: the socket goes when ours is out.
    pub(crate) peer_closed: bool,
    pub(crate) in_flight: u16,
    pub(crate) out: Out,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) session: Box<str>,
    pub(crate) places: Vec<Place>,
    pub(crate) last_id: Option<u64>,
    pub(crate) bucket: u64,
    pub(crate) heard_us: u64,
    pub(crate) ping_us: u64,
    pub(crate) expires_us: u64,
    /// Handshake, hello, fold or close, whichever the phase has.
    pub(crate) deadline_us: u64,
    pub(crate) partial_since_us: u64,
    pub(crate) wake_us: u64,
    pub(crate) undecodable: Tally,
    pub(crate) errors: Tally,
    pub(crate) limited: Tally,
    pub(crate) control: Tally,
    pub(crate) cold: Option<Box<Cold>>,
}

impl Conn {
    pub(crate) fn new(generation: u32, now_us: u64, deadline_us: u64) -> Self {
        Self {
            generation,
            phase: Phase::Handshake,
            window_bits: 0,
            dirty: false,
            held: false,
            warned: false,
            folded: false,
            overdue: false,
            peer_closed: false,
            in_flight: 0,
            out: Out::default(),
            user: None,
            session: Box::default(),
            places: Vec::new(),
            last_id: None,
            bucket: 0,
            heard_us: now_us,
            ping_us: u64::MAX,
            expires_us: u64::MAX,
            deadline_us,
            partial_since_us: 0,
            wake_us: u64::MAX,
            undecodable: Tally::default(),
            errors: Tally::default(),
            limited: Tally::default(),
            control: Tally::default(),
            cold: None,
        }
    }

    pub(crate) fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Gives the cold part back when nothing is in it.
    pub(crate) fn warm(&mut self) {
        if self.cold.as_ref().is_some_and(|cold| cold.is_empty()) {
            self.cold = None;
        }
    }

    /// Whether frames may still be queued for it.
    pub(crate) fn takes_frames(&self) -> bool {
        matches!(
            self.phase,
            Phase::Greeting | Phase::Authenticating | Phase::Live
        ) && !self.overdue
    }

    pub(crate) fn place_of(&self, room: u32) -> Option<Place> {
        self.places.iter().copied().find(|place| place.room == room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a million idle connections cost a million times.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Conn>() <= 320, "{}", size_of::<Conn>());
        assert!(size_of::<Place>() == 8 && size_of::<Option<Box<Cold>>>() == 8);
    }

    /// A window is counted from its first event, also across the wrap of the milliseconds.
    #[test]
    fn a_tally_begins_anew_after_its_window() {
        for start_us in [7, (1 << 32) * 1_000 - 5_000_000] {
            let mut tally = Tally::default();
            assert_eq!(
                (tally.add(start_us), tally.add(start_us + POLICE_WINDOW_US)),
                (1, 2)
            );
            assert_eq!(tally.add(start_us + POLICE_WINDOW_US + 1_000), 1);
        }
    }
}
