//! The division of panels among threads.
//!
//! Panels never mix, so the number of threads does not affect the results. Each thread gets one
//! contiguous run of panels, the same one in every step.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | how many threads, and which share each gets |
//! | `crew.rs` | threads that share a step with the caller |
//! | `patience.rs` | how long they wait |

#[cfg(feature = "rayon")]
mod crew;
#[cfg(feature = "rayon")]
mod patience;

use std::num::NonZeroUsize;

#[cfg(feature = "rayon")]
use self::crew::Crew;
use crate::error::Error;

/// How many threads an engine uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Threads {
    /// As many as [`automatic_threads`] can use efficiently on this machine.
    #[default]
    Auto,
    /// This many, however small the work; at least 1. Only layers of up to 8 simple units that all
    /// learn take the caller's thread all the same.
    Exactly(usize),
}

impl Threads {
    /// The caller's thread only.
    pub const SERIAL: Self = Self::Exactly(1);

    /// The number of threads for a step of `flops` operations on this machine.
    pub fn count(self, flops: u128) -> usize {
        let available =
            if cfg!(feature = "rayon") { std::thread::available_parallelism().ok() } else { None };
        match self {
            Self::Auto => automatic_threads(flops, available.map_or(1, NonZeroUsize::get)),
            Self::Exactly(count) => count,
        }
    }
}

/// Floating-point operations per thread below which another thread does not pay.
///
/// Sharing a step with a thread that is awake costs one to two microseconds, in which one core does
/// a few hundred thousand operations; below a million per thread there is little to gain.
pub(crate) const FLOPS_PER_THREAD: u128 = 1_000_000;

/// The number of threads for a step of `flops` operations on a machine with `available` of them:
/// one for every million, at least one and at most all.
pub fn automatic_threads(flops: u128, available: usize) -> usize {
    let wanted = usize::try_from(flops / FLOPS_PER_THREAD).unwrap_or(usize::MAX);
    wanted.min(available).max(1)
}

/// A fixed number of threads, for the shares of one engine or for several engines at a time.
#[derive(Debug, Clone)]
pub struct Workers {
    count: usize,
    #[cfg(feature = "rayon")]
    crew: Option<std::sync::Arc<Crew>>,
}

impl Workers {
    /// Threads for steps of `flops` operations.
    ///
    /// # Errors
    /// [`Error::Zero`] for 0 threads; [`Error::Threads`] if the system refuses them, or if several
    /// are requested and the `rayon` feature is off.
    pub fn new(threads: Threads, flops: u128) -> Result<Self, Error> {
        match threads.count(flops) {
            0 => Err(Error::Zero { what: "threads" }),
            count => Self::exactly(count),
        }
    }

    #[cfg(feature = "rayon")]
    fn exactly(count: usize) -> Result<Self, Error> {
        let refused = |reason: rayon::ThreadPoolBuildError| Error::Threads {
            requested: count,
            reason: reason.to_string(),
        };
        let crew = (count > 1).then(|| Crew::new(count).map_err(refused)).transpose()?;
        Ok(Self { count, crew: crew.map(std::sync::Arc::new) })
    }

    #[cfg(not(feature = "rayon"))]
    fn exactly(count: usize) -> Result<Self, Error> {
        if count > 1 {
            let reason = "this build has no rayon feature".to_owned();
            return Err(Error::Threads { requested: count, reason });
        }
        Ok(Self { count })
    }

    /// Number of threads.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `task` on each share, each on its own thread if there are several.
    ///
    /// Each buffer is divided into slices of the given length, one per share. `task` is called with
    /// the number of the share and its slices. There are as many shares as the first buffer has
    /// slices.
    #[cfg_attr(not(feature = "rayon"), allow(clippy::unused_self, reason = "no crew to ask"))]
    pub fn each<T: Send, const K: usize>(
        &self,
        buffers: [(&mut [T], usize); K],
        task: impl Fn(usize, [&mut [T]; K]) + Sync,
    ) {
        #[cfg(feature = "rayon")]
        if let (Some(crew), Some((first, len))) = (&self.crew, buffers.first()) {
            let shares = first.len().div_ceil(*len);
            return crew.share(shares, buffers, &task);
        }
        task(0, buffers.map(|(buffer, _)| buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_stays_serial_and_large_work_takes_every_thread() {
        assert_eq!(automatic_threads(0, 4), 1);
        assert_eq!(automatic_threads(1_999_999, 4), 1);
        assert_eq!(automatic_threads(2_000_000, 4), 2);
        assert_eq!(automatic_threads(u128::MAX, 4), 4);
    }

    #[test]
    fn no_threads_are_refused() {
        let refused = Workers::new(Threads::Exactly(0), 0).map(|workers| workers.count());
        assert!(matches!(refused, Err(Error::Zero { .. })), "{refused:?}");
    }
}
