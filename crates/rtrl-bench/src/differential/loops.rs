//! Equations 5 and 6 in plain loops, in the order that `docs/equations.md` defines.
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

use rtrl_kernel::{Layout, Real};

use super::numerals::Numerals;

/// p and the gradient in plain loops.
pub(crate) struct Loops<T> {
    layout: Layout,
    learns: Vec<bool>,
    /// p[k][w], w being the number of a weight.
    p: Vec<Vec<T>>,
    /// `-sum e p` of the errors since the last reading, one value per weight.
    pub(crate) gradient: Vec<T>,
}

impl<T: Real> Loops<T> {
    /// p = 0 for the weights that learn, one flag for each weight of the layout.
    pub(crate) fn new(layout: &Layout, learns: &[bool]) -> Self {
        let p = vec![vec![T::ZERO; learns.len()]; layout.states()];
        let gradient = vec![T::ZERO; learns.len()];
        Self { layout: layout.clone(), learns: learns.to_vec(), p, gradient }
    }

    /// Equation 5, and equation 6 where the step has an error.
    pub(crate) fn advance(&mut self, numerals: &Numerals<T>) {
        let n = self.layout.states();
        let old = self.p.clone();
        let row = |k| (0..n).map(move |l| numerals.coefficient(k, l)).collect();
        let jacobian: Vec<Vec<T>> = (0..n).map(row).collect();
        for row in 0..self.layout.rows() {
            for j in 0..self.layout.width(row) {
                let w = self.layout.offset(row) + j;
                if !self.learns[w] {
                    continue;
                }
                for k in 0..n {
                    let mut sum = T::ZERO;
                    for l in (0..n).filter(|&l| !numerals.forced[l]) {
                        sum = jacobian[k][l].mul_add(old[l][w], sum);
                    }
                    for d in self.layout.drives_of(row) {
                        if self.layout.drives()[d].state as usize == k {
                            let z = numerals.z[self.layout.place(row, j)];
                            sum = numerals.injection[d].mul_add(z, sum);
                        }
                    }
                    self.p[k][w] = sum;
                }
                if let Some(error) = &numerals.error {
                    let chain = (0..n).fold(T::ZERO, |sum, k| error[k].mul_add(self.p[k][w], sum));
                    self.gradient[w] -= chain;
                }
            }
        }
    }

    /// p = 0; the gradient is kept.
    pub(crate) fn reset(&mut self) {
        self.p.iter_mut().flatten().for_each(|p| *p = T::ZERO);
    }

    /// Row k of p, weights that learn only.
    pub(crate) fn row(&self, k: usize) -> Vec<T> {
        let weights = self.p[k].iter().zip(&self.learns);
        weights.filter(|&(_, &learns)| learns).map(|(&p, _)| p).collect()
    }

    /// The gradient in rows `stride` apart, as an engine writes it; then it is 0.
    pub(crate) fn take_gradient(&mut self, stride: usize) -> Vec<T> {
        let mut rows = vec![T::ZERO; self.layout.rows() * stride];
        for (row, into) in rows.chunks_exact_mut(stride).enumerate() {
            let (first, width) = (self.layout.offset(row), self.layout.width(row));
            into[..width].copy_from_slice(&self.gradient[first..][..width]);
        }
        self.gradient.fill(T::ZERO);
        rows
    }
}
