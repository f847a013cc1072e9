//! The experiments of Williams & Zipser 1989, each with its settings and its criterion of success.
//!
//! | file | subject |
//! |---|---|
//! | `table.rs` | the experiments, as data |
//! | `run.rs` | one run with one seed |
//! | `criterion.rs` | when a run has succeeded |
//! | `compare.rs` | one run by two engines |
//! | `record.rs` | a record of a run: its learning curve and its last steps |
//! | `sweep.rs` | many runs of many experiments |
//! | `results.rs` | the results of the runs of an experiment |
//!
//! ```
//! use rtrl_lab::paper;
//! use rtrl_model::EngineChoice;
//!
//! # fn main() -> Result<(), rtrl_model::Error> {
//! let alternation = paper::TABLE.iter().find(|experiment| experiment.task.name == "0101");
//! let experiment = alternation.expect("it is in the table");
//! let steps = experiment.run::<f64>(1, EngineChoice::Auto)?;
//! assert!(steps.is_some_and(|steps| steps < 100));
//! # Ok(())
//! # }
//! ```

mod compare;
mod criterion;
mod record;
mod results;
mod run;
mod sweep;
mod table;

pub use self::compare::Comparison;
pub use self::criterion::{Criterion, FreeRun};
pub use self::record::{Curve, LAST, Moment, Record};
pub use self::results::{Outcome, Results};
pub use self::run::{Progress, Run};
pub use self::sweep::{Job, sweep};
pub use self::table::TABLE;

use rtrl_model::{
    Activation, EngineChoice, Error, Generator, InitialWeights, Learner, Network, Optimizer, Real,
    Regime, Threads, Timing,
};

use crate::tasks::Entry;

/// A task with the settings of the network that should learn it.
///
/// Logistic units with a bias, and an update at every step in the paper's order; the first units
/// have the targets.
#[derive(Debug, Clone, Copy)]
pub struct Experiment {
    /// The task.
    pub task: Entry,
    /// Number of units.
    pub units: usize,
    /// The learning rate α.
    pub learning_rate: f64,
    /// The initial weights are uniform in (-r, r); this is r.
    pub bound: f64,
    /// Whether the units with targets pass these on instead of their outputs.
    pub forced: bool,
    /// Steps after which a run has failed.
    pub limit: u64,
    /// When a run has succeeded.
    pub criterion: Criterion,
    /// Whether all its runs together take seconds.
    pub quick: bool,
}

/// Offsets of the seed, which make the streams of one seed independent.
const TASK_SEEDS: u64 = 1 << 32;
const STATE_SEEDS: u64 = 2 << 32;

impl Experiment {
    /// Starts the run of a seed, which chooses initial weights, initial state and stream.
    ///
    /// # Errors
    /// As [`LearnerBuilder::build`](rtrl_model::LearnerBuilder::build).
    pub fn start<T: Real>(&self, seed: u64, engine: EngineChoice) -> Result<Run<T>, Error> {
        let task = self.task.start(seed.wrapping_add(TASK_SEEDS));
        let learner = self.learner(task.inputs().len(), seed, engine)?;
        Ok(Run::new(self, learner, task))
    }

    /// The whole run of a seed: the steps until its success begins, or `None` if it fails.
    ///
    /// # Errors
    /// As [`Experiment::start`] and [`Run::advance`].
    pub fn run<T: Real>(&self, seed: u64, engine: EngineChoice) -> Result<Option<u64>, Error> {
        self.end(&mut self.start::<T>(seed, engine)?, Progress::Running)
    }

    fn learner<T: Real>(
        &self,
        inputs: usize,
        seed: u64,
        engine: EngineChoice,
    ) -> Result<Learner<T>, Error> {
        let network = Network::builder(self.units, inputs)
            .activation(Activation::Logistic)
            .weights(InitialWeights::Uniform { bound: self.bound })
            .initial_state(self.initial_state(seed))
            .seed(seed)
            .build()?;
        Learner::builder(network)
            .regime(Regime::RealTime { timing: Timing::AfterNextStep, every: 1 })
            .teacher_forcing(self.forced)
            .optimizer(Optimizer::sgd(self.learning_rate))
            .engine(engine)
            .threads(Threads::SERIAL)
            .build()
    }

    /// y(t0): uniform in [0, 1) for oscillations, which have nothing else that is random, else 0.5.
    fn initial_state(&self, seed: u64) -> Vec<f64> {
        let mut generator = Generator::new(seed.wrapping_add(STATE_SEEDS));
        let draw = |_| match self.criterion {
            Criterion::Oscillation { .. } => generator.uniform(),
            Criterion::Answers(_) => 0.5,
        };
        (0..self.units).map(draw).collect()
    }
}
