//! What a network that forecasts a series remembers next to its learner.

use rtrl_model::Real;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::scale::RunningScale;

/// What belongs to a group of rows next to its stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sequence<T> {
    /// The standardised inputs of its current row.
    pub(crate) input: Vec<T>,
    /// The last value of each target, if there has been one; none of classes.
    pub(crate) present: Vec<Option<f64>>,
    /// Whether there has been a row.
    pub(crate) started: bool,
}

impl<T: Real> Sequence<T> {
    /// One without rows, of so many inputs and targets that are numbers.
    pub(crate) fn new(inputs: usize, values: usize) -> Self {
        Self { input: vec![T::ZERO; inputs], present: vec![None; values], started: false }
    }

    /// The same in the precision of a file.
    pub(crate) fn widened(&self) -> Sequence<f64> {
        let input = self.input.iter().map(|value| value.to_f64()).collect();
        Sequence { input, present: self.present.clone(), started: self.started }
    }

    /// That of a file in the precision of a network.
    pub(crate) fn rounded(from: &Sequence<f64>) -> Self {
        let input = from.input.iter().map(|&value| T::from_f64(value)).collect();
        Self { input, present: from.present.clone(), started: from.started }
    }
}

/// What a forecaster remembers next to its learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// One for each target; none of classes.
    pub(crate) target_scales: Vec<RunningScale>,
    pub(crate) input_scales: Vec<RunningScale>,
    /// One for each group.
    pub(crate) sequences: Vec<Sequence<f64>>,
    pub(crate) mishaps: u64,
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

    /// Fails unless it is the memory of so many groups, inputs and targets that are numbers.
    pub(crate) fn check(&self, groups: usize, inputs: usize, values: usize) -> Result<(), Error> {
        let (expected, got) = (groups, self.sequences.len());
        if got != expected {
            return Err(Error::Model(rtrl_model::Error::StreamCount { expected, got }));
        }
        let expected = inputs;
        let lengths = self.sequences.iter().map(|sequence| sequence.input.len());
        if let Some(got) = lengths.chain([self.input_scales.len()]).find(|&got| got != expected) {
            return Err(Error::Model(rtrl_model::Error::InputLength { expected, got }));
        }
        let expected = values;
        let lengths = self.sequences.iter().map(|sequence| sequence.present.len());
        if let Some(got) = lengths.chain([self.target_scales.len()]).find(|&got| got != expected) {
            return Err(Error::Model(rtrl_model::Error::TargetLength { expected, got }));
        }
        Ok(())
    }
}
