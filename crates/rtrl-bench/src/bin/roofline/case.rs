//! A measurement: a shape, a scenario and a candidate.

use std::hint::black_box;

use rtrl_bench::peak::Cores;
use rtrl_bench::peers::{Peer, PeerReal, Sensitivities};
use rtrl_bench::timing::{common_period, period, window};
use rtrl_kernel::{Engine, Layout, Real, Threads};
use rtrl_model::{
    EngineChoice, Error, InitialWeights, Learner, Network, Optimizer, Regime, Targets, Timing,
};

use crate::candidate::Candidate;
use crate::measure::{Measured, measure, seconds};
use crate::record::Record;
use crate::scenario::Scenario;
use crate::timed::{Stopwatch, Timed};
use crate::values::Values;

/// A shape, on some cores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) units: usize,
    pub(crate) cores: &'a Cores,
    pub(crate) scenario: Scenario,
}

impl Case<'_> {
    fn inputs(self) -> usize {
        if self.units <= 8 { 4 } else { 8 }
    }

    fn width(self) -> usize {
        self.inputs() + 1 + self.units
    }

    /// The network of a whole step.
    fn network<T: Real>(self) -> Result<Network<T>, Error> {
        let (cell, weights) = (self.scenario.cell(), InitialWeights::Normal { gain: 1.0 });
        let upper = if self.scenario == Scenario::Chain { self.units / 2 } else { 0 };
        let mut network = Network::builder(self.units - upper, self.inputs())
            .cell(cell)
            .weights(weights.clone())
            .isa(self.cores.isa());
        if upper > 0 {
            network = network.layer(upper).cell(cell).weights(weights);
        }
        network.build()
    }

    fn layout(self) -> Result<Layout, Error> {
        if Scenario::CELLS.contains(&self.scenario) {
            return Ok(self.network::<f32>()?.layout().clone());
        }
        Ok(Layout::simple(self.units, self.width())?)
    }

    fn regime(self) -> Regime {
        Regime::RealTime { timing: Timing::Immediate, every: self.scenario.update_every() }
    }

    fn values<T: Real>(self) -> Values<T> {
        Values::new(self.units, self.width(), self.scenario)
    }

    /// Steps in a window of the engine, 1 if it has none.
    pub(crate) fn window(self, choice: EngineChoice) -> Result<usize, Error> {
        Ok(window(choice, &self.layout()?, self.regime()))
    }

    /// Steps after which the work repeats.
    fn period(self, choice: EngineChoice) -> Result<usize, Error> {
        let rare = common_period(self.scenario.update_every(), self.scenario.target_every());
        Ok(common_period(self.window(choice)?, rare))
    }

    /// An engine alone uses all the cores, however small the work.
    fn engine<T: Real>(
        self,
        candidate: &Candidate<T>,
        values: &Values<T>,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        let threads = Threads::Exactly(self.cores.count());
        (candidate.alone)(&self.layout()?, &values.present, self.cores.isa(), threads)
    }

    /// A learner uses only as many cores as make the step faster.
    pub(crate) fn learner<T: Real>(self, choice: EngineChoice) -> Result<Learner<T>, Error> {
        let threads = if self.cores.count() == 1 { Threads::SERIAL } else { Threads::Auto };
        Learner::builder(self.network()?)
            .regime(self.regime())
            .optimizer(Optimizer::sgd(1e-4))
            .engine(choice)
            .threads(threads)
            .build()
    }

    /// An engine alone: p advances by a step with an error.
    pub(crate) fn advance<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let values = self.values::<T>();
        let mut engine = self.engine(candidate, &values)?;
        let (bytes, operations) = (engine.state_bytes(), values.operations(engine.weights()));
        let step = values.step();
        let time = repeated(|| black_box(engine.advance(&step, Some(&values.error))).is_ok());
        let measured = measure::<T>(self.cores, self.period(candidate.choice)?, time);
        let record = self.record::<T>("advance", candidate.name, operations, bytes, &measured);
        self.of_engine(record, candidate.choice)
    }

    /// The share of the engine in the steps of a network, without the gradient.
    pub(crate) fn advance_in_steps<T: Real>(
        self,
        candidate: &Candidate<T>,
    ) -> Result<Record, Error> {
        let network = self.network::<T>()?;
        let threads = Threads::Exactly(self.cores.count());
        let engine =
            (candidate.alone)(network.layout(), &network.learning(), self.cores.isa(), threads)?;
        let (bytes, columns) = (engine.state_bytes(), engine.weights());
        let stopwatch = Stopwatch::default();
        let engine = Timed::new(engine, stopwatch.clone());
        let mut learner = Learner::builder(network)
            .optimizer(Optimizer::sgd(1e-4))
            .custom_engine(Box::new(engine))
            .build()?;
        // One step shows which entries of the Jacobian there are.
        assert!(self.stepper(&mut learner)(), "what is measured failed");
        let operations = operations(&learner, columns)?;
        stopwatch.take();
        let mut step = self.stepper(&mut learner);
        let time = |calls| {
            assert!((0..calls).all(|_| step()), "what is measured failed");
            stopwatch.take()
        };
        let measured = measure::<T>(self.cores, self.period(candidate.choice)?, time);
        let record = self.record::<T>("advance", candidate.name, operations, bytes, &measured);
        self.of_engine(record, candidate.choice)
    }

    /// An engine alone: the gradient is read after a step with an error; only the reading counts.
    pub(crate) fn gradient<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let values = self.values::<T>();
        let mut engine = self.engine(candidate, &values)?;
        let bytes = engine.state_bytes();
        let (step, stride) = (values.step(), self.width());
        let mut gradient = vec![T::ZERO; self.units * stride];
        let mut once = || {
            let advanced = engine.advance(&step, Some(&values.error)).is_ok();
            let mut read = false;
            let seconds =
                seconds(|| read = engine.gradient(black_box(&mut gradient), stride).is_ok());
            assert!(advanced && read, "the engine failed");
            seconds
        };
        let time = |calls| (0..calls).map(|_| once()).sum();
        let measured = measure::<T>(self.cores, self.period(candidate.choice)?, time);
        let record = self.record::<T>("gradient", candidate.name, 0.0, bytes, &measured);
        self.of_engine(record, candidate.choice)
    }

    /// The whole real-time step of a learner, with a target for every unit.
    pub(crate) fn step<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let mut learner = self.learner::<T>(candidate.choice)?;
        let bytes = learner.state_bytes();
        // Blocks may have windows of different lengths.
        let rare = common_period(self.scenario.update_every(), self.scenario.target_every());
        let period = common_period(period(&learner.engine_plan()?), rare);
        let measured = measure::<T>(self.cores, period, repeated(self.stepper(&mut learner)));
        self.step_record::<T>(candidate.name, candidate.choice, bytes, &measured)
    }

    /// Takes one step after the other and says whether it succeeded.
    pub(crate) fn stepper<T: Real>(self, learner: &mut Learner<T>) -> impl FnMut() -> bool {
        let values = self.values::<T>();
        let (inputs, target_every) = (self.inputs(), self.scenario.target_every());
        let mut t = 0usize;
        move || {
            t += 1;
            let has_target = t.is_multiple_of(target_every);
            let targets = if has_target { Targets::All(&values.error) } else { Targets::None };
            learner.step(&values.z[..inputs], targets).is_ok()
        }
    }

    /// The record of whole steps.
    pub(crate) fn step_record<T: Real>(
        self,
        engine: &'static str,
        choice: EngineChoice,
        bytes: usize,
        measured: &Measured,
    ) -> Result<Record, Error> {
        // A deferred engine does other operations than equation 5 for cells and layers, and their
        // number is that of no single layer.
        let operations = if Scenario::CELLS.contains(&self.scenario) {
            0.0
        } else {
            self.values::<T>().operations(self.units * self.width())
        };
        let record = self.record::<T>("step", engine, operations, bytes, measured);
        let auto = EngineChoice::for_shape(&self.layout()?, self.regime());
        let record = Record { auto: Some(choice == auto), ..record };
        self.of_engine(record, choice)
    }

    /// The bare update by a peer.
    pub(crate) fn peer<T: PeerReal>(self, peer: Peer) -> Record {
        let values = self.values::<T>();
        let mut p = Sensitivities::<T>::new(self.units, self.width());
        let bytes = p.state_bytes();
        let time = repeated(|| {
            p.advance(peer, self.cores.count(), &values.weights, &values.slope, &values.z);
            true
        });
        let measured = measure::<T>(self.cores, 1, time);
        let operations = values.operations(self.units * self.width());
        self.record::<T>("advance", peer.name(), operations, bytes, &measured)
    }

    /// Adds the window of an engine that has one.
    fn of_engine(self, record: Record, choice: EngineChoice) -> Result<Record, Error> {
        let window = Some(self.window(choice)?).filter(|&steps| steps > 1);
        Ok(Record { window, ..record })
    }

    fn record<T: Real>(
        self,
        op: &'static str,
        engine: &'static str,
        operations: f64,
        state_bytes: usize,
        measured: &Measured,
    ) -> Record {
        let rate = operations / measured.seconds;
        Record {
            op,
            engine,
            scenario: self.scenario.name(),
            density: self.scenario.density(),
            update_every: self.scenario.update_every(),
            target_every: self.scenario.target_every(),
            window: None,
            auto: None,
            units: self.units,
            inputs: self.inputs(),
            precision: T::NAME,
            threads: self.cores.count(),
            isa: self.cores.isa().name(),
            seconds: measured.seconds,
            p999: measured.p999,
            median_step: None,
            worst_phase: None,
            gflops: rate / 1e9,
            fraction_of_peak: rate / measured.peak,
            state_bytes,
        }
    }
}

/// Operations of equation 5 for `columns` columns: those of the entries of the Jacobian of the last
/// step that are not 0.
fn operations<T: Real>(learner: &Learner<T>, columns: usize) -> Result<f64, Error> {
    let jacobian = learner.network().jacobian(learner.state(0)?)?;
    let entries = (0..jacobian.rows()).flat_map(|k| jacobian.row(k));
    let coefficients = entries.filter(|&&entry| entry != T::ZERO).count();
    Ok(rtrl_kernel::cost::eager(coefficients, columns) as f64)
}

/// Times many calls, each of which must succeed, as one.
fn repeated(mut call: impl FnMut() -> bool) -> impl FnMut(usize) -> f64 {
    move |calls| {
        seconds(|| {
            for _ in 0..calls {
                assert!(call(), "what is measured failed");
            }
        })
    }
}
