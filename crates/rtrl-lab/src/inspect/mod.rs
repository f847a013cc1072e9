//! Instruments that analyse what a network does.
//!
//! All instruments work in double precision, to which weights of single precision convert exactly,
//! and do not change the network. They work on the state of any network: the outputs of its units,
//! and after them the cells of LSTM units. Only [`recurrent_eigenvalues`] requires simple units.
//! The results of instruments that decompose matrices (eigenvalues, singular values, Newton's
//! method) may differ in their last bits between machines; all others, including finite-state
//! machines, have the same bits everywhere.
//!
//! | file | subject |
//! |---|---|
//! | `dynamics.rs` | the network as a map of its state, with its Jacobian |
//! | `run.rs` | a run, step by step |
//! | `spectrum.rs` | eigenvalues and singular values |
//! | `weights.rs` | the sizes of the blocks of weights, and the eigenvalues of those between units |
//! | `spectral_radius.rs` | the spectral radius, observed while a learner learns |
//! | `lyapunov.rs` | the largest Lyapunov exponent |
//! | `fixed_points.rs`, `cycles.rs` | the fixed points and cycles of the network |
//! | `principal.rs` | principal components of the states of a run |
//! | `machine/` | finite-state machines extracted from a network |
//! | `findings.rs` | all of these at once |
//! | `watched.rs` | a network on a task, and its machine |
//! | `compared.rs` | the comparison of that machine with the task's, in words |
//!
//! ```
//! use rtrl_lab::inspect::{Dynamics, fixed_points};
//! use rtrl_model::{InitialWeights, Network};
//!
//! # fn main() -> Result<(), rtrl_lab::Error> {
//! // One tanh unit that sees itself: y = tanh(2 y) holds at 0 and at two other points.
//! let weights = InitialWeights::given(vec![vec![2.0]]);
//! let network = Network::<f64>::builder(1, 0).bias(false).weights(weights).build()?;
//! let points = fixed_points(&mut Dynamics::of(&network), &[], 20, 1)?;
//! let stable: Vec<bool> = points.iter().map(|point| point.is_stable()).collect();
//! assert_eq!(stable, [true, false, true]);
//! # Ok(())
//! # }
//! ```

mod compared;
mod cycles;
mod dynamics;
mod findings;
mod fixed_points;
mod lyapunov;
mod machine;
mod principal;
mod run;
mod spectral_radius;
mod spectrum;
mod watched;
mod weights;

pub use self::compared::bits;
pub use self::cycles::{Attractors, Cycle, SETTLING, attractors};
pub use self::dynamics::Dynamics;
pub use self::findings::{Findings, Held, LayerShape, OnRun, Rest, Round, Shape, Watching};
pub use self::fixed_points::{FixedPoint, fixed_points};
pub use self::lyapunov::largest_lyapunov_exponent;
pub use self::machine::{
    Agreement, Comparison, Difference, Machine, Reduced, Trace, Transition, Verdict,
};
pub use self::principal::{Principal, principal_components};
pub use self::run::Run;
pub use self::spectral_radius::SpectralRadius;
pub use self::spectrum::{Eigenvalue, eigenvalues, singular_values, spectral_radius};
pub use self::watched::{Extracted, Inputs, OnTask, UNWATCHED, Watched};
pub use self::weights::{Block, recurrent_eigenvalues};
