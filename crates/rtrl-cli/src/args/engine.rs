//! Which engine computes the sensitivities, as options.

use std::num::NonZeroUsize;

use rtrl_model::{EngineChoice, Pace};

use super::numbers::count;

/// The engine that computes the sensitivities.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EngineArgs {
    /// Engine that computes the sensitivities: auto, eager or deferred
    #[arg(long, default_value = "auto")]
    engine: EngineChoice,

    /// Steps per window of the deferred engine [default: depends on the network and the regime]
    #[arg(long, value_name = "H", value_parser = count::<NonZeroUsize>)]
    window: Option<NonZeroUsize>,

    /// Spread the work of the deferred engine evenly over all steps
    #[arg(long)]
    even_paced: bool,
}

impl EngineArgs {
    /// The engine of a name, as in a saved model.
    pub(crate) fn named(
        name: &str,
        window: Option<NonZeroUsize>,
        even_paced: bool,
    ) -> Result<Self, rtrl_model::Error> {
        Ok(Self { engine: name.parse()?, window, even_paced })
    }

    /// The name, the window and the pace, as on the command line.
    pub(crate) fn names(&self) -> (&'static str, Option<NonZeroUsize>, bool) {
        let name = match self.engine {
            EngineChoice::Auto => "auto",
            EngineChoice::Eager => "eager",
            // The command line knows no other.
            _ => "deferred",
        };
        (name, self.window, self.even_paced)
    }

    /// The engine to compare with the eager one: the deferred one, with the given window and pace.
    pub(crate) fn compared(&self) -> Result<EngineChoice, rtrl_model::Error> {
        match self.choice()? {
            EngineChoice::Auto | EngineChoice::Eager => Ok(EngineChoice::DEFERRED),
            deferred => Ok(deferred),
        }
    }

    /// The engine; `--window` and `--even-paced` select the deferred one.
    pub(crate) fn choice(&self) -> Result<EngineChoice, rtrl_model::Error> {
        let pace = if self.even_paced { Pace::Even } else { Pace::Bursts };
        match self.engine {
            engine if self.window.is_none() && !self.even_paced => Ok(engine),
            EngineChoice::Eager => Err(rtrl_model::Error::Setting {
                what: "engine",
                expected: "deferred with --window or --even-paced".to_owned(),
                got: "eager".to_owned(),
            }),
            _ => Ok(EngineChoice::Deferred { window: self.window.map(NonZeroUsize::get), pace }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn engine(options: &[&str]) -> Option<Result<EngineChoice, rtrl_model::Error>> {
        let line = ["rtrl", "trace", "case.json", "--out", "trace.json"];
        let args = Args::try_parse_from(line.iter().chain(options)).ok()?;
        match args.command {
            Command::Trace(trace) => Some(trace.engine.choice()),
            _ => None,
        }
    }

    #[test]
    fn window_and_pace_ask_for_the_deferred_engine() {
        let chosen = |options| engine(options).unwrap().unwrap();
        let deferred =
            |steps, pace| EngineChoice::Deferred { window: (steps > 0).then_some(steps), pace };
        assert_eq!(chosen(&[]), EngineChoice::Auto);
        assert_eq!(chosen(&["--engine", "eager"]), EngineChoice::Eager);
        assert_eq!(chosen(&["--engine", "deferred"]), EngineChoice::DEFERRED);
        assert_eq!(chosen(&["--window", "5"]), deferred(5, Pace::Bursts));
        assert_eq!(chosen(&["--even-paced"]), deferred(0, Pace::Even));
        let both = ["--engine", "deferred", "--window", "7", "--even-paced"];
        assert_eq!(chosen(&both), deferred(7, Pace::Even));
        assert!(engine(&["--engine", "eager", "--window", "5"]).unwrap().is_err());
        assert!(engine(&["--window", "0"]).is_none());
    }
}
