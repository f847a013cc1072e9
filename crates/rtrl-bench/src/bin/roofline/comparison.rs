//! The two engines compared: whole steps of the same shape, measured one after the other.

use serde::Serialize;

use crate::floor::Floor;
use crate::record::{Peaks, Record, time};
use crate::structure::Structured;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) peaks: Peaks,
    pub(crate) records: Vec<Record>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) structured: Vec<Structured>,
}

/// How much slower the automatic choice may be than the other engine.
const TOLERANCE: f64 = 1.05;

/// A whole step by both engines.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) scenario: String,
    pub(crate) units: usize,
    pub(crate) precision: &'static str,
    pub(crate) threads: usize,
    pub(crate) eager_seconds: f64,
    pub(crate) deferred_seconds: f64,
    /// Speedup of the deferred engine over the eager one.
    pub(crate) speedup: f64,
    /// The engine that is selected automatically.
    pub(crate) auto: &'static str,
    /// Seconds of that one over those of the faster one.
    pub(crate) auto_to_faster: f64,
    /// The minimum time of the deferred engine, with a target and an update at every step.
    pub(crate) floor: Option<Floor>,
    /// Deferred seconds over the floor.
    pub(crate) to_floor: Option<f64>,
}

/// Every whole step that both engines have taken.
pub(crate) fn comparisons(peaks: &Peaks, records: &[Record]) -> Vec<Comparison> {
    let of = |engine| {
        records.iter().filter(move |record| record.op == "step" && record.engine == engine)
    };
    let partner = |eager: &Record| of("deferred").find(|deferred| key(deferred) == key(eager));
    of("eager").filter_map(|eager| Some(Comparison::new(eager, partner(eager)?, peaks))).collect()
}

fn key(record: &Record) -> (String, usize, &'static str, usize) {
    (record.scenario_in_full(), record.units, record.precision, record.threads)
}

/// The heads of the columns of a table.
pub(crate) const HEADS: [&str; 12] = [
    "scenario",
    "n",
    "",
    "threads",
    "eager",
    "deferred",
    "times faster",
    "auto selects",
    "p",
    "flush",
    "window",
    "to floor",
];

impl Comparison {
    fn new(eager: &Record, deferred: &Record, peaks: &Peaks) -> Self {
        let (eager_seconds, deferred_seconds) = (eager.seconds, deferred.seconds);
        let takes_eager = eager.auto == Some(true);
        let auto_seconds = if takes_eager { eager_seconds } else { deferred_seconds };
        let floor = (deferred.scenario == "dense").then(|| Floor::of(deferred, peaks)).flatten();
        Self {
            scenario: eager.scenario_in_full(),
            units: eager.units,
            precision: eager.precision,
            threads: eager.threads,
            eager_seconds,
            deferred_seconds,
            speedup: eager_seconds / deferred_seconds,
            auto: if takes_eager { "eager" } else { "deferred" },
            auto_to_faster: auto_seconds / eager_seconds.min(deferred_seconds),
            floor,
            to_floor: floor.map(|floor| deferred_seconds / floor.total()),
        }
    }

    /// The cells of a table row, in the order of [`HEADS`].
    pub(crate) fn cells(&self) -> [String; HEADS.len()] {
        let part =
            |part: fn(Floor) -> f64| self.floor.map_or(String::new(), |floor| time(part(floor)));
        [
            self.scenario.clone(),
            self.units.to_string(),
            self.precision.to_owned(),
            self.threads.to_string(),
            time(self.eager_seconds),
            time(self.deferred_seconds),
            format!("{:.2}", self.speedup),
            self.choice(),
            part(|floor| floor.p),
            part(|floor| floor.flush),
            part(|floor| floor.window),
            self.to_floor.map_or(String::new(), |ratio| format!("{ratio:.2}")),
        ]
    }

    /// The automatic choice, with its slowdown where another engine is clearly faster.
    fn choice(&self) -> String {
        let Self { auto, auto_to_faster, .. } = self;
        if *auto_to_faster > TOLERANCE {
            format!("{auto}, {auto_to_faster:.2} x")
        } else {
            (*auto).to_owned()
        }
    }
}

/// Prints the table, and the goals that concern several measurements.
pub(crate) fn print(comparisons: &[Comparison], records: &[Record]) {
    println!("\nwhole steps by both engines, and the floor of the deferred one:");
    print_row(&HEADS);
    for comparison in comparisons {
        print_row(&comparison.cells().each_ref().map(String::as_str));
    }
    println!();
    for line in sparse_targets(comparisons).into_iter().chain(even_pace(records)) {
        println!("{line}");
    }
}

fn print_row([scenario, n, precision, threads, numbers @ ..]: &[&str; HEADS.len()]) {
    let [eager, deferred, speedup, auto, p, flush, window, to_floor] = numbers;
    println!(
        "{scenario:<12}{n:>4} {precision:<4}{threads:>8}{eager:>11}{deferred:>11}{speedup:>14}  {auto:<17}{p:>11}{flush:>11}{window:>11}{to_floor:>9}"
    );
}

/// How much the deferred engine gains where targets are rare.
pub(crate) fn sparse_targets(comparisons: &[Comparison]) -> Vec<String> {
    let sparse = comparisons.iter().filter(|c| c.scenario.starts_with("targets"));
    let dense = |sparse: &Comparison| {
        let key = |c: &Comparison| (c.units, c.precision, c.threads);
        comparisons.iter().find(|c| c.scenario == "dense" && key(c) == key(sparse))
    };
    let line = |sparse: &Comparison, dense: &Comparison| {
        format!(
            "{}, n = {}: deferred {:.2} times as fast as with a target at every step (goal: 2), eager {:.2}",
            sparse.scenario,
            sparse.units,
            dense.deferred_seconds / sparse.deferred_seconds,
            dense.eager_seconds / sparse.eager_seconds,
        )
    };
    sparse.filter_map(|sparse| Some(line(sparse, dense(sparse)?))).collect()
}

/// The slowest position in a window, and the cost of the even pace.
pub(crate) fn even_pace(records: &[Record]) -> Option<String> {
    let of = |scenario| records.iter().find(|record| record.scenario == scenario);
    let (even, bursts) = (of("even-paced")?, of("bursts")?);
    let longest = |record: &Record| Some(record.worst_phase? / record.median_step?);
    Some(format!(
        "even-paced, n = {}: median step {}, worst phase {:.2} times that (goal: 2; in bursts {:.0}); \
        a step takes {:.2} times that of bursts on average (goal: 1.6)",
        even.units,
        time(even.median_step?),
        longest(even)?,
        longest(bursts)?,
        even.seconds / bursts.seconds,
    ))
}
