//! Options of a learner that the paper's algorithm does not have, against plain loops: losses, a
//! decay of p, and a readout that learns by least squares.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

mod decay;
mod refusals;

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Activation, EngineChoice, InitialWeights, Learner, Loss, Matrix, Network, Optimizer, Pace,
    Readout, ReadoutWeights, RecursiveLeastSquares, Regime, Targets,
};

use crate::fixtures::{differences, table};

const UNITS: usize = 4;
const INPUTS: usize = 2;
const COLUMNS: usize = INPUTS + 1 + UNITS;
const OUTPUTS: usize = 3;
const FEATURES: usize = UNITS + INPUTS + 1;
const STEPS: usize = 12;

const ENGINES: [EngineChoice; 3] = [
    EngineChoice::Eager,
    EngineChoice::Deferred { window: Some(5), pace: Pace::Bursts },
    EngineChoice::Deferred { window: Some(4), pace: Pace::Even },
];

type Table = Vec<Vec<f64>>;

/// The task: a loss of these outputs.
#[derive(Clone)]
struct Task {
    loss: Loss<f64>,
    /// Without it, the units have the targets.
    readout: bool,
    forcing: bool,
    identity: bool,
}

impl Task {
    fn outputs(&self) -> usize {
        if self.readout { OUTPUTS } else { UNITS }
    }

    /// The targets of step t.
    fn targets(&self, t: usize) -> Vec<Option<f64>> {
        let values = table(STEPS, self.outputs(), 4).swap_remove(t);
        let present = values.iter().enumerate().map(|(k, &value)| match self.loss {
            Loss::SoftmaxCrossEntropy => Some(if k == t % 3 { 0.7 } else { 0.0 }),
            Loss::BinaryCrossEntropy => (!(t + k).is_multiple_of(3)).then_some(value.abs()),
            _ => (!(t + k).is_multiple_of(3)).then_some(value),
        });
        let mut targets: Vec<_> = present.collect();
        if let Loss::SoftmaxCrossEntropy = self.loss {
            targets[(t + 1) % 3] = Some(0.3);
        }
        targets
    }

    /// Only the loss, by its definition, without its derivative.
    fn loss(&self, outputs: &[f64], targets: &[Option<f64>]) -> f64 {
        let whole: f64 = outputs.iter().map(|o| o.exp()).sum();
        let of = |(&o, d): (&f64, &Option<f64>)| {
            let Some(d) = *d else { return 0.0 };
            match self.loss {
                Loss::SquaredError => 0.5 * (d - o) * (d - o),
                Loss::BinaryCrossEntropy => (1.0 + o.exp()).ln() - d * o,
                Loss::SoftmaxCrossEntropy => -d * (o - whole.ln()),
                Loss::Huber { delta } if (d - o).abs() <= delta => 0.5 * (d - o) * (d - o),
                Loss::Huber { delta } => delta * ((d - o).abs() - 0.5 * delta),
                _ => (d - o).powi(4) / 4.0,
            }
        };
        outputs.iter().zip(targets).map(of).sum()
    }

    /// The loss of the whole run with these weights.
    fn total(&self, w: &[Vec<f64>], r: &[Vec<f64>]) -> f64 {
        let (mut y, mut forced) = (vec![0.0; UNITS], vec![None; UNITS]);
        let mut total = 0.0;
        for (t, x) in table(STEPS, INPUTS, 3).iter().enumerate() {
            let fed =
                y.iter().zip(&forced).map(|(&y, forced): (_, &Option<f64>)| forced.unwrap_or(y));
            let z: Vec<f64> = x.iter().copied().chain([1.0]).chain(fed).collect();
            let dot =
                |row: &Vec<f64>, z: &[f64]| -> f64 { row.iter().zip(z).map(|(w, z)| w * z).sum() };
            let f = |s: f64| if self.identity { s } else { s.tanh() };
            y = w.iter().map(|row| f(dot(row, &z))).collect();
            let features: Vec<f64> = y.iter().chain(x).copied().chain([1.0]).collect();
            let targets = self.targets(t);
            let outputs = if self.readout {
                r.iter().map(|row| dot(row, &features)).collect()
            } else {
                y.clone()
            };
            total += self.loss(&outputs, &targets);
            if self.forcing {
                forced = targets;
            }
        }
        total
    }

