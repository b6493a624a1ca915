//! Who may connect: rates and counts per address, and a bound over all.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_hub::gcra::Rate;
use hashbrown::HashMap;

/// Connects of one address.
const CONNECTS: Rate = Rate::per_second(200, 2_000);
/// Addresses remembered at a time; more are admitted by the counts of the whole node only.
const ADDRESSES_MAX: usize = 100_000;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionConfig {
    /// Open sockets of the node.
    pub connections_max: usize,
    /// Open sockets of an address, 0 for no bound.
    pub per_address_max: usize,
    /// Unfinished handshakes of an address.
    pub handshakes_per_address_max: usize,
    /// Whether the rate of connects is kept.
    pub rate_limits: bool,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The node is full.
    Full,
    /// Too many connects of the address, or too many unfinished handshakes; seconds to wait.
    Busy(u64),
}

#[derive(Debug, Default)]
struct Source {
    open: usize,
    unfinished: usize,
    bucket: u64,
}

#[derive(Debug, Default)]
struct Sources {
    by_address: HashMap<IpAddr, Source>,
    open: usize,
}

/// Counts what is open.
#[derive(Debug)]
pub(crate) struct Admission {
    config: AdmissionConfig,
    sources: Mutex<Sources>,
}

impl Admission {
    pub(crate) fn new(config: AdmissionConfig) -> Self {
        Self {
            config,
            sources: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One socket more of the node.
    pub(crate) fn enter(&self) -> Result<(), Denied> {
        let mut sources = self.lock();
        if sources.open >= self.config.connections_max {
            return Err(Denied::Full);
        }
        sources.open += 1;
        Ok(())
    }

    /// One unfinished handshake more of `address`.
    pub(crate) fn begin(&self, address: IpAddr, now_us: u64) -> Result<(), Denied> {
        let mut sources = self.lock();
        if sources.by_address.len() >= ADDRESSES_MAX {
            let fresh = |it: &Source| it.open == 0 && it.unfinished == 0 && it.bucket <= now_us;
            sources.by_address.retain(|_, source| !fresh(source));
        }
        let source = sources.by_address.entry(address).or_default();
        if source.unfinished >= self.config.handshakes_per_address_max {
            return Err(Denied::Busy(1));
        }
        if self.config.rate_limits
            && let Err(wait_us) = CONNECTS.take(&mut source.bucket, now_us)
        {
            return Err(Denied::Busy(wait_us.div_ceil(1_000_000)));
        }
        source.unfinished += 1;
        Ok(())
    }

    /// A handshake of `address` is over, well or not.
    pub(crate) fn end(&self, address: IpAddr) {
        if let Some(source) = self.lock().by_address.get_mut(&address) {
            source.unfinished = source.unfinished.saturating_sub(1);
        }
    }

    /// One open connection more of `address`; whether that is within its bound.
    pub(crate) fn open(&self, address: IpAddr) -> bool {
        let mut sources = self.lock();
        let source = sources.by_address.entry(address).or_default();
        source.open += 1;
        self.config.per_address_max == 0 || source.open <= self.config.per_address_max
    }

    /// An open connection of `address` has ended.
    pub(crate) fn close(&self, address: IpAddr) {
        let mut sources = self.lock();
        if let Some(source) = sources.by_address.get_mut(&address) {
            source.open = source.open.saturating_sub(1);
            if source.open == 0 && source.unfinished == 0 && !self.config.rate_limits {
                sources.by_address.remove(&address);
            }
        }
    }

    /// One socket less of the node.
    pub(crate) fn leave(&self) {
        let mut sources = self.lock();
        sources.open = sources.open.saturating_sub(1);
    }

    /// Sockets open now.
    pub(crate) fn count(&self) -> usize {
        self.lock().open
    }
}
