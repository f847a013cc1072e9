//! The sensitivity update of real-time recurrent learning (RTRL), close to the limits of the
//! hardware.
//!
//! This crate works on numbers and shapes; networks and files are in other crates. The
//! sensitivities `p^k_ij = dy_k/dw_ij` of a recurrent network follow (Williams & Zipser 1989,
//! equation 5)
//!
//! ```text
//! p^k_ij(t+1) = sum over l of J[k][l] p^l_ij(t)  +  (immediate influence of weight (i, j) on unit k)
//! ```
//!
//! and the gradient of the loss is `-sum over k of e_k p^k_ij` (equation 6). An [`Engine`] computes
//! both: [`Eager`] is the paper's algorithm, O(n⁴) per step; [`Deferred`] computes the same numbers
//! in O(n³). Where few states depend on each other, [`Blocks`] holds and computes only what can
//! differ from 0. [`product`] is the matrix-vector product of the forward pass and [`activate`] its
//! activation functions, both with the same bits on every machine.
//!
//! # Where to look
//!
//! | file | subject |
//! |---|---|
//! | `layout.rs`, `step.rs`, `jacobian/` | the sizes of a layer; one time step; its Jacobian |
//! | `engine.rs`, `spec.rs`, `single.rs`, `build.rs` | the trait of the engines; a description of an engine; building one that is not made of others, and any |
//! | `eager/` | the engine that updates p at every step |
//! | `deferred/` | the engine that updates p when a window of steps is full |
//! | `structure/` | which sensitivities are zero for ever, from the connections |
//! | `blocks/` | weight rows that reach few states, each with an engine of their own |
//! | `diagonal/` | the engine of states that depend on themselves only |
//! | `store.rs` | saving and loading an engine through sinks and sources |
//! | `clearing.rs` | when p is cleared of subnormal numbers |
//! | `panels.rs` | which weight is in which lane of which panel |
//! | `simd/` | numbers, registers, instruction sets, and the loops of the forward pass |
//! | `threads/` | how many threads share a step, and how they wait for work |
//! | `cost.rs` | the number of operations of a step, and the memory of p |
//! | `error.rs` | errors |
//!
//! Invariant: results do not depend on the instruction set or the number of threads, bit for bit.

mod blocks;
mod build;
mod clearing;
pub mod cost;
mod deferred;
mod diagonal;
mod eager;
mod engine;
mod error;
mod jacobian;
mod layout;
mod panels;
mod simd;
mod single;
mod spec;
mod step;
mod store;
mod structure;
mod threads;

pub use blocks::Blocks;
pub use build::build;
pub use deferred::Deferred;
pub use diagonal::Diagonal;
pub use eager::Eager;
pub use engine::Engine;
pub use error::{Error, Quantity};
pub use jacobian::Jacobian;
pub use layout::{Drive, Layout};
#[doc(hidden)]
pub use simd::Compiled;
pub use simd::{
    Average, Elementary, Forward, Function, Gru, Heads, Isa, Limit, Lstm, MOST_ROUGH, Moment, Real,
    Scale, Update, Vectorised, activate, clear_subnormals, combine, descend, head_products,
    limited_squares, product, rough_squares, squared_errors, subtract_square, sum_of_squares,
    sum_rows,
};
pub use spec::{Block, Pace, Spec};
pub use step::{Step, any_forced};
pub use store::{Sink, Snapshot, Source};
pub use structure::{Extent, Pattern, Reach, check_blocks, merge, reaches};
pub use threads::{Threads, Workers, automatic_threads};
