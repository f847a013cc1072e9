//! The results of a check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::feature::{Feature, Offer};

/// A problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// A number is NaN or infinite.
    NotFinite,
    /// A number differs too much from the reference.
    TooFar {
        /// The difference, relative to the largest number of the reading; infinite where that is 0.
        #[serde(deserialize_with = "number_or_infinity")]
        difference: f64,
        /// How large it may be.
        #[serde(deserialize_with = "number_or_infinity")]
        tolerance: f64,
    },
    /// The engine was saved and loaded, or copied, and now returns other bits than the
    /// uninterrupted one.
    OtherBits,
    /// A place of the gradient was written that belongs to no weight that learns.
    Touched,
    /// There are more or fewer numbers than expected: an engine counts the weights that learn.
    Count,
    /// The engine, or making it, returned this error.
    Failed(String),
    /// The engine panicked.
    Panicked(String),
}

/// A problem and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) problem: Problem,
    pub(super) place: String,
    pub(super) got: Option<f64>,
    pub(super) expected: Option<f64>,
}

impl Finding {
    pub(super) fn new(problem: Problem, place: String, got: f64, expected: f64) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self { problem, place, got: finite(got), expected: finite(expected) }
    }

    pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let problem = Problem::Panicked(message.unwrap_or_default());
        Self { problem, place: "the last event".to_owned(), got: None, expected: None }
    }

    pub(super) fn failed(place: String, error: &dyn fmt::Display) -> Self {
        Self { problem: Problem::Failed(error.to_string()), place, got: None, expected: None }
    }
}

/// The first failing case, shrunk, with what is wrong in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// `f32` or `f64`.
    pub precision: String,
    /// The seed of the check.
    pub seed: u64,
    /// The number of the case before it was shrunk.
    pub number: usize,
    /// [`Options::tolerance`](super::Options::tolerance) of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "some_number_or_infinity")]
    pub tolerance: Option<f64>,
    /// What is wrong.
    pub problem: Problem,
    /// Where, as in `step 3: gradient of weight row 0, column 2`.
    pub place: String,
    /// The number that the engine returned; `None` if there is none or it is not finite.
    pub got: Option<f64>,
    /// The number that was expected; `None` if there is none.
    pub expected: Option<f64>,
    /// The case. Its last event is the one that fails.
    pub case: Case,
}

impl Failure {
    /// The failure as text for a file, which [`replay`](super::replay) takes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every field has a JSON form")
    }
}

/// JSON has no infinity; it is stored as `null`.
fn number_or_infinity<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(from).map(|number| number.unwrap_or(f64::INFINITY))
}

fn some_number_or_infinity<'de, D>(from: D) -> Result<Option<f64>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    number_or_infinity(from).map(Some)
}

/// The largest difference from the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Relative to the largest number of the reading, such as a gradient or a row of p.
    pub difference: f64,
    /// Where.
    pub place: String,
}

/// The results of a check. Its text is a summary in a few lines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// `f32` or `f64`.
    pub precision: &'static str,
    /// Number of cases that ran.
    pub cases: usize,
    /// What they tested, and how often.
    pub exercised: BTreeMap<Feature, usize>,
    /// What the engine does not support. This is not a failure.
    pub not_offered: BTreeSet<Offer>,
    /// The largest difference that was accepted; `None` if differences were measured but not
    /// judged, since the engine does not claim to be exact and no tolerance was given.
    pub tolerance: Option<f64>,
    /// The largest difference that was seen.
    pub worst: Option<Worst>,
    /// The first failure.
    pub failure: Option<Failure>,
}

impl Report {
    /// Whether the engine is right: it was judged, and nothing failed.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none() && self.tolerance.is_some()
    }

    /// The report as a result, for the end of a test.
    ///
    /// # Errors
    /// [`Rejected`] unless [`Report::is_ok`].
    pub fn into_result(self) -> Result<Self, Rejected> {
        if self.is_ok() { Ok(self) } else { Err(Rejected(Box::new(self))) }
    }

    fn write_worst(&self, worst: &Worst, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worst { difference, place } = worst;
        if *difference == 0.0 {
            return writeln!(out, "  no difference");
        }
        write!(out, "  largest difference {difference:.1e} at {place}")?;
        match self.tolerance {
            Some(tolerance) => writeln!(out, "; accepted up to {tolerance:.1e}"),
            None => writeln!(out),
        }
    }
}

/// Items of a list in a line of a report.
const IN_A_LINE: usize = 4;

/// Writes a list under a heading, a few items in a line.
fn write_list(heading: &str, items: &[String], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, line) in items.chunks(IN_A_LINE).enumerate() {
        let start = if number == 0 { format!("  {heading}: ") } else { "    ".to_owned() };
        let comma = if IN_A_LINE * (number + 1) < items.len() { "," } else { "" };
        writeln!(out, "{start}{}{comma}", line.join(", "))?;
    }
    Ok(())
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| {
            value.map_or("a number that is not finite".to_owned(), |v| v.to_string())
        };
        let (got, expected) = (number(self.got), number(self.expected));
        write!(out, "{}: ", self.place)?;
        match &self.problem {
            Problem::NotFinite | Problem::Count => write!(out, "got {got}, expected {expected}"),
            Problem::TooFar { difference, tolerance } => {
                write!(
                    out,
                    "got {got}, expected {expected}: off by {difference:.1e} of the largest"
                )?;
                write!(out, ", more than {tolerance:.1e}")
            }
            Problem::OtherBits => {
                write!(
                    out,
                    "got {got}, but {expected} from the engine that was not saved or copied"
                )
            }
            Problem::Touched => write!(out, "got {got} where no weight learns, expected no change"),
            Problem::Failed(message) => write!(out, "got the error `{message}`"),
            Problem::Panicked(message) => write!(out, "the engine panicked: {message}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (&self.failure, self.tolerance) {
            (Some(_), _) => "wrong",
            (None, Some(_)) => "right",
            (None, None) => "not judged: the engine's spec is not exact, and no tolerance is set",
        };
        writeln!(out, "{verdict} (cases: {}, precision: {})", self.cases, self.precision)?;
        if let Some(failure) = &self.failure {
            let Failure { number, seed, case, .. } = failure;
            writeln!(out, "  {failure}\n  in case {number} of seed {seed}, shrunk to {case}")?;
        }
        if let Some(worst) = &self.worst {
            self.write_worst(worst, out)?;
        }
        let count = |(feature, count): (&Feature, &usize)| format!("{count} {}", feature.name());
        let tried: Vec<_> = self.exercised.iter().map(count).collect();
        write_list("tested", &tried, out)?;
        let missing: Vec<_> = self.not_offered.iter().map(ToString::to_string).collect();
        write_list("not supported", &missing, out)
    }
}

/// A report of an engine that is wrong, or that was not judged. Its debug form is the report's
/// text, so that `unwrap` in a test shows it.
#[derive(Clone, PartialEq)]
pub struct Rejected(pub Box<Report>);

impl fmt::Debug for Rejected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl std::error::Error for Rejected {}
