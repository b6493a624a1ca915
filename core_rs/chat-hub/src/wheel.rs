//! A hashed timing wheel (Varghese and Lauck 1987, scheme 6): coarse deadlines, cheap to set.
//!
//! Entries are never removed: who fires looks at its own deadline and sets itself again.

/// One turn of the wheel in ticks.
const SLOTS: usize = 1024;
/// How long a tick is.
pub const TICK_US: u64 = 100_000;

/// Who asked to be woken.
pub type Entry = (u32, u32);

/// The wheel; a tick's entries fire when time has passed it.
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<Entry>>,
    tick: u64,
}

impl Wheel {
    /// A wheel that starts at `now_us`.
    pub fn new(now_us: u64) -> Self {
        Self {
            slots: vec![Vec::new(); SLOTS],
            tick: now_us / TICK_US,
        }
    }

    /// Fires `entry` at the first tick not before `at_us`; a far deadline fires early, once a turn.
    pub fn set(&mut self, entry: Entry, at_us: u64) {
        let wanted = at_us.div_ceil(TICK_US).max(self.tick + 1);
        let tick = wanted.min(self.tick + SLOTS as u64 - 1);
        self.slots[tick as usize % SLOTS].push(entry);
    }

    /// Moves time to `now_us` and adds every entry that is due to `due`.
    pub fn advance(&mut self, now_us: u64, due: &mut Vec<Entry>) {
        let to = now_us / TICK_US;
        let turns = (to.saturating_sub(self.tick)).min(SLOTS as u64);
        for step in 1..=turns {
            // Its memory goes with it: a burst must not stay for a thousand slots.
            let slot = &mut self.slots[(self.tick + step) as usize % SLOTS];
            due.append(&mut std::mem::take(slot));
        }
        self.tick = self.tick.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_fires_once_and_not_before_its_time() {
        let mut wheel = Wheel::new(0);
        wheel.set((7, 1), 250_000);
        let mut due = Vec::new();
        wheel.advance(200_000, &mut due);
        assert!(due.is_empty());
        wheel.advance(300_000, &mut due);
        assert_eq!(due, [(7, 1)]);
        wheel.advance(900_000_000, &mut due);
        assert_eq!(due.len(), 1);
    }

    #[test]
    fn a_leap_of_time_fires_everything_at_once() {
        let mut wheel = Wheel::new(0);
        for index in 0..50 {
            wheel.set((index, 0), u64::from(index) * 1_000_000);
        }
        let mut due = Vec::new();
        wheel.advance(500_000_000, &mut due);
        assert_eq!(due.len(), 50);
    }
}
