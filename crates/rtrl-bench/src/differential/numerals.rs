//! The numbers of one time step, with the terms of its Jacobian in the open.

use rtrl_kernel::{Jacobian, Real, Step};
use serde::{Deserialize, Serialize};

/// The numbers of one time step: what a [`Step`] borrows, and the errors that go with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numerals<T> {
    /// The blocks of the Jacobian, three at most.
    pub blocks: Vec<Block<T>>,
    /// Distance between the rows of a block, at least n.
    pub stride: usize,
    /// The values that are added to the diagonal of the Jacobian, n of them.
    pub diagonal: Option<Vec<T>>,
    /// Factor of the immediate influence, one value for each drive.
    pub injection: Vec<T>,
    /// z(t)
    pub z: Vec<T>,
    /// Which states were forced, n values.
    pub forced: Vec<bool>,
    /// e(t + 1), n values; `None` at a step without a target.
    pub error: Option<Vec<T>>,
}

/// A block of the Jacobian: `scale[k] * weights[k * stride + l]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block<T> {
    /// n rows of weights.
    pub weights: Vec<T>,
    /// The factor of each row.
    pub scale: Vec<T>,
}

impl<T: Real> Numerals<T> {
    /// The step as an engine sees it. Blocks after the third are left out.
    pub fn step(&self) -> Step<'_, T> {
        let term = |b: usize| {
            let Block { weights, scale } = &self.blocks[b];
            (weights.as_slice(), self.stride, scale.as_slice())
        };
        let jacobian = match self.blocks.len() {
            0 => Jacobian::sum([]),
            1 => Jacobian::sum([term(0)]),
            2 => Jacobian::sum([term(0), term(1)]),
            _ => Jacobian::sum([term(0), term(1), term(2)]),
        };
        Step {
            jacobian: jacobian.with_diagonal(self.diagonal.as_deref()),
            injection: &self.injection,
            z: &self.z,
            forced: &self.forced,
        }
    }

    /// `J[k][l]` by its definition, zero where unit l was forced.
    pub fn coefficient(&self, k: usize, l: usize) -> T {
        if self.forced[l] {
            return T::ZERO;
        }
        let mut value = T::ZERO;
        for (b, Block { weights, scale }) in self.blocks.iter().enumerate() {
            let weight = weights[k * self.stride + l];
            value = if b == 0 { scale[k] * weight } else { scale[k].mul_add(weight, value) };
        }
        match &self.diagonal {
            Some(diagonal) if k == l => value + diagonal[k],
            _ => value,
        }
    }
}
