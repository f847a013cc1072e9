//! The inputs of a network: numbers, and an indicator for each class of a text.

use rtrl_lab::scale::RunningScale;

use super::cells::{cell_error, class, number};
use super::table::Table;
use crate::args::Missing;
use crate::error::Error;

/// An input column.
pub(super) struct Input {
    /// Its place in the table.
    pub(super) place: usize,
    /// The classes of its text; none if it holds numbers.
    pub(super) classes: Vec<String>,
}

impl Input {
    /// How many inputs of the network it is.
    pub(super) fn width(&self) -> usize {
        self.classes.len().max(1)
    }

    /// Reads a cell; returns whether it has a value.
    fn read(&self, table: &Table, inputs: &mut Vec<f64>) -> Result<bool, Error> {
        if self.classes.is_empty() {
            let number = number(table, self.place)?;
            inputs.push(number.unwrap_or_default());
            return Ok(number.is_some());
        }
        let class = class(table, self.place, &self.classes)?;
        let indicator = |index| if class == Some(index) { 1.0 } else { 0.0 };
        inputs.extend((0..self.classes.len()).map(indicator));
        Ok(class.is_some())
    }
}

/// Reads the inputs of each row and replaces those that are missing.
pub(super) struct Features {
    pub(super) inputs: Vec<Input>,
    missing: Missing,
    /// Whether each input of the last row had a value of its own.
    is_present: Vec<bool>,
    width: usize,
    /// Of each group.
    replacements: Vec<Replacements>,
}

/// What replaces the missing inputs of a group.
#[derive(Clone)]
struct Replacements {
    /// The last value of each input.
    last: Vec<f64>,
    /// The mean of each input so far.
    means: Vec<RunningScale>,
}

impl Features {
    pub(super) fn new(inputs: Vec<Input>, missing: Missing) -> Self {
        let width = inputs.iter().map(Input::width).sum();
        Self {
            inputs,
            missing,
            is_present: Vec::with_capacity(width),
            width,
            replacements: Vec::new(),
        }
    }

    /// Number of inputs of the network.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Reads the inputs of the table's row, which is of this group. If there is an error, the row
    /// is forgotten.
    pub(super) fn read(
        &mut self,
        table: &Table,
        group: usize,
        inputs: &mut Vec<f64>,
    ) -> Result<(), Error> {
        inputs.clear();
        self.is_present.clear();
        for input in &self.inputs {
            let is_present = input.read(table, inputs)?;
            if !is_present && self.missing == Missing::Error {
                let expected = "a value, or --missing last, zero or mean".to_owned();
                return Err(cell_error(table, input.place, expected));
            }
            self.is_present.resize(inputs.len(), is_present);
        }
        if self.replacements.len() <= group {
            let (last, means) = (vec![0.0; self.width], vec![RunningScale::default(); self.width]);
            self.replacements.resize(group + 1, Replacements { last, means });
        }
        let replacements = &mut self.replacements[group];
        for (index, value) in inputs.iter_mut().enumerate() {
            if self.is_present[index] {
                replacements.remember(self.missing, index, *value);
            } else {
                *value = replacements.find(self.missing, index);
            }
        }
        Ok(())
    }
}

impl Replacements {
    /// Remembers a value as far as replacements depend on it.
    fn remember(&mut self, missing: Missing, index: usize, value: f64) {
        match missing {
            Missing::Error | Missing::Zero => {}
            Missing::Last => self.last[index] = value,
            Missing::Mean => self.means[index].add(value),
        }
    }

    /// What replaces a missing input.
    fn find(&self, missing: Missing, index: usize) -> f64 {
        match missing {
            Missing::Error | Missing::Zero => 0.0,
            Missing::Last => self.last[index],
            Missing::Mean => self.means[index].mean(),
        }
    }
}
