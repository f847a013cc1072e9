//! The options of a check: the engine's factory, and how much to test.

use rtrl_kernel::{Engine, Error as KernelError, Layout};

/// Builds an engine, p = 0.
pub(crate) type Factory<'a, T> =
    dyn Fn(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, KernelError> + 'a;

/// How much a check tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Number of cases; every fourth one is a whole network. Shapes grow from the first case to the
    /// last.
    pub cases: usize,
    /// The largest number of steps of a case. An engine that defers work for some steps needs a
    /// multiple of them.
    pub steps: usize,
    /// The seed of the cases.
    pub seed: u64,
    /// The largest difference that is accepted, relative to the largest number of a reading; `None`
    /// for 1e-9 in double and 2e-4 in single precision if the engine claims to be exact. An
    /// estimator needs a larger one; infinity judges everything but the numbers.
    pub tolerance: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cases: 80, steps: 24, seed: 1, tolerance: None }
    }
}
