//! Threads that share a step with the caller.
//!
//! A step is divided for some tens of microseconds, again and again. Waking a sleeping thread takes
//! as long as that, on either side, so no thread sleeps between steps: the caller takes the first
//! share itself and then spins until the others are done, and a thread of the crew that is done
//! looks for work for a while before rayon puts it to sleep (`patience.rs`). A waiting thread
//! yields to any other that could run. Which thread does a share changes no result.
//!
//! Rayon allocates a box for each share except the first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, Yield};

use super::patience::{Division, Patience, watch};

/// Checks of the caller before it yields for the first time: some microseconds.
const LOOKS: u32 = 200;

/// Spins after the last share is done: rayon must count it too, which takes some nanoseconds.
const LAST_LOOKS: u32 = 16;

/// All threads but the caller's.
#[derive(Debug)]
pub(crate) struct Crew {
    pool: ThreadPool,
    patience: Mutex<Patience>,
    birth: Instant,
}

impl Crew {
    /// A crew that makes `threads` threads together with the caller.
    pub(crate) fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(threads - 1).build()?;
        Ok(Self { pool, patience: Mutex::new(Patience::new()), birth: Instant::now() })
    }

    /// Runs `task` on each of `shares` slices of the buffers, given the length of a slice of each.
    pub(crate) fn share<T: Send, const K: usize>(
        &self,
        shares: usize,
        mut buffers: [(&mut [T], usize); K],
        task: &(impl Fn(usize, [&mut [T]; K]) + Sync),
    ) {
        // A thread of the crew would wait for itself for ever here, and one share is no division.
        if shares <= 1 || self.patience().goes_alone() || self.pool.current_thread_index().is_some()
        {
            return (0..shares).for_each(|share| task(share, take_slices(&mut buffers)));
        }
        let running = AtomicUsize::new(shares.saturating_sub(1));
        self.pool.in_place_scope(|scope| {
            let own = take_slices(&mut buffers);
            for share in 1..shares {
                let slices = take_slices(&mut buffers);
                let running = Running(&running);
                scope.spawn(move |_| {
                    task(share, slices);
                    stay_awake();
                    drop(running);
                });
            }
            let start = Instant::now();
            task(0, own);
            let first = start.elapsed();
            wait_for(&running);
            let shares = u32::try_from(shares).unwrap_or(u32::MAX);
            self.patience().judge(Division {
                start: start.duration_since(self.birth),
                taken: start.elapsed(),
                alone: first.saturating_mul(shares),
            });
        });
    }

    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share that is not done; a share that panics counts as done.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Waits until no share is running.
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
    /// Whether this thread has a loop that looks for work. Another thread may have taken the loop
    /// over.
    static IS_AWAKE: Arc<AtomicBool> = Arc::default();
}

/// Lets this thread of the crew look for work when its current job is done.
fn stay_awake() {
    let is_awake = IS_AWAKE.with(Arc::clone);
    if is_awake.swap(true, Ordering::Relaxed) {
        return;
    }
    rayon::spawn(move || {
        let start = Instant::now();
        watch(|| start.elapsed(), do_a_job);
        is_awake.store(false, Ordering::Relaxed);
    });
}

/// Does a job of the pool if there is one, else yields. Returns whether there was one.
fn do_a_job() -> bool {
    let done = rayon::yield_now() == Some(Yield::Executed);
    if !done {
        std::thread::yield_now();
    }
    done
}

/// Splits a slice off each buffer, shorter at its end.
fn take_slices<'b, T, const K: usize>(buffers: &mut [(&'b mut [T], usize); K]) -> [&'b mut [T]; K] {
    buffers.each_mut().map(|(buffer, len)| {
        let rest = std::mem::take(buffer);
        let (taken, rest) = rest.split_at_mut(rest.len().min(*len));
        *buffer = rest;
        taken
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Every share is done once, with its own slices.
    #[test]
    fn each_share_gets_its_slices() {
        for threads in [2, 3, 5] {
            let crew = Crew::new(threads).unwrap();
            for _ in 0..100 {
                let (mut long, mut short) = ([0usize; 14], [0usize; 5]);
                crew.share(5, [(&mut long, 3), (&mut short, 1)], &|share, [long, short]| {
                    long.iter_mut().chain(short).for_each(|place| *place += share + 1);
                });
                assert_eq!(long, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]);
                assert_eq!(short, [1, 2, 3, 4, 5]);
            }
        }
    }

    /// A caller without patience does every share itself.
    #[test]
    fn an_impatient_caller_goes_alone() {
        let crew = Crew::new(2).unwrap();
        let late = Duration::from_secs(1);
        crew.patience().judge(Division { start: late, taken: late, alone: Duration::ZERO });
        let mut doers = [None; 2];
        crew.share(2, [(&mut doers, 1)], &|_, [doer]| doer[0] = Some(std::thread::current().id()));
        assert_eq!(doers, [Some(std::thread::current().id()); 2]);
    }

    /// A share that divides its own work once waited for ever for shares behind itself in the
    /// queue.
    #[test]
    fn a_share_may_share_again() {
        let workers = Crew::new(2).unwrap();
        let sums: [AtomicUsize; 2] = Default::default();
        workers.share(2, [(&mut [0u8; 2], 1)], &|share, _| {
            workers.share(2, [(&mut [1usize; 2], 1)], &|_, [one]| {
                sums[share].fetch_add(one[0], Ordering::Relaxed);
            });
        });
        assert_eq!(sums.map(AtomicUsize::into_inner), [2, 2]);
    }

    #[test]
    fn a_panic_of_a_share_reaches_the_caller() {
        let crew = Crew::new(2).unwrap();
        for bad in [0, 1] {
            let share = || {
                crew.share(2, [(&mut [0u8; 2], 1)], &|share, _| assert_ne!(share, bad));
            };
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(share)).is_err());
        }
    }
}
