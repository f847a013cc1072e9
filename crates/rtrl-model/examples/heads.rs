//! Trains a network of 4096 units in 512 heads of 8. One engine for all units would need 0.67 GB
//! for their sensitivities instead of 1.5 MB, and 512 times the operations.
//!
//! `cargo run --release --example heads` runs it.

use std::time::Instant;

use rtrl_model::{
    Error, Generator, InitialWeights, Learner, Network, Optimizer, Readout, Real, Targets,
};

const UNITS: usize = 4096;
const HEAD: usize = 8;
const STEPS: usize = 400;

fn main() -> Result<(), Error> {
    // Each unit sees the input, the bias, and the units of its own head.
    let network = Network::<f32>::builder(UNITS, 1)
        .heads_of(HEAD)
        .weights(InitialWeights::Normal { gain: 1.0 })
        .readout(Readout::new(1))
        .seed(1)
        .build()?;
    let mut learner = Learner::builder(network).optimizer(Optimizer::sgd(1e-4)).build()?;
    println!("{}\n", learner.engine_plan()?);

    // The target is the input of three steps ago.
    let mut numbers = Generator::new(7);
    let (mut inputs, mut sum, start) = ([0.0f32; 4], 0.0, Instant::now());
    for t in 1..=STEPS {
        inputs.rotate_right(1);
        inputs[0] = f32::from_f64(numbers.between(-1.0, 1.0));
        sum += learner.step(&[inputs[0]], Targets::All(&[inputs[3]]))?.loss;
        if t.is_multiple_of(100) {
            println!("steps {:3} to {t:3}: mean loss {:.4}", t - 99, sum / 100.0);
            sum = 0.0;
        }
    }
    println!("{:.1} ms per step", start.elapsed().as_secs_f64() * 1e3 / STEPS as f64);
    Ok(())
}
