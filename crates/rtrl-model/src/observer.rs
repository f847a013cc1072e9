//! Observing a learner while it learns.

use std::time::{Duration, Instant};

use rtrl_kernel::Real;

use crate::error::zero;
use crate::{Error, Learner, Matrix, Sample, StepReport, Targets};

/// An observer of every step.
pub trait Observer<T: Real> {
    /// Observes a step. `learner` is in its state after the step.
    fn observe(&mut self, learner: &Learner<T>, report: &StepReport<'_, T>);
}

impl<T: Real> Learner<T> {
    /// [`Learner::step`], which every observer then observes.
    ///
    /// # Errors
    /// As [`Learner::step`]; a step that is an error is not observed.
    pub fn step_observed(
        &mut self,
        input: &[T],
        targets: Targets<'_, T>,
        observers: &mut [&mut dyn Observer<T>],
    ) -> Result<StepReport<'_, T>, Error> {
        self.step_streams_observed(&[Some((input, targets))], observers)
    }

    /// [`Learner::step_streams`], which every observer then observes.
    ///
    /// # Errors
    /// As [`Learner::step_streams`]; a step that is an error is not observed.
    pub fn step_streams_observed(
        &mut self,
        samples: &[Option<Sample<'_, T>>],
        observers: &mut [&mut dyn Observer<T>],
    ) -> Result<StepReport<'_, T>, Error> {
        let StepReport { step, loss, updated, .. } = self.step_streams(samples)?;
        let report = self.report(step, loss, updated);
        for observer in observers {
            observer.observe(self, &report);
        }
        Ok(report)
    }
}

/// The mean loss of the last steps that had a target.
///
/// An exponential mean: each loss counts `keep` times as much as the next one, so `keep = 1 - 1/N`
/// averages over about N losses.
#[derive(Debug, Clone, Copy)]
pub struct RunningLoss {
    keep: f64,
    sum: f64,
    weight: f64,
}

impl RunningLoss {
    /// Starts with no step.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `keep` is above 0 and at most 1 (every step counts as much).
    pub fn new(keep: f64) -> Result<Self, Error> {
        if keep > 0.0 && keep <= 1.0 {
            return Ok(Self { keep, sum: 0.0, weight: 0.0 });
        }
        let expected = "above 0 and at most 1".to_owned();
        Err(Error::Setting { what: "decay of the running loss", expected, got: keep.to_string() })
    }

    /// The mean; `None` before the first target.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

impl<T: Real> Observer<T> for RunningLoss {
    fn observe(&mut self, learner: &Learner<T>, report: &StepReport<'_, T>) {
        if learner.has_target() {
            self.sum = self.keep * self.sum + report.loss.to_f64();
            self.weight = self.keep * self.weight + 1.0;
        }
    }
}

/// The joint Euclidean norm of the last step's gradient, before clipping.
#[derive(Debug, Clone, Copy, Default)]
pub struct GradientNorm {
    last: Option<f64>,
}

impl GradientNorm {
    /// The norm; `None` before the first step and where gradients accumulate unread
    /// ([`StepReport::gradient`](crate::StepReport::gradient)).
    pub fn last(&self) -> Option<f64> {
        self.last
    }
}

impl<T: Real> Observer<T> for GradientNorm {
    fn observe(&mut self, _: &Learner<T>, report: &StepReport<'_, T>) {
        let squares = |gradient: &crate::Gradient<T>| {
            let values = gradient.matrices().flat_map(Matrix::padded);
            values.fold(0.0, |sum, value| sum + value.to_f64() * value.to_f64())
        };
        self.last = report.gradient.map(|gradient| squares(gradient).sqrt());
    }
}

/// The largest |p| of all streams, computed once per interval: it takes as long as n gradients, and
/// allocates a row of p.
#[derive(Debug, Clone, Copy)]
pub struct LargestSensitivity {
    every: u64,
    seen: u64,
    last: Option<f64>,
}

impl LargestSensitivity {
    /// Observes the first step and then every `every`-th.
    ///
    /// # Errors
    /// [`Error::Setting`] if `every` is 0.
    pub fn new(every: u64) -> Result<Self, Error> {
        if every == 0 {
            return Err(zero("interval between observations"));
        }
        Ok(Self { every, seen: 0, last: None })
    }

    /// The last value; `None` before the first step or if p was not available.
    pub fn last(&self) -> Option<f64> {
        self.last
    }
}

impl<T: Real> Observer<T> for LargestSensitivity {
    fn observe(&mut self, learner: &Learner<T>, _: &StepReport<'_, T>) {
        if self.seen.is_multiple_of(self.every) {
            self.last = learner.largest_sensitivity().ok().map(Real::to_f64);
        }
        self.seen += 1;
    }
}

/// The time from one step to the next, including the caller's work between them.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTime {
    before: Option<Instant>,
    count: u32,
    total: Duration,
    longest: Duration,
}

impl StepTime {
    /// The mean; `None` before the second step.
    pub fn mean(&self) -> Option<Duration> {
        self.total.checked_div(self.count)
    }

    /// The longest so far.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// Counts the time since the last step, if this is not the first. `now` is the end of this
    /// step.
    fn count_until(&mut self, now: Instant) {
        if let Some(before) = self.before.replace(now)
            && self.count < u32::MAX
        {
            let time = now - before;
            self.count += 1;
            self.total += time;
            self.longest = self.longest.max(time);
        }
    }
}

impl<T: Real> Observer<T> for StepTime {
    fn observe(&mut self, _: &Learner<T>, _: &StepReport<'_, T>) {
        self.count_until(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_times_are_those_between_steps() {
        let (start, milliseconds) = (Instant::now(), Duration::from_millis);
        let mut time = StepTime::default();
        for (at, mean, longest) in
            [(0, None, 0), (4, Some(4), 4), (14, Some(7), 10), (15, Some(5), 10)]
        {
            time.count_until(start + milliseconds(at));
            let expected = (mean.map(milliseconds), milliseconds(longest));
            assert_eq!((time.mean(), time.longest()), expected, "at {at} ms");
        }
    }
}
