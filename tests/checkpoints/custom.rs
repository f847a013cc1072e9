//! Custom engines and optimisers, and what cannot be resumed.

use rtrl_model::kernel::{Eager, Engine, Layout, Sink, Source, Spec, Step};
use rtrl_model::store::container;
use rtrl_model::store::container::{Plan, Reader};
use rtrl_model::{
    CustomOptimizer, EngineFactory, Error, Isa, Network, Optimizer, StoredLearner, Supplies,
    Threads, kernel,
};
use serde_json::json;

use super::{Run, TwoAverages, advance, builder, network, plain, supplies, without_engine};

/// A custom engine that is stored: the exact one, which counts its steps.
#[derive(Debug, Clone)]
struct Counting {
    exact: Eager<f64>,
    steps: f64,
    name: &'static str,
}

impl Counting {
    fn new(layout: &Layout, learns: &[bool], name: &'static str) -> Self {
        let exact = Eager::new(layout, learns, Isa::best(), Threads::SERIAL).unwrap();
        Self { exact, steps: 0.0, name }
    }
}

impl Engine<f64> for Counting {
    fn advance(
        &mut self,
        step: &Step<'_, f64>,
        error: Option<&[f64]>,
    ) -> Result<(), kernel::Error> {
        self.steps += 1.0;
        self.exact.advance(step, error)
    }

