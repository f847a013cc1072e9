//! A network observed while it runs on a task, or without input.

use rtrl_model::Network;
use serde::Serialize;

use super::{Agreement, Comparison, Dynamics, Machine, Reduced, Run, Trace, Transition};
use crate::Error;
use crate::tasks::{Entry, Task, TaskMachine};

/// Steps that are discarded before the observation.
pub const UNWATCHED: usize = 100;

/// The largest number of boxes of the state space: larger machines could not be read.
const MOST_BOXES: usize = 256;

/// The inputs of a network while it is observed.
#[derive(Debug, Clone, Copy)]
pub enum Inputs<'a> {
    /// Zeros.
    Zeros,
    /// Those of a task, which also has targets.
    Task(&'static Entry),
    /// These, one row a step.
    Rows(&'a [Vec<f64>]),
}

impl Inputs<'_> {
    /// The task, if there is one.
    pub(super) fn task(self) -> Option<&'static Entry> {
        match self {
            Self::Task(task) => Some(task),
            Self::Zeros | Self::Rows(_) => None,
        }
    }
}

/// A run, with the targets of the task.
#[derive(Debug)]
pub struct Watched {
    /// The inputs before the run.
    before: Vec<Vec<f64>>,
    /// The run, after 100 steps that are not watched.
    pub run: Run,
    /// The state after the last step.
    last: Vec<f64>,
    /// The targets of every step.
    targets: Vec<Vec<Option<f64>>>,
}

/// The results of a network on a task, and its machine.
#[derive(Debug, Serialize)]
pub struct OnTask {
    /// The name of the task.
    pub task: &'static str,
    /// The names of its inputs.
    pub inputs: &'static [&'static str],
    /// The names of its targets.
    pub outputs: &'static [&'static str],
    /// Steps with targets at which all outputs are on the right side of 1/2; where all targets are
    /// bits.
    pub right: Option<Agreement>,
    /// Steps by which the targets are shifted, because a task without inputs does not determine its
    /// phase.
    pub moved: usize,
    /// The machine in the network.
    pub machine: Option<Extracted>,
    /// Why there is no machine.
    pub no_machine: Option<String>,
}

/// A machine, as plain data.
#[derive(Debug, Serialize)]
pub struct Extracted {
    /// The name of each symbol.
    pub symbols: Vec<String>,
    /// The transitions of every state, one for each symbol.
    pub transitions: Vec<Vec<Transition>>,
    /// A smaller machine that behaves the same in all observed steps.
    pub reduced: Vec<Vec<Option<Transition>>>,
    /// Whether none is smaller than that.
    pub smallest: bool,
    /// Boxes of the state space that it was made from.
    pub boxes: usize,
    /// Whether it gives the bits of every step that it was made from.
    pub explains_all: bool,
    /// Steps on which it was checked, after those that it was made from.
    pub agreement: Agreement,
    /// Its comparison with the machine that solves the task.
    pub comparison: Option<Comparison>,
    /// Why there is no comparison.
    pub no_comparison: Option<String>,
    /// The input vector of each symbol.
    #[serde(skip)]
    pub held: Vec<Vec<f64>>,
}

/// Runs a network from its state for `steps` steps; the stream of a task has the seed. Rows must be
/// as wide as the network's input, and after the last one the input is 0.
pub(super) fn watch(
    network: &Network<f64>,
    inputs: Inputs<'_>,
    seed: u64,
    steps: usize,
) -> Result<Watched, rtrl_model::Error> {
    let mut dynamics = Dynamics::of(network);
    let mut last = network.initial_state().to_vec();
    let mut stream = inputs.task().map(|entry| entry.start(seed));
    let mut rows = if let Inputs::Rows(rows) = inputs { rows } else { &[] }.iter();
    let mut targets = Vec::new();
    let mut draw = |input: &mut [f64]| match (&mut stream, rows.next()) {
        (Some(stream), _) => targets.push(drawn(stream.as_mut(), input)),
        (None, Some(row)) => input.copy_from_slice(row),
        (None, None) => input.fill(0.0),
    };
    let before = Run::record(&mut dynamics, &mut last, UNWATCHED, &mut draw)?.inputs;
    let run = Run::record(&mut dynamics, &mut last, steps, &mut draw)?;
    targets.drain(..UNWATCHED.min(targets.len()));
    Ok(Watched { before, run, last, targets })
}

