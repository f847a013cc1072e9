//! Trains networks with structure in blocks and with one engine for all units, and compares them.
//!
//! `cargo run --release --example structure` runs it; `docs/structure.md` explains the result.

use rtrl_model::kernel::{Block, Reach, build, reaches};
use rtrl_model::{
    Engine, EngineChoice, Error, Generator, Learner, Network, NetworkBuilder, Optimizer, Spec,
    Targets, Threads,
};

const UNITS: usize = 48;
const STEPS: usize = 1000;

/// Units in one layer that see the input, the bias, and the units that `sees` says.
fn masked(sees: impl Fn(usize, usize) -> bool) -> NetworkBuilder<f64> {
    let row = |i: usize| {
        let seen = (0..UNITS).map(|l| sees(i, l)).collect::<Vec<_>>();
        [vec![true; 2], seen].concat()
    };
    Network::builder(UNITS, 1).connections((0..UNITS).map(row).collect::<Vec<_>>())
}

/// The networks, by name.
fn networks() -> Vec<(&'static str, NetworkBuilder<f64>)> {
    let mut dice = Generator::new(3);
    let sparse: Vec<bool> = (0..UNITS * UNITS).map(|_| dice.uniform() < 0.05).collect();
    vec![
        ("two layers", Network::builder(UNITS / 2, 1).layer(UNITS / 2)),
        ("heads of 8", masked(|i, l| i / 8 == l / 8)),
        ("a tree", masked(|i, l| i == l || i > 0 && (i - 1) / 2 == l)),
        ("5 % at random", masked(|i, l| sparse[i * UNITS + l])),
        ("diagonal", masked(|i, l| i == l)),
    ]
}

/// The blocks of a network without a state that the first rows reach, which is wrong.
fn cut(network: &Network<f64>) -> Result<Option<Box<dyn Engine<f64>>>, Error> {
    let (layout, learning) = (network.layout(), network.learning());
    let Some(pattern) = network.pattern()? else { return Ok(None) };
    let block = |mut reach: Reach| {
        if reach.rows[0] == 0 && reach.states.len() > 1 {
            reach.states.pop();
        }
        let Reach { states, rows, weights, diagonal, .. } = reach;
        Block { states, rows, weights, engine: if diagonal { Spec::Diagonal } else { Spec::Eager } }
    };
    let blocks = reaches(layout, &learning, &pattern)?.into_iter().map(block).collect();
    let spec = Spec::Blocks(blocks);
    Ok(Some(build(&spec, layout, &learning, network.isa(), Threads::Auto)?))
}

/// The largest difference between the weights of two learners; NaN if there is one.
fn difference(a: &Learner<f64>, b: &Learner<f64>) -> f64 {
    let weights = |learner: &Learner<f64>| learner.network().weights().to_rows().concat();
    let off = weights(a).into_iter().zip(weights(b)).map(|(a, b)| (a - b).abs());
    off.fold(0.0, |most, off| if off.is_nan() || off > most { off } else { most })
}

fn main() -> Result<(), Error> {
    println!("Largest difference of a weight from that with one eager engine, {STEPS} updates:\n");
    println!("                   in eager blocks  chosen blocks  a state left out");
    for (name, network) in networks() {
        let network = network.seed(1).build()?;
        let builder = || Learner::builder(network.clone()).optimizer(Optimizer::sgd(0.005));
        let (layout, learning) = (network.layout(), network.learning());
        let one = build(&Spec::Eager, layout, &learning, network.isa(), Threads::Auto)?;
        let mut one = builder().custom_engine(one).build()?;
        let mut others = vec![builder().engine(EngineChoice::Eager).build()?, builder().build()?];
        if let Some(engine) = cut(&network)? {
            others.push(builder().custom_engine(engine).build()?);
        }
        let mut worst = [0.0f64; 3];
        let mut numbers = Generator::new(7);
        let mut before = 0.0;
        for _ in 0..STEPS {
            let input = numbers.between(-1.0, 1.0);
            let targets = vec![before; network.outputs()];
            before = input;
            one.step(&[input], Targets::All(&targets))?;
            for (learner, worst) in others.iter_mut().zip(&mut worst) {
                learner.step(&[input], Targets::All(&targets))?;
                *worst = worst.max(difference(learner, &one));
            }
        }
        let [eager, chosen, cut] = worst;
        println!("{name:18} {eager:15.1e}  {chosen:13.1e}  {cut:16.1e}");
        let plan = others[1].engine_plan()?;
        println!("  {}", plan.to_string().replace('\n', "\n  "));
    }
    Ok(())
}
