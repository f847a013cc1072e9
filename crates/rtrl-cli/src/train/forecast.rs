//! Our forecaster: a recurrent network that learns online.

use std::time::{Duration, Instant};

use rtrl_lab::scale::RunningScale;
use rtrl_model::{Clipping, InitialWeights, Learner, Network, Real, State, Targets};
use serde_json::json;

use crate::args::{Predict, TrainArgs};
use crate::error::Error;
use crate::train::series::Row;

/// Something that forecasts the target of the next row.
pub(crate) trait Forecaster {
    /// Takes in a row and returns what had been forecast for it, without looking at it: nothing for the
    /// first row.
    fn observe(&mut self, row: &Row) -> Result<Option<f64>, Error>;
}

/// A network with a readout on units and inputs.
pub(crate) struct Recurrent<T: Real> {
    learner: Learner<T>,
    predict: Predict,
    target_scale: RunningScale,
    input_scales: Vec<RunningScale>,
    /// The standardised inputs of the present row.
    input: Vec<T>,
    /// The target of the present row, if there has been one.
    present: Option<f64>,
    /// Time that the learner took for its rows.
    time: Duration,
    rows: u64,
    mishaps: u64,
}

impl<T: Real> Recurrent<T> {
    /// A fresh network; `learns` says whether its recurrent weights learn or are held still.
    pub(crate) fn new(
        args: &TrainArgs,
        inputs: usize,
        predict: Predict,
        learns: bool,
    ) -> Result<Self, Error> {
        let units = args.units();
        let mut network = Network::<T>::builder(units, inputs)
            .activation(args.activation.clone())
            .weights(InitialWeights::Orthogonal { gain: args.gain })
            .leak(args.leak)
            .readout(args.readout.rule()?.readout())
            .seed(args.seed);
        if !learns {
            network = network.frozen(vec![vec![true; inputs + 1 + units]; units]);
        }
        let learner = Learner::builder(network.build()?)
            .updates(args.optimizer.settings(args.learning_rate()?))
            .clipping(Clipping { norm: Some(args.clip), value: None })
            .engine(args.engine.choice()?)
            .threads(args.threads())
            .build()?;
        Ok(Self {
            learner,
            predict,
            target_scale: RunningScale::default(),
            input_scales: vec![RunningScale::default(); inputs],
            input: vec![T::ZERO; inputs],
            present: None,
            time: Duration::ZERO,
            rows: 0,
            mishaps: 0,
        })
    }

    /// The network as it is now.
    pub(crate) fn network(&self) -> &Network<T> {
        self.learner.network()
    }

    /// Where the network is now.
    pub(crate) fn state(&self) -> Result<&State<T>, rtrl_model::Error> {
        self.learner.state(0)
    }

    /// Rows that the learner took in a second.
    pub(crate) fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.time.as_secs_f64()
    }

    /// Means and deviations, for a saved model.
    pub(crate) fn scales(&self) -> serde_json::Value {
        let numbers = |s: &RunningScale| json!({"mean": s.mean(), "deviation": s.deviation()});
        let inputs: Vec<_> = self.input_scales.iter().map(numbers).collect();
        json!({"target": numbers(&self.target_scale), "inputs": inputs})
    }

    /// The forecast of the row after the present one. Where the forward pass overflows it is what an
    /// output of 0 stands for.
    pub(crate) fn next(&mut self) -> f64 {
        let output = self.learner.peek(&self.input).map_or(0.0, |outputs| outputs[0].to_f64());
        self.decode(output)
    }

    /// Rows at which an overflow kept the network from learning.
    pub(crate) fn mishaps(&self) -> u64 {
        self.mishaps
    }

    /// Learns that `target` followed the present row. After an overflow goes on from where learning is
    /// possible again.
    fn learn(&mut self, target: T) -> Result<(), Error> {
        let result = self.learner.step(&self.input, Targets::All(&[target]));
        let Err(error) = result else { return Ok(()) };
        match error {
            rtrl_model::Error::UpdateRefused { .. } | rtrl_model::Error::Fit { .. } => {}
            rtrl_model::Error::Overflow { .. } => self.learner.reset_sensitivities()?,
            rtrl_model::Error::NonFinite { .. } => {
                let rest = vec![T::ZERO; self.learner.network().units()];
                self.learner.reset(&rest)?;
            }
            other => return Err(other.into()),
        }
        self.mishaps += 1;
        Ok(())
    }

    /// From an output of the readout to the units of the target, as seen from the present row.
    fn decode(&self, output: f64) -> f64 {
        self.base() + output * self.target_scale.deviation()
    }

    /// The inverse of [`Recurrent::decode`].
    fn encode(&self, target: f64) -> f64 {
        (target - self.base()) / self.target_scale.deviation()
    }

    /// What an output of 0 stands for.
    fn base(&self) -> f64 {
        match (self.predict, self.present) {
            (Predict::Change, Some(present)) => present,
            _ => self.target_scale.mean(),
        }
    }

    /// Makes `row` the present one: only from now on do its values enter the scales.
    fn enter(&mut self, row: &Row) -> Result<(), Error> {
        self.target_scale.add(row.target);
        self.present = Some(row.target);
        let places = self.input.iter_mut().zip(&mut self.input_scales).zip(&row.inputs);
        for ((place, scale), &value) in places {
            scale.add(value);
            *place = T::from_f64(scale.standardise(value));
        }
        let finite = |scale: &RunningScale| (scale.mean() * scale.deviation()).is_finite();
        if finite(&self.target_scale) && self.input_scales.iter().all(finite) {
            Ok(())
        } else {
            Err(Error::Scale { line: row.line })
        }
    }
}

impl<T: Real> Forecaster for Recurrent<T> {
    fn observe(&mut self, row: &Row) -> Result<Option<f64>, Error> {
        let mut forecast = None;
        if self.present.is_some() {
            let start = Instant::now();
            forecast = Some(self.next());
            let target = T::from_f64(self.encode(row.target));
            if !target.is_finite() {
                return Err(Error::Scale { line: row.line });
            }
            self.learn(target)?;
            self.time += start.elapsed();
            self.rows += 1;
        }
        self.enter(row)?;
        Ok(forecast)
    }
}
