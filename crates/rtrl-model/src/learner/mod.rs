//! The learner: a network that learns while it runs.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what a program calls: steps, resets, the end of an epoch |
//! | `streams.rs` | steps of several streams, and streams that are added |
//! | `builder.rs` | the checked description |
//! | `step.rs` | the data path of a step |
//! | `run.rs` | steps over whole arrays |
//! | `stream.rs` | one sequence: its state and its sensitivities |
//! | `combined.rs` | sums over several streams |
//! | `accumulate.rs` | gradients on their way to the weights |
//! | `recovery.rs` | lost sensitivities and refused updates |
//! | `report.rs` | the results of a step |
//! | `ahead.rs` | runs ahead that change nothing |
//! | `sensitivities.rs` | reading p and the Jacobian |
//! | `weights.rs` | reading and replacing weights, rates and the optimiser's state |
//! | `state.rs` | everything that a learner saves, each thing named once |
//! | `settings.rs` | the settings of a learner, to be read and as plain data |

mod accumulate;
mod ahead;
mod builder;
mod combined;
mod recovery;
mod report;
mod run;
mod sensitivities;
mod settings;
mod state;
mod step;
mod stream;
mod streams;
mod weights;

use std::ops::Range;

use rtrl_kernel::{Real, Spec, Workers};

use self::accumulate::Accumulator;
pub use self::builder::LearnerBuilder;
use self::combined::Combined;
pub(crate) use self::recovery::in_stream;
pub use self::recovery::{Recoveries, Recovery};
pub use self::report::StepReport;
pub use self::run::Run;
pub(crate) use self::settings::Settings;
pub(crate) use self::state::stream_field;
use self::stream::Stream;
use crate::error::{Quantity, check_finite};
use crate::optimizer::Updater;
use crate::readout_rls::ReadoutRls;
use crate::{Error, Loss, Network, Regime, State, Targets};

/// A network that learns: its weights, the state of every stream, the engines and the optimiser.
///
/// One call of [`Learner::step`] is one time step: *forward* (equations 1 and 2), *error* (3 and
/// 4), *sensitivities* (5), *gradient* and *weights* (6).
///
/// ```
/// use rtrl_model::{Learner, Network, Optimizer, Targets};
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// let network = Network::<f64>::builder(3, 1).seed(1).build()?;
/// let mut learner = Learner::builder(network).optimizer(Optimizer::sgd(0.1)).build()?;
/// // Unit 0 learns to output the previous input. Units 1 and 2 have no target.
/// let (mut input, mut losses) = (0.0, Vec::new());
/// for t in 0..2000 {
///     let target = [Some(input), None, None];
///     input = f64::from(t % 3) / 4.0;
///     losses.push(learner.step(&[input], Targets::Some(&target))?.loss);
/// }
/// let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
/// assert!(mean(&losses[1900..]) < mean(&losses[..100]) / 10.0);
/// # Ok(())
/// # }
/// ```
///
/// The gradient is exact: while the weights are constant, it is the true derivative of the loss;
/// when they change at every step, it is that of the paper's real-time algorithm.
///
/// A learner may have several *streams*: independent sequences that share the weights, each with
/// its own state, sensitivities, targets and resets. Their gradients are summed. A stream may skip
/// a step, and streams can be added to a learner that runs ([`Learner::add_stream`]).
#[derive(Debug, Clone)]
pub struct Learner<T: Real> {
    network: Network<T>,
    streams: Vec<Stream<T>>,
    /// The streams of the last step; the others have skipped it.
    turn: Range<usize>,
    /// The sums over several streams.
    combined: Option<Combined<T>>,
    regime: Regime,
    teacher_forcing: bool,
    accumulator: Accumulator<T>,
    updater: Updater<T>,
    loss: Loss<T>,
    /// The fits of a readout that learns by least squares.
    fit: Option<ReadoutRls>,
    sensitivity_decay: f64,
    recovery: Recovery,
    recoveries: Recoveries,
    /// The threads among which streams are divided.
    workers: Workers,
    /// The state of a run ahead.
    ahead: State<T>,
    steps: u64,
    /// Whether the gradient of the last step was computed and is finite.
    whole: bool,
}

impl<T: Real> Learner<T> {
    /// A builder for a learner of `network`.
    pub fn builder(network: Network<T>) -> LearnerBuilder<T> {
        LearnerBuilder::new(network)
    }

