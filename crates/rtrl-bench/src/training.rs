//! A small training run that depends only on its number of steps, for tests that stop and resume
//! it.

use rtrl_model::{
    EngineChoice, Error, Generator, InitialWeights, Learner, Network, Optimizer, Pace, Readout,
    Real, Targets,
};

const UNITS: usize = 12;

/// The run before its first step: the deferred engine and Adam, so that a checkpoint has every kind
/// of tensor.
///
/// # Errors
/// Only if memory is insufficient.
pub fn learner() -> Result<Learner<f32>, Error> {
    let network = Network::<f32>::builder(UNITS, 2)
        .weights(InitialWeights::Orthogonal { gain: 0.9 })
        .readout(Readout::new(1).with_inputs())
        .seed(1)
        .build()?;
    let engine = EngineChoice::Deferred { window: Some(8), pace: Pace::Even };
    Learner::builder(network).engine(engine).optimizer(Optimizer::adam(1e-3)).build()
}

/// Takes the next step of the run.
///
/// # Errors
/// Those of [`Learner::step`].
pub fn advance(learner: &mut Learner<f32>) -> Result<(), Error> {
    let mut generator = Generator::new(learner.steps());
    let mut draw = || f32::from_f64(generator.between(-1.0, 1.0));
    let (x, target) = ([draw(), draw()], draw());
    learner.step(&x, Targets::All(&[target])).map(drop)
}
