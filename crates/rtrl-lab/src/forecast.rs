//! A recurrent network that forecasts a series and learns as the series arrives.

use std::slice::from_ref;

use rtrl_model::{Learner, Network, Real, Targets};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::prequential::SeriesForecaster;
use crate::scale::RunningScale;

/// What the output of a network forecasts, in standard deviations of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predict {
    /// The change from the last value.
    Change,
    /// The distance of the value from the mean.
    Value,
}

/// The row of the target that belongs to the inputs of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// The same row: its inputs are seen before its target is forecast.
    SameRow,
    /// The next row: its target is forecast from the inputs of the rows before.
    NextRow,
}

/// A network of one output that forecasts the next value of a series and learns online.
///
/// Inputs and target are standardised by the means and deviations of the rows so far
/// ([`RunningScale`]); a target is included after its forecast. A row without a target is a step
/// without a target. After an overflow the forecaster resets the learner and continues;
/// [`NetworkForecaster::mishaps`] counts these rows.
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
    target_scale: RunningScale,
    input_scales: Vec<RunningScale>,
    /// The standardised inputs of the current row.
    input: Vec<T>,
    /// The last target, if there has been one.
    present: Option<f64>,
    /// Whether there has been a row.
    started: bool,
    mishaps: u64,
    /// The forecast from the current row, once it has been made.
    made: Option<f64>,
}

