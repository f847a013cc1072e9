//! A recurrent network that forecasts a series and learns as the series arrives.

use rtrl_model::{Learner, Loss, Network, Real, Targets};

use crate::Error;
pub use crate::memory::Memory;
use crate::memory::Sequence;
use crate::prequential::{SeriesForecaster, SeriesRow};
use crate::scale::RunningScale;

/// What the outputs of a network forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predict {
    /// The change of each target from its last value, in standard deviations of the target.
    Change,
    /// The distance of each target from its mean, in standard deviations of the target.
    Value,
    /// The class of the row: one output for each class, whose softmax is the probability.
    Class,
}

/// The row of the target that belongs to the inputs of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// The same row: its inputs are seen before its target is forecast.
    SameRow,
    /// The next row: its target is forecast from the inputs of the rows before.
    NextRow,
}

/// A network that forecasts the next values of a series, one with each output, and learns online.
///
/// Inputs and targets are standardised by the means and deviations of the rows so far
/// ([`RunningScale`]); a target is included after its forecast. A row without any target is a step
/// without a target, and a target that is missing is none of its output. After an overflow the
/// forecaster resets the learner and continues; [`NetworkForecaster::mishaps`] counts these rows.
///
/// Each group of the series has a stream of the learner, with a state of its own, which is added at
/// its first row and starts at 0. All groups share weights and scales, and a row of one takes no time
/// for the others.
///
/// Apart from its settings ([`Predict`], [`Horizon`], [`NetworkForecaster::without_learning`]), it
/// consists of the learner and [`NetworkForecaster::memory`]: with the same settings, one that is
/// made of a stored learner and memory continues bit for bit.
#[derive(Debug)]
pub struct NetworkForecaster<T: Real> {
    learner: Learner<T>,
    predict: Predict,
    horizon: Horizon,
    /// Whether the learner and the scales learn from a row.
    learns: bool,
    /// One for each target; none of classes.
    target_scales: Vec<RunningScale>,
    input_scales: Vec<RunningScale>,
    /// One for each group.
    sequences: Vec<Sequence<T>>,
    mishaps: u64,
    /// The targets of a step, one for each output.
    targets: Vec<Option<T>>,
    /// The forecasts of the last step or, if they have been made, those from a group's current row.
    forecasts: Vec<f64>,
    /// The group whose forecasts have been made.
    made: Option<usize>,
}

impl<T: Real> NetworkForecaster<T> {
    /// A forecaster that has seen no row, around a learner with a stream for each group that is known
    /// already, at least one.
    ///
    /// # Errors
    /// [`rtrl_model::Error::Setting`] unless the learner has, exactly if a class is forecast, the
    /// softmax cross-entropy as its loss.
    pub fn new(learner: Learner<T>, predict: Predict, horizon: Horizon) -> Result<Self, Error> {
        let network = learner.network();
        let (inputs, outputs) = (network.inputs(), network.outputs());
        let is_class = predict == Predict::Class;
        if is_class != matches!(learner.loss(), Loss::SoftmaxCrossEntropy) {
            let expected = if is_class { "softmax-cross-entropy" } else { "a loss of numbers" };
            let got = learner.loss().name().to_owned();
            return Err(refused("loss of a forecaster", expected, got));
        }
        let values = if is_class { 0 } else { outputs };
        Ok(Self {
            predict,
            horizon,
            learns: true,
            target_scales: vec![RunningScale::default(); values],
            input_scales: vec![RunningScale::default(); inputs],
            sequences: vec![Sequence::new(inputs, values); learner.streams()],
            mishaps: 0,
            targets: vec![None; outputs],
            forecasts: vec![0.0; outputs],
            made: None,
            learner,
        })
    }

