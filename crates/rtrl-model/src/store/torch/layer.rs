//! The tensors of one layer, and their places in its weight rows.

use rtrl_kernel::Real;
use safetensors::SafeTensors;

use crate::store::tensor::{bytes, numbers};
use crate::{Cell, Layer, Matrix};

/// Name, shape and contents of a tensor.
pub(super) type Entry = (String, Vec<usize>, Vec<u8>);

/// For each block of rows in the tensors of a cell, the block of W that sees the inputs and the one
/// that sees the units.
///
/// The blocks of `nn.GRU` are r, z and n: its z is u, and its n consists of v and w.
fn blocks(cell: Cell) -> &'static [(usize, usize)] {
    match cell {
        Cell::Simple => &[(0, 0)],
        Cell::Gru => &[(0, 0), (1, 1), (2, 3)],
        Cell::Lstm => &[(0, 0), (1, 1), (2, 2), (3, 3)],
    }
}

/// The names of the tensors of layer `l`: weights of the inputs and of the units, and their biases.
pub(super) fn names(prefix: &str, l: usize) -> [String; 4] {
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| format!("{prefix}{name}_l{l}"))
}

/// Name, shape and contents of the tensors of layer `l`, whose rows are in W.
pub(super) fn tensors<T: Real>(l: usize, layer: &Layer<T>, weights: &Matrix<T>) -> Vec<Entry> {
    let (n, m, blocks) = (layer.units(), layer.inputs(), blocks(layer.cell()));
    let row = |block: usize, unit: usize| weights.row(layer.rows().start + block * n + unit);
    let each = |values: &dyn Fn((usize, usize), usize) -> Vec<T>| -> Vec<u8> {
        let rows = blocks.iter().flat_map(|&pair| (0..n).map(move |unit| (pair, unit)));
        rows.flat_map(|(pair, unit)| bytes(&values(pair, unit))).collect()
    };
    let rows = blocks.len() * n;
    let units = layer.width() - n..layer.width();
    let [weight_ih, weight_hh, bias_ih, bias_hh] = names("", l);
    let mut tensors = vec![
        (weight_ih, vec![rows, m], each(&|(ih, _), unit| row(ih, unit)[..m].to_vec())),
        (weight_hh, vec![rows, n], each(&|(_, hh), unit| row(hh, unit)[units.clone()].to_vec())),
    ];
    if let Some(bias) = layer.bias_column() {
        // Where one row of W has both biases, the whole of it is that of the inputs.
        let of_units = |(ih, hh), unit| if ih == hh { T::ZERO } else { row(hh, unit)[bias] };
        tensors.push((bias_ih, vec![rows], each(&|(ih, _), unit| vec![row(ih, unit)[bias]])));
        tensors.push((bias_hh, vec![rows], each(&|pair, unit| vec![of_units(pair, unit)])));
    }
    tensors
}

/// The contents of the tensors of a layer.
pub(super) struct LayerWeights {
    pub(super) cell: Cell,
    pub(super) units: usize,
    pub(super) inputs: usize,
    /// Weight rows x (inputs, bias, units).
    pub(super) rows: Vec<Vec<f64>>,
}

impl LayerWeights {
    /// Reads the tensors with these names, of a layer that sees `inputs` units of the layer below
    /// if there is one.
    pub(super) fn read(
        tensors: &SafeTensors<'_>,
        [weight_ih, weight_hh, bias_ih, bias_hh]: &[String; 4],
        inputs: Option<usize>,
        bias: bool,
    ) -> Result<Self, String> {
        let [rows, m] = matrix_shape(tensors, weight_ih)?;
        let [_, n] = matrix_shape(tensors, weight_hh)?;
        let (cell, expected) = match rows / n {
            3 => (Cell::Gru, 3 * n),
            4 => (Cell::Lstm, 4 * n),
            _ => (Cell::Simple, rows),
        };
        let n = expected / blocks(cell).len();
        let shape = [expected, inputs.unwrap_or(m)];
        let of_inputs = numbers(tensors, weight_ih, Some(&shape))?.rows();
        let of_units = numbers(tensors, weight_hh, Some(&[expected, n]))?.rows();
        let biases = |name: &str| {
            let numbers = bias.then(|| numbers(tensors, name, Some(&[expected]))).transpose();
            numbers.map(|numbers| numbers.map_or(Vec::new(), |numbers| numbers.values))
        };
        let biases = [biases(bias_ih)?, biases(bias_hh)?];
        let rows = weight_rows(cell, n, (&of_inputs, &of_units), &biases);
        Ok(Self { cell, units: n, inputs: shape[1], rows })
    }
}

/// The rows of W from the tensors of the inputs and of the units, and their biases if there are
/// any.
fn weight_rows(
    cell: Cell,
    n: usize,
    (of_inputs, of_units): (&[Vec<f64>], &[Vec<f64>]),
    [bias_ih, bias_hh]: &[Vec<f64>; 2],
) -> Vec<Vec<f64>> {
    let m = of_inputs.first().map_or(0, Vec::len);
    let mut rows = vec![Vec::new(); cell.blocks() * n];
    for (block, &(ih, hh)) in blocks(cell).iter().enumerate() {
        for unit in 0..n {
            let from = block * n + unit;
            let bias = bias_ih.get(from).zip(bias_hh.get(from));
            let row = |inputs: &[f64], bias: Option<f64>, units: &[f64]| {
                [inputs, bias.as_slice(), units].concat()
            };
            let (x, y) = (of_inputs[from].as_slice(), of_units[from].as_slice());
            if ih == hh {
                rows[ih * n + unit] = row(x, bias.map(|(a, b)| a + b), y);
            } else {
                rows[ih * n + unit] = row(x, bias.map(|(&a, _)| a), &vec![0.0; n]);
                rows[hh * n + unit] = row(&vec![0.0; m], bias.map(|(_, &b)| b), y);
            }
        }
    }
    rows
}

/// The shape of a tensor with two dimensions, neither of them 0.
pub(super) fn matrix_shape(tensors: &SafeTensors<'_>, name: &str) -> Result<[usize; 2], String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
    match *tensor.shape() {
        [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
        ref other => Err(format!("{name}: got shape {other:?}, expected two dimensions above 0")),
    }
}
