//! The weighted sums of a layer that is divided into heads (equation 1).

use rtrl_kernel::{Heads, Real, head_products, spread};

use super::{Layer, Network};
use crate::Error;

/// Room for what the heads of the layers of a network see.
#[derive(Debug, Clone)]
pub(super) struct HeadRoom<T> {
    /// The inputs and the bias, padded with zeros.
    shared: Vec<T>,
    /// y(t), with the teacher's values where units are forced.
    pub(super) outputs: Vec<T>,
}

impl<T: Real> HeadRoom<T> {
    /// Room for the largest layer that is divided.
    pub(super) fn new(network: &Network<T>) -> Self {
        let divided = || network.layers.iter().filter(|layer| layer.heads() > 1);
        let most = |count: fn(&Layer<T>) -> usize| divided().map(count).max().unwrap_or(0);
        let shared = most(|layer| layer.columns.first_unit()).next_multiple_of(T::LANES);
        // Activations are computed in whole registers.
        let outputs = most(Layer::units).next_multiple_of(T::LANES);
        Self { shared: vec![T::ZERO; shared], outputs: vec![T::ZERO; outputs] }
    }

    /// Writes z of all heads of `layer`, which sees `input` and whose outputs are in
    /// [`HeadRoom::outputs`], and the product of every weight row with that of its head.
    ///
    /// # Errors
    /// [`Error::Kernel`] if lengths do not fit.
    pub(super) fn sums(
        &mut self,
        network: &Network<T>,
        layer: &Layer<T>,
        input: &[T],
        (z, sums): (&mut [T], &mut [T]),
    ) -> Result<(), Error> {
        let (columns, stride) = (layer.columns, network.weights.stride());
        let (units, size, width) = (columns.units, columns.seen, columns.count());
        let heads = Heads { units, size, width };
        let shared = &mut self.shared[..columns.first_unit().next_multiple_of(T::LANES)];
        shared.fill(T::ZERO);
        shared[..input.len()].copy_from_slice(input);
        shared[input.len()..columns.first_unit()].fill(T::ONE);
        // Rows of W, and with them z, are longer where another layer has longer ones.
        let padded = width.next_multiple_of(T::LANES);
        let z = &mut z[..layer.z.len() - stride + padded];
        spread(network.isa, heads, shared, &self.outputs[..units], z)?;
        let weights = &network.weights.padded()[layer.rows.start * stride..layer.rows.end * stride];
        Ok(head_products(network.isa, heads, (weights, stride), z, sums)?)
    }
}
