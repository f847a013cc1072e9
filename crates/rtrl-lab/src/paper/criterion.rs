//! The criteria of success.

/// How long an oscillation must be right while the network learns, and then while it does not.
pub(super) const OSCILLATION_STEPS: usize = 2000;

/// When a run has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// This many steps with targets in a row, each output within 0.5 of its target, while the
    /// network learns.
    Answers(u64),
    /// 2000 steps in a row within a tolerance while the network learns, then 2000 steps without
    /// targets and with fixed weights. If these fail, the count restarts.
    Oscillation(FreeRun),
}

/// The requirement for an oscillation without targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeRun {
    /// Each value within 0.5 of what the target would be.
    Pattern,
    /// A wave, which may have another phase: in the second half of the 2000 steps, more than 0.5
    /// from peak to peak, and within 3 of 40 cycles. Before, while the network learns, the
    /// tolerance is 0.1.
    Wave,
}

impl Criterion {
    /// The largest error that counts as right while the network learns.
    pub(super) fn tolerance(self) -> f64 {
        if self == Self::Oscillation(FreeRun::Wave) { 0.1 } else { 0.5 }
    }

    /// Steps in a row that must be right while the network learns.
    pub(super) fn steps(self) -> u64 {
        match self {
            Self::Answers(steps) => steps,
            Self::Oscillation(_) => OSCILLATION_STEPS as u64,
        }
    }
}

impl FreeRun {
    /// Whether the values of a free run are right; `targets` are what they would have been compared
    /// with.
    pub(super) fn is_right(self, values: &[f64], targets: &[f64]) -> bool {
        match self {
            Self::Pattern => values.iter().zip(targets).all(|(y, d)| (d - y).abs() < 0.5),
            Self::Wave => is_wave(&values[values.len() / 2..]),
        }
    }
}

/// Whether 1000 values swing far enough and about 40 times.
fn is_wave(values: &[f64]) -> bool {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = 0.5 * (low + high);
    let rises = values.windows(2).filter(|pair| pair[0] < middle && pair[1] >= middle).count();
    high - low > 0.5 && rises.abs_diff(40) <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(period: f64, swing: f64) -> Vec<f64> {
        let value = |t: u16| 0.5 + swing * (f64::from(t) * std::f64::consts::TAU / period).sin();
        (0..2000).map(value).collect()
    }

    fn is_right(values: &[f64]) -> bool {
        FreeRun::Wave.is_right(values, &[])
    }

    #[test]
    fn a_wave_of_the_right_size_and_period_is_right_in_any_phase() {
        assert!(is_right(&wave(25.0, 0.4)));
        assert!(is_right(&wave(25.0, 0.4)[7..]));
        assert!(is_right(&wave(24.0, 0.26)));
    }

    #[test]
    fn another_period_or_size_or_a_wave_that_dies_is_wrong() {
        assert!(!is_right(&wave(22.0, 0.4)));
        assert!(!is_right(&wave(30.0, 0.4)));
        assert!(!is_right(&wave(25.0, 0.24)));
        let mut dies = wave(25.0, 0.4);
        dies[1100..].fill(0.5);
        assert!(!is_right(&dies));
        assert!(!is_right(&[0.5; 2000]));
    }

    #[test]
    fn a_pattern_is_compared_step_by_step() {
        let targets = [0.0, 1.0, 0.0, 1.0];
        assert!(FreeRun::Pattern.is_right(&[0.4, 0.6, 0.1, 0.9], &targets));
        assert!(!FreeRun::Pattern.is_right(&[0.4, 0.6, 0.5, 0.9], &targets));
        assert!(!FreeRun::Pattern.is_right(&[1.0, 0.0, 1.0, 0.0], &targets));
    }
}
