//! The description of a network in files, without its numbers.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use crate::rls::LeastSquares;
use crate::{
    Activation, Connection, Error, InitialWeights, Network, NetworkBuilder, Readout, ReadoutWeights,
};

/// The shape of a network and the kinds of its parts, as plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    bias: bool,
    /// One name for each unit.
    activations: Vec<String>,
    /// The leak of each unit; absent where all are 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaks: Option<Vec<f64>>,
    pub(crate) readout: Option<ReadoutDescription>,
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
        Self {
            units: network.units(),
            inputs: network.inputs(),
            bias: network.has_bias(),
            activations: network.activations().iter().map(Activation::saved_name).collect(),
            leaks: network.leaks().map(|leaks| leaks.iter().map(|a| a.to_f64()).collect()),
            readout: readout.map(|readout| ReadoutDescription {
                outputs: readout.weights.rows(),
                sees_inputs: readout.inputs,
                bias: readout.bias,
                least_squares: readout.least_squares,
            }),
        }
    }

    /// Columns of W, or what is wrong with the sizes.
    pub(crate) fn width(&self) -> Result<usize, String> {
        let width = self.inputs.checked_add(usize::from(self.bias));
        let width = width.and_then(|width| width.checked_add(self.units));
        let Some(width) = width.filter(|_| self.units > 0) else {
            let Self { units, inputs, .. } = self;
            return Err(format!("got {units} units and {inputs} inputs, expected smaller numbers"));
        };
        let lists = [
            ("activations", self.activations.len()),
            ("leaks", self.leaks.as_ref().map_or(self.units, Vec::len)),
        ];
        match lists.into_iter().find(|&(_, got)| got != self.units) {
            Some((what, got)) => Err(format!("got {got} {what}, expected {}", self.units)),
            None => Ok(width),
        }
    }

    /// Columns of R, once [`Description::width`] has been found to be in range.
    pub(crate) fn features(&self) -> usize {
        let Some(readout) = &self.readout else { return 0 };
        let inputs = if readout.sees_inputs { self.inputs } else { 0 };
        self.units + inputs + usize::from(readout.bias)
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
        let activations = self.activations.iter().map(find);
        let flags = |is: fn(u8) -> bool| -> Vec<Vec<bool>> {
            let row = |row: &Vec<u8>| row.iter().map(|&code| is(code)).collect();
            parts.connections.iter().map(row).collect()
        };
        let (present, frozen) = (flags(|code| code != 0), flags(|code| code == 2));
        let mut builder = Network::<T>::builder(self.units, self.inputs)
            .bias(self.bias)
            .activations(activations.collect::<Result<Vec<_>, _>>()?)
            .weights(InitialWeights::given(parts.weights))
            .connections(present)
            .frozen(frozen)
            .initial_state(parts.state);
        if let Some(leaks) = &self.leaks {
            builder = builder.leaks(leaks.iter().copied());
        }
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
    (0..network.units() * columns).map(code).collect()
}

/// The rows of a byte matrix, or what is wrong with one of its codes.
pub(crate) fn connection_rows(codes: &[u8], columns: usize) -> Result<Vec<Vec<u8>>, String> {
    match codes.iter().find(|&&code| code > 2) {
        Some(odd) => Err(format!("got the connection code {odd}, expected 0, 1 or 2")),
        None => Ok(codes.chunks(columns).map(<[u8]>::to_vec).collect()),
    }
}
