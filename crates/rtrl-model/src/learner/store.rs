//! A learner in a checkpoint: everything that the run needs to go on bit for bit.
//!
//! [`Learner::tensors`] lists what a file holds. Writing follows it tensor by tensor, which the writer
//! enforces, and reading begins by asking the file for all of it. The project's `docs/checkpoint.md` describes
//! the tensors.

use std::num::NonZeroUsize;
use std::path::Path;

use rtrl_kernel::{Pace, Pending, Real, Threads};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accumulate::Counters;
use super::stream::Stream;
use super::{Learner, Recoveries, Recovery};
use crate::checkpoint::{self, Checkpoints, Plan, Reader, Saved, Tensor, Writer};
use crate::description::{Description, Parts, connection_codes, connection_rows};
use crate::{
    Activation, EngineChoice, Error, Forecaster, Isa, Loss, Matrix, RateSchedule, Regime,
    UpdateSettings,
};

/// What stands beside the tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    precision: String,
    network: Description,
    outputs: usize,
    /// Columns of p.
    columns: usize,
    learner: Settings,
    steps: u64,
    updates: u64,
    counters: Counters,
    mended: Recoveries,
    streams: Vec<StreamContents>,
    /// The inputs that wait for their labels, if it is a forecaster.
    forecast: Option<ForecastContents>,
    application: Value,
}

/// What a learner was built with.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    regime: Regime,
    teacher_forcing: bool,
    engine: StoredEngine,
    step_gradients: bool,
    loss: String,
    sensitivity_decay: f64,
    recovery: Recovery,
    updates: UpdateSettings,
}

/// The engine, with the window that it has.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredEngine {
    Eager,
    Deferred { window: NonZeroUsize, even_paced: bool },
}

/// Lengths of what a stream's engine holds beside p, in numbers.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct StreamContents {
    /// Steps since the sequence began.
    #[serde(default)]
    steps: u64,
    /// Whether p is lost; there is then nothing of it in the file.
    lost: bool,
    gradient: usize,
    window: usize,
    previous: usize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct ForecastContents {
    horizon: NonZeroUsize,
    waiting: usize,
}

/// What a file keeps by name only, to be supplied when a learner is taken out of it, and what is a matter
/// of the machine.
#[derive(Debug, Clone)]
pub struct Supplies<T: Real> {
    /// Activations of one's own.
    pub activations: Vec<Activation>,
    /// A loss of one's own.
    pub loss: Option<Loss<T>>,
    /// A schedule of one's own.
    pub schedule: Option<RateSchedule>,
    /// How many threads are used. The results do not depend on it.
    pub threads: Threads,
    /// The instruction set; that of [`Isa::from_env`] by default. The results do not depend on it.
    pub isa: Option<Isa>,
}

impl<T: Real> Default for Supplies<T> {
    fn default() -> Self {
        let (activations, threads) = (Vec::new(), Threads::Auto);
        Self { activations, loss: None, schedule: None, threads, isa: None }
    }
}

