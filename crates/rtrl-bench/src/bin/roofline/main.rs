//! Compares each kernel with the peak of the machine and with every peer, in one run.
//!
//! `cargo run --release -p rtrl-bench --bin roofline -- [--quick] [--json FILE] [--report
//! FILE.html]`; `docs/performance.md` explains the columns.
//!
//! | file | subject |
//! |---|---|
//! | `candidate.rs` | the engines that are measured, alone and in a learner |
//! | `case.rs` | what is measured: a shape, a scenario and a candidate |
//! | `scenario.rs` | the parts of the work that are present |
//! | `values.rs` | random values for a step |
//! | `timed.rs` | an engine that measures its own updates |
//! | `measure.rs` | alternating samples of the work and of the peak |
//! | `floor.rs` | the minimum time of a deferred step |
//! | `comparison.rs` | whole steps of the two engines compared |
//! | `structure.rs` | blocks found from the connections against one engine for all units |
//! | `pace.rs` | how even the steps of the deferred engine are |
//! | `record.rs` | the figures that are reported |
//! | `page.rs`, `plot.rs` | the HTML page of a run, and a roofline as SVG |

mod candidate;
mod case;
mod comparison;
mod floor;
mod measure;
mod pace;
mod page;
mod plot;
mod record;
mod scenario;
mod structure;
mod timed;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use rtrl_bench::peak::{Cores, read_bandwidth};
use rtrl_bench::peers::{Peer, PeerReal};
use rtrl_bench::timing::median;
use rtrl_kernel::{Isa, Real};

use crate::candidate::candidates;
use crate::case::Case;
use crate::comparison::Report;
use crate::record::{Level, Limit, Peaks, Record};
use crate::scenario::Scenario;

