//! An overflow of p.

use rtrl_model::{Activation, Error, Learner, Loss, Optimizer, Real, Recoveries, Regime};

use super::{Output, Setup, Shown, draw, in_stream, ready, same, setups, show, step};

/// Sensitivities grow about ten thousandfold at every step of a stream whose input is 9.
fn expanding() -> Activation {
    let slope = |s: f64| if s.abs() > 5.0 { 1e4 } else { 0.4 * s.cos() };
    Activation::custom("expanding", |s| 0.4 * s.sin(), slope)
}

/// Steps without a target, in which p of the last stream grows until it overflows. Returns the learner, and
/// how it was before that step.
fn overflown<T: Real>(setup: Setup) -> [Learner<T>; 2] {
    let last = setup.streams - 1;
    let mut learner = ready::<T>(setup, expanding(), Optimizer::adam(0.01));
    let mut drawn = draw(setup, &Loss::SquaredError, 4);
    drawn[last].0.fill(T::from_f64(9.0));
    for _ in 0..200 {
        let before = learner.clone();
        match step(&mut learner, &drawn, false) {
            Ok(report) if report.recoveries == Recoveries::default() => {
                assert!(!report.outputs.is_empty());
            }
            Ok(report) => {
                assert!(setup.recovery.reset_sensitivities);
                assert!(!report.updated);
                return [learner, before];
            }
            Err(error) => {
                assert!(!setup.recovery.reset_sensitivities);
                let error = in_stream(setup, last, &error);
                assert!(
                    matches!(error, Error::Overflow { step, .. } if *step == before.steps()),
                    "{error}"
                );
                return [learner, before];
            }
        }
    }
    panic!("p does not overflow in {setup:?}");
}

/// The learner that never overflowed, brought to the state of the other after a reset of p.
fn twin_of<T: Real>(setup: Setup, before: &Learner<T>, state: &[T]) -> Learner<T> {
    let last = setup.streams - 1;
    let mut drawn = draw(setup, &Loss::SquaredError, 4);
    drawn[last].0.fill(T::from_f64(9.0));
    let mut moved = before.clone();
    moved.reset_stream(last, before.state(last).unwrap().values()).unwrap();
    step(&mut moved, &drawn, false).unwrap();
    assert_eq!(moved.state(last).unwrap().values(), state);
    // Several streams have taken the step; a single one has nothing left of it but its state.
    let mut twin = if setup.streams > 1 { moved } else { before.clone() };
    twin.reset_stream(last, state).unwrap();
    twin
}

fn overflows<T: Real>() {
    let fits = |s: &Setup| s.output != Output::Fitted || s.regime != Regime::Epochwise;
    for setup in setups().into_iter().filter(fits) {
        let [mut learner, before] = overflown::<T>(setup);
        let (shown, last) = (show(&learner), setup.streams - 1);
        assert!(shown.is_finite());
        assert_eq!(learner.steps(), before.steps());
        let rest = |learner: &Learner<T>| Shown { states: vec![], ..show(learner) };
        assert_eq!(rest(&learner), rest(&before), "{setup:?}");
        let state = shown.states[last].clone();
        if setup.recovery.reset_sensitivities {
            assert_eq!(learner.recoveries(), Recoveries { resets: 1, skipped_updates: 0 });
        } else {
            let error = step(&mut learner, &draw(setup, &Loss::SquaredError, 5), true).unwrap_err();
            let error = in_stream(setup, last, &error);
            assert!(matches!(error, Error::SensitivitiesLost { .. }), "{error}");
            assert_eq!(show(&learner), shown);
            assert_eq!(learner.recoveries(), Recoveries::default());
            learner.reset_stream(last, &state).unwrap();
        }
        if setup.streams > 1 {
            // The twin has counted the step that overflowed. A step that all streams skip is only counted.
            learner.step_streams(&vec![None; setup.streams]).unwrap();
        }
        let twin = twin_of(setup, &before, &state);
        assert_eq!(learner.steps(), twin.steps());
        assert!(same(setup, &Loss::SquaredError, [learner, twin], 5), "{setup:?}");
    }
}

#[test]
fn an_overflow_of_p_costs_p_alone() {
    overflows::<f32>();
    overflows::<f64>();
}
