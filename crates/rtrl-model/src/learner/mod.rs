//! The learner: a network that learns while it runs.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the data path of a step, resets, the end of an epoch |
//! | `builder.rs` | the checked description |
//! | `stream.rs` | what belongs to one sequence |
//! | `updates.rs` | gradients on their way to the weights |
//! | `ahead.rs` | runs ahead that change nothing |
//! | `report.rs` | what a step tells |
//! | `store.rs` | what of a learner is in a checkpoint |

mod ahead;
mod builder;
mod report;
mod store;
mod stream;
mod updates;

use rtrl_kernel::{Real, Workers};

pub use self::builder::LearnerBuilder;
pub use self::report::{Mended, Recovery, StepReport};
pub(crate) use self::store::Waiting;
pub use self::store::{StoredLearner, Supplies};
use self::stream::{Read, Stream};
use self::updates::Updates;
use crate::error::{Quantity, check_finite};
use crate::gradient::Gradient;
use crate::optimizer::Updater;
use crate::readout_rls::ReadoutRls;
use crate::{EngineChoice, Error, Loss, Matrix, Network, Regime, State, Targets, UpdateSettings};

/// A network with everything that its learning needs.
///
/// One call of [`Learner::step`] is one time step; the data path is
/// *forward* (equations 1 and 2) → *error* (3 and 4) → *sensitivities* (5) → *gradient* and
/// *weights* (6).
///
/// "Exact" means the recursion's own values: the true derivative of the loss while the weights stand
/// still, the paper's real-time algorithm when they change at every step.
///
/// A learner may have several *streams*: independent sequences that share the weights, each with its own
/// state, sensitivities, targets and resets. All of them take every step; their gradients add up.
#[derive(Debug, Clone)]
pub struct Learner<T: Real> {
    network: Network<T>,
    streams: Vec<Stream<T>>,
    /// What has to be put together where there are several streams.
    together: Option<Together<T>>,
    regime: Regime,
    teacher_forcing: bool,
    updates: Updates<T>,
    updater: Updater<T>,
    loss: Loss<T>,
    /// The fits of a readout that learns by least squares.
    fit: Option<ReadoutRls>,
    sensitivity_decay: f64,
    /// The engine with its window; `None` for one of the user's own.
    engine: Option<EngineChoice>,
    recovery: Recovery,
    mended: Mended,
    /// The threads among which streams are divided.
    workers: Workers,
    /// The state of a run ahead.
    ahead: State<T>,
    steps: u64,
}

/// Sums over several streams, and their outputs and errors side by side.
#[derive(Debug, Clone)]
struct Together<T> {
    gradient: Gradient<T>,
    outputs: Vec<T>,
    errors: Vec<T>,
}

impl<T: Real> Learner<T> {
    /// Starts to describe how `network` learns.
    pub fn builder(network: Network<T>) -> LearnerBuilder<T> {
        LearnerBuilder::new(network)
    }

