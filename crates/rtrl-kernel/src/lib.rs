//! The sensitivity update of real-time recurrent learning, as fast as the hardware allows.
//!
//! Numbers and shapes only: there is no network here, and no input or output.
//! A recurrent network's sensitivities `p^k_ij = dy_k/dw_ij` follow (Williams & Zipser 1989, eq. 5)
//!
//! ```text
//! p^k_ij(t+1) = sum over l of J[k][l] p^l_ij(t)  +  (immediate influence of weight (i, j) on unit k)
//! ```
//!
//! and the gradient of the error is `-sum over k of e_k p^k_ij` (eq. 6). An [`Engine`] does both:
//! [`Eager`] is the paper's algorithm, O(n⁴) a step; [`Deferred`] computes the same numbers in O(n³).
//! [`product`] is the matrix-vector product of the forward pass, in an order that does not depend on the
//! machine, and [`activate`] what follows it, with the same bits everywhere.
//!
//! # Where to look
//!
//! | file | subject |
//! |---|---|
//! | `engine.rs` | the trait and its [`Step`] |
//! | `eager.rs` | the engine that updates p at every step |
//! | `deferred/` | the engine that updates p when a window of steps is full |
//! | `pack.rs` | the Jacobian of a step in strips, with lists where it is sparse |
//! | `tile.rs`, `small.rs`, `immediate.rs` | its inner loops |
//! | `ahead.rs` | asking for the panels that come next |
//! | `columns.rs` | which weight sits in which lane of which panel |
//! | `product.rs` | matrix times vector |
//! | `elementary.rs`, `activate.rs` | exp, tanh and the logistic function; activations of many units |
//! | `descend.rs` | gradient descent |
//! | `isa.rs`, `threads.rs`, `crew.rs` | what runs the loops |
//! | `real.rs`, `aligned.rs` | numbers and the memory that they stand in |
//!
//! Invariant: results do not depend on the instruction set or the number of threads, bit for bit.

mod activate;
mod ahead;
mod aligned;
mod columns;
#[cfg(feature = "rayon")]
mod crew;
mod deferred;
mod descend;
mod eager;
mod elementary;
mod engine;
mod error;
mod immediate;
mod isa;
mod pack;
mod product;
mod real;
mod small;
mod threads;
mod tile;

pub use activate::{Function, activate};
pub use columns::Layout;
pub use deferred::{Deferred, Pace};
pub use descend::descend;
pub use eager::Eager;
pub use elementary::Elementary;
pub use engine::{Engine, Pending, Step};
pub use error::Error;
pub use isa::Isa;
pub use product::{product, sum_of_squares};
pub use real::{Real, Vectorised};
pub use threads::{Threads, Workers, automatic_threads};
