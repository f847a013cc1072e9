//! The reference and the oracles that the other crates are checked against, and the benchmarks.
//!
//! * [`mod@reference`]: the paper in loops, in its own symbols;
//! * [`oracles`]: gradients by other methods;
//! * [`differential`]: one call that checks an engine, including a custom one;
//! * [`compare`]: comparisons that cannot pass by accident;
//! * [`generators`]: random cases;
//! * [`heads`]: networks of heads as networks with a mask;
//! * [`peak`] and [`peers`]: the peak of the machine, and the same update by other libraries;
//! * [`timing`]: how long a call takes;
//! * [`training`]: a reproducible training run for tests that stop and resume it.
//!
//! The tests and benchmarks themselves are in `tests/` and `benches/` at the top of the project.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this crate is for tests only")]

#[cfg(test)]
use rtrl_kernel::Isa;

pub mod compare;
pub mod differential;
pub mod generators;
pub mod heads;
pub mod oracles;
pub mod peak;
pub mod peers;
pub mod reference;
#[path = "../../rtrl-kernel/src/simd/tested.rs"]
#[cfg(test)]
mod tested;
pub mod timing;
pub mod training;

/// The README, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
