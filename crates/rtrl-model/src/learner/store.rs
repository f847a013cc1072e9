//! A learner in a checkpoint: everything that the run needs to go on bit for bit.
//!
//! [`Learner::tensors`] lists what a file holds. Writing follows it tensor by tensor, which the writer
//! enforces, and reading begins by asking the file for all of it. The project's `docs/checkpoint.md` describes
//! the tensors.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rtrl_kernel::{Engine, Layout, Pace, Real, Sink, Source, Spec, Threads};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accumulate::Counters;
use super::stream::Stream;
use super::{Learner, Recoveries, Recovery};
use crate::store::container::{self, Checkpoints, Dtype, Plan, Reader, Saved, Tensor, Writer};
use crate::store::description::{Description, Parts, connection_codes, connection_rows};
use crate::{
    Activation, EngineChoice, Error, Forecaster, Isa, Loss, Matrix, Network, Optimizer,
    RateSchedule, Regime, UpdateSettings,
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

/// The engine, with what it takes to build it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredEngine {
    Eager,
    Deferred { window: usize, even_paced: bool },
    Custom { name: String, exact: bool },
}

/// What a stream holds besides numbers.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct StreamContents {
    /// Steps since the sequence began.
    steps: u64,
    /// Whether p is lost; the file then holds p = 0.
    lost: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ForecastContents {
    horizon: usize,
    /// Inputs that wait, for each stream.
    waiting: Vec<usize>,
}

/// What a file keeps by name only, to be supplied when a learner is taken out of it, and what is a matter
/// of the machine.
#[derive(Debug, Clone)]
pub struct Supplies<T: Real> {
    /// Activations of one's own.
    pub activations: Vec<Activation>,
    /// A loss of one's own.
    pub loss: Option<Loss<T>>,
    /// A custom schedule.
    pub schedule: Option<RateSchedule>,
    /// A custom optimiser; its learning rate is that of the file.
    pub optimizer: Option<Optimizer>,
    /// What builds custom engines.
    pub engine: Option<EngineFactory<T>>,
    /// How many threads are used. The results do not depend on it.
    pub threads: Threads,
    /// The instruction set; that of [`Isa::from_env`] by default. The results do not depend on it.
    pub isa: Option<Isa>,
}

impl<T: Real> Default for Supplies<T> {
    fn default() -> Self {
        let (activations, threads) = (Vec::new(), Threads::Auto);
        let optimizer = None;
        Self {
            activations,
            loss: None,
            schedule: None,
            optimizer,
            engine: None,
            threads,
            isa: None,
        }
    }
}

/// Builds the custom engines that a file names.
#[derive(Clone)]
pub struct EngineFactory<T: Real>(Arc<Build<T>>);

type Build<T> = dyn Fn(&Layout, &[bool], &str) -> Result<Box<dyn Engine<T>>, Error> + Send + Sync;

impl<T: Real> EngineFactory<T> {
    /// A factory that calls `build` with the shape of the layer, the weights that learn (as
    /// [`Network::learning`](crate::Network::learning)) and the name from the engine's [`Spec::Custom`].
    pub fn new(
        build: impl Fn(&Layout, &[bool], &str) -> Result<Box<dyn Engine<T>>, Error>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(build))
    }
}

impl<T: Real> fmt::Debug for EngineFactory<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EngineFactory")
    }
}

