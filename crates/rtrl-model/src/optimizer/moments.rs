//! A number that an optimiser keeps for each weight.

use rtrl_kernel::{Moment, Real};

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
        let zeros = || like.zeros_like();
        Ok(Self { name, squares: false, now: zeros()?, next: zeros()? })
    }

    /// [`Moments::zeros`] of squares.
    pub(super) fn squares(name: &'static str, like: &Matrix<T>) -> Result<Self, Error> {
        Ok(Self { squares: true, ..Self::zeros(name, like)? })
    }

    /// Both, for an update.
    pub(super) fn for_update(&mut self) -> Moment<'_, T> {
        Moment { now: self.now.padded(), next: self.next.padded_mut() }
    }
}
