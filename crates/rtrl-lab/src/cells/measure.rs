//! How outputs are scored.

use rtrl_model::Loss;

/// What is scored; the smaller, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The squared error of the targets in units of their variance (NMSE).
    SquaredError,
    /// The mean cross-entropy of the softmax of the outputs, in nats.
    CrossEntropy,
    /// The share of targets whose largest output is not that of the largest target.
    WrongAnswers,
}

impl Measure {
    /// The name, as in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "NMSE",
            Self::CrossEntropy => "nats",
            Self::WrongAnswers => "share wrong",
        }
    }

    /// The loss of a network that learns the task.
    pub(super) fn loss(self) -> Loss<f32> {
        match self {
            Self::SquaredError => Loss::SquaredError,
            Self::CrossEntropy | Self::WrongAnswers => Loss::SoftmaxCrossEntropy,
        }
    }

    /// The error of the outputs of a step that has a target.
    pub(super) fn error(self, outputs: &[f32], targets: &[f32]) -> f64 {
        let pairs = || outputs.iter().zip(targets).map(|(&o, &d)| (f64::from(o), f64::from(d)));
        match self {
            Self::SquaredError => {
                pairs().map(|(o, d)| (d - o) * (d - o)).sum::<f64>() / targets.len() as f64
            }
            Self::CrossEntropy => {
                let largest = pairs().fold(f64::NEG_INFINITY, |most, (o, _)| most.max(o));
                let sum: f64 = pairs().map(|(o, _)| libm::exp(o - largest)).sum();
                let logarithm = largest + libm::log(sum);
                pairs().map(|(o, d)| d * (logarithm - o)).sum()
            }
            Self::WrongAnswers => f64::from(u8::from(largest(outputs) != largest(targets))),
        }
    }
}

/// The place of the largest value, the first of equal ones.
fn largest(values: &[f32]) -> usize {
    let above = |most: usize, place: usize| if values[place] > values[most] { place } else { most };
    (0..values.len()).fold(0, above)
}

/// The mean of errors, and for squared errors of the same targets their variance.
#[derive(Debug, Default)]
pub(super) struct Errors {
    count: u64,
    sum: f64,
    targets: crate::scale::RunningScale,
}

impl Errors {
    /// Adds the outputs of a step that has a target.
    pub(super) fn add(&mut self, measure: Measure, outputs: &[f32], targets: &[f32]) {
        self.count += 1;
        self.sum += measure.error(outputs, targets);
        for &target in targets {
            self.targets.add(f64::from(target));
        }
    }

    /// The score; not a number without any target.
    pub(super) fn score(&self, measure: Measure) -> f64 {
        let mean = self.sum / self.count as f64;
        match measure {
            Measure::SquaredError => mean / (self.targets.deviation() * self.targets.deviation()),
            Measure::CrossEntropy | Measure::WrongAnswers => mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    fn score(measure: Measure, pairs: &[(&[f32], &[f32])]) -> f64 {
        let mut errors = Errors::default();
        for (outputs, targets) in pairs {
            errors.add(measure, outputs, targets);
        }
        errors.score(measure)
    }

    /// The mean as forecast has an error of 1, and half of the distance from it a quarter.
    #[test]
    fn squared_errors_are_relative_to_the_variance() {
        let targets = [2.0f32, 4.0, 9.0, 5.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 0.25), (1.0, 0.0)] {
            let outputs = targets.map(|target| 5.0 + share * (target - 5.0));
            let pairs: Vec<(&[f32], &[f32])> =
                (0..4).map(|t| (&outputs[t..=t], &targets[t..=t])).collect();
            assert_abs_diff_eq!(score(Measure::SquaredError, &pairs), expected, epsilon = 1e-7);
        }
    }

    #[test]
    fn cross_entropies_are_those_of_the_softmax() {
        let logits = [0.5f32, -1.0, 2.0];
        let sum: f64 = logits.iter().map(|&o| f64::from(o).exp()).sum();
        let expected = |k: usize| sum.ln() - f64::from(logits[k]);
        let soft: [f32; 3] = [0.25, 0.0, 0.75];
        let found = score(Measure::CrossEntropy, &[(&logits, &soft)]);
        assert_abs_diff_eq!(found, 0.25 * expected(0) + 0.75 * expected(2), epsilon = 1e-12);
        // Large logits do not overflow.
        let far = score(Measure::CrossEntropy, &[(&[2000.0, 0.0], &[0.0, 1.0])]);
        assert_abs_diff_eq!(far, 2000.0, epsilon = 1e-9);
    }

    #[test]
    fn answers_are_right_or_wrong() {
        let right: (&[f32], &[f32]) = (&[0.1, 0.3, 0.2], &[0.0, 1.0, 0.0]);
        let wrong: (&[f32], &[f32]) = (&[0.4, 0.3, 0.2], &[0.0, 1.0, 0.0]);
        assert_abs_diff_eq!(score(Measure::WrongAnswers, &[right, wrong, right, right]), 0.25);
        assert!(score(Measure::WrongAnswers, &[]).is_nan());
    }
}