impl<T: Real> Learner<T> {
    /// Saves everything that the run needs to go on bit for bit, to one file. `application` is stored as it
    /// is, for the program.
    ///
    /// p and windows are written row by row: no second copy of them is made.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Checkpoint`]; a file that was there stays. [`Error::Kernel`] if a custom
    /// engine cannot be saved.
    pub fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        self.save_with(None, application, |plan, write| container::save(path, plan, write))
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
        waiting: Option<Waiting<T>>,
        application: &Value,
        save: impl FnOnce(&Plan, &dyn Fn(&mut Writer<'_>) -> Result<(), Error>) -> Result<O, Error>,
    ) -> Result<O, Error> {
        let (forecast, inputs) = waiting.map(|waiting| (waiting.contents, waiting.inputs)).unzip();
        let contents = self.contents(forecast, application);
        let failed = |error: serde_json::Error| Error::Format {
            what: "the settings of the learner".to_owned(),
            reason: error.to_string(),
        };
        let tensors = self.tensors(&contents)?;
        let plan = Plan::new(&serde_json::to_value(&contents).map_err(failed)?, tensors)?;
        let inputs = inputs.unwrap_or_default();
        save(&plan, &|writer| self.write(&inputs, writer))
    }

    fn contents(&self, forecast: Option<ForecastContents>, application: &Value) -> Contents {
        let stream =
            |stream: &Stream<T>| StreamContents { steps: stream.state.steps(), lost: stream.lost };
        Contents {
            precision: T::NAME.to_owned(),
            network: Description::of(&self.network),
            outputs: self.network.outputs(),
            columns: self.network.weight_counts().1,
            learner: Settings {
                regime: self.regime,
                teacher_forcing: self.teacher_forcing,
                engine: StoredEngine::of(self.streams[0].engine.spec()),
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
            streams: self.streams.iter().map(stream).collect(),
            forecast,
            application: application.clone(),
        }
    }

    /// The tensors of a file with these contents, in their order: double precision, `T`, bytes.
    fn tensors(&self, contents: &Contents) -> Result<Vec<Tensor>, Error> {
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
        for (b, stream) in self.streams.iter().enumerate() {
            let vector = |name, len| Tensor::numbers::<T>(in_stream(b, name), [len]);
            tensors.extend([vector("state", n), vector("outputs", outputs)]);
            tensors.extend([vector("slopes", n), vector("teacher", n)]);
            stream.save_engine(&mut Planning { stream: b, tensors: &mut tensors })?;
        }
        if let Some(forecast) = &contents.forecast {
            let shape = [forecast.waiting.iter().sum(), self.network.inputs()];
            tensors.push(Tensor::numbers::<T>(WAITING, shape));
        }
        let weights = self.network.weights();
        tensors.push(Tensor::bytes(CONNECTIONS, [weights.rows(), weights.columns()]));
        let forced = |b| Tensor::bytes(in_stream(b, "forced"), [n]);
        tensors.extend((0..self.streams.len()).map(forced));
        Ok(tensors)
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

    fn write(&self, waiting: &[T], writer: &mut Writer<'_>) -> Result<(), Error> {
        if let Some(fit) = &self.fit {
            fit.outputs().iter().try_for_each(|fit| writer.numbers("fit.weight", fit.weights()))?;
            fit.outputs()
                .iter()
                .try_for_each(|fit| writer.numbers("fit.inverse", fit.inverse()))?;
        }
        for (name, matrix) in self.matrices() {
            matrix.iter_rows().try_for_each(|row| writer.numbers(&name, row))?;
        }
        for (b, stream) in self.streams.iter().enumerate() {
            stream.write(b, writer)?;
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
#[derive(Debug, Clone)]
pub(crate) struct Waiting<T> {
    contents: ForecastContents,
    inputs: Vec<T>,
}

impl<T> Waiting<T> {
    pub(crate) fn new(horizon: usize, counts: Vec<usize>, inputs: Vec<T>) -> Self {
        Self { contents: ForecastContents { horizon, waiting: counts }, inputs }
    }
}

impl<T: Real> Stream<T> {
    fn write(&self, b: usize, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.numbers(&in_stream(b, "state"), self.state.values())?;
        writer.numbers(&in_stream(b, "outputs"), self.state.outputs())?;
        writer.numbers(&in_stream(b, "slopes"), self.state.slopes())?;
        writer.numbers(&in_stream(b, "teacher"), &self.state.teacher.values)?;
        let mut writing = Writing { stream: b, writer, row: Vec::new(), failure: None };
        let result = self.save_engine(&mut writing);
        writing.failure.map_or(Ok(result?), Err)
    }

    /// What the engine remembers; p = 0 where it is lost.
    fn save_engine(&self, to: &mut dyn Sink<T>) -> Result<(), rtrl_kernel::Error> {
        if !self.lost {
            return self.engine.save(to);
        }
        let shape = [self.state.values().len(), self.engine.weights()];
        to.tensor(SENSITIVITIES, shape, &mut |_, row| row.fill(T::ZERO))
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
        let mut reading = Reading { stream: b, reader, failure: None };
        let result = self.engine.load(&mut reading);
        reading.failure.map_or(Ok(result?), Err)
    }
}

/// The part of a stream that its engine saves.
const SENSITIVITIES: &str = "sensitivities";

fn of_engine(b: usize, name: &str) -> String {
    in_stream(b, &format!("engine.{name}"))
}

/// Learns the names and shapes of an engine's tensors.
struct Planning<'a> {
    stream: usize,
    tensors: &'a mut Vec<Tensor>,
}

impl<T: Real> Sink<T> for Planning<'_> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        _: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), rtrl_kernel::Error> {
        self.tensors.push(Tensor::numbers::<T>(of_engine(self.stream, name), shape));
        Ok(())
    }
}

/// Streams an engine's tensors into a file.
struct Writing<'a, 'b, T> {
    stream: usize,
    writer: &'a mut Writer<'b>,
    /// The row that is being written.
    row: Vec<T>,
    /// Why the file could not take a tensor.
    failure: Option<Error>,
}

impl<T: Real> Sink<T> for Writing<'_, '_, T> {
    fn tensor(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), rtrl_kernel::Error> {
        let name = of_engine(self.stream, name);
        self.row.resize(columns, T::ZERO);
        for row in 0..rows {
            fill(row, &mut self.row);
            if let Err(failure) = self.writer.numbers(&name, &self.row) {
                self.failure = Some(failure);
                return Err(rtrl_kernel::Error::Storage);
            }
        }
        Ok(())
    }
}

/// Reads an engine's tensors from a file.
struct Reading<'a> {
    stream: usize,
    reader: &'a mut Reader,
    /// Why the file could not provide a tensor.
    failure: Option<Error>,
}

impl<T: Real> Source<T> for Reading<'_> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        let name = of_engine(self.stream, name);
        let found = self.reader.tensors().find(|tensor| tensor.name == name)?;
        if found.dtype == Dtype::of::<T>() { found.shape[..].try_into().ok() } else { None }
    }

