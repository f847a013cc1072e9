//! The network: its checked shape, its weights and its state (equations 1 and 2).

use std::marker::PhantomData;

use rtrl_kernel::{Isa, Layout, Real, product};

use crate::activation::{Run, evaluate, runs};
use crate::connections::{Connection, Connections};
use crate::error::{Quantity, check_finite};
use crate::initial::{Columns, InitialWeights};
use crate::leaks::Leaks;
use crate::readout::{Readout, ReadoutLayer};
use crate::{Activation, Error, Generator, Matrix, Targets};

/// A fully recurrent network: n units, m external inputs, an optional bias line and readout.
///
/// The shape never changes. A network that only runs is moved by [`Network::forward`]; one that learns
/// belongs to a [`Learner`](crate::Learner), which gives it back when asked.
#[derive(Debug, Clone)]
pub struct Network<T> {
    pub(crate) layers: Layers<T>,
    /// y(t)
    pub(crate) state: Vec<T>,
    pub(crate) pass: Pass<T>,
    steps: u64,
}

impl<T: Real> Network<T> {
    /// Starts to describe a network of `units` units and `inputs` external inputs.
    pub fn builder(units: usize, inputs: usize) -> NetworkBuilder<T> {
        NetworkBuilder::new(units, inputs)
    }

