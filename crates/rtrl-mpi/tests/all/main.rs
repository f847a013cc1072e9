//! Sharded learners, on ranks that each test starts with `mpirun`.
//!
//! A test is two programs: the one that cargo runs starts `mpirun` with itself, and the ranks run
//! the same test, which there does its work. They fail where `mpirun` cannot be started.
//!
//! | file | subject |
//! |---|---|
//! | `launch.rs` | starting ranks |
//! | `tasks.rs` | training runs of all kinds, each a function of its step |
//! | `bits.rs` | the bits of one process on any number of ranks |
//! | `alike.rs` | what ranks agree on, and what they refuse |
//! | `resume.rs` | checkpoints that another number of ranks resumes |
//! | `program.rs` | `rtrl train` on several ranks |
//! | `kills.rs` | ranks that are killed at random moments |
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod alike;
mod bits;
mod kills;
mod launch;
#[cfg(feature = "cli")]
mod program;
mod resume;
mod tasks;
