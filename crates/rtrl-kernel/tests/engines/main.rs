//! The engines against loops and against each other, on every instruction set and with several
//! threads.
//!
//! | file | subject |
//! |---|---|
//! | `random.rs` | layouts and steps of random numbers |
//! | `held.rs` | what an engine holds: p, and what it saves |
//! | `rtrl-bench/src/differential/loops.rs`, `numerals.rs` | p in plain loops; the numbers of a step |
//! | `eager.rs`, `deferred.rs` | what each engine promises |
//! | `fading.rs` | sensitivities that fade become 0, at the same steps everywhere |
//! | `small.rs` | an engine of two units: errors, saving, empty layers |
//! | `blocks.rs`, `structures.rs` | blocks of rows that reach few states; connections with such blocks |
//! | `src/simd/tested.rs` | the instruction sets |
//! | `drives.rs` | layouts in which rows drive any states |
//! | `cells.rs` | layers of units with a cell each |
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

use rtrl_kernel::Isa;

mod blocks;
mod cells;
mod deferred;
mod drives;
mod eager;
mod fading;
mod held;
mod random;
mod small;
mod structures;
#[path = "../../src/simd/tested.rs"]
mod tested;

// The reference of the differential tests: a file of its own crate, which depends on this one.
#[path = "../../../rtrl-bench/src/differential/loops.rs"]
#[allow(dead_code, reason = "the tests here need a part of it")]
mod loops;
#[path = "../../../rtrl-bench/src/differential/numerals.rs"]
#[allow(unreachable_pub, reason = "it is public in its own crate")]
mod numerals;
