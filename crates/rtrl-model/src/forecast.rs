//! Forecasts further ahead than one step, from labels that come late.

use std::path::Path;

use rtrl_kernel::Real;
use serde_json::Value;

use crate::error::{Quantity, check_count, check_finite};
use crate::learner::Waiting;
use crate::store::container::{self, Checkpoints, Saved};
use crate::{Error, Learner, StepReport, Targets};

/// A learner that forecasts `horizon` calls ahead: the label of an input comes that many calls later.
///
/// Call number t brings the input x(t) and the label of x(t - horizon). The learner then takes its step with
/// that pair; so it stands where the youngest complete pair ends, and the inputs since wait. A forecast
/// replays these with today's weights, forward only, and leaves the learner as it is.
///
/// With horizon 1 that is: learn from the last input and its label, then look at the new input.
#[derive(Debug, Clone)]
pub struct Forecaster<T: Real> {
    learner: Learner<T>,
    horizon: usize,
    /// Inputs whose labels have not come, oldest first, one after the other.
    waiting: Vec<T>,
    /// How many they are.
    count: usize,
}

impl<T: Real> Forecaster<T> {
    /// A forecaster around a learner of one stream.
    ///
    /// # Errors
    /// [`Error::Setting`] if the horizon is 0 or the learner has several streams, [`Error::Memory`] if the inputs of a horizon
    /// do not fit in memory.
    pub fn new(learner: Learner<T>, horizon: usize) -> Result<Self, Error> {
        check_count("the horizon", horizon)?;
        if learner.streams() != 1 {
            let (expected, got) = ("1 for forecasts".to_owned(), learner.streams().to_string());
            return Err(Error::Setting { what: "the number of streams", expected, got });
        }
        let inputs = learner.network().inputs();
        let bytes = horizon as u128 * inputs as u128 * size_of::<T>() as u128;
        let refused = Error::Memory { what: "the inputs of a horizon", bytes };
        let Some(len) = horizon.checked_mul(inputs) else { return Err(refused) };
        let mut waiting = Vec::new();
        if waiting.try_reserve_exact(len).is_err() {
            return Err(refused);
        }
        Ok(Self { learner, horizon, waiting, count: 0 })
    }

    /// One whose inputs wait already.
    pub(crate) fn resumed(
        learner: Learner<T>,
        horizon: usize,
        count: usize,
        waiting: &[T],
    ) -> Result<Self, Error> {
        if count > horizon {
            let (expected, got) = (format!("at most {horizon}"), count.to_string());
            return Err(Error::Setting { what: "the number of inputs that wait", expected, got });
        }
        let mut forecaster = Self::new(learner, horizon)?;
        forecaster.waiting.extend_from_slice(waiting);
        forecaster.count = count;
        Ok(forecaster)
    }

    /// Saves everything that the run needs to go on bit for bit, as [`Learner::save`].
    ///
    /// # Errors
    /// As [`Learner::save`].
    pub fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        let waiting = Some(self.stored());
        self.learner
            .save_with(waiting, application, |plan, write| container::save(path, plan, write))
    }

    /// [`Forecaster::save`] into a series of checkpoints, as [`Learner::save_in`].
    ///
    /// # Errors
    /// As [`Learner::save_in`].
    pub fn save_in(&self, series: &Checkpoints, application: &Value) -> Result<Saved, Error> {
        let (waiting, step) = (Some(self.stored()), self.learner.steps());
        self.learner.save_with(waiting, application, |plan, write| series.save(step, plan, write))
    }

    fn stored(&self) -> Waiting<'_, T> {
        Waiting::new(self.horizon, self.count, &self.waiting)
    }

    /// Takes in x(t), and learns from the pair that `label` completes. The report is that of the learner's
    /// step; there is none in the first `horizon` calls, whose labels belong to nothing and are left out.
    ///
    /// # Errors
    /// Those of [`Learner::step`]. Where the learner is left as it was, so is the forecaster: the call may be
    /// repeated. Else x(t) has been taken in, and the pair is gone.
    pub fn observe(
        &mut self,
        input: &[T],
        label: Targets<'_, T>,
    ) -> Result<Option<StepReport<'_, T>>, Error> {
        let inputs = self.learner.network().inputs();
        if input.len() != inputs {
            return Err(Error::InputLength { expected: inputs, got: input.len() });
        }
        check_finite(self.learner.steps(), Quantity::Input, input)?;
        if self.count < self.horizon {
            self.waiting.extend_from_slice(input);
            self.count += 1;
            return Ok(None);
        }
        let result = self.learner.step(&self.waiting[..inputs], label);
        if result.as_ref().map_or_else(Error::has_moved, |_| true) {
            self.waiting.copy_within(inputs.., 0);
            let newest = self.waiting.len() - inputs;
            self.waiting[newest..].copy_from_slice(input);
        }
        result.map(Some)
    }

    /// The forecast of the label that comes `horizon` calls from now; changes nothing.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the network leaves the range of the number type.
    pub fn forecast(&mut self) -> Result<&[T], Error> {
        let inputs = self.learner.network().inputs();
        let waiting = &self.waiting;
        let input = |i: usize| &waiting[i * inputs..][..inputs];
        self.learner.replay(0, (0..self.count).map(input))
    }

    /// Calls between an input and its label.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The learner, which stands where the youngest complete pair ends.
    pub fn learner(&self) -> &Learner<T> {
        &self.learner
    }

    /// Starts a new sequence, as [`Learner::reset`]; the inputs that wait are dropped, since their labels belong
    /// to the old one.
    ///
    /// # Errors
    /// As [`Learner::reset`].
    pub fn reset(&mut self, state: &[T]) -> Result<(), Error> {
        let result = self.learner.reset(state);
        if !matches!(result, Err(Error::StateLength { .. } | Error::NonFinite { .. })) {
            self.waiting.clear();
            self.count = 0;
        }
        result
    }

    /// As [`Learner::reset_sensitivities`].
    ///
    /// # Errors
    /// As [`Learner::reset_sensitivities`].
    pub fn reset_sensitivities(&mut self) -> Result<(), Error> {
        self.learner.reset_sensitivities()
    }

    /// As [`Learner::set_learning_rate`].
    ///
    /// # Errors
    /// As [`Learner::set_learning_rate`].
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), Error> {
        self.learner.set_learning_rate(rate)
    }

    /// The learner, without the inputs that wait.
    pub fn into_learner(self) -> Learner<T> {
        self.learner
    }
}
