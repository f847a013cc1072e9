//! The description of a learner and its checks.

use rtrl_kernel::{Engine, Real, Spec, Threads, Workers, build, cost};

use super::accumulate::Accumulator;
use super::combined::Combined;
use super::stream::Stream;
use super::{Learner, Recoveries, Recovery};
use crate::compiled::{compiled, once};
use crate::error::check_count;
use crate::gradient::Gradient;
use crate::optimizer::Updater;
use crate::readout_rls::ReadoutRls;
use crate::{
    Clipping, Connection, EngineChoice, Error, Loss, Network, Optimizer, RateSchedule, Regime,
    UpdateSettings,
};

/// Describes a learner; [`LearnerBuilder::build`] checks the description.
///
/// Defaults: real-time with immediate updates, no teacher forcing, gradient descent with rate 0.01,
/// no clipping, the engine and the number of threads chosen by the shape.
#[derive(Debug, Clone)]
pub struct LearnerBuilder<T: Real> {
    network: Network<T>,
    regime: Regime,
    teacher_forcing: bool,
    updates: UpdateSettings,
    engine: Option<EngineChoice>,
    custom_engine: Option<Box<dyn Engine<T>>>,
    /// The engine of a file, instead of a choice.
    stored_engine: Option<Spec>,
    threads: Threads,
    step_gradients: bool,
    streams: usize,
    recovery: Recovery,
    loss: Loss<T>,
    sensitivity_decay: f64,
}

