//! Recurrent networks that learn while they run, by exact real-time recurrent learning.
//!
//! A [`NetworkBuilder`] describes and checks a [`Network`]. A [`Learner`] trains it, with one call
//! of [`Learner::step`] per time step. Everything is generic over the precision, `f32` or `f64`.
//!
//! ```
//! use rtrl_model::{Activation, InitialWeights, Learner, Network, Optimizer, Targets};
//!
//! # fn main() -> Result<(), rtrl_model::Error> {
//! // Two logistic units, no input; unit 0 should alternate between 0 and 1, unit 1 is free.
//! let network = Network::<f64>::builder(2, 0)
//!     .activation(Activation::Logistic)
//!     .weights(InitialWeights::Uniform { bound: 0.1 })
//!     .seed(1)
//!     .build()?;
//! let mut learner = Learner::builder(network)
//!     .teacher_forcing(true)
//!     .optimizer(Optimizer::sgd(1.0))
//!     .build()?;
//! for t in 0..500 {
//!     let targets = [Some(f64::from(t % 2)), None];
//!     learner.step(&[], Targets::Some(&targets))?;
//! }
//! // The network continues without targets.
//! let (network, mut state) = (learner.network(), learner.state(0)?.clone());
//! let first = network.forward(&mut state, &[])?[0];
//! let second = network.forward(&mut state, &[])?[0];
//! assert!(first < 0.5 && second > 0.5);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | file | subject |
//! |---|---|
//! | `learner/` | the data path of a step, accumulated gradients, recovery from failures |
//! | `network/` | shape, weights, state, the forward pass, seeded initial weights |
//! | `cell/` | how units turn weighted sums into their next state |
//! | `activation.rs`, `readout.rs`, `targets.rs` | other parts of a network |
//! | `loss.rs` | losses and their errors |
//! | `rls.rs`, `readout_rls.rs` | recursive least squares, and readouts that learn by it |
//! | `regime.rs`, `optimizer/`, `gradient.rs` | when and how the weights change |
//! | `engine/` | the choice of the engine that computes the sensitivities |
//! | `matrix.rs` | matrices in the layout of the kernel, and as callers pass them |
//! | `approx.rs` | matrices and traces compared with a tolerance |
//! | `random.rs` | random numbers with the same bits on every machine |
//! | `forecast.rs` | forecasts further ahead than one step |
//! | `observer.rs` | observing a learner |
//! | `error.rs` | the errors |
//! | `compiled.rs` | functions that are compiled here, not in every program |
//! | `store/` | files: saved models, checkpoints, `PyTorch`'s names, conformance cases |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `rayon` (default) | several threads |
//! | `linalg` | a limit on the spectral norm of the recurrent weights, `Matrix::as_faer` |
//! | `approx` | the traits of the crate `approx` for [`Matrix`] and [`Trace`](store::case::Trace) |
//!
//! With `approx`, values of other shapes and NaN are never equal, but infinity may equal infinity:
//! check results that may overflow with `is_finite` first.
//!
//! Numbered equations are those of Williams & Zipser, *A Learning Algorithm for Continually Running
//! Fully Recurrent Neural Networks*, Neural Computation 1(2), 1989. The project's
//! `docs/equations.md` lists them.

mod activation;
#[cfg(feature = "approx")]
mod approx;
mod cell;
mod compiled;
mod engine;
mod error;
mod forecast;
mod gradient;
mod learner;
mod loss;
mod matrix;
mod network;
mod observer;
mod optimizer;
mod random;
mod readout;
mod readout_rls;
mod regime;
mod rls;
pub mod store;
mod targets;

pub use activation::{Activation, CustomActivation};
pub use cell::Cell;
pub use engine::{BlockPlan, EngineChoice, EnginePlan};
pub use error::{Error, Quantity};
pub use forecast::Forecaster;
pub use gradient::Gradient;
pub use learner::{Learner, LearnerBuilder, Recoveries, Recovery, Run, StepReport};
pub use loss::{CustomLoss, Loss};
pub use matrix::{Matrix, Table};
pub use network::{Connection, Connections, InitialWeights, Layer, Network, NetworkBuilder, State};
pub use observer::{GradientNorm, LargestSensitivity, Observer, RunningLoss, StepTime};
pub use optimizer::{
    Clipping, CustomOptimizer, CustomRule, CustomSchedule, Optimizer, RateSchedule, UpdateSettings,
};
pub use random::{Generator, GeneratorState};
pub use readout::{Readout, ReadoutWeights};
pub use regime::{Regime, Timing};
pub use rls::RecursiveLeastSquares;
pub use rtrl_kernel::{
    self as kernel, Engine, Isa, Layout, Pace, Pattern, Real, Spec, Step, Threads,
};
pub use store::{EngineFactory, StoredLearner, Supplies};
pub use targets::{Sample, Targets};
