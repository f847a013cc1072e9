//! Trains, and saves a checkpoint at every step, so that `tests/kills.rs` can kill it.
//!
//! Resumes from the newest checkpoint, prints its step, then takes, saves and prints one step after
//! the other. A failed save is reported, and the run continues.

use std::path::PathBuf;

use clap::Parser;
use rtrl_bench::training;
use rtrl_model::store::container::{Checkpoints, Latest};
use rtrl_model::{Error, StoredLearner, Supplies};
use serde_json::Value;

#[derive(Parser)]
struct Args {
    /// The folder of the checkpoints.
    folder: PathBuf,
    /// Checkpoints to keep.
    #[arg(long, default_value = "2")]
    keep: usize,
    /// Steps to take before the end.
    #[arg(long, default_value_t = u64::MAX)]
    steps: u64,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let checkpoints = Checkpoints::new(&args.folder, "training", args.keep)?;
    let Latest { checkpoint, rejected } = checkpoints.latest()?;
    for reason in rejected {
        eprintln!("rejected: {reason}");
    }
    let mut learner = match checkpoint {
        Some((_, reader)) => StoredLearner::new(reader)?.learner(&Supplies::default())?,
        None => training::learner()?,
    };
    println!("resumed {}", learner.steps());
    for _ in 0..args.steps {
        training::advance(&mut learner)?;
        match learner.save_in(&checkpoints, &Value::Null) {
            Ok(saved) => {
                println!("saved {}", learner.steps());
                if let Some(reason) = saved.not_removed {
                    eprintln!("not removed: {reason}");
                }
            }
            Err(error) => eprintln!("not saved: {error}"),
        }
    }
    Ok(())
}
