//! How long threads wait for work and for each other. Time is an argument, so this file never
//! waits.
//!
//! If other programs use the same cores, a thread of the crew may wait for a core much longer than
//! its share takes. When the crew has cost a few milliseconds more than it has saved, the caller
//! does all shares itself for a while, and for longer each time this happens again. A crew that is
//! in time again is used again.

use std::time::Duration;

/// How long a thread looks for work before it may sleep: longer than what a step does between two
/// divisions, for all sizes at which threads pay.
const AWAKE: Duration = Duration::from_micros(200);

/// The time that a sleeping thread may take to wake if a core is free.
const WAKING: Duration = Duration::from_micros(300);

/// What the crew may cost before the caller continues alone: as long as a system takes to move a
/// thread that was woken on the caller's own core to another one.
const PATIENCE: Duration = Duration::from_millis(5);

/// Divisions that the caller does alone when its patience ends for the first time.
const FIRST_ALONE: u32 = 16;

/// How long the caller continues alone at most.
const LONGEST_ALONE: Duration = Duration::from_secs(1);

/// A finished division of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    /// When it began.
    pub(super) start: Duration,
    /// How long it took.
    pub(super) taken: Duration,
    /// How long the caller would have taken alone.
    pub(super) alone: Duration,
}

/// The caller's patience with its crew.
#[derive(Debug)]
pub(super) struct Patience {
    /// Divisions that the caller will do alone.
    alone: u32,
    /// How many there will be the next time that patience ends.
    next_alone: u32,
    /// What the crew has cost since it was last in time.
    lost: Duration,
    /// When the last division with the crew ended.
    last: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { alone: 0, next_alone: FIRST_ALONE, lost: Duration::ZERO, last: Duration::ZERO }
    }

    /// Whether the caller does the next division alone.
    pub(super) fn goes_alone(&mut self) -> bool {
        let alone = self.alone > 0;
        self.alone = self.alone.saturating_sub(1);
        alone
    }

    /// Updates the patience after a division with the crew.
    pub(super) fn judge(&mut self, division: Division) {
        let Division { start, taken, alone } = division;
        let slept = start > self.last + AWAKE;
        self.last = start + taken;
        let late = taken.saturating_sub(alone + if slept { WAKING } else { Duration::ZERO });
        if late > Duration::ZERO {
            self.lost += late;
        } else if !slept {
            self.lost = Duration::ZERO;
            self.next_alone = (self.next_alone / 2).max(FIRST_ALONE);
        }
        if self.lost > PATIENCE {
            self.lose(alone);
        }
    }

    /// Lets the caller continue alone for a while, in divisions that take `alone` each.
    fn lose(&mut self, alone: Duration) {
        let most = LONGEST_ALONE.as_nanos() / alone.as_nanos().max(1);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.alone = self.next_alone.min(most).max(FIRST_ALONE);
        self.next_alone = self.alone.saturating_mul(2);
        self.lost = Duration::ZERO;
    }
}

/// Looks for work until there has been none for [`AWAKE`]. `look` does a job if there is one, and
/// returns whether there was.
pub(super) fn watch(now: impl Fn() -> Duration, mut look: impl FnMut() -> bool) {
    let mut last = now();
    while now() < last + AWAKE {
        if look() {
            last = now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const STEP: Duration = Duration::from_micros(100);

    /// A caller whose divisions take [`STEP`] alone, and a clock.
    struct Caller {
        patience: Patience,
        now: Duration,
    }

    impl Caller {
        fn new() -> Self {
            Self { patience: Patience::new(), now: Duration::ZERO }
        }

        /// A division with the crew that takes `taken`.
        fn divide(&mut self, taken: Duration) {
            self.patience.judge(Division { start: self.now, taken, alone: STEP });
            self.now += taken;
        }

        /// Divisions that the caller does alone from now on.
        fn alone(&mut self) -> u32 {
            let mut count = 0;
            while self.patience.goes_alone() {
                count += 1;
            }
            count
        }
    }

    #[test]
    fn a_crew_in_time_is_never_left_alone() {
        let mut caller = Caller::new();
        for _ in 0..100_000 {
            caller.divide(STEP / 2);
        }
        assert_eq!(caller.alone(), 0);
    }

    #[test]
    fn a_late_crew_is_left_alone_longer_each_time_and_trusted_again() {
        let mut caller = Caller::new();
        for expected in [16, 32, 64, 128] {
            caller.divide(PATIENCE + 2 * STEP);
            assert_eq!(caller.alone(), expected);
        }
        // Halved by each division in time.
        caller.divide(STEP / 2);
        caller.divide(STEP / 2);
        caller.divide(PATIENCE + 2 * STEP);
        assert_eq!(caller.alone(), 64);
    }

    #[test]
    fn small_delays_accumulate_until_one_division_is_in_time() {
        let mut caller = Caller::new();
        let late = STEP + PATIENCE / 4;
        for _ in 0..4 {
            caller.divide(late);
        }
        assert_eq!(caller.alone(), 0);
        caller.divide(STEP / 2);
        for _ in 0..4 {
            caller.divide(late);
        }
        assert_eq!(caller.alone(), 0);
        caller.divide(late);
        assert_eq!(caller.alone(), FIRST_ALONE);
    }

    #[test]
    fn threads_that_slept_may_take_the_time_to_wake() {
        let mut caller = Caller::new();
        for _ in 0..1000 {
            caller.now += 2 * AWAKE;
            caller.divide(STEP + WAKING);
        }
        assert_eq!(caller.alone(), 0);
        // Awake, they may not.
        for _ in 0..17 {
            caller.divide(STEP + WAKING);
        }
        assert_eq!(caller.alone(), FIRST_ALONE);
    }

    #[test]
    fn the_caller_stays_alone_for_a_second_at_most() {
        let mut caller = Caller::new();
        let most = u32::try_from(LONGEST_ALONE.as_micros() / STEP.as_micros()).unwrap();
        let mut longest = 0;
        for _ in 0..20 {
            caller.divide(PATIENCE + 2 * STEP);
            longest = caller.alone();
        }
        assert_eq!(longest, most);
    }

    /// Work keeps a thread awake; without any it stops after the time that it may be awake.
    #[test]
    fn a_watch_ends_when_no_work_has_come_for_a_while() {
        let (now, mut jobs) = (Cell::new(Duration::ZERO), 3);
        let look = || {
            now.set(now.get() + AWAKE / 2);
            jobs -= i32::from(jobs > 0);
            jobs > 0
        };
        watch(|| now.get(), look);
        assert_eq!((now.get(), jobs), (AWAKE / 2 * 4, 0));
    }
}