    fn learner(&self, w: &Table, r: &Table, engine: EngineChoice) -> Learner<f64> {
        let activation = if self.identity { Activation::Identity } else { Activation::Tanh };
        let network = Network::<f64>::builder(UNITS, INPUTS)
            .activation(activation)
            .weights(InitialWeights::given(w.clone()));
        let layer = Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::given(r.clone()));
        let network = if self.readout { network.readout(layer) } else { network };
        Learner::builder(network.build().unwrap())
            .regime(Regime::Epochwise)
            .optimizer(Optimizer::sgd(1.0))
            .teacher_forcing(self.forcing)
            .loss(self.loss.clone())
            .engine(engine)
            .build()
            .unwrap()
    }
}

/// `sum of (d - o)^4 / 4`; `scale` 1 is its error.
fn quartic(scale: f64) -> Loss<f64> {
    Loss::custom("quartic", move |outputs: &[f64], targets, errors| {
        let mut sum = 0.0;
        for (k, error) in errors.iter_mut().enumerate() {
            let rest: f64 = targets.get(k).map_or(0.0, |target| target - outputs[k]);
            *error = scale * rest.powi(3);
            sum += rest.powi(4) / 4.0;
        }
        sum
    })
}

fn tasks() -> Vec<Task> {
    let losses = [
        Loss::SquaredError,
        Loss::BinaryCrossEntropy,
        Loss::SoftmaxCrossEntropy,
        Loss::Huber { delta: 0.2 },
        quartic(1.0),
    ];
    let mut tasks = Vec::new();
    for loss in losses {
        let logits = loss.takes_logits();
        for (readout, forcing) in [(true, false), (false, false), (false, true)] {
            let identity = logits && !readout;
            tasks.push(Task { loss: loss.clone(), readout, forcing, identity });
        }
    }
    tasks
}

/// The relative difference of an epoch's change of W and R from the gradient of `true_task`'s
/// summed loss.
fn gradient_difference(task: &Task, engine: EngineChoice, true_task: &Task) -> f64 {
    let (w, r) = (table(UNITS, COLUMNS, 1), table(OUTPUTS, FEATURES, 2));
    let mut learner = task.learner(&w, &r, engine);
    for (t, x) in table(STEPS, INPUTS, 3).iter().enumerate() {
        learner.step(x, Targets::Some(&task.targets(t))).unwrap();
    }
    learner.end_epoch(&[0.0; UNITS]).unwrap();
    let change = |before: &Table, after: &Matrix<f64>| -> Vec<f64> {
        let pairs = before.concat().into_iter().zip(after.to_rows().concat());
        pairs.map(|(before, after)| before - after).collect()
    };
    let expected = differences(|moved| true_task.total(moved, &r), &w);
    let worst = relative_to_largest(&change(&w, learner.network().weights()), &expected);
    let Some(after) = learner.network().readout_weights() else { return worst };
    let expected = differences(|moved| true_task.total(&w, moved), &r);
    worst.max(relative_to_largest(&change(&r, after), &expected))
}

#[test]
fn an_epoch_descends_the_summed_loss_whatever_the_loss() {
    for task in tasks() {
        for engine in ENGINES {
            let difference = gradient_difference(&task, engine, &task);
            let what = (task.loss.name(), task.readout, task.forcing);
            assert!(difference < 1e-7, "{what:?} {engine:?}: {difference:e}");
        }
    }
    // Negative control.
    let task = Task { loss: quartic(1.0), readout: true, forcing: false, identity: false };
    let faulty = Task { loss: quartic(1.0 + 1e-5), ..task.clone() };
    assert!(gradient_difference(&faulty, EngineChoice::Eager, &task) > 1e-6);
}

fn fitted(streams: usize) -> Learner<f64> {
    let layer = Readout::new(OUTPUTS)
        .with_inputs()
        .weights(ReadoutWeights::given(table(OUTPUTS, FEATURES, 2)))
        .recursive_least_squares(0.97, 0.1);
    let network = Network::<f64>::builder(UNITS, INPUTS)
        .weights(InitialWeights::given(table(UNITS, COLUMNS, 1)))
        .readout(layer)
        .build()
        .unwrap();
    Learner::builder(network)
        .optimizer(Optimizer::sgd(0.05))
        .engine(EngineChoice::Eager)
        .streams(streams)
        .build()
        .unwrap()
}

