//! A record of a run: its learning curve and its last steps, in memory that does not grow with the
//! run.

use std::collections::VecDeque;

use rtrl_model::{Error, Real};

use super::{Progress, Run};

/// Number of steps at the end of a run that are recorded with their outputs.
pub const LAST: usize = 80;

/// Steps of the shortest interval of a curve: a period of the slowest task.
const SHORTEST: u64 = 25;

/// Intervals of a curve have the steps before them divided by this number.
const GROWTH: u64 = 16;

/// A record of a run.
#[derive(Debug, Default)]
pub struct Record {
    /// The error over the steps.
    pub curve: Curve,
    /// The last steps: [`LAST`] and the one before them, fewer if the run is shorter.
    pub moments: VecDeque<Moment>,
    /// W at the end, units x (inputs, bias, units); empty while the run continues.
    pub weights: Vec<Vec<f64>>,
    /// The outputs of the [`LAST`] steps after the end, which the network takes without targets and
    /// without learning; empty where a task has inputs.
    pub alone: Vec<Vec<f64>>,
}

/// A step: the input at t, and targets and state at t + 1.
#[derive(Debug, Default)]
pub struct Moment {
    /// x(t).
    pub input: Vec<f64>,
    /// d(t + 1).
    pub targets: Vec<Option<f64>>,
    /// y(t + 1) of all units, those with targets first.
    pub state: Vec<f64>,
}

/// The error over the steps, averaged over intervals of growing length: about 150 for a million
/// steps.
#[derive(Debug, Default)]
pub struct Curve {
    stretches: Vec<Stretch>,
}

/// Steps that are summed up as one.
#[derive(Debug)]
struct Stretch {
    first: u64,
    last: u64,
    /// Sum of the squared errors.
    squares: f64,
    targets: u32,
}

impl Record {
    /// A record without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// [`Run::advance`], recorded step by step.
    ///
    /// # Errors
    /// As [`Run::advance`] and [`Run::free_run`].
    pub fn advance<T: Real>(&mut self, run: &mut Run<T>, steps: u64) -> Result<Progress, Error> {
        for _ in 0..steps {
            let before = run.steps();
            let progress = run.advance(1)?;
            if run.steps() > before {
                self.see(run)?;
            }
            if progress != Progress::Running {
                self.end(run)?;
                return Ok(progress);
            }
        }
        Ok(Progress::Running)
    }

    fn see<T: Real>(&mut self, run: &Run<T>) -> Result<(), Error> {
        let pairs = run.targets().iter().zip(run.outputs());
        self.curve.add(run.steps(), pairs.filter_map(|(d, y)| Some((*d)? - y)));
        let is_full = self.moments.len() > LAST;
        let oldest = if is_full { self.moments.pop_front() } else { None };
        let mut moment = oldest.unwrap_or_default();
        refill(&mut moment.input, run.input().iter().copied());
        refill(&mut moment.targets, run.targets().iter().copied());
        refill(&mut moment.state, run.state()?.values().iter().map(|y| y.to_f64()));
        self.moments.push_back(moment);
        Ok(())
    }

    fn end<T: Real>(&mut self, run: &mut Run<T>) -> Result<(), Error> {
        self.weights = run.network().weights().to_rows();
        if run.input().is_empty() {
            self.alone = run.free_run(LAST)?;
        }
        Ok(())
    }
}

fn refill<A>(place: &mut Vec<A>, values: impl Iterator<Item = A>) {
    place.clear();
    place.extend(values);
}

impl Curve {
    /// Adds the errors of the step with this number, from 1.
    fn add(&mut self, step: u64, errors: impl Iterator<Item = f64>) {
        let end = self.stretches.last().map_or(0, |stretch| stretch.last);
        if step > end {
            let last = end + SHORTEST.max(end / GROWTH);
            self.stretches.push(Stretch { first: end + 1, last, squares: 0.0, targets: 0 });
        }
        if let Some(stretch) = self.stretches.last_mut() {
            for error in errors {
                stretch.squares += error * error;
                stretch.targets += 1;
            }
        }
    }

    /// For each interval with targets, the step in its middle and the root-mean-square error.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let with_targets = self.stretches.iter().filter(|stretch| stretch.targets > 0);
        let point = |stretch: &Stretch| {
            let middle = 0.5 * (stretch.first + stretch.last) as f64;
            (middle, (stretch.squares / f64::from(stretch.targets)).sqrt())
        };
        with_targets.map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use rtrl_model::EngineChoice;

    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::paper::TABLE;

    #[test]
    fn a_curve_is_short_and_loses_no_error() {
        let mut curve = Curve::default();
        for step in 1..=600_000u64 {
            curve.add(step, [0.5, 0.5].into_iter());
        }
        assert!((100..200).contains(&curve.stretches.len()), "{}", curve.stretches.len());
        assert_eq!(curve.stretches.iter().map(|stretch| stretch.targets).sum::<u32>(), 1_200_000);
        for (_, error) in curve.points() {
            assert_abs_diff_eq!(error, 0.5, epsilon = 1e-12);
        }
        let gaps = curve.stretches.windows(2).any(|pair| pair[0].last + 1 != pair[1].first);
        assert!(!gaps);
    }

    #[test]
    fn a_stretch_without_targets_is_no_point() {
        let mut curve = Curve::default();
        (1..=50).for_each(|step| curve.add(step, (step > 25).then_some(-2.0).into_iter()));
        assert_eq!(curve.points(), [(38.0, 2.0)]);
    }

    /// The run ends as it does unseen, and its last steps are those that are kept.
    #[test]
    fn the_last_steps_are_kept() {
        let experiment = &TABLE[2];
        let mut run = experiment.start::<f64>(1, EngineChoice::Auto).unwrap();
        let mut record = Record::new();
        let progress = record.advance(&mut run, u64::MAX).unwrap();
        let steps = experiment.run::<f64>(1, EngineChoice::Auto).unwrap().unwrap();
        assert_eq!(progress, Progress::Solved { steps });
        assert_eq!(record.moments.len(), LAST + 1);
        assert_eq!(record.moments[LAST].state, run.state().unwrap().values());
        assert_eq!(record.weights, run.network().weights().to_rows());
        let mut again = experiment.start::<f64>(1, EngineChoice::Auto).unwrap();
        again.advance(run.steps() - LAST as u64).unwrap();
        assert_eq!(record.moments[0].state, again.state().unwrap().values());
        assert_eq!(record.moments[0].input, again.input());
        assert!(record.alone.is_empty());
    }
}
