//! A number that an optimiser keeps for each weight.

use rtrl_kernel::Real;

use crate::{Error, Matrix};

/// A moment now and after the update.
#[derive(Debug, Clone)]
pub(super) struct Moments<T> {
    pub(super) name: &'static str,
    /// Whether it averages squares, which are never negative.
    pub(super) squares: bool,
    pub(super) now: Matrix<T>,
    pub(super) next: Matrix<T>,
}

impl<T: Real> Moments<T> {
    pub(super) fn zeros(name: &'static str, like: &Matrix<T>) -> Result<Self, Error> {
        let zeros = || Matrix::zeros(like.rows(), like.columns());
        Ok(Self { name, squares: false, now: zeros()?, next: zeros()? })
    }

    /// [`Moments::zeros`] of squares.
    pub(super) fn squares(name: &'static str, like: &Matrix<T>) -> Result<Self, Error> {
        Ok(Self { squares: true, ..Self::zeros(name, like)? })
    }

    /// Computes the next moments from the gradient; says whether all of them are finite.
    pub(super) fn advance(&mut self, gradient: &[T], average: impl Fn(T, T) -> T) -> bool {
        let mut finite = true;
        let places = self.next.padded_mut().iter_mut().zip(self.now.padded());
        for ((next, &now), &gradient) in places.zip(gradient) {
            *next = average(now, gradient);
            finite &= next.is_finite();
        }
        finite
    }
}