    /// Continues from what another forecaster of the same shape remembered, whose learner has been
    /// stored.
    ///
    /// # Errors
    /// [`rtrl_model::Error::InputLength`] for the memory of another number of inputs,
    /// [`rtrl_model::Error::TargetLength`] for that of another number of targets,
    /// [`rtrl_model::Error::StreamCount`] for that of another number of groups.
    pub fn remember(self, memory: Memory) -> Result<Self, Error> {
        memory.check(self.sequences.len(), self.input_scales.len(), self.target_scales.len())?;
        let Memory { target_scales, input_scales, sequences, mishaps } = memory;
        let sequences = sequences.iter().map(Sequence::rounded).collect();
        Ok(Self { target_scales, input_scales, sequences, mishaps, made: None, ..self })
    }

    /// What the forecaster remembers next to its learner.
    pub fn memory(&self) -> Memory {
        Memory {
            target_scales: self.target_scales.clone(),
            input_scales: self.input_scales.clone(),
            sequences: self.sequences.iter().map(Sequence::widened).collect(),
            mishaps: self.mishaps,
        }
    }

    /// From here on, rows change the state of the network but neither its weights nor the scales.
    pub fn without_learning(self) -> Self {
        Self { learns: false, ..self }
    }

    /// The learner after the last row that it learnt from.
    pub fn learner(&self) -> &Learner<T> {
        &self.learner
    }

    /// The current network.
    pub fn network(&self) -> &Network<T> {
        self.learner.network()
    }

    /// The row of the target that belongs to the inputs of a row.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// The forecasts from the inputs of the current row of a group: a value of each target, or the
    /// probability of each class. If the forward pass overflows, they are those for outputs of 0.
    ///
    /// # Errors
    /// [`rtrl_model::Error::NoStream`] for a group without rows.
    pub fn forecast(&mut self, group: usize) -> Result<&[f64], Error> {
        if self.made != Some(group) {
            self.learner.state(group)?;
            self.look_ahead(group);
            self.decode(group);
            self.made = Some(group);
        }
        Ok(&self.forecasts)
    }

    /// Number of rows at which an overflow kept the network from learning.
    pub fn mishaps(&self) -> u64 {
        self.mishaps
    }

    /// Mean and deviation of every target; none of classes.
    pub fn target_scales(&self) -> &[RunningScale] {
        &self.target_scales
    }

    /// Mean and deviation of every input.
    pub fn input_scales(&self) -> &[RunningScale] {
        &self.input_scales
    }

    /// Adds the stream of a group that begins with this row.
    fn begin(&mut self, group: usize) -> Result<(), Error> {
        if group < self.sequences.len() {
            return Ok(());
        }
        let stream = self.learner.add_stream()?;
        let rest = vec![T::ZERO; self.learner.network().layout().states()];
        self.learner.reset_stream(stream, &rest)?;
        let (inputs, values) = (self.input_scales.len(), self.target_scales.len());
        self.sequences.push(Sequence::new(inputs, values));
        Ok(())
    }

    /// Forecasts the targets that belong to the current row of a group, then learns from them. The
    /// step computes the outputs of the forecasts before it learns, so no other forward pass is
    /// needed.
    fn forecast_and_learn(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        self.encode(row)?;
        if self.made.take() == Some(row.group) {
            return self.learn(row.group, false);
        }
        self.learn(row.group, true)?;
        self.decode(row.group);
        Ok(())
    }

