//! Trains the same network with both engines, with updates at every step, and compares them.
//!
//! `cargo run --release --example exact` runs it; `docs/deferred.md` explains the result.

use rtrl_model::{
    EngineChoice, Error, Generator, InitialWeights, Learner, Network, Optimizer, Pace, Targets,
};

const UNITS: usize = 24;
const STEPS: usize = 2000;
const WINDOW: usize = 16;
const RATE: f64 = 0.05;

/// A learner with the same initial weights as all others, except one weight, which is multiplied by
/// `1 + nudge`.
fn learner(engine: EngineChoice, nudge: f64) -> Result<Learner<f64>, Error> {
    let network = Network::<f64>::builder(UNITS, 1).seed(1).build()?;
    let mut weights = network.weights().to_rows();
    weights[0][UNITS] *= 1.0 + nudge;
    let network = Network::builder(UNITS, 1).weights(InitialWeights::given(weights)).build()?;
    Learner::builder(network).optimizer(Optimizer::sgd(RATE)).engine(engine).build()
}

/// Takes one step and returns all weights, the whole gradient and all of p.
fn step(
    learner: &mut Learner<f64>,
    input: f64,
    targets: &[Option<f64>],
) -> Result<[Vec<f64>; 3], Error> {
    let report = learner.step(&[input], Targets::Some(targets))?;
    let gradient = report.gradient.map(|gradient| gradient.recurrent().to_rows().concat());
    let mut p = Vec::new();
    for unit in 0..UNITS {
        p.extend(learner.sensitivities(unit)?.to_rows().concat());
    }
    Ok([learner.network().weights().to_rows().concat(), gradient.unwrap_or_default(), p])
}

/// The largest difference; NaN if there is one, or if the lists differ in length.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    let start = if a.len() == b.len() { 0.0 } else { f64::NAN };
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(start, larger)
}

/// The larger number; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

fn main() -> Result<(), Error> {
    let deferred = |pace| EngineChoice::Deferred { window: Some(WINDOW), pace };
    let mut eager = learner(EngineChoice::Eager, 0.0)?;
    let mut others = [
        ("deferred, in bursts", learner(deferred(Pace::Bursts), 0.0)?, [0.0; 3]),
        ("deferred, even-paced", learner(deferred(Pace::Even), 0.0)?, [0.0; 3]),
        ("eager, nudged", learner(EngineChoice::Eager, f64::EPSILON)?, [0.0; 3]),
        ("eager, truncated", learner(EngineChoice::Eager, 0.0)?, [0.0; 3]),
    ];
    let start = eager.network().weights().to_rows().concat();
    let (mut before, mut fastest, mut farthest) = (start.clone(), 0.0, 0.0);
    let (mut coin, mut tossed) = (Generator::new(7), [0.0; 4]);
    for t in 0..STEPS {
        // Units 0, 1 and 2 learn to output the inputs of one, two and three steps ago.
        tossed.rotate_right(1);
        tossed[0] = if coin.bit() { 0.5 } else { -0.5 };
        let mut targets = [None; UNITS];
        targets[..3].copy_from_slice(&[Some(tossed[1]), Some(tossed[2]), Some(tossed[3])]);
        let expected = step(&mut eager, tossed[0], &targets)?;
        fastest = larger(fastest, difference(&expected[0], &before));
        farthest = larger(farthest, difference(&expected[0], &start));
        before.clone_from(&expected[0]);
        for (name, learner, worst) in &mut others {
            if *name == "eager, truncated" && t % WINDOW == 0 {
                learner.reset_sensitivities()?;
            }
            let got = step(learner, tossed[0], &targets)?;
            for (worst, (got, expected)) in worst.iter_mut().zip(got.iter().zip(&expected)) {
                *worst = larger(*worst, difference(got, expected));
            }
        }
    }
    println!("{} updates; a weight moved by up to {fastest:.3} in a step,", eager.updates());
    println!("by up to {farthest:.2} in all. Largest difference from the eager engine:\n");
    println!("                       weights  gradient         p");
    for (name, _, [weights, gradient, p]) in others {
        println!("{name:20}  {weights:8.1e}  {gradient:8.1e}  {p:8.1e}");
    }
    Ok(())
}
