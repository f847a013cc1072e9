//! The tests over several crates, in one program: what they compile of the kernel is compiled once.
//!
//! `cargo test -p rtrl-bench --test all streams::` runs one file of them.

use rtrl_model::Isa;

mod checkpoints;
mod conformance;
mod deferred;
mod differential;
mod fixtures;
mod forecast;
mod gradients;
mod heads;
mod kills;
mod large;
mod learner;
mod learning;
mod maps;
mod nonfinite;
mod observers;
mod optimizer;
mod streams;
mod structure;
#[path = "../crates/rtrl-kernel/src/simd/tested.rs"]
mod tested;
mod torch;
mod wiring;