impl<T: Real> Learner<T> {
    /// Saves everything that the run needs to go on bit for bit, to one file. `application` is stored as it
    /// is, for the program.
    ///
    /// p is written row by row: no second copy of it is made.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Checkpoint`]; a file that was there stays. [`Error::Setting`] if the
    /// engine is one of the user's own.
    pub fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        self.save_with(None, application, |plan, write| checkpoint::save(path, plan, write))
    }

    /// [`Learner::save`] into a series of checkpoints, of which the last few are kept, as that of step
    /// [`Learner::steps`].
    ///
    /// # Errors
    /// As [`Learner::save`]; all earlier checkpoints stay.
    pub fn save_in(&self, series: &Checkpoints, application: &Value) -> Result<Saved, Error> {
        self.save_with(None, application, |plan, write| series.save(self.steps, plan, write))
    }

    pub(crate) fn save_with<O>(
        &self,
        waiting: Option<Waiting<'_, T>>,
        application: &Value,
        save: impl FnOnce(&Plan, &dyn Fn(&mut Writer<'_>) -> Result<(), Error>) -> Result<O, Error>,
    ) -> Result<O, Error> {
        let pending: Vec<Pending<T>> = self.streams.iter().map(Stream::pending).collect();
        let forecast = waiting.map(|waiting| waiting.contents);
        let contents = self.contents(&pending, forecast, application)?;
        let failed = |error: serde_json::Error| Error::Format {
            what: "the settings of the learner".to_owned(),
            reason: error.to_string(),
        };
        let tensors = self.tensors(&contents);
        let plan = Plan::new(&serde_json::to_value(&contents).map_err(failed)?, tensors)?;
        let inputs = waiting.map_or(&[][..], |waiting| waiting.inputs);
        save(&plan, &|writer| self.write(&pending, inputs, writer))
    }

    fn contents(
        &self,
        pending: &[Pending<T>],
        forecast: Option<ForecastContents>,
        application: &Value,
    ) -> Result<Contents, Error> {
        let stream = |(stream, pending): (&Stream<T>, &Pending<T>)| StreamContents {
            steps: stream.state.steps(),
            lost: stream.lost,
            gradient: pending.gradient.len(),
            window: pending.window.len(),
            previous: pending.previous.len(),
        };
        Ok(Contents {
            precision: T::NAME.to_owned(),
            network: Description::of(&self.network),
            outputs: self.network.outputs(),
            columns: self.network.weight_counts().1,
            learner: Settings {
                regime: self.regime,
                teacher_forcing: self.teacher_forcing,
                engine: self.stored_engine()?,
                step_gradients: self.accumulator.each_step,
                loss: self.loss.saved_name(),
                sensitivity_decay: self.sensitivity_decay,
                recovery: self.recovery,
                updates: self.updater.settings().clone(),
            },
            steps: self.steps,
            updates: self.updater.updates(),
            counters: self.accumulator.counters(),
            mended: self.recoveries,
            streams: self.streams.iter().zip(pending).map(stream).collect(),
            forecast,
            application: application.clone(),
        })
    }

    fn stored_engine(&self) -> Result<StoredEngine, Error> {
        match self.engine {
            Some(EngineChoice::Deferred { window: Some(window), pace }) => {
                Ok(StoredEngine::Deferred { window, even_paced: pace == Pace::Even })
            }
            Some(_) => Ok(StoredEngine::Eager),
            None => {
                let expected = "one of this library's, to be stored".to_owned();
                let got = "one of the user's own".to_owned();
                Err(Error::Setting { what: "the engine", expected, got })
            }
        }
    }

    /// The tensors of a file with these contents, in their order: double precision, `T`, bytes.
    fn tensors(&self, contents: &Contents) -> Vec<Tensor> {
        let (n, outputs) = (self.network.units(), self.network.outputs());
        let like = |name: &str, matrix: &Matrix<T>| {
            Tensor::numbers::<T>(name, [matrix.rows(), matrix.columns()])
        };
        let mut tensors = Vec::new();
        if self.fit.is_some() {
            let features = contents.network.features();
            tensors.push(Tensor::numbers::<f64>("fit.weight", [outputs, features]));
            tensors.push(Tensor::numbers::<f64>("fit.inverse", [outputs, features, features]));
        }
        tensors.extend(self.matrices().map(|(name, matrix)| like(&name, matrix)));
        for (b, stream) in contents.streams.iter().enumerate() {
            let vector = |name, len| Tensor::numbers::<T>(in_stream(b, name), [len]);
            tensors.extend([vector("state", n), vector("outputs", outputs)]);
            tensors.extend([vector("slopes", n), vector("teacher", n)]);
            if !stream.lost {
                let shape = [n, contents.columns];
                tensors.push(Tensor::numbers::<T>(in_stream(b, "sensitivities"), shape));
                tensors.extend([
                    vector("gradient", stream.gradient),
                    vector("window", stream.window),
                    vector("previous", stream.previous),
                ]);
            }
        }
        if let Some(forecast) = contents.forecast {
            let shape = [forecast.waiting, self.network.inputs()];
            tensors.push(Tensor::numbers::<T>(WAITING, shape));
        }
        let weights = self.network.weights();
        tensors.push(Tensor::bytes(CONNECTIONS, [weights.rows(), weights.columns()]));
        let forced = |b| Tensor::bytes(in_stream(b, "forced"), [n]);
        tensors.extend((0..contents.streams.len()).map(forced));
        tensors
    }

    /// The matrices of a file, in their order: weights, then moments, then gradients on their way.
    fn matrices(&self) -> impl Iterator<Item = (String, &Matrix<T>)> {
        let weights = std::iter::once((RECURRENT.to_owned(), self.network.weights()));
        let readout = self.network.readout_weights().map(|weights| (READOUT.to_owned(), weights));
        let moments = self.updater.state().map(|(name, matrix)| (of_optimizer(&name), matrix));
        let gradients = self.accumulator.gradients().flat_map(|(name, gradient)| {
            let recurrent = (format!("{name}.recurrent"), &gradient.recurrent);
            let readout = gradient.readout.as_ref();
            let readout = readout.map(|readout| (format!("{name}.readout"), readout));
            std::iter::once(recurrent).chain(readout)
        });
        weights.chain(readout).chain(moments).chain(gradients)
    }

    fn write(
        &self,
        pending: &[Pending<T>],
        waiting: &[T],
        writer: &mut Writer<'_>,
    ) -> Result<(), Error> {
        if let Some(fit) = &self.fit {
            fit.outputs().iter().try_for_each(|fit| writer.numbers("fit.weight", fit.weights()))?;
            fit.outputs()
                .iter()
                .try_for_each(|fit| writer.numbers("fit.inverse", fit.inverse()))?;
        }
        for (name, matrix) in self.matrices() {
            matrix.iter_rows().try_for_each(|row| writer.numbers(&name, row))?;
        }
        for (b, (stream, pending)) in self.streams.iter().zip(pending).enumerate() {
            stream.write(b, pending, writer)?;
        }
        writer.numbers(WAITING, waiting)?;
        writer.bytes(CONNECTIONS, &connection_codes(&self.network))?;
        for (b, stream) in self.streams.iter().enumerate() {
            let forced: Vec<u8> =
                stream.state.teacher.forced.iter().map(|&forced| forced.into()).collect();
            writer.bytes(&in_stream(b, "forced"), &forced)?;
        }
        Ok(())
    }
}

const RECURRENT: &str = "recurrent.weight";
const READOUT: &str = "readout.weight";
const CONNECTIONS: &str = "connections";
const WAITING: &str = "forecast.inputs";

fn in_stream(b: usize, name: &str) -> String {
    format!("stream.{b}.{name}")
}

fn of_optimizer(name: &str) -> String {
    format!("optimizer.{name}")
}

/// Inputs of a forecaster that wait for their labels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<'a, T> {
    contents: ForecastContents,
    inputs: &'a [T],
}

