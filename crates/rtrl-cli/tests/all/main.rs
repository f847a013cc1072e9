//! The tests of the program, in one program of their own: what they use is linked once.
//!
//! `cargo test -p rtrl-cli --test all stream::` runs one file of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod classes;
mod common;
mod examples;
mod groups;
mod input;
mod inspect;
mod paper;
mod resume;
mod series;
mod stream;
mod targets;
mod tasks;
mod trace;
mod train;
