//! The command line as plain data.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the commands and their flags |
//! | `engine.rs` | which engine computes the sensitivities |
//! | `examples.rs` | the examples at the end of each `--help` |
//! | `input.rs` | which columns of a series are read, and how |
//! | `inspect.rs` | the flags of `rtrl inspect` |
//! | `leak.rs` | the leaks of simple units |
//! | `numbers.rs` | numbers within a range |
//! | `optimizer.rs` | the optimisers by name |
//! | `paper.rs` | the flags of `rtrl paper` |
//! | `readout.rs` | how a readout learns |
//! | `run.rs` | the flags of `rtrl run` and `rtrl generate` |
//! | `stream.rs` | the flags of the commands that take a stream row by row |
//! | `tasks.rs` | the flags of `rtrl tasks` |

mod engine;
mod examples;
mod input;
mod inspect;
mod leak;
mod numbers;
mod optimizer;
mod paper;
mod readout;
mod run;
mod stream;
mod tasks;

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use rtrl_lab::forecast::Horizon;
use rtrl_model::{Activation, Cell, Threads};
use serde::{Deserialize, Serialize};

use crate::error::Error;

pub(crate) use self::engine::EngineArgs;
pub(crate) use self::input::{Classes, InputArgs, Missing, OnError};
pub(crate) use self::inspect::InspectArgs;
pub(crate) use self::leak::Leak;
use self::leak::leak;
use self::numbers::{count, listed, positive, rate, threads, whole};
pub(crate) use self::optimizer::OptimizerName;
pub(crate) use self::paper::PaperArgs;
use self::readout::ReadoutArgs;
pub(crate) use self::readout::ReadoutRule;
pub(crate) use self::run::{GenerateArgs, RunArgs};
pub(crate) use self::stream::{
    BaselineName, Baselines, CheckpointArgs, Every, Format, Log, VerbosityArgs,
};
pub(crate) use self::tasks::{CompareArgs, EmitArgs, TasksCommand};

/// Exact real-time recurrent learning: train recurrent networks while they run.
#[derive(Debug, Parser)]
#[command(name = "rtrl", version, max_term_width = 100, after_help = examples::RTRL)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The arguments of a command line, of which the first is the name of the program.
    ///
    /// # Errors
    /// What to print instead of running a command, and with which exit code.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = with_signs(Self::command()).try_get_matches_from(arguments)?;
        Self::from_arg_matches(&matches)
    }
}

/// Lets negative numbers be values, so that the option itself says what it expects.
fn with_signs(command: clap::Command) -> clap::Command {
    let signed = |arg: Arg| {
        let has_value = arg.get_action().takes_values();
        if has_value { arg.allow_negative_numbers(true) } else { arg }
    };
    command.mut_args(signed).mut_subcommands(with_signs)
}

/// Rows from the inputs to their target.
fn horizon(text: &str) -> Result<Horizon, String> {
    match text {
        "0" => Ok(Horizon::SameRow),
        "1" => Ok(Horizon::NextRow),
        _ => Err("expected 0 or 1".to_owned()),
    }
}

