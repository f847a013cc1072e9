//! The flags of the commands that take a series row by row.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The seconds between two checkpoints, unless the user says otherwise.
const SECONDS: u64 = 60;

/// Where a run is kept so that it can be resumed.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckpointArgs {
    /// Keep everything that the run needs to continue in this file. It is written every --every,
    /// at the end, and when SIGINT or SIGTERM stops the run
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Write a checkpoint every N rows, or with an s, such as 30s, with the first row after
    /// N seconds [default: 60s]
    #[arg(long, value_name = "N", requires = "checkpoint", value_parser = every)]
    every: Option<Every>,

    /// Continue from the checkpoint if there is one. The rows that it has seen are skipped, and the
    /// other options must be the same
    #[arg(long, requires = "checkpoint")]
    pub(crate) resume: bool,

    /// With --resume, skip no rows: the series is a live stream, which starts now
    #[arg(long, requires = "resume")]
    pub(crate) from_now: bool,
}

impl CheckpointArgs {
    /// When checkpoints are written.
    pub(crate) fn every(&self) -> Every {
        self.every.unwrap_or(Every::Time(Duration::from_secs(SECONDS)))
    }
}

/// How often something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    /// After so many rows.
    Rows(u64),
    /// After so much time.
    Time(Duration),
}

fn every(text: &str) -> Result<Every, String> {
    let (digits, every): (_, fn(u64) -> Every) = match text.strip_suffix('s') {
        Some(digits) => (digits, |seconds| Every::Time(Duration::from_secs(seconds))),
        None => (text, Every::Rows),
    };
    match digits.parse::<u32>() {
        Ok(count) if count > 0 => Ok(every(count.into())),
        _ => Err("expected a number of rows, such as 1000, or of seconds, such as 30s".to_owned()),
    }
}

/// What a command says on standard error.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct VerbosityArgs {
    /// Print neither progress nor notes, only results and errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Also say which engine computes the sensitivities, and when a checkpoint is written
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// How progress, notes and errors look on standard error
    #[arg(long, value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,
}

/// How lines on standard error look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// Aligned columns and sentences
    Text,
    /// A JSON object on each line
    Json,
}

impl Log {
    /// A line that says something: a note or an error.
    pub(crate) fn line(self, kind: &str, text: &str) -> String {
        match (self, kind) {
            (Self::Json, _) => serde_json::json!({ kind: text }).to_string(),
            (Self::Text, "note") => text.to_owned(),
            (Self::Text, _) => format!("{kind}: {text}"),
        }
    }
}

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Comma-separated values with a header
    Csv,
    /// A JSON object on each line
    Jsonl,
}

/// A forecaster to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BaselineName {
    /// The last value, or the last class.
    Persistence,
    /// Linear autoregression, of numbers.
    Ar,
    /// The shares of the classes so far.
    Frequencies,
    /// The same network with fixed recurrent weights.
    Still,
}

impl BaselineName {
    /// All of them, in the order of every list.
    const ALL: [Self; 4] = [Self::Persistence, Self::Ar, Self::Frequencies, Self::Still];

    /// Those of numbers.
    pub(crate) const OF_NUMBERS: [Self; 3] = [Self::Persistence, Self::Ar, Self::Still];

    /// Those of a class.
    pub(crate) const OF_CLASS: [Self; 3] = [Self::Persistence, Self::Frequencies, Self::Still];

    /// The name, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Persistence => "persistence",
            Self::Ar => "ar",
            Self::Frequencies => "frequencies",
            Self::Still => "still",
        }
    }
}

/// The forecasters to compare with: some, or all that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Baselines(Option<Vec<BaselineName>>);

impl Baselines {
    /// Those for a target that is a class or a number.
    pub(crate) fn of(&self, is_class: bool) -> Result<Vec<BaselineName>, Error> {
        let (fitting, target, expected) = if is_class {
            (BaselineName::OF_CLASS, "a class", "persistence, frequencies or still")
        } else {
            (BaselineName::OF_NUMBERS, "numbers", "persistence, ar or still")
        };
        let Some(chosen) = &self.0 else { return Ok(fitting.to_vec()) };
        match chosen.iter().find(|name| !fitting.contains(name)) {
            Some(odd) => {
                Err(Error::OtherKind { option: "--baselines", got: odd.name(), target, expected })
            }
            None => Ok(chosen.clone()),
        }
    }
}

impl FromStr for Baselines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => return Ok(Self(Some(Vec::new()))),
            "all" => return Ok(Self(None)),
            _ => {}
        }
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let known = |name: &&str| BaselineName::ALL.iter().any(|known| known.name() == *name);
        if !names.iter().all(known) {
            let expected = "expected none, all, or some of persistence, ar, frequencies and still";
            return Err(expected.to_owned());
        }
        let chosen = BaselineName::ALL.into_iter().filter(|known| names.contains(&known.name()));
        Ok(Self(Some(chosen.collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_seconds_are_told_apart() {
        assert_eq!(every("1000"), Ok(Every::Rows(1000)));
        assert_eq!(every("30s"), Ok(Every::Time(Duration::from_secs(30))));
        for text in ["", "s", "0", "0s", "-1", "1.5s", "1m", "5000000000"] {
            assert!(every(text).is_err(), "{text}");
        }
    }

    #[test]
    fn baselines_are_listed_in_one_order() {
        use BaselineName::{Ar, Frequencies, Persistence, Still};
        let chosen = |text: &str| text.parse::<Baselines>();
        let of = |text, is_class| chosen(text).unwrap().of(is_class).ok();
        assert_eq!(of("none", false), Some(vec![]));
        assert_eq!(of("all", false), Some(vec![Persistence, Ar, Still]));
        assert_eq!(of("all", true), Some(vec![Persistence, Frequencies, Still]));
        assert_eq!(of("still, persistence,still", true), Some(vec![Persistence, Still]));
        assert_eq!([of("ar", true), of("frequencies", false)], [None, None]);
        for text in ["", "none,ar", "arima"] {
            assert!(chosen(text).is_err(), "{text}");
        }
    }
}
