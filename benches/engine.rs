//! How long a step takes: the engine alone (`advance`, with the gradient that is fused into it) and the
//! whole step of a learner, real-time with a target at every step.
//!
//! `cargo bench` runs all of it; `cargo bench -- advance/f32/64` a part. Throughput is counted as
//! 2 n² q floating-point operations for q learning weights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

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

fn advance<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("advance/{}", T::NAME));
    for n in SIZES {
        let lines = inputs(n) + 1 + n;
        let recurrent = numbers::<T>(n * n, 1.0 / (n as f64).sqrt());
        let (slope, z, error) = (numbers::<T>(n, 1.0), numbers::<T>(lines, 1.0), numbers(n, 0.1));
        let step = Step {
            recurrent: &recurrent,
            stride: n,
            scale: &slope,
            injection: &slope,
            lines: &z,
            forced: &vec![false; n],
        };
        let layout = Layout::simple(n, lines).unwrap();
        group.throughput(flops(n, lines));
        for (name, threads) in threads() {
            let learns = vec![true; n * lines];
            let mut engine = Eager::<T>::new(layout, &learns, Isa::best(), threads).unwrap();
            group.bench_function(format!("{n}/{name}"), |bencher| {
                bencher.iter(|| engine.advance(&step, Some(&error)).unwrap());
            });
        }
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
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = advance::<f32>, advance::<f64>, step::<f32>, step::<f64>
}
criterion_main!(benches);
