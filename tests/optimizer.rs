//! From the gradient to the weights in a learner that runs: every optimiser, with clipping,
//! schedules, weight decay and a separate rate for the readout, against the formulas written out on
//! one flat list.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod spectral;

use std::f64::consts::PI;
use std::num::NonZeroU64;

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Clipping, Error, Generator, InitialWeights, Learner, Matrix, Network, Optimizer, Quantity,
    RateSchedule, Readout, ReadoutWeights, Targets, UpdateSettings,
};

const UNITS: usize = 5;
const INPUTS: usize = 2;
const OUTPUTS: usize = 3;
/// Columns of W, and as it happens of R.
const COLUMNS: usize = INPUTS + 1 + UNITS;
const STEPS: usize = 14;

fn table(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut generator = Generator::new(seed);
    let mut row = || (0..columns).map(|_| generator.between(-0.7, 0.7)).collect();
    (0..rows).map(|_| row()).collect()
}

fn mask(seed: u64) -> Vec<Vec<bool>> {
    let rows = table(UNITS, COLUMNS, seed);
    rows.into_iter().map(|row| row.into_iter().map(|value| value > -0.3).collect()).collect()
}

/// A network with a readout on units and inputs.
fn network() -> Network<f64> {
    let readout = ReadoutWeights::given(table(OUTPUTS, COLUMNS, 2));
    Network::<f64>::builder(UNITS, INPUTS)
        .weights(InitialWeights::given(table(UNITS, COLUMNS, 1)))
        .readout(Readout::new(OUTPUTS).with_inputs().weights(readout))
        .build()
        .unwrap()
}

/// W and R as one list.
fn flat(recurrent: &Matrix<f64>, readout: Option<&Matrix<f64>>) -> Vec<f64> {
    let rows = |matrix: &Matrix<f64>| matrix.to_rows().concat();
    [rows(recurrent), readout.map(rows).unwrap_or_default()].concat()
}

fn weights(learner: &Learner<f64>) -> Vec<f64> {
    flat(learner.network().weights(), learner.network().readout_weights())
}

/// One step with inputs and targets of step t; the gradient.
fn step(learner: &mut Learner<f64>, t: usize) -> Vec<f64> {
    let (x, d) = (table(STEPS, INPUTS, 3), table(STEPS, OUTPUTS, 4));
    let report = learner.step(&x[t], Targets::All(&d[t])).unwrap();
    assert!(report.updated);
    let gradient = report.gradient.unwrap();
    flat(gradient.recurrent(), gradient.readout())
}

/// The factor of the schedules below, as their authors write it.
fn factor(schedule: &RateSchedule, u: i32) -> f64 {
    let time = f64::from(u);
    match schedule {
        RateSchedule::Constant => 1.0,
        RateSchedule::Step { every, factor } => {
            factor.powi(u / i32::try_from(every.get()).unwrap())
        }
        RateSchedule::InverseTime { decay } => 1.0 / (1.0 + decay * time),
        RateSchedule::Cosine { updates, floor } => {
            let part = (time / updates.get() as f64).min(1.0);
            floor + 0.5 * (1.0 - floor) * (1.0 + (PI * part).cos())
        }
        _ => 1.0 / (1.0 + time * time),
    }
}

/// The update chain, number by number.
struct Plain {
    settings: UpdateSettings,
    w: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
    updates: i32,
}

impl Plain {
    fn new(settings: UpdateSettings, w: Vec<f64>) -> Self {
        let zeros = vec![0.0; w.len()];
        Self { settings, m: zeros.clone(), v: zeros, w, updates: 0 }
    }

    fn clip(&self, g: &mut [f64]) {
        let Clipping { value, norm } = self.settings.clipping;
        if let Some(value) = value {
            for g in &mut *g {
                *g = g.clamp(-value, value);
            }
        }
        let length = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        if let Some(norm) = norm {
            for g in g {
                *g *= (norm / (length + 1e-6)).min(1.0);
            }
        }
    }

    fn update(&mut self, mut g: Vec<f64>) {
        self.clip(&mut g);
        let factor = factor(&self.settings.schedule, self.updates);
        self.updates += 1;
        let u = self.updates;
        for (i, g) in g.into_iter().enumerate() {
            let (is_readout, column) = (i >= UNITS * COLUMNS, i % COLUMNS);
            let is_bias = column == if is_readout { COLUMNS - 1 } else { INPUTS };
            let own = self.settings.readout_learning_rate.filter(|_| is_readout);
            let rate = own.unwrap_or(self.settings.optimizer.learning_rate()) * factor;
            let (m, v) = (&mut self.m[i], &mut self.v[i]);
            if !is_bias {
                self.w[i] *= 1.0 - rate * self.settings.weight_decay;
            }
            self.w[i] -= rate
                * match self.settings.optimizer {
                    Optimizer::Sgd { .. } => g,
                    Optimizer::Momentum { momentum, .. } => {
                        *m = if u == 1 { g } else { momentum * *m + g };
                        *m
                    }
                    Optimizer::RmsProp { alpha, epsilon, .. } => {
                        *v = alpha * *v + (1.0 - alpha) * g * g;
                        g / (v.sqrt() + epsilon)
                    }
                    Optimizer::Adam { beta1, beta2, epsilon, .. } => {
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        let corrected = *v / (1.0 - beta2.powi(u));
                        *m / (1.0 - beta1.powi(u)) / (corrected.sqrt() + epsilon)
                    }
                    _ => panic!("an optimiser without a formula"),
                };
        }
    }
}

