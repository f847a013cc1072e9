//! A custom engine.

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{Engine, Learner, Network, Step, Targets, Threads, kernel};

use super::{INPUTS, UNITS, stream};

/// A custom rule in a learner: the exact engine, which resets p before every step.
#[derive(Debug, Clone)]
struct OneStep(kernel::Eager<f64>);

impl Engine<f64> for OneStep {
    fn advance(
        &mut self,
        step: &Step<'_, f64>,
        error: Option<&[f64]>,
    ) -> Result<(), kernel::Error> {
        self.0.reset()?;
        self.0.advance(step, error)
    }
    fn gradient(&mut self, into: &mut [f64], stride: usize) -> Result<(), kernel::Error> {
        self.0.gradient(into, stride)
    }
    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.0.reset()
    }
    fn weights(&self) -> usize {
        self.0.weights()
    }
    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn a_custom_engine_can_be_compared_with_the_exact_one() {
    let network = Network::<f64>::builder(UNITS, INPUTS).build().unwrap();
    let own = |columns: &[bool]| {
        let engine =
            kernel::Eager::new(network.layout(), columns, network.isa(), Threads::SERIAL).unwrap();
        Learner::builder(network.clone()).custom_engine(Box::new(OneStep(engine))).build()
    };
    let mut exact = Learner::builder(network.clone()).build().unwrap();
    let mut forgetful = own(&network.learning()).unwrap();
    let mut differs = Vec::new();
    for (x, _) in stream(4) {
        let targets = Targets::All(&[0.4; UNITS]);
        let rows = |report: rtrl_model::StepReport<'_, f64>| {
            report.gradient.unwrap().recurrent().to_rows()
        };
        let exact = rows(exact.step(&x, targets).unwrap()).concat();
        let own = rows(forgetful.step(&x, targets).unwrap()).concat();
        differs.push(relative_to_largest(&own, &exact) > 1e-3);
    }
    assert_eq!(differs, [false, true, true, true]);
    let mut fewer = network.learning();
    fewer[0] = false;
    let error = own(&fewer).unwrap_err().to_string();
    let columns = UNITS * (INPUTS + 1 + UNITS);
    assert!(
        error.contains(&format!("expected {columns}, one for each weight that learns")),
        "{error}"
    );
}
