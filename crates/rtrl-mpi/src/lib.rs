//! Exact real-time recurrent learning on several machines, with the bits of one that has the
//! same engine.
//!
//! The sensitivities p of a network of n units take about n³ numbers, more than one machine holds
//! from about n = 2000 on. Their columns never mix, so this crate divides them among the processes
//! of an MPI program, its *ranks*: each holds the columns of its share of the weight rows. Every
//! rank runs the forward pass and applies the same updates to the same weights; the ranks exchange
//! one number per step and the gradient. The results are those of one process, bit for bit, with
//! any number of ranks.
//!
//! ```no_run
//! use rtrl_model::{EngineChoice, Learner, Network, Targets, Threads};
//! use rtrl_mpi::Ranks;
//!
//! # fn main() -> Result<(), rtrl_mpi::Error> {
//! let ranks = Ranks::start()?;
//! let network = Network::<f32>::builder(1024, 1).seed(1).build()?;
//! let builder = Learner::builder(network);
//! let mut learner = ranks.build(builder, EngineChoice::Auto, Threads::Auto)?;
//! for t in 0..100 {
//!     let x = f32::from(t % 7u8);
//!     let report = learner.step(&[x], Targets::Some(&vec![Some(x); 1024]))?;
//!     if ranks.rank() == 0 {
//!         println!("{}", report.loss);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What a program must do
//!
//! * Run the same calls in the same order on every rank: all ranks take part in a step, in reading
//!   gradients and sensitivities, in resets, and in saving and resuming. A call that some ranks
//!   skip makes the others wait for ever.
//! * Give every rank the same inputs and targets: each reads the same file, draws from the same
//!   seed, or receives what rank 0 has read through [`Ranks::share`].
//! * Write reports on rank 0 only.
//! * Pass what may fail on one rank alone (opening a file, say) through [`Ranks::agree`].
//! * Step learners on the thread that has called [`Ranks::start`]. A rank's engine may use other
//!   threads; they do not call MPI.
//!
//! A rank that is killed or panics ends the run, since MPI ends the others; [`Checkpoints`] resumes
//! it, on another number of ranks if need be. An overflow happens on all ranks in the same step, as
//! in one process, and so do recoveries.
//!
//! With the feature `cli`, the program `rtrl-mpi` runs `rtrl train` on several ranks.
//!
//! # Where to look
//!
//! | file | subject |
//! |---|---|
//! | `ranks.rs` | the processes of a run, and what they agree on |
//! | `build.rs` | learners and engines of the ranks |
//! | `alike.rs` | whether all ranks run the same learner |
//! | `division.rs` | which columns of p each rank holds |
//! | `sharded.rs` | the engine of one rank |
//! | `gather.rs` | values of all columns |
//! | `shards/` | the columns that each rank saves, and the manifest that names them |
//! | `checkpoints.rs` | the last few checkpoints of a run |
//! | `error.rs` | the errors |
//! | `bin/rtrl-mpi.rs` | `rtrl train` on several ranks |

mod alike;
mod build;
mod checkpoints;
mod division;
mod error;
mod gather;
mod ranks;
mod sharded;
mod shards;

pub use checkpoints::{Checkpoints, Latest};
pub use error::Error;
pub use mpi;
pub use ranks::Ranks;
