//! The description of a network in files, without its numbers.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use crate::rls::LeastSquares;
use crate::{
    Activation, Cell, Connection, Error, InitialWeights, Layer, Network, NetworkBuilder, Readout,
    ReadoutWeights,
};

/// The shape of a network and the kinds of its parts, as plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Units of the first layer.
    units: usize,
    pub(crate) inputs: usize,
    bias: bool,
    /// Units of a head of the first layer; absent where all units see each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<usize>,
    /// The cell of the first layer; absent for simple units.
    #[serde(default, skip_serializing_if = "is_simple")]
    cell: Cell,
    /// One name for each unit of the first layer; absent for gated units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    activations: Vec<String>,
    /// The leak of each unit of the first layer; absent where all are 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaks: Option<Vec<f64>>,
    /// The layers on top of the first one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    above: Vec<LayerDescription>,
    pub(crate) readout: Option<ReadoutDescription>,
}

/// A layer on top of another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerDescription {
    units: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<usize>,
    #[serde(default, skip_serializing_if = "is_simple")]
    cell: Cell,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    activations: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaks: Option<Vec<f64>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_simple(cell: &Cell) -> bool {
    *cell == Cell::Simple
}

impl LayerDescription {
    fn of<T: Real>(layer: &Layer<T>) -> Self {
        Self {
            units: layer.units(),
            head: (layer.heads() > 1).then(|| layer.units() / layer.heads()),
            cell: layer.cell(),
            activations: layer.activations().iter().map(Activation::saved_name).collect(),
            leaks: layer.leaks().map(|leaks| leaks.iter().map(|a| a.to_f64()).collect()),
        }
    }

    /// Cells c.
    fn cells(&self) -> usize {
        if self.cell.has_cells() { self.units } else { 0 }
    }

    /// Weight rows and columns, or what is wrong with the sizes.
    fn shape(&self, inputs: usize, bias: bool) -> Result<[usize; 2], String> {
        let seen = self.head.unwrap_or(self.units);
        if self.units > 0 && self.units.checked_rem(seen) != Some(0) {
            let units = self.units;
            return Err(format!("got heads of {seen} units, expected a divisor of {units}"));
        }
        let width = inputs.checked_add(usize::from(bias) + 1);
        let width = width.and_then(|width| width.checked_add(seen)).map(|width| width - 1);
        let rows = self.units.checked_mul(self.cell.blocks());
        let (Some(width), Some(rows), true) = (width, rows, self.units > 0) else {
            let units = self.units;
            return Err(format!("got {units} units and {inputs} inputs, expected smaller numbers"));
        };
        let activations = if is_simple(&self.cell) { self.units } else { 0 };
        let lists = [
            ("activations", self.activations.len(), activations),
            ("leaks", self.leaks.as_ref().map_or(activations, Vec::len), activations),
        ];
        match lists.into_iter().find(|&(_, got, expected)| got != expected) {
            Some((what, got, expected)) => Err(format!("got {got} {what}, expected {expected}")),
            None => Ok([rows, width]),
        }
    }
}

/// The shape of a readout and how it learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadoutDescription {
    pub(crate) outputs: usize,
    sees_inputs: bool,
    bias: bool,
    /// How the readout is fitted, if not by its gradient.
    pub(crate) least_squares: Option<LeastSquares>,
}

/// The numbers of a network, in double precision.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) weights: Vec<Vec<f64>>,
    /// See [`connection_codes`].
    pub(crate) connections: Vec<Vec<u8>>,
    pub(crate) state: Vec<f64>,
    pub(crate) readout: Option<Vec<Vec<f64>>>,
}

impl Description {
    pub(crate) fn of<T: Real>(network: &Network<T>) -> Self {
        let readout = network.readout.as_ref();
        let mut layers = network.layers().iter().map(LayerDescription::of);
        // A network has at least one layer.
        let LayerDescription { units, head, cell, activations, leaks } =
            layers.next().unwrap_or_default();
        Self {
            units,
            inputs: network.inputs(),
            bias: network.has_bias(),
            head,
            cell,
            activations,
            leaks,
            above: layers.collect(),
            readout: readout.map(|readout| ReadoutDescription {
                outputs: readout.weights.rows(),
                sees_inputs: readout.inputs,
                bias: readout.bias,
                least_squares: readout.least_squares,
            }),
        }
    }

    /// All layers, from the first one on.
    fn layers(&self) -> Vec<LayerDescription> {
        let Self { units, head, cell, activations, leaks, .. } = self.clone();
        let first = LayerDescription { units, head, cell, activations, leaks };
        std::iter::once(first).chain(self.above.iter().cloned()).collect()
    }

