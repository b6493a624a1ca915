//! Histograms that several threads add to without waiting.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the buckets, microseconds.
pub const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Durations in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Adds one duration.
    pub fn add(&self, us: u64) {
        self.add_many(us, 1);
    }

    /// Adds the time from each of `since_us` to `now_us` and empties the list; 0 is no time.
    pub fn add_since(&self, since_us: &mut Vec<u64>, now_us: u64) {
        for began_us in since_us.drain(..).filter(|it| *it != 0) {
            self.add(now_us.saturating_sub(began_us));
        }
    }

    /// Adds the same duration `count` times.
    pub fn add_many(&self, us: u64, count: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(count, Relaxed);
        self.sum_us.fetch_add(us * count, Relaxed);
    }

    /// Counts a bucket (the last one is over every bound) and the sum in microseconds.
    pub fn read(&self) -> (Vec<u64>, u64) {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Relaxed))
            .collect();
        (counts, self.sum_us.load(Relaxed))
    }
}

/// The durations a node measures.
#[derive(Debug, Default)]
pub struct Durations {
    /// From receipt of a `send` to its commit being told.
    pub receipt_to_commit: Histogram,
    /// From receipt of a `send` to the write of its `ok`.
    pub ack: Histogram,
    /// From the commit being told to the last subscriber's write.
    pub commit_to_last_write: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [1, 100, 101, 20_000_000] {
            histogram.add(us);
        }
        let (counts, sum_us) = histogram.read();
        assert_eq!(
            (counts[0], counts[1], counts[16], sum_us),
            (2, 1, 1, 20_000_202)
        );
    }
}
