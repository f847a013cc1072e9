//! What the machine can do at most: fused multiply-adds and reads a second.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Simd, WithSimd};
use rtrl_kernel::{Isa, Real};

/// Independent chains of multiply-adds: enough to hide a latency of 5 cycles on 2 units.
const CHAINS: usize = 12;

/// Multiply-adds of each chain in one sample: about 20 microseconds' worth.
const LENGTH: usize = 8_000;

/// Floating-point operations a second of one core in one short sample, on the instruction set `isa`.
///
/// The peak wanders with the clock: take samples between those of what is compared with it.
pub fn fma_sample<T: Real>(isa: Isa) -> f64 {
    let start = Instant::now();
    let lanes = match isa.name() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "v4" => pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, Chains::<T>::new())),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "v3" => pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, Chains::<T>::new())),
        "scalar" => Some(Simd::vectorize(pulp::Scalar::new(), Chains::<T>::new())),
        _ => Some(pulp::Arch::new().dispatch(Chains::<T>::new())),
    };
    let operations = 2 * CHAINS * LENGTH * lanes.unwrap_or(0);
    operations as f64 / start.elapsed().as_secs_f64()
}

struct Chains<T> {
    /// Different from chain to chain and unknown to the compiler, which would else merge them.
    starts: [T; CHAINS],
    factor: T,
    summand: T,
}

impl<T: Real> Chains<T> {
    fn new() -> Self {
        let (factor, summand) = black_box((T::from_f64(0.999), T::from_f64(1e-3)));
        let starts = black_box(std::array::from_fn(|chain| T::from_f64(chain as f64)));
        Self { starts, factor, summand }
    }
}

impl<T: Real> WithSimd for Chains<T> {
    /// Lanes of a register.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (factor, summand) = (T::splat(simd, self.factor), T::splat(simd, self.summand));
        let mut chains = self.starts.map(|start| T::splat(simd, start));
        for _ in 0..LENGTH {
            for chain in &mut chains {
                *chain = T::fused(simd, *chain, factor, summand);
            }
        }
        black_box(chains);
        size_of::<T::Vector<S>>() / size_of::<T>()
    }
}

/// Bytes a second that `threads` cores read together, each from `bytes` of its own.
pub fn read_bandwidth(bytes: usize, threads: usize) -> f64 {
    let length = bytes / size_of::<u64>() / LINE * LINE;
    let rounds = (1 << 28) / bytes + 2;
    let times: Vec<f64> = std::thread::scope(|scope| {
        let reader = || {
            let values = vec![1u64; length];
            black_box(sum(&values));
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(sum(black_box(&values)));
            }
            start.elapsed().as_secs_f64()
        };
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).collect()
    });
    let slowest = times.into_iter().fold(0.0, f64::max);
    (threads * rounds * length * size_of::<u64>()) as f64 / slowest
}

/// Numbers that are summed side by side: eight cache lines.
const LINE: usize = 64;

fn sum(values: &[u64]) -> u64 {
    pulp::Arch::new().dispatch(Sum(values))
}

struct Sum<'a>(&'a [u64]);

impl WithSimd for Sum<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> u64 {
        let mut sums = [0u64; LINE];
        for line in self.0.as_chunks::<LINE>().0 {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(*value);
            }
        }
        sums.iter().fold(0, |total, sum| total.wrapping_add(*sum))
    }
}
