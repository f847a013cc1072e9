//! How the readout learns, as options.

use clap::ValueEnum;
use rtrl_model::Readout;

use super::numbers::{positive, share};
use crate::error::Error;

/// A memory of about a thousand rows, because series change.
const FORGETTING: f64 = 0.999;

/// Columns are standardised, so a weight of 1 is large.
const RIDGE: f64 = 1.0;

/// How the readout learns.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadoutArgs {
    /// How the readout of units, inputs and bias learns [default: rls; gradient if the target is a
    /// class]
    #[arg(long, value_enum)]
    readout: Option<ReadoutName>,

    /// Forgetting factor per row, with --readout rls [default: 0.999]
    #[arg(long, value_name = "L", value_parser = share)]
    forgetting: Option<f64>,

    /// Penalty of the squared weights, with --readout rls [default: 1]
    #[arg(long, value_name = "R", value_parser = positive)]
    ridge: Option<f64>,
}

/// The readout's rule by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadoutName {
    /// The gradient, with the optimiser of the units
    Gradient,
    /// Recursive least squares
    Rls,
}

/// The readout's rule with its constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ReadoutRule {
    /// The gradient.
    Gradient,
    /// Recursive least squares.
    LeastSquares { forgetting: f64, ridge: f64 },
}

impl ReadoutArgs {
    /// The rule with its constants, for a target that is a class or a number.
    pub(crate) fn rule(&self, is_class: bool) -> Result<ReadoutRule, Error> {
        let constants = [("--forgetting", self.forgetting), ("--ridge", self.ridge)];
        let given = constants.iter().find(|(_, value)| value.is_some());
        if is_class {
            let option = match (self.readout, given) {
                (Some(ReadoutName::Rls), _) => "--readout",
                (_, Some((option, _))) => option,
                _ => return Ok(ReadoutRule::Gradient),
            };
            return Err(Error::ClassLeastSquares { option });
        }
        match (self.readout.unwrap_or(ReadoutName::Rls), given) {
            (ReadoutName::Rls, _) => Ok(ReadoutRule::LeastSquares {
                forgetting: self.forgetting.unwrap_or(FORGETTING),
                ridge: self.ridge.unwrap_or(RIDGE),
            }),
            (ReadoutName::Gradient, None) => Ok(ReadoutRule::Gradient),
            (ReadoutName::Gradient, Some((option, _))) => Err(Error::NeedsLeastSquares { option }),
        }
    }
}

impl ReadoutRule {
    /// The name, as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::LeastSquares { .. } => "rls",
        }
    }

    /// A readout on units, inputs and bias that learns by this rule.
    pub(crate) fn readout(self, outputs: usize) -> Readout {
        let readout = Readout::new(outputs).with_inputs();
        match self {
            Self::Gradient => readout,
            Self::LeastSquares { forgetting, ridge } => {
                readout.recursive_least_squares(forgetting, ridge)
            }
        }
    }
}
