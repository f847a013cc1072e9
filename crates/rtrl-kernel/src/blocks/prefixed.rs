//! The tensors of one block among those of all.

use crate::error::Error;
use crate::simd::Real;
use crate::spec::in_block;
use crate::store::{Sink, Source};

/// A sink or source of which one block sees its own tensors.
pub(super) struct Prefixed<'a, I: ?Sized> {
    pub(super) block: usize,
    pub(super) all: &'a mut I,
}

impl<T> Sink<T> for Prefixed<'_, dyn Sink<T> + '_> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), Error> {
        self.all.tensor(&in_block(self.block, name), shape, fill)
    }
}

impl<T: Real> Source<T> for Prefixed<'_, dyn Source<T> + '_> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        self.all.shape(&in_block(self.block, name))
    }

    fn rows(&mut self, name: &str, take: &mut dyn FnMut(usize, &[T])) -> Result<(), Error> {
        self.all.rows(&in_block(self.block, name), take)
    }
}

/// The error with the name that a tensor has among those of all blocks.
pub(super) fn named(block: usize, error: Error) -> Error {
    match error {
        Error::Tensor { name, expected, got } => {
            Error::Tensor { name: in_block(block, &name), expected, got }
        }
        Error::NonFiniteTensor { name, row } => {
            Error::NonFiniteTensor { name: in_block(block, &name), row }
        }
        Error::Number { name, row, expected, got } => {
            Error::Number { name: in_block(block, &name), row, expected, got }
        }
        other => other,
    }
}
