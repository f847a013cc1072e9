//! Initial weights: seeded, and the same bits on every machine.

use rtrl_kernel::Real;

use crate::error::check_setting;
use crate::{Error, Generator, Matrix, Table};

/// The initial weights of the units.
///
/// Numbers are drawn row by row for all weights, in double precision; absent weights are then set to 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InitialWeights {
    /// Every weight uniform in [-bound, bound).
    Uniform {
        /// Half the width.
        bound: f64,
    },
    /// Every weight normal with standard deviation `gain / sqrt(c)`, c being the columns of a row.
    Normal {
        /// Factor of the standard deviation.
        gain: f64,
    },
    /// Recurrent weights `gain` times a random orthogonal matrix, input weights normal with variance
    /// `1 / inputs`, bias weights 0.
    Orthogonal {
        /// Factor of the orthogonal matrix: the modulus of all its eigenvalues.
        gain: f64,
    },
    /// These values, units x (inputs, bias, units).
    Given(Table<f64>),
}

/// The columns of a weight row, in their order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) inputs: usize,
    pub(crate) bias: bool,
    pub(crate) units: usize,
}

impl Columns {
    /// c = m + b + n.
    pub(crate) fn count(self) -> usize {
        self.first_unit() + self.units
    }

    /// Fails if there are more columns than can be counted.
    pub(crate) fn check<T>(self) -> Result<(), Error> {
        let columns = self.inputs as u128 + 1 + self.units as u128;
        let bytes = columns.saturating_mul(self.units as u128 * size_of::<T>() as u128);
        let fits = usize::try_from(columns).is_ok();
        if fits { Ok(()) } else { Err(Error::Memory { what: "a weight matrix", bytes }) }
    }

    /// The column of the first unit.
    pub(crate) fn first_unit(self) -> usize {
        self.inputs + usize::from(self.bias)
    }
}

impl InitialWeights {
    /// These values, units x (inputs, bias, units), as rows or flat.
    pub fn given(values: impl Into<Table<f64>>) -> Self {
        Self::Given(values.into())
    }

    /// The weight matrix, n x c.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] for settings that do not give finite weights, [`Error::Memory`].
    pub(crate) fn matrix<T: Real>(&self, columns: Columns, seed: u64) -> Result<Matrix<T>, Error> {
        self.draw(columns, seed)?.checked("initial weight")
    }

    fn draw<T: Real>(&self, columns: Columns, seed: u64) -> Result<Matrix<T>, Error> {
        let (n, c) = (columns.units, columns.count());
        let mut generator = Generator::new(seed);
        match self {
            Self::Given(rows) => Matrix::from_table("weight matrix", n, c, rows),
            Self::Uniform { bound } => {
                check_setting("bound of the initial weights", *bound, 0.0)?;
                filled(n, c, |_| generator.between(-bound, *bound))
            }
            Self::Normal { gain } => {
                check_setting("gain of the initial weights", *gain, 0.0)?;
                let deviation = gain / (c as f64).sqrt();
                filled(n, c, |_| deviation * generator.normal())
            }
            Self::Orthogonal { gain } => {
                check_setting("gain of the initial weights", *gain, 0.0)?;
                let deviation = 1.0 / (columns.inputs.max(1) as f64).sqrt();
                let mut weights = filled(n, c, |j| {
                    if j < columns.inputs { deviation * generator.normal() } else { 0.0 }
                })?;
                let recurrent = orthogonal(n, &mut generator);
                for (i, row) in recurrent.iter().enumerate() {
                    let places = &mut weights.row_mut(i)[columns.first_unit()..];
                    for (place, value) in places.iter_mut().zip(row) {
                        *place = T::from_f64(gain * value);
                    }
                }
                Ok(weights)
            }
        }
    }
}

/// A matrix of numbers drawn row by row; `draw` is called with the column.
fn filled<T: Real>(
    rows: usize,
    columns: usize,
    mut draw: impl FnMut(usize) -> f64,
) -> Result<Matrix<T>, Error> {
    let mut matrix = Matrix::zeros(rows, columns)?;
    for i in 0..rows {
        for (j, place) in matrix.row_mut(i).iter_mut().enumerate() {
            *place = T::from_f64(draw(j));
        }
    }
    Ok(matrix)
}

/// A random orthogonal matrix: normal rows, orthogonalised in order by Gram and Schmidt's method.
///
/// Each row is made orthogonal to those before it twice, which is enough for full precision (Giraud et
/// al. 2005). All sums run in index order, so the bits are the same everywhere.
fn orthogonal(n: usize, generator: &mut Generator) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
    while rows.len() < n {
        let mut row: Vec<f64> = (0..n).map(|_| generator.normal()).collect();
        for _ in 0..2 {
            for earlier in &rows {
                let overlap = dot(&row, earlier);
                row.iter_mut().zip(earlier).for_each(|(value, e)| *value -= overlap * e);
            }
        }
        let length = dot(&row, &row).sqrt();
        if length > 1e-8 {
            rows.push(row.into_iter().map(|value| value / length).collect());
        }
    }
    rows
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_are_orthonormal() {
        for n in [1, 2, 7, 64] {
            let rows = orthogonal(n, &mut Generator::new(3));
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((dot(a, b) - expected).abs() < 1e-14, "n = {n}: rows {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn the_weights_of_a_seed_never_change() {
        let columns = Columns { inputs: 2, bias: true, units: 3 };
        let starts = [
            InitialWeights::Uniform { bound: 0.5 },
            InitialWeights::Normal { gain: 1.0 },
            InitialWeights::Orthogonal { gain: 0.9 },
        ];
        let drawn = starts.map(|start| {
            let weights = start.draw::<f64>(columns, 42).unwrap();
            weights.padded().iter().fold(0u64, |hash, w| hash.rotate_left(7) ^ w.to_bits())
        });
        assert_eq!(drawn, PINNED);
    }

    const PINNED: [u64; 3] =
        [13_004_494_168_560_965_049, 9_662_504_710_738_947_675, 17_682_078_310_210_598_543];

    #[test]
    fn a_negative_or_infinite_scale_is_refused() {
        let columns = Columns { inputs: 1, bias: true, units: 2 };
        for bound in [-1.0, f64::INFINITY, f64::NAN] {
            assert!(InitialWeights::Uniform { bound }.draw::<f32>(columns, 0).is_err());
        }
    }
}
