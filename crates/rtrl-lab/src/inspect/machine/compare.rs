//! The comparison of a machine with the one that solves its task.

use std::collections::BTreeSet;

use rtrl_model::Error;
use serde::Serialize;

use super::{Machine, Trace, trace};
use crate::inspect::Dynamics;
use crate::tasks::TaskMachine;

/// The comparison of a machine with the one that solves its task, on all sequences that the task
/// can produce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether a sequence distinguishes them.
    pub verdict: Verdict,
    /// States of the task's machine, which remembers also the answers that are not due yet.
    pub task_states: usize,
    /// Transitions of the extracted machine that these sequences take, as long as the two agree.
    pub taken: usize,
    /// Those of them that were observed.
    pub watched: usize,
    /// A shortest sequence that distinguishes them.
    pub difference: Option<Difference>,
}

/// Whether a machine solves its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No sequence of the task distinguishes them.
    Equivalent,
    /// No sequence of observed transitions distinguishes them, but one with other transitions does.
    /// Those come from running the network from a single state.
    EquivalentWhereWatched,
    /// A sequence of observed transitions distinguishes them.
    Differs,
}

/// A sequence after which a machine gives a wrong answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The symbols, counted from the step at which the comparison begins.
    pub symbols: Vec<usize>,
    /// The target after the last of them, if there is one.
    pub task: Vec<Option<bool>>,
    /// The output of the machine.
    pub machine: Vec<bool>,
    /// The output of the network: if it is right, the extraction is at fault.
    pub network: Vec<bool>,
}

impl Machine {
    /// Compares with the machine that solves a task, on every sequence that the task can produce
    /// from the first step of the trace at which it is in its initial situation (else from step 0).
    /// `situation` is that of the task at step 0 of the trace.
    ///
    /// The comparison visits all pairs of situation and state that the two can reach, breadth
    /// first, first along observed transitions, then along all.
    ///
    /// # Errors
    /// [`Error::Setting`] if the trace is not one of the task, or if a symbol of the task never
    /// occurs in it; those of [`Dynamics::advance`].
    pub fn compare(
        &self,
        dynamics: &mut Dynamics,
        trace: &Trace<'_>,
        task: &TaskMachine,
        situation: usize,
    ) -> Result<Comparison, Error> {
        check_outputs(trace, task)?;
        let (step, situation) = beginning(trace, task, situation)?;
        let start = (situation, self.locate(trace.state(step)));
        let watched = self.walk(task, start, |seen| seen > 0)?;
        let (verdict, walk) = if watched.difference.is_some() {
            (Verdict::Differs, watched)
        } else {
            let all = self.walk(task, start, |_| true)?;
            let is_same = all.difference.is_none();
            (if is_same { Verdict::Equivalent } else { Verdict::EquivalentWhereWatched }, all)
        };
        let mut difference = walk.difference;
        if let Some(Difference { symbols, network, .. }) = &mut difference {
            let mut state = trace.state(step).to_vec();
            for &symbol in symbols.iter() {
                let outputs = dynamics.advance(&mut state, &self.symbols[symbol])?;
                *network = trace::bits(outputs, trace.outputs());
            }
        }
        let seen = |&&(state, symbol): &&(usize, usize)| self.transitions[state][symbol].seen > 0;
        Ok(Comparison {
            verdict,
            task_states: states(task, situation)?,
            taken: walk.taken.len(),
            watched: walk.taken.iter().filter(seen).count(),
            difference,
        })
    }

    /// Walks through the pairs of situation and state, along transitions that were seen as often as
    /// `may_take` asks, up to where the two differ.
    fn walk(
        &self,
        task: &TaskMachine,
        start: (usize, usize),
        may_take: impl Fn(usize) -> bool,
    ) -> Result<Walk, Error> {
        let mut walk = Walk { taken: BTreeSet::new(), difference: None };
        let mut reached = BTreeSet::from([start]);
        // Each pair with the one before it and the symbol in between.
        let mut pairs = vec![(start, 0, 0)];
        let mut place = 0;
        while let Some(&((situation, state), ..)) = pairs.get(place) {
            for step in &task.situation(situation)?.steps {
                let symbol = self.symbol(&step.input)?;
                let transition = &self.transitions[state][symbol];
                if !may_take(transition.seen) {
                    continue;
                }
                walk.taken.insert((state, symbol));
                let next = (step.next, transition.next);
                if !is_met(&step.answer, &transition.outputs) {
                    walk.difference.get_or_insert_with(|| Difference {
                        symbols: way(&pairs, place, symbol),
                        task: step.answer.clone(),
                        machine: transition.outputs.clone(),
                        network: Vec::new(),
                    });
                } else if reached.insert(next) {
                    pairs.push((next, place, symbol));
                }
            }
            place += 1;
        }
        Ok(walk)
    }

