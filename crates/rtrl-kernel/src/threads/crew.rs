//! Threads that share a step with the caller.
//!
//! A step is divided for some tens of microseconds, again and again. To wake a thread that sleeps takes as
//! long as that, on either side, so nobody sleeps between steps: the caller takes the first part itself and
//! waits for the others with its eyes open, and a thread of the crew that is done looks for work for a
//! while before it lets rayon put it to sleep. Whoever waits gives way to any other thread that could run.
//!
//! Where other programs want the same cores, a thread of the crew may have to wait for one much longer than
//! its part takes. When the crew has cost a few milliseconds more than it has brought, the caller does all
//! parts itself for a while, and for longer each time that this happens again. Who does a part changes no
//! result.
//!
//! Rayon puts one job for each part but the first into a box.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, Yield};

/// How long a thread looks for work before it may sleep: longer than what a step does between two
/// divisions, for all sizes at which threads pay.
const AWAKE: Duration = Duration::from_micros(200);

/// Looks at what the caller waits for before it gives way for the first time: some microseconds.
const LOOKS: u32 = 200;

/// Looks after the last part is done: rayon must count it too, which takes some nanoseconds.
const LAST_LOOKS: u32 = 16;

/// What a thread that sleeps may take to wake, where it gets a core at once.
const WAKING: Duration = Duration::from_micros(300);

/// Microseconds that the crew may cost before the caller goes on by itself: as long as a system takes to
/// move a thread that was woken on the caller's own core to another.
const PATIENCE: u64 = 5_000;

/// Divisions that the caller does by itself when its patience is at an end for the first time.
const FIRST_ALONE: u32 = 16;

/// How long the caller goes on by itself at most.
const LONGEST_ALONE: Duration = Duration::from_secs(1);

/// All threads but the caller's.
#[derive(Debug)]
pub(crate) struct Crew {
    pool: ThreadPool,
    /// Divisions that the caller will do by itself.
    alone: AtomicU32,
    /// How many these will be when the crew is late the next time.
    next_alone: AtomicU32,
    /// Microseconds that the crew has cost since it was last in time.
    lost: AtomicU64,
    /// When the last division with the crew was over, in microseconds since `birth`.
    last: AtomicU64,
    birth: Instant,
}

impl Crew {
    /// With the caller, so many threads.
    pub(crate) fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads - 1).build()?;
        let (alone, next_alone) = (AtomicU32::new(0), AtomicU32::new(FIRST_ALONE));
        let (lost, last) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { pool, alone, next_alone, lost, last, birth: Instant::now() })
    }

    /// Runs `task` on each of `parts` pieces of the buffers, given the length of a piece of each.
    pub(crate) fn share<T: Send, const K: usize>(
        &self,
        parts: usize,
        mut buffers: [(&mut [T], usize); K],
        task: &(impl Fn(usize, [&mut [T]; K]) + Sync),
    ) {
        let alone = self.alone.load(Ordering::Relaxed);
        self.alone.store(alone.saturating_sub(1), Ordering::Relaxed);
        // A thread of the crew that waited here for itself would wait for ever.
        if alone > 0 || self.pool.current_thread_index().is_some() {
            return (0..parts).for_each(|part| task(part, take_pieces(&mut buffers)));
        }
        let running = AtomicUsize::new(parts.saturating_sub(1));
        self.pool.in_place_scope(|scope| {
            let own = take_pieces(&mut buffers);
            for part in 1..parts {
                let pieces = take_pieces(&mut buffers);
                let running = Running(&running);
                scope.spawn(move |_| {
                    task(part, pieces);
                    stay_awake();
                    drop(running);
                });
            }
            let start = Instant::now();
            task(0, own);
            let first = start.elapsed();
            wait_for(&running);
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            self.judge(start, first.saturating_mul(parts));
        });
    }

    /// Draws the consequences from a division that began at `start` and is over, and from the time that the
    /// caller would have taken by itself.
    fn judge(&self, start: Instant, by_itself: Duration) {
        let time = start.elapsed();
        let since_birth = |time: Instant| time.duration_since(self.birth).as_micros();
        let now = u64::try_from(since_birth(start + time)).unwrap_or(u64::MAX);
        let last = self.last.swap(now, Ordering::Relaxed);
        let slept = since_birth(start) > u128::from(last) + AWAKE.as_micros();
        let next = self.next_alone.load(Ordering::Relaxed);
        let late = time.saturating_sub(by_itself + if slept { WAKING } else { Duration::ZERO });
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let lost = self.lost.load(Ordering::Relaxed).saturating_add(late_us);
        self.lost.store(if late > Duration::ZERO || slept { lost } else { 0 }, Ordering::Relaxed);
        if lost > PATIENCE {
            let most = LONGEST_ALONE.as_nanos() / by_itself.as_nanos().max(1);
            let alone = next.min(u32::try_from(most).unwrap_or(u32::MAX)).max(FIRST_ALONE);
            self.alone.store(alone, Ordering::Relaxed);
            self.next_alone.store(alone.saturating_mul(2), Ordering::Relaxed);
            self.lost.store(0, Ordering::Relaxed);
        } else if late == Duration::ZERO && !slept {
            self.next_alone.store((next / 2).max(FIRST_ALONE), Ordering::Relaxed);
        }
    }
}

