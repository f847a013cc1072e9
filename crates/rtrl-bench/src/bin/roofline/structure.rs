//! Networks with structure: blocks found from the connections against one engine for all units.

use rtrl_bench::peak::{Cores, read_bandwidth, time_to_move};
use rtrl_bench::timing::period;
use rtrl_kernel::{Eager, Engine, Jacobian, Pace, Real, Step, Threads, build};
use rtrl_model::{
    EngineChoice, Error, Generator, InitialWeights, Learner, Network, NetworkBuilder, Optimizer,
    Regime, Spec, Targets,
};
use serde::Serialize;

use crate::measure::{measure, seconds};
use crate::record::time;

/// External inputs of every network, unless it says otherwise.
const INPUTS: usize = 8;

/// A network with structure, in float32 on one core, in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Structured {
    name: &'static str,
    states: usize,
    weights: usize,
    blocks: usize,
    /// `advance` with an error and `gradient`: one eager engine with no coefficient of 0.
    full: f64,
    /// The same with the coefficients of the network, of which one engine leaves out zeros.
    whole: f64,
    /// The same in eager blocks.
    divided: f64,
    /// Bytes of the state of one eager engine, and of that in blocks.
    bytes: [usize; 2],
    /// Seconds of a whole step of a learner with one eager engine, one deferred engine, eager
    /// blocks and the engine that is chosen automatically.
    steps: [f64; 4],
}

