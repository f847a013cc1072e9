//! Oscillations without input.

use std::f64::consts::TAU;

use super::task::Task;

/// An oscillation (Williams & Zipser 1989, section 4.5): no input, a target that repeats itself.
/// There is nothing random in it.
#[derive(Debug)]
pub struct Oscillation {
    period: Vec<f64>,
    /// Place of the next target in the period.
    place: usize,
}

impl Oscillation {
    /// 0 1 0 1 …
    pub fn alternating() -> Self {
        Self { period: vec![0.0, 1.0], place: 0 }
    }

    /// 0 0 1 1 0 0 1 1 …
    pub fn in_pairs() -> Self {
        Self { period: vec![0.0, 0.0, 1.0, 1.0], place: 0 }
    }

    /// 0.5 + 0.4 sin(2 π t / 25)
    pub fn sine() -> Self {
        let value = |t: u8| 0.5 + 0.4 * libm::sin(TAU * f64::from(t) / 25.0);
        Self { period: (1..=25).map(value).collect(), place: 0 }
    }
}

impl Task for Oscillation {
    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["value"]
    }

    fn draw_into(&mut self, _: &mut [f64], targets: &mut [Option<f64>]) {
        targets[0] = self.period.get(self.place).copied();
        self.place = (self.place + 1) % self.period.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    #[test]
    fn the_targets_are_the_formulas() {
        let two = drawn(&mut Oscillation::alternating(), 200);
        let four = drawn(&mut Oscillation::in_pairs(), 200);
        let sine = drawn(&mut Oscillation::sine(), 200);
        for t in 0..200u32 {
            let at = |steps: &[(Vec<f64>, Vec<Option<f64>>)]| steps[t as usize].1[0].unwrap();
            assert_eq!(at(&two), f64::from(t % 2));
            assert_eq!(at(&four), f64::from(t / 2 % 2));
            let expected = 0.5 + 0.4 * (TAU * f64::from(t + 1) / 25.0).sin();
            assert!((at(&sine) - expected).abs() < 1e-12, "step {t}");
        }
    }
}