    /// Runs one step: `y(t+1) = f(W z(t))`, or `(1 - a) y(t) + a f(W z(t))` where units leak, for the
    /// input x(t), and returns the outputs at t + 1: those of the readout if there is one, else y(t+1).
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::NonFinite`]; the state is then as it was.
    pub fn forward(&mut self, input: &[T]) -> Result<&[T], Error> {
        self.pass.run(&self.layers, self.steps, &self.state, None, input)?;
        self.state.copy_from_slice(self.pass.next());
        self.steps += 1;
        Ok(self.pass.outputs())
    }

    /// Replaces the state y(t).
    ///
    /// # Errors
    /// [`Error::StateLength`] or [`Error::NonFinite`]; the state is then as it was.
    pub fn set_state(&mut self, state: &[T]) -> Result<(), Error> {
        self.replace_state(self.steps, state)
    }

    /// [`Network::set_state`] at step `step`.
    pub(crate) fn replace_state(&mut self, step: u64, state: &[T]) -> Result<(), Error> {
        if state.len() != self.units() {
            return Err(Error::StateLength { expected: self.units(), got: state.len() });
        }
        check_finite(step, Quantity::UnitOutput, state)?;
        self.state.copy_from_slice(state);
        Ok(())
    }

    /// Number of units, n.
    pub fn units(&self) -> usize {
        self.layers.columns.units
    }

    /// Number of external inputs, m.
    pub fn inputs(&self) -> usize {
        self.layers.columns.inputs
    }

    /// Whether there is a bias line.
    pub fn has_bias(&self) -> bool {
        self.layers.columns.bias
    }

    /// Number of outputs: those of the readout, or the units.
    pub fn outputs(&self) -> usize {
        self.layers.outputs()
    }

    /// y(t), one value a unit.
    pub fn state(&self) -> &[T] {
        &self.state
    }

    /// dy(t)/ds(t-1) of the last step that the network took, one value a unit: f'(s(t-1)), times the leak
    /// a where units leak. Zeros before the first step; without meaning after one that failed.
    pub fn slopes(&self) -> &[T] {
        self.pass.slope()
    }

    /// W, units x (inputs, bias, units).
    pub fn weights(&self) -> &Matrix<T> {
        &self.layers.weights
    }

    /// R, outputs x (units, inputs if seen, 1 if it has a bias), if there is a readout.
    pub fn readout_weights(&self) -> Option<&Matrix<T>> {
        self.layers.readout.as_ref().map(|readout| &readout.weights)
    }

    /// Whether the readout sees the external inputs.
    pub fn readout_sees_inputs(&self) -> bool {
        self.layers.readout.as_ref().is_some_and(|readout| readout.inputs)
    }

    /// Whether there is a readout with a bias.
    pub fn readout_has_bias(&self) -> bool {
        self.layers.readout.as_ref().is_some_and(|readout| readout.bias)
    }

    /// The activation of every unit.
    pub fn activations(&self) -> &[Activation] {
        &self.layers.activations
    }

    /// The leak a of every unit; `None` where all are 1 and no unit keeps a share of its state.
    pub fn leaks(&self) -> Option<&[T]> {
        self.layers.leaks.as_ref().map(Leaks::rates)
    }

    /// The kind of every weight.
    pub fn connections(&self) -> &Connections {
        &self.layers.connections
    }

    /// For each weight, row by row, whether it learns.
    pub fn learning(&self) -> Vec<bool> {
        self.layers.connections.learning()
    }

    /// How many recurrent weights there are, the shares that leaky units keep included, and how many
    /// weights learn.
    pub(crate) fn weight_counts(&self) -> (usize, usize) {
        let connections = self.connections();
        let Layers { columns, weights, .. } = &self.layers;
        let recurrent = columns.first_unit()..weights.columns();
        let (leaky, first) = (self.leaks().is_some(), recurrent.start);
        let keeps = move |i, j| leaky && j == first + i;
        let exists =
            |i| move |&j: &usize| connections.get(i, j) != Connection::Absent || keeps(i, j);
        let present = (0..columns.units).map(|i| recurrent.clone().filter(exists(i)).count()).sum();
        (present, connections.count(Connection::Learning))
    }

    /// The sizes that an engine of the kernel needs.
    pub fn layout(&self) -> Layout {
        self.layers.layout
    }

    /// The instruction set that the network runs on.
    pub fn isa(&self) -> Isa {
        self.layers.isa
    }
}

/// Everything of a network that its state is not.
#[derive(Debug, Clone)]
pub(crate) struct Layers<T> {
    pub(crate) columns: Columns,
    pub(crate) layout: Layout,
    pub(crate) activations: Vec<Activation>,
    pub(crate) runs: Vec<Run>,
    pub(crate) leaks: Option<Leaks<T>>,
    pub(crate) connections: Connections,
    pub(crate) weights: Matrix<T>,
    pub(crate) readout: Option<ReadoutLayer<T>>,
    pub(crate) isa: Isa,
}

impl<T: Real> Layers<T> {
    pub(crate) fn outputs(&self) -> usize {
        self.readout.as_ref().map_or(self.columns.units, |readout| readout.weights.rows())
    }

    /// Makes every absent weight 0.
    pub(crate) fn clear_absent(&mut self) {
        for i in 0..self.columns.units {
            for (j, weight) in self.weights.row_mut(i).iter_mut().enumerate() {
                if self.connections.get(i, j) == Connection::Absent {
                    *weight = T::ZERO;
                }
            }
        }
    }

    /// What each unit passes on to itself beside its weights, if anything.
    pub(crate) fn diagonal(&self) -> Option<&[T]> {
        self.leaks.as_ref().map(Leaks::kept)
    }

    /// Gives every frozen weight the value that it has in `from`.
    pub(crate) fn restore_frozen(&mut self, from: &Matrix<T>) {
        for i in 0..self.columns.units {
            for (j, weight) in self.weights.row_mut(i).iter_mut().enumerate() {
                if self.connections.get(i, j) == Connection::Frozen {
                    *weight = from.row(i)[j];
                }
            }
        }
    }

    /// The readout if it learns by its gradient.
    pub(crate) fn descending_readout(&self) -> Option<&ReadoutLayer<T>> {
        self.readout.as_ref().filter(|readout| readout.least_squares.is_none())
    }

    /// The matrices that learn by their gradients: W, then R if it does.
    pub(crate) fn matrices(&self) -> impl Iterator<Item = &Matrix<T>> {
        std::iter::once(&self.weights).chain(self.descending_readout().map(|r| &r.weights))
    }

    /// The matrices that learn, to be changed.
    pub(crate) fn matrices_mut(&mut self) -> impl Iterator<Item = &mut Matrix<T>> {
        let readout = self.readout.as_mut().filter(|readout| readout.least_squares.is_none());
        std::iter::once(&mut self.weights).chain(readout.map(|readout| &mut readout.weights))
    }
}

/// Units whose output is replaced by a teacher's value in z(t).
#[derive(Debug, Clone)]
pub(crate) struct Teacher<T> {
    /// Whether k is in T(t).
    pub(crate) forced: Vec<bool>,
    /// `d_k(t)` where forced.
    pub(crate) values: Vec<T>,
}

impl<T: Real> Teacher<T> {
    pub(crate) fn absent(units: usize) -> Self {
        Self { forced: vec![false; units], values: vec![T::ZERO; units] }
    }

    /// Becomes T(t+1) with its values.
    pub(crate) fn take_over(&mut self, targets: &Targets<'_, T>) {
        for (k, (forced, value)) in self.forced.iter_mut().zip(&mut self.values).enumerate() {
            *forced = targets.get(k).is_some();
            *value = targets.get(k).unwrap_or(T::ZERO);
        }
    }
}

/// One forward pass: room for what equations 1 and 2 compute.
#[derive(Debug, Clone)]
pub(crate) struct Pass<T> {
    /// z(t), padded.
    pub(crate) lines: Vec<T>,
    units: usize,
    /// s(t), padded with zeros.
    sums: Vec<T>,
    /// y(t+1), padded with anything.
    next: Vec<T>,
    /// f'(s(t)), times a where units leak, padded with anything.
    slope: Vec<T>,
    /// What the readout sees, padded; empty without one.
    pub(crate) features: Vec<T>,
    /// o(t+1); empty without a readout.
    readout: Vec<T>,
}

impl<T: Real> Pass<T> {
    pub(crate) fn new(layers: &Layers<T>) -> Self {
        let units = layers.columns.units;
        let padded = vec![T::ZERO; units.next_multiple_of(T::LANES)];
        let readout = layers.readout.as_ref().map(|readout| &readout.weights);
        Self {
            lines: vec![T::ZERO; layers.weights.stride()],
            units,
            sums: padded.clone(),
            next: padded.clone(),
            slope: padded,
            features: vec![T::ZERO; readout.map_or(0, Matrix::stride)],
            readout: vec![T::ZERO; readout.map_or(0, Matrix::rows)],
        }
    }

    /// Computes z(t), s(t), y(t+1), a f'(s(t)) and o(t+1), and checks that what comes in and what goes
    /// out is finite. Changes nothing but itself.
    pub(crate) fn run(
        &mut self,
        layers: &Layers<T>,
        step: u64,
        state: &[T],
        teacher: Option<&Teacher<T>>,
        input: &[T],
    ) -> Result<(), Error> {
        let columns = layers.columns;
        if input.len() != columns.inputs {
            return Err(Error::InputLength { expected: columns.inputs, got: input.len() });
        }
        self.fill_lines(columns, state, teacher, input);
        let sums = &mut self.sums[..self.units];
        product(layers.isa, layers.weights.padded(), &self.lines, sums)?;
        let functions = (layers.runs.as_slice(), layers.activations.as_slice());
        let (next, slope) = (&mut self.next, &mut self.slope);
        if !evaluate(layers.isa, functions, &self.sums, next, slope)? {
            return self.name_non_finite(step, input);
        }
        if let Some(leaks) = &layers.leaks {
            let state = &self.lines[columns.first_unit()..];
            leaks.apply(state, &mut self.next, &mut self.slope);
        }
        match &layers.readout {
            Some(readout) => self.read_out(readout, layers.isa, step, input),
            None => Ok(()),
        }
    }

    /// Names the first value that is not finite. One of the input makes every sum so.
    #[cold]
    fn name_non_finite(&self, step: u64, input: &[T]) -> Result<(), Error> {
        check_finite(step, Quantity::Input, input)?;
        check_finite(step, Quantity::Sum, &self.sums)?;
        check_finite(step, Quantity::UnitOutput, self.next())?;
        check_finite(step, Quantity::Slope, self.slope())
    }

    fn fill_lines(
        &mut self,
        columns: Columns,
        state: &[T],
        teacher: Option<&Teacher<T>>,
        input: &[T],
    ) {
        let (external, units) = self.lines.split_at_mut(columns.first_unit());
        external[..input.len()].copy_from_slice(input);
        external[input.len()..].fill(T::ONE);
        units[..state.len()].copy_from_slice(state);
        let Some(teacher) = teacher else { return };
        for (unit, (&forced, &value)) in
            units.iter_mut().zip(teacher.forced.iter().zip(&teacher.values))
        {
            if forced {
                *unit = value;
            }
        }
    }

    fn read_out(
        &mut self,
        readout: &ReadoutLayer<T>,
        isa: Isa,
        step: u64,
        input: &[T],
    ) -> Result<(), Error> {
        let (units, rest) = self.features.split_at_mut(self.units);
        units.copy_from_slice(&self.next[..self.units]);
        let seen = if readout.inputs { input } else { &[] };
        rest[..seen.len()].copy_from_slice(seen);
        if readout.bias {
            rest[seen.len()] = T::ONE;
        }
        product(isa, readout.weights.padded(), &self.features, &mut self.readout)?;
        check_finite(step, Quantity::Output, &self.readout)
    }

    /// y(t+1)
    pub(crate) fn next(&self) -> &[T] {
        &self.next[..self.units]
    }

    /// dy(t+1)/ds(t): f'(s(t)), times a where units leak.
    pub(crate) fn slope(&self) -> &[T] {
        &self.slope[..self.units]
    }

    /// The outputs at t + 1.
    pub(crate) fn outputs(&self) -> &[T] {
        if self.readout.is_empty() { self.next() } else { &self.readout }
    }
}

/// Describes a network in the precision `T`; [`NetworkBuilder::build`] checks the description.
///
/// Defaults: a bias line, tanh, no leak, every weight learns, an orthogonal start with gain 1 from seed 0,
/// y(t0) = 0, no readout, the instruction set of [`Isa::from_env`].
#[derive(Debug, Clone)]
pub struct NetworkBuilder<T> {
    precision: PhantomData<T>,
    columns: Columns,
    activations: Vec<Activation>,
    leaks: Vec<f64>,
    present: Option<Vec<Vec<bool>>>,
    frozen: Option<Vec<Vec<bool>>>,
    weights: InitialWeights,
    seed: u64,
    state: Option<Vec<f64>>,
    readout: Option<Readout>,
    isa: Option<Isa>,
}

impl<T: Real> NetworkBuilder<T> {
    fn new(units: usize, inputs: usize) -> Self {
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

    /// Whether a line is held at 1.
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

    /// One leak a for each unit (or a single one for all), above 0 and at most 1: the unit keeps the
    /// share 1 - a of its state, `y(t+1) = (1 - a) y(t) + a f(s(t))`. With 1, the default, it keeps
    /// nothing.
    #[must_use]
    pub fn leaks(mut self, leaks: impl IntoIterator<Item = f64>) -> Self {
        self.leaks = leaks.into_iter().collect();
        self
    }

    /// Which weights exist: units x (inputs, bias, units). An absent weight is 0 whatever the initial
    /// weights say.
    #[must_use]
    pub fn connections(mut self, present: Vec<Vec<bool>>) -> Self {
        self.present = Some(present);
        self
    }

    /// Which weights never change: units x (inputs, bias, units).
    #[must_use]
    pub fn frozen(mut self, frozen: Vec<Vec<bool>>) -> Self {
        self.frozen = Some(frozen);
        self
    }

    /// How the weights start.
    #[must_use]
    pub fn weights(mut self, weights: InitialWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Seed of everything that is drawn: the same seed gives the same bits on every machine.
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

    /// Checks the description and makes the network.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] for what does not fit together, [`Error::Memory`] if the
    /// weights do not fit in memory, [`Error::Kernel`] for an instruction set that is not there.
    pub fn build(self) -> Result<Network<T>, Error> {
        let columns = self.columns;
        let n = columns.units;
        if n == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "the number of units", expected, got });
        }
        columns.check::<T>()?;
        let weights: Matrix<T> = self.weights.matrix(columns, self.seed)?;
        let connections = self.check_connections()?;
        let activations = self.check_activations()?;
        let leaks = Leaks::build(&self.leaks, n)?;
        let state = self.check_state()?;
        // A stream of its own, so that a readout does not change the weights of the units.
        let mut generator = Generator::new(self.seed ^ 0x5EED_0000_0000_0001);
        let readout = self.readout.as_ref();
        let readout = readout.map(|r| r.build(n, columns.inputs, &mut generator)).transpose()?;
        let isa = self.isa.map_or_else(Isa::from_env, Ok)?;
        let layout = Layout::simple(n, columns.count())?;
        let runs = runs(&activations, n.next_multiple_of(T::LANES));
        let mut layers = Layers {
            columns,
            layout,
            activations,
            runs,
            leaks,
            connections,
            weights,
            readout,
            isa,
        };
        layers.clear_absent();
        let pass = Pass::new(&layers);
        Ok(Network { layers, state, pass, steps: 0 })
    }

    fn check_connections(&self) -> Result<Connections, Error> {
        let mut connections = Connections::full(self.columns.units, self.columns.count())?;
        if let Some(present) = &self.present {
            connections.mark("the connection mask", present, false, Connection::Absent)?;
        }
        if let Some(frozen) = &self.frozen {
            connections.mark("the mask of frozen weights", frozen, true, Connection::Frozen)?;
        }
        Ok(connections)
    }

    fn check_activations(&self) -> Result<Vec<Activation>, Error> {
        let n = self.columns.units;
        match self.activations.as_slice() {
            [one] => Ok(vec![one.clone(); n]),
            list if list.len() == n => Ok(list.to_vec()),
            list => Err(Error::Setting {
                what: "the number of activations",
                expected: format!("1 or {n}"),
                got: list.len().to_string(),
            }),
        }
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
