//! What a shard has counted; plain numbers, published by the shard after each poll round.

use std::collections::BTreeMap;

/// Counters since the start and, at the end, gauges of now.
#[derive(Clone, Debug, Default)]
#[allow(
    missing_docs,
    reason = "each is one metric of docs/reference/metrics.md"
)]
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
    /// Bytes that wait to be written, all connections together.
    pub backlog_bytes: u64,
}

impl Stats {
    /// Adds another shard's numbers; `closes` is left alone.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.numbers_mut().into_iter().zip(other.numbers());
        for (mine, (_, theirs)) in pairs {
            *mine += theirs;
        }
    }
}

macro_rules! numbers {
    ($($name:ident),+) => {
        impl Stats {
            /// Every number with its metric name.
            pub fn numbers(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }

            fn numbers_mut(&mut self) -> Vec<&mut u64> {
                vec![$(&mut self.$name),+]
            }
        }
    };
}

numbers!(
    opened,
    handshakes,
    messages_in,
    sends,
    signals,
    deliveries,
    shed,
    gaps,
    slow_consumers,
    errors,
    resumes_recovered,
    resumes_gap,
    resumes_epoch,
    repairs,
    panics,
    connections,
    rooms,
    recent_bytes,
    backlog_bytes
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Two shards' numbers are added name by name; closes are kept by code elsewhere.
    #[test]
    fn numbers_add_up_by_name() {
        let mut all = Stats {
            opened: 1,
            ..Stats::default()
        };
        let other = Stats {
            opened: 2,
            backlog_bytes: 7,
            ..Stats::default()
        };
        all.closes.insert(4001, 1);
        all.add(&other);
        let named: BTreeMap<_, _> = all.numbers().into_iter().collect();
        assert_eq!(
            (named["opened"], named["backlog_bytes"], named["errors"]),
            (3, 7, 0)
        );
        assert_eq!(all.closes.len(), 1);
    }
}
