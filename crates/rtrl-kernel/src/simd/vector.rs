//! One SIMD register of either precision, written once: what the inner loops see.

use std::ops::Neg;

use bytemuck::Pod;
use pulp::Simd;

/// Registers of a [`Real`](crate::Real). Implemented for `f32` and `f64` only; not for use outside
/// the kernel.
pub trait Vectorised: Pod + PartialEq + Neg<Output = Self> {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The smallest positive number that is not subnormal: about 1.2e-38 or 2.2e-308.
    const SMALLEST: Self;
    /// Below this, 2^-100 or 2^-960, a product of Jacobians, or an adjoint, counts as 0. Above it,
    /// products with all but very small coefficients are normal.
    const NEGLIGIBLE: Self;
    /// Half of the distance from 1 to the next number above it.
    #[doc(hidden)]
    const HALF_UNIT: Self;
    /// 16 times -1, then 16 times 0: factors that negate some lanes and clear those after them.
    #[doc(hidden)]
    const NEGATE_SOME: &'static [Self; 32];

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

    /// The square root of each lane, correctly rounded.
    #[doc(hidden)]
    fn root<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

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

    /// `yes` where `a == b`, else `no`, in each lane.
    #[doc(hidden)]
    fn where_equal<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        yes: Self::Vector<S>,
        no: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The bits of each lane moved up by the width of the mantissa, so that its lowest bits become
    /// the exponent.
    #[doc(hidden)]
    fn as_exponent<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

    /// The numbers of a slice shorter than a register, and zeros after them.
    #[doc(hidden)]
    fn partial_load<S: Simd>(simd: S, slice: &[Self]) -> Self::Vector<S>;

    /// Fills a slice shorter than a register with its first lanes.
    #[doc(hidden)]
    fn partial_store<S: Simd>(simd: S, slice: &mut [Self], register: Self::Vector<S>);

    /// The registers of a slice whose length is a multiple of the lanes.
    #[doc(hidden)]
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];

    /// The registers of a slice whose length is a multiple of the lanes, to be written.
    #[doc(hidden)]
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
}

/// `a`, but 0 with its sign where it is subnormal, in each lane.
#[inline(always)]
pub(crate) fn normal<S: Simd, T: Vectorised>(simd: S, a: T::Vector<S>) -> T::Vector<S> {
    at_least::<S, T>(simd, a, T::SMALLEST)
}

/// `a`, but 0 with its sign where its magnitude is below `least`, in each lane.
#[inline(always)]
pub(crate) fn at_least<S: Simd, T: Vectorised>(simd: S, a: T::Vector<S>, least: T) -> T::Vector<S> {
    let zero = T::with_sign(simd, T::splat(simd, T::ZERO), a);
    T::where_greater(simd, T::splat(simd, least), T::magnitude(simd, a), zero, a)
}

/// Whether every lane is 0.
#[inline(always)]
pub(crate) fn is_zero<S: Simd, T: Vectorised>(register: T::Vector<S>) -> bool {
    let lanes: &[T] = bytemuck::cast_slice(std::slice::from_ref(&register));
    let mut all = true;
    for &lane in lanes {
        all &= lane == T::ZERO;
    }
    all
}

/// Numbers in a register.
#[inline(always)]
pub(crate) const fn lanes<S: Simd, T: Vectorised>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

/// The register at `at` of a slice, which must lie within the slice.
#[inline(always)]
pub(crate) fn register<S: Simd, T: Vectorised>(slice: &[T], at: usize) -> T::Vector<S> {
    T::vectors::<S>(&slice[at..at + lanes::<S, T>()])[0]
}

/// The first halves of two of these registers, in one.
#[inline(always)]
pub(crate) fn first_halves<S: Simd, T: Vectorised>(
    from: &[T::Vector<S>],
    [a, b]: [usize; 2],
) -> T::Vector<S> {
    let half = lanes::<S, T>() / 2;
    let mut register = <T::Vector<S> as bytemuck::Zeroable>::zeroed();
    let lanes: &mut [T] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut register));
    for (lanes, from) in lanes.chunks_exact_mut(half.max(1)).zip([&from[a], &from[b]]) {
        let from: &[T] = bytemuck::cast_slice(std::slice::from_ref(from));
        lanes.copy_from_slice(&from[..half]);
    }
    register
}

/// Writes the halves of a register to the first halves of two of these.
#[inline(always)]
pub(crate) fn store_halves<S: Simd, T: Vectorised>(
    to: &mut [T::Vector<S>],
    places: [usize; 2],
    register: T::Vector<S>,
) {
    let half = lanes::<S, T>() / 2;
    let lanes: &[T] = bytemuck::cast_slice(std::slice::from_ref(&register));
    for (lanes, place) in lanes.chunks_exact(half.max(1)).zip(places) {
        let to: &mut [T] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut to[place]));
        to[..half].copy_from_slice(lanes);
    }
}