    /// Takes a step of a group with the inputs of its current row and the targets, and keeps the
    /// outputs among the forecasts if they are `wanted`; 0 if the forward pass overflows. After an
    /// overflow, it resets what is lost and continues.
    fn learn(&mut self, group: usize, wanted: bool) -> Result<(), Error> {
        let has_target = self.targets.iter().any(Option::is_some);
        let targets = if has_target { Targets::Some(&self.targets) } else { Targets::None };
        let error = match self.learner.step_stream(group, &self.sequences[group].input, targets) {
            Ok(report) => {
                if wanted {
                    copy(report.outputs, &mut self.forecasts);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if wanted {
            copy(self.learner.state(group)?.outputs(), &mut self.forecasts);
        }
        match error.cause() {
            rtrl_model::Error::UpdateRefused { .. } | rtrl_model::Error::Fit { .. } => {}
            rtrl_model::Error::Overflow { .. } => self.learner.reset_stream_sensitivities(group)?,
            // The stream has not moved.
            rtrl_model::Error::NonFinite { .. } => {
                if wanted {
                    self.look_ahead(group);
                }
                let rest = vec![T::ZERO; self.learner.network().layout().states()];
                self.learner.reset_stream(group, &rest)?;
            }
            _ => return Err(error.into()),
        }
        self.mishaps += 1;
        Ok(())
    }

    /// Makes the outputs for the inputs of the current row of a group the forecasts; 0 if the forward
    /// pass overflows.
    fn look_ahead(&mut self, group: usize) {
        match self.learner.replay(group, [self.sequences[group].input.as_slice()]) {
            Ok(outputs) => copy(outputs, &mut self.forecasts),
            Err(_) => self.forecasts.fill(0.0),
        }
    }

    /// Converts the outputs of the network to values of the targets, relative to the current row of a
    /// group, or to probabilities.
    fn decode(&mut self, group: usize) {
        if self.predict == Predict::Class {
            return softmax(&mut self.forecasts);
        }
        for j in 0..self.forecasts.len() {
            let deviation = self.target_scales[j].deviation();
            self.forecasts[j] = self.base(group, j) + self.forecasts[j] * deviation;
        }
    }

    /// The inverse of [`NetworkForecaster::decode`], for the targets of a row. There are none unless
    /// the forecaster learns.
    fn encode(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        for (j, &target) in row.targets.iter().enumerate() {
            let target = target.filter(|_| self.learns);
            self.targets[j] = match (target, self.predict) {
                (Some(target), Predict::Change | Predict::Value) => {
                    let deviation = self.target_scales[j].deviation();
                    Some(T::from_f64((target - self.base(row.group, j)) / deviation))
                }
                (target, _) => target.map(T::from_f64),
            };
            if self.targets[j].is_some_and(|target| !target.is_finite()) {
                return Err(Error::Scale);
            }
        }
        Ok(())
    }

    /// The forecast of target `j` of a group for an output of 0.
    fn base(&self, group: usize, j: usize) -> f64 {
        match (self.predict, self.sequences[group].present[j]) {
            (Predict::Change, Some(present)) => present,
            _ => self.target_scales[j].mean(),
        }
    }

    /// Makes the inputs the current ones. If a scale cannot take its value, none does.
    fn enter_inputs(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        self.made = None;
        let mut scales = self.input_scales.iter().zip(row.inputs);
        scales.try_for_each(|(scale, &value)| with(scale, value).map(drop))?;
        let input = &mut self.sequences[row.group].input;
        let places = input.iter_mut().zip(&mut self.input_scales).zip(row.inputs);
        for ((place, scale), &value) in places {
            if self.learns {
                scale.add(value);
            }
            *place = T::from_f64(scale.standardise(value));
        }
        Ok(())
    }

    /// Makes each target that is not missing the last one. If a scale cannot take its value, none
    /// does.
    fn enter_targets(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        self.made = None;
        for (scale, target) in self.target_scales.iter().zip(row.targets) {
            target.map_or(Ok(()), |target| with(scale, target).map(drop))?;
        }
        let present = &mut self.sequences[row.group].present;
        let places = self.target_scales.iter_mut().zip(present).zip(row.targets);
        for ((scale, present), &target) in places {
            let Some(target) = target else { continue };
            if self.learns {
                scale.add(target);
            }
            *present = Some(target);
        }
        Ok(())
    }

    /// Fails for a row of another number of inputs or targets, or of a group after the next new one.
    fn check(&self, row: SeriesRow<'_>) -> Result<(), Error> {
        let (expected, got) = (self.input_scales.len(), row.inputs.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let (expected, got) = (self.targets.len(), row.targets.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::TargetLength { expected, got }));
        }
        let (streams, got) = (self.sequences.len(), row.group);
        if got > streams {
            return Err(Error::Model(rtrl_model::Error::NoStream { streams, got }));
        }
        Ok(())
    }
}

/// The scale with one more value, if it is finite.
fn with(scale: &RunningScale, value: f64) -> Result<RunningScale, Error> {
    let mut scale = *scale;
    scale.add(value);
    if (scale.mean() * scale.deviation()).is_finite() { Ok(scale) } else { Err(Error::Scale) }
}

fn copy<T: Real>(outputs: &[T], to: &mut [f64]) {
    to.iter_mut().zip(outputs).for_each(|(place, output)| *place = output.to_f64());
}

/// Replaces logits by their softmax.
fn softmax(values: &mut [f64]) {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for value in &mut *values {
        *value = libm::exp(*value - largest);
    }
    let sum: f64 = values.iter().sum();
    for value in values {
        *value /= sum;
    }
}

impl<T: Real> SeriesForecaster for NetworkForecaster<T> {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error> {
        self.check(row)?;
        self.begin(row.group)?;
        match self.horizon {
            Horizon::SameRow => {
                self.enter_inputs(row)?;
                self.forecast_and_learn(row)?;
                forecasts.extend(self.forecasts.iter().copied().map(Some));
                self.enter_targets(row)
            }
            Horizon::NextRow => {
                if self.sequences[row.group].started {
                    self.forecast_and_learn(row)?;
                    forecasts.extend(self.forecasts.iter().copied().map(Some));
                } else {
                    forecasts.resize(forecasts.len() + row.targets.len(), None);
                }
                self.enter_targets(row)?;
                self.enter_inputs(row)?;
                self.sequences[row.group].started = true;
                Ok(())
            }
        }
    }
}

/// The error of a learner that cannot forecast.
fn refused(what: &'static str, expected: &str, got: String) -> Error {
    let expected = expected.to_owned();
    Error::Model(rtrl_model::Error::Setting { what, expected, got })
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Optimizer, Readout};

    use super::*;
    use crate::baselines::{PerTarget, Persistence};
    use crate::prequential::Scores;

    const NO_BASELINES: [PerTarget<Persistence>; 0] = [];

    impl<T: Real> NetworkForecaster<T> {
        /// Takes a row of one target and returns its forecast.
        fn take(&mut self, input: f64, target: Option<f64>) -> Result<Option<f64>, Error> {
            let mut forecasts = Vec::new();
            self.observe(
                SeriesRow { group: 0, inputs: &[input], targets: &[target] },
                &mut forecasts,
            )?;
            Ok(forecasts[0])
        }
    }

    /// Scores a row of one target.
    fn score(
        scores: &mut Scores,
        network: &mut NetworkForecaster<f64>,
        input: f64,
        target: Option<f64>,
    ) {
        let row = SeriesRow { group: 0, inputs: &[input], targets: &[target] };
        scores.take(network, &mut NO_BASELINES.clone(), row).unwrap();
    }

    fn forecaster(predict: Predict, rate: f64) -> NetworkForecaster<f64> {
        let readout = Readout::new(1).with_inputs().recursive_least_squares(1.0, 1e-3);
        let network = Network::builder(6, 1).readout(readout).seed(1).build().unwrap();
        let learner = Learner::builder(network).optimizer(Optimizer::sgd(rate)).build().unwrap();
        NetworkForecaster::new(learner, predict, Horizon::NextRow).unwrap()
    }

    fn wave(t: usize) -> f64 {
        40.0 + 3.0 * libm::sin(0.3 * t as f64)
    }

    fn error(predict: Predict, series: impl Iterator<Item = f64>) -> f64 {
        let mut network = forecaster(predict, 1e-3);
        let mut scores = Scores::of_values(1, 1, 200);
        for value in series {
            score(&mut scores, &mut network, value, Some(value));
        }
        assert_eq!(network.mishaps(), 0);
        scores.settled()[0].rmse().unwrap()
    }

    /// Persistence has 0.63.
    #[test]
    fn a_wave_is_learnt_as_value_and_as_change() {
        for predict in [Predict::Value, Predict::Change] {
            let error = error(predict, (0..400).map(wave));
            assert!(error < 0.3, "{predict:?}: {error}");
        }
    }

    /// The negative control of the test above: the same values in an order that nothing can be
    /// learnt from.
    #[test]
    fn shuffled_values_are_not() {
        let mut generator = rtrl_model::Generator::new(5);
        let order = (0..400).map(|_| 40.0 + 3.0 * libm::sin(generator.between(0.0, 120.0)));
        let error = error(Predict::Value, order);
        assert!(error > 1.0, "{error}");
    }

    /// The forecast is made from the rows before: changing a row changes no forecast up to its own.
    #[test]
    fn a_forecast_does_not_see_its_row() {
        let run = |odd: Option<usize>| {
            let mut network = forecaster(Predict::Change, 1e-2);
            let value = |t| if odd == Some(t) { 99.0 } else { wave(t) };
            let mut observe = |t| network.take(value(t), Some(value(t))).unwrap();
            (0..60).map(|t| observe(t).map(f64::to_bits)).collect::<Vec<_>>()
        };
        let (plain, odd) = (run(None), run(Some(40)));
        assert_eq!(plain[..=40], odd[..=40]);
        assert_ne!(plain[41], odd[41]);
        assert_eq!(plain[0], None);
    }

    /// A learner that overflows again and again.
    fn wild() -> NetworkForecaster<f64> {
        let network = Network::builder(2, 1).activation(rtrl_model::Activation::Identity);
        let network = network.readout(Readout::new(1)).build().unwrap();
        let learner = Learner::builder(network).optimizer(Optimizer::sgd(1e300)).build().unwrap();
        NetworkForecaster::new(learner, Predict::Value, Horizon::NextRow).unwrap()
    }

    /// The forecast that a program asks for is the one that is scored, and asking changes nothing.
    #[test]
    fn the_next_forecast_is_the_one_that_is_scored() {
        let tame = || forecaster(Predict::Change, 1e-2);
        for [mut asked, mut silent] in [[tame(), tame()], [wild(), wild()]] {
            for t in 0..50 {
                let next = asked.forecast(0).unwrap()[0];
                let target = (t % 7 > 0).then_some(wave(t));
                let scored = [&mut asked, &mut silent].map(|f| f.take(wave(t), target).unwrap());
                assert_eq!(scored[0].map(f64::to_bits), scored[1].map(f64::to_bits), "{t}");
                assert_eq!(scored[0].map(f64::to_bits), (t > 0).then_some(next.to_bits()), "{t}");
            }
            assert_eq!(asked.memory(), silent.memory());
        }
    }

    #[test]
    fn an_overflow_is_a_mishap_and_forecasts_continue() {
        let network = Network::<f32>::builder(2, 1)
            .activation(rtrl_model::Activation::Identity)
            .readout(Readout::new(1))
            .build()
            .unwrap();
        let learner = Learner::builder(network).optimizer(Optimizer::sgd(1e30)).build().unwrap();
        let mut network =
            NetworkForecaster::new(learner, Predict::Value, Horizon::NextRow).unwrap();
        for t in 0..100 {
            let forecast = network.take(wave(t), Some(wave(t))).unwrap();
            assert_eq!(forecast.is_none(), t == 0);
        }
        assert!(network.mishaps() > 0);
    }

    #[test]
    fn values_that_cannot_be_standardised_are_refused() {
        let mut network = forecaster(Predict::Value, 1e-3);
        network.take(0.0, Some(f64::MAX)).unwrap();
        assert!(matches!(network.take(0.0, Some(-f64::MAX)), Err(Error::Scale)));
        let row = SeriesRow { group: 0, inputs: &[], targets: &[Some(1.0)] };
        let short = network.observe(row, &mut Vec::new());
        let refused = rtrl_model::Error::InputLength { expected: 1, got: 0 };
        assert_eq!(short.unwrap_err().to_string(), refused.to_string());
    }

    /// The target is the sum of the last two inputs, its own among them, whose deviation is 0.58.
    #[test]
    fn a_target_is_forecast_from_the_inputs_of_its_row() {
        let error = |horizon| {
            let mut network = forecaster(Predict::Value, 1e-3);
            network.horizon = horizon;
            let mut generator = rtrl_model::Generator::new(3);
            let (mut scores, mut last) = (Scores::of_values(1, 1, 500), 0.0);
            for t in 0..1500 {
                let input = generator.between(-1.0, 1.0);
                let target = (t % 3 > 0).then_some(input + last);
                score(&mut scores, &mut network, input, target);
                last = input;
            }
            assert_eq!(scores.count(), 1000);
            scores.settled()[0].rmse().unwrap()
        };
        let (same, next) = (error(Horizon::SameRow), error(Horizon::NextRow));
        assert!(same < 0.4 && next > 0.5, "{same} {next}");
    }

    /// What a row without a target teaches does not depend on what the target would have been.
    #[test]
    fn a_row_without_a_target_is_a_step() {
        let run = |missing: bool| {
            let mut network = forecaster(Predict::Value, 1e-2);
            let target = |t| (t != 7 || !missing).then_some(wave(t));
            let mut observe = |t| network.take(wave(t), target(t)).unwrap();
            (0..10).map(|t| observe(t).map(f64::to_bits)).collect::<Vec<_>>()
        };
        let (missing, whole) = (run(true), run(false));
        assert_eq!(missing[..=7], whole[..=7]);
        assert_ne!(missing[8], whole[8]);
    }

    /// A forecaster of the learner of another, in a file, and of its memory, as text.
    fn stored(network: &NetworkForecaster<f64>) -> NetworkForecaster<f64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learner");
        let text = serde_json::to_value(network.memory()).unwrap();
        network.learner().save(&path, &text).unwrap();
        let stored = rtrl_model::StoredLearner::open(&path).unwrap();
        let memory = serde_json::from_value(stored.application().clone()).unwrap();
        let learner = stored.learner(&rtrl_model::Supplies::default()).unwrap();
        let fresh = NetworkForecaster::new(learner, network.predict, network.horizon).unwrap();
        fresh.remember(memory).unwrap()
    }

