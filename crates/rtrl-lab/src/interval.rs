//! Prediction intervals from the errors of the last forecasts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize, Serializer};

/// Most errors that count.
const MOST: usize = 500;

/// Fewest errors for an interval.
const FEWEST: usize = 20;

/// The errors of the last 500 forecasts, target minus forecast, whose quantiles are a prediction
/// interval.
///
/// The interval makes no assumption about the distribution of the errors. As old errors leave, it
/// follows a forecaster that improves and a series that changes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "VecDeque<f64>")]
pub struct RecentErrors {
    /// Oldest first.
    errors: VecDeque<f64>,
    ascending: Vec<f64>,
}

impl RecentErrors {
    /// Adds an error; one that is not finite is ignored.
    pub fn add(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        if self.errors.len() == MOST
            && let Some(oldest) = self.errors.pop_front()
        {
            self.ascending.remove(self.place(oldest));
        }
        self.errors.push_back(error);
        self.ascending.insert(self.place(error), error);
    }

    /// How many errors are less than this one.
    fn place(&self, error: f64) -> usize {
        self.ascending.partition_point(|other| other.total_cmp(&error).is_lt())
    }

    /// The interval around a forecast that contains the target with this probability, as often too
    /// low as too high, if the errors continue as they were. `None` with fewer than 20 errors.
    pub fn interval(&self, forecast: f64, probability: f64) -> Option<[f64; 2]> {
        if self.errors.len() < FEWEST {
            return None;
        }
        let below = (1.0 - probability) / 2.0;
        Some([below, 1.0 - below].map(|share| forecast + self.quantile(share)))
    }

    /// The quantile of the errors, interpolated between the two nearest (type 7 of Hyndman & Fan,
    /// The American Statistician 50(4), 1996).
    fn quantile(&self, share: f64) -> f64 {
        let place = share * (self.ascending.len() - 1) as f64;
        let place = place.clamp(0.0, (self.ascending.len() - 1) as f64);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..500")]
        let lower = place.floor() as usize;
        let upper = (lower + 1).min(self.ascending.len() - 1);
        let (low, high) = (self.ascending[lower], self.ascending[upper]);
        low + (high - low) * (place - lower as f64)
    }
}

impl From<VecDeque<f64>> for RecentErrors {
    fn from(errors: VecDeque<f64>) -> Self {
        let mut recent = Self::default();
        for error in errors {
            recent.add(error);
        }
        recent
    }
}

impl Serialize for RecentErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.errors.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn an_interval_is_that_of_the_quantiles() {
        let mut errors = RecentErrors::default();
        for error in (0..=100).rev() {
            assert_eq!(errors.interval(0.0, 0.9).is_some(), error < 81, "{error}");
            errors.add(f64::from(error) - 50.0);
        }
        let [low, high] = errors.interval(1000.0, 0.9).unwrap();
        assert_abs_diff_eq!(low, 955.0, epsilon = 1e-9);
        assert_abs_diff_eq!(high, 1045.0, epsilon = 1e-9);
        errors.add(f64::NAN);
        errors.add(f64::INFINITY);
        assert_eq!(errors.interval(1000.0, 0.9), Some([low, high]));
    }

    /// Against sorting the last errors at every step, also after having been stored.
    #[test]
    fn only_the_last_errors_count() {
        let (mut errors, mut all) = (RecentErrors::default(), Vec::new());
        let mut generator = rtrl_model::Generator::new(2);
        for t in 0..1500 {
            // With ties.
            let error = generator.between(-20.0, 20.0).round() / 8.0 + f64::from(t) / 300.0;
            errors.add(error);
            all.push(error);
            if t % 100 == 7 {
                let text = serde_json::to_string(&errors).unwrap();
                let stored: RecentErrors = serde_json::from_str(&text).unwrap();
                assert_eq!(stored, errors);
                errors = stored;
            }
            let mut last = all[all.len().saturating_sub(MOST)..].to_vec();
            last.sort_by(f64::total_cmp);
            assert_eq!(errors.ascending, last);
        }
    }

    /// Nine in ten targets are in the interval, of a distribution that is not symmetric.
    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        let (mut errors, mut inside) = (RecentErrors::default(), 0);
        let mut generator = rtrl_model::Generator::new(3);
        for t in 0..10_500 {
            let error = generator.normal().exp();
            if t >= 500 {
                let [low, high] = errors.interval(0.0, 0.9).unwrap();
                inside += i32::from(low <= error && error <= high);
            }
            errors.add(error);
        }
        assert!((8900..9100).contains(&inside), "{inside}");
    }
}