    /// One time step: computes y(t+1), e(t+1), L(t+1), p(t+1) and the gradient from the input x(t)
    /// and the targets for t + 1, and updates the weights if the regime requires it.
    ///
    /// A step without any target is an ordinary step: state and sensitivities advance, and nothing
    /// is learnt.
    ///
    /// # Errors
    /// [`Error::InputLength`], [`Error::TargetLength`], [`Error::NonFinite`] and
    /// [`Error::SensitivitiesLost`] leave the learner unchanged, and so does [`Error::StreamCount`]
    /// if it has several streams. After [`Error::Overflow`] the state has advanced, but p is lost,
    /// and so are the gradients that the engine has accumulated. [`Error::UpdateRefused`] affects
    /// only the update of the weights, and [`Error::Fit`] only the readout that learns by least
    /// squares.
    pub fn step(
        &mut self,
        input: &[T],
        targets: Targets<'_, T>,
    ) -> Result<StepReport<'_, T>, Error> {
        self.step_streams(&[Some((input, targets))])
    }

    /// Starts new sequences: y as given, p = 0, no unit forced. Weights, optimiser, counters, and
    /// pending or accumulated gradients are kept.
    ///
    /// `states` is one state for all streams, or one for each stream, one after the other, with
    /// values as in [`State::values`].
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
        self.reset_stream_sensitivities(stream)
    }

    /// Sets p = 0 in every stream and keeps everything else: later gradients ignore how the past
    /// depends on the weights. Call this to continue after an [`Error::Overflow`].
    ///
    /// # Errors
    /// [`Error::Overflow`] if accumulated gradients have overflowed. They are dropped, and the
    /// reset has been done.
    pub fn reset_sensitivities(&mut self) -> Result<(), Error> {
        self.reset_engines().or_else(|error| self.recover(error).map(drop))
    }

    /// [`Learner::reset_sensitivities`] of one stream.
    ///
    /// # Errors
    /// As [`Learner::reset_sensitivities`], and [`Error::NoStream`] with nothing changed.
    pub fn reset_stream_sensitivities(&mut self, stream: usize) -> Result<(), Error> {
        self.check_stream(stream)?;
        self.reset_engine(stream).or_else(|error| self.recover(error).map(drop))
    }

    /// Ends an epoch: applies the accumulated gradient, then resets to `states` as
    /// [`Learner::reset`].
    ///
    /// # Errors
    /// [`Error::Regime`] unless learning is epochwise, [`Error::StateLength`] or
    /// [`Error::NonFinite`] for the state, all with nothing changed; [`Error::Overflow`] of the
    /// gradient or [`Error::UpdateRefused`], after which the reset has been done and the gradient
    /// is dropped.
    pub fn end_epoch(&mut self, states: &[T]) -> Result<(), Error> {
        if self.regime != Regime::Epochwise {
            let (call, got) = ("end_epoch", self.regime.name());
            return Err(Error::Regime { call, expected: Regime::Epochwise.name(), got });
        }
        self.check_states(states)?;
        self.restart(states)?;
        let read = self.read_sum();
        let done = read.and(self.reset_engines()).and_then(|()| {
            let result = self.accumulator.apply_sum(&mut self.updater, &mut self.network);
            result.map(drop).map_err(|quantity| self.refused(quantity))
        });
        done.or_else(|error| self.recover(error).map(drop))
    }

    /// Applies the pending gradient of [`Timing::AfterNextStep`](crate::Timing::AfterNextStep), if
    /// there is one, and returns whether there was. Gradients that have accumulated since the last
    /// update are kept.
    ///
    /// # Errors
    /// [`Error::UpdateRefused`]; the gradient is dropped.
    pub fn finish(&mut self) -> Result<bool, Error> {
        let result = self.accumulator.apply_waiting(&mut self.updater, &mut self.network);
        result.or_else(|quantity| self.recover(self.refused(quantity)))
    }

    /// The network with its current weights. Its initial state is unchanged; [`Learner::state`] is
    /// the current state of a stream.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The network with its current weights; everything else is dropped.
    pub fn into_network(self) -> Network<T> {
        self.network
    }

    /// Number of streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The state of a stream: y(t), and the outputs and slopes of its last step. A clone continues
    /// independently with [`Network::forward`].
    ///
    /// # Errors
    /// [`Error::NoStream`].
    pub fn state(&self, stream: usize) -> Result<&State<T>, Error> {
        self.check_stream(stream)?;
        Ok(&self.streams[stream].state)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Number of times that the weights have changed.
    pub fn updates(&self) -> u64 {
        self.updater.updates()
    }

    /// How often the learner has recovered so far; see [`Recovery`].
    pub fn recoveries(&self) -> Recoveries {
        self.recoveries
    }

    /// The engine of every stream; [`Learner::engine_plan`] is a summary of it.
    pub fn engine_spec(&self) -> Spec {
        self.streams[0].engine.spec()
    }

    /// Bytes that the sensitivities occupy.
    pub fn state_bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.engine.state_bytes()).sum()
    }
}

/// Checks of arguments.
impl<T: Real> Learner<T> {
    pub(crate) fn check_samples(&self, got: usize) -> Result<(), Error> {
        let expected = self.streams.len();
        if got == expected { Ok(()) } else { Err(Error::StreamCount { expected, got }) }
    }

    pub(crate) fn check_stream(&self, got: usize) -> Result<(), Error> {
        let streams = self.streams.len();
        if got < streams { Ok(()) } else { Err(Error::NoStream { streams, got }) }
    }

    /// Fails unless `states` is one state, or one for each stream.
    pub(super) fn check_states(&self, states: &[T]) -> Result<(), Error> {
        let (one, streams) = (self.network.layout().states(), self.streams.len());
        let expected = if states.len() == one { one } else { one * streams };
        if states.len() != expected {
            return Err(Error::StateLength { expected, got: states.len() });
        }
        check_finite(self.steps, Quantity::UnitOutput, states)
    }

    pub(super) fn check_state(&self, state: &[T]) -> Result<(), Error> {
        let (expected, got) = (self.network.layout().states(), state.len());
        if got != expected {
            return Err(Error::StateLength { expected, got });
        }
        check_finite(self.steps, Quantity::UnitOutput, state)
    }
}
