//! What is measured: a shape, what of the work is present, and who does it.

use std::hint::black_box;
use std::num::NonZeroUsize;

use rtrl_bench::peak::Cores;
use rtrl_bench::peers::{Peer, PeerReal, Sensitivities};
use rtrl_kernel::{Eager, Engine, Isa, Layout, Real, Step, Threads};
use rtrl_model::{
    EngineChoice, Error, Generator, InitialWeights, Learner, Network, Optimizer, Regime, Targets,
    Timing,
};

use crate::measure::{measure, seconds};
use crate::record::Record;

/// An engine, alone and in a learner.
pub(crate) struct Candidate<T: Real> {
    name: &'static str,
    alone: Alone<T>,
    choice: EngineChoice,
}

/// Makes an engine from its sizes and the weights that learn.
type Alone<T> = fn(Layout, &[bool], Isa, Threads) -> Result<Box<dyn Engine<T>>, Error>;

/// Every engine that is measured.
pub(crate) fn candidates<T: Real>() -> [Candidate<T>; 1] {
    [Candidate {
        name: "eager",
        alone: |layout, learns, isa, threads| {
            Ok(Box::new(Eager::new(layout, learns, isa, threads)?))
        },
        choice: EngineChoice::Eager,
    }]
}

/// What is present of the work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scenario {
    /// All of it.
    Dense,
    /// Only some of the connections, at random.
    Mask { density: f64 },
    /// Every second unit has slope 0.
    Silent,
    /// Every second unit is forced.
    Forced,
    /// All of it, but weights change only at every so many steps.
    EveryU { steps: NonZeroUsize },
}

impl Scenario {
    /// Those in which the update of p can save work.
    pub(crate) const PARTIAL: [Self; 4] =
        [Self::Mask { density: 0.1 }, Self::Mask { density: 0.5 }, Self::Silent, Self::Forced];

    /// Those in which a whole step can save work.
    pub(crate) const RARE: [Self; 1] = [Self::EveryU { steps: NonZeroUsize::new(64).unwrap() }];

    fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Mask { .. } => "mask",
            Self::Silent => "silent",
            Self::Forced => "forced",
            Self::EveryU { .. } => "every-u",
        }
    }

    fn density(self) -> f64 {
        if let Self::Mask { density } = self { density } else { 1.0 }
    }

    fn update_every(self) -> NonZeroUsize {
        if let Self::EveryU { steps } = self { steps } else { NonZeroUsize::MIN }
    }

    /// Whether unit k has slope 0, and whether it is forced.
    fn is_silent_or_forced(self, k: usize) -> (bool, bool) {
        let every_second = k.is_multiple_of(2);
        (self == Self::Silent && every_second, self == Self::Forced && every_second)
    }
}

/// A shape, on some cores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) units: usize,
    pub(crate) cores: &'a Cores,
    pub(crate) scenario: Scenario,
}

/// Random values for a step.
struct Values<T> {
    weights: Vec<T>,
    slope: Vec<T>,
    lines: Vec<T>,
    error: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    fn step(&self) -> Step<'_, T> {
        Step {
            recurrent: &self.weights,
            stride: self.slope.len(),
            scale: &self.slope,
            injection: &self.slope,
            lines: &self.lines,
            forced: &self.forced,
        }
    }

    /// Operations of equation 5 for `columns` columns, without rows of p that are zero or not looked at.
    fn operations(&self, columns: usize) -> f64 {
        let written = self.slope.iter().filter(|&&slope| slope != T::ZERO).count();
        let read = self.slope.iter().zip(&self.forced);
        let read = read.filter(|&(&slope, &forced)| slope != T::ZERO && !forced).count();
        2.0 * (written * read) as f64 * columns as f64
    }
}

