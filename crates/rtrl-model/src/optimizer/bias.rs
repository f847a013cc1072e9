//! Adam's bias corrections, `1 - beta^u` at update u.

use rtrl_kernel::Real;

/// `1 - beta^update`.
pub(super) fn bias_correction(beta: f64, update: u64) -> f64 {
    if is_one(beta, update) { 1.0 } else { 1.0 - libm::pow(beta, update as f64) }
}

/// Whether `1 - beta^update` is 1 in double precision, because `beta^u <= exp(-u (1 - beta))`, and
/// exp(-38) is below 2^-54.
fn is_one(beta: f64, update: u64) -> bool {
    update as f64 * (1.0 - beta) > 38.0
}

/// `beta^u` of one update after the other, by products, accurate enough to round the root of the
/// correction in single precision: a power takes a quarter of a step of a few units.
#[derive(Debug, Clone)]
pub(super) struct RunningPower {
    /// u
    update: u64,
    /// About `beta^u`.
    value: f64,
    /// By how much `value` may differ from the power of libm, divided by `value`.
    relative_error: f64,
}

impl RunningPower {
    /// `beta^0`.
    pub(super) const ONE: Self = Self { update: 0, value: 1.0, relative_error: 0.0 };

    /// `sqrt(1 - beta^update)` as with the power of libm, for the same beta in every call.
    ///
    /// libm errs by at most one unit at either end and each product by half; 4 a step also cover
    /// the rounding of the ends. All operations are monotonic, so where both ends of the range give
    /// the same number, so does the power. In double precision they seldom do: there the power is
    /// always computed.
    pub(super) fn root_of_correction<T: Real>(&mut self, beta: f64, update: u64) -> T {
        if is_one(beta, update) {
            return T::ONE;
        }
        let root = |power: f64| T::from_f64((1.0 - power).sqrt());
        if T::NAME == "f32" && self.update.checked_add(1) == Some(update) {
            let relative_error = self.relative_error + 4.0 * f64::EPSILON;
            let value = self.value * beta;
            *self = Self { update, value, relative_error };
            let ends = [1.0 - relative_error, 1.0 + relative_error];
            let [most, least] = ends.map(|factor| root(value * factor));
            if most == least {
                return most;
            }
        }
        let value = libm::pow(beta, update as f64);
        *self = Self { update, value, relative_error: 0.0 };
        root(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The power is left out only where it changes no bit.
    #[test]
    fn bias_corrections_are_one_minus_the_power() {
        for (beta, last) in [(0.0, 38), (0.5, 76), (0.9, 380), (0.999, 38_000)] {
            for update in (1..50).chain(last - 2..last + 5).chain([10 * last]) {
                let expected = 1.0 - libm::pow(beta, update as f64);
                let got = bias_correction(beta, update);
                assert_eq!(got.to_bits(), expected.to_bits(), "{beta}^{update}");
            }
        }
    }

    fn exact<T: Real>(beta: f64, update: u64) -> T {
        T::from_f64((1.0 - libm::pow(beta, update as f64)).sqrt())
    }

    /// Returns how many of the powers were exact.
    fn roots_are_those_of_the_power<T: Real>(beta: f64, updates: u64) -> usize {
        let mut power = RunningPower::ONE;
        let mut exact_powers = 0;
        for update in 1..=updates {
            let got: T = power.root_of_correction(beta, update);
            assert_eq!(got, exact::<T>(beta, update), "{beta}^{update}");
            exact_powers += usize::from(power.relative_error == 0.0);
        }
        exact_powers
    }

    #[test]
    fn running_powers_give_the_roots_of_exact_ones() {
        for (beta, updates) in [(0.0, 60), (0.5, 100), (0.9, 500), (0.99, 4500), (0.999, 40_000)] {
            let exact_powers = roots_are_those_of_the_power::<f32>(beta, updates);
            assert!(exact_powers <= 5, "{exact_powers} of {updates} with {beta}");
            roots_are_those_of_the_power::<f64>(beta, updates);
        }
        roots_are_those_of_the_power::<f32>(0.999_999, 100_000);
        roots_are_those_of_the_power::<f64>(0.999_999, 10_000);
    }

    /// After a restart, and where an update is refused and tried again.
    #[test]
    fn running_powers_follow_any_update() {
        let beta = 0.999;
        let mut power = RunningPower::ONE;
        for update in [1, 2, 2, 2, 3, 700, 701, 5, 6, 37_999, 38_000, 38_001, 38_002, 1, u64::MAX] {
            let got: f32 = power.root_of_correction(beta, update);
            assert_eq!(got, exact::<f32>(beta, update), "{update}");
        }
    }

    /// What the tests above would notice: products alone have other bits.
    #[test]
    fn products_are_not_powers() {
        let (mut product, mut other) = (1.0, 0);
        for update in 1..=1000u32 {
            product *= 0.999;
            other += usize::from(product != libm::pow(0.999, f64::from(update)));
        }
        assert!(other > 500, "{other}");
    }
}
