//! The settings of a learner, as plain data.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use super::{Learner, LearnerBuilder, Recovery};
use crate::engine::StoredEngine;
use crate::store::Supplies;
use crate::{Error, Loss, Network, Regime, UpdateSettings};

/// Settings that may be read.
impl<T: Real> Learner<T> {
    /// When the weights change.
    pub fn regime(&self) -> Regime {
        self.regime
    }

    /// The loss by which outputs are compared with targets.
    pub fn loss(&self) -> &Loss<T> {
        &self.loss
    }
}

/// The settings that a learner was built with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    regime: Regime,
    teacher_forcing: bool,
    pub(crate) engine: StoredEngine,
    step_gradients: bool,
    loss: String,
    sensitivity_decay: f64,
    recovery: Recovery,
    streams: usize,
    updates: UpdateSettings,
}

impl Settings {
    pub(crate) fn of<T: Real>(learner: &Learner<T>) -> Self {
        Self {
            regime: learner.regime,
            teacher_forcing: learner.teacher_forcing,
            engine: StoredEngine::of(&learner.engine_spec()),
            step_gradients: learner.accumulator.each_step,
            loss: learner.loss.saved_name(),
            sensitivity_decay: learner.sensitivity_decay,
            recovery: learner.recovery,
            streams: learner.streams(),
            updates: learner.updater.settings().clone(),
        }
    }

    /// Number of streams.
    pub(crate) fn streams(&self) -> usize {
        self.streams
    }

    /// A learner with these settings before its first step.
    ///
    /// # Errors
    /// [`Error::Setting`] if something that is stored by name has not been supplied; those of
    /// [`LearnerBuilder::build`].
    pub(crate) fn build<T: Real>(
        &self,
        network: Network<T>,
        supplies: &Supplies<T>,
    ) -> Result<Learner<T>, Error> {
        let mut updates = self.updates.clone();
        updates.supply(supplies.schedule.as_ref(), supplies.optimizer.as_ref())?;
        let custom = self.engine.custom(&network, supplies)?;
        let spec = self.engine.spec(&network)?;
        let builder = LearnerBuilder::new(network)
            .regime(self.regime)
            .teacher_forcing(self.teacher_forcing)
            .step_gradients(self.step_gradients)
            .loss(self.loss(supplies)?)
            .sensitivity_decay(self.sensitivity_decay)
            .recovery(self.recovery)
            .updates(updates)
            .streams(self.streams)
            .threads(supplies.threads);
        match custom {
            Some(engine) => builder.custom_engine(engine).build(),
            None => builder.stored_engine(spec).build(),
        }
    }

    fn loss<T: Real>(&self, supplies: &Supplies<T>) -> Result<Loss<T>, Error> {
        match supplies.loss.iter().find(|loss| loss.saved_name() == self.loss) {
            Some(loss) => Ok(loss.clone()),
            None if self.loss.starts_with("custom:") => {
                let expected = format!("{:?} among the supplies", self.loss);
                Err(Error::Setting { what: "custom loss", expected, got: "none".to_owned() })
            }
            None => self.loss.parse(),
        }
    }
}
