//! What a case says about a layer, and values that exist once for each layer.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use crate::error::check_count;
use crate::matrix::check_shape;
use crate::network::check_head;
use crate::{Activation, Cell, Error};

/// A matrix as rows.
pub type Table = Vec<Vec<f64>>;

/// A value for each layer, in the order of the layers.
///
/// It is read and indexed as a slice. The two forms of a file differ in whether a single layer is
/// wrapped in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a table, or a list with a table for each layer")]
pub enum PerLayer<V> {
    /// The value of the only layer, in the short form of a case.
    One(V),
    /// The value of each layer, in the form with a list of layers.
    Each(Vec<V>),
}

impl<V> Deref for PerLayer<V> {
    type Target = [V];

    fn deref(&self) -> &[V] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

impl<V> DerefMut for PerLayer<V> {
    fn deref_mut(&mut self) -> &mut [V] {
        match self {
            Self::One(value) => std::slice::from_mut(value),
            Self::Each(values) => values,
        }
    }
}

impl<V> Default for PerLayer<V> {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

impl<V> PerLayer<V> {
    /// The result of `value` for each layer, in the same form.
    pub fn map<'v, U>(&'v self, mut value: impl FnMut(&'v V) -> U) -> PerLayer<U> {
        match self {
            Self::One(one) => PerLayer::One(value(one)),
            Self::Each(values) => PerLayer::Each(values.iter().map(value).collect()),
        }
    }

    /// The same, with the number of each layer.
    pub fn map_numbered<'v, U>(&'v self, mut value: impl FnMut(usize, &'v V) -> U) -> PerLayer<U> {
        let mut numbers = 0..;
        self.map(|one| value(numbers.next().unwrap_or_default(), one))
    }
}

/// A layer of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The kind of its cells.
    pub cell: Cell,
    /// Number of units, n.
    pub units: usize,
    /// Units of a head: a unit sees those of its own head, and the weights between heads are
    /// absent. Without it, all units see each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads_of: Option<usize>,
    /// The activation of simple units; absent means tanh. Gated cells have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationNames>,
    /// The leak of simple units; absent means 1. Gated cells have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// W, rows x columns: inputs, bias, and all units of the layer, also if it is in heads.
    pub weights: Table,
    /// 1 where a weight exists, rows x columns; absent means wherever the cell has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Vec<u8>>>,
    /// 1 where a weight never changes, rows x columns; absent means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Vec<Vec<u8>>>,
    /// y(t0), n values.
    pub initial_state: Vec<f64>,
    /// c(t0) of an LSTM, n values; absent means 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_cell: Option<Vec<f64>>,
}

impl Layer {
    /// Number of weight rows.
    pub fn rows(&self) -> usize {
        self.cell.blocks() * self.units
    }

    /// Number of units that a unit sees.
    fn seen(&self) -> usize {
        self.heads_of.unwrap_or(self.units)
    }

    /// Whether row `i` has a column for unit `unit` of the layer: whether both are in the same
    /// head.
    pub(super) fn sees(&self, i: usize, unit: usize) -> bool {
        unit / self.seen() == i % self.units / self.seen()
    }

    /// The columns of row `i` that a network has: all, or those of the row's head. The first unit
    /// is column `first_unit`.
    pub(super) fn columns(&self, first_unit: usize, i: usize) -> impl Iterator<Item = usize> {
        let seen = first_unit + i % self.units / self.seen() * self.seen();
        (0..first_unit).chain(seen..seen + self.seen())
    }

    /// The name of the activation of unit `k`.
    pub fn activation_of(&self, k: usize) -> &str {
        match &self.activation {
            None => "tanh",
            Some(ActivationNames::All(name)) => name,
            Some(ActivationNames::Each(names)) => &names[k],
        }
    }

    /// The leak of unit `k`.
    pub fn leak_of(&self, k: usize) -> f64 {
        match &self.leak {
            None => 1.0,
            Some(Leak::All(leak)) => *leak,
            Some(Leak::Each(leaks)) => leaks[k],
        }
    }