    #[test]
    fn a_stored_forecaster_continues_bit_for_bit() {
        for horizon in [Horizon::SameRow, Horizon::NextRow] {
            let mut whole = forecaster(Predict::Change, 1e-2);
            whole.horizon = horizon;
            let mut resumed = stored(&whole);
            for t in 0..60 {
                let target = (t % 5 > 0).then(|| wave(t));
                let [a, b] =
                    [&mut whole, &mut resumed].map(|f| f.take(wave(t + 1), target).unwrap());
                assert_eq!(a.map(f64::to_bits), b.map(f64::to_bits), "{t}");
                resumed = stored(&resumed);
            }
            assert_eq!(resumed.memory(), whole.memory());
        }
        let memory =
            Memory { input_scales: Vec::new(), ..forecaster(Predict::Value, 1.0).memory() };
        assert!(forecaster(Predict::Value, 1.0).remember(memory).is_err());
        let memory = Memory { sequences: Vec::new(), ..forecaster(Predict::Value, 1.0).memory() };
        assert!(forecaster(Predict::Value, 1.0).remember(memory).is_err());
    }

    /// Neither weights nor scales change, and the forecasts follow the series.
    #[test]
    fn without_learning_only_the_state_advances() {
        let mut network = forecaster(Predict::Change, 1e-2);
        let observe = |network: &mut NetworkForecaster<f64>, t: usize| {
            network.take(wave(t), Some(wave(t))).unwrap().unwrap_or_default() - wave(t)
        };
        for t in 0..300 {
            observe(&mut network, t);
        }
        let before = network.memory();
        let readout = network.network().readout_weights().cloned();
        let mut network = network.without_learning();
        let errors = (300..360).map(|t| observe(&mut network, t).abs());
        let largest = errors.fold(0.0, f64::max);
        assert!(largest < 0.5, "{largest}");
        assert_eq!(network.network().readout_weights().cloned(), readout);
        let after = network.memory();
        assert_eq!(after.target_scales, before.target_scales);
        assert_eq!(after.input_scales, before.input_scales);
        assert_ne!(after.sequences, before.sequences);
    }

