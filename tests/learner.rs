//! The guarantees of the learner that the conformance cases do not cover: the readout, looking
//! ahead, bad input and overflow.
//!
//! | file | subject |
//! |---|---|
//! | `forward.rs` | the outputs of a network and a learner, and gradients through the readout |
//! | `overflow.rs` | an overflow of p or of a gradient |
//! | `refusals.rs` | input, sums and updates that are refused |
//! | `arrays.rs` | runs over whole arrays, and networks made of flat arrays |
//! | `building.rs` | what does not fit together when a learner is built |
//! | `custom.rs` | a custom engine |
//! | `weights.rs` | weights that change, that do not, and that are set |
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod arrays;
mod building;
mod custom;
mod forward;
mod overflow;
mod refusals;
mod weights;

use rtrl_model::{InitialWeights, Learner, Network, Optimizer, Readout, ReadoutWeights, Real};

use crate::fixtures::table;

const UNITS: usize = 5;
const INPUTS: usize = 2;
const OUTPUTS: usize = 3;

/// A network with a readout on units and inputs.
fn network<T: Real>(recurrent: &[Vec<f64>], readout: &[Vec<f64>]) -> Network<T> {
    let readout =
        Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::given(readout.to_vec()));
    Network::<T>::builder(UNITS, INPUTS)
        .weights(InitialWeights::given(recurrent.to_vec()))
        .readout(readout)
        .build()
        .unwrap()
}

fn weights() -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    (table(UNITS, INPUTS + 1 + UNITS, 1), table(OUTPUTS, UNITS + INPUTS + 1, 2))
}

/// Inputs and targets of a few steps; some targets are absent.
fn stream(steps: usize) -> Vec<(Vec<f64>, Vec<Option<f64>>)> {
    let (x, d) = (table(steps, INPUTS, 3), table(steps, OUTPUTS, 4));
    let present = |t: usize, d: Vec<f64>| {
        d.into_iter().enumerate().map(|(o, d)| (!(t + o).is_multiple_of(3)).then_some(d)).collect()
    };
    x.into_iter().zip(d.into_iter().enumerate().map(|(t, d)| present(t, d))).collect()
}

fn small<T: Real>() -> Learner<T> {
    let (recurrent, readout) = weights();
    Learner::builder(network::<T>(&recurrent, &readout))
        .optimizer(Optimizer::adam(0.01))
        .build()
        .unwrap()
}