/// The differences between a run by hand and a learner.
#[derive(Debug, Default)]
struct Fitting {
    outputs: f64,
    /// Whether R was that of the fits after every step.
    same_weights: bool,
    /// Of the gradient of W, with the error through R as it was before the step.
    gradient: f64,
    /// The same with R as it was after the step.
    late_gradient: f64,
}

/// Runs the fits by hand next to a learner, over the streams in the order given by `order`.
fn fit_by_hand(streams: usize, order: impl Fn(usize) -> usize) -> Fitting {
    let mut learner = fitted(streams);
    let row = |row: Vec<f64>| RecursiveLeastSquares::new(row, 0.97, 0.1).unwrap();
    let mut fits: Vec<_> = table(OUTPUTS, FEATURES, 2).into_iter().map(row).collect();
    let (x, d) = (table(40 * streams, INPUTS, 5), table(40 * streams, OUTPUTS, 6));
    let mut found = Fitting { same_weights: true, ..Fitting::default() };
    for t in 0..40 {
        let targets: Vec<Vec<Option<f64>>> = (0..streams)
            .map(|b| d[t * streams + b].iter().enumerate())
            .map(|row| row.map(|(o, &d)| (!(t + o).is_multiple_of(4)).then_some(d)).collect())
            .collect();
        let samples: Vec<_> = (0..streams)
            .map(|b| Some((x[t * streams + b].as_slice(), Targets::Some(&targets[b]))))
            .collect();
        let report = learner.step_streams(&samples).unwrap();
        let (outputs, errors) = (report.outputs.to_vec(), report.errors.to_vec());
        let gradient = report.gradient.unwrap().recurrent().to_rows().concat();
        assert!(report.gradient.unwrap().readout().is_none());
        let features: Vec<Vec<f64>> = (0..streams)
            .map(|b| {
                [learner.state(b).unwrap().values(), x[t * streams + b].as_slice(), &[1.0]].concat()
            })
            .collect();
        let before: Table = fits.iter().map(|fit| fit.weights().to_vec()).collect();
        let predict =
            |b: usize| fits.iter().map(|fit| fit.predict(&features[b]).unwrap()).collect();
        let predicted: Table = (0..streams).map(predict).collect();
        found.outputs = found.outputs.max(relative_to_largest(&outputs, &predicted.concat()));
        for b in (0..streams).map(&order) {
            for (o, fit) in fits.iter_mut().enumerate() {
                if let Some(target) = targets[b][o] {
                    fit.update(&features[b], target).unwrap();
                }
            }
        }
        let after: Table = fits.iter().map(|fit| fit.weights().to_vec()).collect();
        found.same_weights &= learner.network().readout_weights().unwrap().to_rows() == after;
        let by_hand = |r: &Table| {
            let mut sum = vec![0.0; UNITS * COLUMNS];
            for (b, k) in (0..streams).flat_map(|b| (0..UNITS).map(move |k| (b, k))) {
                let error: f64 = (0..OUTPUTS).map(|o| errors[b * OUTPUTS + o] * r[o][k]).sum();
                let p = learner.stream_sensitivities(b, k).unwrap().to_rows().concat();
                sum.iter_mut().zip(p).for_each(|(sum, p)| *sum -= error * p);
            }
            relative_to_largest(&gradient, &sum)
        };
        found.gradient = found.gradient.max(by_hand(&before));
        found.late_gradient = found.late_gradient.max(by_hand(&after));
    }
    found
}

#[test]
fn a_fitted_readout_is_that_of_least_squares_by_hand() {
    for streams in [1, 2] {
        let found = fit_by_hand(streams, |b| b);
        assert!(found.outputs < 1e-12 && found.same_weights, "{streams} streams: {found:?}");
        assert!(found.gradient < 1e-12, "{streams} streams: {found:?}");
        // Negative control: the error was not carried back through the new R.
        assert!(found.late_gradient > 1e-3, "{streams} streams: {found:?}");
    }
    // Negative control: the streams are fitted in their order.
    assert!(!fit_by_hand(2, |b| 1 - b).same_weights);
}
