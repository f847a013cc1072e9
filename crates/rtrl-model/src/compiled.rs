//! Large functions that are compiled here, once for each precision, and not anew in every program
//! that uses them.

use rtrl_kernel::{Compiled, Isa, Real};

/// Defines `$name`, which stands for a generic function of `$work` for [`once`].
macro_rules! compiled {
    ($name:ident<$a:lifetime, $T:ident>: $function:path, $work:ty => $output:ty) => {
        struct $name;

        impl rtrl_kernel::Compiled for $name {
            type Work<$a, $T: rtrl_kernel::Real> = $work;
            type Output<$T: rtrl_kernel::Real> = $output;

            #[inline(never)]
            fn single(_: rtrl_kernel::Isa, work: Self::Work<'_, f32>) -> Self::Output<f32> {
                $function(work)
            }

            #[inline(never)]
            fn double(_: rtrl_kernel::Isa, work: Self::Work<'_, f64>) -> Self::Output<f64> {
                $function(work)
            }
        }
    };
}
pub(crate) use compiled;

/// Calls the function that `C` stands for.
#[inline(always)]
pub(crate) fn once<C: Compiled, T: Real>(work: C::Work<'_, T>) -> C::Output<T> {
    // The function does not use the instruction set.
    T::run::<C>(Isa::scalar(), work)
}
