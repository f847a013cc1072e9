//! A limit on the largest singular value of the recurrent weights.

use std::mem::MaybeUninit;

use faer::diag::DiagMut;
use faer::dyn_stack::MemStack;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{MatRef, Par, Spec};
use rtrl_kernel::Real;

use crate::error::{Quantity, check_setting};
use crate::{Cell, Error, Matrix, Network};

/// The limit, and buffers for the decomposition.
#[derive(Debug, Clone)]
pub(super) struct SpectralLimit {
    limit: f64,
    /// The largest singular value of the frozen weights alone.
    frozen: f64,
    first_unit: usize,
    /// Whether a recurrent weight learns, row by row.
    learning: Vec<bool>,
    values: SingularValues,
}

impl SpectralLimit {
    /// A limit for these layers.
    ///
    /// # Errors
    /// [`Error::Setting`] if the limit is out of range or less than the frozen weights alone allow.
    pub(super) fn new<T: Real>(limit: f64, layers: &Network<T>) -> Result<Self, Error> {
        check_setting("spectral limit", limit, 0.0)?;
        if let Some(got) = unlimited(layers) {
            let expected =
                "one layer of simple units without heads, whose state returns through a \
                            single matrix"
                    .to_owned();
            return Err(Error::Setting { what: "spectral limit", expected, got });
        }
        let (weights, first_unit) = (&layers.weights, layers.layers[0].columns.first_unit());
        let learning = learning(layers);
        let mut values = SingularValues::new(weights.rows(), weights.columns() - first_unit);
        values.fill(weights, first_unit);
        for (weight, &learns) in values.block.iter_mut().zip(&learning) {
            if learns {
                *weight = 0.0;
            }
        }
        let frozen = values.largest().unwrap_or(f64::INFINITY);
        if frozen <= limit {
            return Ok(Self { limit, frozen, first_unit, learning, values });
        }
        let expected = format!("at least that of the frozen weights, {frozen}");
        Err(Error::Setting { what: "spectral limit", expected, got: limit.to_string() })
    }

    /// Shrinks the recurrent weights that learn until the limit holds, if it does not.
    ///
    /// Let F be the frozen weights, D those that learn and σ the largest singular value, which is a
    /// convex function: `σ(F + s D) <= (1 - s) σ(F) + s σ(F + D)`. D is scaled by the s for which
    /// the right side equals the limit; without frozen weights it is `limit / σ(D)`.
    ///
    /// # Errors
    /// [`Quantity::SpectralNorm`] if the decomposition fails.
    pub(super) fn enforce<T: Real>(&mut self, weights: &mut Matrix<T>) -> Result<(), Quantity> {
        self.values.fill(weights, self.first_unit);
        let largest = self.values.largest().ok_or(Quantity::SpectralNorm)?;
        if largest <= self.limit {
            return Ok(());
        }
        let factor = T::from_f64((self.limit - self.frozen) / (largest - self.frozen));
        let mut learning = self.learning.iter();
        for i in 0..weights.rows() {
            let row = &mut weights.row_mut(i)[self.first_unit..];
            for (weight, &learns) in row.iter_mut().zip(learning.by_ref()) {
                if learns {
                    *weight = *weight * factor;
                }
            }
        }
        Ok(())
    }
}

/// What a network has for which no limit is defined, if anything.
fn unlimited<T: Real>(network: &Network<T>) -> Option<String> {
    let layer = &network.layers()[0];
    match (network.layers().len(), layer.cell(), layer.heads()) {
        (1, Cell::Simple, 1) => None,
        (1, Cell::Simple, heads) => Some(format!("{heads} heads")),
        (1, cell, _) => Some(format!("{cell} units")),
        (layers, ..) => Some(format!("{layers} layers")),
    }
}

/// For each recurrent weight, row by row, whether it learns.
fn learning<T>(layers: &Network<T>) -> Vec<bool> {
    let columns = layers.layers[0].columns;
    let mut learning = layers.connections.learning();
    let mut places = 0..learning.len();
    learning.retain(|_| places.next().is_some_and(|k| k % columns.count() >= columns.first_unit()));
    learning
}

/// The singular values of a block, in double precision, without any allocation after the first.
#[derive(Debug, Clone)]
struct SingularValues {
    shape: (usize, usize),
    block: Vec<f64>,
    values: Vec<f64>,
    scratch: Vec<MaybeUninit<u8>>,
}

impl SingularValues {
    fn new(rows: usize, columns: usize) -> Self {
        let none = ComputeSvdVectors::No;
        let scratch = svd_scratch::<f64>(rows, columns, none, none, Par::Seq, Spec::default());
        Self {
            shape: (rows, columns),
            block: vec![0.0; rows * columns],
            values: vec![0.0; rows.min(columns)],
            scratch: vec![MaybeUninit::uninit(); scratch.unaligned_bytes_required()],
        }
    }

    /// Takes the columns of `weights` from `first` on.
    fn fill<T: Real>(&mut self, weights: &Matrix<T>, first: usize) {
        let from = weights.iter_rows().flat_map(|row| &row[first..]);
        self.block.iter_mut().zip(from).for_each(|(place, value)| *place = value.to_f64());
    }

    /// The largest one; `None` if it cannot be computed or is not finite.
    fn largest(&mut self) -> Option<f64> {
        let (rows, columns) = self.shape;
        let block = MatRef::from_row_major_slice(&self.block, rows, columns);
        let values = DiagMut::from_slice_mut(&mut self.values);
        let stack = MemStack::new(&mut self.scratch);
        // One thread: what is shared out among several would not have the same bits.
        svd(block, values, None, None, Par::Seq, stack, Spec::default()).ok()?;
        self.values.first().copied().filter(|value| value.is_finite())
    }
}
