//! Finite-state machines that behave like a network.
//!
//! A network whose inputs are few symbols and whose outputs are read as bits may behave like a
//! finite-state machine. [`Machine::extract`] finds it in a recorded run ([`Trace`], `trace.rs`):
//! it divides the space of the states y into boxes (`partition.rs`), cuts a box in two as long as
//! one symbol leads from it to different bits or to boxes that differ (`refine.rs`), and merges the
//! boxes that no sequence of symbols distinguishes (`minimise.rs`). [`Machine::agreement`] compares
//! the machine with steps of the network that it has not seen, [`Machine::compare`] compares it
//! with the machine that solves the task (`compare.rs`), and [`Machine::reduced`] omits what was
//! never observed (`reduce.rs`).
//!
//! Division of the state space into boxes and minimisation are those of Omlin & Giles, *Extraction
//! of Rules from Discrete-Time Recurrent Neural Networks*, Neural Networks 9(1), 1996. They divide
//! every unit evenly, ever finer; here each cut is made where the run requires it, which keeps the
//! number of boxes small for 12 units.

mod compare;
mod minimise;
mod partition;
mod reduce;
mod refine;
mod trace;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::compare::{Comparison, Difference, Verdict};
pub use self::reduce::Reduced;
pub use self::trace::Trace;

use rtrl_model::Error;

use self::partition::Partition;
use super::Dynamics;

/// A Mealy machine: from a state, a symbol leads to the next state and to output bits.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The input vector of each symbol.
    pub symbols: Vec<Vec<f64>>,
    /// The transition of each state (row) for each symbol (column). States are numbered by their
    /// first visit.
    pub transitions: Vec<Vec<Transition>>,
    /// Number of boxes before boxes that behave alike were merged.
    pub boxes: usize,
    /// Whether all observed steps are explained. If not, the limit of boxes was reached, and the
    /// most frequent step counts.
    pub explains_all: bool,
    partition: Partition,
    /// The state of each box.
    states: Vec<usize>,
}

/// The transition of a machine for a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// The next state.
    pub next: usize,
    /// The bits: whether each output is above 1/2.
    pub outputs: Vec<bool>,
    /// How often it was observed. 0: never; it comes from running the network from the first state
    /// in the box.
    pub seen: usize,
}

/// How often a machine and its network gave the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Steps that were compared.
    pub steps: usize,
    /// Steps at which all bits were the same.
    pub same: usize,
}

impl Agreement {
    /// The fraction of the steps at which all bits were the same.
    pub fn share(self) -> f64 {
        self.same as f64 / self.steps as f64
    }
}

impl Machine {
    /// Extracts a machine from the first `steps` steps of a trace, with at most `most` boxes.
    ///
    /// # Errors
    /// [`Error::Setting`] if the trace is shorter or empty, and those of [`Dynamics::advance`],
    /// because the network is run on symbols that never occurred in some box.
    pub fn extract(
        dynamics: &mut Dynamics,
        trace: &Trace<'_>,
        steps: usize,
        most: usize,
    ) -> Result<Self, Error> {
        if steps == 0 || steps > trace.steps() {
            let (expected, got) = (format!("1 to {}", trace.steps()), steps.to_string());
            return Err(Error::Setting { what: "number of steps to watch", expected, got });
        }
        let refined = refine::refine(trace, steps, most);
        let rows = rows(dynamics, trace, steps, &refined)?;
        let (states, transitions) = minimise::minimise(&rows, refined.boxes[0]);
        Ok(Self {
            symbols: trace.alphabet().to_vec(),
            transitions,
            boxes: rows.len(),
            explains_all: refined.explains_all,
            partition: refined.partition,
            states,
        })
    }

    /// The state that y belongs to.
    pub fn locate(&self, y: &[f64]) -> usize {
        self.states[self.partition.locate(y)]
    }

    /// Runs the machine from the network's state at step `first` of a trace to its end, and counts
    /// the steps at which its bits equal the network's.
    ///
    /// # Errors
    /// [`Error::Setting`] if no step is left, or if the trace has other symbols.
    pub fn agreement(&self, trace: &Trace<'_>, first: usize) -> Result<Agreement, Error> {
        self.check_symbols(trace)?;
        if first >= trace.steps() {
            let expected = format!("below {}", trace.steps());
            let what = "first step to compare";
            return Err(Error::Setting { what, expected, got: first.to_string() });
        }
        let mut state = self.locate(trace.state(first));
        let mut agreement = Agreement { steps: 0, same: 0 };
        for step in first..trace.steps() {
            let Transition { next, outputs, .. } = &self.transitions[state][trace.symbol(step)];
            agreement.steps += 1;
            agreement.same += usize::from(outputs == trace.answer(step));
            state = *next;
        }
        Ok(agreement)
    }
}

impl Machine {
    /// Fails unless a trace has the symbols of the machine.
    fn check_symbols(&self, trace: &Trace<'_>) -> Result<(), Error> {
        if trace.alphabet() == self.symbols {
            return Ok(());
        }
        Err(Error::Setting {
            what: "trace",
            expected: format!("one with the machine's symbols {:?}", self.symbols),
            got: format!("{:?}", trace.alphabet()),
        })
    }
}

/// How often a symbol led from a box to these bits and this box.
type Outcomes<'a> = BTreeMap<(&'a [bool], usize), usize>;

/// The transitions between boxes: the most frequent observed one, or that of the network.
fn rows(
    dynamics: &mut Dynamics,
    trace: &Trace<'_>,
    steps: usize,
    refined: &refine::Refined,
) -> Result<Vec<Vec<Transition>>, Error> {
    let (boxes, symbols) = (refined.partition.boxes(), trace.alphabet());
    let mut outcomes = vec![vec![Outcomes::new(); symbols.len()]; boxes];
    for step in 0..steps {
        let place = &mut outcomes[refined.boxes[step]][trace.symbol(step)];
        *place.entry((trace.answer(step), refined.boxes[step + 1])).or_default() += 1;
    }
    // The state that represents a box: the first observed in it.
    let first = |number| refined.boxes.iter().position(|&other| other == number);
    let mut ask = |number: usize, symbol: usize| {
        let mut state = trace.state(first(number).unwrap_or(steps)).to_vec();
        let outputs = dynamics.advance(&mut state, &symbols[symbol])?;
        let outputs = trace::bits(outputs, trace.outputs());
        Ok(Transition { next: refined.partition.locate(&state), outputs, seen: 0 })
    };
    let mut transition = |number: usize, symbol: usize| match outcomes[number][symbol]
        .iter()
        .max_by_key(|&(_, &count)| count)
    {
        Some((&(outputs, next), &seen)) => Ok(Transition { next, outputs: outputs.to_vec(), seen }),
        None => ask(number, symbol),
    };
    (0..boxes).map(|number| (0..symbols.len()).map(|s| transition(number, s)).collect()).collect()
}

#[cfg(test)]
mod tests;