/// Draws an input and returns the targets.
fn drawn(task: &mut dyn Task, input: &mut [f64]) -> Vec<Option<f64>> {
    let mut targets = vec![None; task.targets().len()];
    task.draw_into(input, &mut targets);
    targets
}

impl Watched {
    /// The results on the task, with the machine of the first `steps` steps, checked on the others.
    pub(super) fn on_task(
        &self,
        network: &Network<f64>,
        entry: &Entry,
        steps: usize,
    ) -> Result<OnTask, Error> {
        let stream = entry.start(0);
        let (inputs, outputs) = (stream.inputs(), stream.targets());
        let right = self.right(if inputs.is_empty() { UNWATCHED } else { 0 });
        let (right, moved) = (right.map(|right| right.0), right.map_or(0, |right| right.1));
        let (machine, no_machine) = match Trace::new(&self.run, &self.last, outputs.len()) {
            // The next value of a wave is no answer to anything.
            Ok(_) if inputs.is_empty() && right.is_none() => {
                (None, Some("the task has no inputs, and its targets are no bits".to_owned()))
            }
            Ok(trace) => (Some(self.extract(network, &trace, entry, steps)?), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(OnTask { task: entry.name, inputs, outputs, right, moved, machine, no_machine })
    }

    /// The largest agreement with shifted targets, and the shift.
    fn right(&self, most_moved: usize) -> Option<(Agreement, usize)> {
        let given = || self.targets.iter().flatten().flatten();
        if given().next().is_none() || given().any(|&target| target != 0.0 && target != 1.0) {
            return None;
        }
        let moves = 0..=most_moved.min(self.targets.len().saturating_sub(1));
        let by_share = |a: &(Agreement, usize), b: &(Agreement, usize)| {
            a.0.share().total_cmp(&b.0.share()).then(b.1.cmp(&a.1))
        };
        // The same steps for all, or the share of fewer might win.
        let steps = self.run.outputs.len() - moves.end();
        moves.map(|moved| (self.right_when_moved(moved, steps), moved)).max_by(by_share)
    }

    fn right_when_moved(&self, moved: usize, steps: usize) -> Agreement {
        let mut right = Agreement { steps: 0, same: 0 };
        for (targets, outputs) in self.targets[moved..].iter().zip(&self.run.outputs[..steps]) {
            if targets.iter().all(Option::is_none) {
                continue;
            }
            let is_right = |(d, y): (&Option<f64>, &f64)| d.is_none_or(|d| (d > 0.5) == (*y > 0.5));
            right.steps += 1;
            right.same += usize::from(targets.iter().zip(outputs).all(is_right));
        }
        right
    }

    fn extract(
        &self,
        network: &Network<f64>,
        trace: &Trace<'_>,
        entry: &Entry,
        steps: usize,
    ) -> Result<Extracted, Error> {
        let mut dynamics = Dynamics::of(network);
        let machine = Machine::extract(&mut dynamics, trace, steps, MOST_BOXES)?;
        let agreement = machine.agreement(trace, steps)?;
        let mut compare = |task: TaskMachine| {
            machine.compare(&mut dynamics, trace, &task, task.follow(&self.before)?)
        };
        let (comparison, no_comparison) = match entry.machine().map(&mut compare) {
            Some(Ok(comparison)) => (Some(comparison), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, Some("it is not known".to_owned())),
        };
        let inputs = entry.start(0).inputs();
        let symbols = machine.symbols.iter().map(|symbol| symbol_name(symbol, inputs)).collect();
        let Reduced { transitions: reduced, smallest } = machine.reduced(trace, steps)?;
        let Machine { transitions, boxes, explains_all, symbols: held, .. } = machine;
        Ok(Extracted {
            symbols,
            transitions,
            reduced,
            smallest,
            boxes,
            explains_all,
            agreement,
            comparison,
            no_comparison,
            held,
        })
    }
}

/// The name of the only input that is 1 while all others are 0, or else the values.
fn symbol_name(symbol: &[f64], inputs: &[&str]) -> String {
    let ones = symbol.iter().filter(|&&value| value == 1.0).count();
    let zeros = symbol.iter().filter(|&&value| value == 0.0).count();
    let line = symbol.iter().position(|&value| value == 1.0);
    match line.and_then(|line| inputs.get(line)) {
        _ if symbol.is_empty() => "step".to_owned(),
        Some(name) if ones == 1 && zeros + 1 == symbol.len() && zeros > 1 => (*name).to_owned(),
        _ => symbol.iter().map(f64::to_string).collect::<Vec<_>>().join(" "),
    }
}
