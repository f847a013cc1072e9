//! Gradients by methods other than forward sensitivities, in double precision.
//!
//! Both take an epochwise case of one epoch with smooth activations and return the derivative of
//! the summed loss with respect to every weight that learns (0 for the others), a table for each
//! layer.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the complex step |
//! | `bptt.rs` | backpropagation through time |
//! | `forward.rs` | the forward pass in complex numbers, which both use |

mod bptt;
mod forward;

use num_complex::Complex64;
use rtrl_model::store::case::{Case, Table};

pub use self::bptt::bptt;
use self::forward::Forward;

/// The complex step: `dL/dw = Im L(w + ih) / h` without cancellation (Squire & Trapp 1998).
pub fn complex_step(case: &Case) -> Vec<Table> {
    const H: f64 = 1e-40;
    let mut weights = present_weights(case);
    let mut gradient = zeros(case);
    for (l, i, j) in learning(case) {
        weights[l][i][j].im = H;
        gradient[l][i][j] = Forward::run(case, &weights).loss(case).im / H;
        weights[l][i][j].im = 0.0;
    }
    gradient
}

/// Layer, row and column of every weight that learns.
fn learning(case: &Case) -> Vec<(usize, usize, usize)> {
    let mut places = Vec::new();
    for (l, layer) in case.layers.iter().enumerate() {
        for (i, row) in layer.weights.iter().enumerate() {
            let columns = (0..row.len()).filter(|&j| case.learns(l, i, j));
            places.extend(columns.map(|j| (l, i, j)));
        }
    }
    places
}

/// A table of zeros for each layer.
fn zeros(case: &Case) -> Vec<Table> {
    let table = |table: &Table| table.iter().map(|row| vec![0.0; row.len()]).collect();
    case.layers.iter().map(|layer| table(&layer.weights)).collect()
}

/// W of each layer, with 0 for absent weights.
fn present_weights(case: &Case) -> Vec<Vec<Vec<Complex64>>> {
    let weight = |l: usize, i: usize, j: usize, w: f64| {
        Complex64::new(if case.is_present(l, i, j) { w } else { 0.0 }, 0.0)
    };
    let layers = case.layers.iter().enumerate();
    layers
        .map(|(l, layer)| {
            let rows = layer.weights.iter().enumerate();
            rows.map(|(i, row)| row.iter().enumerate().map(|(j, &w)| weight(l, i, j, w)).collect())
                .collect()
        })
        .collect()
}
