//! Runs a conformance case and measures how long a step takes: this library's side of
//! `benches/peers`.
//!
//! Prints one line of JSON: the weights after the last step of the case, the seconds of a whole
//! real-time step, and the seconds of the bare update of the sensitivities, without a gradient, by
//! the eager engine.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use rtrl_bench::timing::{Seconds, common_period, seconds, window};
use rtrl_kernel::{Eager, Engine, Isa, Jacobian, Layout, Real, Step, Threads};
use rtrl_model::store::case::{Case, RegimeName};
use rtrl_model::{Cell, EngineChoice, Generator, Learner, Network, Targets};
use serde::Serialize;

/// Minimum duration of each of the two measurements, in seconds.
const TIME: f64 = 0.3;

type Failure = Box<dyn std::error::Error>;

/// Train through a conformance case, then time more steps of it.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Args {
    /// The case, a JSON file: real-time, without resets, every unit with a target at every step
    case: PathBuf,

    /// Engine of the sensitivities, as in `rtrl trace`
    #[arg(long, default_value = "auto")]
    engine: EngineChoice,

    /// Precision of the numbers
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,

    /// Number of threads [default: depends on the network and the cores that the process may use]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
}

/// Single or double precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

/// The report on standard output, as JSON.
#[derive(Debug, Serialize)]
struct Report {
    isa: &'static str,
    /// W after the last step of the case, n x c.
    weights: Vec<Vec<f64>>,
    step: Seconds,
    /// Not given for gated cells or several layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<Seconds>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let case = Case::from_json(&std::fs::read_to_string(&args.case)?)?;
    let report = match args.precision {
        Precision::F32 => run::<f32>(&case, &args)?,
        Precision::F64 => run::<f64>(&case, &args)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn run<T: Real>(case: &Case, args: &Args) -> Result<Report, Failure> {
    if case.regime != RegimeName::RealTime || !case.resets.is_empty() || case.x.is_empty() {
        return Err("only a real-time case without resets can be timed".into());
    }
    let isa = Isa::from_env()?;
    let threads = args.threads.map_or(Threads::Auto, |count| Threads::Exactly(count.get()));
    let mut learner = case.learner::<T>(isa)?.engine(args.engine).threads(threads).build()?;
    let series = Series::of(case)?;
    for (x, targets) in series.x.iter().zip(&series.targets) {
        learner.step(x, Targets::All(targets))?;
    }
    let period = period(case, args.engine, learner.network().layout());
    Ok(Report {
        isa: isa.name(),
        weights: learner.network().weights().to_rows(),
        step: series.time(&mut learner, period),
        update: is_simple(case).then(|| time_update(learner.network(), threads)).transpose()?,
    })
}

/// Whether the network is one layer of simple units.
fn is_simple(case: &Case) -> bool {
    matches!(&*case.layers, [layer] if layer.cell == Cell::Simple)
}

/// Steps after which the work repeats, so that samples hold whole windows and their flushes.
fn period(case: &Case, engine: EngineChoice, layout: &Layout) -> usize {
    common_period(window(engine, layout, case.regime()), case.update_every)
}

/// The inputs and targets of the network, step by step.
struct Series<T> {
    x: Vec<Vec<T>>,
    targets: Vec<Vec<T>>,
}

impl<T: Real> Series<T> {
    fn of(case: &Case) -> Result<Self, Failure> {
        let rounded = |row: &Vec<f64>| row.iter().map(|&value| T::from_f64(value)).collect();
        let present = |row: &Vec<Option<f64>>| {
            row.iter().map(|&target| target.map(T::from_f64)).collect::<Option<Vec<T>>>()
        };
        let targets = case.targets.iter().map(present).collect::<Option<_>>();
        let targets = targets.ok_or("every unit needs a target at every step")?;
        Ok(Self { x: case.x.iter().map(rounded).collect(), targets })
    }

    /// The whole step, repeating the series.
    fn time(&self, learner: &mut Learner<T>, period: usize) -> Seconds {
        let mut rows = self.x.iter().zip(&self.targets).cycle();
        seconds(TIME, period, || {
            rows.next().is_some_and(|(x, d)| learner.step(x, Targets::All(d)).is_ok())
        })
    }
}

/// Equation 5 alone, with the weights of `network` and slopes of tanh.
fn time_update<T: Real>(network: &Network<T>, threads: Threads) -> Result<Seconds, Failure> {
    let (units, lines) = (network.units(), network.layout().z_len());
    let mut generator = Generator::new(1);
    let mut between = |low: f64, high: f64, len: usize| -> Vec<T> {
        (0..len).map(|_| T::from_f64(generator.between(low, high))).collect()
    };
    let (slope, z) = (between(0.5, 1.0, units), between(-1.0, 1.0, lines));
    let rows = network.weights().iter_rows();
    let recurrent: Vec<T> = rows.flat_map(|row| &row[lines - units..lines]).copied().collect();
    let step = Step {
        jacobian: Jacobian::scaled(&recurrent, units, &slope),
        injection: &slope,
        z: &z,
        forced: &vec![false; units],
    };
    let (layout, learning) = (network.layout(), network.learning());
    let mut engine = Eager::<T>::new(layout, &learning, network.isa(), threads)?;
    Ok(seconds(TIME, 1, || black_box(engine.advance(&step, None)).is_ok()))
}
