//! The network: its checked shape and its weights (equations 1 and 2).
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the weights, which only a learner changes |
//! | `state.rs` | what a network carries from step to step, and the forward pass |
//! | `layer.rs` | where the parts of a layer are in everything that a network holds |
//! | `builder.rs` | the checked description |
//! | `connections.rs` | which weights exist and which of them learn |
//! | `initial.rs` | seeded weights with the same bits on every machine |

mod builder;
mod connections;
mod initial;
mod layer;
mod state;

use rtrl_kernel::{Isa, Jacobian, Layout, Real};

pub use self::builder::NetworkBuilder;
pub use self::connections::{Connection, Connections};
pub use self::initial::InitialWeights;
pub(crate) use self::layer::Layer;
pub use self::state::State;
use crate::cell::{Cell, Leaks, Simple};
use crate::error::{Quantity, at_step, check_finite, check_length};
use crate::readout::ReadoutLayer;
use crate::{Activation, Error, Matrix};

/// A fully recurrent network: n units, m external inputs, an optional bias and an optional readout.
///
/// A network is its shape and its weights. A [`State`] holds everything that changes from step to step, so any number of sequences and threads can share one network:
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
    /// y(t0)
    initial_state: Vec<T>,
}

impl<T: Real> Network<T> {
    /// A builder for a network with `units` units and `inputs` external inputs.
    pub fn builder(units: usize, inputs: usize) -> NetworkBuilder<T> {
        NetworkBuilder::new(units, inputs)
    }

    /// A new sequence: y(t0) is [`Network::initial_state`], and no unit is forced.
    pub fn state(&self) -> State<T> {
        State::new(self)
    }

    /// Runs one step: `y(t+1) = f(W z(t))`, or `(1 - a) y(t) + a f(W z(t))` where units leak, for the
    /// input x(t), and returns the outputs at t + 1: those of the readout if there is one, else y(t+1).
    ///
    /// # Errors
    /// [`Error::InputLength`], [`Error::NonFinite`], or [`Error::StateShape`] for a state of a network of
    /// another shape; the state is then unchanged.
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

    /// Number of units, n.
    pub fn units(&self) -> usize {
        self.layers[0].columns.units
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
        self.readout.as_ref().map_or(self.layers[0].columns.units, |readout| readout.weights.rows())
    }

    /// y(t0), one value per unit: the state that [`Network::state`] returns.
    pub fn initial_state(&self) -> &[T] {
        &self.initial_state
    }

    /// W, units x (inputs, bias, units).
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

    /// The activation of every unit.
    pub fn activations(&self) -> &[Activation] {
        &self.simple().activations
    }

    /// The leak a of every unit; `None` if all are 1, so that no unit leaks.
    pub fn leaks(&self) -> Option<&[T]> {
        self.simple().leaks.as_ref().map(Leaks::rates)
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

    /// The instruction set that the network runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The Jacobian `dy_k(t+1)/dy_l(t)` of the last step of `state`, n x n, with the slopes of that step
    /// and the current weights, as if no unit had been forced:
    /// `J_kl = a_k f'_k(s_k) w_kl + (1 - a_k) δ_kl`, where a is the leak, 1 for units without one.
    ///
    /// # Errors
    /// [`Error::StateShape`], [`Error::Memory`].
    pub fn jacobian(&self, state: &State<T>) -> Result<Matrix<T>, Error> {
        state.check(self)?;
        let mut matrix = Matrix::zeros(self.units(), self.units())?;
        let jacobian = self.jacobian_of(state.slopes(), self.diagonal());
        let (n, stride) = (self.units(), matrix.stride());
        let rows = matrix.padded_mut().chunks_exact_mut(stride).map(|row| &mut row[..n]);
        jacobian.write(rows, |_| ());
        Ok(matrix)
    }
}

/// For the learner.
impl<T: Real> Network<T> {
    /// How many recurrent weights there are, the shares that leaky units keep included, and how many
    /// weights learn.
    pub(crate) fn weight_counts(&self) -> (usize, usize) {
        let recurrent = self.layers[0].columns.first_unit()..self.weights.columns();
        let (leaky, first) = (self.diagonal().is_some(), recurrent.start);
        let keeps = move |i, j| leaky && j == first + i;
        let exists =
            |i| move |&j: &usize| self.connections.get(i, j) != Connection::Absent || keeps(i, j);
        let present = (0..self.units()).map(|i| recurrent.clone().filter(exists(i)).count()).sum();
        (present, self.connections.count(Connection::Learning))
    }

    /// Fails unless `state` holds n finite values.
    pub(crate) fn check_state(&self, state: &[T]) -> Result<(), Error> {
        if state.len() != self.units() {
            return Err(Error::StateLength { expected: self.units(), got: state.len() });
        }
        check_finite(0, Quantity::UnitOutput, state)
    }

    /// Makes every absent weight 0.
    pub(crate) fn clear_absent(&mut self) {
        for i in 0..self.layers[0].columns.units {
            for (j, weight) in self.weights.row_mut(i).iter_mut().enumerate() {
                if self.connections.get(i, j) == Connection::Absent {
                    *weight = T::ZERO;
                }
            }
        }
    }

    /// The Jacobian for slopes that include the leaks, with the fraction that each unit keeps on the diagonal, as if no unit had been forced.
    pub(crate) fn jacobian_of<'a>(
        &'a self,
        slopes: &'a [T],
        diagonal: Option<&'a [T]>,
    ) -> Jacobian<'a, T> {
        let recurrent = &self.weights.padded()[self.layers[0].columns.first_unit()..];
        Jacobian::scaled(recurrent, self.weights.stride(), slopes).with_diagonal(diagonal)
    }

    /// The fraction of its output that each unit keeps, if units leak.
    pub(crate) fn diagonal(&self) -> Option<&[T]> {
        self.simple().leaks.as_ref().map(Leaks::kept)
    }

    fn simple(&self) -> &Simple<T> {
        let Cell::Simple(cell) = &self.layers[0].cell;
        cell
    }

    /// Gives every frozen weight the value that it has in `from`.
    pub(crate) fn restore_frozen(&mut self, from: &Matrix<T>) {
        for i in 0..self.layers[0].columns.units {
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
