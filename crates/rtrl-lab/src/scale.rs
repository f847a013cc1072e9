//! Standardisation by past values only.

use serde::{Deserialize, Serialize};

/// The mean and deviation of the values seen so far (Welford 1962).
///
/// It can be stored and continues with the same bits, if the format keeps them. JSON cannot hold
/// numbers that are not finite: after values that were too large, the stored scale cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningScale {
    count: u64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
}

impl RunningScale {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// The mean; 0 before the first value.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard deviation (of the values as the whole population); 1 while all are equal; not
    /// finite if the values were too large.
    pub fn deviation(&self) -> f64 {
        if self.squares == 0.0 { 1.0 } else { (self.squares / self.count as f64).sqrt() }
    }

    /// `(value - mean) / deviation`
    pub fn standardise(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation()
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn agrees_with_the_two_pass_formulas() {
        let values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0];
        let mut scale = RunningScale::default();
        for value in values {
            scale.add(value);
        }
        let mean = values.iter().sum::<f64>() / 6.0;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 6.0;
        assert_abs_diff_eq!(scale.mean(), mean, epsilon = 1e-15);
        assert_abs_diff_eq!(scale.deviation(), variance.sqrt(), epsilon = 1e-14);
        let standardised = (9.0 - mean) / variance.sqrt();
        assert_abs_diff_eq!(scale.standardise(9.0), standardised, epsilon = 1e-14);
    }

    #[test]
    fn equal_values_have_deviation_one() {
        let mut scale = RunningScale::default();
        for _ in 0..3 {
            scale.add(7.0);
        }
        assert_eq!((scale.mean(), scale.deviation(), scale.standardise(8.0)), (7.0, 1.0, 1.0));
    }

    #[test]
    fn a_stored_scale_goes_on_with_the_same_bits() {
        let (mut whole, mut stored) = (RunningScale::default(), RunningScale::default());
        for t in 0..200 {
            let value = libm::sin(f64::from(t)) * 1e3;
            whole.add(value);
            stored.add(value);
            let text = serde_json::to_string(&stored).unwrap();
            stored = serde_json::from_str(&text).unwrap();
        }
        let bits = |scale: RunningScale| [scale.mean(), scale.squares].map(f64::to_bits);
        assert_eq!((stored.count, bits(stored)), (200, bits(whole)));
    }

    #[test]
    fn what_is_not_finite_cannot_be_read_back() {
        let mut scale = RunningScale::default();
        scale.add(f64::MAX);
        scale.add(-f64::MAX);
        let text = serde_json::to_string(&scale).unwrap();
        assert!(serde_json::from_str::<RunningScale>(&text).is_err(), "{text}");
    }
}