/// A part that is not done; it counts as done where it panics, too.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Waits until no part is running.
fn wait_for(running: &AtomicUsize) {
    let mut looks = 0;
    while running.load(Ordering::Acquire) > 0 {
        looks += 1;
        if looks < LOOKS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
    for _ in 0..LAST_LOOKS {
        std::hint::spin_loop();
    }
}

thread_local! {
    /// Whether this thread has a loop that looks for work. Another thread may have taken the loop over.
    static IS_AWAKE: Arc<AtomicBool> = Arc::default();
}

/// Lets this thread of the crew look for work when its present job is done.
fn stay_awake() {
    let is_awake = IS_AWAKE.with(Arc::clone);
    if is_awake.swap(true, Ordering::Relaxed) {
        return;
    }
    rayon::spawn(move || {
        let mut last = Instant::now();
        while last.elapsed() < AWAKE {
            match rayon::yield_now() {
                Some(Yield::Executed) => last = Instant::now(),
                _ => std::thread::yield_now(),
            }
        }
        is_awake.store(false, Ordering::Relaxed);
    });
}

/// Splits off a piece of each buffer, or what there is of it.
fn take_pieces<'b, T, const K: usize>(buffers: &mut [(&'b mut [T], usize); K]) -> [&'b mut [T]; K] {
    buffers.each_mut().map(|(buffer, piece)| {
        let rest = std::mem::take(buffer);
        let (taken, rest) = rest.split_at_mut(rest.len().min(*piece));
        *buffer = rest;
        taken
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part once and with its own pieces, also where threads have gone to sleep.
    #[test]
    fn each_part_gets_its_pieces() {
        for threads in [2, 3, 5] {
            let crew = Crew::new(threads).unwrap();
            for round in 0..100 {
                let (mut long, mut short) = ([0usize; 14], [0usize; 5]);
                crew.share(5, [(&mut long, 3), (&mut short, 1)], &|part, [long, short]| {
                    long.iter_mut().chain(short).for_each(|place| *place += part + 1);
                });
                assert_eq!(long, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]);
                assert_eq!(short, [1, 2, 3, 4, 5]);
                if round % 40 == 39 {
                    std::thread::sleep(5 * AWAKE);
                }
            }
        }
    }

    /// A part that takes its time makes the caller go on alone; the results are the same.
    #[test]
    fn a_late_crew_is_left_alone_for_a_while() {
        let crew = Crew::new(2).unwrap();
        let caller = std::thread::current().id();
        let run = |pause: Duration| {
            let mut crews = [0usize; 2];
            crew.share(2, [(&mut crews, 1)], &|part, [place]| {
                if std::thread::current().id() != caller {
                    std::thread::sleep(pause);
                    place[0] = 10;
                }
                place[0] += part;
            });
            crews
        };
        assert_eq!(run(Duration::from_millis(200)), [0, 11]);
        for _ in 0..FIRST_ALONE {
            assert_eq!(run(Duration::ZERO), [0, 1]);
        }
        assert_eq!(run(Duration::ZERO), [0, 11]);
    }

    /// It once waited for ever, its own parts behind itself in its queue.
    #[test]
    fn a_part_may_share_again() {
        let workers = Crew::new(2).unwrap();
        let sums: [AtomicUsize; 2] = Default::default();
        workers.share(2, [(&mut [0u8; 2], 1)], &|part, _| {
            workers.share(2, [(&mut [1usize; 2], 1)], &|_, [one]| {
                sums[part].fetch_add(one[0], Ordering::Relaxed);
            });
        });
        assert_eq!(sums.map(AtomicUsize::into_inner), [2, 2]);
    }

    /// A loop that looks for work may end on another thread than the one it belongs to.
    #[test]
    fn who_has_no_loop_may_start_one() {
        let crew = Crew::new(5).unwrap();
        for _ in 0..20 {
            crew.alone.store(0, Ordering::Relaxed);
            crew.share(5, [(&mut [0u8; 5], 1)], &|_, _| std::thread::sleep(AWAKE / 4));
            let is_awake =
                |_: rayon::BroadcastContext<'_>| IS_AWAKE.with(|flag| flag.load(Ordering::Relaxed));
            // A thread that had no core for a while is still in its loop.
            let mut looks = (0..500).map(|_| {
                std::thread::sleep(5 * AWAKE);
                crew.pool.broadcast(is_awake)
            });
            assert!(looks.any(|awake| awake == [false; 4]));
        }
    }

    #[test]
    fn a_panic_of_a_part_reaches_the_caller() {
        let crew = Crew::new(2).unwrap();
        for bad in [0, 1] {
            let share = || {
                crew.share(2, [(&mut [0u8; 2], 1)], &|part, _| assert_ne!(part, bad));
            };
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(share)).is_err());
        }
    }
}