    /// One time step: computes y(t+1), e(t+1), J(t+1), p(t+1) and the gradient from the input x(t) and
    /// the targets for t + 1, and changes the weights where the regime says so.
    ///
    /// A step without any target is an ordinary step: state and sensitivities move on, nothing is learnt.
    ///
    /// # Errors
    /// [`Error::InputLength`], [`Error::TargetLength`], [`Error::NonFinite`] and
    /// [`Error::SensitivitiesLost`] leave the learner as it was, and so does [`Error::StreamCount`] if it has
    /// several streams. After [`Error::Overflow`] the state has advanced, p is lost, and so are gradients
    /// that have added up in the engine; [`Error::UpdateRefused`] concerns the change of the weights alone,
    /// and [`Error::Fit`] the readout that learns by least squares.
    pub fn step(
        &mut self,
        input: &[T],
        targets: Targets<'_, T>,
    ) -> Result<StepReport<'_, T>, Error> {
        self.step_streams(&[(input, targets)])
    }

    /// One time step of every stream, each with its input and its targets.
    ///
    /// # Errors
    /// As [`Learner::step`]; with several streams, [`Error::InStream`] says in which. What concerns one
    /// stream before anything has changed leaves all of them as they were. After an [`Error::Overflow`] all
    /// streams have advanced, and those that the error does not concern have kept their p, but the weights
    /// have not changed, and gradients that had added up in the engines are dropped.
    pub fn step_streams(
        &mut self,
        samples: &[(&[T], Targets<'_, T>)],
    ) -> Result<StepReport<'_, T>, Error> {
        self.check_samples(samples.len())?;
        let step = self.steps;
        let loss = self.compare(samples)?;
        let (updated, whole) = match self.advance(samples) {
            Ok(()) => (self.learn(samples)?, true),
            Err(error) => (self.recover(error)?, false),
        };
        if let Some(together) = &mut self.together {
            together.line_up(&self.streams);
        }
        Ok(self.report((step, whole), loss, updated))
    }

    /// Starts new sequences: y as given, p = 0, no unit forced. Weights, optimiser, counters and
    /// gradients that wait or have added up stay.
    ///
    /// `states` is the state of every stream, n values, or one state a stream, one after the other.
    ///
    /// # Errors
    /// [`Error::StateLength`] or [`Error::NonFinite`], with nothing changed; [`Error::Overflow`] as
    /// [`Learner::reset_sensitivities`], after which the reset has been done.
    pub fn reset(&mut self, states: &[T]) -> Result<(), Error> {
        self.check_states(states)?;
        self.restart(states)?;
        self.reset_sensitivities()
    }

    /// [`Learner::reset`] of one stream.
    ///
    /// # Errors
    /// As [`Learner::reset`], and [`Error::NoStream`] with nothing changed.
    pub fn reset_stream(&mut self, stream: usize, state: &[T]) -> Result<(), Error> {
        self.check_stream(stream)?;
        self.check_state(state)?;
        self.streams[stream].state.restart(state)?;
        self.reset_engine(stream).or_else(|error| self.recover(error).map(drop))
    }

    /// Sets p = 0 in every stream and leaves everything else: past inputs get no more credit. The way on
    /// after an [`Error::Overflow`].
    ///
    /// # Errors
    /// [`Error::Overflow`] if gradients that have added up turn out to have overflowed. They are dropped,
    /// and the reset has been done.
    pub fn reset_sensitivities(&mut self) -> Result<(), Error> {
        self.reset_engines().or_else(|error| self.recover(error).map(drop))
    }

    /// Ends an epoch: applies the gradient that has added up, then resets to `states` as
    /// [`Learner::reset`].
    ///
    /// # Errors
    /// [`Error::Regime`] unless learning is epochwise, [`Error::StateLength`] or [`Error::NonFinite`]
    /// for the state, all with nothing changed; [`Error::Overflow`] of the gradient or
    /// [`Error::UpdateRefused`], after which the reset has been done and the gradient is dropped.
    pub fn end_epoch(&mut self, states: &[T]) -> Result<(), Error> {
        if self.regime != Regime::Epochwise {
            let (call, got) = ("end_epoch", self.regime.name());
            return Err(Error::Regime { call, expected: Regime::Epochwise.name(), got });
        }
        self.check_states(states)?;
        self.restart(states)?;
        let read = self.read_sum();
        let done = read.and(self.reset_engines()).and_then(|()| {
            let result = self.updates.apply_sum(&mut self.updater, &mut self.network);
            result.map(drop).map_err(|quantity| self.refused(quantity))
        });
        done.or_else(|error| self.recover(error).map(drop))
    }

    /// Applies the gradient that waits for the next step in
    /// [`Timing::AfterNextStep`](crate::Timing::AfterNextStep), if there is one, and says whether there
    /// was. Gradients that have not added up to a whole update stay.
    ///
    /// # Errors
    /// [`Error::UpdateRefused`]; the gradient is dropped.
    pub fn finish(&mut self) -> Result<bool, Error> {
        let result = self.updates.apply_waiting(&mut self.updater, &mut self.network);
        result.or_else(|quantity| self.recover(self.refused(quantity)))
    }

    /// The network with its present weights. Its initial state is what it was; where a stream is now is
    /// [`Learner::state`].
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network, without its learning.
    pub fn into_network(self) -> Network<T> {
        self.network
    }

    /// Replaces W, n x c values row by row; absent weights stay 0, and frozen ones what they are. State and p are kept: p is then what the
    /// run so far has made of it, with the weights of each step.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::NonFinite`], with nothing changed.
    pub fn set_weights(&mut self, weights: &[T]) -> Result<(), Error> {
        let network = &mut self.network;
        let before = network.weights.clone();
        network.weights.replace(self.steps, "the weight matrix", weights)?;
        network.clear_absent();
        network.restore_frozen(&before);
        Ok(())
    }

    /// Replaces R, outputs x (units, inputs if seen, 1 if it has a bias) values row by row. Where it learns by
    /// least squares, what has been seen so far counts as before.
    ///
    /// # Errors
    /// [`Error::Length`] (of 0 without a readout) or [`Error::NonFinite`], with nothing changed.
    pub fn set_readout_weights(&mut self, weights: &[T]) -> Result<(), Error> {
        let what = "the readout matrix";
        let Some(readout) = &mut self.network.readout else {
            return Err(Error::Length { what, expected: 0, got: weights.len() });
        };
        readout.weights.replace(self.steps, what, weights)?;
        self.fit.as_mut().map_or(Ok(()), |fit| fit.set_weights(&readout.weights))
    }

    /// Number of streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The state of a stream: y(t), and the outputs and slopes of its last step. A clone of it runs on
    /// independently with [`Network::forward`].
    ///
    /// # Errors
    /// [`Error::NoStream`].
    pub fn state(&self, stream: usize) -> Result<&State<T>, Error> {
        self.check_stream(stream)?;
        Ok(&self.streams[stream].state)
    }

    /// Row k of the influence matrix: `dy_k(t)/dw_ij` for every weight, units x (inputs, bias, units),
    /// 0 for weights that do not learn; that of the first of several streams. Does not disturb the run.
    ///
    /// # Errors
    /// [`Error::Kernel`] if there is no such unit or p is lost, [`Error::Memory`] if the matrix does not
    /// fit in memory.
    #[doc(alias = "influence matrix")]
    #[doc(alias = "p_kij")]
    pub fn sensitivities(&self, unit: usize) -> Result<Matrix<T>, Error> {
        self.stream_sensitivities(0, unit)
    }

    /// [`Learner::sensitivities`] of one stream.
    ///
    /// # Errors
    /// As [`Learner::sensitivities`], and [`Error::NoStream`].
    pub fn stream_sensitivities(&self, stream: usize, unit: usize) -> Result<Matrix<T>, Error> {
        self.check_stream(stream)?;
        let (network, engine) = (&self.network, &self.streams[stream].engine);
        self.streams[stream].check_lost()?;
        let mut row = vec![T::ZERO; engine.columns()];
        engine.sensitivities(unit, &mut row)?;
        let mut matrix = Matrix::zeros(network.weights.rows(), network.weights.columns())?;
        let mut values = row.into_iter();
        let mut learning = network.connections.learning().into_iter();
        for i in 0..matrix.rows() {
            for place in matrix.row_mut(i) {
                if learning.next() == Some(true) {
                    *place = values.next().unwrap_or(T::ZERO);
                }
            }
        }
        Ok(matrix)
    }

    /// The largest |p| of all streams.
    ///
    /// # Errors
    /// [`Error::Kernel`] if p is lost or has overflowed.
    pub fn largest_sensitivity(&self) -> Result<T, Error> {
        let mut largest = T::ZERO;
        for stream in &self.streams {
            stream.check_lost()?;
            let mut row = vec![T::ZERO; stream.engine.columns()];
            for unit in 0..self.network.units() {
                stream.engine.sensitivities(unit, &mut row)?;
                largest =
                    row.iter().fold(largest, |most, p| if p.abs() > most { p.abs() } else { most });
            }
        }
        Ok(largest)
    }

    /// [`Network::jacobian`] of the last step of a stream.
    ///
    /// # Errors
    /// [`Error::NoStream`], [`Error::Memory`].
    pub fn jacobian(&self, stream: usize) -> Result<Matrix<T>, Error> {
        self.network.jacobian(self.state(stream)?)
    }

    /// Whether the last step had a target.
    pub(crate) fn has_learnt(&self) -> bool {
        self.streams.iter().any(|stream| stream.learns)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Number of times that the weights have changed.
    pub fn updates(&self) -> u64 {
        self.updater.updates()
    }

    /// How gradients become changes of the weights, with the rates of now.
    pub fn update_settings(&self) -> &UpdateSettings {
        self.updater.settings()
    }

    /// Replaces the learning rate, which the schedule goes on to multiply. A readout follows unless it has a
    /// rate of its own.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative; nothing has changed.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), Error> {
        self.updater.set_learning_rate(rate)
    }

    /// Replaces the learning rate of the readout; `None` for that of the other weights.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative and there is a readout; nothing has changed.
    pub fn set_readout_learning_rate(&mut self, rate: Option<f64>) -> Result<(), Error> {
        self.updater.set_readout_learning_rate(rate)
    }

    /// What the optimiser remembers beside [`Learner::updates`]: matrices of the shape of the weights, named
    /// `recurrent.momentum`, `readout.second_moment` and alike; nothing for plain gradient descent.
    pub fn optimizer_state(&self) -> impl Iterator<Item = (String, &Matrix<T>)> {
        self.updater.state()
    }

    /// Goes on from what [`Learner::optimizer_state`] and [`Learner::updates`] were in a learner with the
    /// same settings and shape.
    ///
    /// # Errors
    /// [`Error::Setting`] for names that are missing or unknown and for numbers that no such matrix holds,
    /// [`Error::Shape`]; nothing has changed.
    pub fn restore_optimizer(
        &mut self,
        updates: u64,
        state: &[(String, Matrix<T>)],
    ) -> Result<(), Error> {
        self.updater.restore(&self.network, updates, state)
    }

    /// What the [`Recovery`] has mended so far.
    pub fn mended(&self) -> Mended {
        self.mended
    }

    /// Bytes that the sensitivities occupy.
    pub fn state_bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.engine.state_bytes()).sum()
    }
}

