//! How even the steps of the deferred engine are: each is timed separately, by its position in the
//! window.

use std::time::Duration;

use rtrl_bench::timing::{median, quantile};
use rtrl_kernel::{Pace, Real};
use rtrl_model::{EngineChoice, Error, Learner};

use crate::case::Case;
use crate::measure::{Measured, seconds};
use crate::record::Record;
use crate::scenario::Scenario;

/// Windows that are timed.
const WINDOWS: usize = 200;

/// Windows before that: p has to be flushed once, and touched with it.
const WARM_UP: usize = 2;

/// A sample of the peak, one after every window.
const PEAK: Duration = Duration::from_millis(1);

/// Both paces, alternating by window, so that disturbances affect both.
pub(crate) fn paces<T: Real>(case: Case<'_>) -> Result<[Record; 2], Error> {
    let bursts = Case { scenario: Scenario::Bursts, ..case };
    let even = Case { scenario: Scenario::EvenPaced, ..case };
    let (mut of_bursts, mut of_even) = (learner::<T>(bursts)?, learner::<T>(even)?);
    let bytes = [of_bursts.state_bytes(), of_even.state_bytes()];
    let mut steps = [Steps::new(bursts)?, Steps::new(even)?];
    let (mut step_bursts, mut step_even) =
        (bursts.stepper(&mut of_bursts), even.stepper(&mut of_even));
    let mut peaks = Vec::new();
    for turn in 0..WARM_UP + WINDOWS {
        steps[0].take_window(&mut step_bursts);
        steps[1].take_window(&mut step_even);
        if turn < WARM_UP {
            for steps in &mut steps {
                steps.seconds.clear();
            }
        }
        peaks.push(case.cores.peak::<T>(PEAK));
    }
    let peak = median(&mut peaks);
    let [of_bursts, of_even] = steps;
    Ok([of_bursts.record::<T>(bursts, bytes[0], peak)?, of_even.record::<T>(even, bytes[1], peak)?])
}

fn choice(scenario: Scenario) -> EngineChoice {
    let pace = if scenario == Scenario::EvenPaced { Pace::Even } else { Pace::Bursts };
    EngineChoice::Deferred { window: None, pace }
}

fn learner<T: Real>(case: Case<'_>) -> Result<Learner<T>, Error> {
    case.learner(choice(case.scenario))
}

/// The seconds of every step, window after window.
struct Steps {
    window: usize,
    seconds: Vec<f64>,
}

impl Steps {
    fn new(case: Case<'_>) -> Result<Self, Error> {
        Ok(Self { window: case.window(choice(case.scenario))?, seconds: Vec::new() })
    }

    fn take_window(&mut self, mut step: impl FnMut() -> bool) {
        for _ in 0..self.window {
            self.seconds.push(seconds(|| assert!(step(), "what is measured failed")));
        }
    }

    /// The largest of the medians that the places in the window have.
    fn worst_phase(&self) -> f64 {
        let of_phase = |phase| self.seconds.iter().skip(phase).step_by(self.window).copied();
        let medians =
            (0..self.window).map(|phase| median(&mut of_phase(phase).collect::<Vec<_>>()));
        medians.fold(f64::NAN, f64::max)
    }

    /// The median over the windows of the mean step.
    fn mean_step(&self) -> f64 {
        let mean = |window: &[f64]| window.iter().sum::<f64>() / window.len() as f64;
        median(&mut self.seconds.chunks(self.window).map(mean).collect::<Vec<_>>())
    }

    fn record<T: Real>(mut self, case: Case<'_>, bytes: usize, peak: f64) -> Result<Record, Error> {
        let (worst_phase, seconds) = (Some(self.worst_phase()), self.mean_step());
        let p999 = quantile(&mut self.seconds, 0.999);
        let median_step = Some(median(&mut self.seconds));
        let measured = Measured { seconds, p999, peak };
        let record = case.step_record::<T>("deferred", choice(case.scenario), bytes, &measured)?;
        Ok(Record { median_step, worst_phase, ..record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbance_is_not_a_long_phase() {
        let mut seconds = [1.0, 2.0, 9.0].repeat(5);
        seconds[3] = 100.0;
        let steps = Steps { window: 3, seconds };
        assert_eq!((steps.worst_phase(), steps.mean_step()), (9.0, 4.0));
    }
}