impl<'a, T> Waiting<'a, T> {
    pub(crate) fn new(horizon: NonZeroUsize, count: usize, inputs: &'a [T]) -> Self {
        Self { contents: ForecastContents { horizon, waiting: count }, inputs }
    }
}

impl<T: Real> Stream<T> {
    /// What the engine holds beside p; nothing where p is lost.
    fn pending(&self) -> Pending<T> {
        if self.lost { Pending::default() } else { self.engine.pending() }
    }

    fn write(&self, b: usize, pending: &Pending<T>, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.numbers(&in_stream(b, "state"), self.state.values())?;
        writer.numbers(&in_stream(b, "outputs"), self.state.outputs())?;
        writer.numbers(&in_stream(b, "slopes"), self.state.slopes())?;
        writer.numbers(&in_stream(b, "teacher"), &self.state.teacher.values)?;
        if self.lost {
            return Ok(());
        }
        let (name, mut row) = (in_stream(b, "sensitivities"), vec![T::ZERO; self.engine.columns()]);
        for k in 0..self.state.values().len() {
            self.engine.stored(k, &mut row)?;
            writer.numbers(&name, &row)?;
        }
        writer.numbers(&in_stream(b, "gradient"), &pending.gradient)?;
        writer.numbers(&in_stream(b, "window"), &pending.window)?;
        writer.numbers(&in_stream(b, "previous"), &pending.previous)
    }

