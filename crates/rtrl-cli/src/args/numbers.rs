//! Numbers on the command line, within their limits.

use std::num::{NonZeroU32, NonZeroUsize};

/// Threads for each core that `--threads` accepts; more of them only wait for each other.
const THREADS_PER_CORE: usize = 4;

/// The most rows that a lag goes back.
const LONGEST_LAG: usize = 100_000;

/// The most layers, or runs of an experiment.
const MOST_LISTED: u32 = 1_000_000;

/// The largest learning rate.
const FASTEST: f64 = 1000.0;

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("expected a finite number above 0".to_owned()),
    }
}

/// A number above 0 and at most 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("expected a number above 0 and at most 1".to_owned()),
    }
}

/// A learning rate.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= FASTEST => Ok(value),
        _ => Err(format!("expected a finite number above 0 and at most {FASTEST}")),
    }
}

/// A whole number above 0.
pub(super) fn count<N: TryFrom<NonZeroU32>>(text: &str) -> Result<N, String> {
    let count = text.parse::<NonZeroU32>().ok().and_then(|count| N::try_from(count).ok());
    count.ok_or_else(|| format!("expected a whole number from 1 to {}", u32::MAX))
}

/// A whole number from 1 to a million: of things that are listed before any of them is used.
pub(super) fn listed(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<NonZeroU32>() {
        Ok(count) if count.get() <= MOST_LISTED => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MOST_LISTED}")),
    }
}

/// A number of threads that the cores can serve.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let most = cores.saturating_mul(THREADS_PER_CORE);
    match text.parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= most => Ok(count),
        _ => Err(format!(
            "expected a whole number from 1 to {most} ({THREADS_PER_CORE} for each core)"
        )),
    }
}

/// A number of steps to observe: enough to draw conclusions from, few enough to take seconds.
pub(super) fn observed(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(steps) if (10..=100_000).contains(&steps) => Ok(steps),
        _ => Err("expected a whole number from 10 to 100000".to_owned()),
    }
}

/// A whole number, possibly 0.
pub(super) fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// A number of rows back.
pub(super) fn lag(text: &str) -> Result<NonZeroUsize, String> {
    match text.trim().parse::<NonZeroUsize>() {
        Ok(lag) if lag.get() <= LONGEST_LAG => Ok(lag),
        _ => Err(format!("expected a whole number from 1 to {LONGEST_LAG}")),
    }
}