/// A built-in activation, with a hint for a name that other programs use.
fn activation(name: &str) -> Result<Activation, String> {
    let hint = if name == "sigmoid" { "; the sigmoid is called logistic" } else { "" };
    name.parse().map_err(|error: rtrl_model::Error| format!("{error}{hint}"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forecast columns of a series one row ahead, numbers or a class, learning in one pass, and
    /// compare with baselines
    #[command(after_help = examples::TRAIN)]
    Train(Box<TrainArgs>),
    /// Forecast a stream with a saved model, row by row, and learn from it if --learn is given
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Run a saved model on its own forecasts
    #[command(after_help = examples::GENERATE)]
    Generate(GenerateArgs),
    /// Run a conformance case and write its trace
    #[command(after_help = examples::TRACE)]
    Trace(TraceArgs),
    /// Analyse a saved network: eigenvalues, stability, states, and its finite-state machine
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Reproduce the experiments of Williams & Zipser (1989)
    #[command(after_help = examples::PAPER)]
    Paper(PaperArgs),
    /// List tasks, write their streams of inputs and targets, or compare cells on them
    #[command(subcommand, after_help = examples::TASKS)]
    Tasks(TasksCommand),
}

impl Command {
    /// How lines on standard error look.
    pub(crate) fn log(&self) -> Log {
        match self {
            Self::Train(args) => args.verbosity.log,
            Self::Run(args) => args.verbosity.log,
            _ => Log::Text,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// The series, one row per time step: cells separated by commas, semicolons or tabs below a
    /// header, or JSON lines, plain or compressed by gzip or zstd; - for standard input. An empty
    /// target is missing and teaches nothing; where the target is also an input, as it is by
    /// default, this needs --missing
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Rows from the inputs to the target that they forecast: 1, or 0 for the target of the same
    /// row, as in the output of `rtrl tasks emit`
    #[arg(long, value_name = "H", default_value = "1", value_parser = horizon)]
    pub(crate) horizon: Horizon,

    /// Number of recurrent units in each layer
    #[arg(long, default_value = "16", value_parser = count::<NonZeroU32>)]
    pub(crate) units: NonZeroU32,

    /// Divide the units of each layer into heads of N neighbours. A unit sees the inputs of its
    /// layer, the bias and its own head only, which takes less memory and time [default: all units
    /// see each other]
    #[arg(long, value_name = "N", value_parser = count::<NonZeroU32>)]
    pub(crate) heads_of: Option<NonZeroU32>,

    /// Cell of the units: simple, gru or lstm
    #[arg(long, default_value_t = Cell::Simple)]
    pub(crate) cell: Cell,

    /// Number of layers; the readout sees the last one
    #[arg(long, default_value = "1", value_parser = listed)]
    pub(crate) layers: NonZeroU32,

    /// Seed of the initial weights
    #[arg(long, default_value_t = 1, value_parser = whole)]
    pub(crate) seed: u64,

    /// What the readout forecasts of numbers [default: change if a target is an input, else value]
    #[arg(long)]
    pub(crate) predict: Option<Predict>,

    /// Activation of simple units: logistic, tanh, relu, identity or softplus [default: tanh]
    #[arg(long, value_parser = activation)]
    activation: Option<Activation>,

    /// Leak of simple units: the weight of the new value in each step, from above 0 to 1, which
    /// means no memory of the old one; or spread: 1 in half of the units, and in the others
    /// memories of up to 10 rows, in each head some of both [default: spread]
    #[arg(long, value_name = "A", value_parser = leak)]
    leak: Option<Leak>,

    /// Gain of the orthogonal initial weights
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub(crate) gain: f64,

    /// Optimiser of the weights
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    pub(crate) optimizer: OptimizerName,

    /// Learning rate [default: 0.02 for sgd, or 0.05 if the target is a class, 0.002 for momentum,
    /// else 0.0005]
    #[arg(long, value_parser = rate)]
    learning_rate: Option<f64>,

    /// Maximum norm of the gradient
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub(crate) clip: f64,

    #[command(flatten)]
    pub(crate) readout: ReadoutArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Floating-point precision
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,

    /// Number of threads [default: depends on the size of the network]
    #[arg(long, value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Number of initial forecasts of each target, in each group, that do not count in the errors
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = whole)]
    pub(crate) skip: u64,

    /// The forecasters to compare with: none, all, or some of persistence, ar (autoregression, of
    /// numbers), frequencies (the shares of the classes so far) and still (the same network with
    /// fixed recurrent weights), separated by commas
    #[arg(long, value_name = "NAMES", default_value = "all")]
    pub(crate) baselines: Baselines,

    /// Save the trained network to this safetensors file. A run that is stopped saves it to
    /// MODEL.partial
    #[arg(long, value_name = "MODEL")]
    pub(crate) save: Option<PathBuf>,

    /// Write the prediction of every row to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: Option<PathBuf>,

    /// Format of the predictions
    #[arg(long, value_enum, default_value_t = Format::Csv, requires = "predictions")]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,

    /// Write a report with charts to this HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write the errors to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    /// The conformance case, a JSON file
    pub(crate) case: PathBuf,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Floating-point precision
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    pub(crate) precision: Precision,

    /// Write the trace to this JSON file
    #[arg(long, value_name = "TRACE")]
    pub(crate) out: PathBuf,
}

impl From<Predict> for rtrl_lab::forecast::Predict {
    fn from(predict: Predict) -> Self {
        match predict {
            Predict::Change => Self::Change,
            Predict::Value => Self::Value,
            Predict::Class => Self::Class,
        }
    }
}

/// What the readout forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Predict {
    /// The change from the last value
    Change,
    /// The value itself
    Value,
    /// The class, as the classes of the target say
    #[value(skip)]
    Class,
}

/// Single or double precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precision {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

impl TrainArgs {
    /// Fails for an option of simple units next to a gated cell, and for heads that do not make up
    /// a layer.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (units, head) = (self.units.get(), self.heads_of.map(NonZeroU32::get));
        if let Some(got) = head.filter(|&head| !units.is_multiple_of(head)) {
            return Err(Error::Heads { got, units });
        }
        let given = [("--activation", self.activation.is_some()), ("--leak", self.leak.is_some())];
        match given.into_iter().find(|(_, is_given)| *is_given && self.cell != Cell::Simple) {
            Some((option, _)) => Err(Error::NeedsSimple { option, cell: self.cell.name() }),
            None => Ok(()),
        }
    }

    /// The arguments of one of several ranks: all but rank 0 print nothing and write no files.
    pub(crate) fn of_rank(mut self: Box<Self>, rank: usize) -> Box<Self> {
        if rank > 0 {
            for output in [&mut self.save, &mut self.report, &mut self.json, &mut self.predictions]
            {
                *output = None;
            }
            (self.verbosity.quiet, self.verbosity.verbose) = (true, false);
        }
        self
    }

    /// The number of units.
    pub(crate) fn units(&self) -> usize {
        usize::try_from(self.units.get()).unwrap_or(usize::MAX)
    }

    /// The number of layers.
    pub(crate) fn layers(&self) -> usize {
        usize::try_from(self.layers.get()).unwrap_or(usize::MAX)
    }

    /// The activation, of simple units only, where it is given or has a default.
    pub(crate) fn activation(&self) -> Option<Activation> {
        let default = (self.cell == Cell::Simple).then_some(Activation::Tanh);
        self.activation.clone().or(default)
    }

    /// The leak, likewise.
    pub(crate) fn leak(&self) -> Option<Leak> {
        self.leak.or((self.cell == Cell::Simple).then_some(Leak::Spread))
    }

    /// The units of a head, where there are several.
    pub(crate) fn heads_of(&self) -> Option<usize> {
        let units = self.heads_of.filter(|&units| units != self.units)?;
        Some(usize::try_from(units.get()).unwrap_or(usize::MAX))
    }

    /// The units in words, such as `16 tanh units`.
    pub(crate) fn described_units(&self) -> String {
        let kind = self.activation().map_or_else(|| self.cell.to_string(), |f| f.name().to_owned());
        let heads = self.heads_of().map_or(String::new(), |units| format!(" in heads of {units}"));
        match self.layers() {
            1 => format!("{} {kind} units{heads}", self.units),
            layers => format!("{layers} times {} {kind} units{heads}", self.units),
        }
    }

    /// The given learning rate, or the default for a target that is a class or a number.
    pub(crate) fn learning_rate(&self, is_class: bool) -> f64 {
        self.learning_rate.unwrap_or(self.optimizer.learning_rate(is_class))
    }

    /// The threads of a learner.
    pub(crate) fn threads(&self) -> Threads {
        exactly(self.threads)
    }
}

/// A number of threads, or the library's choice.
fn exactly(threads: Option<NonZeroUsize>) -> Threads {
    threads.map_or(Threads::Auto, |count| Threads::Exactly(count.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
