//! The network as a map of its state.

use rtrl_model::{Activation, Cell, Error, Generator, Layer, Network, Quantity, State};

/// A network that runs and does not learn: the map F from a state and an input x(t) to the next
/// state. For one layer of simple units that is `y(t+1) = F(y(t), x(t))` (equations 1 and 2).
///
/// The state is the caller's, so that one map serves many runs.
#[derive(Debug, Clone)]
pub struct Dynamics {
    network: Network<f64>,
    /// 1 - a of every unit, the share of its state that it keeps, in a network of one layer of
    /// simple units without heads.
    kept: Option<Vec<f64>>,
    /// The buffers of a step.
    scratch: State<f64>,
}

impl Dynamics {
    /// The map of a network, which is not changed.
    pub fn of(network: &Network<f64>) -> Self {
        let kept = simple_layer(network).map(|layer| match layer.leaks() {
            Some(leaks) => leaks.iter().map(|a| 1.0 - a).collect(),
            None => vec![0.0; layer.units()],
        });
        Self { kept, scratch: network.state(), network: network.clone() }
    }

    /// Number of values in a state: one for each unit, and one for each cell of an LSTM.
    pub fn states(&self) -> usize {
        self.network.initial_state().len()
    }

    /// Number of external inputs, m.
    pub fn inputs(&self) -> usize {
        self.network.inputs()
    }

    /// Moves `state`, y(t), to y(t+1) and returns the outputs at t + 1: those of the readout if
    /// there is one, else y(t+1).
    ///
    /// # Errors
    /// [`Error::StateLength`], [`Error::InputLength`], or [`Error::NonFinite`], which counts steps
    /// from 0 at every call; the state is then as it was.
    pub fn advance(&mut self, state: &mut [f64], input: &[f64]) -> Result<&[f64], Error> {
        self.run(state, input)?;
        state.copy_from_slice(self.scratch.values());
        Ok(self.scratch.outputs())
    }

    /// Advances `state` like [`Dynamics::advance`], and the tangent vector `tangent` by the
    /// Jacobian: `J v`, l ascending, fused.
    ///
    /// # Errors
    /// As [`Dynamics::advance`]; [`Error::Length`] for a tangent of another length. The new tangent
    /// is not checked.
    pub fn advance_with_tangent(
        &mut self,
        state: &mut [f64],
        tangent: &mut [f64],
        input: &[f64],
    ) -> Result<(), Error> {
        let expected = self.states();
        if tangent.len() != expected {
            return Err(Error::Length { what: "tangent", expected, got: tangent.len() });
        }
        self.run(state, input)?;
        state.copy_from_slice(self.scratch.values());
        let product = |row: &[f64], tangent: &[f64]| {
            row.iter().zip(tangent).fold(0.0, |sum, (w, v)| w.mul_add(*v, sum))
        };
        let Some(shares) = &self.kept else {
            let jacobian = self.network.jacobian(&self.scratch)?;
            let moved: Vec<f64> = jacobian.iter_rows().map(|row| product(row, tangent)).collect();
            tangent.copy_from_slice(&moved);
            return Ok(());
        };
        let (first, slopes) = (self.first_unit(), self.scratch.slopes());
        let moved: Vec<f64> = (0..tangent.len())
            .map(|k| {
                let weights = &self.network.weights().row(k)[first..];
                slopes[k].mul_add(product(weights, tangent), shares[k] * tangent[k])
            })
            .collect();
        tangent.copy_from_slice(&moved);
        Ok(())
    }

    /// The Jacobian of F at a state and an input. For one layer of simple units it is
    /// `J_kl = a_k f'_k(s_k) w_kl + (1 - a_k) δ_kl`, where a is the leak, 1 for units without.
    ///
    /// # Errors
    /// As [`Dynamics::advance`].
    pub fn jacobian(&mut self, state: &[f64], input: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
        self.run(state, input)?;
        let Some(shares) = &self.kept else {
            return Ok(self.network.jacobian(&self.scratch)?.to_rows());
        };
        let first = self.first_unit();
        let weights = self.network.weights().iter_rows();
        let mut rows: Vec<Vec<f64>> = weights.map(|row| row[first..].to_vec()).collect();
        for (k, row) in rows.iter_mut().enumerate() {
            let slope = self.scratch.slopes()[k];
            for weight in row.iter_mut() {
                *weight *= slope;
            }
            row[k] += shares[k];
        }
        Ok(rows)
    }

    /// A state drawn from a box: (0, 1) for logistic units, (-1, 1) for tanh and gated units, (0,
    /// 2) for rectified linear units and softplus, (-2, 2) for others and for cells.
    pub(super) fn draw_state(&self, generator: &mut Generator) -> Vec<f64> {
        let units = self.network.units();
        let mut draw = |state: usize| {
            let (low, high) = match self.network.activation(state) {
                Some(Activation::Logistic) => (0.0, 1.0),
                Some(Activation::Tanh) => (-1.0, 1.0),
                Some(Activation::Relu | Activation::Softplus) => (0.0, 2.0),
                None if state < units => (-1.0, 1.0),
                _ => (-2.0, 2.0),
            };
            generator.between(low, high)
        };
        (0..self.states()).map(&mut draw).collect()
    }

