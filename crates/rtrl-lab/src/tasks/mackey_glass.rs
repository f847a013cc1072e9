//! The Mackey-Glass equation.

use std::collections::VecDeque;

use rtrl_model::Generator;

use super::series::Series;

/// Steps of the integration in a unit of time.
const SUBSTEPS: u8 = 10;
/// The delay τ, in units of time.
const DELAY: u8 = 17;
/// Units of time before the first value that is shown.
const SETTLING: usize = 500;

/// The Mackey-Glass series (Mackey & Glass 1977): `dx/dt = 0.2 x(t-τ) / (1 + x(t-τ)^10) - 0.1 x(t)`
/// with τ = 17, a value a unit of time; the target is the next value.
///
/// Integrated by the Runge-Kutta method of fourth order in steps of 0.1, with the delayed value in
/// the middle of a step as the mean of those at its ends. The seed chooses the constant history.
#[derive(Debug)]
pub struct MackeyGlass {
    /// x(t-τ) … x(t), a value a substep.
    history: VecDeque<f64>,
    present: f64,
}

impl MackeyGlass {
    /// The series of a seed.
    pub fn new(seed: u64) -> Self {
        let start = Generator::new(seed).between(0.8, 1.2);
        let delay = usize::from(DELAY) * usize::from(SUBSTEPS);
        let history = VecDeque::from(vec![start; delay + 1]);
        Self { history, present: start }.settled(SETTLING)
    }
}

/// dx/dt
fn slope(x: f64, delayed: f64) -> f64 {
    let square = delayed * delayed;
    let fourth = square * square;
    0.2 * delayed / (1.0 + fourth * fourth * square) - 0.1 * x
}

impl Series for MackeyGlass {
    fn present(&self) -> f64 {
        self.present
    }

    /// Moves on by a unit of time.
    fn advance(&mut self) {
        let h = 1.0 / f64::from(SUBSTEPS);
        for _ in 0..SUBSTEPS {
            let x = self.present;
            let [from, to] = [self.history[0], self.history[1]];
            let middle = 0.5 * (from + to);
            let k1 = slope(x, from);
            let k2 = slope(x + 0.5 * h * k1, middle);
            let k3 = slope(x + 0.5 * h * k2, middle);
            let k4 = slope(x + h * k3, to);
            self.present = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
            self.history.pop_front();
            self.history.push_back(self.present);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    /// Range and mean of the attractor, and the equation itself by central differences.
    #[test]
    fn the_series_follows_its_equation() {
        let x: Vec<f64> = drawn(&mut MackeyGlass::new(1), 10_000).iter().map(|s| s.0[0]).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let (low, high) = x.iter().fold((9.0f64, 0.0f64), |(l, h), &x| (l.min(x), h.max(x)));
        assert!((0.90..0.95).contains(&mean), "{mean}");
        assert!((0.15..0.45).contains(&low) && (1.25..1.45).contains(&high), "{low} {high}");
        for t in 20..x.len() - 2 {
            // A five-point difference, which is off by about h^4 / 30 of the fifth derivative.
            let difference = (x[t - 2] - 8.0 * x[t - 1] + 8.0 * x[t + 1] - x[t + 2]) / 12.0;
            assert!((difference - slope(x[t], x[t - 17])).abs() < 2e-3, "step {t}");
        }
    }

    /// While the delayed value is still the constant history c, the equation is linear and has the
    /// solution `x(t) = a + (c - a) exp(-0.1 t)` with `a = 2 c / (1 + c^10)`.
    #[test]
    fn the_first_values_are_the_exact_solution() {
        for c in [0.3, 0.9, 1.2f64] {
            let history = VecDeque::from(vec![c; usize::from(DELAY) * usize::from(SUBSTEPS) + 1]);
            let mut series = MackeyGlass { history, present: c };
            let end = 2.0 * c / (1.0 + c.powi(10));
            for t in 1..=DELAY {
                series.advance();
                let exact = end + (c - end) * libm::exp(-0.1 * f64::from(t));
                assert!((series.present - exact).abs() < 1e-10, "{c}, time {t}");
            }
            // The history is no longer constant.
            series.advance();
            let linear = end + (c - end) * libm::exp(-0.1 * f64::from(DELAY + 1));
            assert!((series.present - linear).abs() > 1e-4, "{c}");
        }
    }

    #[test]
    fn the_target_is_the_next_input() {
        let steps = drawn(&mut MackeyGlass::new(1), 100);
        assert!(steps.windows(2).all(|pair| pair[0].1[0] == Some(pair[1].0[0])));
        assert_ne!(steps[0], drawn(&mut MackeyGlass::new(2), 1)[0]);
    }
}