impl Case<'_> {
    fn inputs(self) -> usize {
        if self.units <= 8 { 4 } else { 8 }
    }

    fn lines(self) -> usize {
        self.inputs() + 1 + self.units
    }

    fn threads(self) -> Threads {
        NonZeroUsize::new(self.cores.count()).map_or(Threads::SERIAL, Threads::Exactly)
    }

    fn values<T: Real>(self) -> Values<T> {
        let mut generator = Generator::new(self.units as u64);
        let mut list = |len: usize, bound: f64| -> Vec<T> {
            (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
        };
        let n = self.units;
        let mut slope = list(n, 1.0);
        for (k, slope) in slope.iter_mut().enumerate() {
            if self.scenario.is_silent_or_forced(k).0 {
                *slope = T::ZERO;
            }
        }
        Values {
            weights: list(n * n, 1.0 / (n as f64).sqrt()),
            lines: list(self.lines(), 1.0),
            error: list(n, 0.1),
            forced: (0..n).map(|k| self.scenario.is_silent_or_forced(k).1).collect(),
            slope,
        }
    }

    fn engine<T: Real>(self, candidate: &Candidate<T>) -> Result<Box<dyn Engine<T>>, Error> {
        let layout = Layout::simple(self.units, self.lines())?;
        let mut generator = Generator::new(7);
        let mut learns = || generator.uniform() < self.scenario.density();
        let learns: Vec<bool> = (0..self.units * self.lines()).map(|_| learns()).collect();
        (candidate.alone)(layout, &learns, self.cores.isa(), self.threads())
    }

    /// An engine alone: p moves on by a step that has an error.
    pub(crate) fn advance<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let values = self.values::<T>();
        let mut engine = self.engine(candidate)?;
        let (bytes, operations) = (engine.state_bytes(), values.operations(engine.columns()));
        let step = values.step();
        let time = repeated(|| black_box(engine.advance(&step, Some(&values.error))).is_ok());
        Ok(self.record::<T>("advance", candidate.name, operations, bytes, time))
    }

    /// An engine alone: the gradient is read off after a step that has an error; only the reading counts.
    pub(crate) fn gradient<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let values = self.values::<T>();
        let mut engine = self.engine(candidate)?;
        let bytes = engine.state_bytes();
        let (step, stride) = (values.step(), self.lines());
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
        Ok(self.record::<T>("gradient", candidate.name, 0.0, bytes, time))
    }

    /// The whole real-time step of a learner, with a target for every unit.
    pub(crate) fn step<T: Real>(self, candidate: &Candidate<T>) -> Result<Record, Error> {
        let values = self.values::<T>();
        let network = Network::<T>::builder(self.units, self.inputs())
            .weights(InitialWeights::Normal { gain: 1.0 })
            .isa(self.cores.isa())
            .build()?;
        let every = self.scenario.update_every();
        let mut learner = Learner::builder(network)
            .regime(Regime::RealTime { timing: Timing::Immediate, every })
            .optimizer(Optimizer::sgd(1e-4))
            .engine(candidate.choice)
            .threads(self.threads())
            .build()?;
        let (x, targets) = (&values.lines[..self.inputs()], Targets::All(&values.error));
        let bytes = learner.state_bytes();
        let operations = values.operations(self.units * self.lines());
        let time = repeated(|| learner.step(x, targets).is_ok());
        Ok(self.record::<T>("step", candidate.name, operations, bytes, time))
    }

    /// The bare update by a peer.
    pub(crate) fn peer<T: PeerReal>(self, peer: Peer) -> Record {
        let values = self.values::<T>();
        let mut p = Sensitivities::<T>::new(self.units, self.lines());
        let bytes = p.state_bytes();
        let time = repeated(|| {
            p.advance(peer, self.cores.count(), &values.weights, &values.slope, &values.lines);
            true
        });
        let operations = values.operations(self.units * self.lines());
        self.record::<T>("advance", peer.name(), operations, bytes, time)
    }

    fn record<T: Real>(
        self,
        op: &'static str,
        engine: &'static str,
        operations: f64,
        state_bytes: usize,
        time: impl FnMut(usize) -> f64,
    ) -> Record {
        let update_every = self.scenario.update_every().get();
        let timing = measure::<T>(self.cores, update_every, time);
        let rate = operations / timing.seconds;
        Record {
            op,
            engine,
            scenario: self.scenario.name(),
            density: self.scenario.density(),
            update_every,
            units: self.units,
            inputs: self.inputs(),
            precision: T::NAME,
            threads: self.cores.count(),
            isa: self.cores.isa().name(),
            seconds: timing.seconds,
            p999: timing.p999,
            gflops: rate / 1e9,
            fraction_of_peak: rate / timing.peak,
            state_bytes,
        }
    }
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