fn optimizers() -> [Optimizer; 4] {
    let momentum = Optimizer::momentum(0.1, 0.8);
    [Optimizer::sgd(0.1), momentum, Optimizer::rmsprop(0.01), Optimizer::adam(0.02)]
}

fn schedules() -> [RateSchedule; 5] {
    let number = |number| NonZeroU64::new(number).unwrap();
    [
        RateSchedule::Constant,
        RateSchedule::Step { every: number(3), factor: 0.7 },
        RateSchedule::InverseTime { decay: 0.2 },
        RateSchedule::Cosine { updates: number(9), floor: 0.2 },
        RateSchedule::custom("square", |u| 1.0 / (1.0 + (u * u) as f64)),
    ]
}

/// Without and with each of the other settings, for every optimiser.
fn combinations() -> Vec<UpdateSettings> {
    let mut all = Vec::new();
    for optimizer in optimizers() {
        for schedule in schedules() {
            for full in [false, true] {
                all.push(UpdateSettings {
                    schedule: schedule.clone(),
                    readout_learning_rate: full.then_some(0.05),
                    clipping: Clipping { value: full.then_some(0.05), norm: full.then_some(0.1) },
                    weight_decay: if full { 0.3 } else { 0.0 },
                    ..optimizer.clone().into()
                });
            }
        }
    }
    all
}

