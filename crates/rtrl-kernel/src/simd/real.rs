//! The two precisions, written once: arithmetic, the functions of a network with the same bits on
//! every machine, and the way from generic code to loops that are compiled here.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

use pulp::{Scalar, Simd};

use super::functions::{self, Elementary};
use super::isa::Isa;
use super::vector::lanes;

/// A floating-point number of the kernel: `f32` or `f64`.
///
/// The elementary functions do not depend on the processor: `exp`, `logistic` and `tanh` are those
/// of `functions.rs`, of which [`activate`](crate::activate) computes many at once with the same
/// bits; `ln_1p` is libm's portable code.
pub trait Real:
    Elementary
    + PartialOrd
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
{
    /// Numbers in a row of a panel: 64 bytes' worth, on every instruction set.
    const LANES: usize = 64 / size_of::<Self>();
    /// `f32` or `f64`.
    const NAME: &'static str;

    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// The same number, exactly.
    fn to_f64(self) -> f64;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// e to the power of `self`, within 2 units in the last place.
    fn exp(self) -> Self;
    /// `1 / (1 + exp(-self))`, within 2 units in the last place.
    fn logistic(self) -> Self;
    /// The natural logarithm of `1 + self`.
    fn ln_1p(self) -> Self;
    /// The hyperbolic tangent, within 2 units in the last place.
    fn tanh(self) -> Self;

    /// Runs what another crate need not compile. Not for use outside these crates.
    #[doc(hidden)]
    fn run<C: Compiled>(isa: Isa, work: C::Work<'_, Self>) -> C::Output<Self>;
}

/// A register of 0, 1, 2, ….
#[inline(always)]
pub(crate) fn numbers<S: Simd, T: Real>() -> T::Vector<S> {
    let numbers: [T; 16] = std::array::from_fn(|lane| T::from_f64(lane as f64));
    T::vectors::<S>(&numbers[..lanes::<S, T>()])[0]
}

/// Generic code that is compiled once for each precision: a loop over registers, for each
/// instruction set too, or another large function.
///
/// Generic code is compiled anew in every crate that uses it. This is therefore reached through two
/// functions that are not generic; [`Real::run`] takes the one for the precision. Implemented by
/// `compiled!`.
pub trait Compiled {
    /// What it works on.
    type Work<'a, T: Real>;
    /// What it returns.
    type Output<T: Real>;
    /// In single precision.
    fn single(isa: Isa, work: Self::Work<'_, f32>) -> Self::Output<f32>;
    /// In double precision.
    fn double(isa: Isa, work: Self::Work<'_, f64>) -> Self::Output<f64>;
}

/// Compiles `$work`, a [`Work`](super::isa::Work) that is generic over the precision, as `$name`.
macro_rules! compiled {
    ($vis:vis $name:ident: $work:ident -> $output:ty) => {
        $vis struct $name;

        impl $crate::simd::Compiled for $name {
            type Work<'a, T: $crate::simd::Real> = $work<'a, T>;
            type Output<T: $crate::simd::Real> = $output;

            #[inline(never)]
            fn single(isa: $crate::simd::Isa, mut work: $work<'_, f32>) -> $output {
                isa.run(&mut work)
            }

            #[inline(never)]
            fn double(isa: $crate::simd::Isa, mut work: $work<'_, f64>) -> $output {
                isa.run(&mut work)
            }
        }
    };
}
pub(crate) use compiled;

macro_rules! real {
    ($type:ident, $ln_1p:path, $run:ident) => {
        impl Real for $type {
            const NAME: &'static str = stringify!($type);

            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::unnecessary_cast,
                clippy::cast_lossless,
                reason = "one text for both precisions; rounding to f32 is the point"
            )]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$type>::mul_add(self, a, b)
            }

            #[inline(always)]
            fn is_finite(self) -> bool {
                <$type>::is_finite(self)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                <$type>::abs(self)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }

            fn exp(self) -> Self {
                functions::exp::<Scalar, $type>(Scalar, self)
            }

            fn logistic(self) -> Self {
                functions::logistic::<Scalar, $type>(Scalar, self)
            }

            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }

            fn tanh(self) -> Self {
                functions::tanh::<Scalar, $type>(Scalar, self)
            }

            #[inline(always)]
            fn run<C: Compiled>(isa: Isa, work: C::Work<'_, Self>) -> C::Output<Self> {
                C::$run(isa, work)
            }
        }
    };
}

real!(f32, libm::log1pf, single);
real!(f64, libm::log1p, double);
