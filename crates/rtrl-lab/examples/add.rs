//! What learning the recurrent weights contributes: the Add task with learned and with fixed
//! recurrent weights.
//!
//! `cargo run --release --example add` runs it; `docs/tasks.md` explains the result.

use rtrl_lab::tasks::AddTask;
use rtrl_model::{
    Error, InitialWeights, Learner, Loss, Network, Optimizer, Readout, ReadoutWeights, Real,
    Targets,
};

const UNITS: usize = 32;
const STEPS: u32 = 240_000;
/// The last steps, over which the loss is averaged.
const MEASURED: u32 = 30_000;

/// The mean loss of a run over its last steps, in nats. A rate of 0 fixes the recurrent weights.
fn loss(seed: u64, recurrent_rate: f64, readout_rate: f64) -> Result<f64, Error> {
    let weights = ReadoutWeights::Normal { gain: 1.0 };
    let network = Network::<f32>::builder(UNITS, 2)
        .weights(InitialWeights::Orthogonal { gain: 1.0 })
        .readout(Readout::new(2).weights(weights))
        .seed(seed)
        .build()?;
    let mut learner = Learner::builder(network)
        .loss(Loss::SoftmaxCrossEntropy)
        .optimizer(Optimizer::sgd(recurrent_rate))
        .readout_learning_rate(readout_rate)
        .build()?;
    let mut task = AddTask::new(1000 + seed);
    let mut sum = 0.0;
    for step in 0..STEPS {
        let (input, label) = task.draw();
        let label = label.map(|label| label.map(f32::from_f64));
        let targets = label.as_ref().map_or(Targets::None, |label| Targets::All(label));
        let report = learner.step(&input.map(f32::from_f64), targets)?;
        if step >= STEPS - MEASURED {
            sum += f64::from(report.loss);
        }
    }
    Ok(sum / f64::from(MEASURED))
}

fn main() -> Result<(), Error> {
    let [neither, nearer, both] = AddTask::floors();
    println!("Nats over the last {MEASURED} of {STEPS} steps. The optimum with neither");
    println!("coin: {neither:.4}, with the more recent one: {nearer:.4}, with both: {both:.4}.\n");
    println!("                                      seed 1  seed 2  seed 3");
    for (name, recurrent_rate, readout_rate) in [
        ("all weights learn, rate 0.001", 1e-3, 1e-3),
        ("the readout alone, rate 0.001", 0.0, 1e-3),
        ("the readout alone, rate 0.01", 0.0, 1e-2),
    ] {
        let run = |seed| loss(seed, recurrent_rate, readout_rate);
        println!("{name:36}  {:.4}  {:.4}  {:.4}", run(1)?, run(2)?, run(3)?);
    }
    Ok(())
}
