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
/// [`clear_subnormals`](crate::clear_subnormals) of the values: of few units, a call of each takes as
/// long as what it computes.
#[derive(Debug)]
pub struct Forward<'a, T> {
    /// The activation of all units.
    pub function: Function,
    /// One row a unit, each as long as the vector.
    pub matrix: &'a [T],
    /// What the rows see, a multiple of [`Real::LANES`].
    pub vector: &'a [T],
    /// Number of units.
    pub units: usize,
    /// `W z`, to be written, and padding to a multiple of [`Real::LANES`].
    pub sums: &'a mut [T],
    /// f of the sums, to be written; as long as these.
    pub values: &'a mut [T],
    /// f' of the sums, to be written; as long as these.
    pub slopes: &'a mut [T],
}

impl<T: Real> Forward<'_, T> {
    /// Computes sums, values and slopes. Returns whether all sums are finite; the others then are so
    /// too.
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
        Product { matrix, vector, out: &mut sums[..*units] }.run(simd);
        let finite = Activate { function: *function, sums, values, slopes }.run(simd);
        Clear { values }.run(simd);
        finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{activate, clear_subnormals, product, tested};

    fn check<T: Real>() {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0);
        for (units, width) in [(1usize, 1), (3, 2), (17, 1)] {
            let (columns, padded) = (width * T::LANES, units.next_multiple_of(T::LANES));
            let mut matrix: Vec<T> = (0..units * columns).map(number).collect();
            // The first sum is subnormal.
            matrix[..columns].fill(T::SMALLEST * T::from_f64(1e-3));
            let vector: Vec<T> = (0..columns).map(|j| number(j + 1000)).collect();
            for isa in tested::sets() {
                for function in [Function::Tanh, Function::Identity] {
                    let mut expected = [vec![T::ZERO; padded], vec![T::ONE; padded], vec![]];
                    expected[2] = expected[0].clone();
                    let mut got = expected.clone();
                    let [sums, values, slopes] = &mut expected;
                    product(isa, &matrix, &vector, &mut sums[..units]).unwrap();
                    let finite = activate(isa, function, sums, values, slopes).unwrap();
                    let before = values.clone();
                    clear_subnormals(isa, values).unwrap();
                    assert!(finite && (function == Function::Tanh || before != *values));
                    let [sums, values, slopes] = &mut got;
                    let (matrix, vector) = (&matrix, &vector);
                    let step = Forward { function, matrix, vector, units, sums, values, slopes };
                    assert_eq!(step.apply(isa), Ok(true));
                    assert_eq!(got, expected, "{units} units on {isa}");
                }
            }
        }
    }

    #[test]
    fn one_call_gives_the_bits_of_three() {
        check::<f32>();
        check::<f64>();
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