/// The largest difference between a learner with `settings` and the formulas with `expected`.
fn difference(settings: &UpdateSettings, expected: &UpdateSettings) -> f64 {
    let mut learner = Learner::builder(network()).updates(settings.clone()).build().unwrap();
    let mut plain = Plain::new(expected.clone(), weights(&learner));
    let differences = (0..STEPS).map(|t| {
        plain.update(step(&mut learner, t));
        relative_to_largest(&weights(&learner), &plain.w)
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn updates_follow_the_formulas() {
    for settings in combinations() {
        let difference = difference(&settings, &settings);
        assert!(difference < 1e-13, "{settings:?}: {difference:e}");
    }
}

/// Negative control: a change of any one setting is detected.
#[test]
fn a_wrong_formula_is_noticed() {
    let settings = UpdateSettings {
        schedule: RateSchedule::InverseTime { decay: 0.2 },
        readout_learning_rate: Some(0.05),
        clipping: Clipping { value: Some(0.05), norm: Some(0.1) },
        ..UpdateSettings::adamw(0.02)
    };
    let changes: [fn(&mut UpdateSettings); 6] = [
        |settings| settings.optimizer = Optimizer::rmsprop(0.02),
        |settings| settings.weight_decay *= 1.0 + 1e-6,
        |settings| settings.readout_learning_rate = None,
        |settings| settings.schedule = RateSchedule::InverseTime { decay: 0.2 + 1e-6 },
        |settings| settings.clipping.value = None,
        |settings| settings.clipping.norm = Some(0.1 + 1e-6),
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut wrong = settings.clone();
        change(&mut wrong);
        // Adam hardly sees the length of a gradient, but its epsilon does.
        assert!(difference(&settings, &wrong) > 1e-12, "change {i}");
    }
}

#[test]
fn rates_change_while_the_learner_runs() {
    let settings = UpdateSettings::from(Optimizer::adam(0.02));
    let mut learner = Learner::builder(network()).updates(settings.clone()).build().unwrap();
    let mut plain = Plain::new(settings, weights(&learner));
    for t in 0..STEPS {
        if t == 4 {
            learner.set_learning_rate(0.07).unwrap();
            plain.settings.optimizer = Optimizer::adam(0.07);
        }
        if t == 8 {
            learner.set_readout_learning_rate(Some(0.0)).unwrap();
            plain.settings.readout_learning_rate = Some(0.0);
        }
        if t == 11 {
            learner.set_readout_learning_rate(None).unwrap();
            plain.settings.readout_learning_rate = None;
        }
        assert!(learner.set_learning_rate(-1.0).is_err());
        assert!(learner.set_readout_learning_rate(Some(f64::NAN)).is_err());
        let before = learner.network().readout_weights().unwrap().clone();
        plain.update(step(&mut learner, t));
        assert!(relative_to_largest(&weights(&learner), &plain.w) < 1e-13, "step {t}");
        let stands = learner.network().readout_weights() == Some(&before);
        assert_eq!(stands, (8..11).contains(&t), "step {t}");
    }
    assert_eq!(learner.update_settings().optimizer.learning_rate(), 0.07);
    let network = Network::<f64>::builder(2, 1).build().unwrap();
    let mut learner = Learner::builder(network).build().unwrap();
    assert!(matches!(learner.set_readout_learning_rate(Some(0.1)), Err(Error::Setting { .. })));
}

/// Weights that are absent or frozen never move, and decay alone moves all others but the bias.
#[test]
fn decay_moves_weights_that_learn_and_are_no_bias() {
    let (present, frozen) = (mask(11), mask(12));
    for optimizer in optimizers() {
        let network = Network::<f64>::builder(UNITS, INPUTS)
            .weights(InitialWeights::given(table(UNITS, COLUMNS, 1)))
            .connections(present.clone())
            .frozen(frozen.clone())
            .build()
            .unwrap();
        let before = network.weights().clone();
        let learner = Learner::builder(network).optimizer(optimizer.clone()).weight_decay(0.1);
        let mut learner = learner.build().unwrap();
        for _ in 0..10 {
            // No error, no gradient.
            let next = learner.peek(&[0.3, -0.3]).unwrap().to_vec();
            learner.step(&[0.3, -0.3], Targets::All(&next)).unwrap();
        }
        let shrink = (1.0 - optimizer.learning_rate() * 0.1).powi(10);
        for i in 0..UNITS {
            for j in 0..COLUMNS {
                let decays = present[i][j] && !frozen[i][j] && j != INPUTS;
                let (before, after) = (before[(i, j)], learner.network().weights()[(i, j)]);
                let expected = if decays { before * shrink } else { before };
                let close = (after - expected).abs() <= 1e-14 * before.abs();
                assert!(close && (decays || after == before), "weight {i}, {j}");
                // Negative control: decay can be seen.
                assert_eq!(decays, after != before, "weight {i}, {j}");
            }
        }
    }
}

#[test]
fn moments_decay_and_schedule_stand_still_without_a_target() {
    let builder = || {
        let schedule = RateSchedule::InverseTime { decay: 1.0 };
        Learner::builder(network()).updates(UpdateSettings::adamw(0.1)).schedule(schedule)
    };
    let mut learner = builder().build().unwrap();
    step(&mut learner, 0);
    let (before, state) = (weights(&learner), state(&learner));
    for _ in 0..3 {
        assert!(!learner.step(&[0.1, 0.2], Targets::None).unwrap().updated);
    }
    assert_eq!((weights(&learner), self::state(&learner)), (before, state));
    assert_eq!(learner.updates(), 1);
}

fn state(learner: &Learner<f64>) -> Vec<(String, Matrix<f64>)> {
    learner.optimizer_state().map(|(name, matrix)| (name, matrix.clone())).collect()
}

#[test]
fn a_schedule_that_fails_refuses_the_update_and_the_learner_goes_on() {
    let schedule = RateSchedule::custom("falling", |u| 1.5 - u as f64);
    let mut learner = Learner::builder(network()).schedule(schedule).build().unwrap();
    step(&mut learner, 0);
    step(&mut learner, 1);
    let before = weights(&learner);
    let error = learner.step(&[0.1, 0.2], Targets::All(&[0.5; OUTPUTS])).unwrap_err();
    assert!(matches!(error, Error::UpdateRefused { step: 3, quantity: Quantity::LearningRate }));
    assert!(error.to_string().contains("learning rate negative or not finite"), "{error}");
    assert_eq!((weights(&learner), learner.updates(), learner.steps()), (before, 2, 3));
    learner.step(&[0.1, 0.2], Targets::None).unwrap();
}

/// A learner that stops and one that continues from its weights and its optimiser make the same
/// update.
#[test]
fn an_optimiser_can_be_taken_over() {
    for settings in combinations() {
        let mut learner = Learner::builder(network()).updates(settings.clone()).build().unwrap();
        (0..5).for_each(|t| drop(step(&mut learner, t)));
        learner.reset(&[0.0; UNITS]).unwrap();
        let other = Learner::builder(learner.network().clone()).updates(settings);
        let mut other = other.build().unwrap();
        other.restore_optimizer(learner.updates(), &state(&learner)).unwrap();
        (5..8).for_each(|t| assert_eq!(step(&mut learner, t), step(&mut other, t)));
        assert_eq!(weights(&learner), weights(&other));
        assert_eq!(learner.updates(), other.updates());
    }
}