/// The register at `at` of a slice, with zeros behind its end.
#[inline(always)]
pub(crate) fn load<S: Simd, T: Vectorised>(simd: S, slice: &[T], at: usize) -> T::Vector<S> {
    if slice.len() - at >= lanes::<S, T>() {
        return register::<S, T>(slice, at);
    }
    T::partial_load(simd, &slice[at..])
}

/// Writes a register to `at` of a slice, without the lanes behind its end.
#[inline(always)]
pub(crate) fn store<S: Simd, T: Vectorised>(
    simd: S,
    slice: &mut [T],
    at: usize,
    register: T::Vector<S>,
) {
    let lanes = lanes::<S, T>();
    let rest = &mut slice[at..];
    if rest.len() >= lanes {
        T::vectors_mut::<S>(&mut rest[..lanes])[0] = register;
        return;
    }
    T::partial_store(simd, rest, register);
}

macro_rules! vectorised {
    ($type:ident, $above:literal, $bits:ident, $vector:ident, $splat:ident, $fused:ident, $sum:ident, $product:ident,
     $quotient:ident, $root:ident, $and:ident, $or:ident, $greater:ident, $equal:ident,
     $select:ident, $load:ident, $store:ident, $as_simd:ident, $as_mut_simd:ident) => {
        impl Vectorised for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const SMALLEST: Self = $type::MIN_POSITIVE;
            const NEGLIGIBLE: Self = $type::MIN_POSITIVE * (1u64 << $above) as $type;
            const HALF_UNIT: Self = $type::EPSILON / 2.0;
            const NEGATE_SOME: &'static [Self; 32] = &{
                let mut factors = [0.0; 32];
                let mut lane = 0;
                while lane < 16 {
                    factors[lane] = -1.0;
                    lane += 1;
                }
                factors
            };

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
            fn root<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                simd.$root(a)
            }

            #[inline(always)]
            fn magnitude<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                // pulp's own is not always inlined.
                simd.$and(a, simd.$splat(<$type>::from_bits($bits::MAX >> 1)))
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
            fn where_equal<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                yes: S::$vector,
                no: S::$vector,
            ) -> S::$vector {
                simd.$select(simd.$equal(a, b), yes, no)
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
            fn partial_load<S: Simd>(simd: S, slice: &[Self]) -> S::$vector {
                simd.$load(slice)
            }

            #[inline(always)]
            fn partial_store<S: Simd>(simd: S, slice: &mut [Self], register: S::$vector) {
                simd.$store(slice, register);
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
    };
}

vectorised!(
    f32,
    26,
    u32,
    f32s,
    splat_f32s,
    mul_add_f32s,
    add_f32s,
    mul_f32s,
    div_f32s,
    sqrt_f32s,
    and_f32s,
    or_f32s,
    greater_than_f32s,
    equal_f32s,
    select_f32s,
    partial_load_f32s,
    partial_store_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
vectorised!(
    f64,
    62,
    u64,
    f64s,
    splat_f64s,
    mul_add_f64s,
    add_f64s,
    mul_f64s,
    div_f64s,
    sqrt_f64s,
    and_f64s,
    or_f64s,
    greater_than_f64s,
    equal_f64s,
    select_f64s,
    partial_load_f64s,
    partial_store_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;
    use crate::simd::{Isa, Real, Work, compiled};

    compiled!(CopyLoop: Copy -> ());

    /// Copies a slice shorter than a register or longer, register by register.
    struct Copy<'a, T> {
        from: &'a [T],
        to: &'a mut [T],
    }

    impl<T: Real> Work for Copy<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(&mut self, simd: S) {
            for at in (0..self.from.len()).step_by(size_of::<T::Vector<S>>() / size_of::<T>()) {
                store::<S, T>(simd, self.to, at, load::<S, T>(simd, self.from, at));
            }
        }
    }

    fn check<T: Real>(isa: Isa) {
        let from: Vec<T> = (1..=40).map(|i| T::from_f64(f64::from(i))).collect();
        for len in 0..40 {
            let mut to = [T::ZERO; 40];
            T::run::<CopyLoop>(isa, Copy { from: &from[..len], to: &mut to[..len] });
            assert_eq!(to[..len], from[..len], "{len} values on {isa}");
            assert!(to[len..].iter().all(|&value| value == T::ZERO), "{len} values on {isa}");
        }
    }

    #[test]
    fn the_end_of_a_slice_is_read_and_written_without_what_follows() {
        for isa in tested::sets() {
            check::<f32>(isa);
            check::<f64>(isa);
        }
    }
}
