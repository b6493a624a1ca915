//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling), time as an argument.
//!
//! A bucket is one number, the theoretical arrival time in microseconds; 0 is a fresh bucket.

use hashbrown::HashMap;

/// A rate with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval_us: u64,
    tolerance_us: u64,
}

impl Rate {
    /// `per_second` events a second on average, `burst` of them at once.
    pub const fn per_second(per_second: u64, burst: u64) -> Self {
        let interval_us = 1_000_000 / per_second;
        Self {
            interval_us,
            tolerance_us: interval_us * burst.saturating_sub(1),
        }
    }

    /// Takes one event from `bucket` at `now_us`, or says in how many microseconds it may be.
    ///
    /// # Errors
    /// The time to wait; the bucket is unchanged.
    pub fn take(&self, bucket: &mut u64, now_us: u64) -> Result<(), u64> {
        let arrival = (*bucket).max(now_us);
        let early = arrival - now_us;
        if early > self.tolerance_us {
            return Err(early - self.tolerance_us);
        }
        *bucket = arrival + self.interval_us;
        Ok(())
    }
}

/// Buckets by key, with a bound: when full, buckets that are as good as fresh are swept out first.
#[derive(Debug)]
pub struct Keyed {
    rate: Rate,
    buckets: HashMap<Box<str>, u64>,
    keys_max: usize,
    swept_at_us: u64,
}

impl Keyed {
    /// An empty table of at most `keys_max` buckets.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
            keys_max,
            swept_at_us: 0,
        }
    }

    /// As [`Rate::take`] for the bucket of `key`. A full table refuses unknown keys for a second.
    ///
    /// # Errors
    /// The time to wait in microseconds.
    pub fn take(&mut self, key: &str, now_us: u64) -> Result<(), u64> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return self.rate.take(bucket, now_us);
        }
        if self.buckets.len() >= self.keys_max || now_us > self.swept_at_us + 10_000_000 {
            self.buckets.retain(|_, bucket| *bucket > now_us);
            self.swept_at_us = now_us;
            if self.buckets.len() >= self.keys_max {
                return Err(1_000_000);
            }
        }
        let mut bucket = 0;
        let taken = self.rate.take(&mut bucket, now_us);
        self.buckets.insert(key.into(), bucket);
        taken
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let rate = Rate::per_second(50, 200);
        let mut bucket = 0;
        for _ in 0..200 {
            assert_eq!(rate.take(&mut bucket, 1_000), Ok(()));
        }
        assert_eq!(rate.take(&mut bucket, 1_000), Err(20_000));
        assert_eq!(rate.take(&mut bucket, 21_000), Ok(()));
        assert!(rate.take(&mut bucket, 21_000).is_err());
    }

    #[test]
    fn over_any_long_time_the_rate_is_kept() {
        let rate = Rate::per_second(100, 10);
        let (mut bucket, mut passed) = (0, 0);
        for step in 0..100_000_u64 {
            passed += u32::from(rate.take(&mut bucket, step * 100).is_ok());
        }
        assert!((1000..=1011).contains(&passed), "{passed}");
    }

    #[test]
    fn a_full_table_sweeps_what_is_fresh_again() {
        let mut table = Keyed::new(Rate::per_second(10, 1), 2);
        assert!(table.take("a", 1).is_ok() && table.take("b", 1).is_ok());
        assert!(table.take("c", 2).is_err());
        assert!(table.take("c", 200_000).is_ok());
        assert_eq!(table.len(), 1);
        assert!(!table.is_empty());
    }
}