    fn read(
        &mut self,
        b: usize,
        (contents, forcing): (StreamContents, bool),
        reader: &mut Reader,
    ) -> Result<(), Error> {
        let n = self.state.values().len();
        let [values, outputs, slopes, teacher] = self.state.restore(contents.steps);
        reader.numbers(&in_stream(b, "state"), 0, values)?;
        reader.numbers(&in_stream(b, "outputs"), 0, outputs)?;
        reader.numbers(&in_stream(b, "slopes"), 0, slopes)?;
        reader.numbers(&in_stream(b, "teacher"), 0, teacher)?;
        let mut forced = vec![0; n];
        reader.bytes(&in_stream(b, "forced"), 0, &mut forced)?;
        if let Some(odd) = forced.iter().find(|&&code| code > u8::from(forcing)) {
            let reason = format!("a forced unit of stream {b} has the code {odd}");
            return Err(Error::Format { what: reader.path().display().to_string(), reason });
        }
        self.state
            .teacher
            .forced
            .iter_mut()
            .zip(forced)
            .for_each(|(place, code)| *place = code == 1);
        self.lost = contents.lost;
        if self.lost {
            return Ok(());
        }
        let (name, mut row) = (in_stream(b, "sensitivities"), vec![T::ZERO; self.engine.columns()]);
        for k in 0..n {
            reader.numbers(&name, k * row.len(), &mut row)?;
            self.engine.restore(k, &row)?;
        }
        let mut vector = |name, len| {
            let mut values = vec![T::ZERO; len];
            reader.numbers(&in_stream(b, name), 0, &mut values).map(|()| values)
        };
        let pending = Pending {
            gradient: vector("gradient", contents.gradient)?,
            window: vector("window", contents.window)?,
            previous: vector("previous", contents.previous)?,
        };
        Ok(self.engine.resume(&pending)?)
    }
}

/// A checkpoint of a learner or a forecaster, from which it is taken.
#[derive(Debug)]
pub struct StoredLearner {
    reader: Reader,
    contents: Contents,
}

impl StoredLearner {
    /// Looks into a checkpoint.
    ///
    /// # Errors
    /// [`Error::Format`] if it does not hold a learner.
    pub fn new(reader: Reader) -> Result<Self, Error> {
        let contents = Contents::deserialize(reader.contents());
        let contents = contents.map_err(|error| Error::Format {
            what: reader.path().display().to_string(),
            reason: format!("not the checkpoint of a learner: {error}"),
        })?;
        Ok(Self { reader, contents })
    }