    /// A network of two targets, or of two classes.
    fn pair(predict: Predict) -> NetworkForecaster<f64> {
        let readout = Readout::new(2).with_inputs();
        let (readout, loss) = match predict {
            Predict::Class => (readout, Loss::SoftmaxCrossEntropy),
            _ => (readout.recursive_least_squares(1.0, 1e-3), Loss::SquaredError),
        };
        let network = Network::builder(6, 1).readout(readout).seed(1).build().unwrap();
        let learner = Learner::builder(network).loss(loss).optimizer(Optimizer::sgd(0.05));
        NetworkForecaster::new(learner.build().unwrap(), predict, Horizon::SameRow).unwrap()
    }

    /// If only the readout learns, by least squares, each output forecasts as if it were alone,
    /// whatever is missing of the other.
    #[test]
    fn a_target_that_is_missing_is_none_of_its_output() {
        let forecasts = |missing: bool| {
            let mut network = pair(Predict::Value);
            network.learner.set_learning_rate(0.0).unwrap();
            let mut all = Vec::new();
            for t in 0..60 {
                let second = (!missing || t % 3 > 0).then(|| -wave(t));
                let targets = [Some(wave(t + 1)), second];
                let row = SeriesRow { group: 0, inputs: &[wave(t)], targets: &targets };
                network.observe(row, &mut all).unwrap();
            }
            assert_eq!(network.mishaps(), 0);
            all.chunks(2).map(|pair| [pair[0], pair[1]].map(|f| f.map(f64::to_bits))).collect()
        };
        let (whole, missing): (Vec<_>, Vec<_>) = (forecasts(false), forecasts(true));
        assert!(whole.iter().zip(&missing).all(|(a, b)| a[0] == b[0]));
        assert_ne!(whole[59][1], missing[59][1]);
    }