    /// The number of an input.
    fn symbol(&self, input: &[f64]) -> Result<usize, Error> {
        self.symbols.iter().position(|symbol| symbol == input).ok_or_else(|| Error::Setting {
            what: "input of the task",
            expected: "one that occurred in the observed run".to_owned(),
            got: format!("{input:?}"),
        })
    }
}

/// What a walk through all pairs has shown.
struct Walk {
    /// State and symbol.
    taken: BTreeSet<(usize, usize)>,
    difference: Option<Difference>,
}

/// Where the comparison begins: a step and its situation.
fn beginning(trace: &Trace<'_>, task: &TaskMachine, first: usize) -> Result<(usize, usize), Error> {
    let mut situation = first;
    for step in 0..trace.steps() {
        if task.situation(situation)?.begins {
            return Ok((step, situation));
        }
        let input = &trace.alphabet()[trace.symbol(step)];
        situation = task.step(situation, input)?.next;
    }
    Ok((0, first))
}

/// Whether bits equal the targets.
fn is_met(asked: &[Option<bool>], given: &[bool]) -> bool {
    asked.iter().zip(given).all(|(asked, given)| asked.is_none_or(|asked| asked == *given))
}

/// The symbols up to a pair, and one more.
fn way(pairs: &[((usize, usize), usize, usize)], mut place: usize, last: usize) -> Vec<usize> {
    let mut symbols = vec![last];
    while place > 0 {
        let (_, before, symbol) = pairs[place];
        symbols.push(symbol);
        place = before;
    }
    symbols.reverse();
    symbols
}

/// The number of recurrent states of the task's machine.
fn states(task: &TaskMachine, situation: usize) -> Result<usize, Error> {
    let mut reached = BTreeSet::from([situation]);
    let mut queue = vec![situation];
    let mut states = BTreeSet::new();
    while let Some(situation) = queue.pop() {
        let situation = task.situation(situation)?;
        states.insert(situation.state);
        let next = situation.steps.iter().map(|step| step.next);
        queue.extend(next.filter(|&next| reached.insert(next)));
    }
    Ok(states.len())
}

