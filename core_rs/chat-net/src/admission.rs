//! Who may connect: rates and counts per address, and a bound over all.
//!
//! What is counted is owned by a [`Permit`], so that no way in which a socket can end forgets it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_hub::gcra::Rate;
use hashbrown::HashMap;

/// Connects of one address.
const CONNECTS: Rate = Rate::per_second(200, 2_000);
/// Addresses remembered before those that count nothing any more are swept out. What is left then
/// is at most what is open, and the next sweep comes when that has doubled.
const ADDRESSES_SWEPT_AT: usize = 100_000;

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

impl Source {
    fn counts_nothing(&self, now_us: u64) -> bool {
        self.open == 0 && self.unfinished == 0 && self.bucket <= now_us
    }
}

#[derive(Debug)]
struct Sources {
    by_address: HashMap<IpAddr, Source>,
    swept_at: usize,
    open: usize,
}

impl Sources {
    fn sweep(&mut self, now_us: u64) {
        if self.by_address.len() >= self.swept_at {
            self.by_address
                .retain(|_, source| !source.counts_nothing(now_us));
            self.swept_at = ADDRESSES_SWEPT_AT.max(self.by_address.len() * 2);
        }
    }
}

/// Counts what is open.
#[derive(Debug)]
pub(crate) struct Admission {
    config: AdmissionConfig,
    sources: Mutex<Sources>,
}

impl Admission {
    pub(crate) fn new(config: AdmissionConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            sources: Mutex::new(Sources {
                by_address: HashMap::new(),
                swept_at: ADDRESSES_SWEPT_AT,
                open: 0,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One socket more of the node, from `address`.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Denied> {
        let mut sources = self.lock();
        if sources.open >= self.config.connections_max {
            return Err(Denied::Full);
        }
        sources.open += 1;
        Ok(Permit {
            admission: self.clone(),
            address,
            unfinished: false,
            open: false,
        })
    }

    /// Sockets open now.
    pub(crate) fn count(&self) -> usize {
        self.lock().open
    }
}

/// One socket of the node; what it counts for is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
    unfinished: bool,
    open: bool,
}

impl Permit {
    /// Whom it is counted for.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether its handshake is counted.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// One unfinished handshake more of its address.
    pub(crate) fn begin(&mut self, now_us: u64) -> Result<(), Denied> {
        let config = &self.admission.config;
        let mut sources = self.admission.lock();
        sources.sweep(now_us);
        let source = sources.by_address.entry(self.address).or_default();
        if source.unfinished >= config.handshakes_per_address_max {
            return Err(Denied::Busy(1));
        }
        if config.rate_limits
            && let Err(wait_us) = CONNECTS.take(&mut source.bucket, now_us)
        {
            return Err(Denied::Busy(wait_us.div_ceil(1_000_000)));
        }
        source.unfinished += 1;
        self.unfinished = true;
        Ok(())
    }

    /// As [`Self::begin`] for the client behind a proxy, whose address the request tells.
    pub(crate) fn begin_for(&mut self, client: IpAddr, now_us: u64) -> Result<(), Denied> {
        self.address = client;
        self.begin(now_us)
    }

    /// The handshake is over and the connection open; whether its address may have that many.
    pub(crate) fn open(&mut self) -> bool {
        let max = self.admission.config.per_address_max;
        let mut sources = self.admission.lock();
        let source = sources.by_address.entry(self.address).or_default();
        if std::mem::take(&mut self.unfinished) {
            source.unfinished -= 1;
        }
        source.open += 1;
        self.open = true;
        max == 0 || source.open <= max
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let keeps_rates = self.admission.config.rate_limits;
        let mut sources = self.admission.lock();
        sources.open -= 1;
        let Some(source) = sources.by_address.get_mut(&self.address) else {
            return;
        };
        source.unfinished -= usize::from(self.unfinished);
        source.open -= usize::from(self.open);
        if !keeps_rates && source.counts_nothing(u64::MAX) {
            sources.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections_max: usize) -> Arc<Admission> {
        Admission::new(AdmissionConfig {
            connections_max,
            per_address_max: 1,
            handshakes_per_address_max: 2,
            rate_limits: false,
        })
    }

    /// Whichever way a socket goes, its counts go with it.
    #[test]
    fn a_permit_gives_back_what_it_counts_for() {
        let admission = admission(3);
        let address: IpAddr = [10, 0, 0, 1].into();
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(admission.enter(address).unwrap());
        }
        assert_eq!(admission.enter(address).unwrap_err(), Denied::Full);
        assert!(permits[0].begin(1).is_ok() && permits[1].begin(1).is_ok());
        assert_eq!(permits[2].begin(1), Err(Denied::Busy(1)));
        assert!(permits[0].open() && !permits[1].open());
        assert!(permits[2].begin_for([10, 0, 0, 2].into(), 1).is_ok());
        drop(permits);
        assert_eq!(admission.count(), 0);
        assert!(admission.lock().by_address.is_empty());
    }

    /// A node with very many addresses open does not walk over all of them at each accept.
    #[test]
    fn the_next_sweep_waits_until_what_is_left_has_doubled() {
        let admission = admission(usize::MAX);
        let mut permits = Vec::new();
        for number in 0..=ADDRESSES_SWEPT_AT as u32 {
            let mut permit = admission.enter(number.to_be_bytes().into()).unwrap();
            permit.begin(1).unwrap();
            permits.push(permit);
        }
        assert_eq!(admission.lock().swept_at, 2 * ADDRESSES_SWEPT_AT);
    }
}