    /// Fails unless everything fits a layer with `inputs` inputs.
    pub(super) fn check(&self, inputs: usize, bias: bool) -> Result<(), Error> {
        check_count("number of units", self.units)?;
        check_head(self.units, self.seen())?;
        // The table cannot have as many rows or columns as where these saturate.
        let columns = inputs.saturating_add(usize::from(bias)).saturating_add(self.units);
        let shape = (self.cell.blocks().saturating_mul(self.units), columns);
        check_shape("weight matrix", shape, &self.weights)?;
        for (what, mask) in
            [("connection mask", &self.connections), ("mask of frozen weights", &self.frozen)]
        {
            let Some(mask) = mask else { continue };
            check_shape(what, shape, mask)?;
            flags(what, mask)?;
        }
        self.check_units()?;
        check_state(self.units, &self.initial_state)?;
        self.check_cell("initial_cell", self.initial_cell.as_deref())
    }

    /// Fails unless activations and leaks are those of simple units, one for all or one each.
    fn check_units(&self) -> Result<(), Error> {
        let names = self.activation.as_ref().map(ActivationNames::names);
        let counts = [("activation", names.map(<[_]>::len)), ("leak", self.leak_count())];
        for (what, count) in counts {
            let Some(count) = count else { continue };
            let expected = match self.cell {
                Cell::Simple if count == 1 || count == self.units => continue,
                Cell::Simple => format!("1 or {} values", self.units),
                gated => format!("none in a layer of {} cells", gated.name()),
            };
            return Err(Error::Setting { what, expected, got: format!("{count} values") });
        }
        names.unwrap_or_default().iter().try_for_each(|name| name.parse::<Activation>().map(drop))
    }

    fn leak_count(&self) -> Option<usize> {
        match self.leak.as_ref()? {
            Leak::All(_) => Some(1),
            Leak::Each(leaks) => Some(leaks.len()),
        }
    }

    /// Fails if there is a state c that the layer cannot take.
    pub(super) fn check_cell(&self, what: &'static str, c: Option<&[f64]>) -> Result<(), Error> {
        let Some(c) = c else { return Ok(()) };
        if self.cell != Cell::Lstm {
            let expected = format!("none in a layer of {} cells", self.cell.name());
            return Err(Error::Setting { what, expected, got: format!("{} values", c.len()) });
        }
        check_state(self.units, c)
    }
}

/// Fails unless `state` has a value for each unit.
pub(super) fn check_state(units: usize, state: &[f64]) -> Result<(), Error> {
    if state.len() == units {
        return Ok(());
    }
    Err(Error::StateLength { expected: units, got: state.len() })
}

/// Rows of 0 and 1 as a mask.
pub(super) fn flags(what: &'static str, rows: &[Vec<u8>]) -> Result<Vec<Vec<bool>>, Error> {
    if let Some(odd) = rows.iter().flatten().find(|&&flag| flag > 1) {
        let expected = "0 or 1".to_owned();
        return Err(Error::Setting { what, expected, got: odd.to_string() });
    }
    Ok(rows.iter().map(|row| row.iter().map(|&flag| flag == 1).collect()).collect())
}

/// One activation for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "activation must be a name or a list of names")]
pub enum ActivationNames {
    /// The name for all units.
    All(String),
    /// The name of each unit.
    Each(Vec<String>),
}

impl ActivationNames {
    /// The names as they are given: one, or one for each unit.
    pub fn names(&self) -> &[String] {
        match self {
            Self::All(name) => std::slice::from_ref(name),
            Self::Each(names) => names,
        }
    }
}

/// One leak for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "leak must be a number or a list of numbers")]
pub enum Leak {
    /// a of all units.
    All(f64),
    /// a of each unit.
    Each(Vec<f64>),
}

/// The state in which a layer begins a sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerState {
    /// y, n values.
    pub state: Vec<f64>,
    /// c of an LSTM, n values; absent means 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Vec<f64>>,
}
