//! Updates and fits that overflow.

use rtrl_model::{
    Activation, Error, Learner, Loss, Optimizer, Quantity, Real, Recoveries, Regime, Timing,
};

use super::{
    Cells, INPUTS, Output, Setup, UNITS, draw, in_stream, largest, ready, same, setups, show, step,
};

fn optimizers() -> [Optimizer; 4] {
    [
        Optimizer::sgd(0.01),
        Optimizer::momentum(0.01, 0.9),
        Optimizer::rmsprop(0.01),
        Optimizer::adam(0.01),
    ]
}

/// Takes the steps from one update to the next, with targets that make gradients large or without
/// any.
fn until_update<T: Real>(
    setup: Setup,
    learner: &mut Learner<T>,
    targets: bool,
) -> Result<bool, Error> {
    let mut drawn = draw::<T>(setup, &Loss::SquaredError, 4);
    for target in drawn.iter_mut().flat_map(|(_, d)| d) {
        *target = Some(T::from_f64(1e6));
    }
    let (steps, late) = match setup.regime {
        Regime::Epochwise => (3, false),
        Regime::RealTime { timing, every } => (every, timing == Timing::AfterNextStep),
    };
    let mut updated = false;
    for _ in 0..steps {
        updated = step(learner, &drawn, targets)?.updated;
    }
    match setup.regime {
        Regime::Epochwise => learner.end_epoch(&vec![T::ZERO; setup.states()]).map(|()| false),
        Regime::RealTime { .. } if late => learner.finish(),
        Regime::RealTime { .. } => Ok(updated),
    }
}

fn refused_updates<T: Real>() {
    for setup in setups().into_iter().filter(|setup| setup.output != Output::Fitted) {
        for optimizer in optimizers() {
            let mut learner = ready::<T>(setup, Activation::Tanh, optimizer.clone());
            learner.finish().unwrap();
            let mut twin = learner.clone();
            until_update(setup, &mut twin, false).unwrap();
            learner.set_learning_rate(largest::<T>().to_f64() / 2.0).unwrap();
            let done = until_update(setup, &mut learner, true);
            if setup.recovery.skip_updates {
                assert!(!done.unwrap(), "{setup:?}, {optimizer:?}");
                assert_eq!(learner.recoveries(), Recoveries { resets: 0, skipped_updates: 1 });
            } else {
                let error = done.unwrap_err();
                let weights = Quantity::Weights;
                assert!(
                    matches!(error, Error::UpdateRefused { quantity, .. } if quantity == weights),
                    "{error}"
                );
                assert_eq!(learner.recoveries(), Recoveries::default());
            }
            assert_eq!(show(&learner), show(&twin), "{setup:?}, {optimizer:?}");
            learner.set_learning_rate(0.01).unwrap();
            let both = [learner, twin];
            assert!(same(setup, &Loss::SquaredError, both, 6), "{setup:?}, {optimizer:?}");
        }
    }
}

#[test]
fn an_update_that_overflows_is_left_out() {
    refused_updates::<f32>();
    refused_updates::<f64>();
}

/// An input whose square overflows: the least squares refuse that sample, and take in those of the
/// other streams; W learns on.
#[test]
fn a_sample_that_least_squares_refuse_is_left_out() {
    let fitted = setups().into_iter().filter(|setup| {
        setup.output == Output::Fitted
            && setup.regime != Regime::Epochwise
            && setup.cells != Cells::Leaky
    });
    for setup in fitted {
        let last = setup.streams - 1;
        let mut learner = ready::<f64>(setup, Activation::Tanh, Optimizer::sgd(0.01));
        learner.finish().unwrap();
        learner.set_readout_weights(&[0.0; 3 * (UNITS + INPUTS + 1)]).unwrap();
        let mut twin = learner.clone();
        let mut drawn = draw(setup, &Loss::SquaredError, 4);
        drawn[last].0[0] = 1e160;
        let done = step(&mut learner, &drawn, true).map(|report| report.updated);
        if setup.recovery.skip_updates {
            assert!(done.unwrap() || setup.regime != Regime::real_time());
            assert_eq!(learner.recoveries(), Recoveries { resets: 0, skipped_updates: 1 });
        } else {
            let error = done.unwrap_err();
            let error = in_stream(setup, last, &error);
            assert!(matches!(error, Error::Fit { quantity: Quantity::Gain }), "{error}");
        }
        // R is 0, so the units got no error, and their weights no gradient.
        drawn[last].1.fill(None);
        step(&mut twin, &drawn, true).unwrap();
        for t in 5..15 {
            assert_eq!(show(&learner).readout, show(&twin).readout, "{setup:?}");
            assert_eq!(show(&learner).weights, show(&twin).weights, "{setup:?}");
            assert!(show(&learner).is_finite());
            for learner in [&mut learner, &mut twin] {
                step(learner, &draw(setup, &Loss::SquaredError, t), true).unwrap();
            }
        }
    }
}
