//! The network: its checked shape and its weights (equations 1 and 2).
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the weights, which only a learner changes |
//! | `state.rs` | what a network carries from step to step, and the forward pass |
//! | `teacher.rs` | units whose outputs a teacher replaces |
//! | `layer.rs` | where the parts of a layer are in everything that a network holds |
//! | `builder.rs` | the checked description |
//! | `layer_settings.rs` | the settings of one layer in it |
//! | `memory.rs` | the memory of p, before the network is built |
//! | `connections.rs` | which weights exist and which of them learn |
//! | `pattern.rs` | which derivatives of a step can differ from 0, and how many |
//! | `derivatives.rs` | the derivatives of a step of several layers, or of units with several states |
//! | `shape.rs` | what a state has in common with its network |
//! | `initial.rs` | seeded weights with the same bits on every machine |

mod builder;
mod connections;
mod derivatives;
mod initial;
mod layer;
mod layer_settings;
mod memory;
mod pattern;
mod shape;
mod state;
mod teacher;

use std::sync::Arc;

use rtrl_kernel::{Function, Isa, Jacobian, Layout, Pattern, Real};

pub use self::builder::NetworkBuilder;
pub use self::connections::{Connection, Connections};
pub(crate) use self::derivatives::Derivatives;
pub use self::initial::InitialWeights;
pub use self::layer::Layer;
pub(crate) use self::layer_settings::check_head;
use self::shape::Shape;
pub use self::state::State;
use crate::cell::Leaks;
use crate::error::{Quantity, at_step, check_finite, check_length};
use crate::readout::ReadoutLayer;
use crate::{Activation, Cell, Error, Matrix};

/// A recurrent network: one or more layers of units, m external inputs, an optional bias and an
/// optional readout.
///
/// The units of a layer see the inputs, the bias and each other; those of a layer above see the
/// outputs of the layer below in place of the external inputs, and in the same step. The readout
/// sees the last layer. Units of all layers are counted from the first layer upwards.
/// A network is its shape and its weights. A [`State`] holds everything that changes from step to
/// step, so any number of sequences and threads can share one network:
///
/// ```
/// use rtrl_model::Network;
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// let network = Network::<f32>::builder(8, 1).seed(3).build()?;
/// let last = |inputs: &[f32]| -> Result<f32, rtrl_model::Error> {
///     let mut state = network.state();
///     for x in inputs {
///         network.forward(&mut state, &[*x])?;
///     }
///     Ok(state.outputs()[0])
/// };
/// let (a, b) = std::thread::scope(|scope| {
///     let a = scope.spawn(|| last(&[0.1, 0.2]));
///     let b = scope.spawn(|| last(&[0.1, 0.3]));
///     (a.join().unwrap(), b.join().unwrap())
/// });
/// assert_eq!(a?, last(&[0.1, 0.2])?);
/// assert_eq!(b?, last(&[0.1, 0.3])?);
/// # Ok(())
/// # }
/// ```
///
/// The shape never changes, and the weights change only in a [`Learner`](crate::Learner).
#[derive(Debug, Clone)]
pub struct Network<T> {
    /// From the input upwards.
    pub(crate) layers: Vec<Layer<T>>,
    pub(crate) layout: Layout,
    pub(crate) connections: Connections,
    pub(crate) weights: Matrix<T>,
    pub(crate) readout: Option<ReadoutLayer<T>>,
    pub(crate) isa: Isa,
    shape: Arc<Shape>,
    /// y(t0) and c(t0)
    initial_state: Vec<T>,
}

impl<T: Real> Network<T> {
    /// Starts to describe a network whose first layer has `units` units, with `inputs` external
    /// inputs.
    pub fn builder(units: usize, inputs: usize) -> NetworkBuilder<T> {
        NetworkBuilder::new(units, inputs)
    }

    /// The same network with all of its weights but the readout's frozen: a learner then holds no
    /// sensitivities.
    pub fn freeze(mut self) -> Self {
        self.connections.freeze();
        self
    }

    /// A new sequence: y(t0) is [`Network::initial_state`], and no unit is forced.
    pub fn state(&self) -> State<T> {
        State::new(self)
    }

