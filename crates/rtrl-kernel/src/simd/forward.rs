//! A whole step of a layer of units with one activation (equations 1 and 2).

use pulp::Simd;

use super::activate::{Activate, Function};
use super::clear::Clear;
use super::isa::{Isa, Work};
use super::product::Product;
use super::real::{Real, compiled};
use crate::error::{Error, check_length};

/// [`product`](crate::product) of a matrix and a vector into the sums,
/// [`activate`](crate::activate) of all sums, padding included, and
/// [`clear_subnormals`](crate::clear_subnormals) of the values: of few units, a call of each takes
/// as long as what it computes.
#[derive(Debug)]
pub struct Forward<'a, T> {
    /// The activation of all units.
    pub function: Function,
    /// One row a unit, each as long as the vector.
    pub matrix: &'a [T],
    /// z, which all rows see; of a length that is a multiple of [`Real::LANES`].
    pub vector: &'a [T],
    /// Number of units.
    pub units: usize,
    /// `W z` and padding, to be written; of a length that is the first multiple of [`Real::LANES`]
    /// that has room for all units.
    pub sums: &'a mut [T],
    /// f of the sums, to be written; as long as these.
    pub values: &'a mut [T],
    /// f' of the sums, to be written; as long as these.
    pub slopes: &'a mut [T],
}

impl<T: Real> Forward<'_, T> {
    /// Computes sums, values and slopes. Returns whether all sums are finite; the others then are
    /// so too.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice does not fit.
    #[inline]
    pub fn apply(self, isa: Isa) -> Result<bool, Error> {
        let padded = self.units.next_multiple_of(T::LANES);
        check_length("the padding of the vector", 0, self.vector.len() % T::LANES)?;
        check_length("the padded matrix", self.units * self.vector.len(), self.matrix.len())?;
        check_length("the padded sums", padded, self.sums.len())?;
        check_length("the values", padded, self.values.len())?;
        check_length("the slopes", padded, self.slopes.len())?;
        Ok(T::run::<ForwardLoop>(isa, self))
    }
}

compiled!(pub(crate) ForwardLoop: Forward -> bool);

impl<T: Real> Work for Forward<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let Self { function, matrix, vector, units, sums, values, slopes } = self;
        Product { matrix, vector, rows: *units, out: sums }.run(simd);
        let finite = Activate { function: *function, sums, values, slopes }.run(simd);
        Clear { values }.run(simd);
        finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{activate, clear_subnormals, product, tested};

    const FUNCTIONS: [Function; 5] = [
        Function::Logistic,
        Function::Tanh,
        Function::Relu,
        Function::Identity,
        Function::Softplus,
    ];

    fn number<T: Real>(i: usize) -> T {
        T::from_f64(libm::sin(i as f64 * 1.7) * 3.0)
    }

    /// Sums, values and slopes.
    type Results<T> = [Vec<T>; 3];

    /// Before a step: what the step before has left is not 0.
    fn room<T: Real>(units: usize) -> Results<T> {
        let padded = units.next_multiple_of(T::LANES);
        [vec![T::from_f64(7.0); padded], vec![T::ONE; padded], vec![T::ONE; padded]]
    }

    /// By a call each; whether all sums are finite, and whether some values became 0.
    fn by_three_calls<T: Real>(
        (isa, function, units): (Isa, Function, usize),
        matrix: &[T],
        vector: &[T],
    ) -> (Results<T>, bool, bool) {
        let mut results = room(units);
        let [sums, values, slopes] = &mut results;
        product(isa, matrix, vector, &mut sums[..units]).unwrap();
        sums[units..].fill(T::ZERO);
        let finite = activate(isa, function, sums, values, slopes).unwrap();
        let before = values.clone();
        clear_subnormals(isa, values).unwrap();
        let cleared = before != *values;
        (results, finite, cleared)
    }

    fn by_one_call<T: Real>(
        (isa, function, units): (Isa, Function, usize),
        matrix: &[T],
        vector: &[T],
    ) -> (Results<T>, bool) {
        let mut results = room(units);
        let [sums, values, slopes] = &mut results;
        let step = Forward { function, matrix, vector, units, sums, values, slopes };
        let finite = step.apply(isa).unwrap();
        (results, finite)
    }

    fn bits<T: Real>(results: &Results<T>) -> Vec<u8> {
        results.iter().flat_map(|values| bytemuck::cast_slice(values).to_vec()).collect()
    }

    fn check<T: Real>() {
        for (units, width) in [(1usize, 1), (3, 2), (17, 1)] {
            let columns = width * T::LANES;
            let mut matrix: Vec<T> = (0..units * columns).map(number).collect();
            // The first sum is subnormal.
            matrix[..columns].fill(T::SMALLEST * T::from_f64(1e-3));
            let vector: Vec<T> = (0..columns).map(|j| number(j + 1000)).collect();
            for (isa, function) in cases() {
                let place = (isa, function, units);
                let (expected, finite, cleared) = by_three_calls(place, &matrix, &vector);
                assert!(finite && (cleared || function != Function::Identity));
                let (got, finite) = by_one_call(place, &matrix, &vector);
                assert!(finite);
                assert_eq!(bits(&got), bits(&expected), "{function:?}, {units} units on {isa}");
            }
        }
    }

    fn cases() -> impl Iterator<Item = (Isa, Function)> {
        tested::sets().into_iter().flat_map(|isa| FUNCTIONS.map(|function| (isa, function)))
    }

    #[test]
    fn one_call_gives_the_bits_of_three() {
        check::<f32>();
        check::<f64>();
    }

    fn check_infinite<T: Real>() {
        let units = 17;
        let vector = vec![T::ONE; T::LANES];
        for unit in [0, units - 1] {
            let mut matrix: Vec<T> = (0..units * T::LANES).map(number).collect();
            matrix[unit * T::LANES] = T::ONE / T::ZERO;
            for (isa, function) in cases() {
                let place = (isa, function, units);
                let (results, finite) = by_one_call(place, &matrix, &vector);
                assert_eq!(results[0][unit], T::ONE / T::ZERO);
                assert!(!finite, "{function:?}, unit {unit} on {isa}");
            }
        }
    }

    #[test]
    fn an_infinite_sum_is_noticed() {
        check_infinite::<f32>();
        check_infinite::<f64>();
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let (mut sums, mut values, mut slopes) = ([0.0f32; 16], [0.0; 16], [0.0; 15]);
        let (matrix, vector) = (&[0.0; 32][..], &[0.0; 16][..]);
        let (function, sums, values) = (Function::Relu, &mut sums[..], &mut values[..]);
        let slopes = &mut slopes[..];
        let step = Forward { function, matrix, vector, units: 2, sums, values, slopes };
        let refused = step.apply(Isa::scalar());
        assert!(matches!(refused, Err(Error::Length { expected: 16, got: 15, .. })));
    }
}