    /// Of a wave that rises or falls, which the last value does not tell.
    #[test]
    fn a_class_is_learnt() {
        let run = |shuffled: bool| {
            let mut network = pair(Predict::Class);
            let mut scores = Scores::of_classes(1, 2, 1500);
            let mut generator = rtrl_model::Generator::new(8);
            for t in 0..3000 {
                let input = libm::sin(0.3 * f64::from(t));
                let rises =
                    if shuffled { generator.bit() } else { libm::cos(0.3 * f64::from(t)) > 0.0 };
                let targets = [rises, !rises].map(|is| Some(f64::from(u8::from(is))));
                // Some rows have no class.
                let targets = if t % 7 == 0 { [None; 2] } else { targets };
                let row = SeriesRow { group: 0, inputs: &[input], targets: &targets };
                scores.take(&mut network, &mut NO_BASELINES.clone(), row).unwrap();
                let sum: f64 = scores.forecasts().iter().flatten().sum();
                assert!((sum - 1.0).abs() < 1e-12);
            }
            assert_eq!(network.mishaps(), 0);
            [scores.classes()[0].accuracy().unwrap(), scores.least().unwrap()]
        };
        let [accuracy, log_loss] = run(false);
        assert!(accuracy > 0.95 && log_loss < 0.15, "{accuracy} {log_loss}");
        // Negative control.
        let [accuracy, log_loss] = run(true);
        assert!(accuracy < 0.6 && log_loss > 0.6, "{accuracy} {log_loss}");
    }