/// The parts of a step.
impl<T: Real> Learner<T> {
    /// Equations 1 to 4 in every stream, without moving anything. Returns the loss.
    fn compare(&mut self, samples: &[(&[T], Targets<'_, T>)]) -> Result<T, Error> {
        let network = &self.network;
        let several = samples.len() > 1;
        let mut loss = T::ZERO;
        for (b, (stream, (input, targets))) in self.streams.iter_mut().zip(samples).enumerate() {
            let result = stream.compare(network, &self.loss, self.steps, input, targets);
            result.map_err(|error| in_stream(several.then_some(b), error))?;
            loss += stream.loss;
        }
        if several {
            check_finite(self.steps, Quantity::Loss, &[loss])?;
        }
        Ok(loss)
    }

    /// Equations 5 and 6 in every stream; moves y and the forced set to t + 1.
    fn advance(&mut self, samples: &[(&[T], Targets<'_, T>)]) -> Result<(), Error> {
        let learns = self.has_learnt();
        let read = match &self.updates {
            updates if updates.each_step => Read::Step,
            updates if updates.is_due() && (learns || updates.learnt) => Read::Sum,
            _ => Read::Nothing,
        };
        let (network, forcing) = (&self.network, self.teacher_forcing);
        if let ([stream], [(_, targets)]) = (self.streams.as_mut_slice(), samples) {
            stream.advance(network, forcing.then_some(targets), read);
        } else {
            let piece = samples.len().div_ceil(self.workers.count());
            self.workers.each([(self.streams.as_mut_slice(), piece)], |part, [streams]| {
                for (stream, (_, targets)) in streams.iter_mut().zip(&samples[part * piece..]) {
                    stream.advance(network, forcing.then_some(targets), read);
                }
            });
        }
        self.settle(read)?;
        self.steps += 1;
        Ok(())
    }

    /// Ends what all streams have done: an error of theirs, or their sum.
    fn settle(&mut self, read: Read) -> Result<(), Error> {
        if self.streams.iter().any(|stream| stream.failure.is_some()) {
            self.lose()?;
        }
        if let Some(together) = &mut self.together {
            together.add_up(&self.streams, read != Read::Nothing);
        }
        Ok(())
    }

    /// Marks as lost the streams that have failed, and drops what has added up.
    ///
    /// # Errors
    /// That of the first of them.
    #[cold]
    fn lose(&mut self) -> Result<(), Error> {
        let mut first = None;
        for (b, stream) in self.streams.iter_mut().enumerate() {
            if !self.updates.each_step && !stream.lost && stream.failure.is_none() {
                stream.read_gradient(Read::Sum);
            }
            let Some(failure) = stream.failure.take() else { continue };
            stream.lost |= matches!(failure, rtrl_kernel::Error::NonFinite { .. });
            first = first.or(Some((b, failure)));
        }
        self.updates.drop_sum();
        let Some((b, failure)) = first else { return Ok(()) };
        let several = self.streams.len() > 1;
        Err(in_stream(several.then_some(b), self.overflow(failure)))
    }

    /// The model's error for one of an engine.
    fn overflow(&self, failure: rtrl_kernel::Error) -> Error {
        let rtrl_kernel::Error::NonFinite { quantity } = failure else { return failure.into() };
        let sensitivities = quantity == "sensitivities";
        let quantity = if sensitivities { Quantity::Sensitivities } else { Quantity::Gradient };
        Error::Overflow { step: self.steps, quantity }
    }

    /// Equation 6: the gradient of this step, and the updates that are due. Says whether weights changed.
    fn learn(&mut self, samples: &[(&[T], Targets<'_, T>)]) -> Result<bool, Error> {
        let learns = self.has_learnt();
        let fitted = self.fit(samples);
        // That of one stream was checked where it was computed.
        let checked = self.together.is_none();
        let gradient = (gradient(self.together.as_ref(), &self.streams), checked);
        let result = self.updates.take(gradient, learns, &mut self.updater, &mut self.network);
        let updated = result.or_else(|quantity| self.recover(self.refused(quantity)))?;
        Ok(fitted? | updated)
    }

    /// Fits a readout that learns by least squares to the streams, one after the other. Says whether there
    /// was something to fit.
    ///
    /// # Errors
    /// [`Error::Fit`] for the first sample that was refused; the others have been taken in.
    fn fit(&mut self, samples: &[(&[T], Targets<'_, T>)]) -> Result<bool, Error> {
        let (Some(fit), Some(readout)) = (&mut self.fit, &mut self.network.readout) else {
            return Ok(false);
        };
        let (mut fitted, mut refused) = (false, None);
        for (b, (stream, (_, targets))) in self.streams.iter().zip(samples).enumerate() {
            match fit.update(&stream.state.tape.features, targets, &mut readout.weights) {
                Ok(()) => fitted |= stream.learns,
                Err(quantity) => refused = refused.or(Some((b, quantity))),
            }
        }
        let Some((b, quantity)) = refused else { return Ok(fitted) };
        let several = self.streams.len() > 1;
        let error = in_stream(several.then_some(b), Error::Fit { quantity });
        self.recover(error).map(|_| fitted)
    }
}

/// Resets, recoveries and checks.
impl<T: Real> Learner<T> {
    /// Reads what the engines have added up, where they do.
    fn read_sum(&mut self) -> Result<(), Error> {
        if self.updates.each_step || !self.updates.learnt {
            return Ok(());
        }
        for stream in &mut self.streams {
            stream.read_gradient(Read::Sum);
        }
        self.settle(Read::Sum)?;
        self.updates.close_sum(gradient(self.together.as_ref(), &self.streams));
        Ok(())
    }

    /// Sets p = 0 in every stream.
    fn reset_engines(&mut self) -> Result<(), Error> {
        let streams = 0..self.streams.len();
        streams.map(|b| self.reset_engine(b)).fold(Ok(()), Result::and)
    }

    /// Sets p = 0 in one stream.
    fn reset_engine(&mut self, b: usize) -> Result<(), Error> {
        self.streams[b].reset_engine();
        let result = if self.streams[b].failure.is_some() { self.lose() } else { Ok(()) };
        self.streams[b].lost = false;
        result
    }

    /// y as given in every stream, no unit forced; p stays.
    fn restart(&mut self, states: &[T]) -> Result<(), Error> {
        let one_for_all = states.len() == self.network.units();
        for (stream, own) in
            self.streams.iter_mut().zip(states.chunks(self.network.units()).cycle())
        {
            stream.state.restart(if one_for_all { states } else { own })?;
        }
        Ok(())
    }

    /// Mends what the [`Recovery`] allows; weights have then not changed.
    ///
    /// # Errors
    /// What it does not allow.
    #[cold]
    fn recover(&mut self, error: Error) -> Result<bool, Error> {
        match error.cause() {
            Error::Overflow { .. } if self.recovery.reset_sensitivities => {
                let mut resets = 0;
                for b in 0..self.streams.len() {
                    if self.streams[b].lost {
                        // What it has added up was dropped when p was lost.
                        self.reset_engine(b)?;
                        resets += 1;
                    }
                }
                // At the end of an epoch the reset has been done.
                self.mended.resets += resets.max(1);
                Ok(false)
            }
            Error::UpdateRefused { .. } | Error::Fit { .. } if self.recovery.skip_updates => {
                self.mended.skipped_updates += 1;
                Ok(false)
            }
            _ => Err(error),
        }
    }

    /// The report of a step; `whole` says whether it came to its gradient.
    pub(crate) fn report(
        &self,
        (step, whole): (u64, bool),
        loss: T,
        updated: bool,
    ) -> StepReport<'_, T> {
        let Self { streams, updates, mended, .. } = self;
        let together = self.together.as_ref();
        let (outputs, errors) = match together {
            Some(together) => (together.outputs.as_slice(), together.errors.as_slice()),
            None => (streams[0].state.outputs(), streams[0].errors.as_slice()),
        };
        StepReport {
            step,
            outputs,
            errors,
            loss,
            gradient: (whole && updates.each_step).then(|| gradient(together, streams)),
            updated,
            mended: *mended,
        }
    }

    fn refused(&self, quantity: Quantity) -> Error {
        Error::UpdateRefused { step: self.steps, quantity }
    }

    fn check_samples(&self, got: usize) -> Result<(), Error> {
        let expected = self.streams.len();
        if got == expected { Ok(()) } else { Err(Error::StreamCount { expected, got }) }
    }

    fn check_stream(&self, got: usize) -> Result<(), Error> {
        let streams = self.streams.len();
        if got < streams { Ok(()) } else { Err(Error::NoStream { streams, got }) }
    }

    /// Fails unless `states` is one state, or one for each stream.
    fn check_states(&self, states: &[T]) -> Result<(), Error> {
        let (units, streams) = (self.network.units(), self.streams.len());
        let expected = if states.len() == units { units } else { units * streams };
        if states.len() != expected {
            return Err(Error::StateLength { expected, got: states.len() });
        }
        check_finite(self.steps, Quantity::UnitOutput, states)
    }

    fn check_state(&self, state: &[T]) -> Result<(), Error> {
        let (expected, got) = (self.network.units(), state.len());
        if got != expected {
            return Err(Error::StateLength { expected, got });
        }
        check_finite(self.steps, Quantity::UnitOutput, state)
    }
}

impl<T: Real> Together<T> {
    fn new(outputs: usize, streams: usize, gradient: Gradient<T>) -> Self {
        let zeros = || vec![T::ZERO; outputs * streams];
        Self { gradient, outputs: zeros(), errors: zeros() }
    }

    /// Adds the gradients of the streams up, in their order; those of W only if they have been read.
    fn add_up(&mut self, streams: &[Stream<T>], recurrent: bool) {
        self.gradient.clear();
        for stream in streams {
            self.gradient.add(&stream.gradient, recurrent);
        }
    }

    /// Puts outputs and errors side by side.
    fn line_up(&mut self, streams: &[Stream<T>]) {
        let outputs = streams[0].errors.len();
        let places =
            self.outputs.chunks_exact_mut(outputs).zip(self.errors.chunks_exact_mut(outputs));
        for (stream, (output, error)) in streams.iter().zip(places) {
            output.copy_from_slice(stream.state.outputs());
            error.copy_from_slice(&stream.errors);
        }
    }
}

/// The gradient of all streams.
fn gradient<'a, T: Real>(
    together: Option<&'a Together<T>>,
    streams: &'a [Stream<T>],
) -> &'a Gradient<T> {
    together.map_or(&streams[0].gradient, |together| &together.gradient)
}

/// Names the stream of an error, where there are several.
fn in_stream(stream: Option<usize>, error: Error) -> Error {
    match stream {
        Some(stream) => Error::InStream { stream, source: Box::new(error) },
        None => error,
    }
}
