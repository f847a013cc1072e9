//! Training runs of all kinds. Inputs, targets, resets and the ends of epochs are a function of the
//! number of the step, so that a run can be resumed anywhere.

use rtrl_model::{
    Activation, Cell, Engine, EngineChoice, Error, Generator, InitialWeights, Learner,
    LearnerBuilder, Matrix, Network, Optimizer, Pace, Readout, Real, Recovery, Regime, Sample,
    Targets, Threads, Timing, kernel,
};
use rtrl_mpi::Ranks;
use rtrl_mpi::mpi::traits::Equivalence;

pub(crate) const STEPS: u64 = 200;

/// A kind of run.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a property that runs combine")]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    units: usize,
    /// Units of a head; 0 for none.
    heads: usize,
    cell: Cell,
    /// Units of a simple layer on top, with a readout.
    above: usize,
    regime: Regime,
    forcing: bool,
    masked: bool,
    streams: usize,
    /// Whether a readout learns by least squares.
    fitted: bool,
    /// Whether p overflows again and again, in some columns before others.
    expanding: bool,
}

const PLAIN: Task = Task {
    name: "simple",
    units: 19,
    heads: 0,
    cell: Cell::Simple,
    above: 0,
    regime: Regime::RealTime { timing: Timing::Immediate, every: 1 },
    forcing: false,
    masked: false,
    streams: 1,
    fitted: false,
    expanding: false,
};

pub(crate) const TASKS: [Task; 12] = [
    PLAIN,
    Task { name: "lstm", units: 5, cell: Cell::Lstm, ..PLAIN },
    Task { name: "two layers", units: 5, cell: Cell::Gru, above: 4, ..PLAIN },
    Task { name: "forced", units: 9, forcing: true, ..PLAIN },
    Task { name: "masked", units: 12, masked: true, ..PLAIN },
    Task { name: "masked lstm", units: 6, cell: Cell::Lstm, masked: true, ..PLAIN },
    Task { name: "heads", units: 8, heads: 4, ..PLAIN },
    Task { name: "three streams", units: 7, streams: 3, ..PLAIN },
    Task { name: "least squares", units: 10, fitted: true, ..PLAIN },
    Task {
        name: "every five, late",
        regime: Regime::RealTime { timing: Timing::AfterNextStep, every: 5 },
        ..PLAIN
    },
    Task { name: "epochs", units: 8, regime: Regime::Epochwise, streams: 2, ..PLAIN },
    Task { name: "expanding", units: 6, expanding: true, ..PLAIN },
];

/// The engines: eager, deferred with full and partial windows at the end, automatic.
pub(crate) const ENGINES: [EngineChoice; 3] = [
    EngineChoice::Eager,
    EngineChoice::Deferred { window: Some(7), pace: Pace::Bursts },
    EngineChoice::Auto,
];

const INPUTS: usize = 2;

impl Task {
    pub(crate) fn network<T: Real>(self) -> Network<T> {
        let mut builder = Network::<T>::builder(self.units, INPUTS).cell(self.cell).seed(5);
        if self.heads > 0 {
            builder = builder.heads_of(self.heads);
        }
        if self.masked {
            let blocks = if self.cell == Cell::Simple { 1 } else { 4 };
            let (rows, columns) = (self.units * blocks, INPUTS + 1 + self.units);
            let mut generator = Generator::new(3);
            let mut mask = |odds: usize| -> Vec<Vec<bool>> {
                let mut draw = |i: usize| i != 2 && generator.below(odds) == 0;
                (0..rows).map(|i| (0..columns).map(|_| draw(i)).collect()).collect()
            };
            // Row 2 has no weight at all, and the last ones do not learn.
            let (present, mut frozen) = (mask(2), mask(5));
            frozen[rows - 2..].iter_mut().for_each(|row| row.fill(true));
            builder = builder.connections(present).frozen(frozen);
        }
        if self.expanding {
            builder = builder
                .activation(sawtooth())
                .weights(InitialWeights::given(expanding(self.units)));
        }
        if self.above > 0 {
            builder = builder.layer(self.above).readout(Readout::new(2));
        }
        if self.fitted {
            builder = builder.readout(Readout::new(2).recursive_least_squares(0.99, 1.0));
        }
        builder.build().unwrap()
    }

    pub(crate) fn builder<T: Real>(self, network: Network<T>) -> LearnerBuilder<T> {
        let rate = if self.expanding { 0.0 } else { 0.02 };
        Learner::builder(network)
            .regime(self.regime)
            .teacher_forcing(self.forcing)
            .streams(self.streams)
            .recovery(Recovery { reset_sensitivities: true, skip_updates: true })
            .optimizer(if self.fitted { Optimizer::sgd(rate) } else { Optimizer::adam(rate) })
    }

    pub(crate) fn regime(self) -> Regime {
        self.regime
    }

    /// The learner of one process.
    pub(crate) fn whole<T: Real>(self, choice: EngineChoice) -> Learner<T> {
        let network = self.network();
        let engine = undivided(&network, self.regime, choice);
        self.builder(network).custom_engine(engine).threads(Threads::SERIAL).build().unwrap()
    }

    /// The same on several ranks.
    pub(crate) fn sharded<T: Real + Equivalence>(
        self,
        ranks: &Ranks,
        engine: EngineChoice,
    ) -> Learner<T> {
        ranks.build(self.builder(self.network()), engine, Threads::SERIAL).unwrap()
    }

