//! What a check is given: the engine's factory, and how much to try.

use rtrl_kernel::{Engine, Error as KernelError, Layout};

/// Makes an engine, p = 0.
pub(crate) type Factory<'a, T> =
    dyn Fn(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, KernelError> + 'a;

/// How much a check tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Number of cases; every fourth one is a whole network. Shapes grow from the first case to the
    /// last.
    pub cases: usize,
    /// Steps of a case at most. An engine that puts work off for some steps needs a multiple of
    /// them.
    pub steps: usize,
    /// What the cases follow from.
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
