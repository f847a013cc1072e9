//! The gradient of the loss with respect to everything that learns.

use rtrl_kernel::Real;

use crate::{Error, Matrix, Network};

/// dL/dW and, with a readout, dL/dR. Entries of weights that do not learn are 0.
#[derive(Debug, Clone)]
pub struct Gradient<T> {
    pub(crate) recurrent: Matrix<T>,
    pub(crate) readout: Option<Matrix<T>>,
}

impl<T: Real> Gradient<T> {
    pub(crate) fn zeros(layers: &Network<T>) -> Result<Self, Error> {
        let readout = layers.descending_readout().map(|readout| readout.weights.zeros_like());
        Ok(Self { recurrent: layers.weights.zeros_like()?, readout: readout.transpose()? })
    }

    /// dL/dW, shaped as [`Network::weights`].
    pub fn recurrent(&self) -> &Matrix<T> {
        &self.recurrent
    }

    /// dL/dR, outputs x (units, inputs if seen, 1 if it has a bias), if there is a readout that
    /// learns by it.
    pub fn readout(&self) -> Option<&Matrix<T>> {
        self.readout.as_ref()
    }

    /// All matrices, in the order of [`Network::matrices`].
    pub(crate) fn matrices(&self) -> impl Iterator<Item = &Matrix<T>> {
        std::iter::once(&self.recurrent).chain(&self.readout)
    }

    fn matrices_mut(&mut self) -> impl Iterator<Item = &mut Matrix<T>> {
        std::iter::once(&mut self.recurrent).chain(&mut self.readout)
    }

    /// Becomes equal to `other`.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        for (place, other) in self.matrices_mut().zip(other.matrices()) {
            place.copy_from(other);
        }
    }

    /// Adds `other`, that of W only if asked.
    pub(crate) fn add(&mut self, other: &Self, recurrent: bool) {
        if recurrent {
            self.recurrent.add(&other.recurrent);
        }
        if let (Some(sum), Some(other)) = (&mut self.readout, &other.readout) {
            sum.add(other);
        }
    }

    /// Whether all of it is finite.
    pub(crate) fn is_finite(&self) -> bool {
        let finite =
            |matrix: &Matrix<T>| matrix.padded().iter().fold(true, |a, g| a & g.is_finite());
        self.matrices().all(finite)
    }

    /// Becomes zero.
    pub(crate) fn clear(&mut self) {
        self.matrices_mut().for_each(|matrix| matrix.padded_mut().fill(T::ZERO));
    }
}
