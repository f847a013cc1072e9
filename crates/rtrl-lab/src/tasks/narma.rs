//! NARMA-10.

use rtrl_model::Generator;

use super::task::Task;

const ORDER: usize = 10;

/// The value above which the recursion counts as diverged; of ten thousand values, none is above 1.
const RUNAWAY: f64 = 2.0;

/// The tenth-order system NARMA-10 (Atiya & Parlos 2000): inputs u(t), uniform in [0, 0.5), and
/// `y(t+1) = 0.3 y(t) + 0.05 y(t) (y(t) + … + y(t-9)) + 1.5 u(t-9) u(t) + 0.1` as target.
///
/// Many large inputs in a row make the recursion diverge. If a value exceeds 2, its memory is
/// cleared.
#[derive(Debug)]
pub struct Narma {
    generator: Generator,
    /// u(t-9) … u(t), oldest first.
    inputs: [f64; ORDER],
    /// y(t-9) … y(t), oldest first.
    outputs: [f64; ORDER],
}

impl Narma {
    /// The series of a seed.
    pub fn new(seed: u64) -> Self {
        let generator = Generator::new(seed);
        Self { generator, inputs: [0.0; ORDER], outputs: [0.0; ORDER] }
    }

    /// y(t+1)
    fn advance(&mut self, u: f64) -> f64 {
        push(&mut self.inputs, u);
        let present = self.outputs[ORDER - 1];
        let sum = self.outputs.iter().fold(0.0, |sum, y| sum + y);
        let next = 0.3 * present + 0.05 * present * sum + 1.5 * self.inputs[0] * u + 0.1;
        push(&mut self.outputs, next);
        if next > RUNAWAY {
            self.outputs.fill(0.0);
        }
        self.outputs[ORDER - 1]
    }
}

/// Removes the oldest value and appends the newest.
fn push(values: &mut [f64; ORDER], newest: f64) {
    values.rotate_left(1);
    values[ORDER - 1] = newest;
}

impl Task for Narma {
    fn inputs(&self) -> &'static [&'static str] {
        &["u"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let u = self.generator.between(0.0, 0.5);
        input[0] = u;
        targets[0] = Some(self.advance(u));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    #[test]
    fn the_targets_follow_the_recursion() {
        let steps = drawn(&mut Narma::new(1), 20_000);
        let y = |t: usize| steps[t].1[0].unwrap();
        for t in ORDER..steps.len() {
            let sum: f64 = (t - ORDER..t).map(y).sum();
            let product = 1.5 * steps[t + 1 - ORDER].0[0] * steps[t].0[0];
            let expected = 0.3 * y(t - 1) + 0.05 * y(t - 1) * sum + product + 0.1;
            assert!((y(t) - expected).abs() < 1e-12, "step {t}");
        }
        let mean = (0..steps.len()).map(y).sum::<f64>() / steps.len() as f64;
        assert!((0.3..0.5).contains(&mean), "{mean}");
    }

    /// With inputs that never occur so often, the recursion runs away; it comes back.
    #[test]
    fn a_recursion_that_runs_away_starts_again() {
        let mut series = Narma::new(1);
        let values: Vec<f64> = (0..1000).map(|_| series.advance(0.5)).collect();
        assert!(values.iter().all(|y| (0.0..=RUNAWAY).contains(y)));
        assert!(values.iter().skip(1).filter(|&&y| y == 0.0).count() > 2);
    }
}
