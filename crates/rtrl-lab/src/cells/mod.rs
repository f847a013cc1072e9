//! Simple units, GRU and LSTM on the same tasks, all with exact gradients.
//!
//! | file | subject |
//! |---|---|
//! | `table.rs` | the problems, as data |
//! | `stream.rs` | the inputs and targets that a network sees, standardised where needed |
//! | `measure.rs` | how outputs are scored |
//! | `run.rs` | one run with one cell and one seed |
//! | `sweep.rs` | all cells and seeds on several problems |
//!
//! ```
//! use rtrl_lab::cells::PROBLEMS;
//! use rtrl_model::Cell;
//!
//! # fn main() -> Result<(), rtrl_model::Error> {
//! let henon = PROBLEMS.iter().find(|problem| problem.task.name == "henon");
//! let short = henon.expect("it is in the table").quick();
//! let score = short.run(Cell::Gru, 1)?;
//! // A forecast of the mean has an error of 1.
//! assert!(score.held_out < 0.8);
//! # Ok(())
//! # }
//! ```

mod measure;
mod run;
mod stream;
mod sweep;
mod table;

pub use self::measure::Measure;
pub use self::run::Score;
pub use self::sweep::{Job, Row, sweep};
pub use self::table::PROBLEMS;

use crate::tasks::Entry;

/// A task with the settings that all cells share on it.
///
/// One layer with a bias and the initial weights of `torch.nn`
/// ([`InitialWeights::Torch`](rtrl_model::InitialWeights::Torch)), a linear readout whose weights
/// have variance 1/n, Adam, an update at every step, single precision.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    /// The task.
    pub task: Entry,
    /// Numbers of inputs and targets that the network gets, the first ones of the task.
    pub observed: (usize, usize),
    /// Number of units.
    pub units: usize,
    /// Number of streams, whose gradients are summed.
    pub streams: usize,
    /// Steps with learning.
    pub steps: u64,
    /// The last steps with learning, and the steps after them without, that are scored.
    pub scored: u64,
    /// Steps after which all streams start again from the initial state; `None` for never.
    pub restart: Option<u64>,
    /// The learning rate.
    pub learning_rate: f64,
    /// Added to the initial biases of the forget gates of LSTM units.
    pub forget_bias: f64,
    /// What is scored.
    pub measure: Measure,
}

/// The units of a network in [`Problem::quick`].
const QUICK_UNITS: usize = 12;

/// The fraction of its steps that [`Problem::quick`] takes.
const QUICK_SHARE: u64 = 20;

impl Problem {
    /// A small network and few steps, to see that everything works; its scores mean little.
    #[must_use]
    pub fn quick(self) -> Self {
        let [steps, scored] = [self.steps, self.scored].map(|steps| steps.div_ceil(QUICK_SHARE));
        Self { units: QUICK_UNITS, steps, scored: scored.max(200), ..self }
    }
}
