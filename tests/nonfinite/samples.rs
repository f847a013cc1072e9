//! Inputs, targets, states and weights that are not finite or too large.

use rtrl_model::{
    Activation, Cell, Error, InitialWeights, Learner, Loss, Network, Quantity, Readout,
    ReadoutWeights, Real, Recoveries, Regime,
};

use super::{
    Drawn, INPUTS, Output, RECOVERIES, Setup, UNITS, bad, draw, in_stream, largest, losses, same,
    setups, show, started, step,
};

fn bad_numbers<T: Real>() {
    for setup in setups() {
        for loss in losses::<T>() {
            let Some(learner) = setup.learner(Activation::Tanh, &loss) else { continue };
            let mut learner = started(setup, &loss, learner, 5);
            let twin = learner.clone();
            for bad in bad::<T>() {
                for b in 0..setup.streams {
                    refuse_samples(setup, &loss, &mut learner, (b, bad));
                }
                refuse_settings(setup, &mut learner, bad);
            }
            assert_eq!(learner.recoveries(), Recoveries::default());
            assert!(same(setup, &loss, [learner, twin], 5), "{setup:?}, {loss:?}");
        }
    }
}

/// A bad number in every place of the sample of stream `b`.
fn refuse_samples<T: Real>(
    setup: Setup,
    loss: &Loss<T>,
    learner: &mut Learner<T>,
    (b, bad): (usize, T),
) {
    let (good, steps) = (draw(setup, loss, 5), learner.steps());
    let mut refuse = |drawn: &Drawn<T>, place: (Quantity, usize)| {
        let error = step(learner, drawn, true).unwrap_err();
        match in_stream(setup, b, &error) {
            Error::NonFinite { step, quantity, index, .. } => {
                assert_eq!((*step, (*quantity, *index)), (steps, place));
            }
            other => panic!("{other}"),
        }
        assert_eq!(learner.steps(), steps);
    };
    for i in 0..INPUTS {
        let mut drawn = good.clone();
        drawn[b].0[i] = bad;
        refuse(&drawn, (Quantity::Input, i));
    }
    for k in 0..setup.outputs() {
        let mut drawn = good.clone();
        drawn[b].1[k] = Some(bad);
        refuse(&drawn, (Quantity::Target, k));
    }
}

/// A bad number in states and weights from outside.
fn refuse_settings<T: Real>(setup: Setup, learner: &mut Learner<T>, bad: T) {
    let refused = |done: Result<(), Error>, at: usize| {
        let error = done.unwrap_err();
        assert!(matches!(error, Error::NonFinite { index, .. } if index == at), "{error}");
    };
    let mut state = vec![T::ZERO; setup.states()];
    state[2] = bad;
    refused(learner.reset(&state), 2);
    refused(learner.reset_stream(setup.streams - 1, &state), 2);
    if setup.regime == Regime::Epochwise {
        refused(learner.end_epoch(&state), 2);
    }
    let matrix = learner.network().weights();
    let mut weights = vec![T::ZERO; matrix.rows() * matrix.columns()];
    weights[9] = bad;
    refused(learner.set_weights(&weights), 9);
    if setup.output != Output::Units {
        let mut weights = vec![T::ZERO; setup.outputs() * (UNITS + INPUTS + 1)];
        weights[5] = bad;
        refused(learner.set_readout_weights(&weights), 5);
    }
    assert!(learner.peek(&[T::ZERO, bad]).is_err());
}

#[test]
fn bad_numbers_are_named_and_change_nothing() {
    bad_numbers::<f32>();
    bad_numbers::<f64>();
}

/// Whether a call that failed may have moved the state.
fn has_moved(error: &Error) -> bool {
    matches!(
        error.cause(),
        Error::Overflow { .. } | Error::UpdateRefused { .. } | Error::Fit { .. }
    )
}

/// The largest number is finite, so its effect depends on its position. Its sign differs
/// between networks and between positions.
fn largest_numbers<T: Real>() {
    let mut seen = [0; 3];
    for (number, setup) in setups().into_iter().enumerate() {
        for loss in losses::<T>() {
            let Some(learner) = setup.learner(Activation::Tanh, &loss) else { continue };
            let learner = started(setup, &loss, learner, 5);
            for place in 0..INPUTS + setup.outputs() {
                let is_negative = (number / RECOVERIES.len() + place) % 2 == 1;
                let huge = if is_negative { -largest::<T>() } else { largest::<T>() };
                let mut drawn = draw(setup, &loss, 5);
                let (x, d) = &mut drawn[setup.streams - 1];
                match place.checked_sub(INPUTS) {
                    None => x[place] = huge,
                    Some(k) => d[k] = Some(huge),
                }
                let mut disturbed = learner.clone();
                let done = step(&mut disturbed, &drawn, true).map(drop);
                let shown = show(&disturbed);
                assert!(shown.is_finite(), "{setup:?}, {loss:?}, place {place}");
                match done {
                    Ok(()) => seen[0] += 1,
                    Err(error) if has_moved(&error) => {
                        seen[1] += 1;
                        let before = show(&learner);
                        assert_eq!(shown.weights, before.weights, "{error}");
                        assert_eq!(shown.optimizer, before.optimizer, "{error}");
                        assert_eq!(shown.updates, before.updates, "{error}");
                    }
                    Err(error) => {
                        seen[2] += 1;
                        assert_eq!(shown, show(&learner), "{error}");
                        let both = [disturbed, learner.clone()];
                        assert!(same(setup, &loss, both, 5), "{setup:?}, {loss:?}, {error}");
                    }
                }
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn the_largest_numbers_leave_finite_weights() {
    largest_numbers::<f32>();
    largest_numbers::<f64>();
}

#[test]
fn no_network_starts_with_what_is_not_finite() {
    fn refused<T: Real>(bad: f64) {
        let mut weights = vec![vec![0.0; UNITS + INPUTS + 1]; UNITS];
        weights[2][3] = bad;
        let builder = || Network::<T>::builder(UNITS, INPUTS);
        assert!(builder().weights(InitialWeights::given(weights)).build().is_err());
        let readout = vec![vec![bad; UNITS + 1]];
        let readout = Readout::new(1).weights(ReadoutWeights::given(readout));
        assert!(builder().readout(readout).build().is_err());
        let readout = Readout::new(1).weights(ReadoutWeights::Normal { gain: bad });
        assert!(builder().readout(readout).build().is_err());
        assert!(builder().initial_state(vec![0.0, bad, 0.0, 0.0]).build().is_err());
        let lstm = || builder().cell(Cell::Lstm);
        assert!(lstm().initial_cells(vec![0.0, bad, 0.0, 0.0]).build().is_err());
        assert!(lstm().forget_bias(bad).build().is_err());
        for weights in [
            InitialWeights::Normal { gain: bad },
            InitialWeights::Orthogonal { gain: bad },
            InitialWeights::Uniform { bound: bad },
        ] {
            assert!(builder().weights(weights.clone()).build().is_err(), "{weights:?} {bad}");
        }
    }
    for bad in bad::<f64>() {
        refused::<f32>(bad);
        refused::<f64>(bad);
    }
    // Finite, but not in single precision.
    refused::<f32>(1e300);
}
