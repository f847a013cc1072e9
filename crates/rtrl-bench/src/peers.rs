//! The same update with the matrix products of other libraries.
//!
//! In the usual way: scale the rows of W by f', compute one product J P into a second copy of p,
//! and add the immediate influence along the block diagonal. p is n x q, row-major, q = n · c.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use rtrl_kernel::Real;

/// The library of the matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Three loops, vectorised as the compiler can.
    Naive,
    /// faer
    Faer,
    /// gemm, with AVX-512
    Gemm,
    /// matrixmultiply, one thread
    MatrixMultiply,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Naive, Self::Faer, Self::Gemm, Self::MatrixMultiply];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Faer => "faer",
            Self::Gemm => "gemm",
            Self::MatrixMultiply => "matrixmultiply",
        }
    }

    /// Whether it can use several threads.
    pub fn is_parallel(self) -> bool {
        matches!(self, Self::Faer | Self::Gemm)
    }
}

/// A precision that every peer has.
pub trait PeerReal: Real + ComplexField {
    /// matrixmultiply's product of row-major matrices: `out = a b`, n x n by n x q.
    fn matrixmultiply(n: usize, q: usize, a: &[Self], b: &[Self], out: &mut [Self]);
}

/// The sensitivities as a peer keeps them: two copies.
#[derive(Debug)]
pub struct Sensitivities<T> {
    units: usize,
    width: usize,
    jacobian: Vec<T>,
    p: Vec<T>,
    next: Vec<T>,
}

impl<T: PeerReal> Sensitivities<T> {
    /// p = 0 for `units` units with `width` weights each.
    pub fn new(units: usize, width: usize) -> Self {
        let zeros = || vec![T::ZERO; units * units * width];
        let jacobian = vec![T::ZERO; units * units];
        Self { units, width, jacobian, p: zeros(), next: zeros() }
    }

    /// Bytes of both copies.
    pub fn state_bytes(&self) -> usize {
        2 * size_of_val(self.p.as_slice())
    }

    /// One step of equation 5: `weights` is n x n, `slope` n values, `z` c values.
    pub fn advance(&mut self, peer: Peer, threads: usize, weights: &[T], slope: &[T], z: &[T]) {
        let (n, q) = (self.units, self.units * self.width);
        let rows = self.jacobian.chunks_exact_mut(n).zip(weights.chunks_exact(n));
        for ((row, weights), &slope) in rows.zip(slope) {
            row.iter_mut().zip(weights).for_each(|(place, &weight)| *place = slope * weight);
        }
        let (a, b, out) = (&self.jacobian, &self.p, &mut self.next);
        match peer {
            Peer::Naive => naive(n, q, a, b, out),
            Peer::Faer => {
                let out = MatMut::from_row_major_slice_mut(out, n, q);
                let (a, b) =
                    (MatRef::from_row_major_slice(a, n, n), MatRef::from_row_major_slice(b, n, q));
                let par = if threads > 1 { Par::rayon(threads) } else { Par::Seq };
                matmul(out, Accum::Replace, a, b, T::ONE, par);
            }
            Peer::Gemm => foreign::gemm(n, q, a, b, out, threads),
            Peer::MatrixMultiply => T::matrixmultiply(n, q, a, b, out),
        }
        for (k, &slope) in slope.iter().enumerate() {
            let start = k * q + k * self.width;
            let places = &mut self.next[start..start + self.width];
            for (place, &z) in places.iter_mut().zip(z) {
                *place += slope * z;
            }
        }
        std::mem::swap(&mut self.p, &mut self.next);
    }

    /// p, n x q.
    pub fn values(&self) -> &[T] {
        &self.p
    }
}

fn naive<T: Real>(n: usize, q: usize, a: &[T], b: &[T], out: &mut [T]) {
    for (a, out) in a.chunks_exact(n).zip(out.chunks_exact_mut(q)) {
        out.fill(T::ZERO);
        for (&a, b) in a.iter().zip(b.chunks_exact(q)) {
            for (out, &b) in out.iter_mut().zip(b) {
                *out += a * b;
            }
        }
    }
}

/// The products that libraries offer only as functions on pointers.
#[allow(unsafe_code, reason = "the interfaces of the peers; each call checks the lengths first")]
mod foreign {
    use super::{PeerReal, Real};

