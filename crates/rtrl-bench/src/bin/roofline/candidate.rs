//! The engines that are measured, alone and in a learner.

use rtrl_kernel::{Deferred, Eager, Engine, Isa, Layout, Pace, Real, Threads};
use rtrl_model::{EngineChoice, Error, Regime};

/// An engine, alone and in a learner.
pub(crate) struct Candidate<T: Real> {
    pub(crate) name: &'static str,
    pub(crate) alone: Alone<T>,
    pub(crate) choice: EngineChoice,
}

/// Makes an engine from its sizes and the weights that learn.
type Alone<T> = fn(&Layout, &[bool], Isa, Threads) -> Result<Box<dyn Engine<T>>, Error>;

/// Every engine that is measured.
pub(crate) fn candidates<T: Real>() -> [Candidate<T>; 2] {
    [eager(), deferred()]
}

/// The engine that computes equation 5 at every step.
fn eager<T: Real>() -> Candidate<T> {
    Candidate {
        name: "eager",
        alone: |layout, learns, isa, threads| {
            Ok(Box::new(Eager::new(layout, learns, isa, threads)?))
        },
        choice: EngineChoice::Eager,
    }
}

/// The engine that flushes its window in bursts.
pub(crate) fn deferred<T: Real>() -> Candidate<T> {
    Candidate {
        name: "deferred",
        alone: |layout, learns, isa, threads| {
            let window = EngineChoice::default_window(layout, Regime::real_time());
            Ok(Box::new(Deferred::new(layout, learns, window, Pace::Bursts, isa, threads)?))
        },
        choice: EngineChoice::DEFERRED,
    }
}
