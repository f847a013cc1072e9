//! How long a call takes.

use std::time::Instant;

use rtrl_kernel::Layout;
use rtrl_model::{EngineChoice, EnginePlan, Regime, Spec};
use serde::Serialize;

/// The minimum duration of one sample, in seconds.
pub const SAMPLE: f64 = 100e-6;

/// The minimum number of samples in one measurement.
pub const SAMPLES: usize = 5;

/// The minimum number of samples if each holds a period of several calls.
pub const PERIODS: usize = 8;

/// Seconds of a call.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Seconds {
    /// The median over the samples.
    pub median: f64,
    /// The mean over all calls: above the median if some calls are slow, or if something disturbed
    /// them.
    pub mean: f64,
}

/// Times `call`, which returns whether it succeeded, for at least `time` seconds. Samples take at
/// least [`SAMPLE`] and hold a multiple of `period` calls, after which the work repeats; for long
/// periods there are at least [`PERIODS`].
pub fn seconds(time: f64, period: usize, mut call: impl FnMut() -> bool) -> Seconds {
    let mut sample = |calls: usize| {
        let start = Instant::now();
        for _ in 0..calls {
            assert!(call(), "what is timed has failed");
        }
        start.elapsed().as_secs_f64() / calls as f64
    };
    sample(1);
    let calls = calls(sample(period)).next_multiple_of(period);
    let least = if period == 1 { SAMPLES } else { PERIODS };
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < least || start.elapsed().as_secs_f64() < time {
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

/// Steps after which the work of an engine repeats: a window, or one step where there is none.
pub fn window(choice: EngineChoice, layout: &Layout, regime: Regime) -> usize {
    match choice {
        EngineChoice::Auto => window(EngineChoice::for_shape(layout, regime), layout, regime),
        EngineChoice::Deferred { window, .. } => {
            window.unwrap_or_else(|| EngineChoice::default_window(layout, regime))
        }
        _ => 1,
    }
}

/// Steps after which the work of the engines of a learner repeats: the least common multiple of the
/// windows of all blocks.
pub fn period(plan: &EnginePlan) -> usize {
    let window =
        |engine: &Spec| if let Spec::Deferred { window, .. } = engine { *window } else { 1 };
    plan.blocks.iter().map(|block| window(&block.engine)).fold(1, common_period)
}

/// Steps after which two periods, at least 1 each, end together: their least common multiple.
pub fn common_period(one: usize, other: usize) -> usize {
    let (mut divisor, mut rest) = (one, other);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    one / divisor * other
}

/// The median; sorts the values.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that this fraction of the values does not exceed; sorts the values.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub fn quantile(values: &mut [f64], fraction: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((fraction * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use rtrl_kernel::Pace;

    use super::*;

    #[test]
    fn windows_and_updates_end_together_after_a_common_period() {
        let layout = Layout::simple(8, 13).unwrap();
        let regime = Regime::real_time();
        let eager = window(EngineChoice::Eager, &layout, regime);
        assert_eq!((eager, window(EngineChoice::Auto, &layout, regime)), (1, 1));
        let choice = EngineChoice::Deferred { window: Some(24), pace: Pace::Even };
        assert_eq!(window(choice, &layout, regime), 24);
        assert_eq!(common_period(24, 64), 192);
        assert_eq!(common_period(1, 7), 7);
    }

    #[test]
    fn samples_hold_whole_periods() {
        let mut calls = 0;
        seconds(0.0, 48, || {
            calls += 1;
            true
        });
        assert_eq!((calls - 1) % 48, 0);
        assert!(calls > (1 + PERIODS) * 48, "{calls}");
    }

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
