//! The system of Lorenz.

use rtrl_model::Generator;

use super::task::Task;

/// The step of the integration.
const STEP: f64 = 0.01;
/// Steps of the integration from one value to the next.
const SUBSTEPS: usize = 2;
/// Values before the first that is shown.
const SETTLING: usize = 1000;

/// The series of Lorenz's system (Lorenz 1963): `dx/dt = 10 (y - x)`, `dy/dt = x (28 - z) - y`,
/// `dz/dt = x y - 8/3 z`, a value each 0.02 units of time; the targets are the next values.
///
/// Integrated by the Runge-Kutta method of fourth order in steps of 0.01. The seed chooses the
/// start.
#[derive(Debug)]
pub struct Lorenz {
    present: [f64; 3],
}

impl Lorenz {
    /// The series of a seed.
    pub fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let mut series = Self { present: [(); 3].map(|()| generator.between(0.5, 1.5)) };
        for _ in 0..SETTLING {
            series.advance();
        }
        series
    }

    fn advance(&mut self) {
        for _ in 0..SUBSTEPS {
            let start = self.present;
            let k1 = slope(start);
            let k2 = slope(along(start, k1, 0.5 * STEP));
            let k3 = slope(along(start, k2, 0.5 * STEP));
            let k4 = slope(along(start, k3, STEP));
            for (i, place) in self.present.iter_mut().enumerate() {
                *place += STEP / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
            }
        }
    }
}

/// d(x, y, z)/dt
fn slope([x, y, z]: [f64; 3]) -> [f64; 3] {
    [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]
}

/// The point at a distance of `length` times `direction`.
fn along(point: [f64; 3], direction: [f64; 3], length: f64) -> [f64; 3] {
    std::array::from_fn(|i| point[i] + length * direction[i])
}

impl Task for Lorenz {
    fn inputs(&self) -> &'static [&'static str] {
        &["x", "y", "z"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["next_x", "next_y", "next_z"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        input.copy_from_slice(&self.present);
        self.advance();
        targets.copy_from_slice(&self.present.map(Some));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;
    use approx::assert_abs_diff_eq;

    /// Moments of the attractor, its symmetry, and the system itself by differences.
    #[test]
    fn the_series_follows_the_system() {
        let steps = drawn(&mut Lorenz::new(1), 50_000);
        let mean = |i: usize| steps.iter().map(|s| s.0[i]).sum::<f64>() / steps.len() as f64;
        assert!(mean(0).abs() < 1.0 && (23.0..24.0).contains(&mean(2)), "{} {}", mean(0), mean(2));
        for around in steps.windows(5) {
            let slope = slope([around[2].0[0], around[2].0[1], around[2].0[2]]);
            for (i, slope) in slope.iter().enumerate() {
                let at = |t: usize| around[t].0[i];
                let difference = (at(0) - 8.0 * at(1) + 8.0 * at(3) - at(4)) / (12.0 * 0.02);
                // One in a hundred of the largest slopes.
                assert!((difference - slope).abs() < 3.0, "{difference} {slope}");
            }
        }
    }

    /// The largest Lyapunov exponent is 0.9056 per unit of time (J. C. Sprott, *Chaos and
    /// Time-Series Analysis*, Oxford University Press 2003, appendix A).
    #[test]
    fn small_differences_grow_at_the_known_rate() {
        let mut series = Lorenz::new(1);
        let distance = 1e-7;
        let mut near = Lorenz { present: along(series.present, [1.0, 0.0, 0.0], distance) };
        let (mut sum, values) = (0.0, 200_000);
        for _ in 0..values {
            series.advance();
            near.advance();
            let apart: [f64; 3] = std::array::from_fn(|i| near.present[i] - series.present[i]);
            let length = apart.iter().map(|d| d * d).sum::<f64>().sqrt();
            sum += libm::log(length / distance);
            near.present = along(series.present, apart, distance / length);
        }
        let exponent = sum / (f64::from(values) * STEP * SUBSTEPS as f64);
        assert_abs_diff_eq!(exponent, 0.9056, epsilon = 0.02);
    }
}
