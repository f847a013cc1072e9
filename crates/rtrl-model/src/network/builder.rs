//! The description of a network and its checks.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use rtrl_kernel::{Isa, Layout, Real};

use super::initial::InitialWeights;
use super::layer_settings::LayerSettings;
use super::pattern::Derivable;
use super::{Connections, Layer, Network, Shape};
use crate::compiled::{compiled, once};
use crate::error::{Quantity, check_finite_from};
use crate::readout::Readout;
use crate::{Activation, Cell, Error, Generator, Matrix, Table};

/// Describes a network in the precision `T`; [`NetworkBuilder::build`] checks the description.
///
/// [`Network::builder`] adds the first layer, and [`NetworkBuilder::layer`] adds another one above.
/// The settings of a layer (cell, activations, leaks, connections, weights and state) apply to the
/// layer added last:
///
/// ```
/// use rtrl_model::{Cell, InitialWeights, Network, Readout};
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// let network = Network::<f32>::builder(16, 2)
///     .cell(Cell::Gru)
///     .layer(8)
///     .cell(Cell::Lstm)
///     .forget_bias(1.0)
///     .readout(Readout::new(1))
///     .build()?;
/// assert_eq!((network.layers().len(), network.units(), network.outputs()), (2, 24, 1));
/// # Ok(())
/// # }
/// ```
///
/// Defaults: a bias, simple units with tanh, no leak, every weight learns, an orthogonal start
/// with gain 1 from seed 0, a state of zeros, no readout, the instruction set of [`Isa::from_env`].
#[derive(Debug, Clone)]
pub struct NetworkBuilder<T> {
    precision: PhantomData<T>,
    pub(super) inputs: usize,
    pub(super) bias: bool,
    /// The layers below the last one.
    below: Vec<LayerSettings>,
    last: LayerSettings,
    seed: u64,
    readout: Option<Readout>,
    isa: Option<Isa>,
}

