//! Saves checkpoints as fast as it can, so that `tests/kills.rs` can kill it.
//!
//! Resumes from the newest checkpoint, prints its step, then saves and prints one step after the other. A
//! save that fails is reported, and the run goes on.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use rtrl_bench::counter::Counter;
use rtrl_model::Error;
use rtrl_model::checkpoint::{Checkpoints, Latest};

#[derive(Parser)]
struct Args {
    /// The folder of the checkpoints.
    folder: PathBuf,
    /// Checkpoints to keep.
    #[arg(long, default_value = "2")]
    keep: NonZeroUsize,
    /// Steps to take before the end.
    #[arg(long, default_value_t = u64::MAX)]
    steps: u64,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let checkpoints = Checkpoints::new(&args.folder, "counter", args.keep)?;
    let Latest { checkpoint, rejected } = checkpoints.latest()?;
    for reason in rejected {
        eprintln!("rejected: {reason}");
    }
    let mut counter = match checkpoint {
        Some((_, mut reader)) => Counter::load(&mut reader)?,
        None => Counter::default(),
    };
    println!("resumed {}", counter.step());
    for _ in 0..args.steps {
        counter.advance();
        match counter.save(&checkpoints) {
            Ok(saved) => {
                println!("saved {}", counter.step());
                if let Some(reason) = saved.not_removed {
                    eprintln!("not removed: {reason}");
                }
            }
            Err(error) => eprintln!("not saved: {error}"),
        }
    }
    Ok(())
}
