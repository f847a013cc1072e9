//! The inputs and targets that a network sees.

use rtrl_model::{Real, Sample, Targets};

use super::{Measure, Problem};
use crate::scale::RunningScale;
use crate::tasks::Task;

/// Steps from which the mean and the deviation of a series are taken.
const MEASURED: usize = 100_000;

/// The seed of the stream that they are taken from, which no run uses.
const SCALE_SEED: u64 = u64::MAX;

/// The stream of one sequence, observed and standardised.
pub(super) struct Stream {
    task: Box<dyn Task>,
    scale: RunningScale,
    drawn: (Vec<f64>, Vec<Option<f64>>),
    /// x(t), the observed inputs.
    input: Vec<f32>,
    /// The observed targets for t + 1.
    targets: Vec<f32>,
    /// Whether they are present.
    has_target: bool,
}

impl Stream {
    /// The streams of a problem with its [`scale`], `seed` the seed of the run.
    pub(super) fn all(problem: &Problem, scale: RunningScale, seed: u64) -> Vec<Self> {
        let first = seed.wrapping_mul(1 << 32);
        let streams = 0..problem.streams as u64;
        streams.map(|b| Self::new(problem, first.wrapping_add(b), scale)).collect()
    }

    fn new(problem: &Problem, seed: u64, scale: RunningScale) -> Self {
        let task = problem.task.start(seed);
        Self {
            drawn: (vec![0.0; task.inputs().len()], vec![None; task.targets().len()]),
            task,
            scale,
            input: vec![0.0; problem.observed.0],
            targets: vec![0.0; problem.observed.1],
            has_target: false,
        }
    }

    /// Moves on by a step.
    pub(super) fn advance(&mut self) {
        let (inputs, targets) = (&mut self.drawn.0, &mut self.drawn.1);
        self.task.draw_into(inputs, targets);
        for (place, &value) in self.input.iter_mut().zip(inputs.iter()) {
            *place = f32::from_f64(self.scale.standardise(value));
        }
        self.has_target = true;
        for (place, target) in self.targets.iter_mut().zip(targets.iter()) {
            self.has_target &= target.is_some();
            *place = f32::from_f64(self.scale.standardise(target.unwrap_or_default()));
        }
    }

    /// What a learner gets.
    pub(super) fn sample(&self) -> Sample<'_, f32> {
        (&self.input, self.targets().map_or(Targets::None, Targets::All))
    }

    /// The targets for t + 1, if there are any.
    pub(super) fn targets(&self) -> Option<&[f32]> {
        self.has_target.then_some(&self.targets)
    }
}

/// The mean and deviation of the first value of a series, which is input and target. Other tasks
/// are not standardised.
pub(super) fn scale(problem: &Problem) -> RunningScale {
    let mut scale = RunningScale::default();
    if problem.measure == Measure::SquaredError {
        let mut task = problem.task.start(SCALE_SEED);
        let mut input = vec![0.0; task.inputs().len()];
        let mut targets = vec![None; task.targets().len()];
        for _ in 0..MEASURED {
            task.draw_into(&mut input, &mut targets);
            scale.add(input[0]);
        }
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::PROBLEMS;

    fn problem(name: &str) -> Problem {
        *PROBLEMS.iter().find(|problem| problem.task.name == name).unwrap()
    }

    /// A series is seen through its first value, standardised; the target is the next input.
    #[test]
    fn series_are_standardised_and_one_step_ahead() {
        for name in ["mackey-glass", "henon", "lorenz"] {
            let mut streams = Stream::all(&problem(name), scale(&problem(name)), 2);
            let mut values = RunningScale::default();
            let mut target = vec![None; streams.len()];
            for _ in 0..5000 {
                for (stream, target) in streams.iter_mut().zip(&mut target) {
                    stream.advance();
                    let (input, targets) = (stream.sample().0, stream.targets().unwrap());
                    assert_eq!((input.len(), targets.len()), (1, 1));
                    assert!(target.is_none_or(|target| target == input[0]), "{name}");
                    *target = Some(targets[0]);
                    values.add(f64::from(input[0]));
                }
            }
            assert!(values.mean().abs() < 0.1 && (values.deviation() - 1.0).abs() < 0.05, "{name}");
            let first = target[0];
            assert!(target[1..].iter().all(|&other| other != first), "{name}: equal streams");
        }
    }

    #[test]
    fn symbols_are_not_standardised_and_targets_may_be_absent() {
        let mut stream = Stream::all(&problem("recall"), RunningScale::default(), 1).swap_remove(0);
        let mut with_target = 0;
        for _ in 0..1000 {
            stream.advance();
            let (input, targets) = stream.sample();
            assert!(input.iter().all(|&x| x == 0.0 || x == 1.0));
            let asked = input[4] == 1.0;
            assert_eq!(matches!(targets, Targets::All(_)), asked);
            with_target += usize::from(asked);
        }
        assert!((15..50).contains(&with_target), "{with_target}");
    }
}
