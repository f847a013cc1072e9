//! Gradients on their way to the weights.

use rtrl_kernel::Real;

use crate::error::Quantity;
use crate::gradient::Gradient;
use crate::optimizer::Updater;
use crate::{Error, Network, Regime, Timing};

/// The accumulated gradient, the pending one, and when the next update is due.
#[derive(Debug, Clone)]
pub(super) struct Accumulator<T> {
    regime: Regime,
    /// Whether the gradient of each step is read (otherwise the engines accumulate between
    /// updates).
    pub(super) each_step: bool,
    /// The sum since the last update, where several steps accumulate.
    pub(super) sum: Option<Gradient<T>>,
    /// Whether there was a target since the last update.
    pub(super) has_target: bool,
    /// The gradient that is pending until the next step has been computed, in the paper's order.
    pub(super) waiting: Option<Gradient<T>>,
    /// Whether a gradient is pending.
    pub(super) due: bool,
    /// Steps of the real-time regime so far.
    pub(super) steps: u64,
}

impl<T: Real> Accumulator<T> {
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
            has_target: false,
            waiting: late.then(zeros).transpose()?,
            due: false,
            steps: 0,
        })
    }

    /// Whether the next step ends with an update.
    pub(super) fn is_due(&self) -> bool {
        match self.regime {
            Regime::Epochwise => false,
            // A division takes longer than everything else here.
            Regime::RealTime { every: 1, .. } => true,
            Regime::RealTime { every, .. } => (self.steps + 1).is_multiple_of(every as u64),
        }
    }

    /// Accumulates or applies the gradient of a step, `checked` if it is known to be finite, and
    /// does the updates that are due. Returns whether weights changed.
    ///
    /// # Errors
    /// What is not finite; that update is dropped.
    #[inline]
    pub(super) fn take(
        &mut self,
        (gradient, checked): (&Gradient<T>, bool),
        has_target: bool,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        let late = self.apply_waiting(updater, network);
        let due = self.is_due();
        let collected = self.collect((gradient, checked), has_target, due);
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

    /// Adds a step's gradient to the sum, where there is one. The engines accumulate that of W,
    /// unless the gradient of each step is read.
    ///
    /// # Errors
    /// [`Quantity::Gradient`] if a sum overflows, of steps or of streams; it is dropped.
    #[inline]
    fn collect(
        &mut self,
        (gradient, checked): (&Gradient<T>, bool),
        has_target: bool,
        due: bool,
    ) -> Result<(), Quantity> {
        self.has_target |= has_target;
        if self.sum.is_some() {
            return self.sum_up(gradient, has_target, due);
        }
        let finite = checked || gradient.is_finite();
        self.has_target &= finite;
        if finite { Ok(()) } else { Err(Quantity::Gradient) }
    }

    /// [`Accumulator::collect`] where there is a sum.
    #[inline(never)]
    fn sum_up(
        &mut self,
        gradient: &Gradient<T>,
        has_target: bool,
        due: bool,
    ) -> Result<(), Quantity> {
        if let (Some(sum), true) = (&mut self.sum, has_target) {
            sum.add(gradient, self.each_step);
            self.check_sum()?;
        }
        if !self.each_step && due && self.has_target { self.close_sum(gradient) } else { Ok(()) }
    }

    /// Adds the gradient of W that the engines have accumulated since they were last read.
    ///
    /// # Errors
    /// [`Quantity::Gradient`] if the sum overflows; it is dropped.
    pub(super) fn close_sum(&mut self, gradient: &Gradient<T>) -> Result<(), Quantity> {
        if let (Some(sum), false) = (&mut self.sum, self.each_step) {
            sum.recurrent.add(&gradient.recurrent);
        }
        self.check_sum()
    }

    /// Drops the accumulated gradient if it is not finite.
    fn check_sum(&mut self) -> Result<(), Quantity> {
        let Some(sum) = self.sum.as_mut().filter(|sum| !sum.is_finite()) else { return Ok(()) };
        sum.clear();
        self.has_target = false;
        Err(Quantity::Gradient)
    }

    /// Drops the accumulated gradient, of which an engine has lost its share.
    pub(super) fn drop_sum(&mut self) {
        if self.each_step {
            return;
        }
        self.has_target = false;
        if let Some(sum) = &mut self.sum {
            sum.clear();
        }
    }

    /// Applies the accumulated gradient, or the step's own where nothing accumulates.
    #[inline]
    fn apply(
        &mut self,
        gradient: &Gradient<T>,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        if self.sum.is_some() {
            return self.apply_sum(updater, network);
        }
        if !std::mem::take(&mut self.has_target) {
            return Ok(false);
        }
        updater.apply(network, gradient).map(|()| true)
    }

    /// Applies and clears the accumulated gradient, if a step had a target.
    #[inline(never)]
    pub(super) fn apply_sum(
        &mut self,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        let Some(sum) = &mut self.sum else { return Ok(false) };
        if !std::mem::take(&mut self.has_target) {
            return Ok(false);
        }
        let result = updater.apply(network, sum);
        sum.clear();
        result.map(|()| true)
    }

    /// Makes the accumulated gradient the pending one.
    #[inline(never)]
    fn wait(&mut self, gradient: &Gradient<T>) {
        let Some(waiting) = &mut self.waiting else { return };
        self.due = std::mem::take(&mut self.has_target);
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

    /// Applies the pending gradient, if there is one.
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
