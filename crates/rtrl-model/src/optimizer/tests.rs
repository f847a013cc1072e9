//! Updates with gradients that are given, against numbers of `torch.optim`, and what a stored and a
//! refused update leave behind.

use approx::assert_abs_diff_eq;
use rtrl_kernel::Real;

use super::*;
use crate::error::Quantity;
use crate::gradient::Gradient;
use crate::{Error, InitialWeights, Matrix, Network, Readout};

const UPDATES: u64 = 12;
pub(super) const RATE: f64 = 0.05;

/// One unit with two inputs: the weights 0.5, -0.25, 0.125.
pub(super) fn layers<T: Real>() -> Network<T> {
    let weights = InitialWeights::given(vec![vec![0.5, -0.25, 0.125]]);
    let network = Network::<T>::builder(1, 2).bias(false).weights(weights);
    network.build().unwrap()
}

pub(super) fn gradient<T: Real>(layers: &Network<T>, update: u64) -> Gradient<T> {
    let mut gradient = Gradient::zeros(layers).unwrap();
    for (i, place) in gradient.recurrent.row_mut(0).iter_mut().enumerate() {
        *place = T::from_f64((((7 * update + 3 * i as u64) % 11) as f64 - 5.0) / 10.0);
    }
    gradient
}

/// The weights after all updates.
pub(super) fn run<T: Real>(settings: UpdateSettings) -> Vec<f64> {
    let mut layers = layers::<T>();
    let mut updater = Updater::new(settings, &layers).unwrap();
    for update in 0..UPDATES {
        let gradient = gradient(&layers, update);
        updater.apply(&mut layers, &gradient).unwrap();
    }
    assert_eq!(updater.updates(), UPDATES);
    layers.weights.to_rows().concat()
}

pub(super) fn momentum(schedule: RateSchedule) -> UpdateSettings {
    UpdateSettings { schedule, ..Optimizer::momentum(RATE, 0.9).into() }
}

pub(super) fn cosine() -> RateSchedule {
    RateSchedule::Cosine { updates: UPDATES.try_into().unwrap(), floor: 0.1 }
}

fn halving() -> RateSchedule {
    RateSchedule::Step { every: 4.try_into().unwrap(), factor: 0.5 }
}

pub(super) fn differ(got: &[f64], expected: &[f64], tolerance: f64) -> bool {
    // NaN is within no tolerance.
    let near = |(got, expected): (&f64, &f64)| (got - expected).abs() <= tolerance;
    got.len() != expected.len() || !got.iter().zip(expected).all(near)
}

