//! The peak of the machine: fused multiply-adds and reads per second.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rtrl_kernel::{Isa, Real};

/// Independent chains of multiply-adds: enough to hide a latency of 5 cycles on 2 units.
const CHAINS: usize = 12;

/// Multiply-adds of each chain between two readings of the clock: about 20 microseconds.
const LENGTH: usize = 8_000;

/// Cores that compute multiply-adds together: the caller's and those of waiting threads.
#[derive(Debug)]
pub struct Cores {
    isa: Isa,
    helpers: Vec<Sender<Burst>>,
    rates: Receiver<f64>,
    start: Arc<Barrier>,
}

/// The task of one core.
#[derive(Debug, Clone, Copy)]
struct Burst {
    run: fn(Isa, Duration) -> f64,
    isa: Isa,
    time: Duration,
}

impl Cores {
    /// `count` cores, at least one, that use the instruction set `isa`.
    pub fn new(isa: Isa, count: usize) -> Self {
        let start = Arc::new(Barrier::new(count.max(1)));
        let (sender, rates) = channel();
        let helper = |_| {
            let (orders, inbox) = channel::<Burst>();
            let (start, sender) = (Arc::clone(&start), sender.clone());
            std::thread::spawn(move || {
                for Burst { run, isa, time } in inbox {
                    start.wait();
                    sender.send(run(isa, time)).expect("whoever asked waits for the answer");
                }
            });
            orders
        };
        let helpers = (1..count).map(helper).collect();
        Self { isa, helpers, rates, start }
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// The instruction set that they use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Floating-point operations per second of all cores together, each running for `time`.
    ///
    /// The threads start at a barrier and each measures its own time, so waking them does not
    /// count. The peak varies with the clock frequency: take samples of it between those of the
    /// kernel.
    pub fn peak<T: Real>(&self, time: Duration) -> f64 {
        self.sum(rate::<T>, time)
    }

    /// The sum of what `run` returns on every core.
    fn sum(&self, run: fn(Isa, Duration) -> f64, time: Duration) -> f64 {
        let burst = Burst { run, isa: self.isa, time };
        for helper in &self.helpers {
            helper.send(burst).expect("helpers live as long as they can be asked");
        }
        self.start.wait();
        let own = run(self.isa, time);
        let others = self.helpers.iter().map(|_| self.rates.recv().expect("every helper answers"));
        own + others.sum::<f64>()
    }
}

/// Operations a second of this core in the next `time`.
///
/// The first block is not counted: after a kernel that has filled the caches it is some 5 % slower,
/// because the code itself has to be fetched again.
fn rate<T: Real>(isa: Isa, time: Duration) -> f64 {
    block::<T>(isa);
    let start = Instant::now();
    let mut operations = 0;
    loop {
        operations += block::<T>(isa);
        let elapsed = start.elapsed();
        if elapsed >= time {
            return operations as f64 / elapsed.as_secs_f64();
        }
    }
}

/// Runs all chains once and counts the operations.
fn block<T: Real>(isa: Isa) -> usize {
    let lanes = match isa.name() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "v4" => pulp::x86::V4::try_new().map(|simd| Simd::vectorize(simd, Chains::<T>::new())),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "v3" => pulp::x86::V3::try_new().map(|simd| Simd::vectorize(simd, Chains::<T>::new())),
        "scalar" => Some(Simd::vectorize(pulp::Scalar::new(), Chains::<T>::new())),
        _ => Some(pulp::Arch::new().dispatch(Chains::<T>::new())),
    };
    2 * CHAINS * LENGTH * lanes.unwrap_or(0)
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

/// Bytes per second that `threads` cores read together, each from its own array of `bytes`.
///
/// Each core has read its bytes once before all of them start together. Arrays begin with a cache
/// line, as p does: reads that cross from one line to the next would take twice as long.
pub fn read_bandwidth(bytes: usize, threads: usize) -> f64 {
    let length = bytes / size_of::<Block>();
    let rounds = READ / bytes + 2;
    let start = Barrier::new(threads);
    let reader = || {
        let values = vec![Block([1; NUMBERS]); length];
        black_box(sum(&values));
        start.wait();
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(sum(black_box(&values)));
        }
        (rounds * size_of_val(values.as_slice())) as f64 / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().map(|reader| reader.join().expect("reading does not fail")).sum()
    })
}

/// Bytes that each core reads in one measurement: about ten milliseconds.
const READ: usize = 1 << 30;

/// Numbers that are summed at a time: eight cache lines.
const NUMBERS: usize = 64;

/// Eight cache lines, the first of which begins with the block.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u64; NUMBERS]);

fn sum(values: &[Block]) -> u64 {
    pulp::Arch::new().dispatch(Sum(values))
}

struct Sum<'a>(&'a [Block]);

impl WithSimd for Sum<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> u64 {
        let mut sums = [simd.splat_u64s(0); 8];
        for block in self.0 {
            let (registers, _) = S::as_simd_u64s(&block.0);
            for registers in registers.as_chunks::<8>().0 {
                for (sum, &value) in sums.iter_mut().zip(registers) {
                    *sum = simd.add_u64s(*sum, value);
                }
            }
        }
        pulp::bytemuck::cast_slice::<S::u64s, u64>(&sums).iter().sum()
    }
}

/// Seconds that one core takes to change an array of `bytes` in place and to write another one, as
/// a step does that moves p and writes a gradient, in plain loops without prefetching and with no
/// arithmetic to speak of. The best of many rounds.
pub fn time_to_move(bytes: usize) -> f64 {
    let length = bytes / size_of::<Block>();
    let (mut p, mut gradient) =
        (vec![Block([1; NUMBERS]); length], vec![Block([1; NUMBERS]); length]);
    let rounds = READ / bytes / 4 + 2;
    let round = |_| {
        let start = Instant::now();
        pulp::Arch::new().dispatch(Move(black_box(&mut p), black_box(&mut gradient)));
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

struct Move<'a>(&'a mut [Block], &'a mut [Block]);

impl WithSimd for Move<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let one = simd.splat_u64s(1);
        for (p, gradient) in self.0.iter_mut().zip(self.1) {
            let (p, _) = S::as_mut_simd_u64s(&mut p.0);
            let (gradient, _) = S::as_mut_simd_u64s(&mut gradient.0);
            for (p, gradient) in p.iter_mut().zip(gradient) {
                *p = simd.add_u64s(*p, one);
                *gradient = *p;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tested;

    #[test]
    fn every_core_counts_once() {
        let cores = Cores::new(Isa::best(), 3);
        assert_eq!(cores.count(), 3);
        for seconds in [1.0, 2.0, 4.0] {
            let sum = cores.sum(|_, time| time.as_secs_f64(), Duration::from_secs_f64(seconds));
            assert_eq!(sum, 3.0 * seconds);
        }
    }

    #[test]
    fn operations_of_every_instruction_set_are_counted() {
        for isa in tested::sets() {
            let lanes = match isa.name() {
                "scalar" => [1, 1],
                "v3" => [8, 4],
                "v4" => [16, 8],
                _ => [4, 2],
            };
            let expected = lanes.map(|lanes| 2 * CHAINS * LENGTH * lanes);
            assert_eq!([block::<f32>(isa), block::<f64>(isa)], expected, "{isa}");
        }
    }
}
