//! The learner: a network that learns while it runs.

use rtrl_kernel::{Engine, Real, Step, Threads, sum_of_squares};

use crate::error::{Quantity, check_finite};
use crate::gradient::Gradient;
use crate::network::{Pass, Teacher};
use crate::optimizer::Updater;
use crate::{
    Clipping, Connection, EngineChoice, Error, Matrix, Network, Optimizer, Regime, Targets, Timing,
};

/// A network with everything that its learning needs.
///
/// One call of [`Learner::step`] is one time step; the data path is
/// *forward* (equations 1 and 2) → *error* (3 and 4) → *sensitivities* (5) → *gradient* and
/// *weights* (6).
///
/// "Exact" means the recursion's own values: the true derivative of the loss while the weights stand
/// still, the paper's real-time algorithm when they change at every step.
#[derive(Debug, Clone)]
pub struct Learner<T: Real> {
    network: Network<T>,
    engine: Box<dyn Engine<T>>,
    regime: Regime,
    teacher_forcing: bool,
    /// The forced set of time t; empty without teacher forcing.
    teacher: Teacher<T>,
    peek: Pass<T>,
    /// e(t+1) of the outputs, and what of it reaches the units.
    errors: Vec<T>,
    unit_errors: Vec<T>,
    /// The gradient of the last step; that of W stays zero where the engine adds it up.
    gradient: Gradient<T>,
    gradient_is_zero: bool,
    schedule: Schedule<T>,
    updater: Updater<T>,
    steps: u64,
    lost: bool,
}

/// Gradients on their way to the weights.
#[derive(Debug, Clone)]
struct Schedule<T> {
    /// Whether each step's gradient is read on its own (else the engine adds them up between updates).
    each_step: bool,
    /// The sum since the last update, where several steps add up.
    sum: Option<Gradient<T>>,
    /// Whether a target came since the last update.
    learnt: bool,
    /// What waits for the next step to be computed, in the paper's order.
    waiting: Option<Gradient<T>>,
    /// Whether something waits.
    due: bool,
    /// Steps of the real-time regime so far.
    steps: u64,
}

/// What one step computed.
#[derive(Debug)]
pub struct StepReport<'a, T> {
    /// Number of the step, from 0.
    pub step: u64,
    /// The outputs at t + 1: of the readout if there is one, else y(t+1).
    pub outputs: &'a [T],
    /// e(t+1), one value an output, 0 where there is no target.
    pub errors: &'a [T],
    /// J(t+1), half the sum of the squared errors.
    pub loss: T,
    /// dJ(t+1)/dw of this step alone, before clipping; zero without a target. `None` where gradients add
    /// up over several steps, unless [`LearnerBuilder::step_gradients`] asks for them.
    pub gradient: Option<&'a Gradient<T>>,
    /// Whether weights changed in this step.
    pub updated: bool,
}

impl<T: Real> Learner<T> {
    /// Starts to describe how `network` learns.
    pub fn builder(network: Network<T>) -> LearnerBuilder<T> {
        LearnerBuilder {
            network,
            regime: Regime::default(),
            teacher_forcing: false,
            optimizer: Optimizer::sgd(0.01),
            clipping: Clipping::default(),
            engine: EngineChoice::Auto,
            own_engine: None,
            threads: Threads::Auto,
            step_gradients: false,
        }
    }

