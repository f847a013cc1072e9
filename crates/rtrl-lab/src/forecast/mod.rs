//! A recurrent network that forecasts a series and learns as the series arrives.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the forecaster, which takes a step of its learner for each row |
//! | `numbers.rs` | the scales of inputs and targets, and outputs that forecast numbers |
//! | `classes.rs` | outputs that forecast a class |
//! | `memory.rs` | what a forecaster remembers next to its learner |
//! | `tested.rs` | what the tests share |

mod classes;
mod memory;
mod numbers;
#[cfg(test)]
mod tested;

use rtrl_model::{Learner, Network, Real, Targets};

pub use self::memory::Memory;
use self::memory::Sequence;
use self::numbers::Scales;
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
/// Each group of the series has a stream of the learner, with a state of its own, which is added at
/// its first row and starts at 0. All groups share weights and scales, and a row of one takes no
/// time for the others.
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
    target_scales: Scales,
    input_scales: Scales,
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
    /// A forecaster that has seen no row, around a learner with a stream for each group that is
    /// known already, at least one.
    ///
    /// # Errors
    /// [`rtrl_model::Error::Setting`] unless the learner has, exactly if a class is forecast, the
    /// softmax cross-entropy as its loss.
    pub fn new(learner: Learner<T>, predict: Predict, horizon: Horizon) -> Result<Self, Error> {
        let network = learner.network();
        let (inputs, outputs) = (network.inputs(), network.outputs());
        classes::check_loss(learner.loss(), predict)?;
        let values = if predict == Predict::Class { 0 } else { outputs };
        Ok(Self {
            predict,
            horizon,
            learns: true,
            target_scales: vec![RunningScale::default(); values].into(),
            input_scales: vec![RunningScale::default(); inputs].into(),
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
        let (inputs, values) = (self.input_scales.each().len(), self.target_scales.each().len());
        memory.check(self.sequences.len(), inputs, values)?;
        Ok(Self {
            target_scales: memory.target_scales.into(),
            input_scales: memory.input_scales.into(),
            sequences: memory.sequences.iter().map(Sequence::rounded).collect(),
            mishaps: memory.mishaps,
            made: None,
            ..self
        })
    }

    /// What the forecaster remembers next to its learner.
    pub fn memory(&self) -> Memory {
        Memory {
            target_scales: self.target_scales.each().to_vec(),
            input_scales: self.input_scales.each().to_vec(),
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
        self.target_scales.each()
    }

    /// Mean and deviation of every input.
    pub fn input_scales(&self) -> &[RunningScale] {
        self.input_scales.each()
    }

    /// Adds the stream of a group that begins with this row.
    fn begin(&mut self, group: usize) -> Result<(), Error> {
        if group < self.sequences.len() {
            return Ok(());
        }
        let stream = self.learner.add_stream()?;
        let rest = vec![T::ZERO; self.learner.network().layout().states()];
        self.learner.reset_stream(stream, &rest)?;
        let (inputs, values) = (self.input_scales.each().len(), self.target_scales.each().len());
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

    /// Makes the outputs for the inputs of the current row of a group the forecasts; 0 if the
    /// forward pass overflows.
    fn look_ahead(&mut self, group: usize) {
        match self.learner.replay(group, [self.sequences[group].input.as_slice()]) {
            Ok(outputs) => copy(outputs, &mut self.forecasts),
            Err(_) => self.forecasts.fill(0.0),
        }
    }

    /// Converts the outputs of the network to values of the targets, relative to the current row of
    /// a group, or to probabilities.
    fn decode(&mut self, group: usize) {
        match self.predict {
            Predict::Class => classes::softmax(&mut self.forecasts),
            predict => {
                let present = &self.sequences[group].present;
                self.target_scales.decode(predict, present, &mut self.forecasts);
            }
        }
    }

    /// The inverse of [`NetworkForecaster::decode`], for the targets of a row. There are none
    /// unless the forecaster learns.
    fn encode(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        let present = &self.sequences[row.group].present;
        for (j, &target) in row.targets.iter().enumerate() {
            let target = target.filter(|_| self.learns);
            let output = target.map(|target| match self.predict {
                Predict::Class => target,
                predict => self.target_scales.encode(predict, j, present[j], target),
            });
            self.targets[j] = output.map(T::from_f64);
            if self.targets[j].is_some_and(|target| !target.is_finite()) {
                return Err(Error::Scale);
            }
        }
        Ok(())
    }

    /// Makes the inputs the current ones. If a scale cannot take its value, none does.
    fn enter_inputs(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        self.made = None;
        self.input_scales.take(row.inputs.iter().copied().map(Some), self.learns)?;
        let places = self.sequences[row.group].input.iter_mut().zip(self.input_scales.each());
        for ((place, scale), &value) in places.zip(row.inputs) {
            *place = T::from_f64(scale.standardise(value));
        }
        Ok(())
    }

    /// Makes each target that is not missing the last one. If a scale cannot take its value, none
    /// does.
    fn enter_targets(&mut self, row: SeriesRow<'_>) -> Result<(), Error> {
        self.made = None;
        self.target_scales.take(row.targets.iter().copied(), self.learns)?;
        let places = self.sequences[row.group].present.iter_mut().zip(row.targets);
        for (present, target) in places.filter(|(_, target)| target.is_some()) {
            *present = *target;
        }
        Ok(())
    }

    /// Fails for a row of another number of inputs or targets, or of a group after the next new
    /// one.
    fn check(&self, row: SeriesRow<'_>) -> Result<(), Error> {
        let (expected, got) = (self.input_scales.each().len(), row.inputs.len());
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

fn copy<T: Real>(outputs: &[T], to: &mut [f64]) {
    to.iter_mut().zip(outputs).for_each(|(place, output)| *place = output.to_f64());
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

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rtrl_model::{Optimizer, Readout};

    use super::tested::{forecaster, score, wave};
    use super::*;
    use crate::prequential::Scores;

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

    /// If nothing is learnt but the scales, which are shared, each group has the state that it
    /// would have alone.
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
        assert_abs_diff_eq!(second, first + 100.0, epsilon = 5.0);
        assert!(network.forecast(2).is_err());
        let row = SeriesRow { group: 3, inputs: &[0.0], targets: &[None] };
        assert!(network.observe(row, &mut Vec::new()).is_err());
    }
}
