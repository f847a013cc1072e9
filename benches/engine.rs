//! How long a step takes: the eager engine alone (`advance`, with the gradient that is fused into
//! it), reading the gradient off an engine after a step (`gradient`, of which only the reading is
//! timed), and the whole step of a learner (`step`; of networks with structure `structure`),
//! real-time with a target at every step.
//!
//! `cargo bench` runs all of it; `cargo bench -- step/f32/64/deferred` a part. Throughput is
//! counted as 2 n² q floating-point operations for q learning weights, except for `gradient`; the
//! deferred engine spares most of them. It is timed over whole windows, so that each step has its
//! share of the flush.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrl_bench::timing::{period, window};
use rtrl_kernel::{Deferred, Eager, Engine, Isa, Jacobian, Layout, Pace, Real, Step, Threads};
use rtrl_model::{
    Cell, EngineChoice, Generator, InitialWeights, Learner, Network, NetworkBuilder, Optimizer,
    Regime, Targets,
};

const SIZES: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];

fn inputs(units: usize) -> usize {
    if units <= 8 { 4 } else { 8 }
}

fn threads() -> [(&'static str, Threads); 2] {
    [("1 thread", Threads::SERIAL), ("auto", Threads::Auto)]
}

/// Floating-point operations of equation 5.
fn flops(n: usize, width: usize) -> Throughput {
    Throughput::Elements(2 * (n * n * n * width) as u64)
}

fn numbers<T: Real>(len: usize, bound: f64) -> Vec<T> {
    let mut generator = Generator::new(len as u64);
    (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
}

/// Random values for a step of an engine.
struct Values<T> {
    recurrent: Vec<T>,
    slope: Vec<T>,
    z: Vec<T>,
    error: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    fn new(n: usize, width: usize) -> Self {
        Self {
            recurrent: numbers(n * n, 1.0 / (n as f64).sqrt()),
            slope: numbers(n, 1.0),
            z: numbers(width, 1.0),
            error: numbers(n, 0.1),
            forced: vec![false; n],
        }
    }

    fn step(&self) -> Step<'_, T> {
        Step {
            jacobian: Jacobian::scaled(&self.recurrent, self.slope.len(), &self.slope),
            injection: &self.slope,
            z: &self.z,
            forced: &self.forced,
        }
    }
}

/// Both engines, by name.
const ENGINES: [(&str, EngineChoice); 2] =
    [("eager", EngineChoice::Eager), ("deferred", EngineChoice::DEFERRED)];

fn layout(n: usize) -> Layout {
    Layout::simple(n, inputs(n) + 1 + n).unwrap()
}

fn eager<T: Real>(n: usize, threads: Threads) -> Eager<T> {
    let layout = layout(n);
    Eager::new(&layout, &vec![true; layout.weights()], Isa::best(), threads).unwrap()
}

fn deferred<T: Real>(n: usize) -> Deferred<T> {
    let (layout, isa) = (layout(n), Isa::best());
    let (learns, window) =
        (vec![true; layout.weights()], EngineChoice::default_window(&layout, Regime::real_time()));
    Deferred::new(&layout, &learns, window, Pace::Bursts, isa, Threads::SERIAL).unwrap()
}

/// The time of `iterations` steps, as a fraction of whole windows, whose steps `time` measures.
fn share_of_windows(
    (n, choice): (usize, EngineChoice),
    iterations: u64,
    time: impl FnOnce(u64) -> Duration,
) -> Duration {
    let window = window(choice, &layout(n), Regime::real_time()) as u64;
    let calls = iterations.next_multiple_of(window);
    time(calls).mul_f64(iterations as f64 / calls as f64)
}

fn advance<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("advance/{}", T::NAME));
    for n in SIZES {
        let width = inputs(n) + 1 + n;
        let values = Values::<T>::new(n, width);
        group.throughput(flops(n, width));
        for (name, threads) in threads() {
            let mut engine = eager(n, threads);
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
        let width = inputs(n) + 1 + n;
        let values = Values::<T>::new(n, width);
        let mut gradient = vec![T::ZERO; n * width];
        let mut read = |engine: &mut dyn Engine<T>| {
            engine.advance(&values.step(), Some(&values.error)).unwrap();
            let start = Instant::now();
            engine.gradient(black_box(&mut gradient), width).unwrap();
            start.elapsed()
        };
        let mut engines: [Box<dyn Engine<T>>; 2] =
            [Box::new(eager(n, Threads::SERIAL)), Box::new(deferred(n))];
        for ((name, choice), engine) in ENGINES.into_iter().zip(&mut engines) {
            group.bench_function(format!("{n}/{name}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    share_of_windows((n, choice), iterations, |calls| {
                        (0..calls).map(|_| read(engine.as_mut())).sum()
                    })
                });
            });
        }
    }
    group.finish();
}

