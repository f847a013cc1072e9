//! One run with one seed.

use rtrl_model::{Error, Learner, Network, Real, State, Targets};

use super::Experiment;
use super::criterion::{Criterion, FreeRun, OSCILLATION_STEPS};
use crate::tasks::Task;

/// A run of an experiment, which can be observed step by step.
pub struct Run<T: Real> {
    learner: Learner<T>,
    task: Box<dyn Task>,
    criterion: Criterion,
    limit: u64,
    /// Steps in a row that were right, and the first of them.
    in_a_row: u64,
    since: u64,
    input: Vec<f64>,
    targets: Vec<Option<f64>>,
    /// The same in the network's precision, a target for each unit.
    network_input: Vec<T>,
    network_targets: Vec<Option<T>>,
    /// y(t+1) of the units with targets.
    outputs: Vec<f64>,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The run is neither solved nor failed.
    Running,
    /// The criterion is fulfilled.
    Solved {
        /// Steps before the first of those in a row that were right.
        steps: u64,
    },
    /// The limit of steps is reached.
    Failed,
}

impl<T: Real> Run<T> {
    pub(super) fn new(experiment: &Experiment, learner: Learner<T>, task: Box<dyn Task>) -> Self {
        let (inputs, outputs) = (task.inputs().len(), task.targets().len());
        Self {
            criterion: experiment.criterion,
            limit: experiment.limit,
            in_a_row: 0,
            since: 0,
            input: vec![0.0; inputs],
            targets: vec![None; outputs],
            network_input: vec![T::ZERO; inputs],
            network_targets: vec![None; learner.network().units()],
            outputs: vec![0.0; outputs],
            learner,
            task,
        }
    }

    /// Takes up to `steps` steps, fewer if the run ends.
    ///
    /// # Errors
    /// As [`Learner::step`].
    pub fn advance(&mut self, steps: u64) -> Result<Progress, Error> {
        for _ in 0..steps {
            let progress = self.step()?;
            if progress != Progress::Running {
                return Ok(progress);
            }
        }
        Ok(Progress::Running)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.learner.steps()
    }

    /// The current network.
    pub fn network(&self) -> &Network<T> {
        self.learner.network()
    }

    /// y(t), and the outputs and slopes of the last step.
    ///
    /// # Errors
    /// As [`Learner::state`]; a learner always has its first stream.
    pub fn state(&self) -> Result<&State<T>, Error> {
        self.learner.state(0)
    }

    /// The input x(t) of the last step.
    pub fn input(&self) -> &[f64] {
        &self.input
    }

    /// The targets for t + 1 of the last step, each where there is one.
    pub fn targets(&self) -> &[Option<f64>] {
        &self.targets
    }

    /// The outputs y(t + 1) of the last step, of the units with targets, before any is forced.
    pub fn outputs(&self) -> &[f64] {
        &self.outputs
    }

    /// The outputs of the next `steps` steps without targets, with fixed weights and inputs of 0:
    /// for each step the outputs of the units that have targets. The run does not advance.
    ///
    /// # Errors
    /// As [`Learner::generate`].
    pub fn free_run(&mut self, steps: usize) -> Result<Vec<Vec<f64>>, Error> {
        let rows = self.learner.generate(0, steps, |_, _, input| input.fill(T::ZERO))?;
        let outputs = self.outputs.len();
        let row = |row: &Vec<T>| row[..outputs].iter().map(|y| y.to_f64()).collect();
        Ok(rows.iter().map(row).collect())
    }

    fn step(&mut self) -> Result<Progress, Error> {
        if self.learner.steps() >= self.limit {
            return Ok(Progress::Failed);
        }
        self.task.draw_into(&mut self.input, &mut self.targets);
        convert(&self.input, &mut self.network_input, T::from_f64);
        convert(&self.targets, &mut self.network_targets, |target| target.map(T::from_f64));
        let targets = Targets::Some(&self.network_targets);
        let report = self.learner.step(&self.network_input, targets)?;
        convert(report.outputs, &mut self.outputs, T::to_f64);
        self.count();
        if self.in_a_row < self.criterion.steps() {
            return Ok(Progress::Running);
        }
        self.finish()
    }

    /// Counts a step with targets.
    fn count(&mut self) {
        if self.targets.iter().all(Option::is_none) {
            return;
        }
        let tolerance = self.criterion.tolerance();
        let mut pairs = self.targets.iter().zip(&self.outputs);
        if pairs.all(|(d, y)| d.is_none_or(|d| (d - y).abs() < tolerance)) {
            self.in_a_row += 1;
        } else {
            self.in_a_row = 0;
            self.since = self.learner.steps();
        }
    }

    /// Enough steps were right: the end, or the free run that decides.
    fn finish(&mut self) -> Result<Progress, Error> {
        if let Criterion::Oscillation(free_run) = self.criterion
            && !self.runs_on(free_run)?
        {
            self.in_a_row = 0;
            self.since = self.learner.steps();
            return Ok(Progress::Running);
        }
        Ok(Progress::Solved { steps: self.since })
    }

