//! Initial weights: seeded, and the same bits on every machine.

use rtrl_kernel::Real;

use crate::error::check_setting;
use crate::{Cell, Error, Generator, Matrix, Table};

/// The initial weights of the units.
///
/// Numbers are drawn row by row for all weights, in double precision; absent weights are then set
/// to 0.
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
    /// Recurrent weights `gain` times a random orthogonal matrix, one for each head in each block
    /// of rows, input weights normal with variance `1 / inputs`, bias weights 0.
    Orthogonal {
        /// Factor of the orthogonal matrix: the modulus of all its eigenvalues.
        gain: f64,
    },
    /// As in `torch.nn.RNN`, `GRU` and `LSTM`: every weight, and each of the two biases that they
    /// add, uniform in [-1/sqrt(n), 1/sqrt(n)), n being the units that a row sees.
    Torch,
    /// These values, weight rows x (inputs, bias, units seen).
    Given(Table<f64>),
}

/// No machine has the memory for the weights of a larger layer; the kernel counts rows in 32 bits.
const MOST_UNITS: usize = 1 << 29;

/// The columns of a weight row, in their order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) inputs: usize,
    pub(crate) bias: bool,
    pub(crate) units: usize,
    /// Units that a row sees: those of a head, or all.
    pub(crate) seen: usize,
}

impl Columns {
    /// c = m + b + n, or m + b + h in heads of h.
    pub(crate) fn count(self) -> usize {
        self.first_unit() + self.seen
    }

    /// The first unit that unit `unit` sees.
    pub(crate) fn first_seen(self, unit: usize) -> usize {
        unit / self.seen * self.seen
    }

    /// Fails if there are more columns, or weight rows and drives of any cell, than can be counted.
    pub(crate) fn check<T>(self) -> Result<(), Error> {
        let columns = self.inputs as u128 + 1 + self.seen as u128;
        let bytes = columns.saturating_mul(self.units as u128 * size_of::<T>() as u128);
        let fits = bytes <= isize::MAX as u128 && self.units <= MOST_UNITS;
        if fits { Ok(()) } else { Err(Error::Memory { what: "a weight matrix", bytes }) }
    }

    /// The column of the first unit.
    pub(crate) fn first_unit(self) -> usize {
        self.inputs + usize::from(self.bias)
    }
}

impl InitialWeights {
    /// These values, weight rows x (inputs, bias, units seen), as rows or flat.
    pub fn given(values: impl Into<Table<f64>>) -> Self {
        Self::Given(values.into())
    }

    /// The weight matrix of a layer, weight rows x columns.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] for settings that do not give finite weights,
    /// [`Error::Memory`].
    pub(crate) fn matrix<T: Real>(
        &self,
        cell: Cell,
        columns: Columns,
        seed: u64,
    ) -> Result<Matrix<T>, Error> {
        self.draw(cell, columns, seed)?.checked("initial weight")
    }

    fn draw<T: Real>(&self, cell: Cell, columns: Columns, seed: u64) -> Result<Matrix<T>, Error> {
        let (n, c) = (columns.units, columns.count());
        let rows = n.saturating_mul(cell.blocks());
        let mut generator = Generator::new(seed);
        match self {
            Self::Given(values) => Matrix::from_table("weight matrix", rows, c, values),
            Self::Uniform { bound } => {
                check_setting("bound of the initial weights", *bound, 0.0)?;
                filled(rows, c, |_, _| generator.between(-bound, *bound))
            }
            Self::Normal { gain } => {
                check_setting("gain of the initial weights", *gain, 0.0)?;
                let deviation = gain / (c as f64).sqrt();
                filled(rows, c, |_, _| deviation * generator.normal())
            }
            Self::Orthogonal { gain } => {
                check_setting("gain of the initial weights", *gain, 0.0)?;
                orthogonal_blocks(*gain, cell, columns, &mut generator)
            }
            Self::Torch => torch(cell, columns, &mut generator),
        }
    }
}

/// [`InitialWeights::Orthogonal`].
fn orthogonal_blocks<T: Real>(
    gain: f64,
    cell: Cell,
    columns: Columns,
    generator: &mut Generator,
) -> Result<Matrix<T>, Error> {
    let (n, inputs) = (columns.units, columns.inputs);
    let deviation = 1.0 / (inputs.max(1) as f64).sqrt();
    let mut weights = filled(n.saturating_mul(cell.blocks()), columns.count(), |_, j| {
        if j < inputs { deviation * generator.normal() } else { 0.0 }
    })?;
    for block in (0..cell.blocks()).filter(|&block| cell.sees(block).1) {
        let heads = (0..n).step_by(columns.seen);
        for (first, head) in heads.map(|first| (first, orthogonal(columns.seen, generator))) {
            for (unit, row) in (first..).zip(&head) {
                let places = &mut weights.row_mut(block * n + unit)[columns.first_unit()..];
                for (place, value) in places.iter_mut().zip(row) {
                    *place = T::from_f64(gain * value);
                }
            }
        }
    }
    Ok(weights)
}

