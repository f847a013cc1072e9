//! Random values for a step of a scenario.

use rtrl_kernel::{Jacobian, Real, Step};
use rtrl_model::Generator;

use crate::scenario::Scenario;

/// Random values for a step.
pub(crate) struct Values<T> {
    /// Which weights exist, and so learn: n x c.
    pub(crate) present: Vec<bool>,
    /// The recurrent weights, n x n, 0 where they do not exist.
    pub(crate) weights: Vec<T>,
    pub(crate) slope: Vec<T>,
    pub(crate) z: Vec<T>,
    pub(crate) error: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    /// Values for `n` units with `c` weights each.
    pub(crate) fn new(n: usize, c: usize, scenario: Scenario) -> Self {
        let mut generator = Generator::new(7);
        let present = (0..n * c).map(|_| generator.uniform() < scenario.density()).collect();
        let mut generator = Generator::new(n as u64);
        let mut list = |len: usize, bound: f64| -> Vec<T> {
            (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
        };
        let mut values = Self {
            present,
            slope: list(n, 1.0),
            weights: list(n * n, 1.0 / (n as f64).sqrt()),
            z: list(c, 1.0),
            error: list(n, 0.1),
            forced: (0..n).map(|k| scenario.is_silent_or_forced(k).1).collect(),
        };
        values.silence(scenario);
        values.disconnect();
        values
    }

    fn silence(&mut self, scenario: Scenario) {
        for (k, slope) in self.slope.iter_mut().enumerate() {
            if scenario.is_silent_or_forced(k).0 {
                *slope = T::ZERO;
            }
        }
    }

    /// A weight that does not exist is 0.
    fn disconnect(&mut self) {
        let (n, c) = (self.slope.len(), self.z.len());
        for (weights, present) in self.weights.chunks_exact_mut(n).zip(self.present.chunks(c)) {
            for (weight, _) in weights.iter_mut().zip(&present[c - n..]).filter(|(_, p)| !**p) {
                *weight = T::ZERO;
            }
        }
    }

    pub(crate) fn step(&self) -> Step<'_, T> {
        Step {
            jacobian: Jacobian::scaled(&self.weights, self.slope.len(), &self.slope),
            injection: &self.slope,
            z: &self.z,
            forced: &self.forced,
        }
    }

    /// Operations of equation 5 for `columns` columns: those of coefficients of the Jacobian that
    /// are not zero and belong to rows of p that are not.
    pub(crate) fn operations(&self, columns: usize) -> f64 {
        let moves = |k: usize| self.slope[k] != T::ZERO;
        let read = |l: usize| moves(l) && !self.forced[l];
        let rows = self.weights.chunks_exact(self.slope.len()).enumerate();
        let coefficients = |(k, row): (usize, &[T])| {
            let present = |&(l, &weight): &(usize, &T)| weight != T::ZERO && read(l);
            if moves(k) { row.iter().enumerate().filter(present).count() } else { 0 }
        };
        2.0 * rows.map(coefficients).sum::<usize>() as f64 * columns as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_work_that_is_present_is_counted() {
        let operations = |scenario| Values::<f32>::new(16, 20, scenario).operations(10);
        assert_eq!(operations(Scenario::Dense), 2.0 * 256.0 * 10.0);
        assert_eq!(operations(Scenario::Silent), 2.0 * 64.0 * 10.0);
        assert_eq!(operations(Scenario::Forced), 2.0 * 128.0 * 10.0);
    }

    #[test]
    fn absent_weights_are_zero_and_do_not_count() {
        let values = Values::<f32>::new(16, 20, Scenario::Mask { density: 0.5 });
        let recurrent = values.present.chunks(20).flat_map(|row| &row[4..]);
        assert_eq!(recurrent.clone().count(), values.weights.len());
        assert!(recurrent.clone().zip(&values.weights).all(|(&p, &w)| p == (w != 0.0)));
        let present = recurrent.filter(|present| **present).count();
        assert_eq!(values.operations(10), 20.0 * present as f64);
    }
}