    /// Rows and columns of W, or what is wrong with the sizes.
    pub(crate) fn shape(&self) -> Result<[usize; 2], String> {
        let (mut inputs, mut shape) = (self.inputs, [0usize; 2]);
        for layer in self.layers() {
            let [rows, width] = layer.shape(inputs, self.bias)?;
            let sum = shape[0].checked_add(rows);
            let sum =
                sum.ok_or_else(|| format!("got {} units more, expected fewer", layer.units))?;
            shape = [sum, shape[1].max(width)];
            inputs = layer.units;
        }
        Ok(shape)
    }

    /// Values of a state, once [`Description::shape`] has been found to be in range.
    pub(crate) fn states(&self) -> usize {
        self.layers().iter().map(|layer| layer.units + layer.cells()).sum()
    }

    /// Units of the last layer.
    fn top(&self) -> usize {
        self.above.last().map_or(self.units, |layer| layer.units)
    }

    /// Columns of R, once [`Description::shape`] has been found to be in range.
    pub(crate) fn features(&self) -> usize {
        let Some(readout) = &self.readout else { return 0 };
        let inputs = if readout.sees_inputs { self.inputs } else { 0 };
        self.top() + inputs + usize::from(readout.bias)
    }

    /// The network of this description. `custom` are the custom activations, found by their names.
    ///
    /// # Errors
    /// [`Error::Setting`] for an activation that is neither built in nor given.
    pub(crate) fn builder<T: Real>(
        &self,
        parts: Parts,
        custom: &[Activation],
    ) -> Result<NetworkBuilder<T>, Error> {
        let find = |name: &String| match custom.iter().find(|one| one.saved_name() == *name) {
            Some(one) => Ok(one.clone()),
            None => name.parse(),
        };
        let mut outputs = parts.state.iter().copied();
        let layers = self.layers();
        let units = layers.iter().map(|layer| layer.units).sum();
        let mut cells = parts.state.iter().copied().skip(units);
        let (mut weights, mut codes) = (parts.weights.iter(), parts.connections.iter());
        let (mut inputs, mut builder) =
            (self.inputs, Network::<T>::builder(self.units, self.inputs));
        for (number, layer) in layers.iter().enumerate() {
            if number > 0 {
                builder = builder.layer(layer.units);
            }
            let [rows, width] = layer.shape(inputs, self.bias).unwrap_or_default();
            let weights = weights.by_ref().take(rows).map(|row| row[..width].to_vec());
            let codes: Vec<&[u8]> = codes.by_ref().take(rows).map(|row| &row[..width]).collect();
            let flags = |is: fn(u8) -> bool| -> Vec<Vec<bool>> {
                codes.iter().map(|row| row.iter().map(|&code| is(code)).collect()).collect()
            };
            builder = builder
                .cell(layer.cell)
                .weights(InitialWeights::given(weights.collect::<Vec<_>>()))
                .connections(flags(|code| code != 0))
                .frozen(flags(|code| code == 2))
                .initial_state(outputs.by_ref().take(layer.units).collect());
            if let Some(head) = layer.head {
                builder = builder.heads_of(head);
            }
            if layer.cell.has_cells() {
                builder = builder.initial_cells(cells.by_ref().take(layer.units).collect());
            }
            if is_simple(&layer.cell) {
                let activations = layer.activations.iter().map(find);
                builder = builder.activations(activations.collect::<Result<Vec<_>, _>>()?);
            }
            if let Some(leaks) = &layer.leaks {
                builder = builder.leaks(leaks.iter().copied());
            }
            inputs = layer.units;
        }
        builder = builder.bias(self.bias);
        if let (Some(readout), Some(rows)) = (&self.readout, parts.readout) {
            builder = builder.readout(readout.with_weights(rows));
        }
        Ok(builder)
    }
}

impl ReadoutDescription {
    fn with_weights(&self, rows: Vec<Vec<f64>>) -> Readout {
        let mut readout = Readout::new(self.outputs).weights(ReadoutWeights::given(rows));
        if self.sees_inputs {
            readout = readout.with_inputs();
        }
        if !self.bias {
            readout = readout.without_bias();
        }
        if let Some(LeastSquares { forgetting, ridge }) = self.least_squares {
            readout = readout.recursive_least_squares(forgetting, ridge);
        }
        readout
    }
}

/// A byte for every weight, row by row: 0 absent, 1 learning, 2 frozen.
pub(crate) fn connection_codes<T: Real>(network: &Network<T>) -> Vec<u8> {
    let columns = network.weights().columns();
    let code = |place: usize| match network.connections().get(place / columns, place % columns) {
        Connection::Absent => 0,
        Connection::Learning => 1,
        Connection::Frozen => 2,
    };
    (0..network.weights().rows() * columns).map(code).collect()
}

/// The rows of a byte matrix, or what is wrong with one of its codes.
pub(crate) fn connection_rows(codes: &[u8], columns: usize) -> Result<Vec<Vec<u8>>, String> {
    match codes.iter().find(|&&code| code > 2) {
        Some(odd) => Err(format!("got the connection code {odd}, expected 0, 1 or 2")),
        None => Ok(codes.chunks(columns).map(<[u8]>::to_vec).collect()),
    }
}
