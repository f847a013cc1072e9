//! Forecasts more than one step ahead, with labels that arrive late.

use std::path::Path;

use rtrl_kernel::Real;
use serde_json::Value;

use crate::error::{Quantity, check_count, check_finite};
use crate::learner::in_stream;
use crate::store::container::{self, Checkpoints, Saved};
use crate::store::{StoredLearner, Supplies, Waiting, stored_width};
use crate::{Error, Learner, Sample, StepReport, Targets};

/// A learner that forecasts `horizon` calls ahead: the label of an input arrives that many calls
/// later.
///
/// Call t of [`Forecaster::observe`] passes the input x(t) and the label of x(t - horizon), and the
/// learner takes a step with this pair. The inputs after it are pending, because their labels have
/// not arrived. A forecast replays the pending inputs with the current weights, forward only, and
/// does not change the learner.
///
/// ```
/// use rtrl_model::{Forecaster, Learner, Network, Optimizer, Readout, Targets};
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// // Forecast a sine wave two steps ahead.
/// let wave = |t: u32| (0.3 * f64::from(t)).sin();
/// let readout = Readout::new(1).recursive_least_squares(0.999, 1.0);
/// let network = Network::<f64>::builder(8, 1).readout(readout).seed(1).build()?;
/// let learner = Learner::builder(network).optimizer(Optimizer::adam(1e-4)).build()?;
/// let mut forecaster = Forecaster::new(learner, 2)?;
/// for t in 0..3000 {
///     // The label of the input of two calls ago is the current value.
///     forecaster.observe(&[wave(t)], Targets::All(&[wave(t)]))?;
/// }
/// let forecast = forecaster.forecast()?[0];
/// assert!((forecast - wave(3001)).abs() < 0.05);
/// # Ok(())
/// # }
/// ```
///
/// With horizon 1, each call learns from the previous input and its label, and then takes the new
/// input.
///
/// Each stream has its own pending inputs and may skip a call.
#[derive(Debug, Clone)]
pub struct Forecaster<T: Real> {
    learner: Learner<T>,
    horizon: usize,
    /// One for each stream.
    waiting: Vec<Queue<T>>,
}

/// Inputs whose labels have not arrived.
#[derive(Debug, Clone)]
struct Queue<T> {
    /// Oldest first, one after the other.
    inputs: Vec<T>,
    count: usize,
}

impl<T: Real> Queue<T> {
    /// An empty queue with room for `len` values.
    fn with_capacity(len: usize) -> Result<Self, Error> {
        let mut inputs = Vec::new();
        if inputs.try_reserve_exact(len).is_err() {
            let bytes = len as u128 * size_of::<T>() as u128;
            return Err(Error::Memory { what: "the inputs of a horizon", bytes });
        }
        Ok(Self { inputs, count: 0 })
    }

    /// The oldest input with the label of `sample`, if `horizon` inputs of `width` values are
    /// pending.
    fn pair<'a>(
        &'a self,
        sample: Option<&Sample<'a, T>>,
        (horizon, width): (usize, usize),
    ) -> Option<Sample<'a, T>> {
        let (_, label) = *sample?;
        (self.count == horizon).then(|| (&self.inputs[..width], label))
    }

    /// Appends an input; if `horizon` inputs are pending, it replaces the oldest.
    fn push(&mut self, input: &[T], horizon: usize) {
        if self.count < horizon {
            self.inputs.extend_from_slice(input);
            self.count += 1;
        } else {
            self.inputs.copy_within(input.len().., 0);
            let newest = self.inputs.len() - input.len();
            self.inputs[newest..].copy_from_slice(input);
        }
    }

    fn clear(&mut self) {
        self.inputs.clear();
        self.count = 0;
    }
}

impl<T: Real> Forecaster<T> {
    /// A forecaster around a learner.
    ///
    /// # Errors
    /// [`Error::Setting`] if the horizon is 0, [`Error::Memory`] if the inputs of a horizon do not
    /// fit in memory.
    pub fn new(learner: Learner<T>, horizon: usize) -> Result<Self, Error> {
        check_count("horizon", horizon)?;
        let len = horizon.saturating_mul(learner.network().inputs());
        let waiting = (0..learner.streams()).map(|_| Queue::with_capacity(len));
        Ok(Self { waiting: waiting.collect::<Result<_, _>>()?, learner, horizon })
    }

