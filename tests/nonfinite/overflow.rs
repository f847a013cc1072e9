//! An overflow of p.

use rtrl_model::{Activation, Cell, Error, Learner, Loss, Optimizer, Real, Recoveries, Regime};

use super::{
    Cells, Drawn, INPUTS, Output, Setup, Shown, UNITS, draw, in_stream, ready, same, setups, show,
    step,
};

/// Sensitivities grow about ten thousandfold at every step of a stream whose input is 9.
fn expanding() -> Activation {
    let slope = |s: f64| if s.abs() > 5.0 { 1e4 } else { 0.4 * s.cos() };
    Activation::custom("expanding", |s| 0.4 * s.sin(), slope)
}

/// Weights of gated units alone with which sensitivities grow thousandfold at every step of a
/// stream whose state and inputs are 0; other inputs saturate the candidate.
fn make_expanding<T: Real>(learner: &mut Learner<T>) {
    let network = learner.network();
    let (columns, layer) = (network.weights().columns(), &network.layers()[0]);
    // v of a GRU sees the inputs and w the units, g of an LSTM both.
    let [seeing_inputs, seeing_units] = if layer.cell() == Cell::Gru { [2, 3] } else { [2, 2] };
    let weight = |row: usize, column: usize| {
        let (block, unit) = (row / UNITS, row % UNITS);
        match column.checked_sub(INPUTS + 1) {
            None if column < INPUTS && block == seeing_inputs => 30.0,
            Some(other) if other == unit && block == seeing_units => 1e4,
            _ => 0.0,
        }
    };
    let rows = layer.rows();
    let weights = rows.flat_map(|row| (0..columns).map(move |column| weight(row, column)));
    learner.set_weights(&weights.map(T::from_f64).collect::<Vec<_>>()).unwrap();
}

/// The samples of a step in which p of the last stream grows.
fn growing<T: Real>(setup: Setup) -> Drawn<T> {
    let mut drawn = draw(setup, &Loss::SquaredError, 4);
    let gated = matches!(setup.cells, Cells::Gru | Cells::Lstm);
    drawn[setup.streams - 1].0.fill(T::from_f64(if gated { 0.0 } else { 9.0 }));
    drawn
}

/// Steps without a target, in which p of the last stream grows until it overflows. Returns the
/// learner, and how it was before that step.
fn overflown<T: Real>(setup: Setup) -> [Learner<T>; 2] {
    let last = setup.streams - 1;
    let mut learner = ready::<T>(setup, expanding(), Optimizer::adam(0.01));
    if matches!(setup.cells, Cells::Gru | Cells::Lstm) {
        learner.finish().unwrap();
        make_expanding(&mut learner);
        learner.reset_stream(last, &vec![T::ZERO; setup.states()]).unwrap();
    }
    let drawn = growing(setup);
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
    let drawn = growing(setup);
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
            // The twin has counted the step that overflowed. A step that all streams skip is only
            // counted.
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