    fn gradient(&mut self, into: &mut [f64], stride: usize) -> Result<(), kernel::Error> {
        self.exact.gradient(into, stride)?;
        for value in into {
            *value /= self.steps;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.exact.reset()
    }

    fn weights(&self) -> usize {
        self.exact.weights()
    }

    fn save(&self, to: &mut dyn Sink<f64>) -> Result<(), kernel::Error> {
        to.tensor("steps", [1, 1], &mut |_, row| row[0] = self.steps)?;
        self.exact.save(to)
    }

    fn load(&mut self, from: &mut dyn Source<f64>) -> Result<(), kernel::Error> {
        from.read("steps", [1, 1], &mut |_, row| self.steps = row[0])?;
        self.exact.load(from)
    }

    fn spec(&self) -> Spec {
        Spec::Custom { name: self.name.to_owned(), exact: false }
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn a_custom_engine_resumes_through_its_factory() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run { streams: 2, ..plain() };
    let engine = |network: &Network<f64>| {
        Box::new(Counting::new(network.layout(), &network.learning(), "counting"))
    };
    let mut whole = without_engine(&run).custom_engine(engine(&network(&run))).build().unwrap();
    let path = folder.path().join("custom.safetensors");
    let open = || StoredLearner::open(&path).unwrap();
    let with = |name: &'static str| Supplies::<f64> {
        engine: Some(EngineFactory::new(move |layout, learns, stored| {
            assert_eq!(stored, "counting");
            Ok(Box::new(Counting::new(layout, learns, name)))
        })),
        ..supplies(1, 0)
    };
    let mut cut = whole.clone();
    for step in 0..20 {
        cut.save(&path, &json!(null)).unwrap();
        cut = open().learner(&with("counting")).unwrap();
        advance(&mut whole, &run, step);
        advance(&mut cut, &run, step);
        assert_eq!(whole.network().weights(), cut.network().weights(), "step {step}");
    }
    let message = open().learner(&supplies::<f64>(1, 0)).unwrap_err().to_string();
    assert!(message.contains("no factory") && message.contains("counting"), "{message}");
    let message = open().learner(&with("other")).unwrap_err().to_string();
    assert!(message.contains("\"other\""), "{message}");
}

/// A custom engine with only the required methods.
#[derive(Debug, Clone)]
struct Forgetful(usize);

impl Engine<f64> for Forgetful {
    fn advance(&mut self, _: &Step<'_, f64>, _: Option<&[f64]>) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn gradient(&mut self, _: &mut [f64], _: usize) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn weights(&self) -> usize {
        self.0
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn what_cannot_be_resumed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let learner = builder::<f32>(&plain()).build().unwrap();
    learner.save(&path, &json!(null)).unwrap();
    let open = || StoredLearner::open(&path).unwrap();
    let message = open().learner::<f64>(&supplies(1, 0)).unwrap_err().to_string();
    assert!(message.contains("f32") && message.contains("f64"), "{message}");
    let message = open().learner::<f32>(&Supplies::default()).unwrap_err().to_string();
    assert!(message.contains("wave"), "{message}");
    assert!(open().forecaster::<f32>(&supplies(1, 0)).is_err());
    let updates = Optimizer::custom(0.02, TwoAverages).into();
    builder::<f32>(&Run { updates, ..plain() }).build().unwrap().save(&path, &json!(null)).unwrap();
    open().learner::<f32>(&supplies(1, 0)).unwrap();
    let none = Supplies { optimizer: None, ..supplies(1, 0) };
    let message = open().learner::<f32>(&none).unwrap_err().to_string();
    assert!(message.contains("two-averages"), "{message}");
    learner.save(&path, &json!(null)).unwrap();
    let own = without_engine::<f64>(&plain()).custom_engine(Box::new(Forgetful(6))).build();
    assert!(matches!(own, Err(Error::Setting { .. })));
    let columns = learner.network().learning().iter().filter(|&&learns| learns).count();
    let own = without_engine::<f64>(&plain())
        .custom_engine(Box::new(Forgetful(columns)))
        .build()
        .unwrap();
    let error = own.save(&path, &json!(null)).unwrap_err();
    let unsupported = kernel::Error::Unsupported { what: "being saved" };
    assert!(matches!(&error, Error::Kernel(cause) if *cause == unsupported), "{error}");
    let other = Plan::new(&json!({"steps": 1}), vec![]).unwrap();
    container::save(&path, &other, |_| Ok(())).unwrap();
    let message = StoredLearner::new(Reader::open(&path).unwrap()).unwrap_err().to_string();
    assert!(message.contains("not the checkpoint of a learner"), "{message}");
}

/// A rule whose moment is negative, under a name that ends like that of Adam's squares.
#[derive(Debug)]
struct Negative;

impl CustomOptimizer for Negative {
    fn name(&self) -> &'static str {
        "negative"
    }
    fn moments(&self) -> &[&'static str] {
        &["my_second_moment"]
    }
    fn direction(&self, _: u64, _: f64, gradient: f64, moments: &mut [f64]) -> f64 {
        moments[0] = 0.9 * moments[0] - gradient.abs() - 1.0;
        gradient / moments[0]
    }
}

/// A custom rule's moment may have any name: only the library's own second moments are squares.
#[test]
fn a_custom_moment_may_be_negative_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("negative.safetensors");
    let run = Run { updates: Optimizer::custom(0.02, Negative).into(), ..plain() };
    let mut whole = builder::<f64>(&run).build().unwrap();
    (0..6).for_each(|step| advance(&mut whole, &run, step));
    whole.save(&path, &json!(null)).unwrap();
    let optimizer = Some(Optimizer::custom(1.0, Negative));
    let supplies = Supplies { optimizer, ..supplies(1, 0) };
    let mut resumed = StoredLearner::open(&path).unwrap().learner::<f64>(&supplies).unwrap();
    let first = resumed.optimizer_state().map(|(_, moment)| moment.row(0)[0]);
    assert_eq!(first.map(|moment| moment < 0.0).collect::<Vec<_>>(), [true; 2]);
    advance(&mut whole, &run, 6);
    advance(&mut resumed, &run, 6);
    assert_eq!(resumed.first_difference(&whole).unwrap(), None);
}

/// A learner accepts the numbers of updates that a file may hold, and no others.
#[test]
fn updates_that_are_restored_can_be_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.safetensors");
    let mut learner = builder::<f64>(&plain()).build().unwrap();
    let state: Vec<_> =
        learner.optimizer_state().map(|(name, moment)| (name, moment.clone())).collect();
    learner.restore_optimizer(1 << 53, &state).unwrap();
    learner.save(&path, &json!(null)).unwrap();
    let resumed = StoredLearner::open(&path).unwrap().learner::<f64>(&supplies(1, 0)).unwrap();
    assert_eq!(resumed.updates(), 1 << 53);
    let error = learner.restore_optimizer((1 << 53) + 1, &state).unwrap_err();
    assert!(matches!(error, Error::Setting { what: "number of updates", .. }), "{error}");
    assert_eq!(learner.updates(), 1 << 53);
}
