//! What a shard has counted; plain numbers, published by the shard after each poll round.

use std::collections::BTreeMap;

/// Counters since the start and, at the end, gauges of now.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "each is one metric of docs/reference/metrics.md")]
pub struct Stats {
    pub opened: u64,
    pub handshakes: u64,
    pub messages_in: u64,
    pub sends: u64,
    pub signals: u64,
    pub deliveries: u64,
    pub shed: u64,
    pub gaps: u64,
    pub slow_consumers: u64,
    pub errors: u64,
    pub resumes_recovered: u64,
    pub resumes_gap: u64,
    pub resumes_epoch: u64,
    pub repairs: u64,
    pub panics: u64,
    /// Connections closed, by code; 0 where none was sent.
    pub closes: BTreeMap<u16, u64>,
    pub connections: u64,
    pub rooms: u64,
    pub recent_bytes: u64,
}
