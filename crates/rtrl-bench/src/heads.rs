//! Networks of heads as networks with a mask, which the reference and all other tests know.

use rtrl_model::{
    Connection, InitialWeights, Layer, Matrix, Network, NetworkBuilder, Readout, ReadoutWeights,
    Real,
};

/// The network with the weights of `network`, in which the units between which there is no weight
/// are masked instead of divided into heads.
///
/// Each unit sees the head `shift` after its own, which is wrong unless `shift` is 0: for negative
/// controls.
pub fn expanded<T: Real>(network: &Network<T>, shift: usize) -> NetworkBuilder<T> {
    let (mut outputs, all) = (network.initial_state().iter(), network.units());
    let mut cells = network.initial_state()[all..].iter();
    let weights = expanded_rows(network, network.weights(), shift);
    let connections = network.connections();
    let mut builder = Network::builder(network.layers()[0].units(), network.inputs());
    for (number, layer) in network.layers().iter().enumerate() {
        if number > 0 {
            builder = builder.layer(layer.units());
        }
        let (rows, width) = (layer.rows(), dense_width(layer));
        let is = |kind: Connection| {
            let mut mask = vec![vec![kind == Connection::Absent; width]; rows.len()];
            for (i, row) in mask.iter_mut().enumerate() {
                for j in 0..layer.width() {
                    row[place(layer, i, j, shift)] = connections.get(rows.start + i, j) == kind;
                }
            }
            mask
        };
        let present: Vec<Vec<bool>> = is(Connection::Absent)
            .into_iter()
            .map(|row| row.into_iter().map(|absent| !absent).collect())
            .collect();
        let own: Vec<Vec<f64>> =
            weights[rows.clone()].iter().map(|row| row[..width].to_vec()).collect();
        let state = |values: &mut std::slice::Iter<'_, T>| -> Vec<f64> {
            values.by_ref().take(layer.units()).map(|value| value.to_f64()).collect()
        };
        builder = builder
            .cell(layer.cell())
            .weights(InitialWeights::given(own))
            .connections(present)
            .frozen(is(Connection::Frozen))
            .initial_state(state(&mut outputs));
        if layer.cell().has_cells() {
            builder = builder.initial_cells(state(&mut cells));
        }
        if !layer.activations().is_empty() {
            builder = builder.activations(layer.activations().iter().cloned());
        }
        if let Some(leaks) = layer.leaks() {
            builder = builder.leaks(leaks.iter().map(|leak| leak.to_f64()));
        }
    }
    builder = builder.bias(network.has_bias());
    let Some(weights) = network.readout_weights() else { return builder };
    let mut readout =
        Readout::new(weights.rows()).weights(ReadoutWeights::given(weights.to_rows()));
    if network.readout_sees_inputs() {
        readout = readout.with_inputs();
    }
    if !network.readout_has_bias() {
        readout = readout.without_bias();
    }
    builder.readout(readout)
}

/// A matrix that is shaped as W of `network`, with a column for every unit, and 0 between heads:
/// shaped as W of [`expanded`].
pub fn expanded_rows<T: Real>(
    network: &Network<T>,
    matrix: &Matrix<T>,
    shift: usize,
) -> Vec<Vec<f64>> {
    let width = network.layers().iter().map(dense_width).max().unwrap_or(0);
    let mut all = vec![vec![0.0; width]; matrix.rows()];
    for layer in network.layers() {
        for (number, i) in layer.rows().enumerate() {
            for (j, value) in matrix.row(i)[..layer.width()].iter().enumerate() {
                all[i][place(layer, number, j, shift)] = value.to_f64();
            }
        }
    }
    all
}

/// Columns of a layer's rows: inputs, bias, all units.
fn dense_width<T: Real>(layer: &Layer<T>) -> usize {
    layer.width() + layer.units() - layer.units() / layer.heads()
}

/// The column, among those of all units, of column j of the layer's row i.
fn place<T: Real>(layer: &Layer<T>, i: usize, j: usize, shift: usize) -> usize {
    let (units, size) = (layer.units(), layer.units() / layer.heads());
    let first = layer.width() - size;
    if j < first {
        return j;
    }
    let seen = i % units / size * size + j - first;
    first + (seen + shift * size) % units
}