    /// Fails unless the network takes this input.
    pub(super) fn check_input(&self, input: &[f64]) -> Result<(), Error> {
        if input.len() != self.inputs() {
            return Err(Error::InputLength { expected: self.inputs(), got: input.len() });
        }
        match input.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(index) => {
                let (quantity, value) = (Quantity::Input, input[index]);
                Err(Error::NonFinite { step: 0, quantity, index, value })
            }
        }
    }

    /// Moves the scratch state from `state` by a step, which is step 0.
    fn run(&mut self, state: &[f64], input: &[f64]) -> Result<(), Error> {
        self.scratch.restart(state)?;
        self.network.forward(&mut self.scratch, input).map(drop)
    }

    /// The column of W of the first unit, after those of the inputs and the bias.
    fn first_unit(&self) -> usize {
        self.network.weights().columns() - self.network.units()
    }
}

/// The layer of a network that has no other, if its units are simple and all see each other.
fn simple_layer(network: &Network<f64>) -> Option<&Layer<f64>> {
    match network.layers() {
        [layer] if layer.cell() == Cell::Simple && layer.heads() == 1 => Some(layer),
        _ => None,
    }
}

/// The network of the weights between `rows.len()` units without inputs and bias.
#[cfg(test)]
pub(super) fn autonomous(activation: Activation, rows: &[&[f64]]) -> Dynamics {
    let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.to_vec()).collect();
    let builder = Network::builder(rows.len(), 0).bias(false).activation(activation);
    Dynamics::of(&builder.weights(rtrl_model::InitialWeights::given(rows)).build().unwrap())
}

#[cfg(test)]
mod tests {
    use rtrl_model::{InitialWeights, Readout, ReadoutWeights};

    use super::*;

    fn network() -> Network<f64> {
        let activations = ["tanh", "logistic", "softplus", "identity"];
        Network::builder(4, 2)
            .activations(activations.map(|name| name.parse().unwrap()))
            .leaks([0.3, 1.0, 0.7, 0.01])
            .weights(InitialWeights::Normal { gain: 1.3 })
            .readout(Readout::new(2).weights(ReadoutWeights::Normal { gain: 1.0 }))
            .initial_state(vec![0.3, 0.1, -0.4, 0.9])
            .seed(3)
            .build()
            .unwrap()
    }

    #[test]
    fn it_moves_as_the_network_does() {
        let network = network();
        let mut dynamics = Dynamics::of(&network);
        let (mut moved, mut state) = (network.state(), network.initial_state().to_vec());
        for t in 0..5 {
            let input = [f64::from(t), -0.5];
            let expected = network.forward(&mut moved, &input).unwrap();
            assert_eq!(dynamics.advance(&mut state, &input).unwrap(), expected);
            assert_eq!(state, moved.values());
        }
    }

    /// Gated units on top of each other.
    fn gated() -> Network<f64> {
        let builder = Network::builder(2, 2).cell(Cell::Lstm).initial_state(vec![0.3, -0.2]);
        let builder = builder.initial_cells(vec![0.7, -1.1]).weights(InitialWeights::Torch);
        let builder = builder.layer(3).leak(0.4).layer(2).cell(Cell::Gru);
        builder.initial_state(vec![-0.5, 0.1]).seed(2).build().unwrap()
    }

    /// Central differences of F itself, leaks included.
    #[test]
    fn the_jacobian_is_the_derivative_of_the_map() {
        check_jacobian(&network());
        check_jacobian(&gated());
        for cell in [Cell::Simple, Cell::Lstm] {
            let heads = Network::builder(4, 2).heads_of(2).cell(cell).seed(3);
            check_jacobian(&heads.build().unwrap());
        }
    }

    fn check_jacobian(network: &Network<f64>) {
        let mut dynamics = Dynamics::of(network);
        let n = dynamics.states();
        let (state, input, h) = (network.initial_state().to_vec(), [0.4, -1.0], 1e-6);
        let jacobian = dynamics.jacobian(&state, &input).unwrap();
        for l in 0..n {
            let mut beside = |h: f64| {
                let mut state = state.clone();
                state[l] += h;
                dynamics.advance(&mut state, &input).unwrap();
                state
            };
            let (above, below) = (beside(h), beside(-h));
            for k in 0..n {
                let slope = (above[k] - below[k]) / (2.0 * h);
                assert!((jacobian[k][l] - slope).abs() < 1e-9, "{k} {l}");
            }
        }
        // The tangent is the column.
        for l in 0..n {
            let (mut moved, mut tangent) = (state.clone(), vec![0.0; n]);
            tangent[l] = 1.0;
            dynamics.advance_with_tangent(&mut moved, &mut tangent, &input).unwrap();
            for k in 0..n {
                assert!((tangent[k] - jacobian[k][l]).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut dynamics = Dynamics::of(&network());
        let state = dynamics.advance(&mut [0.0; 5], &[0.0; 2]).unwrap_err();
        assert!(matches!(state, Error::StateLength { expected: 4, got: 5 }));
        let input = dynamics.jacobian(&[0.0; 4], &[0.0; 3]).unwrap_err();
        assert!(matches!(input, Error::InputLength { expected: 2, got: 3 }));
        let short = dynamics.advance_with_tangent(&mut [0.0; 4], &mut [1.0], &[0.0; 2]);
        assert!(matches!(short, Err(Error::Length { expected: 4, got: 1, .. })));
        assert!(dynamics.advance(&mut [f64::NAN; 4], &[0.0; 2]).is_err());
    }
}
