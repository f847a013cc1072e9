//! Custom functions that give no numbers.

use rtrl_model::{Activation, Error, Loss, Quantity, Real, Recoveries};

use super::{Cells, Switch, bad, draw, in_stream, own_loss, same, setups, started, step};

fn bad_functions<T: Real>() {
    for setup in setups() {
        for own in 0..2 {
            let switch = Switch::default();
            let (value, slope) = (switch.clone(), switch.clone());
            let fault = |fault: usize| bad::<f64>()[(fault - 1) % 3];
            let activation = Activation::custom(
                "own",
                move |s| if (1..=3).contains(&value.get()) { fault(value.get()) } else { s.sin() },
                move |s| if slope.get() > 3 { fault(slope.get()) } else { s.cos() },
            );
            let (activation, loss) = match own {
                0 => (activation, Loss::SquaredError),
                _ => (Activation::Tanh, own_loss::<T>(switch.clone())),
            };
            // Gated units have no functions of the user's.
            let gated = matches!(setup.cells, Cells::Gru | Cells::Lstm);
            let Some(learner) = setup.learner(activation, &loss) else { continue };
            if gated && own == 0 {
                continue;
            }
            let mut learner = started(setup, &loss, learner, 4);
            let twin = learner.clone();
            for fault in 1..=6 {
                switch.set(fault);
                let error = step(&mut learner, &draw(setup, &loss, 4), true).unwrap_err();
                let Error::NonFinite { quantity, .. } = in_stream(setup, 0, &error) else {
                    panic!("{error}")
                };
                let expected = match (own, fault > 3) {
                    (0, false) => Quantity::UnitOutput,
                    (0, true) => Quantity::Slope,
                    (_, false) => Quantity::Loss,
                    (_, true) => Quantity::Error,
                };
                assert_eq!(*quantity, expected);
            }
            switch.set(0);
            assert_eq!(learner.recoveries(), Recoveries::default());
            assert!(same(setup, &loss, [learner, twin], 4), "{setup:?}, {loss:?}");
        }
    }
}

#[test]
fn functions_that_give_no_numbers_are_named_and_change_nothing() {
    bad_functions::<f32>();
    bad_functions::<f64>();
}
