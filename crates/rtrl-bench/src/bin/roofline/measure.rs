//! How it is measured: samples of the kernel and of the peak in turn.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use rtrl_bench::peak::Cores;
use rtrl_bench::peers::{Peer, PeerReal, Sensitivities};
use rtrl_kernel::{Eager, Engine, Layout, Real, Step, Threads};
use rtrl_model::{Error, Generator, InitialWeights, Learner, Network, Optimizer, Targets};

use crate::record::{Record, median, quantile};

/// Seconds that one measurement takes, at least.
const TIME: f64 = 0.25;

/// Samples of one measurement, at least.
const SAMPLES: usize = 5;

/// Seconds of one sample, at least.
const SAMPLE: f64 = 1e-3;

/// A sample of the peak lasts as long as the one before it, within these bounds.
const PEAK: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// A shape, on some cores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    pub(crate) cores: &'a Cores,
}

/// What is present of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// All of it.
    Dense,
    /// A tenth of the connections, at random.
    Mask10,
    /// Half of the connections, at random.
    Mask50,
    /// Every second unit has slope 0.
    Silent,
    /// Every second unit is forced.
    Forced,
}

impl Scenario {
    /// Those in which work can be saved.
    pub(crate) const PARTIAL: [Self; 4] = [Self::Mask10, Self::Mask50, Self::Silent, Self::Forced];

    fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Mask10 => "mask 0.1",
            Self::Mask50 => "mask 0.5",
            Self::Silent => "silent",
            Self::Forced => "forced",
        }
    }

    fn density(self) -> f64 {
        match self {
            Self::Mask10 => 0.1,
            Self::Mask50 => 0.5,
            _ => 1.0,
        }
    }
}

/// Random values for a step.
struct Values<T> {
    weights: Vec<T>,
    slope: Vec<T>,
    lines: Vec<T>,
    error: Vec<T>,
    forced: Vec<bool>,
}

impl Case<'_> {
    fn lines(self) -> usize {
        self.inputs + 1 + self.units
    }

    fn threads(self) -> Threads {
        NonZeroUsize::new(self.cores.count()).map_or(Threads::SERIAL, Threads::Exactly)
    }

    fn values<T: Real>(self, scenario: Scenario) -> Values<T> {
        let mut generator = Generator::new(self.units as u64);
        let mut list = |len: usize, bound: f64| -> Vec<T> {
            (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
        };
        let n = self.units;
        let mut slope = list(n, 1.0);
        if scenario == Scenario::Silent {
            slope.iter_mut().step_by(2).for_each(|slope| *slope = T::ZERO);
        }
        Values {
            weights: list(n * n, 1.0 / (n as f64).sqrt()),
            lines: list(self.lines(), 1.0),
            error: list(n, 0.1),
            forced: (0..n).map(|k| scenario == Scenario::Forced && k % 2 == 0).collect(),
            slope,
        }
    }

    /// The eager engine alone, with the gradient that is fused into it.
    pub(crate) fn advance<T: Real>(self, scenario: Scenario) -> Result<Record, Error> {
        let values = self.values::<T>(scenario);
        let layout = Layout::simple(self.units, self.lines())?;
        let mut generator = Generator::new(7);
        let weights = self.units * self.lines();
        let learns: Vec<bool> =
            (0..weights).map(|_| generator.uniform() < scenario.density()).collect();
        let mut engine = Eager::<T>::new(layout, &learns, self.cores.isa(), self.threads())?;
        let step = Step {
            recurrent: &values.weights,
            stride: self.units,
            scale: &values.slope,
            injection: &values.slope,
            lines: &values.lines,
            forced: &values.forced,
        };
        let call = || black_box(engine.advance(&step, Some(&values.error))).is_ok();
        let mut record = self.record::<T>("advance", "eager", scenario, weights, call);
        record.state_bytes = engine.state_bytes();
        Ok(record)
    }

    /// The whole real-time step of a learner, with a target for every unit.
    pub(crate) fn step<T: Real>(self) -> Result<Record, Error> {
        let values = self.values::<T>(Scenario::Dense);
        let network = Network::<T>::builder(self.units, self.inputs)
            .weights(InitialWeights::Normal { gain: 1.0 })
            .isa(self.cores.isa())
            .build()?;
        let mut learner = Learner::builder(network)
            .optimizer(Optimizer::sgd(1e-4))
            .threads(self.threads())
            .build()?;
        let (x, targets) = (&values.lines[..self.inputs], Targets::All(&values.error));
        let weights = self.units * self.lines();
        let call = || learner.step(x, targets).is_ok();
        let mut record = self.record::<T>("step", "eager", Scenario::Dense, weights, call);
        record.state_bytes = learner.state_bytes();
        Ok(record)
    }

    /// The bare update by a peer.
    pub(crate) fn peer<T: PeerReal>(self, peer: Peer) -> Record {
        let values = self.values::<T>(Scenario::Dense);
        let mut p = Sensitivities::<T>::new(self.units, self.lines());
        let weights = self.units * self.lines();
        let state_bytes = p.state_bytes();
        let call = || {
            p.advance(peer, self.cores.count(), &values.weights, &values.slope, &values.lines);
            true
        };
        let record = self.record::<T>("advance", peer.name(), Scenario::Dense, weights, call);
        Record { state_bytes, ..record }
    }

    /// Takes samples of `call` and of the peak in turn.
    fn record<T: Real>(
        self,
        op: &'static str,
        engine: &'static str,
        scenario: Scenario,
        columns: usize,
        mut call: impl FnMut() -> bool,
    ) -> Record {
        let mut sample = |calls: usize| {
            let start = Instant::now();
            for _ in 0..calls {
                assert!(call(), "{op} of {engine} failed");
            }
            start.elapsed().as_secs_f64() / calls as f64
        };
        sample(1);
        let calls = calls(sample(1));
        let (mut times, mut peaks) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while times.len() < SAMPLES || start.elapsed().as_secs_f64() < TIME {
            let start = Instant::now();
            times.push(sample(calls));
            peaks.push(self.cores.peak::<T>(start.elapsed().clamp(PEAK[0], PEAK[1])));
        }
        let seconds = median(&mut times);
        let flops = 2.0 * (self.units * self.units) as f64 * columns as f64 / seconds;
        Record {
            op,
            engine,
            scenario: scenario.name(),
            units: self.units,
            inputs: self.inputs,
            precision: T::NAME,
            threads: self.cores.count(),
            isa: self.cores.isa().name(),
            seconds,
            p999: quantile(&mut times, 0.999),
            gflops: flops / 1e9,
            fraction_of_peak: flops / median(&mut peaks),
            state_bytes: 0,
        }
    }
}

/// Calls that make up a sample, if one takes this long.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive count"
)]
fn calls(seconds: f64) -> usize {
    (SAMPLE / seconds).ceil().clamp(1.0, 10_000.0) as usize
}