/// [`InitialWeights::Torch`].
fn torch<T: Real>(
    cell: Cell,
    columns: Columns,
    generator: &mut Generator,
) -> Result<Matrix<T>, Error> {
    let (n, bound) = (columns.units, 1.0 / (columns.seen as f64).sqrt());
    let bias = columns.bias.then_some(columns.inputs);
    filled(n.saturating_mul(cell.blocks()), columns.count(), |i, j| {
        let value = generator.between(-bound, bound);
        // One bias belongs to the inputs and one to the units.
        let both = cell.sees(i / n).0 && cell.sees(i / n).1;
        if Some(j) == bias && both { value + generator.between(-bound, bound) } else { value }
    })
}

/// A matrix of numbers drawn row by row; `draw` is told row and column.
fn filled<T: Real>(
    rows: usize,
    columns: usize,
    mut draw: impl FnMut(usize, usize) -> f64,
) -> Result<Matrix<T>, Error> {
    let mut matrix = Matrix::zeros(rows, columns)?;
    for i in 0..rows {
        for (j, place) in matrix.row_mut(i).iter_mut().enumerate() {
            *place = T::from_f64(draw(i, j));
        }
    }
    Ok(matrix)
}

/// A random orthogonal matrix: normal rows, orthogonalised in order by Gram and Schmidt's method.
///
/// Each row is made orthogonal to those before it twice, which is enough for full precision (Giraud
/// et al. 2005). All sums run in index order, so the bits are the same everywhere.
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
        let columns = Columns { inputs: 2, bias: true, units: 3, seen: 3 };
        let starts = [
            InitialWeights::Uniform { bound: 0.5 },
            InitialWeights::Normal { gain: 1.0 },
            InitialWeights::Orthogonal { gain: 0.9 },
        ];
        let drawn = starts.map(|start| {
            let weights = start.draw::<f64>(Cell::Simple, columns, 42).unwrap();
            weights.padded().iter().fold(0u64, |hash, w| hash.rotate_left(7) ^ w.to_bits())
        });
        assert_eq!(drawn, PINNED);
    }

    const PINNED: [u64; 3] =
        [13_004_494_168_560_965_049, 9_662_504_710_738_947_675, 17_682_078_310_210_598_543];

    #[test]
    fn every_block_that_sees_the_units_is_orthogonal() {
        let columns = Columns { inputs: 3, bias: true, units: 5, seen: 5 };
        for cell in [Cell::Gru, Cell::Lstm] {
            let start = InitialWeights::Orthogonal { gain: 2.0 };
            let weights = start.draw::<f64>(cell, columns, 1).unwrap();
            for block in 0..4 {
                let row = |i: usize| &weights.row(block * 5 + i)[4..];
                for (i, j) in (0..25).map(|k| (k / 5, k % 5)) {
                    let expected = if i == j && cell.sees(block).1 { 4.0 } else { 0.0 };
                    assert!((dot(row(i), row(j)) - expected).abs() < 1e-13, "{cell} {block}");
                }
            }
        }
    }

    #[test]
    fn every_head_is_orthogonal() {
        let columns = Columns { inputs: 2, bias: true, units: 6, seen: 3 };
        let start = InitialWeights::Orthogonal { gain: 2.0 };
        let weights = start.draw::<f64>(Cell::Lstm, columns, 1).unwrap();
        let row = |i: usize| &weights.row(i)[3..];
        for (first, (i, j)) in
            (0..24).step_by(3).flat_map(|f| (0..9).map(move |k| (f, (k / 3, k % 3))))
        {
            let expected = if i == j { 4.0 } else { 0.0 };
            assert!((dot(row(first + i), row(first + j)) - expected).abs() < 1e-13);
        }
        assert_ne!(row(0), row(3));
    }

    /// The sum of two numbers from [-1/2, 1/2) is outside of it in a quarter of the cases.
    #[test]
    fn biases_of_torch_are_sums_of_two() {
        let columns = Columns { inputs: 300, bias: true, units: 4, seen: 4 };
        let weights = InitialWeights::Torch.draw::<f64>(Cell::Gru, columns, 1).unwrap();
        let values = |rows: std::ops::Range<usize>, j: usize| rows.map(move |i| (i, j));
        let largest = |places: Vec<(usize, usize)>| {
            places.into_iter().fold(0.0, |most: f64, place| most.max(weights[place].abs()))
        };
        assert!((0.45..0.5).contains(&largest(values(0..16, 0).collect())));
        assert!(largest(values(8..16, 300).collect()) < 0.5);
        let seeds = 0..20;
        let biases = seeds.map(|seed| InitialWeights::Torch.draw::<f64>(Cell::Gru, columns, seed));
        let beyond = biases.filter(|weights| weights.as_ref().unwrap()[(0, 300)].abs() > 0.5);
        assert!((1..12).contains(&beyond.count()));
    }

    #[test]
    fn a_negative_or_infinite_scale_is_refused() {
        let columns = Columns { inputs: 1, bias: true, units: 2, seen: 2 };
        for bound in [-1.0, f64::INFINITY, f64::NAN] {
            assert!(
                InitialWeights::Uniform { bound }.draw::<f32>(Cell::Simple, columns, 0).is_err()
            );
        }
    }
}