    /// Opens the checkpoint at `path`.
    ///
    /// # Errors
    /// Those of [`Reader::open`], and [`Error::Format`] if it does not hold a learner.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(Reader::open(path)?)
    }

    /// `f32` or `f64`.
    pub fn precision(&self) -> &str {
        &self.contents.precision
    }

    /// What the program that saved it stored beside it.
    pub fn application(&self) -> &Value {
        &self.contents.application
    }

    /// Number of steps taken when it was saved.
    pub fn steps(&self) -> u64 {
        self.contents.steps
    }

    /// Calls between an input and its label, if it is a forecaster's.
    pub fn horizon(&self) -> Option<NonZeroUsize> {
        self.contents.forecast.map(|forecast| forecast.horizon)
    }

    /// The learner, which goes on as the saved one would have, bit for bit.
    ///
    /// # Errors
    /// [`Error::Setting`] if the precision is not that of the file, it is a forecaster's, or something of the
    /// user's own has not been supplied; [`Error::Checkpoint`] and [`Error::Format`] if tensors do not fit
    /// combined; those of [`LearnerBuilder::build`](crate::LearnerBuilder::build).
    pub fn learner<T: Real>(mut self, supplies: &Supplies<T>) -> Result<Learner<T>, Error> {
        if self.contents.forecast.is_some() {
            let (expected, got) = ("a learner's".to_owned(), "a forecaster's".to_owned());
            return Err(Error::Setting { what: "the checkpoint", expected, got });
        }
        self.take(supplies)
    }

    /// The forecaster, which goes on as the saved one would have, bit for bit.
    ///
    /// # Errors
    /// As [`StoredLearner::learner`].
    pub fn forecaster<T: Real>(mut self, supplies: &Supplies<T>) -> Result<Forecaster<T>, Error> {
        let Some(ForecastContents { horizon, waiting }) = self.contents.forecast else {
            let (expected, got) = ("a forecaster's".to_owned(), "a learner's".to_owned());
            return Err(Error::Setting { what: "the checkpoint", expected, got });
        };
        let learner = self.take(supplies)?;
        let mut inputs = vec![T::ZERO; waiting * learner.network().inputs()];
        self.reader.numbers(WAITING, 0, &mut inputs)?;
        Forecaster::resumed(learner, horizon, waiting, &inputs)
    }

    fn take<T: Real>(&mut self, supplies: &Supplies<T>) -> Result<Learner<T>, Error> {
        if self.contents.precision != T::NAME {
            let (expected, got) = (T::NAME.to_owned(), self.contents.precision.clone());
            return Err(Error::Setting { what: "the precision of the checkpoint", expected, got });
        }
        self.check_counters()?;
        let mut learner = self.build(supplies)?;
        let Self { reader, contents } = self;
        let (forcing, columns) =
            (contents.learner.teacher_forcing, learner.network.weight_counts().1);
        if contents.columns != columns {
            let reason = format!("{} columns of p, expected {columns}", contents.columns);
            return Err(self.refuse(reason));
        }
        learner.tensors(contents).iter().try_for_each(|tensor| reader.expect(tensor))?;
        learner.read_fit(reader)?;
        learner.read_gradients(reader)?;
        learner.read_moments(contents.updates, reader)?;
        for (b, (stream, &contents)) in
            learner.streams.iter_mut().zip(&contents.streams).enumerate()
        {
            stream.read(b, (contents, forcing), reader)?;
        }
        learner.accumulator.set_counters(contents.counters);
        learner.recoveries = contents.mended;
        learner.steps = contents.steps;
        Ok(learner)
    }

    /// Fails for counts that no run reaches and that could no longer be counted on.
    fn check_counters(&self) -> Result<(), Error> {
        let Contents { steps, updates, counters, .. } = &self.contents;
        let largest = (*steps).max(*updates).max(counters.steps());
        if largest <= u64::MAX / 2 {
            return Ok(());
        }
        Err(self.refuse(format!("a count of {largest}, expected at most {}", u64::MAX / 2)))
    }

    /// Fails unless the file has the large tensors that a learner makes room for when it is built.
    fn check_sizes<T: Real>(&self) -> Result<(), Error> {
        let Contents { network, outputs, columns, streams, .. } = &self.contents;
        let features = network.features();
        if network.is_fitted() {
            let shape = [*outputs, features, features];
            self.reader.expect(&Tensor::numbers::<f64>("fit.inverse", shape))?;
        }
        for (b, stream) in streams.iter().enumerate() {
            self.reader.expect(&Tensor::numbers::<T>(in_stream(b, "state"), [network.units]))?;
            if !stream.lost {
                let shape = [network.units, *columns];
                self.reader.expect(&Tensor::numbers::<T>(in_stream(b, "sensitivities"), shape))?;
            }
        }
        Ok(())
    }

    /// A fresh learner with the settings of the stored one.
    fn build<T: Real>(&mut self, supplies: &Supplies<T>) -> Result<Learner<T>, Error> {
        let parts = self.parts::<T>()?;
        self.check_sizes::<T>()?;
        let Contents { network, learner, streams, .. } = &self.contents;
        let mut network = network.builder::<T>(parts, &supplies.activations)?;
        if let Some(isa) = supplies.isa {
            network = network.isa(isa);
        }
        let own = supplies.loss.iter().find(|own| own.saved_name() == learner.loss);
        if own.is_none() && learner.loss.starts_with("custom:") {
            let (expected, got) =
                (format!("{:?} among the supplies", learner.loss), "none".to_owned());
            return Err(Error::Setting { what: "the loss of one's own", expected, got });
        }
        let mut updates = learner.updates.clone();
        updates.supply(supplies.schedule.as_slice())?;
        let Some(streams) = NonZeroUsize::new(streams.len()) else {
            return Err(self.refuse("it has no stream".to_owned()));
        };
        Learner::builder(network.build()?)
            .regime(learner.regime)
            .teacher_forcing(learner.teacher_forcing)
            .engine(learner.engine.choice())
            .step_gradients(learner.step_gradients)
            .loss(own.map_or_else(|| learner.loss.parse(), |own| Ok(own.clone()))?)
            .sensitivity_decay(learner.sensitivity_decay)
            .recovery(learner.recovery)
            .updates(updates)
            .streams(streams)
            .threads(supplies.threads)
            .build()
    }

    /// The numbers of the network, whose shapes the file confirms before room is made for them.
    fn parts<T: Real>(&mut self) -> Result<Parts, Error> {
        let (n, outputs) = (self.contents.network.units, self.contents.outputs);
        let Some(lines) = self.contents.network.lines() else {
            return Err(self.refuse("the number of units or inputs is out of range".to_owned()));
        };
        self.reader.expect(&Tensor::bytes(CONNECTIONS, [n, lines]))?;
        let mut codes = vec![0; n * lines];
        self.reader.bytes(CONNECTIONS, 0, &mut codes)?;
        let connections = connection_rows(&codes, lines).map_err(|reason| self.refuse(reason))?;
        let readout = self.contents.network.has_readout();
        let features = self.contents.network.features();
        Ok(Parts {
            weights: self.rows::<T>(RECURRENT, n, lines)?,
            connections,
            state: vec![0.0; n],
            readout: readout.then(|| self.rows::<T>(READOUT, outputs, features)).transpose()?,
        })
    }

    fn rows<T: Real>(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Vec<Vec<f64>>, Error> {
        self.reader.expect(&Tensor::numbers::<T>(name, [rows, columns]))?;
        let mut row = vec![T::ZERO; columns];
        let read = |i| {
            self.reader.numbers(name, i * columns, &mut row)?;
            Ok(row.iter().map(|value| value.to_f64()).collect())
        };
        (0..rows).map(read).collect()
    }

    fn refuse(&self, reason: String) -> Error {
        Error::Format { what: self.reader.path().display().to_string(), reason }
    }
}

