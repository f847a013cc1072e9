//! What errors do: which end a row and which the program, what is said of the rows before, and exit
//! codes.

use crate::error::Error;

/// The exit code that the shell reports of a process that a closed pipe has ended: 128 and the
/// number of SIGPIPE.
const CLOSED: u8 = 141;

impl Error {
    /// Makes the error of a reason why `what` cannot be read or written.
    pub(crate) fn format<E: ToString>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        |error| Self::Model(rtrl_model::Error::Format { what, reason: error.to_string() })
    }

    /// Whether the error is one of a single row, after which the next row can be read.
    pub(crate) fn is_of_row(&self) -> bool {
        matches!(self, Self::Row { .. } | Self::Cell { .. })
    }

    /// The end of a run over `rows` rows that `stopped`, or not, and whose results were `written`,
    /// or not.
    pub(crate) fn ended(
        stopped: Option<Box<Self>>,
        rows: u64,
        written: Result<(), Self>,
    ) -> Result<(), Self> {
        match (stopped, written) {
            (None, written) => written,
            (Some(source), Ok(())) => Err(Self::Stopped { source, rows }),
            (Some(source), Err(lost)) => {
                let lost = Box::new(lost);
                Err(Self::Lost { source, rows, lost })
            }
        }
    }

    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::SameFile { .. }
            | Self::TargetGroup { .. }
            | Self::Repeated { .. }
            | Self::NoColumn { .. }
            | Self::NoTextInput { .. }
            | Self::SeveralClasses { .. }
            | Self::ClassLeastSquares { .. }
            | Self::OtherKind { .. }
            | Self::NeedsSimple { .. }
            | Self::Heads { .. }
            | Self::Group { .. }
            | Self::TargetInput { .. }
            | Self::NeedsLeastSquares { .. }
            | Self::Task { .. }
            | Self::NothingQuick { .. } => 2,
            Self::Stopped { source, .. } | Self::Lost { source, .. } => source.exit_code(),
            // As the shell reports a process that the signal has ended.
            Self::Signal { number, .. } => u8::try_from(128 + number).unwrap_or(1),
            Self::Closed => CLOSED,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_that_stopped_a_run_is_not_hidden_by_another() {
        let signal = || Some(Box::new(Error::Signal { number: 15, name: "SIGTERM" }));
        let full = || Error::NoColumn { option: "--inputs" };
        let lost = Error::ended(signal(), 3, Err(full())).unwrap_err();
        let text = lost.to_string();
        assert!(text.starts_with("SIGTERM") && text.contains("3 rows"), "{text}");
        assert!(text.ends_with(&full().to_string()), "{text}");
        let stopped = Error::ended(signal(), 3, Ok(())).unwrap_err();
        assert_eq!([lost, stopped].map(|error| error.exit_code()), [143; 2]);
        assert_eq!(Error::ended(None, 3, Err(full())).unwrap_err().exit_code(), full().exit_code());
        assert!(Error::ended(None, 3, Ok(())).is_ok());
    }
}
