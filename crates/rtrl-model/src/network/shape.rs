//! What a state must have in common with its network.

use rtrl_kernel::Real;

use super::Layer;
use crate::readout::ReadoutLayer;
use crate::{Cell, Error};

/// The shape of a network, as far as its states depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    layers: Vec<LayerShape>,
    outputs: usize,
    /// Columns of R; 0 without a readout.
    features: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LayerShape {
    cell: Cell,
    units: usize,
    heads: usize,
    /// Columns of W that the layer has.
    width: usize,
}

impl Shape {
    pub(super) fn new<T: Real>(layers: &[Layer<T>], readout: Option<&ReadoutLayer<T>>) -> Self {
        let units = layers.last().map_or(0, |layer| layer.outputs.end);
        let layer = |layer: &Layer<T>| LayerShape {
            cell: layer.cell(),
            units: layer.units(),
            heads: layer.heads(),
            width: layer.width(),
        };
        Self {
            layers: layers.iter().map(layer).collect(),
            outputs: readout.map_or(units, |readout| readout.weights.rows()),
            features: readout.map_or(0, |readout| readout.weights.columns()),
        }
    }

    /// Fails, naming the first number that differs, unless a state of the shape `got` fits.
    pub(super) fn check(&self, got: &Self) -> Result<(), Error> {
        if self == got {
            return Ok(());
        }
        let mut pairs = self.numbers().zip(got.numbers());
        let odd = pairs.find(|((_, expected), (_, got))| expected != got);
        let ((what, expected), (_, got)) = odd.unwrap_or((("layers", 0), ("layers", 0)));
        Err(Error::StateShape { what, expected, got })
    }

    fn numbers(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let layers = self.layers.iter().flat_map(|layer| {
            let rows = layer.cell.blocks() * layer.units;
            let states = layer.units * layer.cell.states();
            [
                ("units", layer.units),
                ("weight rows", rows),
                ("states", states),
                ("heads", layer.heads),
                ("weights a row", layer.width),
            ]
        });
        let others = [("outputs", self.outputs), ("readout weights an output", self.features)];
        std::iter::once(("layers", self.layers.len())).chain(layers).chain(others)
    }
}
