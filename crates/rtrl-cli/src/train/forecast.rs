//! Our forecaster: a recurrent network that learns online.

use std::time::{Duration, Instant};

use rtrl_model::scale::RunningScale;
use rtrl_model::{Clipping, InitialWeights, Learner, Network, Optimizer, Readout, Real, Targets};
use serde_json::json;

use crate::args::{OptimizerName, Predict, TrainArgs};
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
    rows: u32,
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
            .readout(Readout::new(1).with_inputs())
            .seed(args.seed);
        if !learns {
            network = network.frozen(vec![vec![true; inputs + 1 + units]; units]);
        }
        let optimizer = match args.optimizer {
            OptimizerName::Sgd => Optimizer::sgd(args.learning_rate),
            OptimizerName::Adam => Optimizer::adam(args.learning_rate),
        };
        let learner = Learner::builder(network.build()?)
            .optimizer(optimizer)
            .clipping(Clipping { norm: Some(args.clip), value: None })
            .engine(args.engine)
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
        })
    }

    /// The network as it is now.
    pub(crate) fn network(&self) -> &Network<T> {
        self.learner.network()
    }

    /// Rows that the learner took in a second.
    pub(crate) fn rows_per_second(&self) -> f64 {
        f64::from(self.rows) / self.time.as_secs_f64()
    }

    /// Means and deviations, for a saved model.
    pub(crate) fn scales(&self) -> serde_json::Value {
        let numbers = |s: &RunningScale| json!({"mean": s.mean(), "deviation": s.deviation()});
        let inputs: Vec<_> = self.input_scales.iter().map(numbers).collect();
        json!({"target": numbers(&self.target_scale), "inputs": inputs})
    }

    /// The forecast of the row after the present one.
    pub(crate) fn next(&mut self) -> Result<f64, Error> {
        let output = self.learner.peek(&self.input)?[0].to_f64();
        Ok(self.decode(output))
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
        let finite = |scale: &RunningScale| scale.deviation().is_finite();
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
            let target = [T::from_f64(self.encode(row.target))];
            if !target[0].is_finite() {
                return Err(Error::Scale { line: row.line });
            }
            let start = Instant::now();
            // The output of a step is computed before its target is looked at: it is the forecast.
            let output = self.learner.step(&self.input, Targets::All(&target))?.outputs[0];
            self.time += start.elapsed();
            self.rows += 1;
            forecast = Some(self.decode(output.to_f64()));
        }
        self.enter(row)?;
        Ok(forecast)
    }
}