compiled!(Build<'a, T>: NetworkBuilder::make, NetworkBuilder<T> => Result<Network<T>, Error>);

impl<T: Real> NetworkBuilder<T> {
    pub(super) fn new(units: usize, inputs: usize) -> Self {
        Self {
            precision: PhantomData,
            inputs,
            bias: true,
            below: Vec::new(),
            last: LayerSettings::new(units),
            seed: 0,
            readout: None,
            isa: None,
        }
    }

    /// Adds a layer of `units` units, which see the outputs of the layer below.
    #[must_use]
    pub fn layer(mut self, units: usize) -> Self {
        let below = std::mem::replace(&mut self.last, LayerSettings::new(units));
        self.below.push(below);
        self
    }

    /// Divides the units of the layer into heads of `units` neighbours: a unit sees the inputs, the
    /// bias and the units of its own head. The number of units of the layer must be a multiple of
    /// `units`. Rows of W, and of the masks and initial weights of the layer, have `units` columns
    /// for the units, in the order of the row's head, so that in a network of one layer absent
    /// weights take no room. With heads of 1, each unit sees itself only.
    ///
    /// ```
    /// use rtrl_model::Network;
    ///
    /// # fn main() -> Result<(), rtrl_model::Error> {
    /// let network = Network::<f32>::builder(4096, 16).heads_of(8).build()?;
    /// assert_eq!((network.weights().rows(), network.weights().columns()), (4096, 16 + 1 + 8));
    /// assert_eq!(network.layers()[0].heads(), 512);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn heads_of(mut self, units: usize) -> Self {
        self.last.head = Some(units);
        self
    }

    /// The kind of the layer's units.
    #[must_use]
    pub fn cell(mut self, cell: Cell) -> Self {
        self.last.cell = cell;
        self
    }

    /// Whether the units of all layers have a bias. The default is true.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// One activation for all units of the layer.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        self.activations([activation])
    }

    /// One activation for each unit of the layer (or a single one for all), which are simple.
    #[must_use]
    pub fn activations(mut self, activations: impl IntoIterator<Item = Activation>) -> Self {
        self.last.activations = Some(activations.into_iter().collect());
        self
    }

    /// One leak for all units of the layer; see [`NetworkBuilder::leaks`].
    #[must_use]
    pub fn leak(self, a: f64) -> Self {
        self.leaks([a])
    }

    /// One leak a for each unit of the layer (or a single one for all), above 0 and at most 1: the
    /// unit, which is simple, keeps the fraction 1 - a of its output,
    /// `y(t+1) = (1 - a) y(t) + a f(s(t))`. With 1, the default, it keeps nothing.
    #[must_use]
    pub fn leaks(mut self, leaks: impl IntoIterator<Item = f64>) -> Self {
        self.last.leaks = Some(leaks.into_iter().collect());
        self
    }

    /// Which weights of the layer exist: weight rows x (inputs, bias, units seen), as rows or flat.
    /// An absent weight is 0 whatever the initial weights say.
    #[must_use]
    pub fn connections(mut self, present: impl Into<Table<bool>>) -> Self {
        self.last.present = Some(present.into());
        self
    }

    /// Which weights of the layer never change: weight rows x (inputs, bias, units seen), as rows
    /// or flat.
    #[must_use]
    pub fn frozen(mut self, frozen: impl Into<Table<bool>>) -> Self {
        self.last.frozen = Some(frozen.into());
        self
    }

    /// How the weights of the layer start.
    #[must_use]
    pub fn weights(mut self, weights: InitialWeights) -> Self {
        self.last.weights = weights;
        self
    }

    /// A value to be added to the bias weights of the forget gates of the layer when they start;
    /// its units are LSTM units with a bias. 1 lets cells remember from the start (Gers et al.
    /// 2000).
    #[must_use]
    pub fn forget_bias(mut self, bias: f64) -> Self {
        self.last.forget_bias = Some(bias);
        self
    }

    /// y(t0) of the layer, one value a unit.
    #[must_use]
    pub fn initial_state(mut self, outputs: Vec<f64>) -> Self {
        self.last.outputs = Some(outputs);
        self
    }

    /// c(t0) of the layer, one value a unit; its units are LSTM units.
    #[must_use]
    pub fn initial_cells(mut self, cells: Vec<f64>) -> Self {
        self.last.cells = Some(cells);
        self
    }

    /// Seed of all random numbers: the same seed gives the same bits on every machine.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a linear readout of the last layer.
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
    /// [`Error::Setting`] or [`Error::Shape`] for an invalid or inconsistent description,
    /// [`Error::Memory`] if the weights do not fit in memory, [`Error::Kernel`] for an instruction
    /// set that this machine lacks.
    pub fn build(self) -> Result<Network<T>, Error> {
        once::<Build, T>(self)
    }

    fn make(self) -> Result<Network<T>, Error> {
        let settings: Vec<&LayerSettings> = self.settings().collect();
        let layers = self.make_layers(&settings)?;
        let weights = start_weights(&settings, &layers, self.seed)?;
        let weights = if is_packed(&layers) { weights.packed()? } else { weights };
        let connections = connect(&settings, &layers, &weights)?;
        let initial_state = start_state(&settings, &layers)?;
        // A separate stream, so that a readout does not change the weights of the units.
        let mut generator = Generator::new(self.seed ^ 0x5EED_0000_0000_0001);
        let (readout, seen) = (self.readout.as_ref(), self.last.units);
        let readout = readout.map(|r| r.build(seen, self.inputs, &mut generator)).transpose()?;
        let isa = self.isa.map_or_else(Isa::from_env, Ok)?;
        let layout = layout(&layers, &weights, &connections, initial_state.len())?;
        let shape = Shape::new(&layers, readout.as_ref());
        let mut network = Network {
            layers,
            layout,
            connections,
            weights,
            readout,
            isa,
            shape: Arc::new(shape),
            initial_state,
        };
        network.clear_absent();
        Ok(network)
    }

    /// The settings of all layers.
    pub(super) fn settings(&self) -> impl Iterator<Item = &LayerSettings> {
        self.below.iter().chain([&self.last])
    }

    fn make_layers(&self, settings: &[&LayerSettings]) -> Result<Vec<Layer<T>>, Error> {
        let mut layers: Vec<Layer<T>> = Vec::new();
        for settings in settings {
            let inputs = layers.last().map_or(self.inputs, Layer::units);
            let columns = settings.columns(inputs, self.bias)?;
            let alone = self.below.is_empty();
            let units = settings.make_units(columns, alone)?;
            layers.push(Layer::above(layers.last(), units, columns));
        }
        let width = layers.iter().map(Layer::width).max().unwrap_or(0);
        let stride = if is_packed(&layers) { width } else { width.next_multiple_of(T::LANES) };
        let outputs = layers.last().map_or(0, |layer| layer.outputs.end);
        let mut z = 0;
        for layer in &mut layers {
            layer.z = z..z + layer.z_len(stride);
            z = layer.z.end.next_multiple_of(T::LANES);
            layer.cells = layer.cells.start + outputs..layer.cells.end + outputs;
        }
        Ok(layers)
    }
}