    /// Runs one step: `y(t+1) = f(W z(t))`, or `(1 - a) y(t) + a f(W z(t))` where units leak, for
    /// the input x(t), and returns the outputs at t + 1: those of the readout if there is one, else
    /// y(t+1).
    ///
    /// # Errors
    /// [`Error::InputLength`], [`Error::NonFinite`], or [`Error::StateShape`] for a state of a
    /// network of another shape; the state is then unchanged.
    pub fn forward<'s>(&self, state: &'s mut State<T>, input: &[T]) -> Result<&'s [T], Error> {
        state.forward(self, input)
    }

    /// Runs `steps` steps over `inputs`, steps x inputs, row by row, and returns the outputs,
    /// steps x outputs.
    ///
    /// ```
    /// use rtrl_model::Network;
    ///
    /// # fn main() -> Result<(), rtrl_model::Error> {
    /// let network = Network::<f32>::builder(4, 2).build()?;
    /// let outputs = network.run(&mut network.state(), 3, &[0.5; 3 * 2])?;
    /// assert_eq!(outputs.len(), 3 * network.outputs());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] for an array of another size, with nothing changed; [`Error::AtStep`] with
    /// an error of [`Network::forward`], after which `state` is that after the previous steps.
    pub fn run(&self, state: &mut State<T>, steps: usize, inputs: &[T]) -> Result<Vec<T>, Error> {
        let width = self.inputs();
        check_length("input of a run", [steps, 1, width], inputs.len())?;
        let mut outputs = Vec::new();
        for t in 0..steps {
            let step = self.forward(state, &inputs[t * width..][..width]);
            outputs.extend_from_slice(step.map_err(|error| at_step(t, error))?);
        }
        Ok(outputs)
    }

    /// Number of units of all layers, n.
    pub fn units(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs.end)
    }

    /// The layers, from the inputs on upwards.
    pub fn layers(&self) -> &[Layer<T>] {
        &self.layers
    }

    /// Number of external inputs, m.
    pub fn inputs(&self) -> usize {
        self.layers[0].columns.inputs
    }

    /// Whether there is a bias.
    pub fn has_bias(&self) -> bool {
        self.layers[0].columns.bias
    }

    /// Number of outputs: those of the readout, or the units.
    pub fn outputs(&self) -> usize {
        self.readout.as_ref().map_or(self.units(), |readout| readout.weights.rows())
    }

    /// Where [`Network::state`] starts: y(t0), one value a unit, then c(t0), one value for each
    /// unit that has a cell.
    pub fn initial_state(&self) -> &[T] {
        &self.initial_state
    }

    /// W, weight rows x (inputs, bias, units seen): the rows of one layer after the other, each
    /// with the columns of its layer and zeros after them. In a layer of heads
    /// ([`NetworkBuilder::heads_of`]), a row has columns for the units of its own head only.
    pub fn weights(&self) -> &Matrix<T> {
        &self.weights
    }

    /// R, outputs x (units, inputs if seen, 1 if it has a bias), if there is a readout.
    pub fn readout_weights(&self) -> Option<&Matrix<T>> {
        self.readout.as_ref().map(|readout| &readout.weights)
    }

    /// Whether the readout sees the external inputs.
    pub fn readout_sees_inputs(&self) -> bool {
        self.readout.as_ref().is_some_and(|readout| readout.inputs)
    }

    /// Whether there is a readout with a bias.
    pub fn readout_has_bias(&self) -> bool {
        self.readout.as_ref().is_some_and(|readout| readout.bias)
    }

    /// The activation of a unit, among those of all layers; `None` for gated units, and for one
    /// that is not there.
    pub fn activation(&self, unit: usize) -> Option<&Activation> {
        let layer = self.layers.iter().find(|layer| layer.outputs.contains(&unit))?;
        layer.activations().get(unit - layer.outputs.start)
    }

    /// The kind of every weight.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// For each weight, row by row, whether it learns.
    pub fn learning(&self) -> Vec<bool> {
        self.connections.learning()
    }

    /// The sizes that an engine of the kernel needs.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Which entries of [`Network::jacobian`] can differ from 0, whatever the weights and the state
    /// are; `None` if all can.
    ///
    /// # Errors
    /// [`Error::Kernel`] if there are more states than can be counted.
    pub fn pattern(&self) -> Result<Option<Pattern>, Error> {
        let states = self.layout.states();
        if self.layers.len() == 1 && self.weight_counts().0 == states.saturating_mul(states) {
            return Ok(None);
        }
        let rows = pattern::Derivable::of(&self.layers, &self.connections, states).jacobian();
        Ok(Some(Pattern::new(rows)?))
    }

    /// The instruction set that the network runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The Jacobian of the last step of `state`, the derivative of every value of a state by every
    /// value of the state before, with the slopes of that step and the present weights, as if no
    /// unit had been forced. For one layer of simple units it is
    /// `J_kl = a_k f'_k(s_k) w_kl + (1 - a_k) δ_kl`, where a is the leak, 1 for units without one.
    ///
    /// # Errors
    /// [`Error::StateShape`], [`Error::Memory`].
    pub fn jacobian(&self, state: &State<T>) -> Result<Matrix<T>, Error> {
        state.check(self)?;
        let states = self.layout.states();
        let mut matrix = Matrix::zeros(states, states)?;
        let stride = matrix.stride();
        let rows = matrix.padded_mut().chunks_exact_mut(stride).map(|row| &mut row[..states]);
        if self.has_plain_jacobian() {
            self.jacobian_of(state.slopes(), self.diagonal(&state.kept)).write(rows, |_| ());
        } else {
            let is_deferred = false;
            let mut derivatives = Derivatives::new(self, T::ONE, is_deferred)?;
            derivatives.form(self, state.slopes(), &state.kept)?;
            derivatives.jacobian().write(rows, |_| ());
        }
        Ok(matrix)
    }
}

