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
//! | `layout.rs`, `step.rs`, `jacobian.rs` | the sizes of a layer; one time step; its Jacobian |
//! | `engine.rs`, `spec.rs`, `build.rs` | the trait of the engines; which one it is; an engine from its spec |
//! | `eager/` | the engine that updates p at every step |
//! | `deferred/` | the engine that updates p when a window of steps is full |
//! | `store.rs` | what of an engine is stored, and how |
//! | `panels.rs` | which weight sits in which lane of which panel |
//! | `simd/` | numbers, registers, instruction sets, and the loops of the forward pass |
//! | `threads/` | how many threads share a step, and how they do it |
//! | `cost.rs` | how many operations a step takes |
//! | `error.rs` | what can go wrong |
//!
//! Invariant: results do not depend on the instruction set or the number of threads, bit for bit.

mod build;
pub mod cost;
mod deferred;
mod eager;
mod engine;
mod error;
mod jacobian;
mod layout;
mod panels;
mod simd;
mod spec;
mod step;
mod store;
mod threads;

pub use build::build;
pub use deferred::Deferred;
pub use eager::Eager;
pub use engine::Engine;
pub use error::{Error, Quantity};
pub use jacobian::Jacobian;
pub use layout::{Drive, Layout};
pub use simd::{
    Elementary, Function, Isa, Real, Vectorised, activate, descend, product, sum_of_squares,
};
pub use spec::{Pace, Spec};
pub use step::Step;
pub use store::{Sink, Snapshot, Source};
pub use threads::{Threads, Workers, automatic_threads};
