//! The engines against loops and against each other, on every instruction set and with several threads.
//!
//! | file | subject |
//! |---|---|
//! | `random.rs` | layouts and steps of random numbers |
//! | `loops.rs`, `numerals.rs` | p in plain loops; the numbers of a step |
//! | `eager.rs`, `deferred.rs` | what each engine promises |
//! | `drives.rs` | layouts in which rows drive any states |
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

mod deferred;
mod drives;
mod eager;
mod loops;
mod numerals;
mod random;
