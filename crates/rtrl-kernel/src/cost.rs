//! Floating-point operations of a step, and the memory of p. The number of threads, the choice of
//! an engine and the floor of a measurement follow from the operations.

use crate::error::Error;
use crate::simd::{Buffer, Real};
use crate::spec::Spec;

/// Bytes of p of the eager engine for n `states` and q `weights` that learn, even if the machine
/// does not have them. The engine has a few panels more, and the deferred one pads each weight row.
pub fn sensitivity_bytes<T: Real>(states: u128, weights: u128) -> u128 {
    let panels = weights.div_ceil(T::LANES as u128);
    panels.saturating_mul(states.saturating_mul(64))
}

/// Fails unless the system would provide this many bytes for p, rounded up to a multiple of 64.
/// Allocates nothing permanently.
///
/// # Errors
/// [`Error::Memory`] with the bytes.
pub fn check_memory(bytes: u128) -> Result<(), Error> {
    // Without the black box, the compiler may remove the unused allocation, and with it the error.
    Buffer::<f32>::zeroed(bytes.div_ceil(64)).map(|p| drop(std::hint::black_box(p)))
}

/// Operations of a step of the eager engine (equation 5): a multiplication and an addition for each
/// of `coefficients` entries of the Jacobian that are not zero, in each of `weights` columns of p.
pub fn eager(coefficients: usize, weights: usize) -> u128 {
    2 * coefficients as u128 * weights as u128
}

/// Operations of a step of the diagonal engine: a multiplication and two multiply-adds for each of
/// `weights` columns of p.
pub fn diagonal(weights: usize) -> u128 {
    5 * weights as u128
}

/// Operations of a step of the engine that `spec` describes, for n `states` and q `weights` that
/// learn, if no coefficient of the Jacobian is 0 within a block and every step has a target. 0 for
/// a custom engine.
pub fn step(spec: &Spec, states: usize, weights: usize) -> u128 {
    match spec {
        Spec::Eager => eager(states.saturating_mul(states), weights),
        Spec::Deferred { window, .. } => DeferredCost::new(states, weights, *window).total(),
        Spec::Diagonal => diagonal(weights),
        Spec::Blocks(blocks) => {
            let of_block =
                |block: &crate::spec::Block| step(&block.engine, block.states.len(), block.weights);
            blocks.iter().map(of_block).sum()
        }
        Spec::Custom { .. } => 0,
    }
}

/// Operations of a step of the deferred engine, on average over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeferredCost {
    /// Reading the gradient: the backward pass through half a window, and one read of p.
    pub gradient: u128,
    /// The flush, per step: the chain, the records, and the product with p.
    pub flush: u128,
}

impl DeferredCost {
    /// For n `states`, q `weights` that learn and windows of h steps:
    /// `2 n q + h (n² + q)` to read a gradient and `2 n³ + 2 n q + 2 n² q / h` for the flush.
    pub fn new(states: usize, weights: usize, window: usize) -> Self {
        let (n, q, h) = (states as u128, weights as u128, window.max(1) as u128);
        Self {
            gradient: 2 * n * q + h * (n * n + q),
            flush: 2 * n * n * n + 2 * n * q + 2 * n * n * q / h,
        }
    }

    /// A step that reads the gradient, including the flush per step.
    pub fn total(self) -> u128 {
        self.gradient + self.flush
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 units with 3 weights each, and a window of 4 steps, counted by hand.
    #[test]
    fn operations_are_counted() {
        assert_eq!(eager(4, 6), 48);
        let cost = DeferredCost::new(2, 6, 4);
        assert_eq!((cost.gradient, cost.flush, cost.total()), (24 + 40, 16 + 24 + 12, 116));
    }
}
