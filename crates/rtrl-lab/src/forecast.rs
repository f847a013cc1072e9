//! A recurrent network that forecasts a series and learns as the series arrives.

use rtrl_model::{Learner, Loss, Network, Real, Targets};
use serde::{Deserialize, Serialize};

use crate::Error;
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
    /// The standardised inputs of the current row.
    input: Vec<T>,
    /// The last value of each target, if there has been one; none of classes.
    present: Vec<Option<f64>>,
    /// Whether there has been a row.
    started: bool,
    mishaps: u64,
    /// The targets of a step, one for each output.
    targets: Vec<Option<T>>,
    /// The forecasts of the last step or, if they have been made, those from the current row.
    forecasts: Vec<f64>,
    /// Whether the forecasts from the current row have been made.
    is_made: bool,
}

/// What a forecaster remembers next to its learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// One for each target; none of classes.
    target_scales: Vec<RunningScale>,
    input_scales: Vec<RunningScale>,
    /// The standardised inputs of the last row.
    input: Vec<f64>,
    /// The last value of each target; none of classes.
    present: Vec<Option<f64>>,
    /// Whether there has been a row.
    started: bool,
    mishaps: u64,
}

impl Memory {
    /// The inputs of the network for these inputs of a row.
    ///
    /// # Errors
    /// [`rtrl_model::Error::InputLength`] for another number of inputs.
    pub fn standardise(&self, inputs: &[f64]) -> Result<Vec<f64>, Error> {
        let (expected, got) = (self.input_scales.len(), inputs.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let scales = self.input_scales.iter().zip(inputs);
        Ok(scales.map(|(scale, &value)| scale.standardise(value)).collect())
    }
}

impl<T: Real> NetworkForecaster<T> {
    /// A forecaster that has seen no row, around a learner of one stream.
    ///
    /// # Errors
    /// [`rtrl_model::Error::Setting`] unless the learner has one stream and, exactly if a class is
    /// forecast, the softmax cross-entropy as its loss.
    pub fn new(learner: Learner<T>, predict: Predict, horizon: Horizon) -> Result<Self, Error> {
        let network = learner.network();
        let (inputs, outputs) = (network.inputs(), network.outputs());
        if learner.streams() != 1 {
            let got = learner.streams().to_string();
            return Err(refused("number of streams of a forecaster", "1", got));
        }
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
            input: vec![T::ZERO; inputs],
            present: vec![None; values],
            started: false,
            mishaps: 0,
            targets: vec![None; outputs],
            forecasts: vec![0.0; outputs],
            is_made: false,
            learner,
        })
    }

    /// Continues from what another forecaster of the same shape remembered, whose learner has been
    /// stored.
    ///
    /// # Errors
    /// [`rtrl_model::Error::InputLength`] for the memory of another number of inputs,
    /// [`rtrl_model::Error::TargetLength`] for that of another number of targets.
    pub fn remember(mut self, memory: Memory) -> Result<Self, Error> {
        let expected = self.input.len();
        let lengths = [memory.input.len(), memory.input_scales.len()];
        if let Some(&got) = lengths.iter().find(|&&got| got != expected) {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let expected = self.present.len();
        let lengths = [memory.present.len(), memory.target_scales.len()];
        if let Some(&got) = lengths.iter().find(|&&got| got != expected) {
            return Err(Error::Model(rtrl_model::Error::TargetLength { expected, got }));
        }
        let Memory { target_scales, input_scales, input, present, started, mishaps } = memory;
        self.input = input.into_iter().map(T::from_f64).collect();
        let is_made = false;
        Ok(Self { target_scales, input_scales, present, started, mishaps, is_made, ..self })
    }

    /// What the forecaster remembers next to its learner.
    pub fn memory(&self) -> Memory {
        Memory {
            target_scales: self.target_scales.clone(),
            input_scales: self.input_scales.clone(),
            input: self.input.iter().map(|value| value.to_f64()).collect(),
            present: self.present.clone(),
            started: self.started,
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

    /// The forecasts from the inputs of the current row: a value of each target, or the probability
    /// of each class. If the forward pass overflows, they are those for outputs of 0.
    pub fn forecast(&mut self) -> &[f64] {
        if !self.is_made {
            self.look_ahead();
            self.decode();
            self.is_made = true;
        }
        &self.forecasts
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

    /// Forecasts the targets that belong to the current row, then learns from them. The step
    /// computes the outputs of the forecasts before it learns, so no other forward pass is needed.
    fn forecast_and_learn(&mut self, targets: &[Option<f64>]) -> Result<(), Error> {
        self.encode(targets)?;
        if std::mem::take(&mut self.is_made) {
            return self.learn(false);
        }
        self.learn(true)?;
        self.decode();
        Ok(())
    }

    /// Takes a step with the inputs of the current row and its targets, and keeps the outputs among
    /// the forecasts if they are `wanted`; 0 if the forward pass overflows. After an overflow, it
    /// resets what is lost and continues.
    fn learn(&mut self, wanted: bool) -> Result<(), Error> {
        let has_target = self.targets.iter().any(Option::is_some);
        let targets = if has_target { Targets::Some(&self.targets) } else { Targets::None };
        let error = match self.learner.step(&self.input, targets) {
            Ok(report) => {
                if wanted {
                    copy(report.outputs, &mut self.forecasts);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if wanted {
            copy(self.learner.state(0)?.outputs(), &mut self.forecasts);
        }
        match error {
            rtrl_model::Error::UpdateRefused { .. } | rtrl_model::Error::Fit { .. } => {}
            rtrl_model::Error::Overflow { .. } => self.learner.reset_sensitivities()?,
            // The learner has not moved.
            rtrl_model::Error::NonFinite { .. } => {
                if wanted {
                    self.look_ahead();
                }
                let rest = vec![T::ZERO; self.learner.network().layout().states()];
                self.learner.reset(&rest)?;
            }
            other => return Err(other.into()),
        }
        self.mishaps += 1;
        Ok(())
    }

    /// Makes the outputs for the inputs of the current row the forecasts; 0 if the forward pass
    /// overflows.
    fn look_ahead(&mut self) {
        match self.learner.peek(&self.input) {
            Ok(outputs) => copy(outputs, &mut self.forecasts),
            Err(_) => self.forecasts.fill(0.0),
        }
    }

    /// Converts the outputs of the network to values of the targets, relative to the current row, or
    /// to probabilities.
    fn decode(&mut self) {
        if self.predict == Predict::Class {
            return softmax(&mut self.forecasts);
        }
        for j in 0..self.forecasts.len() {
            self.forecasts[j] =
                self.base(j) + self.forecasts[j] * self.target_scales[j].deviation();
        }
    }

    /// The inverse of [`NetworkForecaster::decode`], for the targets of a row. There are none unless
    /// the forecaster learns.
    fn encode(&mut self, targets: &[Option<f64>]) -> Result<(), Error> {
        for (j, &target) in targets.iter().enumerate() {
            let target = target.filter(|_| self.learns);
            self.targets[j] = match (target, self.predict) {
                (Some(target), Predict::Change | Predict::Value) => {
                    let deviation = self.target_scales[j].deviation();
                    Some(T::from_f64((target - self.base(j)) / deviation))
                }
                (target, _) => target.map(T::from_f64),
            };
            if self.targets[j].is_some_and(|target| !target.is_finite()) {
                return Err(Error::Scale);
            }
        }
        Ok(())
    }

    /// The forecast of target `j` for an output of 0.
    fn base(&self, j: usize) -> f64 {
        match (self.predict, self.present[j]) {
            (Predict::Change, Some(present)) => present,
            _ => self.target_scales[j].mean(),
        }
    }

    /// Makes the inputs the current ones. If a scale cannot take its value, none does.
    fn enter_inputs(&mut self, inputs: &[f64]) -> Result<(), Error> {
        self.is_made = false;
        let mut scales = self.input_scales.iter().zip(inputs);
        scales.try_for_each(|(scale, &value)| with(scale, value).map(drop))?;
        let places = self.input.iter_mut().zip(&mut self.input_scales).zip(inputs);
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
    fn enter_targets(&mut self, targets: &[Option<f64>]) -> Result<(), Error> {
        self.is_made = false;
        for (scale, target) in self.target_scales.iter().zip(targets) {
            target.map_or(Ok(()), |target| with(scale, target).map(drop))?;
        }
        let places = self.target_scales.iter_mut().zip(&mut self.present).zip(targets);
        for ((scale, present), &target) in places {
            let Some(target) = target else { continue };
            if self.learns {
                scale.add(target);
            }
            *present = Some(target);
        }
        Ok(())
    }

    /// Fails for a row of another number of inputs or targets.
    fn check(&self, row: SeriesRow<'_>) -> Result<(), Error> {
        let (expected, got) = (self.input.len(), row.inputs.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let (expected, got) = (self.targets.len(), row.targets.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::TargetLength { expected, got }));
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
    values.iter_mut().for_each(|value| *value = libm::exp(*value - largest));
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}

impl<T: Real> SeriesForecaster for NetworkForecaster<T> {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error> {
        self.check(row)?;
        match self.horizon {
            Horizon::SameRow => {
                self.enter_inputs(row.inputs)?;
                self.forecast_and_learn(row.targets)?;
                forecasts.extend(self.forecasts.iter().copied().map(Some));
                self.enter_targets(row.targets)
            }
            Horizon::NextRow => {
                if self.started {
                    self.forecast_and_learn(row.targets)?;
                    forecasts.extend(self.forecasts.iter().copied().map(Some));
                } else {
                    forecasts.resize(forecasts.len() + row.targets.len(), None);
                }
                self.enter_targets(row.targets)?;
                self.enter_inputs(row.inputs)?;
                self.started = true;
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
            self.observe(SeriesRow { inputs: &[input], targets: &[target] }, &mut forecasts)?;
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
        let row = SeriesRow { inputs: &[input], targets: &[target] };
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
        scores.settled[0].rmse().unwrap()
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
                let next = asked.forecast()[0];
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
        let row = SeriesRow { inputs: &[], targets: &[Some(1.0)] };
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
            scores.settled[0].rmse().unwrap()
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
        let memory = Memory { input: vec![0.0; 2], ..forecaster(Predict::Value, 1.0).memory() };
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
        assert_ne!(after.present, before.present);
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
                let row = SeriesRow { inputs: &[wave(t)], targets: &targets };
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
                let input = libm::sin(0.3 * t as f64);
                let rises =
                    if shuffled { generator.bit() } else { libm::cos(0.3 * t as f64) > 0.0 };
                let targets = [rises, !rises].map(|is| Some(f64::from(u8::from(is))));
                // Some rows have no class.
                let targets = if t % 7 == 0 { [None; 2] } else { targets };
                let row = SeriesRow { inputs: &[input], targets: &targets };
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
    fn the_loss_and_the_number_of_streams_must_fit() {
        let build = |loss: Loss<f64>, streams| {
            let network = Network::builder(2, 1).readout(Readout::new(2)).build().unwrap();
            Learner::builder(network).loss(loss).streams(streams).build().unwrap()
        };
        for (loss, streams, predict, words) in [
            (Loss::SquaredError, 2, Predict::Value, ["streams", "got 2"]),
            (Loss::SquaredError, 1, Predict::Class, ["loss", "got squared-error"]),
            (Loss::SoftmaxCrossEntropy, 1, Predict::Value, ["loss", "got softmax"]),
        ] {
            let refused = NetworkForecaster::new(build(loss, streams), predict, Horizon::NextRow);
            let error = refused.unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        let mut network = pair(Predict::Value);
        let row = SeriesRow { inputs: &[1.0], targets: &[Some(1.0)] };
        assert!(network.observe(row, &mut Vec::new()).is_err());
    }
}