/// Measure kernels against the peak of the machine and against peers.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Args {
    /// Measure only n = 8 to 256 in single precision, dense, the deferred engine in whole steps:
    /// under a minute
    #[arg(long)]
    quick: bool,

    /// Measure only networks with structure, in blocks and by one engine
    #[arg(long, conflicts_with_all = ["quick", "sizes"])]
    structure: bool,

    /// Measure only these numbers of units
    #[arg(long, value_name = "N", num_args = 1..)]
    sizes: Vec<usize>,

    /// Write all records to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the rooflines and write all records to this page
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    for path in args.json.iter().chain(&args.report) {
        rtrl_model::store::check_writable(path)?;
    }
    let isa = Isa::from_env()?;
    let available = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let one = Cores::new(isa, 1);
    let all = Cores::new(isa, available);
    let peaks = peaks(&one, &all);
    peaks.print();
    let cores = if available > 1 { vec![one, all] } else { vec![one] };
    let mut records = Vec::new();
    if !args.structure {
        record::print_head();
        measure_all::<f32>(&args, &cores, &mut records)?;
    }
    if !args.quick && !args.structure {
        measure_scenarios(&args, &cores[0], &mut records)?;
        measure_cells(&args, &cores, &mut records)?;
        measure_all::<f64>(&args, &cores, &mut records)?;
    }
    let comparisons = comparison::comparisons(&peaks, &records);
    if !args.structure {
        comparison::print(&comparisons, &records);
    }
    let structured = if args.quick { Vec::new() } else { structure::measure_all(&cores[0])? };
    let report = Report { peaks, records, comparisons, structured };
    if let Some(path) = &args.json {
        rtrl_model::store::replace(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(path) = &args.report {
        rtrl_model::store::replace(path, page::page(&report)?.as_bytes())?;
    }
    Ok(())
}

fn peaks(one: &Cores, all: &Cores) -> Peaks {
    let bandwidth = |(name, bytes)| Level {
        limit: Limit {
            name,
            one_core: read_bandwidth(bytes, one.count()) / 1e9,
            all_cores: read_bandwidth(bytes, all.count()) / 1e9,
        },
        bytes,
    };
    let sizes = [("L2", 512 << 10), ("L3", 8 << 20), ("memory", 512 << 20)];
    Peaks {
        isa: one.isa().name(),
        cores: all.count(),
        gflops: vec![peak::<f32>(one, all), peak::<f64>(one, all)],
        gigabytes_per_second: sizes.into_iter().map(bandwidth).collect(),
    }
}

fn peak<T: Real>(one: &Cores, all: &Cores) -> Limit {
    let median = |cores: &Cores| {
        let sample = |_| cores.peak::<T>(Duration::from_millis(5)) / 1e9;
        median(&mut (0..25).map(sample).collect::<Vec<_>>())
    };
    Limit { name: T::NAME, one_core: median(one), all_cores: median(all) }
}

impl Args {
    /// Whether this number of units is requested.
    fn has(&self, units: usize) -> bool {
        self.sizes.is_empty() || self.sizes.contains(&units)
    }

    /// The numbers of units that are measured with all of the work.
    fn sizes(&self) -> &[usize] {
        match self {
            Self { sizes, .. } if !sizes.is_empty() => sizes,
            Self { quick: true, .. } => &[8, 16, 32, 64, 128, 256],
            _ => &[4, 8, 16, 32, 64, 128, 256, 512],
        }
    }
}

/// All the work, in every size, by every engine and every peer.
fn measure_all<T: PeerReal>(
    args: &Args,
    cores: &[Cores],
    records: &mut Vec<Record>,
) -> Result<(), rtrl_model::Error> {
    for &units in args.sizes() {
        for cores in cores {
            let case = Case { units, cores, scenario: Scenario::Dense };
            measure_engines::<T>(args, case, records)?;
            for peer in Peer::ALL {
                let slow = peer == Peer::Naive && units > 128;
                if !slow && (cores.count() == 1 || peer.is_parallel()) {
                    keep(records, case.peer::<T>(peer));
                }
            }
        }
    }
    Ok(())
}

/// The engines, whole steps one right after the other, so that the clock is the same for both.
fn measure_engines<T: Real>(
    args: &Args,
    case: Case<'_>,
    records: &mut Vec<Record>,
) -> Result<(), rtrl_model::Error> {
    for candidate in &candidates::<T>() {
        let takes_long = args.quick || case.units > 256;
        if !(takes_long && case.window(candidate.choice)? > 1) {
            keep(records, case.advance(candidate)?);
            keep(records, case.gradient(candidate)?);
        }
    }
    for candidate in &candidates::<T>() {
        keep(records, case.step(candidate)?);
    }
    Ok(())
}

/// Part of the work, in single precision.
fn measure_scenarios(
    args: &Args,
    cores: &Cores,
    records: &mut Vec<Record>,
) -> Result<(), rtrl_model::Error> {
    let partial = Scenario::PARTIAL.into_iter().filter(|_| args.has(128));
    for scenario in partial {
        for candidate in &candidates::<f32>() {
            keep(records, Case { units: 128, cores, scenario }.advance(candidate)?);
        }
    }
    for (scenario, units) in Scenario::RARE.into_iter().filter(|&(_, units)| args.has(units)) {
        for candidate in &candidates::<f32>() {
            keep(records, Case { units, cores, scenario }.step(candidate)?);
        }
    }
    if args.has(128) {
        let case = Case { units: 128, cores, scenario: Scenario::Dense };
        pace::paces::<f32>(case)?.into_iter().for_each(|record| keep(records, record));
    }
    Ok(())
}

/// Gated cells, and two layers.
fn measure_cells(
    args: &Args,
    cores: &[Cores],
    records: &mut Vec<Record>,
) -> Result<(), rtrl_model::Error> {
    let sizes = [16, 32, 64, 128].into_iter().filter(|&units| args.has(units));
    for (units, scenario) in sizes.flat_map(|n| Scenario::CELLS.map(|scenario| (n, scenario))) {
        for cores in cores {
            let case = Case { units, cores, scenario };
            let [eager, deferred] = &candidates::<f32>();
            keep(records, case.advance_in_steps(eager)?);
            keep(records, case.step(eager)?);
            keep(records, case.step(deferred)?);
        }
    }
    Ok(())
}

fn keep(records: &mut Vec<Record>, record: Record) {
    record.print();
    records.push(record);
}
