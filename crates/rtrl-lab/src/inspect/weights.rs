//! The sizes of the blocks of weights, and the eigenvalues of those between units.

use std::ops::Range;

use rtrl_model::{Cell, Layer, Network};
use serde::Serialize;

use super::{Eigenvalue, eigenvalues, singular_values};
use crate::Error;

/// The size of a block of weights.
#[derive(Debug, Serialize)]
pub struct Block {
    /// `units`, `inputs`, `bias` or `readout`: what the weights lead from. In gated layers it
    /// follows the name of the gate, as in [`Cell`], and in networks of several layers that of the
    /// layer.
    pub name: String,
    /// The root of the sum of squares.
    pub frobenius_norm: f64,
    /// The largest singular value.
    pub spectral_norm: f64,
    /// The largest absolute value.
    pub largest: f64,
}

/// The eigenvalues of the weights between simple units, the largest first by their modulus: those
/// of the matrices of all layers together, because a layer does not see the layers above it.
///
/// # Errors
/// [`Error::GatedEigenvalues`] if there are gated units, [`Error::Decomposition`].
pub fn recurrent_eigenvalues(network: &Network<f64>) -> Result<Vec<Eigenvalue>, Error> {
    let mut values = Vec::new();
    for layer in network.layers() {
        if layer.cell() != Cell::Simple {
            return Err(Error::GatedEigenvalues { cell: layer.cell().name() });
        }
        values.extend(eigenvalues(&recurrent(network, layer, 0))?);
    }
    values.sort_by(|a, b| b.modulus().total_cmp(&a.modulus()));
    Ok(values)
}

/// The sizes of all blocks, layer by layer and gate by gate, those of the readout last.
///
/// # Errors
/// [`Error::Decomposition`].
pub(super) fn blocks(network: &Network<f64>) -> Result<Vec<Block>, Error> {
    let mut blocks = Vec::new();
    let several = network.layers().len() > 1;
    for (number, layer) in (1..).zip(network.layers()) {
        let layer_name = if several { format!("layer {number} ") } else { String::new() };
        for (block, gate) in gates(layer.cell()).iter().enumerate() {
            let first = layer.rows().start + block * layer.units();
            let rows = first..first + layer.units();
            let (sees_inputs, sees_units) = layer.cell().sees(block);
            let inputs = layer.inputs();
            let name = |source| format!("{layer_name}{gate}{source}");
            if sees_units {
                blocks.push(measure(name("units"), &recurrent(network, layer, block))?);
            }
            let seen =
                [("inputs", 0..inputs, sees_inputs), ("bias", inputs..first_unit(layer), true)];
            for (source, columns, is_seen) in seen {
                if is_seen && !columns.is_empty() {
                    blocks.push(measure(name(source), &part(network, rows.clone(), columns))?);
                }
            }
        }
    }
    if let Some(readout) = network.readout_weights() {
        blocks.push(measure("readout".to_owned(), &readout.to_rows())?);
    }
    Ok(blocks)
}

/// The blocks of rows of a cell, by the names of its gates.
fn gates(cell: Cell) -> &'static [&'static str] {
    match cell {
        Cell::Simple => &[""],
        Cell::Gru => &["r ", "u ", "v ", "w "],
        Cell::Lstm => &["i ", "f ", "g ", "o "],
    }
}

/// The column of the first unit that a row sees.
fn first_unit(layer: &Layer<f64>) -> usize {
    layer.width() - layer.units() / layer.heads()
}

/// The weights of a block of rows between all units of a layer, units x units: 0 between heads.
fn recurrent(network: &Network<f64>, layer: &Layer<f64>, block: usize) -> Vec<Vec<f64>> {
    let (units, first) = (layer.units(), layer.outputs().start);
    let row = |unit: usize| {
        let seen = layer.seen_by(unit);
        let weights = network.weights().row(layer.rows().start + block * units + unit);
        let mut row = vec![0.0; units];
        row[seen.start - first..seen.end - first]
            .copy_from_slice(&weights[first_unit(layer)..layer.width()]);
        row
    };
    (0..units).map(row).collect()
}

fn part(network: &Network<f64>, rows: Range<usize>, columns: Range<usize>) -> Vec<Vec<f64>> {
    rows.map(|row| network.weights().row(row)[columns.clone()].to_vec()).collect()
}