fn learner<T: Real>(
    n: usize,
    choice: EngineChoice,
    threads: Threads,
    streams: usize,
) -> Learner<T> {
    let network = Network::<T>::builder(n, inputs(n))
        .weights(InitialWeights::Normal { gain: 1.0 })
        .build()
        .unwrap();
    Learner::builder(network)
        .optimizer(Optimizer::sgd(1e-4))
        .engine(choice)
        .threads(threads)
        .streams(streams)
        .build()
        .unwrap()
}

/// A step of networks with structure on one thread, in blocks and by one eager engine for all
/// units.
fn structure<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("structure/{}", T::NAME));
    let networks: [(&str, NetworkBuilder<T>); 4] = [
        ("chain", Network::builder(64, 8).layer(64)),
        ("heads", Network::builder(128, 8).heads_of(16)),
        ("columns", Network::builder(128, 8).heads_of(8)),
        ("diagonal", Network::builder(128, 8).heads_of(1)),
    ];
    for (name, network) in networks {
        let network = network.weights(InitialWeights::Normal { gain: 1.0 }).build().unwrap();
        let (layout, learning) = (network.layout(), network.learning());
        let one = Eager::<T>::new(layout, &learning, Isa::best(), Threads::SERIAL).unwrap();
        let learner = || {
            let learner = Learner::builder(network.clone()).optimizer(Optimizer::sgd(1e-4));
            learner.threads(Threads::SERIAL)
        };
        let (x, d) = (numbers::<T>(8, 1.0), numbers::<T>(128, 0.5));
        for (engine, learner) in [
            ("one", learner().custom_engine(Box::new(one))),
            ("eager", learner().engine(EngineChoice::Eager)),
            ("auto", learner()),
        ] {
            let mut learner = learner.build().unwrap();
            let period = period(&learner.engine_plan().unwrap()) as u64;
            group.bench_function(format!("{name}/{engine}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    let calls = iterations.next_multiple_of(period);
                    let start = Instant::now();
                    for _ in 0..calls {
                        black_box(learner.step(&x, Targets::All(&d)).unwrap().loss);
                    }
                    start.elapsed().mul_f64(iterations as f64 / calls as f64)
                });
            });
        }
    }
    group.finish();
}

/// A step of several streams on one thread. The time of one stream is the measure.
fn streams<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("streams/{}", T::NAME));
    for n in [8, 64] {
        let (x, d) = (numbers::<T>(inputs(n), 1.0), numbers::<T>(n, 0.5));
        for (engine, choice) in ENGINES {
            for streams in [1, 8] {
                let mut learner = learner(n, choice, Threads::SERIAL, streams);
                let samples = vec![Some((x.as_slice(), Targets::All(&d))); streams];
                group.throughput(Throughput::Elements(streams as u64));
                group.bench_function(format!("{n}/{engine}/{streams}"), |bencher| {
                    bencher.iter_custom(|iterations| {
                        share_of_windows((n, choice), iterations, |calls| {
                            let start = Instant::now();
                            for _ in 0..calls {
                                black_box(learner.step_streams(&samples).unwrap().loss);
                            }
                            start.elapsed()
                        })
                    });
                });
            }
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
        for (engine, choice) in ENGINES {
            for (name, threads) in threads() {
                let mut learner = learner(n, choice, threads, 1);
                group.bench_function(format!("{n}/{engine}/{name}"), |bencher| {
                    bencher.iter_custom(|iterations| {
                        share_of_windows((n, choice), iterations, |calls| {
                            let start = Instant::now();
                            for _ in 0..calls {
                                black_box(learner.step(&x, Targets::All(&d)).unwrap().loss);
                            }
                            start.elapsed()
                        })
                    });
                });
            }
        }
    }
    group.finish();
}

/// A step without learning, on one thread: `Network::forward`.
fn forward<T: Real>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("forward/{}", T::NAME));
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        for n in [16, 64, 128] {
            let network = Network::<T>::builder(n, 8).cell(cell).weights(InitialWeights::Torch);
            let network = network.build().unwrap();
            let (x, mut state) = (numbers::<T>(8, 1.0), network.state());
            group.bench_function(format!("{cell}/{n}"), |bencher| {
                bencher.iter(|| network.forward(&mut state, black_box(&x)).unwrap()[0]);
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = advance::<f32>, advance::<f64>, gradient::<f32>, gradient::<f64>,
        step::<f32>, step::<f64>,
        streams::<f32>, structure::<f32>, forward::<f32>
}
criterion_main!(benches);