impl StoredEngine {
    fn choice(self) -> EngineChoice {
        match self {
            Self::Eager => EngineChoice::Eager,
            Self::Deferred { window, even_paced } => EngineChoice::Deferred {
                window: Some(window),
                pace: if even_paced { Pace::Even } else { Pace::Bursts },
            },
        }
    }
}

/// Reading into a fresh learner whose tensors the file has.
impl<T: Real> Learner<T> {
    fn read_fit(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let Some(fit) = &mut self.fit else { return Ok(()) };
        for (o, fit) in fit.outputs_mut().iter_mut().enumerate() {
            let features = fit.weights().len();
            let (mut weights, mut inverse) = (vec![0.0; features], vec![0.0; features * features]);
            reader.numbers("fit.weight", o * features, &mut weights)?;
            reader.numbers("fit.inverse", o * inverse.len(), &mut inverse)?;
            fit.restore(&weights, &inverse)?;
        }
        Ok(())
    }

    fn read_gradients(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let learning = self.network.learning();
        for (name, gradient) in self.accumulator.gradients_mut() {
            read_matrix(reader, &format!("{name}.recurrent"), &mut gradient.recurrent)?;
            let values = gradient.recurrent.iter_rows().flatten();
            if values.zip(&learning).any(|(&value, &learns)| !learns && value != T::ZERO) {
                let reason = format!("{name}.recurrent is not 0 where a weight does not learn");
                return Err(Error::Format { what: reader.path().display().to_string(), reason });
            }
            if let Some(readout) = &mut gradient.readout {
                read_matrix(reader, &format!("{name}.readout"), readout)?;
            }
        }
        Ok(())
    }

    fn read_moments(&mut self, updates: u64, reader: &mut Reader) -> Result<(), Error> {
        let mut moments = Vec::new();
        for (name, like) in self.updater.state() {
            let mut moment = Matrix::zeros(like.rows(), like.columns())?;
            read_matrix(reader, &of_optimizer(&name), &mut moment)?;
            moments.push((name, moment));
        }
        self.updater.restore(&self.network, updates, &moments)
    }
}

fn read_matrix<T: Real>(
    reader: &mut Reader,
    name: &str,
    matrix: &mut Matrix<T>,
) -> Result<(), Error> {
    let columns = matrix.columns();
    (0..matrix.rows()).try_for_each(|i| reader.numbers(name, i * columns, matrix.row_mut(i)))
}
