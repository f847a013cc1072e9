//! The compiled part of the Python package `rtrl`: arrays, plain objects and exceptions on one
//! side, `rtrl-model` and `rtrl-lab` on the other. It computes nothing.
//!
//! The public API is in `python/rtrl`; this module, `rtrl._rtrl`, is private.
//!
//! | file | subject |
//! |---|---|
//! | `network.rs` | networks |
//! | `learner/` | learners |
//! | `forecaster.rs` | learners whose labels arrive late |
//! | `lab.rs` | tasks, experiments and instruments |
//! | `saved.rs` | files, threads and forks of learners and forecasters |
//! | `function.rs` | losses and optimisers that are functions of Python |
//! | `describe.rs` | networks and learners described by plain objects |
//! | `array.rs` | arrays in and out |
//! | `precision.rs` | both precisions behind one class |
//! | `guard.rs` | one call at a time, and forks |
//! | `error.rs` | exceptions |

mod array;
mod describe;
mod error;
mod forecaster;
mod function;
mod guard;
mod lab;
mod learner;
mod network;
mod precision;
mod saved;

/// The module `rtrl._rtrl`.
#[pyo3::pymodule]
mod _rtrl {
    #[pymodule_export]
    use super::forecaster::Forecaster;
    #[pymodule_export]
    use super::guard::after_fork;
    #[pymodule_export]
    use super::lab::{all_tasks, draw, experiments, inspect, run_experiment};
    #[pymodule_export]
    use super::learner::{Learner, StepReport};
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