    #[test]
    fn the_loss_must_fit() {
        let build = |loss: Loss<f64>| {
            let network = Network::builder(2, 1).readout(Readout::new(2)).build().unwrap();
            Learner::builder(network).loss(loss).build().unwrap()
        };
        for (loss, predict, got) in [
            (Loss::SquaredError, Predict::Class, "got squared-error"),
            (Loss::SoftmaxCrossEntropy, Predict::Value, "got softmax"),
        ] {
            let refused = NetworkForecaster::new(build(loss), predict, Horizon::NextRow);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("loss") && error.contains(got), "{error}");
        }
        let mut network = pair(Predict::Value);
        let row = SeriesRow { group: 0, inputs: &[1.0], targets: &[Some(1.0)] };
        assert!(network.observe(row, &mut Vec::new()).is_err());
    }

    /// Rows of two waves of different phase, interleaved at random: as many as `rows`.
    fn interleaved(rows: usize) -> impl Iterator<Item = (usize, f64)> {
        let mut generator = rtrl_model::Generator::new(6);
        let mut times = [0, 0];
        (0..rows).map(move |row| {
            let group = if row == 0 { 0 } else { generator.below(2) };
            times[group] += 1;
            (group, wave(times[group] + 17 * group))
        })
    }

    /// If nothing is learnt but the scales, which are shared, each group has the state that it would
    /// have alone.
    #[test]
    fn each_group_has_a_state_of_its_own() {
        let mut together = forecaster(Predict::Change, 1e-2);
        together = stored(&together);
        let mut forecasts = [Vec::new(), Vec::new()];
        for (group, value) in interleaved(300) {
            let mut made = Vec::new();
            let row = SeriesRow { group, inputs: &[value], targets: &[Some(value)] };
            together.observe(row, &mut made).unwrap();
            forecasts[group].push(made[0]);
            if forecasts[group].len() == 40 {
                together = stored(&together);
            }
        }
        assert_eq!((together.learner.streams(), together.mishaps()), (2, 0));
        // The first row of each is not forecast, and both are learnt.
        for (group, forecasts) in forecasts.iter().enumerate() {
            assert_eq!(forecasts.iter().position(Option::is_some), Some(1), "{group}");
            let values = interleaved(300).filter(|(of, _)| *of == group).map(|(_, value)| value);
            let errors = forecasts.iter().zip(values).skip(80);
            let errors = errors.map(|(forecast, value)| (forecast.unwrap() - value).abs());
            let largest = errors.fold(0.0, f64::max);
            assert!(largest < 0.5, "{group}: {largest}");
        }
        // Negative control: as one series, they are not.
        let mut mixed = forecaster(Predict::Change, 1e-2);
        let errors = interleaved(300).map(|(_, value)| {
            mixed.take(value, Some(value)).unwrap().map_or(0.0, |forecast| (forecast - value).abs())
        });
        let largest = errors.skip(150).fold(0.0, f64::max);
        assert!(largest > 1.0, "{largest}");
    }

    /// The forecast of a group is made from its own row.
    #[test]
    fn the_next_forecast_is_that_of_the_group() {
        let mut network = forecaster(Predict::Change, 1e-2);
        let observe = |network: &mut NetworkForecaster<f64>, group, value| {
            let row = SeriesRow { group, inputs: &[value], targets: &[Some(value)] };
            network.observe(row, &mut Vec::new()).unwrap();
        };
        for t in 0..40 {
            observe(&mut network, 0, wave(t));
            observe(&mut network, 1, wave(t) + 100.0);
        }
        let [first, second] = [0, 1].map(|group| network.forecast(group).unwrap()[0]);
        assert!((second - first - 100.0).abs() < 5.0, "{first} {second}");
        assert!(network.forecast(2).is_err());
        let row = SeriesRow { group: 3, inputs: &[0.0], targets: &[None] };
        assert!(network.observe(row, &mut Vec::new()).is_err());
    }
}