/// Whether W has no gaps between its rows: if all layers are in heads.
fn is_packed<T: Real>(layers: &[Layer<T>]) -> bool {
    layers.iter().all(|layer| layer.heads() > 1)
}

/// The weights of all layers in the rows of one matrix.
fn start_weights<T: Real>(
    settings: &[&LayerSettings],
    layers: &[Layer<T>],
    seed: u64,
) -> Result<Matrix<T>, Error> {
    let seed_of = |number: usize| seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    if let ([settings], [layer]) = (settings, layers) {
        return settings.start_weights(layer.columns, seed);
    }
    let rows = layers.last().map_or(0, |layer| layer.rows.end);
    let mut all = Matrix::zeros(rows, layers.iter().map(Layer::width).max().unwrap_or(0))?;
    for (number, (settings, layer)) in settings.iter().zip(layers).enumerate() {
        let weights: Matrix<T> = settings.start_weights(layer.columns, seed_of(number))?;
        for (row, values) in layer.rows.clone().zip(weights.iter_rows()) {
            all.row_mut(row)[..values.len()].copy_from_slice(values);
        }
    }
    Ok(all)
}

fn connect<T: Real>(
    settings: &[&LayerSettings],
    layers: &[Layer<T>],
    weights: &Matrix<T>,
) -> Result<Connections, Error> {
    let mut connections = Connections::full(weights.rows(), weights.columns())?;
    for (settings, layer) in settings.iter().zip(layers) {
        settings.connect(layer.columns, layer.rows.clone(), &mut connections)?;
    }
    Ok(connections)
}

/// y(t0) of all layers, then c(t0).
fn start_state<T: Real>(settings: &[&LayerSettings], layers: &[Layer<T>]) -> Result<Vec<T>, Error> {
    let states = layers.last().map_or(0, |layer| layer.cells.end);
    let mut state = vec![T::ZERO; states];
    for (settings, layer) in settings.iter().zip(layers) {
        let parts = [(&settings.outputs, &layer.outputs), (&settings.cells, &layer.cells)];
        for (given, places) in parts {
            let Some(given) = given else { continue };
            if given.len() != places.len() {
                return Err(Error::StateLength { expected: places.len(), got: given.len() });
            }
            let part = &mut state[places.clone()];
            for (place, &value) in part.iter_mut().zip(given) {
                *place = T::from_f64(value);
            }
            check_finite_from(places.start, 0, Quantity::UnitOutput, part)?;
        }
    }
    Ok(state)
}

