//! What files say of a network beside its numbers.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use crate::rls::LeastSquares;
use crate::{
    Activation, Connection, Error, InitialWeights, Network, NetworkBuilder, Readout, ReadoutWeights,
};

/// The shape of a network and the kinds of its parts, as plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    bias: bool,
    activations: Vec<String>,
    /// The leak of each unit; absent where all are 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaks: Option<Vec<f64>>,
    /// Whether the readout sees the inputs; absent without a readout.
    readout_sees_inputs: Option<bool>,
    /// Whether the readout has a bias; absent without a readout, and in files of the time when every
    /// readout had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readout_bias: Option<bool>,
    /// How the readout is fitted, if not by its gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readout_least_squares: Option<LeastSquares>,
}

/// The numbers of a network, in a precision that holds all.
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
            readout_sees_inputs: readout.map(|readout| readout.inputs),
            readout_bias: readout.map(|readout| readout.bias),
            readout_least_squares: readout.and_then(|readout| readout.least_squares),
        }
    }

    pub(crate) fn has_readout(&self) -> bool {
        self.readout_sees_inputs.is_some()
    }

    /// Whether the readout is fitted by least squares.
    pub(crate) fn is_fitted(&self) -> bool {
        self.readout_least_squares.is_some()
    }

    /// Columns of W, if they can be counted and there are units.
    pub(crate) fn lines(&self) -> Option<usize> {
        let lines = self.inputs.checked_add(usize::from(self.bias))?;
        lines.checked_add(self.units).filter(|_| self.units > 0)
    }

    /// Columns of R, once [`Description::lines`] has been found to be there.
    pub(crate) fn features(&self) -> usize {
        let inputs = if self.readout_sees_inputs == Some(true) { self.inputs } else { 0 };
        self.units + inputs + usize::from(self.readout_bias != Some(false))
    }

    /// The network of this description. `own` are the activations of one's own, found by their names.
    ///
    /// # Errors
    /// [`Error::Setting`] for an activation that is neither built in nor given.
    pub(crate) fn builder<T: Real>(
        &self,
        parts: Parts,
        own: &[Activation],
    ) -> Result<NetworkBuilder<T>, Error> {
        let find = |name: &String| match own.iter().find(|own| own.saved_name() == *name) {
            Some(own) => Ok(own.clone()),
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
        if let Some(rows) = parts.readout {
            builder = builder.readout(self.readout(rows));
        }
        Ok(builder)
    }

    fn readout(&self, rows: Vec<Vec<f64>>) -> Readout {
        let mut readout = Readout::new(rows.len()).weights(ReadoutWeights::given(rows));
        if self.readout_sees_inputs == Some(true) {
            readout = readout.with_inputs();
        }
        if self.readout_bias == Some(false) {
            readout = readout.without_bias();
        }
        if let Some(LeastSquares { forgetting, ridge }) = self.readout_least_squares {
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
        Some(odd) => Err(format!("a connection has the code {odd}, expected 0, 1 or 2")),
        None => Ok(codes.chunks(columns).map(<[u8]>::to_vec).collect()),
    }
}
