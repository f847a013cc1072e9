//! What is reported.

use serde::Serialize;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) peaks: Peaks,
    pub(crate) records: Vec<Record>,
}

/// What the machine can do, measured in the same run.
#[derive(Debug, Serialize)]
pub(crate) struct Peaks {
    pub(crate) isa: &'static str,
    pub(crate) cores: usize,
    /// Fused multiply-adds by precision, 10⁹ operations a second.
    pub(crate) gflops: Vec<Limit>,
    /// Reads by level of the memory, 10⁹ bytes a second.
    pub(crate) gigabytes_per_second: Vec<Limit>,
}

/// How much of something is done a second at most.
#[derive(Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    pub(crate) one_core: f64,
    /// Measured with all of them at work.
    pub(crate) all_cores: f64,
}

impl Peaks {
    pub(crate) fn print(&self) {
        println!("{}, {} cores", self.isa, self.cores);
        for Limit { name, one_core, all_cores } in &self.gflops {
            println!("peak in {name}: {one_core:.0} GFLOP/s of one core, {all_cores:.0} of all");
        }
        for Limit { name, one_core, all_cores } in &self.gigabytes_per_second {
            println!("reads from {name}: {one_core:.0} GB/s by one core, {all_cores:.0} by all");
        }
    }
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    /// `advance` or `step`
    pub(crate) op: &'static str,
    /// `eager` or the name of a peer
    pub(crate) engine: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    pub(crate) precision: &'static str,
    pub(crate) threads: usize,
    pub(crate) isa: &'static str,
    /// Median over the samples.
    pub(crate) seconds: f64,
    /// The slowest but one in a thousand of the samples (each of which is several calls, where calls are
    /// short).
    pub(crate) p999: f64,
    /// 2 n² q operations, q being the columns of p, over `seconds`.
    pub(crate) gflops: f64,
    /// Of the peak of as many cores, measured between the samples.
    pub(crate) fraction_of_peak: f64,
    pub(crate) state_bytes: usize,
}

/// The head of the table.
pub(crate) fn print_head() {
    println!(
        "\n{:<8}{:<16}{:<10}{:>6}{:>5}{:>9}{:>13}{:>10}{:>10}{:>14}",
        "op",
        "engine",
        "scenario",
        "n",
        "",
        "threads",
        "seconds",
        "GFLOP/s",
        "of peak",
        "state bytes"
    );
}

impl Record {
    pub(crate) fn print(&self) {
        println!(
            "{:<8}{:<16}{:<10}{:>6}{:>5}{:>9}{:>13.3e}{:>10.1}{:>10.3}{:>14}",
            self.op,
            self.engine,
            self.scenario,
            self.units,
            self.precision,
            self.threads,
            self.seconds,
            self.gflops,
            self.fraction_of_peak,
            self.state_bytes
        );
    }
}

/// The middle one; the values are put in order.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this fraction lies; the values are put in order.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub(crate) fn quantile(values: &mut [f64], fraction: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((fraction * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}