/// For the learner.
impl<T: Real> Network<T> {
    /// Fails unless `state` holds a finite value for each unit and cell.
    pub(crate) fn check_state(&self, state: &[T]) -> Result<(), Error> {
        let expected = self.layout.states();
        if state.len() != expected {
            return Err(Error::StateLength { expected, got: state.len() });
        }
        check_finite(0, Quantity::UnitOutput, state)
    }

    /// Makes every absent weight 0.
    pub(crate) fn clear_absent(&mut self) {
        for i in 0..self.weights.rows() {
            for (j, weight) in self.weights.row_mut(i).iter_mut().enumerate() {
                if self.connections.get(i, j) == Connection::Absent {
                    *weight = T::ZERO;
                }
            }
        }
    }

    /// Whether the derivatives of a step are those of the rows of one layer, each of which drives
    /// one state.
    pub(crate) fn has_plain_jacobian(&self) -> bool {
        self.layers.len() == 1 && !self.layers[0].cell().has_cells()
    }

    /// The only layer with the activation of its units, if these are simple, without leaks, all see
    /// each other and have the same built-in function.
    #[inline]
    pub(crate) fn lone_layer(&self) -> Option<(&Layer<T>, Function)> {
        let [layer] = self.layers.as_slice() else { return None };
        let sees_all = layer.columns.seen == layer.columns.units;
        let function = layer.units.simple().filter(|_| sees_all)?.function()?;
        Some((layer, function))
    }

    /// The Jacobian for these slopes, and what each unit passes on to itself besides its weights,
    /// as if no unit had been forced. The network has a plain Jacobian.
    #[inline]
    pub(crate) fn jacobian_of<'a>(
        &'a self,
        slopes: &'a [T],
        diagonal: Option<&'a [T]>,
    ) -> Jacobian<'a, T> {
        let (layer, stride) = (&self.layers[0], self.weights.stride());
        let recurrent = &self.weights.padded()[layer.columns.first_unit()..];
        let jacobian = match layer.cell() {
            Cell::Gru => {
                let n = layer.units();
                let block =
                    |b: usize| (&recurrent[b * n * stride..], stride, &slopes[b * n..][..n]);
                Jacobian::sum([block(0), block(1), block(3)])
            }
            _ => Jacobian::scaled(recurrent, stride, slopes),
        }
        .with_diagonal(diagonal);
        if layer.columns.seen == layer.columns.units {
            jacobian
        } else {
            jacobian.with_heads(layer.units(), layer.columns.seen)
        }
    }

    /// What each unit passes on to itself besides its weights, if anything: in a network with a
    /// plain Jacobian, in a step in which gated units keep `kept`.
    #[inline]
    pub(crate) fn diagonal<'a>(&'a self, kept: &'a [T]) -> Option<&'a [T]> {
        match self.layers[0].units.simple() {
            Some(simple) => simple.leaks.as_ref().map(Leaks::kept),
            None => Some(kept),
        }
    }

    /// Gives every frozen weight the value that it has in `from`.
    pub(crate) fn restore_frozen(&mut self, from: &Matrix<T>) {
        for i in 0..self.weights.rows() {
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

/// Compiles only while networks can be shared by threads.
const _: fn() = || {
    fn shareable<S: Send + Sync>() {}
    shareable::<Network<f32>>();
    shareable::<Network<f64>>();
    shareable::<State<f32>>();
};
