//! How long a step takes, for `docs/scaling.md`.
//!
//! ```text
//! measure UNITS THREADS whole          one process without MPI
//! measure UNITS THREADS sharded        the ranks of `mpirun`
//! measure UNITS THREADS part RANKS     the computation of one of RANKS ranks, without the others
//! measure UNITS 1 gather               the exchange of a gradient and of a number
//! ```
//!
//! A network of simple units in single precision with 8 inputs and a target for every unit learns
//! by gradient descent at every step. Rank 0 prints the time of a step in milliseconds: the mean
//! over a window of the deferred engine, of which the flush is a part, as the median of several
//! windows, and the median of the steps without a flush.

use std::time::Instant;

use mpi::collective::SystemOperation;
use mpi::traits::CommunicatorCollectives;
use rtrl_model::kernel::build;
use rtrl_model::{
    EngineChoice, Generator, Learner, LearnerBuilder, Network, Optimizer, Real, Regime, Spec,
    Targets, Threads,
};
use rtrl_mpi::{Error, Ranks, mpi};

const WINDOWS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [units, threads, mode, rest @ ..] = args.as_slice() else {
        return Err("got too few arguments, expected UNITS THREADS MODE".into());
    };
    let (units, threads) = (units.parse()?, Threads::Exactly(threads.parse()?));
    let (choice, regime) = (EngineChoice::DEFERRED, Regime::real_time());
    let network = || Network::<f32>::builder(units, 8).seed(1).build();
    let builder =
        |network| Learner::builder(network).regime(regime).optimizer(Optimizer::sgd(1e-4));
    let Spec::Deferred { window, .. } = choice.undivided(&network()?, regime)? else {
        return Err("got the eager engine, expected the deferred one".into());
    };
    match (mode.as_str(), rest) {
        ("whole", []) => {
            let learner = builder(network()?).engine(choice).threads(threads);
            print(&format!("{units} units, one process"), &time(&mut learner.build()?, window)?);
        }
        ("sharded", []) => {
            let ranks = Ranks::start()?;
            let mut learner = ranks.build(builder(network()?), choice, threads)?;
            let times = time(&mut learner, window)?;
            if ranks.rank() == 0 {
                print(&format!("{units} units, {} ranks", ranks.count()), &times);
            }
        }
        ("part", [ranks]) => {
            let ranks: usize = ranks.parse()?;
            let mut learner = part(&network()?, builder, units.div_ceil(ranks), threads)?;
            print(&format!("{units} units, one of {ranks} ranks"), &time(&mut learner, window)?);
        }
        ("gather", []) => gather(units)?,
        _ => return Err("got an unknown mode, expected whole, sharded, part or gather".into()),
    }
    Ok(())
}

/// A learner of which only the first `rows` weight rows learn, with the window of the whole.
fn part(
    network: &Network<f32>,
    builder: impl Fn(Network<f32>) -> LearnerBuilder<f32>,
    rows: usize,
    threads: Threads,
) -> Result<Learner<f32>, Box<dyn std::error::Error>> {
    let (units, columns) = (network.units(), network.weights().columns());
    let frozen: Vec<bool> = (0..units * columns).map(|w| w >= rows * columns).collect();
    let spec = EngineChoice::DEFERRED.undivided(network, Regime::real_time())?;
    let network = Network::<f32>::builder(units, 8).seed(1).frozen(frozen).build()?;
    let (layout, learning, isa) = (network.layout(), network.learning(), network.isa());
    let engine = build(&spec, layout, &learning, isa, threads)?;
    Ok(builder(network).custom_engine(engine).build()?)
}

/// The mean of each window, and the median of its steps, in milliseconds.
fn time(
    learner: &mut Learner<f32>,
    window: usize,
) -> Result<[Vec<f64>; 2], Box<dyn std::error::Error>> {
    let mut generator = Generator::new(2);
    let units = learner.network().units();
    let mut draw = |count| -> Vec<f32> {
        (0..count).map(|_| f32::from_f64(generator.between(-0.5, 0.5))).collect()
    };
    let (mut means, mut medians) = (Vec::new(), Vec::new());
    // The first window touches the memory.
    for number in 0..=WINDOWS {
        let mut steps = Vec::new();
        for _ in 0..window {
            let (x, d) = (draw(8), draw(units));
            let start = Instant::now();
            learner.step(&x, Targets::All(&d))?;
            steps.push(start.elapsed().as_secs_f64() * 1e3);
        }
        if number > 0 {
            means.push(steps.iter().sum::<f64>() / window as f64);
            medians.push(median(&mut steps));
        }
    }
    Ok([means, medians])
}

fn print(what: &str, [means, medians]: &[Vec<f64>; 2]) {
    let [mean, step] = [means, medians].map(|times| median(&mut times.clone()));
    println!("{what}: {mean:.3} ms a step, {step:.3} ms without the flush");
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The exchanges of a step alone.
fn gather(units: usize) -> Result<(), Error> {
    let ranks = Ranks::start()?;
    let (world, len) = (ranks.world(), units * (units + 9) / ranks.count());
    let (sent, mut received) = (vec![1f32; len], vec![0f32; len * ranks.count()]);
    let (mut gathers, mut reductions) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        world.barrier();
        let start = Instant::now();
        world.all_gather_into(&sent[..], &mut received[..]);
        gathers.push(start.elapsed().as_secs_f64() * 1e3);
        let (start, mut largest) = (Instant::now(), 0);
        world.all_reduce_into(&1i32, &mut largest, SystemOperation::max());
        reductions.push(start.elapsed().as_secs_f64() * 1e3);
    }
    if ranks.rank() == 0 {
        let megabytes = (received.len() * 4) as f64 / 1e6;
        let (gather, reduction) = (median(&mut gathers), median(&mut reductions));
        println!("{units} units: {megabytes:.2} MB gathered in {gather:.4} ms");
        println!("a number in {reduction:.4} ms");
    }
    Ok(())
}