/// Fails unless a trace has as many outputs as the task has answers.
fn check_outputs(trace: &Trace<'_>, task: &TaskMachine) -> Result<(), Error> {
    let mut steps = task.situations.iter().flat_map(|situation| &situation.steps);
    match steps.find(|step| step.answer.len() != trace.outputs()) {
        None => Ok(()),
        Some(step) => Err(Error::Setting {
            what: "outputs of the trace",
            expected: format!("{}, one per answer of the task", step.answer.len()),
            got: trace.outputs().to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Generator, Network};

    use super::super::{Partition, Transition};
    use super::*;
    use crate::inspect::Run;
    use crate::tasks::find;

    /// The machine of the sequences, with each of its states there twice: 0 and 2, and 1 and 3 when
    /// an a has come.
    fn doubled() -> Machine {
        let row = |steps: [(usize, bool); 4]| {
            let step = |(next, bit)| Transition { next, outputs: vec![bit], seen: 1 };
            steps.map(step).to_vec()
        };
        let symbols = (0..4).map(|line| (0..4).map(|j| f64::from(u8::from(j == line))).collect());
        Machine {
            symbols: symbols.collect(),
            transitions: vec![
                row([(1, false), (2, false), (2, false), (0, false)]),
                row([(3, false), (2, true), (1, false), (1, false)]),
                row([(3, false), (0, false), (0, false), (2, false)]),
                row([(1, false), (0, true), (3, false), (3, false)]),
            ],
            boxes: 1,
            explains_all: true,
            partition: Partition::whole(),
            states: vec![0],
        }
    }

    /// The comparison with the task, next to a network that always gives 0.
    fn compared(machine: &Machine) -> Comparison {
        let mut dynamics = Dynamics::of(&Network::<f64>::builder(1, 4).build().unwrap());
        let mut generator = Generator::new(1);
        let draw = |input: &mut [f64]| input.copy_from_slice(&machine.symbols[generator.below(4)]);
        let mut state = [-100.0];
        let run = Run::record(&mut dynamics, &mut state, 50, draw).unwrap();
        let trace = Trace::new(&run, &state, 1).unwrap();
        let task = find("sequence").unwrap().machine().unwrap();
        machine.compare(&mut dynamics, &trace, &task, 0).unwrap()
    }

    #[test]
    fn machines_of_different_size_may_do_the_same() {
        let comparison = compared(&doubled());
        assert_eq!(comparison.verdict, Verdict::Equivalent);
        assert_eq!((comparison.task_states, comparison.difference), (2, None));
        assert_eq!((comparison.taken, comparison.watched), (16, 16));
    }

    /// Of the two sequences of three that tell it, a a b and b a b, the first is found.
    #[test]
    fn a_wrong_bit_is_found_by_the_shortest_sequence() {
        let mut machine = doubled();
        machine.transitions[3][1].outputs = vec![false];
        let comparison = compared(&machine);
        assert_eq!(comparison.verdict, Verdict::Differs);
        let difference = comparison.difference.unwrap();
        assert_eq!(difference.symbols, [0, 0, 1]);
        assert_eq!((difference.task, difference.machine), (vec![Some(true)], vec![false]));
        assert_eq!(difference.network.len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let machine = doubled();
        let mut dynamics = Dynamics::of(&Network::<f64>::builder(2, 4).build().unwrap());
        let mut state = [0.0; 2];
        let draw = |input: &mut [f64]| input.copy_from_slice(&machine.symbols[0]);
        let run = Run::record(&mut dynamics, &mut state, 5, draw).unwrap();
        let task = find("sequence").unwrap().machine().unwrap();
        let mut refused = |outputs: usize, situation: usize| {
            let trace = Trace::new(&run, &state, outputs).unwrap();
            machine.compare(&mut dynamics, &trace, &task, situation).unwrap_err().to_string()
        };
        assert!(refused(2, 0).contains("outputs of the trace"));
        assert!(refused(1, 99).contains("situation"));
        let trace = Trace::new(&run, &state, 1).unwrap();
        let reduced = machine.reduced(&trace, 5).unwrap_err().to_string();
        assert!(reduced.contains("one with the machine's symbols"), "{reduced}");
    }

    #[test]
    fn a_wrong_next_state_is_found_where_it_shows() {
        let mut machine = doubled();
        machine.transitions[2][2].next = 1;
        // b to state 2, c to the wrong state, where the next b counts.
        assert_eq!(compared(&machine).difference.unwrap().symbols, [1, 2, 1]);
    }

    #[test]
    fn what_was_not_watched_is_told_apart() {
        let mut machine = doubled();
        machine.transitions[3][1] = Transition { next: 0, outputs: vec![false], seen: 0 };
        let comparison = compared(&machine);
        assert_eq!(comparison.verdict, Verdict::EquivalentWhereWatched);
        assert_eq!(comparison.difference.unwrap().symbols, [0, 0, 1]);
        machine.transitions[3][1].outputs = vec![true];
        let comparison = compared(&machine);
        assert_eq!(comparison.verdict, Verdict::Equivalent);
        assert_eq!((comparison.taken, comparison.watched), (16, 15));
    }

    #[test]
    fn symbols_that_never_came_are_an_error() {
        let mut machine = doubled();
        machine.symbols.pop();
        let mut dynamics = Dynamics::of(&Network::<f64>::builder(1, 4).build().unwrap());
        let draw = |input: &mut [f64]| input.copy_from_slice(&machine.symbols[0]);
        let run = Run::record(&mut dynamics, &mut [0.0], 5, draw).unwrap();
        let trace = Trace::new(&run, &[0.0], 1).unwrap();
        let task = find("sequence").unwrap().machine().unwrap();
        let error = machine.compare(&mut dynamics, &trace, &task, 0).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }
}