/// The numbers are those of torch 2.15 in double precision:
///
/// ```python
/// import torch
/// o, s = torch.optim, torch.optim.lr_scheduler
/// def run(optimizer, schedule=None):
///     w = torch.nn.Parameter(torch.tensor([0.5, -0.25, 0.125], dtype=torch.float64))
///     optimizer = optimizer([w])
///     schedule = schedule and schedule(optimizer)
///     for u in range(12):
///         w.grad = torch.tensor([((7 * u + 3 * i) % 11 - 5) / 10 for i in range(3)], dtype=torch.float64)
///         optimizer.step()
///         schedule and schedule.step()
///     print(w.tolist())
/// momentum = lambda w: o.SGD(w, lr=0.05, momentum=0.9)
/// adamw = lambda w: o.AdamW(w, lr=0.05)
/// cosine = lambda p: s.CosineAnnealingLR(p, T_max=12, eta_min=0.005)
/// run(lambda w: o.SGD(w, lr=0.05))
/// run(momentum)
/// run(lambda w: o.RMSprop(w, lr=0.05))
/// run(lambda w: o.Adam(w, lr=0.05))
/// run(adamw)
/// run(momentum, cosine)
/// run(adamw, cosine)
/// run(momentum, lambda p: s.StepLR(p, step_size=4, gamma=0.5))
/// ```
#[test]
fn updates_are_those_of_torch() {
    let adamw = UpdateSettings::adamw(RATE);
    let adamw_cosine = UpdateSettings { schedule: cosine(), ..UpdateSettings::adamw(RATE) };
    for (settings, expected) in [
        (Optimizer::sgd(RATE).into(), [0.525, -0.24, 0.12]),
        (
            momentum(RateSchedule::Constant),
            [0.541_457_979_228_749_9, -0.296_145_713_970_600_1, 0.163_452_118_430_550_02],
        ),
        (
            Optimizer::rmsprop(RATE).into(),
            [0.882_771_878_786_739_5, 0.037_219_853_997_113_32, -0.129_816_826_323_157_66],
        ),
        (
            Optimizer::adam(RATE).into(),
            [0.576_293_420_409_505_6, -0.267_942_522_473_094_64, 0.108_620_497_234_186_7],
        ),
        (adamw, [0.572_900_692_533_264_3, -0.266_393_672_449_661_9, 0.108_051_395_848_473_19]),
        (
            momentum(cosine()),
            [0.537_215_425_103_845_8, -0.306_166_985_671_645_6, 0.136_833_523_374_988_14],
        ),
        (
            adamw_cosine,
            [0.573_854_611_228_091_3, -0.266_560_164_388_132_1, 0.093_048_391_296_683_84],
        ),
        (
            momentum(halving()),
            [0.541_838_566_682_187_6, -0.295_779_914_992_65, 0.132_014_785_982_637_52],
        ),
    ] {
        let name = format!("{settings:?}");
        let (double, single) = (run::<f64>(settings.clone()), run::<f32>(settings));
        assert!(!differ(&double, &expected, 1e-14), "{name}: {double:?}");
        assert!(!differ(&single, &expected, 1e-6), "{name} in f32: {single:?}");
        // Negative control: the tolerance notices another rate.
        let optimizer = Optimizer::adam(RATE * (1.0 + 1e-9));
        assert!(differ(&run::<f64>(optimizer.into()), &expected, 1e-14));
    }
}

#[test]
fn schedules_follow_their_formulas() {
    let factors = |schedule: RateSchedule| move |u: u64| schedule.factor(u).unwrap();
    let inverse = factors(RateSchedule::InverseTime { decay: 0.5 });
    assert_eq!([0, 1, 2, 18].map(inverse), [1.0, 1.0 / 1.5, 0.5, 0.1]);
    assert_eq!([0, 3, 4, 7, 8, 12].map(factors(halving())), [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]);
    let cosine = factors(cosine());
    assert_eq!([0, 12, 13, u64::MAX].map(&cosine), [1.0, 0.1, 0.1, 0.1]);
    assert_abs_diff_eq!(cosine(6), 0.55, epsilon = 1e-15);
    assert_abs_diff_eq!(cosine(4), 0.775, epsilon = 1e-15);
    assert_eq!([0, u64::MAX].map(factors(RateSchedule::Constant)), [1.0, 1.0]);
    assert_eq!([0, 3].map(factors(RateSchedule::custom("own", |u| u as f64))), [0.0, 3.0]);
}

/// An optimiser of two layers after three updates; its schedule gives `factor` from then on.
fn running(factor: f64) -> (Network<f64>, Updater<f64>, Gradient<f64>) {
    let network = Network::<f64>::builder(3, 2).readout(Readout::new(2));
    let mut layers = network.build().unwrap();
    let schedule = RateSchedule::custom("own", move |u| if u < 3 { 1.0 } else { factor });
    let settings = UpdateSettings { schedule, ..UpdateSettings::adamw(RATE) };
    let mut updater = Updater::new(settings, &layers).unwrap();
    let mut gradient = Gradient::zeros(&layers).unwrap();
    gradient.recurrent.row_mut(1).fill(0.5);
    gradient.readout.as_mut().unwrap().row_mut(0).fill(-0.25);
    for _ in 0..3 {
        updater.apply(&mut layers, &gradient).unwrap();
    }
    (layers, updater, gradient)
}

pub(super) fn owned(updater: &Updater<f64>) -> Vec<(String, Matrix<f64>)> {
    updater.state().map(|(name, matrix)| (name, matrix.clone())).collect()
}

