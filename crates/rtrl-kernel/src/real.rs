//! The two precisions, written once.
//!
//! [`Real`] is what the layers above see: arithmetic, and the functions of a network with the same
//! bits on every machine. [`Vectorised`] is what the inner loops see: one SIMD register of it.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use bytemuck::Pod;
use pulp::{Scalar, Simd};

use crate::Isa;
use crate::elementary::{self, Elementary};

/// A floating-point number of the kernel: `f32` or `f64`.
///
/// The elementary functions do not depend on the processor: `exp`, `logistic` and `tanh` are those of
/// `elementary.rs`, of which [`activate`](crate::activate) computes many at once with the same bits;
/// `ln_1p` is libm's portable code.
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
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// Numbers in a row of a panel: 64 bytes' worth, on every instruction set.
    const LANES: usize = 64 / size_of::<Self>();
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
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

    /// Runs a loop on the instruction set `isa`. Not for use outside the kernel.
    #[doc(hidden)]
    fn run<L: Loop>(isa: Isa, work: L::Work<'_, Self>) -> L::Output;
}

/// A loop over registers, compiled in this crate once for each precision and instruction set.
///
/// Generic code is compiled anew in every crate that uses it. A loop is therefore reached through two
/// functions that are not generic; [`Real::run`] takes the one for the precision. Implemented by
/// `compiled!`.
pub trait Loop {
    /// What the loop works on.
    type Work<'a, T: Real>;
    /// What it returns.
    type Output;
    /// The loop in single precision.
    fn single(isa: Isa, work: Self::Work<'_, f32>) -> Self::Output;
    /// The loop in double precision.
    fn double(isa: Isa, work: Self::Work<'_, f64>) -> Self::Output;
}

/// Compiles `$work`, a [`pulp::WithSimd`] that is generic over the precision, as the [`Loop`] `$name`.
macro_rules! compiled {
    ($vis:vis $name:ident: $work:ident -> $output:ty) => {
        $vis struct $name;

        impl $crate::real::Loop for $name {
            type Work<'a, T: $crate::Real> = $work<'a, T>;
            type Output = $output;

            #[inline(never)]
            fn single(isa: $crate::Isa, work: $work<'_, f32>) -> $output {
                isa.run(work)
            }

            #[inline(never)]
            fn double(isa: $crate::Isa, work: $work<'_, f64>) -> $output {
                isa.run(work)
            }
        }
    };
}
pub(crate) use compiled;

/// Registers of a [`Real`]. Implemented for `f32` and `f64` only; not for use outside the kernel.
pub trait Vectorised: Pod {
    /// One register of the instruction set `S`.
    #[doc(hidden)]
    type Vector<S: Simd>: Pod;

    /// All lanes equal to `value`.
    #[doc(hidden)]
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a * b + c` in each lane, rounded once.
    #[doc(hidden)]
    fn fused<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// `a + b` in each lane.
    #[doc(hidden)]
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a * b` in each lane.
    #[doc(hidden)]
    fn product<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a / b` in each lane.
    #[doc(hidden)]
    fn quotient<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// The absolute value of each lane.
    #[doc(hidden)]
    fn magnitude<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

    /// `a`, which is not negative, with the sign of `sign` in each lane.
    #[doc(hidden)]
    fn with_sign<S: Simd>(simd: S, a: Self::Vector<S>, sign: Self::Vector<S>) -> Self::Vector<S>;

    /// `yes` where `a > b`, else `no`, in each lane.
    #[doc(hidden)]
    fn where_greater<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        yes: Self::Vector<S>,
        no: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The bits of each lane moved up by the width of the mantissa, so that its lowest bits become the
    /// exponent.
    #[doc(hidden)]
    fn as_exponent<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

    /// The registers of a slice whose length is a multiple of the lanes.
    #[doc(hidden)]
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];

    /// The registers of a slice whose length is a multiple of the lanes, to be written.
    #[doc(hidden)]
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
}

/// Whether every lane is 0.
#[inline(always)]
pub(crate) fn is_zero<S: Simd, T: Real>(register: T::Vector<S>) -> bool {
    let lanes: &[T] = bytemuck::cast_slice(std::slice::from_ref(&register));
    let mut all = true;
    for &lane in lanes {
        all &= lane == T::ZERO;
    }
    all
}

macro_rules! real {
    ($type:ident, $bits:ident, $vector:ident, $splat:ident, $fused:ident, $sum:ident, $product:ident,
     $quotient:ident, $magnitude:ident, $and:ident, $or:ident, $greater:ident, $select:ident,
     $as_simd:ident, $as_mut_simd:ident, $ln_1p:path, $run:ident) => {
        impl Vectorised for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$fused(a, b, c)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sum(a, b)
            }

            #[inline(always)]
            fn product<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$product(a, b)
            }

            #[inline(always)]
            fn quotient<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$quotient(a, b)
            }

            #[inline(always)]
            fn magnitude<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                simd.$magnitude(a)
            }

            #[inline(always)]
            fn with_sign<S: Simd>(simd: S, a: S::$vector, sign: S::$vector) -> S::$vector {
                simd.$or(a, simd.$and(sign, simd.$splat(-0.0)))
            }

            #[inline(always)]
            fn where_greater<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                yes: S::$vector,
                no: S::$vector,
            ) -> S::$vector {
                simd.$select(simd.$greater(a, b), yes, no)
            }

            #[inline(always)]
            fn as_exponent<S: Simd>(_: S, mut a: S::$vector) -> S::$vector {
                // pulp has no such shift for 64 bits; the compiler makes one of the loop.
                let lanes: &mut [$bits] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut a));
                for bits in lanes {
                    *bits <<= <$type>::MANTISSA_DIGITS - 1;
                }
                a
            }

            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> &[S::$vector] {
                S::$as_simd(slice).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut_simd(slice).0
            }
        }

        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
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
                elementary::exp::<Scalar, $type>(Scalar, self)
            }

            fn logistic(self) -> Self {
                elementary::logistic::<Scalar, $type>(Scalar, self)
            }

            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }

            fn tanh(self) -> Self {
                elementary::tanh::<Scalar, $type>(Scalar, self)
            }

            #[inline(always)]
            fn run<L: Loop>(isa: Isa, work: L::Work<'_, Self>) -> L::Output {
                L::$run(isa, work)
            }
        }
    };
}

real!(
    f32,
    u32,
    f32s,
    splat_f32s,
    mul_add_f32s,
    add_f32s,
    mul_f32s,
    div_f32s,
    abs_f32s,
    and_f32s,
    or_f32s,
    greater_than_f32s,
    select_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    libm::log1pf,
    single
);
real!(
    f64,
    u64,
    f64s,
    splat_f64s,
    mul_add_f64s,
    add_f64s,
    mul_f64s,
    div_f64s,
    abs_f64s,
    and_f64s,
    or_f64s,
    greater_than_f64s,
    select_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    libm::log1p,
    double
);