    /// The same around a custom engine, which is built for the whole network.
    pub(crate) fn custom<T: Real>(
        self,
        engine: impl FnOnce(&Network<T>) -> Box<dyn Engine<T>>,
    ) -> LearnerBuilder<T> {
        let network = self.network();
        let engine = engine(&network);
        self.builder(network).custom_engine(engine)
    }

    /// Takes the next step. Returns its bits: outputs, loss, gradient and whether weights changed.
    pub(crate) fn advance<T: Real>(self, learner: &mut Learner<T>) -> Result<Vec<u64>, Error> {
        let step = learner.steps();
        let mut generator = Generator::new(step);
        let outputs = learner.network().outputs();
        let mut bits = Vec::new();
        if step % 41 == 40 {
            let state = vec![T::from_f64(0.1); learner.network().layout().states()];
            match self.regime {
                Regime::Epochwise => learner.end_epoch(&state)?,
                Regime::RealTime { .. } => {
                    learner.reset_stream(generator.below(self.streams), &state)?;
                }
            }
        }
        if step % 17 == 9 && self.regime != Regime::real_time() {
            let sum = learner.accumulated_gradient()?;
            let values = sum.into_iter().flat_map(|sum| sum.recurrent().iter_rows().flatten());
            bits.extend(values.map(|&g| bits_of(g)));
        }
        let mut draw = || T::from_f64(generator.between(-0.7, 0.7));
        let drawn: Vec<_> = (0..self.streams)
            .map(|b| {
                let x = [draw(), draw()];
                let d: Vec<_> = (0..outputs).map(|o| (draw(), (o + b) % 3 > 0)).collect();
                (x, d)
            })
            .map(|(x, d)| {
                let quiet = step % 4 == 3;
                let target = |(d, has): (T, bool)| (has && !quiet).then_some(d);
                (x, d.into_iter().map(target).collect::<Vec<_>>())
            })
            .collect();
        let rests = |b: usize| self.streams > 1 && step % 5 == b as u64;
        let samples: Vec<Option<Sample<'_, T>>> = drawn
            .iter()
            .enumerate()
            .map(|(b, (x, d))| (!rests(b)).then_some((x.as_slice(), Targets::Some(d))))
            .collect();
        let report = learner.step_streams(&samples)?;
        bits.extend(report.outputs.iter().chain([&report.loss]).map(|&value| bits_of(value)));
        if let Some(gradient) = report.gradient {
            bits.extend(gradient.recurrent().iter_rows().flatten().map(|&g| bits_of(g)));
        }
        bits.extend([report.updated.into(), report.recoveries.resets]);
        Ok(bits)
    }
}

/// The engine of one process for all weight rows together, as ranks divide it.
pub(crate) fn undivided<T: Real>(
    network: &Network<T>,
    regime: Regime,
    choice: EngineChoice,
) -> Box<dyn Engine<T>> {
    let spec = choice.undivided(network, regime).unwrap();
    let (layout, learns) = (network.layout(), network.learning());
    kernel::build(&spec, layout, &learns, network.isa(), Threads::SERIAL).unwrap()
}

/// A function with values from -1 to 1 and the derivative 1: p grows without bounds, y does not.
pub(crate) fn sawtooth() -> Activation {
    Activation::custom("sawtooth", |s| s - 2.0 * s.midpoint(1.0).floor(), |_| 1.0)
}

/// Weights of units that see only themselves, the last ones more strongly: their sensitivities
/// overflow first.
fn expanding(units: usize) -> Vec<Vec<f64>> {
    let row = |i: usize| {
        let mut row = vec![0.0; INPUTS + 1 + units];
        row[0] = 0.5;
        row[INPUTS + 1 + i] = 2.0 + 3.0 * i as f64;
        row
    };
    (0..units).map(row).collect()
}

pub(crate) fn bits_of<T: Real>(value: T) -> u64 {
    value.to_f64().to_bits()
}

/// The bits of the weights, of the readout and of the optimiser.
pub(crate) fn state_bits<T: Real>(learner: &Learner<T>) -> Vec<u64> {
    let network = learner.network();
    let matrices = [Some(network.weights()), network.readout_weights()];
    let mut bits: Vec<u64> = Vec::new();
    for matrix in matrices.into_iter().flatten().chain(learner.optimizer_state().map(|(_, m)| m)) {
        bits.extend(matrix.iter_rows().flatten().map(|&value| bits_of(value)));
    }
    for b in 0..learner.streams() {
        bits.extend(learner.state(b).unwrap().values().iter().map(|&value| bits_of(value)));
    }
    bits.extend([learner.steps(), learner.updates(), learner.recoveries().resets]);
    bits
}

/// The bits of p, of every stream.
pub(crate) fn sensitivity_bits<T: Real>(learner: &Learner<T>) -> Vec<u64> {
    let states = learner.network().layout().states();
    let all = (0..learner.streams()).flat_map(|b| (0..states).map(move |k| (b, k)));
    let rows = all.map(|(b, k)| learner.stream_sensitivities(b, k).unwrap());
    let row_bits = |row: Matrix<T>| row.iter_rows().flatten().map(|&p| bits_of(p)).collect();
    rows.flat_map(|row| -> Vec<u64> { row_bits(row) }).collect()
}