#[test]
fn a_refused_update_leaves_no_trace() {
    // Moments of the readout, the last to be computed, may fail although its weights would be
    // finite.
    let steep = |gradient: &mut Gradient<f64>| {
        gradient.readout.as_mut().unwrap().row_mut(1).fill(1e200);
    };
    for (factor, is_steep, expected) in [
        (f64::NAN, false, Err(Quantity::LearningRate)),
        (f64::INFINITY, false, Err(Quantity::LearningRate)),
        (-0.5, false, Err(Quantity::LearningRate)),
        (1.0, true, Err(Quantity::Weights)),
        // Negative control.
        (1.0, false, Ok(())),
    ] {
        let (mut layers, mut updater, mut gradient) = running(factor);
        let (before, state) = (layers.clone(), owned(&updater));
        if is_steep {
            steep(&mut gradient);
        }
        assert_eq!(updater.apply(&mut layers, &gradient), expected);
        let readout = |layers: &Network<f64>| layers.readout.as_ref().unwrap().weights.clone();
        let refused = expected.is_err();
        assert_eq!(layers.weights == before.weights, refused);
        assert_eq!(readout(&layers) == readout(&before), refused);
        assert_eq!(owned(&updater) == state, refused);
        assert_eq!(updater.updates(), if refused { 3 } else { 4 });
    }
}

#[test]
fn a_restored_optimiser_goes_on_with_the_same_bits() {
    for optimizer in [Optimizer::sgd(0.1), Optimizer::momentum(0.1, 0.5), Optimizer::rmsprop(0.1)] {
        let (mut layers, _, gradient) = running(1.0);
        let settings = UpdateSettings { weight_decay: 0.1, ..optimizer.into() };
        let mut updater = Updater::new(settings.clone(), &layers).unwrap();
        for _ in 0..3 {
            updater.apply(&mut layers, &gradient).unwrap();
        }
        let mut other = layers.clone();
        let mut restored = Updater::new(settings, &other).unwrap();
        let mut state = owned(&updater);
        state.reverse();
        restored.restore(&other, updater.updates(), &state).unwrap();
        assert_eq!((owned(&restored), restored.updates()), (owned(&updater), 3));
        updater.apply(&mut layers, &gradient).unwrap();
        restored.apply(&mut other, &gradient).unwrap();
        assert_eq!(layers.weights, other.weights);
    }
}

type Change = fn(&mut Vec<(String, Matrix<f64>)>);

#[test]
fn a_state_that_does_not_fit_is_refused_and_nothing_changes() {
    let (_, mut updater, _) = running(1.0);
    let frozen: Vec<bool> = (0..18).map(|place| place == 2 * 6 + 4).collect();
    let network = Network::<f64>::builder(3, 2).frozen(frozen).readout(Readout::new(2));
    let layers = network.build().unwrap();
    let state = owned(&updater);
    let names: Vec<_> = state.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "recurrent.first_moment",
            "recurrent.second_moment",
            "readout.first_moment",
            "readout.second_moment"
        ]
    );
    let breaks: [(Change, &str); 7] = [
        (|state| state.truncate(3), "state of the optimiser: got recurrent.first_moment, rec"),
        (|state| state[0].0.push('s'), "state of the optimiser: got recurrent.first_moments"),
        (|state| state.push(state[0].clone()), "state of the optimiser: got"),
        (|state| state[2].1 = state[0].1.clone(), "moment of the optimiser: got 3 x 6"),
        (|state| state[2].1.row_mut(1)[0] = f64::NAN, "got NaN in readout.first_moment"),
        (|state| state[3].1.row_mut(1)[0] = -1.0, "got -1 in readout.second_moment"),
        (|state| state[0].1.row_mut(2)[4] = 1.0, "got 1 in recurrent.first_moment"),
    ];
    for (change, expected) in breaks {
        let mut broken = state.clone();
        change(&mut broken);
        let error = updater.restore(&layers, 9, &broken).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!((owned(&updater), updater.updates()), (state.clone(), 3));
    }
    updater.restore(&layers, 9, &state).unwrap();
    assert_eq!(updater.updates(), 9);
}

