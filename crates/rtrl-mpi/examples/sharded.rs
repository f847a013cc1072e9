//! A network whose sensitivities are divided among the ranks of an MPI program. Every rank draws
//! the same coin tosses from the same seed; rank 0 reports.

use rtrl_model::{EngineChoice, Generator, Learner, Network, Optimizer, Readout, Targets, Threads};
use rtrl_mpi::{Error, Ranks};

fn main() -> Result<(), Error> {
    let ranks = Ranks::start()?;
    let network = Network::<f32>::builder(64, 1).readout(Readout::new(1)).seed(1).build()?;
    let builder = Learner::builder(network).optimizer(Optimizer::adam(0.003));
    let mut learner = ranks.build(builder, EngineChoice::Auto, Threads::Auto)?;

    // The target is the toss of three steps ago.
    let mut coin = Generator::new(7);
    let mut tosses = [0.0; 4];
    let mut mistakes = 0;
    for t in 1..=2000 {
        tosses.rotate_right(1);
        tosses[0] = if coin.bit() { 1.0 } else { -1.0 };
        let report = learner.step(&[tosses[0]], Targets::All(&[tosses[3]]))?;
        mistakes += u32::from(report.errors[0].abs() > 0.5);
        if t % 500 == 0 && ranks.rank() == 0 {
            println!("step {t}: {mistakes} mistakes in 500 steps");
        }
        mistakes *= u32::from(t % 500 != 0);
    }
    let bytes = learner.state_bytes();
    println!("rank {} of {}: {} KiB of sensitivities", ranks.rank(), ranks.count(), bytes >> 10);
    Ok(())
}
