//! What the other crates are checked against.
//!
//! * [`mod@reference`]: the paper in loops, in its own symbols;
//! * [`oracles`]: gradients by other roads;
//! * [`compare`]: comparisons that cannot pass by accident;
//! * [`generators`]: random cases;
//! * [`counter`]: a state to be saved, of which every part shows its step;
//! * [`peak`] and [`peers`]: what the machine can do at most, and the same update by other libraries;
//! * [`timing`]: how long a call takes.
//!
//! The tests and benchmarks themselves lie in `tests/` and `benches/` at the top of the project.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this crate is for tests only")]

pub mod compare;
pub mod counter;
pub mod generators;
pub mod oracles;
pub mod peak;
pub mod peers;
pub mod reference;
pub mod timing;

/// The README, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
