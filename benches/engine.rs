//! How long a step takes: the engine alone (`advance`, with the gradient that is fused into it), reading
//! the gradient off after a step (`gradient`, of which only the reading is timed), and the whole step of
//! a learner, real-time with a target at every step.
//!
//! `cargo bench` runs all of it; `cargo bench -- advance/f32/64` a part. Throughput is counted as
//! 2 n² q floating-point operations for q learning weights, except for `gradient`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrl_kernel::{Eager, Engine, Isa, Layout, Real, Step, Threads};
use rtrl_model::{Generator, InitialWeights, Learner, Network, Optimizer, Targets};

const SIZES: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];

fn inputs(units: usize) -> usize {
    if units <= 8 { 4 } else { 8 }
}

fn threads() -> [(&'static str, Threads); 2] {
    [("1 thread", Threads::SERIAL), ("auto", Threads::Auto)]
}

/// Floating-point operations of equation 5.
fn flops(n: usize, lines: usize) -> Throughput {
    Throughput::Elements(2 * (n * n * n * lines) as u64)
}

fn numbers<T: Real>(len: usize, bound: f64) -> Vec<T> {
    let mut generator = Generator::new(len as u64);
    (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
}

/// Random values for a step of an engine.
struct Values<T> {
    recurrent: Vec<T>,
    slope: Vec<T>,
    lines: Vec<T>,
    error: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    fn new(n: usize, lines: usize) -> Self {
        Self {
            recurrent: numbers(n * n, 1.0 / (n as f64).sqrt()),
            slope: numbers(n, 1.0),
            lines: numbers(lines, 1.0),
            error: numbers(n, 0.1),
            forced: vec![false; n],
        }
    }

    fn step(&self) -> Step<'_, T> {
        Step {
            recurrent: &self.recurrent,
            stride: self.slope.len(),
            scale: &self.slope,
            injection: &self.slope,
            lines: &self.lines,
            forced: &self.forced,
        }
    }
}

fn eager<T: Real>(n: usize, lines: usize, threads: Threads) -> Eager<T> {
    let layout = Layout::simple(n, lines).unwrap();
    Eager::new(layout, &vec![true; n * lines], Isa::best(), threads).unwrap()
}

fn advance<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("advance/{}", T::NAME));
    for n in SIZES {
        let lines = inputs(n) + 1 + n;
        let values = Values::<T>::new(n, lines);
        group.throughput(flops(n, lines));
        for (name, threads) in threads() {
            let mut engine = eager(n, lines, threads);
            group.bench_function(format!("{n}/{name}"), |bencher| {
                bencher.iter(|| engine.advance(&values.step(), Some(&values.error)).unwrap());
            });
        }
    }
    group.finish();
}

fn gradient<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("gradient/{}", T::NAME));
    for n in SIZES {
        let lines = inputs(n) + 1 + n;
        let values = Values::<T>::new(n, lines);
        let mut engine = eager(n, lines, Threads::SERIAL);
        let mut gradient = vec![T::ZERO; n * lines];
        group.bench_function(n.to_string(), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut read = || {
                    engine.advance(&values.step(), Some(&values.error)).unwrap();
                    let start = Instant::now();
                    engine.gradient(black_box(&mut gradient), lines).unwrap();
                    start.elapsed()
                };
                (0..iterations).map(|_| read()).sum()
            });
        });
    }
    group.finish();
}

fn step<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("step/{}", T::NAME));
    for n in SIZES {
        let m = inputs(n);
        let (x, d) = (numbers::<T>(m, 1.0), numbers::<T>(n, 0.5));
        group.throughput(flops(n, m + 1 + n));
        for (name, threads) in threads() {
            let network = Network::<T>::builder(n, m)
                .weights(InitialWeights::Normal { gain: 1.0 })
                .build()
                .unwrap();
            let mut learner = Learner::builder(network)
                .optimizer(Optimizer::sgd(1e-4))
                .threads(threads)
                .build()
                .unwrap();
            group.bench_function(format!("{n}/{name}"), |bencher| {
                bencher.iter(|| learner.step(&x, Targets::All(&d)).unwrap().loss);
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = advance::<f32>, advance::<f64>, gradient::<f32>, gradient::<f64>, step::<f32>, step::<f64>
}
criterion_main!(benches);