/// The sizes and drives of all layers.
fn layout<T: Real>(
    layers: &[Layer<T>],
    weights: &Matrix<T>,
    connections: &Connections,
    states: usize,
) -> Result<Layout, Error> {
    if let [layer] = layers
        && !layer.cell().has_cells()
        && layer.heads() == 1
    {
        return Ok(Layout::stacked(states, layer.cell().blocks(), layer.width())?);
    }
    let units = layers.last().map_or(0, |layer| layer.outputs.end);
    let z = |layer: &Layer<T>| -> Vec<[Range<usize>; 2]> {
        let of_row = |row: usize| layer.z_of(row % layer.units(), weights.columns());
        (0..layer.rows.len()).map(of_row).collect()
    };
    let rows = layers.iter().flat_map(z).collect();
    let several = (layers.len() > 1).then(|| Derivable::of(layers, connections, states));
    let sees = |state: usize, unit: usize| {
        several.as_ref().is_some_and(|derivable| derivable.sees(state, unit))
    };
    let drives = layers.iter().flat_map(|layer| layer.drives(units, states, sees)).collect();
    Ok(Layout::divided(states, rows, drives)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Learner, UpdateSettings};

    fn gru() -> NetworkBuilder<f64> {
        Network::builder(3, 2).cell(Cell::Gru)
    }

    fn lstm() -> NetworkBuilder<f64> {
        Network::builder(3, 2).cell(Cell::Lstm)
    }

    #[test]
    fn settings_of_other_cells_are_refused() {
        let cases = [
            (
                gru().activation(Activation::Relu),
                "activation: got gru units, expected simple units",
            ),
            (lstm().leak(0.5), "leak: got lstm units, expected simple units"),
            (
                gru().initial_cells(vec![0.0; 3]),
                "initial cells: got gru units, expected lstm units",
            ),
            (gru().forget_bias(1.0), "forget bias: got gru units, expected lstm units"),
            (lstm().bias(false).forget_bias(1.0), "forget bias: got units without"),
            (lstm().layer(0), "number of units: got 0"),
            (gru().heads_of(0), "units of a head: got 0, expected a divisor of 3"),
            (gru().heads_of(2), "units of a head: got 2, expected a divisor of 3"),
            (gru().heads_of(4), "units of a head: got 4, expected a divisor of 3"),
            (gru().heads_of(1).connections(vec![true; 3]), "connection mask: got 3 values"),
            (lstm().initial_cells(vec![0.0; 2]), "state: got 2 values, expected 3"),
            (gru().layer(2).connections(vec![true; 3]), "connection mask: got 3 values"),
        ];
        for (builder, expected) in cases {
            let message = builder.build().unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn learning_that_layers_or_gated_units_cannot_do_is_refused() {
        let forced = |builder: NetworkBuilder<f64>| {
            let learner = Learner::builder(builder.build().unwrap()).teacher_forcing(true);
            learner.build().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(forced(lstm()), Ok(()));
        assert!(forced(lstm().layer(2)).unwrap_err().contains("on with 2 layers"));
        let others = [gru(), Network::builder(2, 1).layer(2), Network::builder(2, 1).heads_of(1)];
        for builder in others {
            let updates = UpdateSettings { spectral_limit: Some(1.0), ..UpdateSettings::default() };
            let learner = Learner::builder(builder.build().unwrap()).updates(updates);
            assert!(learner.build().unwrap_err().to_string().starts_with("spectral limit"));
        }
    }

    #[test]
    fn states_and_weights_are_where_layers_say() {
        let chain = lstm().initial_state(vec![0.1; 3]).initial_cells(vec![0.2; 3]).layer(2);
        let network = chain.initial_state(vec![0.3; 2]).build().unwrap();
        assert_eq!(network.initial_state(), [0.1, 0.1, 0.1, 0.3, 0.3, 0.2, 0.2, 0.2]);
        let [first, second] = network.layers() else { panic!("two layers") };
        assert_eq!(
            (first.rows(), second.rows(), first.width(), second.width()),
            (0..12, 12..14, 6, 6)
        );
        assert_eq!((second.outputs(), first.cells(), second.cells()), (3..5, 5..8, 8..8));
        assert_eq!((second.inputs(), network.inputs(), network.outputs()), (3, 2, 5));
    }

    #[test]
    fn a_forget_bias_is_added_to_that_of_its_gates() {
        let weights = |builder: NetworkBuilder<f64>| builder.build().unwrap().weights().to_rows();
        let torch = || lstm().weights(InitialWeights::Torch);
        let (plain, biased) = (weights(torch()), weights(torch().forget_bias(1.5)));
        for (i, (plain, biased)) in plain.iter().zip(&biased).enumerate() {
            for (j, (plain, biased)) in plain.iter().zip(biased).enumerate() {
                let more = if (3..6).contains(&i) && j == 2 { 1.5 } else { 0.0 };
                assert_eq!(*biased, plain + more, "{i}, {j}");
            }
        }
    }

    #[test]
    fn a_state_of_other_cells_is_refused() {
        let (gru, lstm) = (gru().build().unwrap(), lstm().build().unwrap());
        let simple = Network::<f64>::builder(3, 2).build().unwrap();
        let message = gru.forward(&mut simple.state(), &[0.0; 2]).unwrap_err().to_string();
        assert_eq!(message, "state: got one of a network with 3 weight rows, expected 12");
        let message = gru.forward(&mut lstm.state(), &[0.0; 2]).unwrap_err().to_string();
        assert_eq!(message, "state: got one of a network with 6 states, expected 3");
    }
}