    /// One time step: computes y(t+1), e(t+1), J(t+1), p(t+1) and the gradient from the input x(t) and
    /// the targets for t + 1, and changes the weights where the regime says so.
    ///
    /// A step without any target is an ordinary step: state and sensitivities move on, nothing is learnt.
    ///
    /// # Errors
    /// [`Error::InputLength`], [`Error::TargetLength`], [`Error::NonFinite`] and
    /// [`Error::SensitivitiesLost`] leave the learner as it was. After [`Error::Overflow`] the state has
    /// advanced, p is lost, and so are gradients that have added up in the engine;
    /// [`Error::UpdateRefused`] concerns the change of the weights alone.
    pub fn step(
        &mut self,
        input: &[T],
        targets: Targets<'_, T>,
    ) -> Result<StepReport<'_, T>, Error> {
        targets.check(self.steps, self.network.outputs())?;
        if self.lost {
            return Err(Error::SensitivitiesLost { step: self.steps });
        }
        self.forward(input)?;
        let loss = self.compare(&targets)?;
        let learns = targets.any();
        self.advance(&targets, learns)?;
        let updated = self.learn(learns)?;
        let (step, outputs) = (self.steps - 1, self.network.pass.outputs());
        Ok(StepReport {
            step,
            outputs,
            errors: &self.errors,
            loss,
            gradient: self.schedule.each_step.then_some(&self.gradient),
            updated,
        })
    }

    /// What [`Learner::step`] would put out for this input; changes nothing.
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::NonFinite`].
    pub fn peek(&mut self, input: &[T]) -> Result<&[T], Error> {
        let Network { layers, state, .. } = &self.network;
        self.peek.run(layers, self.steps, state, Some(&self.teacher), input)?;
        Ok(self.peek.outputs())
    }

    /// Starts a new sequence: y as given, p = 0, no unit forced. Weights, optimiser, counters and
    /// gradients that wait or have added up stay.
    ///
    /// # Errors
    /// [`Error::StateLength`] or [`Error::NonFinite`], with nothing changed; [`Error::Overflow`] as
    /// [`Learner::reset_sensitivities`], after which the reset has been done.
    pub fn reset(&mut self, state: &[T]) -> Result<(), Error> {
        self.network.replace_state(self.steps, state)?;
        self.teacher.forced.fill(false);
        self.reset_sensitivities()
    }

    /// Sets p = 0 and leaves everything else: past inputs get no more credit. The way on after an
    /// [`Error::Overflow`].
    ///
    /// # Errors
    /// [`Error::Overflow`] if gradients that have added up turn out to have overflowed. They are dropped,
    /// and the reset has been done.
    pub fn reset_sensitivities(&mut self) -> Result<(), Error> {
        let result = self.engine.reset().map_err(|error| self.lose(error));
        self.lost = false;
        result
    }

    /// Ends an epoch: applies the gradient that has added up, then resets to `state`.
    ///
    /// # Errors
    /// [`Error::Regime`] unless learning is epochwise, [`Error::StateLength`] or [`Error::NonFinite`]
    /// for the state, all with nothing changed; [`Error::Overflow`] of the gradient or
    /// [`Error::UpdateRefused`], after which the reset has been done and the gradient is dropped.
    pub fn end_epoch(&mut self, state: &[T]) -> Result<(), Error> {
        if self.regime != Regime::Epochwise {
            let (call, got) = ("end_epoch", self.regime.name());
            return Err(Error::Regime { call, expected: Regime::Epochwise.name(), got });
        }
        self.network.replace_state(self.steps, state)?;
        self.teacher.forced.fill(false);
        let read = self.read_gradient(false, true);
        let read = read.map_err(|error| self.lose(error));
        read.and(self.reset_sensitivities())?;
        let result = self.schedule.update_from_sum(&mut self.updater, &mut self.network);
        result.map(drop).map_err(|quantity| self.refused(quantity))
    }

    /// Applies the gradient that waits for the next step in [`Timing::AfterNextStep`], if there is one,
    /// and says whether there was. Gradients that have not added up to a whole update stay.
    ///
    /// # Errors
    /// [`Error::UpdateRefused`]; the gradient is dropped.
    pub fn finish(&mut self) -> Result<bool, Error> {
        let result = self.schedule.update_from_waiting(&mut self.updater, &mut self.network);
        result.map_err(|quantity| self.refused(quantity))
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network, without its learning.
    pub fn into_network(self) -> Network<T> {
        self.network
    }

    /// Row k of the influence matrix: `dy_k(t)/dw_ij` for every weight, units x (inputs, bias, units),
    /// 0 for weights that do not learn. Does not disturb the run.
    ///
    /// # Errors
    /// [`Error::Kernel`] if there is no such unit or p is lost, [`Error::Memory`] if the matrix does not
    /// fit in memory.
    #[doc(alias = "influence matrix")]
    #[doc(alias = "p_kij")]
    pub fn sensitivities(&self, unit: usize) -> Result<Matrix<T>, Error> {
        let layers = &self.network.layers;
        let mut row = vec![T::ZERO; self.engine.columns()];
        self.engine.sensitivities(unit, &mut row)?;
        let mut matrix = Matrix::zeros(layers.weights.rows(), layers.weights.columns())?;
        let mut values = row.into_iter();
        let mut learning = layers.connections.learning().into_iter();
        for i in 0..matrix.rows() {
            for place in matrix.row_mut(i) {
                if learning.next() == Some(true) {
                    *place = values.next().unwrap_or(T::ZERO);
                }
            }
        }
        Ok(matrix)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Number of times that the weights have changed.
    pub fn updates(&self) -> u64 {
        self.updater.updates()
    }

    /// Bytes that the sensitivities occupy.
    pub fn state_bytes(&self) -> usize {
        self.engine.state_bytes()
    }

    /// Equations 1 and 2, without moving the state.
    fn forward(&mut self, input: &[T]) -> Result<(), Error> {
        let Network { layers, state, pass, .. } = &mut self.network;
        pass.run(layers, self.steps, state, Some(&self.teacher), input)
    }

    /// Equations 3 and 4, and the error's way through the readout.
    fn compare(&mut self, targets: &Targets<'_, T>) -> Result<T, Error> {
        targets.subtract(self.network.pass.outputs(), &mut self.errors);
        let squares = sum_of_squares(self.network.layers.isa, &self.errors);
        check_finite(self.steps, Quantity::Error, &self.errors)?;
        let loss = T::from_f64(0.5) * squares;
        check_finite(self.steps, Quantity::Loss, &[loss])?;
        match &self.network.layers.readout {
            Some(readout) => {
                readout.propagate(&self.errors, &mut self.unit_errors);
                check_finite(self.steps, Quantity::Error, &self.unit_errors)?;
            }
            None => self.unit_errors.copy_from_slice(&self.errors),
        }
        self.compare_readout()?;
        Ok(loss)
    }

    /// dJ/dR of this step, zero without a target.
    fn compare_readout(&mut self) -> Result<(), Error> {
        let Some(gradient) = &mut self.gradient.readout else { return Ok(()) };
        self.gradient_is_zero = false;
        let features = &self.network.pass.features;
        for (o, &error) in self.errors.iter().enumerate() {
            for (place, &feature) in gradient.row_mut(o).iter_mut().zip(features) {
                *place = -(error * feature);
            }
        }
        check_finite(self.steps, Quantity::Gradient, gradient.padded())
    }

    /// Equation 5; moves y and the forced set to t + 1.
    fn advance(&mut self, targets: &Targets<'_, T>, learns: bool) -> Result<(), Error> {
        let Network { layers, state, pass, .. } = &mut self.network;
        let step = Step {
            recurrent: &layers.weights.padded()[layers.columns.first_unit()..],
            stride: layers.weights.stride(),
            scale: pass.slope(),
            injection: pass.slope(),
            lines: &pass.lines,
            forced: &self.teacher.forced,
        };
        let error = learns.then_some(self.unit_errors.as_slice());
        let result = self.engine.advance(&step, error);
        if !matches!(result, Ok(()) | Err(rtrl_kernel::Error::NonFinite { .. })) {
            return Ok(result?);
        }
        state.copy_from_slice(pass.next());
        let due = self.schedule.is_due(self.regime);
        let result = result.and_then(|()| self.read_gradient(learns, due));
        if self.teacher_forcing {
            self.teacher.take_over(targets);
        }
        result.map_err(|error| self.lose(error))?;
        self.steps += 1;
        Ok(())
    }

    /// Takes over what the engine has computed: the gradient of this step, or before an update the sum
    /// of all that have added up.
    fn read_gradient(&mut self, learns: bool, due: bool) -> Result<(), rtrl_kernel::Error> {
        let gradient = if self.schedule.each_step {
            learns.then_some(&mut self.gradient)
        } else {
            self.schedule.sum.as_mut().filter(|_| due && (learns || self.schedule.learnt))
        };
        let Some(Gradient { recurrent, .. }) = gradient else { return Ok(()) };
        let stride = recurrent.stride();
        self.engine.gradient(recurrent.padded_mut(), stride)
    }

    fn lose(&mut self, error: rtrl_kernel::Error) -> Error {
        let rtrl_kernel::Error::NonFinite { quantity } = error else { return error.into() };
        self.lost = true;
        self.schedule.drop_sum();
        let sensitivities = quantity == "sensitivities";
        let quantity = if sensitivities { Quantity::Sensitivities } else { Quantity::Gradient };
        Error::Overflow { step: self.steps, quantity }
    }

    /// Equation 6: the gradient of this step, and the updates that are due. Says whether weights changed.
    fn learn(&mut self, learns: bool) -> Result<bool, Error> {
        if !learns && !self.gradient_is_zero {
            self.gradient.clear();
        }
        self.gradient_is_zero = !learns;
        let late = self.schedule.update_from_waiting(&mut self.updater, &mut self.network);
        self.schedule.collect(&self.gradient, learns);
        let now = match self.regime {
            Regime::Epochwise => Ok(false),
            Regime::RealTime { timing, .. } => {
                let due = self.schedule.is_due(self.regime);
                self.schedule.steps += 1;
                if !due {
                    Ok(false)
                } else if timing == Timing::Immediate {
                    let (updater, network) = (&mut self.updater, &mut self.network);
                    self.schedule.update_now(&self.gradient, updater, network)
                } else {
                    self.schedule.wait(&self.gradient);
                    Ok(false)
                }
            }
        };
        match (late, now) {
            (Ok(late), Ok(now)) => Ok(late | now),
            (Err(quantity), _) | (_, Err(quantity)) => Err(self.refused(quantity)),
        }
    }

    fn refused(&self, quantity: Quantity) -> Error {
        Error::UpdateRefused { step: self.steps, quantity }
    }
}

impl<T: Real> Schedule<T> {
    /// Whether the step that comes next ends with an update.
    fn is_due(&self, regime: Regime) -> bool {
        match regime {
            Regime::Epochwise => false,
            Regime::RealTime { every, .. } => (self.steps + 1).is_multiple_of(every.get() as u64),
        }
    }

    /// Adds a step's gradient to the sum, where there is one; that of W only if it has been read.
    fn collect(&mut self, gradient: &Gradient<T>, learns: bool) {
        if let Some(sum) = &mut self.sum
            && learns
        {
            if self.each_step {
                sum.recurrent.add(&gradient.recurrent);
            }
            if let (Some(sum), Some(gradient)) = (&mut sum.readout, &gradient.readout) {
                sum.add(gradient);
            }
        }
        self.learnt |= learns;
    }

    /// Forgets what has added up, where the engine has lost a part of it.
    fn drop_sum(&mut self) {
        if self.each_step {
            return;
        }
        self.learnt = false;
        if let Some(sum) = &mut self.sum {
            sum.clear();
        }
    }

    /// Applies what has added up, or the step's own gradient where nothing adds up.
    fn update_now(
        &mut self,
        gradient: &Gradient<T>,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        if self.sum.is_some() {
            return self.update_from_sum(updater, network);
        }
        if !std::mem::take(&mut self.learnt) {
            return Ok(false);
        }
        updater.apply(&mut network.layers, gradient).map(|()| true)
    }

    /// Applies and clears what has added up, if a target came.
    fn update_from_sum(
        &mut self,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        let Some(sum) = &mut self.sum else { return Ok(false) };
        if !std::mem::take(&mut self.learnt) {
            return Ok(false);
        }
        let result = updater.apply(&mut network.layers, sum);
        sum.clear();
        result.map(|()| true)
    }

    /// Lets what has added up wait for the next step.
    fn wait(&mut self, gradient: &Gradient<T>) {
        let Some(waiting) = &mut self.waiting else { return };
        self.due = std::mem::take(&mut self.learnt);
        match &mut self.sum {
            Some(sum) => {
                waiting.copy_from(sum);
                sum.clear();
            }
            None => waiting.copy_from(gradient),
        }
    }

    /// Applies what waits, if something does.
    fn update_from_waiting(
        &mut self,
        updater: &mut Updater<T>,
        network: &mut Network<T>,
    ) -> Result<bool, Quantity> {
        match &self.waiting {
            Some(waiting) if std::mem::take(&mut self.due) => {
                updater.apply(&mut network.layers, waiting).map(|()| true)
            }
            _ => Ok(false),
        }
    }
}

/// Describes a learner; [`LearnerBuilder::build`] checks the description.
///
/// Defaults: real-time with immediate updates, no teacher forcing, gradient descent with rate 0.01, no
/// clipping, the engine and the number of threads chosen by the shape.
#[derive(Debug, Clone)]
pub struct LearnerBuilder<T: Real> {
    network: Network<T>,
    regime: Regime,
    teacher_forcing: bool,
    optimizer: Optimizer,
    clipping: Clipping,
    engine: EngineChoice,
    own_engine: Option<Box<dyn Engine<T>>>,
    threads: Threads,
    step_gradients: bool,
}

impl<T: Real> LearnerBuilder<T> {
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

    /// What turns gradients into changes of the weights.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Limits on the gradient.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = clipping;
        self
    }

    /// Which engine carries the sensitivities.
    #[must_use]
    pub fn engine(mut self, engine: EngineChoice) -> Self {
        self.engine = engine;
        self
    }

    /// An engine of one's own, made for [`Network::layout`] and [`Network::learning`]: a rule to be
    /// compared with the exact one.
    #[must_use]
    pub fn own_engine(mut self, engine: Box<dyn Engine<T>>) -> Self {
        self.own_engine = Some(engine);
        self
    }

    /// Whether the gradient of each step is computed on its own even where several add up before the
    /// weights change (epochwise, or an update at every u-th step). It costs the deferred engine most of
    /// what it saves there, and changes the sum by rounding. Off by default.
    #[must_use]
    pub fn step_gradients(mut self, each: bool) -> Self {
        self.step_gradients = each;
        self
    }

    /// How many threads the engine uses. The results do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// Checks the description and makes the learner.
    ///
    /// # Errors
    /// [`Error::Setting`] for what does not fit together, [`Error::Kernel`] if the sensitivities do not
    /// fit in memory, with the bytes, or the threads cannot be had.
    pub fn build(self) -> Result<Learner<T>, Error> {
        let Self { network, regime, teacher_forcing, .. } = self;
        let layers = &network.layers;
        let units = layers.columns.units;
        if teacher_forcing && layers.readout.is_some() {
            return Err(Error::Setting {
                what: "teacher forcing",
                expected: "off with a readout, whose outputs do not feed back".to_owned(),
                got: "on".to_owned(),
            });
        }
        let engine = match self.own_engine {
            Some(engine) => check_engine(engine, &network)?,
            None => self.engine.make(&network, regime, self.threads)?,
        };
        let zeros = || Gradient::zeros(layers);
        let late = matches!(regime, Regime::RealTime { timing: Timing::AfterNextStep, .. });
        let schedule = Schedule {
            each_step: self.step_gradients || !regime.accumulates(),
            sum: regime.accumulates().then(zeros).transpose()?,
            learnt: false,
            waiting: late.then(zeros).transpose()?,
            due: false,
            steps: 0,
        };
        Ok(Learner {
            updater: Updater::new(self.optimizer, self.clipping, layers)?,
            engine,
            regime,
            teacher_forcing,
            teacher: Teacher::absent(units),
            peek: Pass::new(layers),
            errors: vec![T::ZERO; layers.outputs()],
            unit_errors: vec![T::ZERO; units],
            gradient: zeros()?,
            gradient_is_zero: true,
            schedule,
            steps: 0,
            lost: false,
            network,
        })
    }
}

/// Fails unless `engine` has as many columns as weights learn.
fn check_engine<T: Real>(
    engine: Box<dyn Engine<T>>,
    network: &Network<T>,
) -> Result<Box<dyn Engine<T>>, Error> {
    let expected = network.connections().count(Connection::Learning);
    if engine.columns() == expected {
        return Ok(engine);
    }
    let (expected, got) = (expected.to_string(), engine.columns().to_string());
    Err(Error::Setting { what: "the number of columns of the engine", expected, got })
}
