//! An engine that measures its own updates: the update alone, with the steps of a real network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rtrl_kernel::{Engine, Error, Real, Step};

/// Nanoseconds, shared by an engine and its observer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopwatch(Arc<AtomicU64>);

impl Stopwatch {
    /// The seconds since the last call.
    pub(crate) fn take(&self) -> f64 {
        self.0.swap(0, Ordering::Relaxed) as f64 / 1e9
    }
}

/// An engine whose calls of [`Engine::advance`] are timed.
#[derive(Debug, Clone)]
pub(crate) struct Timed<T: Real> {
    engine: Box<dyn Engine<T>>,
    stopwatch: Stopwatch,
}

impl<T: Real> Timed<T> {
    pub(crate) fn new(engine: Box<dyn Engine<T>>, stopwatch: Stopwatch) -> Self {
        Self { engine, stopwatch }
    }
}

impl<T: Real> Engine<T> for Timed<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        let start = Instant::now();
        let result = self.engine.advance(step, error);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.stopwatch.0.fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        self.engine.gradient(into, stride)
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.engine.reset()
    }

    fn weights(&self) -> usize {
        self.engine.weights()
    }

    fn state_bytes(&self) -> usize {
        self.engine.state_bytes()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}