#[test]
fn settings_survive_a_file_and_a_custom_schedule_is_found_by_name() {
    let own = RateSchedule::custom("warm", |u| u as f64);
    let settings = UpdateSettings {
        readout_learning_rate: Some(0.1 + 0.2),
        schedule: own.clone(),
        clipping: Clipping { value: None, norm: Some(1.0) },
        ..UpdateSettings::adamw(RATE)
    };
    let text = serde_json::to_string(&settings).unwrap();
    let mut read: UpdateSettings = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert_eq!(read.readout_learning_rate, settings.readout_learning_rate);
    assert_eq!(read.optimizer, settings.optimizer);
    assert_eq!(read.clipping, settings.clipping);
    let refused = |settings: &UpdateSettings| settings.check::<f64>().unwrap_err().to_string();
    assert!(refused(&read).contains("\"warm\""), "{}", refused(&read));
    assert!(read.supply(None, None).is_err());
    assert!(read.supply(Some(&RateSchedule::custom("other", |_| 1.0)), None).is_err());
    read.supply(Some(&own), None).unwrap();
    read.check::<f64>().unwrap();
    assert_eq!(read.schedule.factor(7), Some(7.0));
    for schedule in [cosine(), halving(), RateSchedule::Constant] {
        let text = serde_json::to_string(&schedule).unwrap();
        let read: RateSchedule = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{read:?}"), format!("{schedule:?}"));
    }
    let short: UpdateSettings =
        serde_json::from_str(r#"{"optimizer": {"kind": "sgd", "learning_rate": 1}}"#).unwrap();
    assert_eq!(short.optimizer, Optimizer::sgd(1.0));
    let unknown = r#"{"optimizer": {"kind": "sgd", "learning_rate": 1}, "decay": 1}"#;
    assert!(serde_json::from_str::<UpdateSettings>(unknown).is_err());
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |settings: UpdateSettings| match Updater::new(settings, &layers::<f32>()) {
        Err(Error::Setting { what, .. }) => what,
        other => panic!("expected a setting to be refused, got {other:?}"),
    };
    let plain = || UpdateSettings::from(Optimizer::sgd(RATE));
    let schedule = |schedule| UpdateSettings { schedule, ..plain() };
    let adam = |beta2, epsilon| {
        let beta1 = 0.9;
        refused(Optimizer::Adam { learning_rate: RATE, beta1, beta2, epsilon }.into())
    };
    assert_eq!(refused(Optimizer::momentum(-RATE, 0.9).into()), "learning rate");
    assert_eq!(refused(Optimizer::momentum(RATE, 1.0).into()), "momentum");
    let rmsprop =
        |alpha, epsilon| refused(Optimizer::RmsProp { learning_rate: RATE, alpha, epsilon }.into());
    assert_eq!(rmsprop(-0.1, 1e-8), "RMSProp's alpha");
    assert_eq!(rmsprop(0.9, 0.0), "RMSProp's epsilon");
    // 1 - 1e-9 is 1 in single precision, and 1e-50 is 0.
    assert_eq!(adam(1.0 - 1e-9, 1e-8), "Adam's beta2");
    assert_eq!(adam(0.9, 1e-50), "Adam's epsilon");
    assert_eq!(refused(UpdateSettings { weight_decay: -0.1, ..plain() }), "weight decay");
    assert_eq!(refused(UpdateSettings { weight_decay: 1e39, ..plain() }), "weight decay");
    let readout = |rate| UpdateSettings { readout_learning_rate: Some(rate), ..plain() };
    assert_eq!(refused(readout(f64::NAN)), "learning rate of the readout");
    assert_eq!(refused(readout(0.1)), "learning rate of the readout");
    let every = 1.try_into().unwrap();
    let step = RateSchedule::Step { every, factor: -1.0 };
    assert_eq!(refused(schedule(step)), "factor of the schedule");
    let inverse = RateSchedule::InverseTime { decay: f64::INFINITY };
    assert_eq!(refused(schedule(inverse)), "decay of the schedule");
    let cosine = RateSchedule::Cosine { updates: every, floor: f64::NAN };
    assert_eq!(refused(schedule(cosine)), "floor of the schedule");
    let limited = UpdateSettings { spectral_limit: Some(-1.0), ..plain() };
    assert_eq!(refused(limited), "spectral limit");
}

#[cfg(not(feature = "linalg"))]
#[test]
fn a_build_that_cannot_hold_a_spectral_limit_says_so() {
    let settings = UpdateSettings { spectral_limit: Some(1.0), ..UpdateSettings::default() };
    let error = Updater::new(settings, &layers::<f64>()).unwrap_err().to_string();
    assert!(error.contains("`linalg`"), "{error}");
}