    /// Whether the network continues the oscillation without targets. The network does not advance,
    /// and the task returns to its state, because the steps are whole periods of every oscillation.
    fn runs_on(&mut self, free_run: FreeRun) -> Result<bool, Error> {
        let values: Vec<f64> =
            self.free_run(OSCILLATION_STEPS)?.iter().map(|outputs| outputs[0]).collect();
        let expected = (0..OSCILLATION_STEPS).filter_map(|_| {
            self.task.draw_into(&mut self.input, &mut self.targets);
            self.targets[0]
        });
        Ok(free_run.is_right(&values, &expected.collect::<Vec<_>>()))
    }
}

/// Writes `number` of each value.
fn convert<A: Copy, B>(from: &[A], to: &mut [B], number: impl Fn(A) -> B) {
    to.iter_mut().zip(from).for_each(|(place, &value)| *place = number(value));
}

#[cfg(test)]
mod tests {
    use rtrl_model::EngineChoice;

    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::paper::TABLE;
    use crate::tasks::find;

    fn experiment(name: &str) -> Experiment {
        *TABLE.iter().find(|experiment| experiment.task.name == name).unwrap()
    }

    #[test]
    fn a_free_run_is_whole_periods() {
        for name in ["0101", "0011", "sine"] {
            let mut task = find(name).unwrap().start(1);
            let mut draw = || {
                let mut targets = [None];
                task.draw_into(&mut [], &mut targets);
                targets[0]
            };
            let first: Vec<_> = (0..OSCILLATION_STEPS).map(|_| draw()).collect();
            let second: Vec<_> = (0..OSCILLATION_STEPS).map(|_| draw()).collect();
            assert_eq!(first, second, "{name}");
        }
    }

    /// Solved where the right steps began, and reported `right` steps later.
    #[test]
    fn a_solved_run_tells_where_its_success_began() {
        for (name, right) in [("xor-2", 1000), ("0101", 2000)] {
            let mut run = experiment(name).start::<f64>(1, EngineChoice::Auto).unwrap();
            let Progress::Solved { steps } = run.advance(100_000).unwrap() else {
                panic!("{name} is not learnt")
            };
            assert_eq!(run.steps(), steps + right, "{name}");
            assert_eq!(experiment(name).run::<f64>(1, EngineChoice::Auto).unwrap(), Some(steps));
        }
    }

    /// What is shown of a step is what the network was given, and who looks changes nothing: the
    /// run ends where it does unseen. The task's own stream is the oracle.
    #[test]
    fn a_run_that_is_watched_is_the_same_run() {
        for (name, forced) in [("xor-2", false), ("0011", true)] {
            let found = |one: &&Experiment| one.task.name == name && one.forced == forced;
            let experiment = TABLE.iter().find(found).unwrap();
            let mut stream = experiment.task.start(3 + crate::paper::TASK_SEEDS);
            let mut run = experiment.start::<f64>(3, EngineChoice::Auto).unwrap();
            let mut input = vec![0.0; run.input().len()];
            let mut targets = vec![None; run.targets().len()];
            let steps = loop {
                let progress = run.advance(1).unwrap();
                stream.draw_into(&mut input, &mut targets);
                assert_eq!((run.input(), run.targets()), (&input[..], &targets[..]), "{name}");
                assert_eq!(run.outputs(), &run.state().unwrap().values()[..run.outputs().len()]);
                run.free_run(3).unwrap();
                if let Progress::Solved { steps } = progress {
                    break steps;
                }
            };
            assert_eq!(experiment.run::<f64>(3, EngineChoice::Auto).unwrap(), Some(steps));
        }
    }

    /// A forced unit passes on its target once more, then its own output.
    #[test]
    fn a_free_run_starts_where_the_run_stands() {
        let forced = TABLE.iter().find(|one| one.task.name == "0011" && one.forced).unwrap();
        let mut run = forced.start::<f64>(1, EngineChoice::Auto).unwrap();
        run.advance(u64::MAX).unwrap();
        let free = run.free_run(2).unwrap();
        let (last, weights) = (run.targets()[0].unwrap(), run.network().weights().to_rows());
        let logistic = |s: f64| 1.0 / (1.0 + (-s).exp());
        let unit = |row: &[f64], y: [f64; 2]| logistic(row[0] + row[1] * y[0] + row[2] * y[1]);
        let next = |y: [f64; 2]| [unit(&weights[0], y), unit(&weights[1], y)];
        let first = next([last, run.state().unwrap().values()[1]]);
        let second = next(first);
        assert_abs_diff_eq!(free[0][0], first[0], epsilon = 1e-12);
        assert_abs_diff_eq!(free[1][0], second[0], epsilon = 1e-12);
    }

    #[test]
    fn a_run_fails_at_its_limit() {
        let short = Experiment { limit: 1500, ..experiment("0101") };
        assert_eq!(short.run::<f64>(1, EngineChoice::Auto).unwrap(), None);
        // Without learning nothing is learnt.
        let still = Experiment { learning_rate: 0.0, limit: 20_000, ..experiment("sequence") };
        assert_eq!(still.run::<f64>(1, EngineChoice::Auto).unwrap(), None);
    }
}