/// What a forecaster remembers next to its learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    target_scale: RunningScale,
    input_scales: Vec<RunningScale>,
    /// The standardised inputs of the last row.
    input: Vec<f64>,
    /// The last target.
    present: Option<f64>,
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
    /// [`rtrl_model::Error::Setting`] unless the network has one output and the learner one stream.
    pub fn new(learner: Learner<T>, predict: Predict, horizon: Horizon) -> Result<Self, Error> {
        let network = learner.network();
        let inputs = network.inputs();
        check_one("number of outputs of a forecaster", network.outputs())?;
        check_one("number of streams of a forecaster", learner.streams())?;
        Ok(Self {
            learner,
            predict,
            horizon,
            learns: true,
            target_scale: RunningScale::default(),
            input_scales: vec![RunningScale::default(); inputs],
            input: vec![T::ZERO; inputs],
            present: None,
            started: false,
            mishaps: 0,
            made: None,
        })
    }

    /// Continues from what another forecaster of the same shape remembered, whose learner has been
    /// stored.
    ///
    /// # Errors
    /// [`rtrl_model::Error::InputLength`] for the memory of another number of inputs.
    pub fn remember(mut self, memory: Memory) -> Result<Self, Error> {
        let expected = self.input.len();
        let lengths = [memory.input.len(), memory.input_scales.len()];
        if let Some(&got) = lengths.iter().find(|&&got| got != expected) {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let Memory { target_scale, input_scales, input, present, started, mishaps } = memory;
        self.input = input.into_iter().map(T::from_f64).collect();
        let made = None;
        Ok(Self { target_scale, input_scales, present, started, mishaps, made, ..self })
    }

    /// What the forecaster remembers next to its learner.
    pub fn memory(&self) -> Memory {
        Memory {
            target_scale: self.target_scale,
            input_scales: self.input_scales.clone(),
            input: self.input.iter().map(|value| value.to_f64()).collect(),
            present: self.present,
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

    /// The forecast from the inputs of the current row. If the forward pass overflows, it is the
    /// forecast for an output of 0.
    pub fn forecast(&mut self) -> f64 {
        if let Some(made) = self.made {
            return made;
        }
        let output = self.learner.peek(&self.input).map_or(0.0, |outputs| outputs[0].to_f64());
        *self.made.insert(self.decode(output))
    }

    /// Number of rows at which an overflow kept the network from learning.
    pub fn mishaps(&self) -> u64 {
        self.mishaps
    }

    /// Mean and deviation of the target.
    pub fn target_scale(&self) -> &RunningScale {
        &self.target_scale
    }

    /// Mean and deviation of every input.
    pub fn input_scales(&self) -> &[RunningScale] {
        &self.input_scales
    }

    /// Forecasts the target that belongs to the current row, then learns from it. The step computes
    /// the output of the forecast before it learns, so no other forward pass is needed.
    fn forecast_and_learn(&mut self, target: Option<f64>) -> Result<f64, Error> {
        let target = target.filter(|_| self.learns);
        let target = target.map(|target| T::from_f64(self.encode(target)));
        if target.is_some_and(|target| !target.is_finite()) {
            return Err(Error::Scale);
        }
        let made = self.made.take();
        let output = self.learn(target)?;
        Ok(made.unwrap_or_else(|| self.decode(output)))
    }

    /// Takes a step with the inputs of the current row and its target, and returns the output; 0 if
    /// the forward pass overflows. After an overflow, it resets what is lost and continues.
    fn learn(&mut self, target: Option<T>) -> Result<f64, Error> {
        let targets = target.as_ref().map_or(Targets::None, |t| Targets::All(from_ref(t)));
        let error = match self.learner.step(&self.input, targets) {
            Ok(report) => return Ok(report.outputs[0].to_f64()),
            Err(error) => error,
        };
        let mut output = self.learner.state(0)?.outputs()[0].to_f64();
        match error {
            rtrl_model::Error::UpdateRefused { .. } | rtrl_model::Error::Fit { .. } => {}
            rtrl_model::Error::Overflow { .. } => self.learner.reset_sensitivities()?,
            // The learner has not moved.
            rtrl_model::Error::NonFinite { .. } => {
                output = self.learner.peek(&self.input).map_or(0.0, |outputs| outputs[0].to_f64());
                let rest = vec![T::ZERO; self.learner.network().layout().states()];
                self.learner.reset(&rest)?;
            }
            other => return Err(other.into()),
        }
        self.mishaps += 1;
        Ok(output)
    }

    /// Converts an output of the readout to the units of the target, relative to the current row.
    fn decode(&self, output: f64) -> f64 {
        self.base() + output * self.target_scale.deviation()
    }

    /// The inverse of [`NetworkForecaster::decode`].
    fn encode(&self, target: f64) -> f64 {
        (target - self.base()) / self.target_scale.deviation()
    }

    /// The forecast of an output of 0.
    fn base(&self) -> f64 {
        match (self.predict, self.present) {
            (Predict::Change, Some(present)) => present,
            _ => self.target_scale.mean(),
        }
    }

    /// Makes the inputs the current ones. If a scale cannot take its value, none does.
    fn enter_inputs(&mut self, inputs: &[f64]) -> Result<(), Error> {
        self.made = None;
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

    /// Makes the target, if there is one, the last one.
    fn enter_target(&mut self, target: Option<f64>) -> Result<(), Error> {
        self.made = None;
        if let Some(target) = target {
            let scale = with(&self.target_scale, target)?;
            if self.learns {
                self.target_scale = scale;
            }
            self.present = Some(target);
        }
        Ok(())
    }

    /// Forecasts the target from the inputs of its own row.
    fn observe_same(&mut self, inputs: &[f64], target: Option<f64>) -> Result<f64, Error> {
        self.enter_inputs(inputs)?;
        let forecast = self.forecast_and_learn(target)?;
        self.enter_target(target)?;
        Ok(forecast)
    }

    /// Forecasts the target from the inputs before its row, if there are any.
    fn observe_next(&mut self, inputs: &[f64], target: Option<f64>) -> Result<Option<f64>, Error> {
        let mut forecast = None;
        if self.started {
            forecast = Some(self.forecast_and_learn(target)?);
        }
        self.enter_target(target)?;
        self.enter_inputs(inputs)?;
        self.started = true;
        Ok(forecast)
    }
}

/// The scale with one more value, if it is finite.
fn with(scale: &RunningScale, value: f64) -> Result<RunningScale, Error> {
    let mut scale = *scale;
    scale.add(value);
    if (scale.mean() * scale.deviation()).is_finite() { Ok(scale) } else { Err(Error::Scale) }
}

impl<T: Real> SeriesForecaster for NetworkForecaster<T> {
    fn observe(&mut self, inputs: &[f64], target: Option<f64>) -> Result<Option<f64>, Error> {
        if inputs.len() != self.input.len() {
            let (expected, got) = (self.input.len(), inputs.len());
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        match self.horizon {
            Horizon::SameRow => self.observe_same(inputs, target).map(Some),
            Horizon::NextRow => self.observe_next(inputs, target),
        }
    }
}

/// Fails unless a number is 1.
fn check_one(what: &'static str, number: usize) -> Result<(), Error> {
    if number == 1 {
        return Ok(());
    }
    let (expected, got) = ("1".to_owned(), number.to_string());
    Err(Error::Model(rtrl_model::Error::Setting { what, expected, got }))
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Optimizer, Readout};

    use super::*;
    use crate::baselines::Persistence;
    use crate::prequential::Scores;

    const NO_BASELINES: [Persistence; 0] = [];

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
        let mut scores = Scores::new(1, 200);
        for value in series {
            scores.take(&mut network, &mut NO_BASELINES.clone(), &[value], Some(value)).unwrap();
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
            let mut observe = |t| network.observe(&[value(t)], Some(value(t))).unwrap();
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
                let next = asked.forecast();
                let target = (t % 7 > 0).then_some(wave(t));
                let scored =
                    [&mut asked, &mut silent].map(|f| f.observe(&[wave(t)], target).unwrap());
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
            let forecast = network.observe(&[wave(t)], Some(wave(t))).unwrap();
            assert_eq!(forecast.is_none(), t == 0);
        }
        assert!(network.mishaps() > 0);
    }

    #[test]
    fn values_that_cannot_be_standardised_are_refused() {
        let mut network = forecaster(Predict::Value, 1e-3);
        network.observe(&[0.0], Some(f64::MAX)).unwrap();
        assert!(matches!(network.observe(&[0.0], Some(-f64::MAX)), Err(Error::Scale)));
        let short = network.observe(&[], Some(1.0));
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
            let (mut scores, mut last) = (Scores::new(1, 500), 0.0);
            for t in 0..1500 {
                let input = generator.between(-1.0, 1.0);
                let target = (t % 3 > 0).then_some(input + last);
                scores.take(&mut network, &mut NO_BASELINES.clone(), &[input], target).unwrap();
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
            let mut observe = |t| network.observe(&[wave(t)], target(t)).unwrap();
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
                    [&mut whole, &mut resumed].map(|f| f.observe(&[wave(t + 1)], target).unwrap());
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
            network.observe(&[wave(t)], Some(wave(t))).unwrap().unwrap_or_default() - wave(t)
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
        assert_eq!(after.target_scale, before.target_scale);
        assert_eq!(after.input_scales, before.input_scales);
        assert_ne!(after.present, before.present);
    }

    #[test]
    fn only_one_output_and_one_stream_can_be_forecast() {
        let two = Network::<f64>::builder(2, 1).build().unwrap();
        let learner = Learner::builder(two).build().unwrap();
        let error = NetworkForecaster::new(learner, Predict::Value, Horizon::NextRow)
            .unwrap_err()
            .to_string();
        assert!(error.contains("outputs") && error.contains('2'), "{error}");
    }
}
