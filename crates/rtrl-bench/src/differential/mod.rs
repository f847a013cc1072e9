//! Differential tests of any engine.
//!
//! [`check()`] runs an engine next to equations 5 and 6 in plain loops, over random layouts, masks,
//! Jacobians, forced units, resets and gaps between readings; it saves and loads the engine in the
//! middle; and it trains whole networks with it, next to the paper in plain loops. The [`Report`]
//! has what was tested, the largest difference, and the first failure as a small case that can be
//! stored ([`Failure::to_json`]) and run again ([`replay`]).
//!
//! A function builds the engine from a [`Layout`] and one flag for each weight (whether it learns).
//! The spec of an engine that computes equation 5 up to rounding is exact ([`Engine::spec`]); its
//! tolerance is 1e-9 in double and 2e-4 in single precision, relative to the largest number of each
//! reading. For any other engine set [`Options::tolerance`]; without it, differences are measured
//! but not judged, and the report is not ok.
//!
//! # Example
//!
//! ```
//! use rtrl_bench::differential::{Options, check};
//! use rtrl_kernel::{Eager, Isa, Threads};
//!
//! let report = check::<f64>(Options::default(), |layout, learns| {
//!     // Your engine goes here.
//!     Ok(Box::new(Eager::new(layout, learns, Isa::best(), Threads::SERIAL)?))
//! });
//! println!("{report}");
//! assert!(report.is_ok());
//! ```
//!
//! `examples/check_rule.rs` has an engine in plain loops, once right and once wrong, and
//! `docs/conformance.md` explains it.
//!
//! # Where to look
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | a check and a replay |
//! | `options.rs` | the options of a check |
//! | `case.rs`, `numerals.rs` | a case as data; the numbers of a step |
//! | `random.rs`, `shapes.rs` | cases that follow from a seed; layouts of gated cells and layers |
//! | `loops.rs` | the reference: equations 5 and 6 in loops |
//! | `run.rs`, `network.rs` | an engine, or a network with it, next to the reference |
//! | `judge.rs` | how readings are compared |
//! | `shrink.rs` | a smaller case that fails as well |
//! | `report.rs`, `feature.rs` | the results; what was tested |

mod case;
mod feature;
mod judge;
mod loops;
mod network;
mod numerals;
mod options;
mod random;
mod report;
mod run;
mod shapes;
mod shrink;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rtrl_kernel::{Engine, Error as KernelError, Layout, Real};

pub use self::case::{Case, EngineCase, Event};
pub use self::feature::{Feature, Offer};
use self::judge::Judge;
pub use self::numerals::{Block, Numerals};
use self::options::Factory;
pub use self::options::Options;
use self::report::Finding;
pub use self::report::{Failure, Problem, Rejected, Report, Worst};
use self::run::Outcome;

/// A failure that cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a failure.
    #[error("got a text that is not a stored failure: {0}")]
    Format(#[from] serde_json::Error),
    /// The failure has the other precision.
    #[error("got a failure in {got}, expected {expected}")]
    Precision {
        /// The precision of the engine.
        expected: &'static str,
        /// That of the failure.
        got: String,
    },
    /// The parts of the case are inconsistent.
    #[error("got a failure whose case is inconsistent: {0}")]
    Case(#[from] rtrl_model::Error),
}

/// Checks the engine that `factory` makes, up to the first failure, which is then shrunk.
///
/// `factory` gets a layout and one flag for each weight, whether it learns, and returns an engine
/// with p = 0. Its error, and any error or panic of the engine, is a failure; only
/// [`rtrl_kernel::Error::Unsupported`] from the optional methods of the trait is not.
pub fn check<T: Real>(
    options: Options,
    factory: impl Fn(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, KernelError>,
) -> Report {
    let mut report = Report { precision: T::NAME, ..Report::default() };
    for number in 0..options.cases {
        let case = random::case(&options, number);
        let found = try_case(&case, &factory, options.tolerance, &mut report);
        let Err(found) = found else { continue };
        let attempt = |case: &Case| {
            let (outcome, result) = attempt(case, &factory, options.tolerance);
            (outcome.done, result.err())
        };
        let (case, found) = shrink::shrink(case, found, &attempt);
        report.failure = Some(failure::<T>(case, found, &options, number));
        break;
    }
    report
}

/// Runs the case of a stored failure ([`Failure::to_json`]) again.
///
/// # Errors
/// [`Error`] if the text is not a failure in the precision `T`. That the engine fails again is in
/// the report.
pub fn replay<T: Real>(
    json: &str,
    factory: impl Fn(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, KernelError>,
) -> Result<Report, Error> {
    let stored: Failure = serde_json::from_str(json)?;
    if stored.precision != T::NAME {
        return Err(Error::Precision { expected: T::NAME, got: stored.precision });
    }
    match &stored.case {
        Case::Engine(case) => drop(case.checked().map_err(rtrl_model::Error::from)?),
        Case::Network(case) => case.check()?,
    }
    let mut report = Report { precision: T::NAME, ..Report::default() };
    if let Err(found) = try_case(&stored.case, &factory, stored.tolerance, &mut report) {
        let Finding { problem, place, got, expected } = found;
        report.failure = Some(Failure { problem, place, got, expected, ..stored });
    }
    Ok(report)
}

/// Runs a case and adds what it tried to the report.
fn try_case<T: Real>(
    case: &Case,
    factory: &Factory<'_, T>,
    tolerance: Option<f64>,
    report: &mut Report,
) -> Result<(), Finding> {
    let (outcome, result) = attempt(case, factory, tolerance);
    let all_judged = report.cases == 0 || report.tolerance.is_some();
    report.cases += 1;
    for (feature, count) in outcome.exercised {
        *report.exercised.entry(feature).or_default() += count;
    }
    report.not_offered.extend(outcome.not_offered);
    report.tolerance = outcome.judge.tolerance.filter(|_| all_judged);
    let most = report.worst.as_ref().map_or(-1.0, |worst| worst.difference);
    report.worst =
        outcome.judge.worst.filter(|worst| worst.difference > most).or(report.worst.take());
    result
}

/// Runs a case, through panics too.
fn attempt<T: Real>(
    case: &Case,
    factory: &Factory<'_, T>,
    tolerance: Option<f64>,
) -> (Outcome, Result<(), Finding>) {
    let judge = Judge { tolerance, worst: None };
    let mut outcome = Outcome { judge, ..Outcome::default() };
    let run = AssertUnwindSafe(|| match case {
        Case::Engine(case) => run::run(case, factory, &mut outcome),
        Case::Network(case) => network::run(case, factory, &mut outcome),
    });
    let result = catch_unwind(run).unwrap_or_else(|panic| Err(Finding::panicked(&*panic)));
    (outcome, result)
}

/// Sets the tolerance of an engine that claims to be exact, where none is given.
fn settle_tolerance<T: Real>(engine: &dyn Engine<T>, judge: &mut Judge) {
    let exact = if T::NAME == "f64" { 1e-9 } else { 2e-4 };
    judge.tolerance = judge.tolerance.or(engine.spec().is_exact().then_some(exact));
}

fn failure<T: Real>(case: Case, found: Finding, options: &Options, number: usize) -> Failure {
    let (Options { seed, tolerance, .. }, precision) = (*options, T::NAME.to_owned());
    let Finding { problem, place, got, expected } = found;
    Failure { precision, seed, number, tolerance, problem, place, got, expected, case }
}