    /// A forecaster with `counts[b]` pending inputs of stream b, stream by stream in `stored`, each
    /// with [`stored_width`] values. Memory for the rest of the horizon is reserved when the inputs
    /// arrive, because a file confirms only the inputs that it holds.
    fn resumed(
        learner: Learner<T>,
        horizon: usize,
        counts: &[usize],
        mut stored: &[T],
    ) -> Result<Self, Error> {
        let refused = |what, expected: String, got: usize| {
            Err(Error::Setting { what, expected, got: got.to_string() })
        };
        if counts.len() != learner.streams() {
            let expected = format!("{}, one per stream", learner.streams());
            return refused("number of input queues", expected, counts.len());
        }
        if let Some(&odd) = counts.iter().find(|&&count| count > horizon) {
            return refused("number of pending inputs", format!("at most {horizon}"), odd);
        }
        check_count("horizon", horizon)?;
        let width = learner.network().inputs();
        let queue = |&count: &usize| {
            let (own, rest) = stored.split_at(count * stored_width(width));
            stored = rest;
            Queue { inputs: own[..count * width].to_vec(), count }
        };
        Ok(Self { waiting: counts.iter().map(queue).collect(), learner, horizon })
    }

    /// Saves everything that the run needs to continue bit for bit, as [`Learner::save`].
    ///
    /// # Errors
    /// As [`Learner::save`].
    pub fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        let waiting = self.stored();
        self.learner.save_with(Some(&waiting), application, |plan, write| {
            container::save(path, plan, write)
        })
    }

    /// [`Forecaster::save`] to memory, as [`Learner::to_bytes`].
    ///
    /// # Errors
    /// As [`Learner::to_bytes`].
    pub fn to_bytes(&self, application: &Value) -> Result<Vec<u8>, Error> {
        let waiting = self.stored();
        self.learner
            .save_with(Some(&waiting), application, |plan, write| container::to_bytes(plan, write))
    }

    /// [`Forecaster::save`] into a series of checkpoints, as [`Learner::save_in`].
    ///
    /// # Errors
    /// As [`Learner::save_in`].
    pub fn save_in(&self, series: &Checkpoints, application: &Value) -> Result<Saved, Error> {
        let (waiting, step) = (self.stored(), self.learner.steps());
        self.learner
            .save_with(Some(&waiting), application, |plan, write| series.save(step, plan, write))
    }

    fn stored(&self) -> Waiting<T> {
        let mut counts: Vec<_> = self.waiting.iter().map(|queue| queue.count).collect();
        counts.resize(self.learner.streams(), 0);
        let inputs = self.waiting.iter().flat_map(|queue| &queue.inputs);
        let mut inputs: Vec<_> = inputs.copied().collect();
        // Changes the length only for a network without inputs.
        let width = stored_width(self.learner.network().inputs());
        inputs.resize(counts.iter().sum::<usize>() * width, T::ZERO);
        Waiting::new(self.horizon, counts, inputs)
    }

    /// Takes x(t) for a learner with one stream, and learns from the pair that `label` completes.
    /// The report is that of the learner's step. The first `horizon` calls return none, and their
    /// labels are ignored, because they belong to no input.
    ///
    /// # Errors
    /// Those of [`Learner::step`]. If the error leaves the learner unchanged, the forecaster is
    /// unchanged too, and the call may be repeated. Otherwise x(t) is pending, and the pair is
    /// dropped.
    pub fn observe(
        &mut self,
        input: &[T],
        label: Targets<'_, T>,
    ) -> Result<Option<StepReport<'_, T>>, Error> {
        self.observe_streams(&[Some((input, label))])
    }

    /// [`Forecaster::observe`] for every stream, with its x(t) and the label of its input `horizon`
    /// calls of this stream ago. A stream whose sample is `None` skips the call, and one without a
    /// complete pair skips the learner's step. If all streams do, there is no report.
    ///
    /// # Errors
    /// Those of [`Learner::step_streams`]; otherwise as [`Forecaster::observe`].
    pub fn observe_streams(
        &mut self,
        samples: &[Option<Sample<'_, T>>],
    ) -> Result<Option<StepReport<'_, T>>, Error> {
        self.check(samples)?;
        self.admit_streams();
        let Self { learner, horizon, waiting } = self;
        let width = learner.network().inputs();
        let complete = (*horizon, width);
        let result = if let ([queue], [sample]) = (waiting.as_slice(), samples) {
            queue.pair(sample.as_ref(), complete).map(|pair| learner.step_streams(&[Some(pair)]))
        } else {
            let pairs =
                waiting.iter().zip(samples).map(|(queue, s)| queue.pair(s.as_ref(), complete));
            let pairs: Vec<_> = pairs.collect();
            pairs.iter().any(Option::is_some).then(|| learner.step_streams(&pairs))
        };
        if !matches!(&result, Some(Err(error)) if !error.has_moved()) {
            for (queue, sample) in waiting.iter_mut().zip(samples) {
                if let Some((input, _)) = sample {
                    queue.push(input, *horizon);
                }
            }
        }
        result.transpose()
    }

    /// Gives an empty queue to each stream that has been added to the learner.
    fn admit_streams(&mut self) {
        let queue = || Queue { inputs: Vec::new(), count: 0 };
        self.waiting.resize_with(self.learner.streams(), queue);
    }

    /// Fails unless there is a sample for each stream with an input that the network takes.
    fn check(&self, samples: &[Option<Sample<'_, T>>]) -> Result<(), Error> {
        self.learner.check_samples(samples.len())?;
        let (expected, step) = (self.learner.network().inputs(), self.learner.steps());
        for (b, sample) in samples.iter().enumerate() {
            let Some((input, _)) = sample else { continue };
            let checked = match input.len() {
                got if got != expected => Err(Error::InputLength { expected, got }),
                _ => check_finite(step, Quantity::Input, input),
            };
            checked.map_err(|error| in_stream((samples.len() > 1).then_some(b), error))?;
        }
        Ok(())
    }

    /// The forecast of the label that arrives in `horizon` calls, for the first stream. It changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the network overflows.
    pub fn forecast(&mut self) -> Result<&[T], Error> {
        self.forecast_stream(0)
    }

    /// [`Forecaster::forecast`] of one stream.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`], and [`Error::NoStream`].
    pub fn forecast_stream(&mut self, stream: usize) -> Result<&[T], Error> {
        self.learner.check_stream(stream)?;
        self.admit_streams();
        let Queue { inputs, count } = &self.waiting[stream];
        let width = self.learner.network().inputs();
        self.learner.replay(stream, (0..*count).map(|i| &inputs[i * width..][..width]))
    }

    /// Calls between an input and its label.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The learner, at the time of the newest complete pair.
    pub fn learner(&self) -> &Learner<T> {
        &self.learner
    }

    /// The learner, for everything except steps and resets: rates, weights, a pending gradient
    /// ([`Learner::finish`]), sensitivities, more streams ([`Learner::add_stream`]). Its own steps
    /// and resets bypass the pending inputs.
    pub fn learner_mut(&mut self) -> &mut Learner<T> {
        &mut self.learner
    }

    /// Starts new sequences, as [`Learner::reset`]. The pending inputs are dropped, because their
    /// labels belong to the old sequences.
    ///
    /// # Errors
    /// As [`Learner::reset`].
    pub fn reset(&mut self, states: &[T]) -> Result<(), Error> {
        let result = self.learner.reset(states);
        if was_reset(&result) {
            self.waiting.iter_mut().for_each(Queue::clear);
        }
        result
    }

    /// [`Forecaster::reset`] of one stream.
    ///
    /// # Errors
    /// As [`Learner::reset_stream`].
    pub fn reset_stream(&mut self, stream: usize, state: &[T]) -> Result<(), Error> {
        let result = self.learner.reset_stream(stream, state);
        if was_reset(&result) {
            self.admit_streams();
            self.waiting[stream].clear();
        }
        result
    }

    /// The learner, without the pending inputs.
    pub fn into_learner(self) -> Learner<T> {
        self.learner
    }
}

/// Whether a reset has been done, with an error or without.
fn was_reset(result: &Result<(), Error>) -> bool {
    !matches!(
        result,
        Err(Error::StateLength { .. } | Error::NonFinite { .. } | Error::NoStream { .. })
    )
}

impl StoredLearner {
    /// The forecaster, which continues as the saved one would have, bit for bit.
    ///
    /// # Errors
    /// As [`StoredLearner::learner`].
    pub fn forecaster<T: Real>(self, supplies: &Supplies<T>) -> Result<Forecaster<T>, Error> {
        let (learner, waiting) = self.forecasting(supplies)?;
        Forecaster::resumed(learner, waiting.horizon(), waiting.counts(), waiting.inputs())
    }
}
