//! A run as symbols and bits.

use rtrl_model::Error as ModelError;

use crate::Error;
use crate::inspect::Run;

/// The largest number of symbols.
const MOST_SYMBOLS: usize = 64;

/// A run whose inputs are symbols and whose first outputs are bits: 1 above 1/2, else 0.
#[derive(Debug, Clone)]
pub struct Trace<'a> {
    run: &'a Run,
    /// The state after the last step.
    last: &'a [f64],
    outputs: usize,
    alphabet: Vec<Vec<f64>>,
    symbols: Vec<usize>,
    answers: Vec<Vec<bool>>,
}

impl<'a> Trace<'a> {
    /// Reads a run: every input vector that differs is a symbol, and the first `outputs` outputs
    /// are bits. `last` is the state after the last step. Symbols are in descending order of their
    /// vectors, so one-hot symbols are in the order of the inputs.
    ///
    /// # Errors
    /// [`Error::Symbols`] if there are more than 64 symbols, [`ModelError::Length`] if the network
    /// has fewer outputs.
    pub fn new(run: &'a Run, last: &'a [f64], outputs: usize) -> Result<Self, Error> {
        let got = run.outputs.first().map_or(outputs, Vec::len);
        if got < outputs {
            return Err(ModelError::Length { what: "output", expected: got, got: outputs }.into());
        }
        let mut alphabet: Vec<Vec<f64>> = Vec::new();
        for input in &run.inputs {
            if !alphabet.contains(input) {
                alphabet.push(input.clone());
            }
            if alphabet.len() > MOST_SYMBOLS {
                return Err(Error::Symbols { most: MOST_SYMBOLS });
            }
        }
        alphabet.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        let symbol = |input| alphabet.iter().position(|symbol| symbol == input).unwrap_or_default();
        let symbols = run.inputs.iter().map(symbol).collect();
        let answers = run.outputs.iter().map(|values| bits(values, outputs)).collect();
        Ok(Self { run, last, outputs, alphabet, symbols, answers })
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.symbols.len()
    }

    /// The input vectors of the symbols.
    pub fn alphabet(&self) -> &[Vec<f64>] {
        &self.alphabet
    }

    /// The symbol at a step.
    pub fn symbol(&self, step: usize) -> usize {
        self.symbols[step]
    }

    /// The bits after a step.
    pub fn answer(&self, step: usize) -> &[bool] {
        &self.answers[step]
    }

    /// How many outputs are bits.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// y before a step, or after the last.
    pub(super) fn state(&self, step: usize) -> &[f64] {
        self.run.states.get(step).map_or(self.last, Vec::as_slice)
    }
}

/// The first outputs as bits.
pub(super) fn bits(values: &[f64], outputs: usize) -> Vec<bool> {
    values.iter().take(outputs).map(|&value| value > 0.5).collect()
}
