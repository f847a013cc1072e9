//! One run by two engines, step by step.

use rtrl_model::{EngineChoice, Error, Real};

use super::{Experiment, Progress, Run};

/// The difference between outputs from which two runs count as diverged. Rounding alone starts at
/// 1e-16 and grows only where the network amplifies it.
const DIVERGED: f64 = 1e-6;

/// The same run with two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The steps before the success began, of each engine; `None` where the run failed.
    pub steps: [Option<u64>; 2],
    /// The first step, from 1, after which an output of the one differed from that of the other by
    /// more than 1e-6, while both ran.
    pub diverged: Option<u64>,
}

impl Comparison {
    /// Whether both engines needed the same steps, or failed both.
    pub fn is_equal(&self) -> bool {
        self.steps[0] == self.steps[1]
    }
}

impl Experiment {
    /// The run of a seed by two engines. Both are exact and differ only by rounding, which a
    /// network may amplify until the runs diverge.
    ///
    /// # Errors
    /// As [`Experiment::run`].
    pub fn compare<T: Real>(
        &self,
        seed: u64,
        engines: [EngineChoice; 2],
    ) -> Result<Comparison, Error> {
        let [mut one, mut other] =
            [self.start::<T>(seed, engines[0])?, self.start::<T>(seed, engines[1])?];
        let mut diverged = None;
        loop {
            let progress = [one.advance(1)?, other.advance(1)?];
            if diverged.is_none() && distance(&one, &other) > DIVERGED {
                diverged = Some(one.steps());
            }
            if progress != [Progress::Running; 2] {
                let steps = [self.end(&mut one, progress[0])?, self.end(&mut other, progress[1])?];
                return Ok(Comparison { steps, diverged });
            }
        }
    }

    /// The end of a run with this progress.
    pub(super) fn end<T: Real>(
        &self,
        run: &mut Run<T>,
        mut progress: Progress,
    ) -> Result<Option<u64>, Error> {
        loop {
            progress = match progress {
                Progress::Running => run.advance(self.limit)?,
                Progress::Solved { steps } => return Ok(Some(steps)),
                Progress::Failed => return Ok(None),
            }
        }
    }
}

/// The largest difference of the outputs of two runs.
fn distance<T: Real>(one: &Run<T>, other: &Run<T>) -> f64 {
    let pairs = one.outputs().iter().zip(other.outputs());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {

    use rtrl_model::Pace;

    use super::*;
    use crate::paper::{Criterion, TABLE};

    const EVEN: EngineChoice = EngineChoice::Deferred { window: Some(5), pace: Pace::Even };

    /// Equal steps to success, or a step at which rounding diverged the runs. Streams of bits that
    /// are learnt within some thousand steps leave rounding no time.
    #[test]
    fn the_engines_need_the_same_steps_unless_rounding_parts_them() {
        let mut equal = 0;
        for experiment in TABLE.iter().filter(|experiment| experiment.quick) {
            let experiment = Experiment { limit: 20_000, ..*experiment };
            for (seed, engine) in [(1, EngineChoice::DEFERRED), (2, EVEN)] {
                let run = experiment.compare::<f64>(seed, [EngineChoice::Eager, engine]).unwrap();
                let same = run.steps[0] == run.steps[1];
                let name = experiment.task.name;
                assert!(same || run.diverged.is_some(), "{name}, seed {seed}: {run:?}");
                let is_short = run.steps[0].is_some_and(|steps| steps < 3000);
                if is_short && matches!(experiment.criterion, Criterion::Answers(_)) {
                    assert!(same && run.diverged.is_none(), "{name}, seed {seed}: {run:?}");
                    equal += 1;
                }
            }
        }
        assert!(equal >= 8, "{equal}");
    }

    /// Negative control: the coarser rounding of single precision is detected in the same runs, and
    /// one engine never parts from itself.
    #[test]
    fn only_rounding_parts_the_engines() {
        let engines = [EngineChoice::Eager, EVEN];
        let xor = TABLE[3];
        assert!(xor.compare::<f32>(1, engines).unwrap().diverged.is_some());
        assert_eq!(xor.compare::<f64>(1, engines).unwrap().diverged, None);
        let itself = xor.compare::<f32>(1, [EVEN; 2]).unwrap();
        assert_eq!((itself.diverged, itself.steps[0]), (None, itself.steps[1]));
    }
}
