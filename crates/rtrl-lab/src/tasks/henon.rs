//! The map of Hénon.

use rtrl_model::Generator;

use super::series::Series;

/// Steps before the first value that is shown.
const SETTLING: usize = 100;

/// The series of Hénon's map (Hénon 1976): `x(t+1) = 1 - 1.4 x(t)^2 + 0.3 x(t-1)`; the target is
/// the next value. The seed chooses the first two.
#[derive(Debug)]
pub struct Henon {
    present: f64,
    previous: f64,
}

impl Henon {
    /// The series of a seed.
    pub fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let [previous, present] = [(); 2].map(|()| generator.between(-0.1, 0.1));
        Self { present, previous }.settled(SETTLING)
    }
}

impl Series for Henon {
    fn present(&self) -> f64 {
        self.present
    }

    fn advance(&mut self) {
        let next = 1.0 - 1.4 * (self.present * self.present) + 0.3 * self.previous;
        (self.previous, self.present) = (self.present, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;
    use approx::assert_abs_diff_eq;

    /// Every start leads to the attractor, whose x is between -1.29 and 1.28.
    #[test]
    fn the_series_follows_the_map_and_stays_on_the_attractor() {
        for seed in 0..200 {
            let x: Vec<f64> = drawn(&mut Henon::new(seed), 1000).iter().map(|s| s.0[0]).collect();
            assert!(x.iter().all(|x| (-1.3..1.3).contains(x)), "seed {seed}");
            assert!(x.iter().any(|&x| x > 1.2) && x.iter().any(|&x| x < -1.2), "seed {seed}");
            for t in 2..x.len() {
                let expected = 1.0 - 1.4 * x[t - 1].powi(2) + 0.3 * x[t - 2];
                assert!((x[t] - expected).abs() < 1e-14);
            }
        }
    }

    /// The largest Lyapunov exponent is 0.41922 (J. C. Sprott, *Chaos and Time-Series Analysis*,
    /// Oxford University Press 2003, appendix A).
    #[test]
    fn small_differences_grow_at_the_known_rate() {
        let mut series = Henon::new(1);
        let (mut sum, steps) = (0.0, 200_000);
        let mut tangent = [1.0, 0.0];
        for _ in 0..steps {
            let grown = -2.8 * series.present * tangent[0] + 0.3 * tangent[1];
            let length = libm::hypot(grown, tangent[0]);
            sum += libm::log(length);
            tangent = [grown / length, tangent[0] / length];
            series.advance();
        }
        let exponent = sum / f64::from(steps);
        assert_abs_diff_eq!(exponent, 0.41922, epsilon = 3e-3);
    }
}
