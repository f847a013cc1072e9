//! How far each kernel is from what the machine can do, and from every peer, in one run.
//!
//! `cargo run --release -p rtrl-bench --bin roofline -- [--quick] [--json FILE]`; `docs/performance.md`
//! explains the columns.

mod measure;
mod record;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use rtrl_bench::peak::{fma_sample, read_bandwidth};
use rtrl_bench::peers::{Peer, PeerReal};
use rtrl_kernel::Isa;

use crate::measure::{Case, Scenario};
use crate::record::{Bandwidth, Peaks, Record, Report};

/// Measure kernels against the peak of the machine and against peers.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Args {
    /// Only n = 8 to 256 in single precision, dense: under a minute
    #[arg(long)]
    quick: bool,

    /// Write all records to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if let Some(path) = &args.json {
        rtrl_model::file::check_writable(path)?;
    }
    let isa = Isa::from_env()?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let peaks = peaks(isa, cores);
    peaks.print();
    record::print_head();
    let mut records = Vec::new();
    measure_all::<f32>(&args, isa, cores, &mut records)?;
    if !args.quick {
        measure_all::<f64>(&args, isa, cores, &mut records)?;
    }
    if let Some(path) = &args.json {
        let report = Report { peaks, records };
        rtrl_model::file::replace(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

fn peaks(isa: Isa, cores: usize) -> Peaks {
    let median = |sample: fn(Isa) -> f64| {
        let mut samples: Vec<f64> = (0..101).map(|_| sample(isa)).collect();
        record::median(&mut samples) / 1e9
    };
    let sizes = [("L2", 512 << 10), ("L3", 8 << 20), ("memory", 512 << 20)];
    let bandwidth = |(level, bytes)| Bandwidth {
        level,
        one_core: read_bandwidth(bytes, 1) / 1e9,
        all_cores: read_bandwidth(bytes, cores) / 1e9,
    };
    Peaks {
        isa: isa.name(),
        cores,
        gflops_f32: median(fma_sample::<f32>),
        gflops_f64: median(fma_sample::<f64>),
        gigabytes_per_second: sizes.into_iter().map(bandwidth).collect(),
    }
}

fn measure_all<T: PeerReal>(
    args: &Args,
    isa: Isa,
    cores: usize,
    records: &mut Vec<Record>,
) -> Result<(), rtrl_model::Error> {
    let sizes: &[usize] =
        if args.quick { &[8, 16, 32, 64, 128, 256] } else { &[4, 8, 16, 32, 64, 128, 256, 512] };
    let mut keep = |record: Record| {
        record.print();
        records.push(record);
    };
    for &units in sizes {
        for threads in if cores > 1 { vec![1, cores] } else { vec![1] } {
            let case = Case { units, inputs: if units <= 8 { 4 } else { 8 }, threads, isa };
            keep(case.advance::<T>(Scenario::Dense)?);
            keep(case.step::<T>()?);
            for peer in Peer::ALL {
                let slow = peer == Peer::Naive && units > 128;
                if !slow && (threads == 1 || peer.is_parallel()) {
                    keep(case.peer::<T>(peer));
                }
            }
            if units == 128 && !args.quick {
                for scenario in Scenario::PARTIAL {
                    keep(case.advance::<T>(scenario)?);
                }
            }
        }
    }
    Ok(())
}
