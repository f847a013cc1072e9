//! The optional linear readout: `o(t+1) = R [y(t+1), x(t) if seen, 1 if bias]`, in the same step.

use rtrl_kernel::Real;

use crate::error::check_setting;
use crate::rls::LeastSquares;
use crate::{Error, Generator, Matrix, Table};

/// A linear layer on top of the units, trained together with them. The targets are then those of
/// its outputs, and the errors reach the units through its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    outputs: usize,
    inputs: bool,
    bias: bool,
    weights: ReadoutWeights,
    least_squares: Option<LeastSquares>,
}

/// The initial weights of a readout.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ReadoutWeights {
    /// All 0: the first output is 0, and the units learn from the second step on.
    Zero,
    /// Weights from units and inputs normal with standard deviation `gain / sqrt(units)`, bias 0.
    Normal {
        /// Factor of the standard deviation.
        gain: f64,
    },
    /// These values, outputs x (units, inputs if seen, 1 if there is a bias).
    Given(Table<f64>),
}

impl ReadoutWeights {
    /// These values, outputs x (units, inputs if seen, 1 if there is a bias), as rows or flat.
    pub fn given(values: impl Into<Table<f64>>) -> Self {
        Self::Given(values.into())
    }
}

impl Readout {
    /// A readout with `outputs` outputs that sees the units and a bias and starts at 0.
    pub fn new(outputs: usize) -> Self {
        let weights = ReadoutWeights::Zero;
        Self { outputs, inputs: false, bias: true, weights, least_squares: None }
    }

    /// Lets the readout see the external inputs of the same step.
    #[must_use]
    pub fn with_inputs(mut self) -> Self {
        self.inputs = true;
        self
    }

    /// Removes the bias.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Sets the initial weights.
    #[must_use]
    pub fn weights(mut self, weights: ReadoutWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Makes the readout learn by recursive least squares instead of by its gradient: after every
    /// step its weights are the best fit to all targets so far, for each output separately.
    ///
    /// `forgetting`, above 0 and at most 1, is the weight of a target one target later; `ridge`,
    /// above 0, is the penalty of the distance from the initial weights. Each output takes 16 k²
    /// bytes for the k values that it sees, which a readout that learns by its gradient does
    /// without. See [`RecursiveLeastSquares`](crate::RecursiveLeastSquares).
    #[must_use]
    pub fn recursive_least_squares(mut self, forgetting: f64, ridge: f64) -> Self {
        self.least_squares = Some(LeastSquares { forgetting, ridge });
        self
    }

    /// The layer for a network of this size.
    pub(crate) fn build<T: Real>(
        &self,
        units: usize,
        inputs: usize,
        generator: &mut Generator,
    ) -> Result<ReadoutLayer<T>, Error> {
        if self.outputs == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "number of readout outputs", expected, got });
        }
        let drawn = units + if self.inputs { inputs } else { 0 };
        let columns = drawn + usize::from(self.bias);
        self.least_squares.map_or(Ok(()), |settings| settings.check(columns))?;
        let weights = match &self.weights {
            ReadoutWeights::Given(values) => {
                Matrix::from_table("readout matrix", self.outputs, columns, values)?
            }
            ReadoutWeights::Zero => Matrix::zeros(self.outputs, columns)?,
            ReadoutWeights::Normal { gain } => {
                check_setting("gain of the readout", *gain, 0.0)?;
                let deviation = gain / (units as f64).sqrt();
                let mut weights = Matrix::zeros(self.outputs, columns)?;
                for o in 0..self.outputs {
                    for place in &mut weights.row_mut(o)[..drawn] {
                        *place = T::from_f64(deviation * generator.normal());
                    }
                }
                weights
            }
        };
        let weights = weights.checked("initial weight of the readout")?;
        let Self { inputs, bias, least_squares, .. } = *self;
        Ok(ReadoutLayer { weights, units, inputs, bias, least_squares })
    }
}

/// A readout with its weights.
#[derive(Debug, Clone)]
pub(crate) struct ReadoutLayer<T> {
    /// outputs x (units, inputs if seen, 1 if there is a bias)
    pub(crate) weights: Matrix<T>,
    /// Units that it sees: those of the last layer.
    pub(crate) units: usize,
    /// Whether it sees the external inputs.
    pub(crate) inputs: bool,
    /// Whether it has a bias.
    pub(crate) bias: bool,
    /// How it is fitted, if not by its gradient.
    pub(crate) least_squares: Option<LeastSquares>,
}

impl<T: Real> ReadoutLayer<T> {
    /// Writes the error that reaches the units, `e_k = sum over o of e_o R_ok`, o ascending, fused.
    pub(crate) fn propagate(&self, output_errors: &[T], unit_errors: &mut [T]) {
        unit_errors.fill(T::ZERO);
        for (o, &error) in output_errors.iter().enumerate() {
            for (unit, &weight) in unit_errors.iter_mut().zip(self.weights.row(o)) {
                *unit = error.mul_add(weight, *unit);
            }
        }
    }
}
