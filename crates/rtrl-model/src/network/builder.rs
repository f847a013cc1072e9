//! The description of a network and its checks.

use std::marker::PhantomData;

use rtrl_kernel::{Isa, Layout, Real};

use super::initial::{Columns, InitialWeights};
use super::{Connection, Connections, Layer, Network};
use crate::cell::{Cell, Simple};
use crate::error::{Quantity, check_finite};
use crate::readout::Readout;
use crate::{Activation, Error, Generator, Matrix, Table};

/// Describes a network in the precision `T`; [`NetworkBuilder::build`] checks the description.
///
/// Defaults: a bias, tanh, no leak, every weight learns, an orthogonal start with gain 1 from seed 0,
/// y(t0) = 0, no readout, the instruction set of [`Isa::from_env`].
#[derive(Debug, Clone)]
pub struct NetworkBuilder<T> {
    precision: PhantomData<T>,
    columns: Columns,
    activations: Vec<Activation>,
    leaks: Vec<f64>,
    present: Option<Table<bool>>,
    frozen: Option<Table<bool>>,
    weights: InitialWeights,
    seed: u64,
    state: Option<Vec<f64>>,
    readout: Option<Readout>,
    isa: Option<Isa>,
}

impl<T: Real> NetworkBuilder<T> {
    pub(super) fn new(units: usize, inputs: usize) -> Self {
        Self {
            precision: PhantomData,
            columns: Columns { inputs, bias: true, units },
            activations: vec![Activation::Tanh],
            leaks: vec![1.0],
            present: None,
            frozen: None,
            weights: InitialWeights::Orthogonal { gain: 1.0 },
            seed: 0,
            state: None,
            readout: None,
            isa: None,
        }
    }

    /// Whether the units have a bias: an input that is always 1.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.columns.bias = bias;
        self
    }

    /// One activation for all units.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        self.activations([activation])
    }

    /// One activation for each unit (or a single one for all).
    #[must_use]
    pub fn activations(mut self, activations: impl IntoIterator<Item = Activation>) -> Self {
        self.activations = activations.into_iter().collect();
        self
    }

    /// One leak for all units; see [`NetworkBuilder::leaks`].
    #[must_use]
    pub fn leak(self, a: f64) -> Self {
        self.leaks([a])
    }

    /// One leak a for each unit (or a single one for all), above 0 and at most 1: the unit keeps
    /// the fraction 1 - a of its output, `y(t+1) = (1 - a) y(t) + a f(s(t))`. With 1, the default,
    /// it keeps nothing.
    #[must_use]
    pub fn leaks(mut self, leaks: impl IntoIterator<Item = f64>) -> Self {
        self.leaks = leaks.into_iter().collect();
        self
    }

    /// Which weights exist: units x (inputs, bias, units), as rows or flat. An absent weight is 0
    /// whatever its initial value.
    #[must_use]
    pub fn connections(mut self, present: impl Into<Table<bool>>) -> Self {
        self.present = Some(present.into());
        self
    }

    /// Which weights never change: units x (inputs, bias, units), as rows or flat.
    #[must_use]
    pub fn frozen(mut self, frozen: impl Into<Table<bool>>) -> Self {
        self.frozen = Some(frozen.into());
        self
    }

    /// The initial weights.
    #[must_use]
    pub fn weights(mut self, weights: InitialWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Seed of all random numbers: the same seed gives the same bits on every machine.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// y(t0), one value a unit.
    #[must_use]
    pub fn initial_state(mut self, state: Vec<f64>) -> Self {
        self.state = Some(state);
        self
    }

    /// Adds a linear readout.
    #[must_use]
    pub fn readout(mut self, readout: Readout) -> Self {
        self.readout = Some(readout);
        self
    }

    /// Forces an instruction set.
    #[must_use]
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Checks the description and builds the network.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] for an invalid or inconsistent description, [`Error::Memory`] if the weights do not fit in memory, [`Error::Kernel`] for an instruction set that this machine lacks.
    pub fn build(self) -> Result<Network<T>, Error> {
        let columns = self.columns;
        let n = columns.units;
        if n == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "number of units", expected, got });
        }
        columns.check::<T>()?;
        let weights: Matrix<T> = self.weights.matrix(columns, self.seed)?;
        let connections = self.check_connections()?;
        let room = n.next_multiple_of(T::LANES);
        let cell = Cell::Simple(Simple::new(n, &self.activations, &self.leaks, room)?);
        let initial_state = self.check_state()?;
        // A separate stream, so that a readout does not change the weights of the units.
        let mut generator = Generator::new(self.seed ^ 0x5EED_0000_0000_0001);
        let readout = self.readout.as_ref();
        let readout = readout.map(|r| r.build(n, columns.inputs, &mut generator)).transpose()?;
        let isa = self.isa.map_or_else(Isa::from_env, Ok)?;
        let layout = Layout::simple(n, columns.count())?;
        let layer = Layer { cell, columns, rows: 0..n, states: 0..n, z: 0 };
        let mut network = Network {
            layers: vec![layer],
            layout,
            connections,
            weights,
            readout,
            isa,
            initial_state,
        };
        network.clear_absent();
        Ok(network)
    }

    fn check_connections(&self) -> Result<Connections, Error> {
        let mut connections = Connections::full(self.columns.units, self.columns.count())?;
        if let Some(present) = &self.present {
            connections.mark("connection mask", present, false, Connection::Absent)?;
        }
        if let Some(frozen) = &self.frozen {
            connections.mark("mask of frozen weights", frozen, true, Connection::Frozen)?;
        }
        Ok(connections)
    }

    fn check_state(&self) -> Result<Vec<T>, Error> {
        let n = self.columns.units;
        let Some(given) = &self.state else { return Ok(vec![T::ZERO; n]) };
        if given.len() != n {
            return Err(Error::StateLength { expected: n, got: given.len() });
        }
        let state: Vec<T> = given.iter().map(|&value| T::from_f64(value)).collect();
        check_finite(0, Quantity::UnitOutput, &state)?;
        Ok(state)
    }
}