fn measure(name: String, rows: &[Vec<f64>]) -> Result<Block, Error> {
    let values = singular_values(rows)?;
    Ok(Block {
        name,
        frobenius_norm: values.iter().map(|value| value * value).sum::<f64>().sqrt(),
        spectral_norm: values.first().copied().unwrap_or_default(),
        largest: rows.iter().flatten().fold(0.0, |most, weight| most.max(weight.abs())),
    })
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rtrl_model::{InitialWeights, Readout};

    use super::*;

    fn names(network: &Network<f64>) -> Vec<String> {
        blocks(network).unwrap().into_iter().map(|block| block.name).collect()
    }

    #[test]
    fn blocks_are_named_by_layer_gate_and_source() {
        let gru = Network::builder(2, 3).cell(Cell::Gru).build().unwrap();
        let expected = [
            "r units", "r inputs", "r bias", "u units", "u inputs", "u bias", "v inputs", "v bias",
            "w units", "w bias",
        ];
        assert_eq!(names(&gru), expected);
        let stack = Network::builder(2, 0).bias(false).layer(1).readout(Readout::new(1));
        let expected = ["layer 1 units", "layer 2 units", "layer 2 inputs", "readout"];
        assert_eq!(names(&stack.build().unwrap()), expected);
    }

    #[test]
    fn units_of_different_heads_have_weights_of_zero() {
        let weights = vec![
            vec![9.0, 1.0, 2.0],
            vec![9.0, 3.0, 4.0],
            vec![9.0, 5.0, 0.0],
            vec![9.0, 0.0, 6.0],
        ];
        let heads = Network::builder(4, 1).bias(false).heads_of(2);
        let network = heads.weights(InitialWeights::given(weights)).build().unwrap();
        let expected = [
            [1.0, 2.0, 0.0, 0.0],
            [3.0, 4.0, 0.0, 0.0],
            [0.0, 0.0, 5.0, 0.0],
            [0.0, 0.0, 0.0, 6.0],
        ];
        assert_eq!(recurrent(&network, &network.layers()[0], 0), expected);
        assert_abs_diff_eq!(
            recurrent_eigenvalues(&network).unwrap()[0].modulus(),
            6.0,
            epsilon = 1e-12
        );
        assert_eq!(names(&network), ["units", "inputs"]);
    }

    /// The rows of each gate are numbered through, and so are the columns.
    #[test]
    fn every_block_holds_its_own_weights() {
        let rows = |count: usize, width: usize| -> Vec<Vec<f64>> {
            let weight = |row: usize, column: usize| (100 * row + column) as f64;
            (0..count).map(|row| (0..width).map(|column| weight(row, column)).collect()).collect()
        };
        let network = Network::builder(2, 3)
            .cell(Cell::Lstm)
            .weights(InitialWeights::given(rows(8, 6)))
            .layer(1)
            .weights(InitialWeights::given(rows(1, 4)))
            .build()
            .unwrap();
        let found = blocks(&network).unwrap();
        let largest: Vec<f64> = found.iter().map(|block| block.largest).collect();
        let gates = [1, 3, 5, 7].map(|row| [5.0, 2.0, 3.0].map(|at| f64::from(100 * row) + at));
        assert_eq!(largest, [gates.as_flattened(), &[3.0, 1.0, 2.0]].concat());
        // Rows 2 and 3 of the forget gate's own units: columns 4 and 5.
        let squares = [204.0f64, 205.0, 304.0, 305.0].map(|weight| weight * weight);
        let norm = squares.iter().sum::<f64>().sqrt();
        assert_eq!(found[3].name, "layer 1 f units");
        assert_abs_diff_eq!(found[3].frobenius_norm, norm, epsilon = 1e-9);
    }

    /// The union of 0.5 and of 2 exp(+-i pi / 2), whatever leads from one layer to the next.
    #[test]
    fn eigenvalues_are_those_of_all_layers() {
        let network = Network::builder(1, 0)
            .bias(false)
            .weights(InitialWeights::given(vec![vec![0.5]]))
            .layer(2)
            .weights(InitialWeights::given(vec![vec![7.0, 0.0, -2.0], vec![-3.0, 2.0, 0.0]]))
            .build()
            .unwrap();
        let found = recurrent_eigenvalues(&network).unwrap();
        let parts: Vec<f64> = found.iter().flat_map(|e| [e.real, e.imaginary.abs()]).collect();
        assert_abs_diff_eq!(parts[..], [0.0, 2.0, 0.0, 2.0, 0.5, 0.0], epsilon = 1e-12);
        let gated = Network::builder(1, 0).layer(1).cell(Cell::Gru).build().unwrap();
        let error = recurrent_eigenvalues(&gated).unwrap_err();
        assert!(matches!(error, Error::GatedEigenvalues { cell: "gru" }), "{error}");
    }
}
