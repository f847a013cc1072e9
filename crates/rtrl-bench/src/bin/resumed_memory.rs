//! Prints the streams of the learner in a checkpoint, 0 if it is refused, and the memory that
//! reading it takes, in KiB.
//!
//! `tests/checkpoints/claims.rs` runs it: the allocator of the tests counts, and writes what it
//! allocates.

use std::path::Path;

use rtrl_model::{Learner, StoredLearner, Supplies};

fn main() {
    let path = std::env::args_os().nth(1).expect("the path of a checkpoint");
    let before = peak();
    let stored = StoredLearner::open(Path::new(&path)).expect("a checkpoint");
    let learner = stored.learner::<f64>(&Supplies::default());
    println!("{} {}", learner.as_ref().map_or(0, Learner::streams), peak() - before);
}

/// The most memory that this process has held so far, in KiB; 0 where the system does not say it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
