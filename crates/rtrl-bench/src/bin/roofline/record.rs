//! The figures that are reported.

use serde::Serialize;

/// The peak of the machine, measured in the same run.
#[derive(Debug, Serialize)]
pub(crate) struct Peaks {
    pub(crate) isa: &'static str,
    pub(crate) cores: usize,
    /// Fused multiply-adds by precision, 10⁹ operations a second.
    pub(crate) gflops: Vec<Limit>,
    /// Reads by level of the memory, 10⁹ bytes a second.
    pub(crate) gigabytes_per_second: Vec<Level>,
}

/// The highest rate of an operation.
#[derive(Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    pub(crate) one_core: f64,
    /// Measured with all of them at work.
    pub(crate) all_cores: f64,
}

/// A level of the memory.
#[derive(Debug, Serialize)]
pub(crate) struct Level {
    #[serde(flatten)]
    pub(crate) limit: Limit,
    /// Size of the data that each core read, over and over.
    pub(crate) bytes: usize,
}

impl Limit {
    /// The limit of this many threads: one core or all of them.
    pub(crate) fn on(&self, threads: usize) -> f64 {
        if threads == 1 { self.one_core } else { self.all_cores }
    }
}

impl Peaks {
    pub(crate) fn print(&self) {
        println!("{}, {} cores", self.isa, self.cores);
        for Limit { name, one_core, all_cores } in &self.gflops {
            println!("peak in {name}: {one_core:.0} GFLOP/s of one core, {all_cores:.0} of all");
        }
        for Level { limit: Limit { name, one_core, all_cores }, .. } in &self.gigabytes_per_second {
            println!("reads from {name}: {one_core:.0} GB/s by one core, {all_cores:.0} by all");
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Record {
    /// `advance`, `gradient` or `step`
    pub(crate) op: &'static str,
    /// The name of an engine or of a peer.
    pub(crate) engine: &'static str,
    pub(crate) scenario: &'static str,
    /// The fraction of connections that exist.
    pub(crate) density: f64,
    /// Steps from one change of the weights to the next.
    pub(crate) update_every: usize,
    /// Steps from one target to the next.
    pub(crate) target_every: usize,
    /// Steps in a window of the engine; none if it has no window.
    pub(crate) window: Option<usize>,
    /// Of a whole step: whether this engine is selected automatically.
    pub(crate) auto: Option<bool>,
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    pub(crate) precision: &'static str,
    pub(crate) threads: usize,
    pub(crate) isa: &'static str,
    /// Median over the samples; each is a mean over whole periods.
    pub(crate) seconds: f64,
    /// The slowest but one in a thousand of the calls (of groups of calls that last ten
    /// microseconds, where they are shorter).
    pub(crate) p999: f64,
    /// Where every step is timed separately: the median of all.
    pub(crate) median_step: Option<f64>,
    /// The largest of the medians over the positions in a window.
    pub(crate) worst_phase: Option<f64>,
    /// Operations of equation 5 that the case needs, over `seconds`; 0 for `gradient`.
    pub(crate) gflops: f64,
    /// Of the peak of as many cores, measured between the samples.
    pub(crate) fraction_of_peak: f64,
    pub(crate) state_bytes: usize,
}

/// The heads of the columns of a table, and whether the column holds numbers.
pub(crate) const COLUMNS: [(&str, bool); 11] = [
    ("op", false),
    ("engine", false),
    ("scenario", false),
    ("n", true),
    ("", false),
    ("threads", true),
    ("time", true),
    ("p99.9", true),
    ("GFLOP/s", true),
    ("of peak", true),
    ("state", true),
];

impl Record {
    /// The contents of the columns of a table.
    pub(crate) fn cells(&self) -> [String; COLUMNS.len()] {
        let rate = |rate: String| if self.has_rate() { rate } else { String::new() };
        [
            self.op.to_owned(),
            self.engine.to_owned(),
            self.scenario_in_full(),
            self.units.to_string(),
            self.precision.to_owned(),
            self.threads.to_string(),
            time(self.seconds),
            time(self.p999),
            rate(format!("{:.1}", self.gflops)),
            rate(format!("{:.3}", self.fraction_of_peak)),
            bytes(self.state_bytes),
        ]
    }

    /// Whether there are operations to be counted.
    pub(crate) fn has_rate(&self) -> bool {
        self.gflops > 0.0
    }

    pub(crate) fn scenario_in_full(&self) -> String {
        match self.scenario {
            "mask" => format!("mask {}", self.density),
            "sparse-targets" => format!("targets 1/{}", self.target_every),
            "every-u" => format!("every {}", self.update_every),
            name => name.to_owned(),
        }
    }

    pub(crate) fn print(&self) {
        print_row(&self.cells().each_ref().map(String::as_str));
    }
}

/// The head of the table.
pub(crate) fn print_head() {
    println!();
    print_row(&COLUMNS.map(|(head, _)| head));
}

fn print_row([op, engine, scenario, n, precision, threads, numbers @ ..]: &[&str; COLUMNS.len()]) {
    let [time, p999, gflops, of_peak, state] = numbers;
    println!(
        "{op:<10}{engine:<16}{scenario:<12}{n:>4} {precision:<4}{threads:>8}{time:>11}{p999:>11}{gflops:>9}{of_peak:>9}{state:>10}"
    );
}

/// Seconds in a unit that suits them.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        ..1e-6 => format!("{:.1} ns", seconds * 1e9),
        ..1e-3 => format!("{:.2} µs", seconds * 1e6),
        _ => format!("{:.2} ms", seconds * 1e3),
    }
}

/// Bytes in a unit that suits them.
fn bytes(bytes: usize) -> String {
    match bytes as f64 {
        bytes @ ..1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_bytes_are_told_in_a_unit_that_suits_them() {
        assert_eq!([5632, 69_805_056].map(bytes), ["5.6 kB", "69.8 MB"]);
        assert_eq!([3.2e-8, 1.5e-5, 0.25].map(time), ["32.0 ns", "15.00 µs", "250.00 ms"]);
    }
}
