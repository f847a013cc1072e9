//! How long a call takes.

use std::time::Instant;

use serde::Serialize;

/// Seconds of one sample, at least.
pub const SAMPLE: f64 = 100e-6;

/// Samples of one measurement, at least.
pub const SAMPLES: usize = 5;

/// Seconds of a call.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Seconds {
    /// The median over the samples.
    pub median: f64,
    /// The mean over all calls: above the median if some calls are slow, or if something disturbed them.
    pub mean: f64,
}

/// Times `call`, which says whether it succeeded, for at least `time` seconds, in samples of at least
/// [`SAMPLE`].
pub fn seconds(time: f64, mut call: impl FnMut() -> bool) -> Seconds {
    let mut sample = |calls: usize| {
        let start = Instant::now();
        for _ in 0..calls {
            assert!(call(), "what is timed has failed");
        }
        start.elapsed().as_secs_f64() / calls as f64
    };
    sample(1);
    let calls = calls(sample(1));
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < SAMPLES || start.elapsed().as_secs_f64() < time {
        times.push(sample(calls));
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    Seconds { median: median(&mut times), mean }
}

/// Calls that make up a sample, if one takes this long.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive count"
)]
pub fn calls(seconds: f64) -> usize {
    (SAMPLE / seconds).ceil().clamp(1.0, 10_000.0) as usize
}

/// The middle one; the values are put in order.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this fraction lies; the values are put in order.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub fn quantile(values: &mut [f64], fraction: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((fraction * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let mut values: Vec<f64> = (0..1000).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.0), 0.0);
        assert_eq!(quantile(&mut values, 0.999), 998.0);
        assert_eq!(quantile(&mut values, 1.0), 999.0);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert!(median(&mut []).is_nan());
    }
}