    /// Fails loudly unless the slices hold n x n, n x q and n x q values.
    fn check<T>(n: usize, q: usize, a: &[T], b: &[T], out: &[T]) {
        assert_eq!((a.len(), b.len(), out.len()), (n * n, n * q, n * q));
    }

    #[allow(clippy::cast_possible_wrap, reason = "lengths of slices fit in isize")]
    pub(super) fn gemm<T: Real>(
        n: usize,
        q: usize,
        a: &[T],
        b: &[T],
        out: &mut [T],
        threads: usize,
    ) {
        check(n, q, a, b, out);
        let parallelism =
            if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
        let (row_n, row_q) = (n as isize, q as isize);
        let (zero, one) = (T::ZERO, T::ONE);
        // SAFETY: `check` has shown that all three matrices, row-major with column stride 1 and row
        // strides n, q and q, lie within their slices; `out` is borrowed mutably and so does not
        // overlap the others; T is f32 or f64, which gemm knows.
        unsafe {
            gemm::gemm(
                n,
                q,
                n,
                out.as_mut_ptr(),
                1,
                row_q,
                false,
                a.as_ptr(),
                1,
                row_n,
                b.as_ptr(),
                1,
                row_q,
                zero,
                one,
                false,
                false,
                false,
                parallelism,
            );
        }
    }

    macro_rules! peer_real {
        ($type:ident, $function:ident) => {
            impl PeerReal for $type {
                #[allow(clippy::cast_possible_wrap, reason = "lengths of slices fit in isize")]
                fn matrixmultiply(n: usize, q: usize, a: &[Self], b: &[Self], out: &mut [Self]) {
                    check(n, q, a, b, out);
                    let (row_n, row_q) = (n as isize, q as isize);
                    let (a, b, out) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
                    // SAFETY: as for `gemm`: the shapes were checked and `out` overlaps nothing.
                    unsafe {
                        matrixmultiply::$function(
                            n, n, q, 1.0, a, row_n, 1, b, row_q, 1, 0.0, out, row_q, 1,
                        );
                    }
                }
            }
        };
    }

    peer_real!(f32, sgemm);
    peer_real!(f64, dgemm);
}

#[cfg(test)]
mod tests {
    use rtrl_kernel::{Eager, Engine, Isa, Jacobian, Layout, Step, Threads};

    use super::*;

    /// A peer that computed something else would be no peer.
    fn check<T: PeerReal>(tolerance: f64) {
        let (n, width) = (13, 16);
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.3));
        let weights: Vec<T> = (0..n * n).map(|i| number(i) * T::from_f64(0.3)).collect();
        let slope: Vec<T> = (0..n).map(|i| number(i + 7)).collect();
        let z: Vec<T> = (0..width).map(|i| number(i + 99)).collect();
        let layout = Layout::simple(n, width).unwrap();
        let learns = vec![true; n * width];
        let mut engine = Eager::<T>::new(&layout, &learns, Isa::best(), Threads::SERIAL).unwrap();
        let step = Step {
            jacobian: Jacobian::scaled(&weights, n, &slope),
            injection: &slope,
            z: &z,
            forced: &[false; 13],
        };
        let mut peers: Vec<_> =
            Peer::ALL.iter().map(|&peer| (peer, Sensitivities::<T>::new(n, width))).collect();
        for _ in 0..5 {
            engine.advance(&step, None).unwrap();
            for (peer, p) in &mut peers {
                p.advance(*peer, 1, &weights, &slope, &z);
            }
        }
        let mut row = vec![T::ZERO; n * width];
        for (peer, p) in &peers {
            for (k, got) in p.values().chunks_exact(n * width).enumerate() {
                engine.sensitivities(k, &mut row).unwrap();
                for (&got, &expected) in got.iter().zip(&row) {
                    let difference = (got - expected).to_f64().abs();
                    assert!(difference <= tolerance, "{}: {got} and {expected}", peer.name());
                }
            }
        }
        assert!(row.iter().any(|value| value.to_f64().abs() > 0.1), "nothing was compared");
    }

    #[test]
    fn every_peer_computes_the_same_update() {
        check::<f32>(1e-5);
        check::<f64>(1e-13);
    }
}
