//! Gradients on their way to the weights.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use crate::error::Quantity;
use crate::gradient::Gradient;
use crate::optimizer::Updater;
use crate::{Error, Network, Regime, Timing};

/// What has added up, what waits, and when the next update is due.
#[derive(Debug, Clone)]
pub(super) struct Updates<T> {
    regime: Regime,
    /// Whether each step's gradient is read on its own (else the engines add them up between updates).
    pub(super) each_step: bool,
    /// The sum since the last update, where several steps add up.
    sum: Option<Gradient<T>>,
    /// Whether a target came since the last update.
    pub(super) learnt: bool,
    /// What waits for the next step to be computed, in the paper's order.
    waiting: Option<Gradient<T>>,
    /// Whether something waits.
    due: bool,
    /// Steps of the real-time regime so far.
    steps: u64,
}

/// The part of [`Updates`] that is no gradient.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Counters {
    learnt: bool,
    due: bool,
    steps: u64,
}

impl Counters {
    /// Steps of the real-time regime.
    pub(super) fn steps(self) -> u64 {
        self.steps
    }
}

impl<T: Real> Updates<T> {
    pub(super) fn new(
        regime: Regime,
        step_gradients: bool,
        network: &Network<T>,
    ) -> Result<Self, Error> {
        let zeros = || Gradient::zeros(network);
        let late = matches!(regime, Regime::RealTime { timing: Timing::AfterNextStep, .. });
        Ok(Self {
            regime,
            each_step: step_gradients || !regime.accumulates(),
            sum: regime.accumulates().then(zeros).transpose()?,
            learnt: false,
            waiting: late.then(zeros).transpose()?,
            due: false,
            steps: 0,
        })
    }

    /// What is due, as plain data.
    pub(super) fn counters(&self) -> Counters {
        let Self { learnt, due, steps, .. } = *self;
        Counters { learnt, due, steps }
    }

    pub(super) fn set_counters(&mut self, counters: Counters) {
        let Counters { learnt, due, steps } = counters;
        (self.learnt, self.due, self.steps) = (learnt, due, steps);
    }

    /// The gradients that have added up and that wait, each by its name in a checkpoint.
    pub(super) fn gradients(&self) -> impl Iterator<Item = (&'static str, &Gradient<T>)> {
        let sum = self.sum.iter().map(|gradient| ("sum", gradient));
        sum.chain(self.waiting.iter().map(|gradient| ("waiting", gradient)))
    }

    /// [`Updates::gradients`], to be restored.
    pub(super) fn gradients_mut(
        &mut self,
    ) -> impl Iterator<Item = (&'static str, &mut Gradient<T>)> {
        let sum = self.sum.iter_mut().map(|gradient| ("sum", gradient));
        sum.chain(self.waiting.iter_mut().map(|gradient| ("waiting", gradient)))
    }

    /// Whether the step that comes next ends with an update.
    pub(super) fn is_due(&self) -> bool {
        match self.regime {
            Regime::Epochwise => false,
            Regime::RealTime { every, .. } => (self.steps + 1).is_multiple_of(every.get() as u64),
        }
    }

    /// Takes in the gradient of a step that has been computed, `checked` if it is known to be finite, and
    /// makes the updates that are due. Says whether weights changed.
    ///
    /// # Errors
    /// What is not finite; that update is dropped.
    #[inline]
    pub(super) fn take(
        &mut self,
        (gradient, checked): (&Gradient<T>, bool),
        learns: bool,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        let late = self.apply_waiting(updater, network);
        let due = self.is_due();
        let collected = self.collect((gradient, checked), learns, due);
        let now = match self.regime {
            Regime::Epochwise => Ok(false),
            Regime::RealTime { timing, .. } => {
                self.steps += 1;
                match timing {
                    _ if !due => Ok(false),
                    Timing::Immediate => self.apply(gradient, updater, network),
                    Timing::AfterNextStep => {
                        self.wait(gradient);
                        Ok(false)
                    }
                }
            }
        };
        let updated = late? | now?;
        collected.map(|()| updated)
    }

    /// Adds a step's gradient to the sum, where there is one. That of W has been added up by the engines,
    /// unless each step is read.
    ///
    /// # Errors
    /// [`Quantity::Gradient`] if a sum overflows, of steps or of streams; it is dropped.
    fn collect(
        &mut self,
        (gradient, checked): (&Gradient<T>, bool),
        learns: bool,
        due: bool,
    ) -> Result<(), Quantity> {
        self.learnt |= learns;
        let Some(sum) = &mut self.sum else {
            let finite = checked || gradient.is_finite();
            self.learnt &= finite;
            return if finite { Ok(()) } else { Err(Quantity::Gradient) };
        };
        if learns {
            sum.add(gradient, self.each_step);
        }
        let finite = !learns || sum.is_finite();
        if !finite {
            sum.clear();
            self.learnt = false;
            return Err(Quantity::Gradient);
        }
        if !self.each_step && due && self.learnt {
            self.close_sum(gradient);
        }
        Ok(())
    }

    /// Takes over the sum of W's gradients that the engines have added up.
    pub(super) fn close_sum(&mut self, gradient: &Gradient<T>) {
        if let (Some(sum), false) = (&mut self.sum, self.each_step) {
            sum.recurrent.copy_from(&gradient.recurrent);
        }
    }

    /// Forgets what has added up, where an engine has lost a part of it.
    pub(super) fn drop_sum(&mut self) {
        if self.each_step {
            return;
        }
        self.learnt = false;
        if let Some(sum) = &mut self.sum {
            sum.clear();
        }
    }

    /// Applies what has added up, or the step's own gradient where nothing adds up.
    fn apply(
        &mut self,
        gradient: &Gradient<T>,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        if self.sum.is_some() {
            return self.apply_sum(updater, network);
        }
        if !std::mem::take(&mut self.learnt) {
            return Ok(false);
        }
        updater.apply(network, gradient).map(|()| true)
    }

    /// Applies and clears what has added up, if a target came.
    pub(super) fn apply_sum(
        &mut self,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        let Some(sum) = &mut self.sum else { return Ok(false) };
        if !std::mem::take(&mut self.learnt) {
            return Ok(false);
        }
        let result = updater.apply(network, sum);
        sum.clear();
        result.map(|()| true)
    }

    /// Lets what has added up wait for the next step.
    fn wait(&mut self, gradient: &Gradient<T>) {
        let Some(waiting) = &mut self.waiting else { return };
        self.due = std::mem::take(&mut self.learnt);
        if !self.due {
            return;
        }
        match &mut self.sum {
            Some(sum) => {
                waiting.copy_from(sum);
                sum.clear();
            }
            None => waiting.copy_from(gradient),
        }
    }

    /// Applies what waits, if something does.
    pub(super) fn apply_waiting(
        &mut self,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        match &self.waiting {
            Some(waiting) if std::mem::take(&mut self.due) => {
                updater.apply(network, waiting).map(|()| true)
            }
            _ => Ok(false),
        }
    }
}