/// A name in the table, and the network that it stands for.
type Subject = (&'static str, NetworkBuilder<f32>);

fn subjects() -> Vec<Subject> {
    let mut dice = Generator::new(7);
    let mut row = |_| -> Vec<bool> {
        (0..=INPUTS + 128).map(|j| j <= INPUTS || dice.uniform() < 0.05).collect()
    };
    let sparse: Vec<bool> = (0..128).flat_map(&mut row).collect();
    let heads_of = |units| Network::builder(128, INPUTS).heads_of(units);
    let layer = |network: NetworkBuilder<f32>, units| {
        network.weights(InitialWeights::Normal { gain: 1.0 }).layer(units)
    };
    let four = layer(layer(layer(Network::builder(32, INPUTS), 32), 32), 32);
    vec![
        ("dense 128", Network::builder(128, INPUTS)),
        ("2 layers of 64", layer(Network::builder(64, INPUTS), 64)),
        ("4 layers of 32", four),
        ("8 heads of 16", heads_of(16)),
        ("16 columns of 8", heads_of(8)),
        ("64 heads of 2", heads_of(2)),
        ("mask of 5 %", Network::builder(128, INPUTS).connections(sparse)),
        ("diagonal 128", heads_of(1)),
    ]
}

/// All networks, and what they are compared with.
pub(crate) fn measure_all(cores: &Cores) -> Result<Vec<Structured>, Error> {
    println!("\nstructure found from the connections, f32, one core, n = 128, m = {INPUTS}:");
    println!(
        "{:<17}{:>7}{:>11}{:>11}{:>11}{:>9}{:>8}{:>12}{:>11}{:>11}{:>11}",
        "network",
        "blocks",
        "full",
        "one",
        "blocks",
        "of full",
        "of P",
        "step: eager",
        "deferred",
        "blocks",
        "auto"
    );
    let mut all = Vec::new();
    for (name, network) in subjects() {
        let structured = Structured::measure(cores, name, network)?;
        structured.print();
        all.push(structured);
    }
    columns(cores, &all)?;
    diagonal(cores)?;
    Ok(all)
}

impl Structured {
    fn measure(
        cores: &Cores,
        name: &'static str,
        network: NetworkBuilder<f32>,
    ) -> Result<Self, Error> {
        let network = network.weights(InitialWeights::Normal { gain: 1.0 });
        let network = network.isa(cores.isa()).build()?;
        let learner = |choice| Learner::builder(network.clone()).engine(choice);
        let (layout, learning, isa) = (network.layout(), network.learning(), network.isa());
        let spec = learner(EngineChoice::Eager).threads(Threads::SERIAL).build()?.engine_spec();
        let plan = learner(EngineChoice::Eager).threads(Threads::SERIAL).build()?.engine_plan()?;
        let values = Values::new(&network)?;
        let one = || Eager::<f32>::new(layout, &learning, isa, Threads::SERIAL);
        let divided = build(&spec, layout, &learning, isa, Threads::SERIAL)?;
        let bytes = [one()?.state_bytes(), divided.state_bytes()];
        let shape = (layout.rows(), network.weights().as_slice().1);
        let time = |engine: Box<dyn Engine<f32>>, full| values.time(cores, shape, engine, full);
        let (full, whole) = (time(Box::new(one()?), true), time(Box::new(one()?), false));
        let divided = time(divided, false);
        let window = EngineChoice::default_window(layout, Regime::real_time());
        let deferred = Spec::Deferred { window, pace: Pace::Bursts };
        let deferred = build(&deferred, layout, &learning, isa, Threads::SERIAL)?;
        let custom = |engine| Learner::builder(network.clone()).custom_engine(engine);
        let builders = [
            custom(Box::new(one()?)),
            custom(deferred),
            learner(EngineChoice::Eager),
            learner(EngineChoice::Auto),
        ];
        let mut steps = [0.0; 4];
        for (seconds, builder) in steps.iter_mut().zip(builders) {
            let builder = builder.optimizer(Optimizer::sgd(1e-4)).threads(Threads::SERIAL);
            *seconds = step(cores, &mut builder.build()?)?;
        }
        Ok(Self {
            name,
            states: layout.states(),
            weights: plan.blocks.iter().map(|block| block.weights).sum(),
            blocks: plan.blocks.len(),
            full,
            whole,
            divided,
            bytes,
            steps,
        })
    }

    fn print(&self) {
        let Self { name, blocks, full, whole, divided, bytes, steps, .. } = self;
        let [of_full, of_p] = [divided / full, bytes[1] as f64 / bytes[0] as f64];
        let [full, whole, divided] = [full, whole, divided].map(|seconds| time(*seconds));
        let [eager, deferred, own, auto] = steps.map(time);
        println!(
            "{name:<17}{blocks:>7}{full:>11}{whole:>11}{divided:>11}{of_full:>9.4}{of_p:>8.3}\
             {eager:>12}{deferred:>11}{own:>11}{auto:>11}"
        );
    }
}

/// Random values for a step of an engine.
struct Values {
    /// States x states: all of them, and those that can differ from 0.
    jacobians: [Vec<f32>; 2],
    ones: Vec<f32>,
    injection: Vec<f32>,
    z: Vec<f32>,
    error: Vec<f32>,
    forced: Vec<bool>,
}

impl Values {
    fn new(network: &Network<f32>) -> Result<Self, Error> {
        let n = network.layout().states();
        let mut generator = Generator::new(n as u64);
        let mut list = |len: usize, bound: f64| -> Vec<f32> {
            (0..len).map(|_| f32::from_f64(generator.between(-bound, bound))).collect()
        };
        let full = list(n * n, 1.0 / (n as f64).sqrt());
        let mut own = full.clone();
        if let Some(pattern) = network.pattern()? {
            for (k, row) in own.chunks_exact_mut(n).enumerate() {
                let zeros = row.iter_mut().enumerate().filter(|&(l, _)| !pattern.contains(k, l));
                zeros.for_each(|(_, entry)| *entry = 0.0);
            }
        }
        Ok(Self {
            jacobians: [full, own],
            ones: vec![1.0; n],
            injection: list(network.layout().drives().len(), 1.0),
            z: list(network.layout().z_len(), 1.0),
            error: list(n, 0.1),
            forced: vec![false; n],
        })
    }

    /// The time of `advance` with an error and of `gradient`, in a matrix of `rows` rows that are
    /// `stride` apart.
    fn time(
        &self,
        cores: &Cores,
        (rows, stride): (usize, usize),
        mut engine: Box<dyn Engine<f32>>,
        full: bool,
    ) -> f64 {
        let jacobian = &self.jacobians[usize::from(!full)];
        let step = Step {
            jacobian: Jacobian::scaled(jacobian, self.ones.len(), &self.ones),
            injection: &self.injection,
            z: &self.z,
            forced: &self.forced,
        };
        let mut gradient = vec![0.0; rows * stride];
        let work = |calls| {
            seconds(|| {
                for _ in 0..calls {
                    let done = engine.advance(&step, Some(&self.error));
                    let read = done.and_then(|()| engine.gradient(&mut gradient, stride));
                    assert!(read.is_ok(), "what is measured failed");
                }
            })
        };
        measure::<f32>(cores, 1, work).seconds
    }
}

/// The time of a whole step with a target for every unit.
fn step(cores: &Cores, learner: &mut Learner<f32>) -> Result<f64, Error> {
    let mut generator = Generator::new(5);
    let mut list = |len: usize| -> Vec<f32> {
        (0..len).map(|_| f32::from_f64(generator.between(-0.5, 0.5))).collect()
    };
    let (input, target) = (list(learner.network().inputs()), list(learner.network().outputs()));
    let period = period(&learner.engine_plan()?);
    let work = |calls| {
        seconds(|| {
            for _ in 0..calls {
                let done = learner.step(&input, Targets::All(&target));
                assert!(done.is_ok(), "what is measured failed");
            }
        })
    };
    Ok(measure::<f32>(cores, period, work).seconds)
}

/// Columns of 8 units in one learner against a learner for each.
fn columns(cores: &Cores, all: &[Structured]) -> Result<(), Error> {
    let network = Network::builder(8, INPUTS).weights(InitialWeights::Normal { gain: 1.0 });
    let network = network.isa(cores.isa()).build()?;
    let learner = |_| {
        let learner = Learner::builder(network.clone()).engine(EngineChoice::Eager);
        learner.optimizer(Optimizer::sgd(1e-4)).threads(Threads::SERIAL).build()
    };
    let mut learners = (0..16).map(learner).collect::<Result<Vec<_>, _>>()?;
    let work = |calls| {
        seconds(|| {
            for _ in 0..calls {
                for learner in &mut learners {
                    let done = learner.step(&[0.3; INPUTS], Targets::All(&[0.1; 8]));
                    assert!(done.is_ok(), "what is measured failed");
                }
            }
        })
    };
    let apart = measure::<f32>(cores, 1, work).seconds;
    let together = all.iter().find(|s| s.name == "16 columns of 8").map(|s| s.steps[2]);
    if let Some(together) = together {
        println!(
            "\n16 columns of 8 units: {} in one learner, {} in 16 learners, {:.2} times that",
            time(together),
            time(apart),
            together / apart
        );
    }
    Ok(())
}

/// 4096 units that see 16 inputs, the bias and themselves: the engine alone, and a whole learner.
fn diagonal(cores: &Cores) -> Result<(), Error> {
    let (units, inputs) = (4096, 16);
    let network = Network::<f32>::builder(units, inputs).heads_of(1);
    let network = network.weights(InitialWeights::Normal { gain: 1.0 }).isa(cores.isa()).build()?;
    let learner = || Learner::builder(network.clone()).optimizer(Optimizer::sgd(1e-4));
    let mut learner = learner().threads(Threads::SERIAL).build()?;
    let (layout, learning, spec) = (network.layout(), network.learning(), learner.engine_spec());
    let mut engine = build::<f32>(&spec, layout, &learning, cores.isa(), Threads::SERIAL)?;
    let (weights, stride) = network.weights().as_slice();
    let slopes = vec![0.5f32; units];
    let jacobian = Jacobian::scaled(&weights[inputs + 1..], stride, &slopes).with_heads(units, 1);
    let step = Step {
        jacobian,
        injection: &slopes,
        z: &vec![0.25; layout.z_len()],
        forced: &vec![false; units],
    };
    // As the matrix of a learner, it starts on a cache line.
    let (error, mut gradient) = (vec![0.1f32; units], vec![0.0f32; units * stride + 16]);
    let first = gradient.as_ptr().align_offset(64).min(16);
    let gradient = &mut gradient[first..][..units * stride];
    let work = |calls| {
        seconds(|| {
            for _ in 0..calls {
                // As a learner does.
                let into = (&mut *gradient, stride);
                let read = match engine.advance_into(&step, &error, into) {
                    Ok(false) => engine.gradient(gradient, stride),
                    done => done.map(drop),
                };
                assert!(read.is_ok(), "what is measured failed");
            }
        })
    };
    let alone = measure::<f32>(cores, 1, work).seconds;
    let whole = self::step(cores, &mut learner)?;
    let bytes = engine.weights() * size_of::<f32>();
    let (read, moved) = (bytes as f64 / read_bandwidth(bytes, 1), time_to_move(bytes));
    println!(
        "diagonal, n = {units}, m = {inputs}, one read of p ({:.2} MB) {}: advance and gradient {}, \
         {:.1} times that; step {}, {:.1} times that",
        bytes as f64 / 1e6,
        time(read),
        time(alone),
        alone / read,
        time(whole),
        whole / read
    );
    println!(
        "changing as many numbers in place and writing as many {}, {:.1} times that; advance and \
         gradient {:.2} times as long, step {:.2} times",
        time(moved),
        moved / read,
        alone / moved,
        whole / moved
    );
    Ok(())
}
