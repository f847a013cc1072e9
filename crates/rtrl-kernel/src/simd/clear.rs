//! Clearing subnormal numbers, which processors multiply a hundred times slower than others.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::normal;
use crate::error::{Error, check_length};

/// Replaces every subnormal number by 0 with its sign. `values` are a multiple of [`Real::LANES`].
///
/// # Errors
/// [`Error::Length`] if they are not.
#[inline]
pub fn clear_subnormals<T: Real>(isa: Isa, values: &mut [T]) -> Result<(), Error> {
    check_length("the padding of the values", 0, values.len() % T::LANES)?;
    T::run::<ClearLoop>(isa, Clear { values });
    Ok(())
}

compiled!(pub(crate) ClearLoop: Clear -> ());

pub(crate) struct Clear<'a, T> {
    pub(crate) values: &'a mut [T],
}

impl<T: Real> Work for Clear<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        for register in T::vectors_mut::<S>(self.values) {
            *register = normal::<S, T>(simd, *register);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    /// Numbers with what becomes of them: both signs of each.
    fn check<T: Real>(below: T, next: T, infinity: T, nan: T) {
        let cleared = [T::ZERO, below, T::SMALLEST - below, next];
        let kept = [T::SMALLEST, T::SMALLEST + next, T::ONE, infinity, nan];
        let bits = |values: &[T]| bytemuck::cast_slice::<T, u8>(values).to_vec();
        for isa in tested::sets() {
            for (values, is_kept) in [(&cleared[..], false), (&kept, true)] {
                for &value in values {
                    for value in [value, -value] {
                        // In every lane, next to numbers that are kept.
                        for lane in 0..T::LANES {
                            let mut row = vec![T::ONE; 2 * T::LANES];
                            row[lane] = value;
                            let mut expected = row.clone();
                            expected[lane] = if is_kept { value } else { value * T::ZERO };
                            clear_subnormals(isa, &mut row).unwrap();
                            assert_eq!(bits(&row), bits(&expected), "{value} on {isa}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn subnormal_numbers_become_zero_and_others_stay() {
        check::<f32>(f32::from_bits(0x007f_ffff), f32::from_bits(1), f32::INFINITY, f32::NAN);
        let below = f64::from_bits(0x000f_ffff_ffff_ffff);
        check::<f64>(below, f64::from_bits(1), f64::INFINITY, f64::NAN);
        let refused = clear_subnormals(Isa::scalar(), &mut [1.0f32; 15]);
        assert!(matches!(refused, Err(Error::Length { expected: 0, got: 15, .. })));
    }
}
