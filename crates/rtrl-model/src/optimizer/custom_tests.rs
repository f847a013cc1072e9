//! Optimisers of the user's: what they move, what they must not, and how a file finds them again.

use super::tests::{RATE, cosine, differ, gradient, layers, momentum, owned, run};
use super::*;
use crate::error::Quantity;
use crate::gradient::Gradient;
use crate::{Matrix, Network, Readout};

/// Momentum 0.9, as a rule of the user's.
#[derive(Debug)]
struct Heavy;

impl CustomOptimizer for Heavy {
    fn name(&self) -> &'static str {
        "heavy"
    }
    fn moments(&self) -> &[&'static str] {
        &["momentum"]
    }
    fn direction(&self, _: u64, _: f64, gradient: f64, moments: &mut [f64]) -> f64 {
        moments[0] = 0.9 * moments[0] + gradient;
        moments[0]
    }
}

/// A rule that moves a weight and a moment whatever the gradient, by a number that may be anything.
#[derive(Debug)]
struct Constant(f64, &'static [&'static str]);

impl CustomOptimizer for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn moments(&self) -> &[&'static str] {
        self.1
    }
    fn direction(&self, update: u64, _: f64, _: f64, moments: &mut [f64]) -> f64 {
        let direction = if update < 3 { 1.0 } else { self.0 };
        moments.fill(direction);
        direction
    }
}

#[test]
fn a_custom_rule_moves_as_the_same_rule_of_this_library() {
    let custom = |schedule| UpdateSettings { schedule, ..Optimizer::custom(RATE, Heavy).into() };
    for schedule in [RateSchedule::Constant, cosine()] {
        let built_in = run::<f64>(momentum(schedule.clone()));
        assert_eq!(run::<f64>(custom(schedule.clone())), built_in);
        assert!(!differ(&run::<f32>(custom(schedule)), &built_in, 1e-6));
    }
}

#[test]
fn a_custom_rule_moves_weights_that_learn_and_no_others() {
    let frozen: Vec<bool> = (0..18).map(|place| place % 5 == 0).collect();
    let network = Network::<f64>::builder(3, 2).frozen(frozen.clone()).readout(Readout::new(2));
    let mut layers = network.build().unwrap();
    let before = layers.clone();
    let rule = Optimizer::custom(RATE, Constant(1.0, &["count"]));
    let mut updater = Updater::new(rule.into(), &layers).unwrap();
    let gradient = Gradient::zeros(&layers).unwrap();
    updater.apply(&mut layers, &gradient).unwrap();
    let rows = |network: &Network<f64>| network.weights.to_rows().concat();
    for ((before, after), frozen) in rows(&before).iter().zip(rows(&layers)).zip(frozen) {
        assert_eq!(after, if frozen { *before } else { before - RATE });
    }
    let padding = |matrix: &Matrix<f64>| {
        let (values, stride) = matrix.as_slice();
        values.chunks(stride).all(|row| row[matrix.columns()..].iter().all(|&value| value == 0.0))
    };
    assert!(padding(&layers.weights) && updater.state().all(|(_, moment)| padding(moment)));
    let state = owned(&updater);
    assert_eq!(
        state.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["recurrent.count", "readout.count"]
    );
    updater.restore(&layers, 1, &state).unwrap();
}

#[test]
fn a_custom_rule_that_is_not_finite_changes_nothing() {
    for direction in [f64::NAN, f64::INFINITY, 1e300] {
        let mut layers = layers::<f32>();
        let rule = Optimizer::custom(RATE, Constant(direction, &["count"]));
        let mut updater = Updater::new(rule.into(), &layers).unwrap();
        for update in 0..2 {
            let gradient = gradient(&layers, update);
            updater.apply(&mut layers, &gradient).unwrap();
        }
        let (before, gradient) = (layers.clone(), gradient(&layers, 2));
        assert_eq!(updater.apply(&mut layers, &gradient), Err(Quantity::Weights));
        assert_eq!(layers.weights, before.weights);
        assert_eq!(updater.updates(), 2);
        let moments = updater.state();
        let counts: Vec<f64> = moments.flat_map(|(_, count)| count.to_rows().concat()).collect();
        assert!(!counts.is_empty());
        assert_eq!(counts, vec![1.0; counts.len()]);
    }
}

#[test]
fn moments_of_a_custom_rule_that_vanish_become_zero() {
    for (moment, expected) in [(-1e-310, -0.0), (f64::MIN_POSITIVE, f64::MIN_POSITIVE)] {
        let mut layers = layers::<f64>();
        let rule = Optimizer::custom(RATE, Constant(moment, &["count"]));
        let mut updater = Updater::new(rule.into(), &layers).unwrap();
        for update in 0..3 {
            let gradient = gradient(&layers, update);
            updater.apply(&mut layers, &gradient).unwrap();
        }
        for (_, count) in updater.state() {
            for value in count.to_rows().concat() {
                assert_eq!(value.to_bits(), f64::to_bits(expected));
            }
        }
    }
}

#[test]
fn a_custom_rule_is_found_by_its_name() {
    let settings = UpdateSettings::from(Optimizer::custom(RATE, Heavy));
    let text = serde_json::to_string(&settings).unwrap();
    let mut read: UpdateSettings = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let message = read.check::<f64>().unwrap_err().to_string();
    assert!(message.contains("\"heavy\""), "{message}");
    let other = Optimizer::custom(1.0, Constant(1.0, &[]));
    assert!(read.supply(None, Some(&other)).is_err() && read.supply(None, None).is_err());
    read.supply(None, Some(&Optimizer::custom(1.0, Heavy))).unwrap();
    // The rate is that of the file.
    assert_eq!(run::<f64>(read), run::<f64>(settings));
    let twice = UpdateSettings::from(Optimizer::custom(1.0, Constant(1.0, &["m", "m"])));
    assert!(twice.check::<f64>().unwrap_err().to_string().contains("twice"));
}