    fn rows(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<(), rtrl_kernel::Error> {
        let Some([rows, columns]) = Source::<T>::shape(self, name) else {
            return Err(rtrl_kernel::Error::Storage);
        };
        let (name, mut values) = (of_engine(self.stream, name), vec![T::ZERO; columns]);
        for row in 0..rows {
            if let Err(failure) = self.reader.numbers(&name, row * columns, &mut values) {
                self.failure = Some(failure);
                return Err(rtrl_kernel::Error::Storage);
            }
            take(row, &values);
        }
        Ok(())
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
    pub fn horizon(&self) -> Option<usize> {
        self.contents.forecast.as_ref().map(|forecast| forecast.horizon)
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
        let Some(ForecastContents { horizon, waiting }) = self.contents.forecast.take() else {
            let (expected, got) = ("a forecaster's".to_owned(), "a learner's".to_owned());
            return Err(Error::Setting { what: "the checkpoint", expected, got });
        };
        let learner = self.take(supplies)?;
        let count = waiting.iter().fold(0, |sum: usize, &count| sum.saturating_add(count));
        self.reader.expect(&Tensor::numbers::<T>(WAITING, [count, learner.network().inputs()]))?;
        let mut inputs = vec![T::ZERO; count * learner.network().inputs()];
        self.reader.numbers(WAITING, 0, &mut inputs)?;
        Forecaster::resumed(learner, horizon, &waiting, &inputs)
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
        learner
            .tensors(contents)?
            .iter()
            .filter(|tensor| !tensor.name.contains(".engine."))
            .try_for_each(|tensor| reader.expect(tensor))?;
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
        let Contents { network, outputs, columns, learner, streams, .. } = &self.contents;
        let features = network.features();
        if network.is_fitted() {
            let shape = [*outputs, features, features];
            self.reader.expect(&Tensor::numbers::<f64>("fit.inverse", shape))?;
        }
        for b in 0..streams.len() {
            self.reader.expect(&Tensor::numbers::<T>(in_stream(b, "state"), [network.units]))?;
            if !matches!(learner.engine, StoredEngine::Custom { .. }) {
                let shape = [network.units, *columns];
                self.reader.expect(&Tensor::numbers::<T>(of_engine(b, SENSITIVITIES), shape))?;
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
        updates.supply(supplies.schedule.as_ref(), supplies.optimizer.as_ref())?;
        let network = network.build()?;
        let engine = learner.engine.custom(&network, supplies)?;
        let builder = Learner::builder(network);
        let builder = match engine {
            Some(engine) => builder.custom_engine(engine),
            None => builder.engine(learner.engine.choice()),
        };
        builder
            .regime(learner.regime)
            .teacher_forcing(learner.teacher_forcing)
            .step_gradients(learner.step_gradients)
            .loss(own.map_or_else(|| learner.loss.parse(), |own| Ok(own.clone()))?)
            .sensitivity_decay(learner.sensitivity_decay)
            .recovery(learner.recovery)
            .updates(updates)
            .streams(streams.len())
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
    fn of(spec: Spec) -> Self {
        match spec {
            Spec::Eager => Self::Eager,
            Spec::Deferred { window, pace } => {
                Self::Deferred { window: window.get(), even_paced: pace == Pace::Even }
            }
            Spec::Custom { name, exact } => Self::Custom { name, exact },
        }
    }

    /// The choice that makes this engine; of no account for a custom one.
    fn choice(&self) -> EngineChoice {
        match *self {
            Self::Eager | Self::Custom { .. } => EngineChoice::Eager,
            Self::Deferred { window, even_paced } => EngineChoice::Deferred {
                window: Some(window),
                pace: if even_paced { Pace::Even } else { Pace::Bursts },
            },
        }
    }

    /// The custom engine of this name, if it is one.
    fn custom<T: Real>(
        &self,
        network: &Network<T>,
        supplies: &Supplies<T>,
    ) -> Result<Option<Box<dyn Engine<T>>>, Error> {
        let Self::Custom { name, .. } = self else { return Ok(None) };
        let refused = |got| {
            let expected = format!("{name:?} from the supplied factory");
            Err(Error::Setting { what: "the custom engine", expected, got })
        };
        let Some(factory) = &supplies.engine else { return refused("no factory".to_owned()) };
        let engine = factory.0(&network.layout(), &network.learning(), name)?;
        let spec = Self::of(engine.spec());
        if spec == *self { Ok(Some(engine)) } else { refused(format!("{:?}", engine.spec())) }
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
