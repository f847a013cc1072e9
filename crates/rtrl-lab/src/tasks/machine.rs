//! The finite-state machine that solves a task, as data.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rtrl_model::Error;

use super::task::number;

/// The machine that solves a task, together with the inputs that the task can produce.
///
/// A *situation* is everything that determines the future of a task: for a Turing machine the state
/// of its controller, the tape as far as it has been read, the head, and the answers that are not
/// due yet. A *state* is the part that a machine has to remember, without tape and head. Situation
/// 0 is the beginning, when no answer is due yet.
#[derive(Debug, Clone)]
pub struct TaskMachine {
    /// The possible steps in each situation.
    pub situations: Vec<Situation>,
}

/// A situation of a task.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The number of the machine's state.
    pub state: usize,
    /// Whether the task is in its initial situation, except for the answers that are due.
    pub begins: bool,
    /// Every possible input, each once.
    pub steps: Vec<TaskStep>,
}

/// An input, the answer that is due then, and the situation that follows.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStep {
    /// x(t).
    pub input: Vec<f64>,
    /// The targets for time t + 1, where there is one.
    pub answer: Vec<Option<bool>>,
    /// The situation that follows.
    pub next: usize,
}

impl TaskMachine {
    /// The situation after the inputs since the beginning.
    ///
    /// # Errors
    /// [`Error::Setting`] for an input that the task cannot produce there.
    pub fn follow(&self, inputs: &[Vec<f64>]) -> Result<usize, Error> {
        inputs.iter().try_fold(0, |situation, input| Ok(self.step(situation, input)?.next))
    }

    /// The step for an input in a situation.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such situation, or for an input that the task cannot
    /// produce there.
    pub fn step(&self, situation: usize, input: &[f64]) -> Result<&TaskStep, Error> {
        let steps = &self.situation(situation)?.steps;
        steps.iter().find(|step| step.input == input).ok_or_else(|| Error::Setting {
            what: "input",
            expected: "one that the task can produce in this situation".to_owned(),
            got: format!("{input:?}"),
        })
    }

    pub(crate) fn situation(&self, number: usize) -> Result<&Situation, Error> {
        self.situations.get(number).ok_or_else(|| Error::Setting {
            what: "situation",
            expected: format!("below {}", self.situations.len()),
            got: number.to_string(),
        })
    }

    /// All situations that can follow `start`, if every answer is due `delay` steps after its input
    /// (1: at once). `state` is what the machine remembers in addition to the answers that are due.
    pub(super) fn explore<S: Clone + Ord, K: Ord>(
        start: &S,
        delay: NonZeroUsize,
        state: impl Fn(&S) -> K,
        possible: impl Fn(&S) -> Vec<Possible<S>>,
    ) -> Self {
        let pending = vec![Vec::new(); delay.get() - 1];
        let mut found = vec![(start.clone(), pending)];
        let mut numbers = BTreeMap::from([(found[0].clone(), 0)]);
        let mut states = BTreeMap::new();
        let mut situations = Vec::new();
        while let Some((place, pending)) = found.get(situations.len()).cloned() {
            let follow = |Possible { input, answer, next }| {
                let mut pending = pending.clone();
                let outputs = answer.len();
                pending.push(answer);
                let mut answer: Vec<Option<bool>> = pending.remove(0);
                // Nothing is due yet at the beginning.
                answer.resize(outputs, None);
                let after = (next, pending);
                let number = *numbers.entry(after.clone()).or_insert_with(|| {
                    found.push(after);
                    found.len() - 1
                });
                TaskStep { input, answer, next: number }
            };
            let steps = possible(&place).into_iter().map(follow).collect();
            let fresh = states.len();
            let number = *states.entry((state(&place), pending.clone())).or_insert(fresh);
            situations.push(Situation { state: number, begins: place == *start, steps });
        }
        Self { situations }
    }
}

/// A possible input, its answer, and the next situation.
pub(super) struct Possible<S> {
    pub(super) input: Vec<f64>,
    pub(super) answer: Vec<Option<bool>>,
    pub(super) next: S,
}

/// A one-hot vector.
pub(super) fn one_hot(line: usize, lines: usize) -> Vec<f64> {
    (0..lines).map(|other| number(other == line)).collect()
}

/// Two bits, in every combination.
pub(super) const PAIRS_OF_BITS: [[bool; 2]; 4] =
    [[false, false], [false, true], [true, false], [true, true]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;
    use crate::tasks::{CATALOGUE, Entry, find};

    /// The tasks that have a machine, with it.
    fn machines() -> Vec<(&'static Entry, TaskMachine)> {
        let machine = |entry: &'static Entry| Some((entry, entry.machine()?));
        let machines: Vec<_> = CATALOGUE.iter().filter_map(machine).collect();
        assert!(machines.len() >= 8, "only {} tasks have a machine", machines.len());
        machines
    }

    /// Every stream is a way through the situations of its machine, with the same targets.
    #[test]
    fn streams_follow_their_machines() {
        for (entry, machine) in machines() {
            let mut situation = 0;
            for (t, (input, targets)) in drawn(entry.start(5).as_mut(), 20_000).iter().enumerate() {
                let step = machine.step(situation, input).unwrap();
                let answer = step.answer.iter().map(|bit| bit.map(number));
                assert!(answer.eq(targets.iter().copied()), "{}, step {t}", entry.name);
                situation = step.next;
            }
        }
    }

    /// A state says all about the answers: two situations with the same one give the same answer at
    /// the same input, and the same states follow.
    #[test]
    fn states_are_those_of_a_machine() {
        for (entry, machine) in machines() {
            let mut steps = BTreeMap::new();
            for situation in &machine.situations {
                for TaskStep { input, answer, next } in &situation.steps {
                    let input: Vec<u64> = input.iter().map(|value| value.to_bits()).collect();
                    let outcome = (answer.as_slice(), machine.situations[*next].state);
                    let first = *steps.entry((situation.state, input)).or_insert(outcome);
                    assert_eq!(first, outcome, "{}", entry.name);
                }
            }
        }
    }

    #[test]
    fn what_a_task_never_shows_is_refused() {
        let machine = find("turing-2").unwrap().machine().unwrap();
        // ( ( ), and then the head is on the second (.
        let [open, close] = [1, 2].map(|line| one_hot(line, 4));
        let tape = [open.clone(), open.clone(), close.clone(), open];
        assert!(machine.follow(&tape).is_ok());
        let error = machine.follow(&[&tape[..3], &[close]].concat()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        // No tape is shorter than two parentheses.
        assert!(machine.follow(&[tape[0].clone(), one_hot(0, 4)]).is_err());
    }
}
