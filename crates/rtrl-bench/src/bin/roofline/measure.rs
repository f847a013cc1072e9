//! Measurements: alternating samples of the work and of the peak.

use std::time::{Duration, Instant};

use rtrl_bench::peak::Cores;
use rtrl_bench::timing::{median, quantile};
use rtrl_kernel::Real;

/// The minimum duration of one measurement.
const TIME: Duration = Duration::from_millis(250);

/// The minimum number of samples in one measurement.
const SAMPLES: usize = 5;

/// The minimum number of samples if a measurement takes [`LONG`].
const LONG_SAMPLES: usize = 3;

/// A long time for a measurement.
const LONG: Duration = Duration::from_secs(1);

/// The minimum duration of one sample, in seconds.
const SAMPLE: f64 = 1e-3;

/// The minimum duration of one part of a sample, in seconds: long compared with reading the clock.
const PART: f64 = 10e-6;

/// A sample of the peak lasts as long as the one before it, within these bounds.
const PEAK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// The result of a measurement.
pub(crate) struct Measured {
    /// Of one call: the median of the samples.
    pub(crate) seconds: f64,
    /// Of one call: the time that 99.9 % of the parts do not exceed.
    pub(crate) p999: f64,
    /// Operations a second that the same cores could have done meanwhile.
    pub(crate) peak: f64,
}

/// Measures `time`, which makes the given number of calls and returns the seconds that they took.
///
/// A sample holds a multiple of `period` calls, after which the work repeats. One call and then one
/// period warm up the caches and touch all memory.
pub(crate) fn measure<T: Real>(
    cores: &Cores,
    period: usize,
    mut time: impl FnMut(usize) -> f64,
) -> Measured {
    time(1);
    let start = Instant::now();
    time(period);
    let seconds = start.elapsed().as_secs_f64() / period as f64;
    let Rhythm { calls, parts } = Rhythm::new(seconds, period);
    let (mut of_samples, mut of_parts, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    while !is_enough(of_samples.len(), start.elapsed()) {
        let start = Instant::now();
        let first = of_parts.len();
        of_parts.extend((0..parts).map(|_| time(calls) / calls as f64));
        of_samples.push(of_parts[first..].iter().sum::<f64>() / parts as f64);
        peaks.push(cores.peak::<T>(start.elapsed().clamp(PEAK[0], PEAK[1])));
    }
    Measured {
        seconds: median(&mut of_samples),
        p999: quantile(&mut of_parts, 0.999),
        peak: median(&mut peaks),
    }
}

/// Whether a measurement may end.
fn is_enough(samples: usize, elapsed: Duration) -> bool {
    let least = if elapsed < LONG { SAMPLES } else { LONG_SAMPLES };
    samples >= least && elapsed >= TIME
}

/// The seconds that `call` takes.
pub(crate) fn seconds(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

/// How calls make up a sample.
#[derive(Debug, PartialEq, Eq)]
struct Rhythm {
    /// Calls that are timed together.
    calls: usize,
    /// How many times of a sample.
    parts: usize,
}

impl Rhythm {
    /// For a call that occupies the machine for `seconds`.
    fn new(seconds: f64, period: usize) -> Self {
        let calls = times(PART, seconds);
        let parts = times(SAMPLE, seconds * calls as f64).next_multiple_of(period);
        Self { calls, parts }
    }
}

/// How often `part` must be repeated to fill `whole`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive count"
)]
fn times(whole: f64, part: f64) -> usize {
    (whole / part).ceil().clamp(1.0, 10_000.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_calls_are_timed_one_by_one_and_short_ones_together() {
        assert_eq!(Rhythm::new(0.5, 1), Rhythm { calls: 1, parts: 1 });
        assert_eq!(Rhythm::new(300e-6, 1), Rhythm { calls: 1, parts: 4 });
        let Rhythm { calls, parts } = Rhythm::new(1e-7, 1);
        assert!(calls >= 100 && calls * parts >= 10_000, "{calls} {parts}");
    }

    #[test]
    fn long_measurements_end_with_fewer_samples() {
        assert!(!is_enough(4, TIME) && is_enough(5, TIME) && !is_enough(5, TIME / 2));
        assert!(is_enough(LONG_SAMPLES, LONG) && !is_enough(LONG_SAMPLES - 1, 9 * LONG));
    }

    #[test]
    fn a_sample_holds_whole_periods() {
        for seconds in [1e-8, 3e-6, 2e-5, 1e-3, 1.0] {
            let Rhythm { calls, parts } = Rhythm::new(seconds, 64);
            assert_eq!(calls * parts % 64, 0);
        }
    }
}
