//! The settings of a learner, as plain data.

use rtrl_kernel::{Engine, Pace, Real, Spec};
use serde::{Deserialize, Serialize};

use super::{Learner, LearnerBuilder, Recovery};
use crate::store::Supplies;
use crate::{EngineChoice, Error, Loss, Network, Regime, UpdateSettings};

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

/// The engine, with everything needed to build it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredEngine {
    Eager,
    Deferred { window: usize, even_paced: bool },
    Custom { name: String, exact: bool },
}

impl Settings {
    pub(crate) fn of<T: Real>(learner: &Learner<T>) -> Self {
        Self {
            regime: learner.regime,
            teacher_forcing: learner.teacher_forcing,
            engine: StoredEngine::of(learner.streams[0].engine.spec()),
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
        let engine = self.engine.custom(&network, supplies)?;
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
        match engine {
            Some(engine) => builder.custom_engine(engine).build(),
            None => builder.engine(self.engine.choice()).build(),
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

impl StoredEngine {
    fn of(spec: Spec) -> Self {
        match spec {
            Spec::Eager => Self::Eager,
            Spec::Deferred { window, pace } => {
                Self::Deferred { window, even_paced: pace == Pace::Even }
            }
            Spec::Custom { name, exact } => Self::Custom { name, exact },
        }
    }

    /// The choice that builds this engine; irrelevant for a custom one.
    pub(crate) fn choice(&self) -> EngineChoice {
        match *self {
            Self::Eager | Self::Custom { .. } => EngineChoice::Eager,
            Self::Deferred { window, even_paced } => EngineChoice::Deferred {
                window: Some(window),
                pace: if even_paced { Pace::Even } else { Pace::Bursts },
            },
        }
    }

    /// The custom engine of this name, if it is one.
    pub(crate) fn custom<T: Real>(
        &self,
        network: &Network<T>,
        supplies: &Supplies<T>,
    ) -> Result<Option<Box<dyn Engine<T>>>, Error> {
        let Self::Custom { name, .. } = self else { return Ok(None) };
        let refused = |got| {
            let expected = format!("{name:?} from the supplied factory");
            Err(Error::Setting { what: "custom engine", expected, got })
        };
        let Some(factory) = &supplies.engine else { return refused("no factory".to_owned()) };
        let engine = factory.build(network.layout(), &network.learning(), name)?;
        let spec = Self::of(engine.spec());
        if spec == *self { Ok(Some(engine)) } else { refused(format!("{:?}", engine.spec())) }
    }
}
