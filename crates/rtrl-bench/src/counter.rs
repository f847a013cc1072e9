//! A state of several tensors that all follow from the number of steps: what a checkpoint must bring back
//! whole, and from one step only.

use rtrl_model::Error;
use rtrl_model::checkpoint::{Checkpoints, Fault, Plan, Reader, Saved, Tensor};
use serde_json::json;

/// Rows and columns of the largest tensor.
const ROWS: usize = 64;
const COLUMNS: usize = 256;

/// Counts steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    step: u64,
}

impl Counter {
    /// Steps taken.
    pub fn step(self) -> u64 {
        self.step
    }

    /// Takes a step.
    pub fn advance(&mut self) {
        self.step += 1;
    }

    fn tensors() -> Vec<Tensor> {
        vec![
            Tensor::numbers::<f64>("matrix", [ROWS, COLUMNS]),
            Tensor::numbers::<f32>("vector", [COLUMNS]),
            Tensor::bytes("bytes", [8]),
        ]
    }

    fn row(self, row: usize) -> Vec<f64> {
        (0..COLUMNS).map(|column| (self.step as f64) + (row * COLUMNS + column) as f64).collect()
    }

    fn vector(self) -> Vec<f32> {
        let remainder = u16::try_from(self.step % 1000).unwrap_or_default();
        vec![f32::from(remainder); COLUMNS]
    }

    /// Saves the state as the checkpoint of its step.
    ///
    /// # Errors
    /// Those of [`Checkpoints::save`].
    pub fn save(self, checkpoints: &Checkpoints) -> Result<Saved, Error> {
        let plan = Plan::new(&json!({ "step": self.step }), Self::tensors())?;
        checkpoints.save(self.step, &plan, |writer| {
            for row in 0..ROWS {
                writer.numbers("matrix", &self.row(row))?;
            }
            writer.numbers("vector", &self.vector())?;
            writer.bytes("bytes", &self.step.to_le_bytes())
        })
    }

    /// Reads a state and checks that all of it is of one step.
    ///
    /// # Errors
    /// Those of [`Reader`], and [`Fault::Foreign`] if its parts contradict each other.
    pub fn load(reader: &mut Reader) -> Result<Self, Error> {
        for tensor in Self::tensors() {
            reader.expect(&tensor)?;
        }
        let mut bytes = [0; 8];
        reader.bytes("bytes", 0, &mut bytes)?;
        let counter = Self { step: u64::from_le_bytes(bytes) };
        let mut vector = vec![0.0; COLUMNS];
        reader.numbers("vector", 0, &mut vector)?;
        let mut whole =
            vector == counter.vector() && *reader.contents() == json!({ "step": counter.step });
        let mut row = vec![0.0; COLUMNS];
        for place in 0..ROWS {
            reader.numbers("matrix", place * COLUMNS, &mut row)?;
            whole &= row == counter.row(place);
        }
        if whole {
            return Ok(counter);
        }
        let fault = Fault::Foreign { reason: "tensors of several steps".to_owned() };
        Err(Error::Checkpoint { path: reader.path().to_owned(), fault })
    }
}