compiled!(Build<'a, T>: LearnerBuilder::make, LearnerBuilder<T> => Result<Learner<T>, Error>);

impl<T: Real> LearnerBuilder<T> {
    pub(super) fn new(network: Network<T>) -> Self {
        Self {
            network,
            regime: Regime::default(),
            teacher_forcing: false,
            updates: UpdateSettings::default(),
            engine: None,
            custom_engine: None,
            stored_engine: None,
            threads: Threads::Auto,
            step_gradients: false,
            streams: 1,
            recovery: Recovery::default(),
            loss: Loss::SquaredError,
            sensitivity_decay: 1.0,
        }
    }

    /// When the weights change.
    #[must_use]
    pub fn regime(mut self, regime: Regime) -> Self {
        self.regime = regime;
        self
    }

    /// Whether a unit with a target at t passes the target on instead of its own output.
    #[must_use]
    pub fn teacher_forcing(mut self, forcing: bool) -> Self {
        self.teacher_forcing = forcing;
        self
    }

    /// Replaces all settings between gradient and weights, for example by [`UpdateSettings::adamw`]
    /// or by those of a file.
    #[must_use]
    pub fn updates(mut self, settings: UpdateSettings) -> Self {
        self.updates = settings;
        self
    }

    /// The optimiser, which turns gradients into changes of the weights.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.updates.optimizer = optimizer;
        self
    }

    /// A learning rate for the readout, instead of the optimiser's.
    #[must_use]
    pub fn readout_learning_rate(mut self, rate: f64) -> Self {
        self.updates.readout_learning_rate = Some(rate);
        self
    }

    /// How the learning rates change with the number of updates.
    #[must_use]
    pub fn schedule(mut self, schedule: RateSchedule) -> Self {
        self.updates.schedule = schedule;
        self
    }

    /// Limits on the gradient.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.updates.clipping = clipping;
        self
    }

    /// Decoupled weight decay; see [`UpdateSettings::weight_decay`].
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.updates.weight_decay = decay;
        self
    }

    /// A limit on the largest singular value of the recurrent weights; see
    /// [`UpdateSettings::spectral_limit`].
    #[must_use]
    pub fn spectral_limit(mut self, limit: f64) -> Self {
        self.updates.spectral_limit = Some(limit);
        self
    }

    /// The engine that computes the sensitivities. [`EngineChoice::Auto`] by default.
    #[must_use]
    pub fn engine(mut self, engine: EngineChoice) -> Self {
        self.engine = Some(engine);
        self
    }

    /// A custom engine instead of a built-in one, built for [`Network::layout`] and
    /// [`Network::learning`], for example a rule to compare with the exact one. Each stream gets a
    /// clone.
    #[must_use]
    pub fn custom_engine(mut self, engine: Box<dyn Engine<T>>) -> Self {
        self.custom_engine = Some(engine);
        self
    }

    /// [`LearnerBuilder::custom_engine`] with the engine that `make` builds for the network and the
    /// regime of this description.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn custom_engine_for<E>(
        self,
        make: impl FnOnce(&Network<T>, Regime) -> Result<Box<dyn Engine<T>>, E>,
    ) -> Result<Self, E> {
        let engine = make(&self.network, self.regime)?;
        Ok(self.custom_engine(engine))
    }

    /// The engine of a file, built for [`Network::layout`].
    pub(super) fn stored_engine(mut self, engine: Spec) -> Self {
        self.stored_engine = Some(engine);
        self
    }

    /// Whether the gradient of each step is computed even if gradients accumulate before the
    /// weights change (epochwise, or an update at every u-th step). This costs the deferred engine
    /// most of what it saves by accumulating, and changes the rounding of the sum. Off by default.
    #[must_use]
    pub fn step_gradients(mut self, each: bool) -> Self {
        self.step_gradients = each;
        self
    }

    /// How many threads the engine may use. The results do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// How many independent sequences share the weights. 1 by default.
    #[must_use]
    pub fn streams(mut self, streams: usize) -> Self {
        self.streams = streams;
        self
    }

    /// The automatic recoveries from overflow.
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// The loss by which outputs are compared with targets. The squared error by default.
    #[must_use]
    pub fn loss(mut self, loss: Loss<T>) -> Self {
        self.loss = loss;
        self
    }

    /// A factor of p at every step, above 0 and at most 1. Below 1, the credit of an input t steps
    /// ago is scaled by `decay^t`, and the gradient is no longer exact. 1 by default.
    #[must_use]
    pub fn sensitivity_decay(mut self, decay: f64) -> Self {
        self.sensitivity_decay = decay;
        self
    }

    /// Checks the description and builds the learner. All streams start in the initial state of the
    /// network.
    ///
    /// # Errors
    /// [`Error::Setting`] for an invalid or inconsistent setting, [`Error::Kernel`] if the
    /// sensitivities do not fit in memory or the threads cannot be started.
    pub fn build(self) -> Result<Learner<T>, Error> {
        once::<Build, T>(self)
    }

    fn make(self) -> Result<Learner<T>, Error> {
        check_count("number of streams", self.streams)?;
        self.regime.check()?;
        if self.teacher_forcing && self.network.readout.is_some() {
            return Err(Error::Setting {
                what: "teacher forcing",
                expected: "off with a readout, whose outputs do not feed back".to_owned(),
                got: "on".to_owned(),
            });
        }
        let layers = self.network.layers().len();
        if self.teacher_forcing && layers > 1 {
            return Err(Error::Setting {
                what: "teacher forcing",
                expected: "off in a network of several layers".to_owned(),
                got: format!("on with {layers} layers"),
            });
        }
        self.check_engine()?;
        self.loss.check(&self.network)?;
        let fit = ReadoutRls::of(&self.network, &self.loss, self.regime)?;
        let spec = self.engine_spec()?;
        let (workers, threads) = self.divide_threads(&spec)?;
        let streams = self.make_streams(&spec, threads)?;
        let Self { network, regime, .. } = self;
        let count = streams.len();
        let combined = || {
            let gradient = Gradient::zeros(&network)?;
            Ok::<_, Error>(Combined::new(network.outputs(), count, gradient))
        };
        Ok(Learner {
            combined: (count > 1).then(combined).transpose()?,
            accumulator: Accumulator::new(regime, self.step_gradients, &network)?,
            updater: Updater::new(self.updates, &network)?,
            loss: self.loss,
            fit,
            sensitivity_decay: self.sensitivity_decay,
            turn: 0..count,
            streams,
            regime,
            teacher_forcing: self.teacher_forcing,
            recovery: self.recovery,
            recoveries: Recoveries::default(),
            workers,
            ahead: network.state(),
            steps: 0,
            whole: false,
            network,
        })
    }

    /// The engine to build. For a custom one, an engine of the network whose operations say how
    /// many threads pay.
    fn engine_spec(&self) -> Result<Spec, Error> {
        let (choice, network) = (self.engine.unwrap_or_default(), &self.network);
        match &self.stored_engine {
            Some(stored) => Ok(stored.clone()),
            None if self.custom_engine.is_some() => choice.undivided(network, self.regime),
            None => choice.spec(network, self.regime),
        }
    }

    /// Fails for a choice of engine next to a custom one, and for a custom one of another shape.
    fn check_engine(&self) -> Result<(), Error> {
        let Some(custom) = &self.custom_engine else { return Ok(()) };
        if self.engine.is_some() {
            let expected = "`engine` or `custom_engine`".to_owned();
            let got = "two choices".to_owned();
            return Err(Error::Setting { what: "engine", expected, got });
        }
        let (expected, got) =
            (self.network.connections().count(Connection::Learning), custom.weights());
        if got == expected {
            return Ok(());
        }
        let expected = format!("{expected}, one for each weight that learns");
        let what = "number of weights of the custom engine";
        Err(Error::Setting { what, expected, got: got.to_string() })
    }

    fn make_streams(&self, spec: &Spec, threads: Threads) -> Result<Vec<Stream<T>>, Error> {
        let network = &self.network;
        let decay = T::from_f64(self.sensitivity_decay);
        if !(decay > T::ZERO && decay <= T::ONE) {
            let expected = format!("above 0 and at most 1 in {}", T::NAME);
            let got = self.sensitivity_decay.to_string();
            return Err(Error::Setting { what: "decay of the sensitivities", expected, got });
        }
        let (layout, learning, isa) = (network.layout(), network.learning(), network.isa());
        let stream = || {
            let engine = match &self.custom_engine {
                Some(engine) => engine.clone(),
                None => build(spec, layout, &learning, isa, threads)?,
            };
            Stream::new(network, engine, decay)
        };
        let mut streams = Vec::new();
        if streams.try_reserve_exact(self.streams).is_err() {
            let bytes = self.streams as u128 * size_of::<Stream<T>>() as u128;
            return Err(Error::Memory { what: "the streams", bytes });
        }
        for _ in 0..self.streams {
            streams.push(stream()?);
        }
        Ok(streams)
    }

    /// The threads among which the streams are divided, and the threads of each engine.
    fn divide_threads(&self, spec: &Spec) -> Result<(Workers, Threads), Error> {
        let streams = self.streams;
        if streams == 1 {
            return Ok((Workers::new(Threads::SERIAL, 0)?, self.threads));
        }
        let (states, weights) = (self.network.layout().states(), self.network.weight_counts().1);
        let flops = cost::step(spec, states, weights).saturating_mul(streams as u128);
        let all = self.threads.count(flops);
        let side_by_side = all.min(streams);
        let each = all.checked_div(side_by_side).unwrap_or(all);
        let workers = Workers::new(Threads::Exactly(side_by_side), flops)?;
        Ok((workers, Threads::Exactly(each)))
    }
}
