//! The combined results of several streams: the sum of their gradients, and their outputs and
//! errors one after the other.

use rtrl_kernel::Real;

use super::stream::Stream;
use crate::Gradient;

/// The gradient summed over the streams, and the outputs and errors of one stream after the other.
#[derive(Debug, Clone)]
pub(super) struct Combined<T> {
    pub(super) gradient: Gradient<T>,
    pub(super) outputs: Vec<T>,
    pub(super) errors: Vec<T>,
}

impl<T: Real> Combined<T> {
    pub(super) fn new(outputs: usize, streams: usize, gradient: Gradient<T>) -> Self {
        let zeros = || vec![T::ZERO; outputs * streams];
        Self { gradient, outputs: zeros(), errors: zeros() }
    }

    /// Makes room for the outputs and errors of one more stream.
    pub(super) fn add_stream(&mut self, outputs: usize) {
        for values in [&mut self.outputs, &mut self.errors] {
            values.resize(values.len() + outputs, T::ZERO);
        }
    }

    /// Sums the gradients of the streams in their order; those of W only if they have been read.
    #[inline(never)]
    pub(super) fn accumulate(&mut self, streams: &[Stream<T>], recurrent: bool) {
        self.gradient.clear();
        for stream in streams {
            self.gradient.add(&stream.gradient, recurrent);
        }
    }

    /// Copies the outputs and errors of all streams.
    pub(super) fn copy_outputs(&mut self, streams: &[Stream<T>]) {
        let outputs = streams[0].errors.len();
        let places =
            self.outputs.chunks_exact_mut(outputs).zip(self.errors.chunks_exact_mut(outputs));
        for (stream, (output, error)) in streams.iter().zip(places) {
            output.copy_from_slice(stream.state.outputs());
            error.copy_from_slice(&stream.errors);
        }
    }
}

/// The gradient of all streams.
#[inline]
pub(super) fn gradient<'a, T: Real>(
    combined: Option<&'a Combined<T>>,
    streams: &'a [Stream<T>],
) -> &'a Gradient<T> {
    combined.map_or(&streams[0].gradient, |combined| &combined.gradient)
}
