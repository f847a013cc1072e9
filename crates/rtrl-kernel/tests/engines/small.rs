//! An engine of two units: what it guarantees about errors, saving and empty layers.

use rtrl_kernel::{
    Deferred, Eager, Engine, Error, Isa, Jacobian, Layout, Pace, Quantity, Snapshot, Step, Threads,
    cost,
};

/// Values for a layer of two units and three columns.
struct Small {
    recurrent: [f32; 4],
    scale: [f32; 2],
    z: [f32; 3],
}

impl Small {
    fn engine() -> Eager<f32> {
        Self::learning(6)
    }

    /// An engine in which so many weights learn: if not all do, rows have no panels of their own.
    fn learning(weights: usize) -> Eager<f32> {
        let layout = Layout::simple(2, 3).unwrap();
        let learns: Vec<bool> = (0..6).map(|weight| weight < weights).collect();
        Eager::new(&layout, &learns, Isa::best(), Threads::SERIAL).unwrap()
    }

    fn step(&self) -> Step<'_, f32> {
        Step {
            jacobian: Jacobian::scaled(&self.recurrent, 2, &self.scale),
            injection: &self.scale,
            z: &self.z,
            forced: &[false; 2],
        }
    }
}

const TAME: Small =
    Small { recurrent: [0.1, 0.2, 0.3, 0.4], scale: [0.5, 0.25], z: [1.0, -1.0, 2.0] };

#[test]
fn a_restored_engine_continues_as_the_saved_one() {
    let mut engine = Small::engine();
    engine.advance(&TAME.step(), None).unwrap();
    engine.advance(&TAME.step(), Some(&[0.5, 2.0])).unwrap();
    let mut saved = Snapshot::default();
    engine.save(&mut saved).unwrap();
    assert!(saved.tensors.keys().eq(["gradient", "sensitivities", "since_clearing"]));
    let mut other = Small::engine();
    assert_eq!(other.spec(), engine.spec());
    other.advance(&TAME.step(), None).unwrap();
    other.load(&mut saved).unwrap();
    let mut gradients = [[0.0f32; 6]; 2];
    for (engine, gradient) in [&mut engine, &mut other].into_iter().zip(&mut gradients) {
        engine.advance(&TAME.step(), Some(&[1.0, -1.0])).unwrap();
        engine.gradient(gradient, 3).unwrap();
    }
    assert!(gradients[0].iter().all(|&g| g != 0.0));
    assert_eq!(gradients[0], gradients[1]);
}

#[test]
fn slices_that_do_not_fit_are_refused_before_anything_changes() {
    let mut engine = Small::engine();
    engine.advance(&TAME.step(), None).unwrap();
    let mut before = [0.0; 6];
    engine.sensitivities(0, &mut before).unwrap();
    let refused = |error| matches!(error, Err(Error::Length { .. }));
    let good = TAME.step();
    let scaled = |weights, stride, scale| Jacobian::scaled(weights, stride, scale);
    for bad in [
        Step { jacobian: scaled(&[0.0; 3], 2, &[0.0; 2]), ..good },
        Step { jacobian: scaled(&[0.0; 4], 2, &[0.0]), ..good },
        Step { jacobian: scaled(&[0.0; 4], 1, &[0.0; 2]), ..good },
        Step { jacobian: scaled(&[0.0; 4], usize::MAX, &[0.0; 2]), ..good },
        Step { jacobian: good.jacobian.with_diagonal(Some(&[0.0; 3])), ..good },
        Step { injection: &[0.0; 3], ..good },
        Step { z: &[0.0; 2], ..good },
        Step { forced: &[false; 3], ..good },
    ] {
        assert!(refused(engine.advance(&bad, None)));
    }
    assert!(refused(engine.advance(&good, Some(&[0.0; 3]))));
    assert!(refused(engine.gradient(&mut [0.0; 5], 3)));
    assert!(refused(engine.sensitivities(0, &mut [0.0; 5])));
    assert!(refused(engine.gradient(&mut [0.0; 6], 2)));
    let unit = Err(Error::State { states: 2, got: 2 });
    assert_eq!(engine.sensitivities(2, &mut [0.0; 6]), unit);
    let mut after = [0.0; 6];
    engine.sensitivities(0, &mut after).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_load_that_fails_loses_p_until_a_reset() {
    let odd = [([2, 5], vec![0.0f32; 10]), ([2, 6], vec![f32::INFINITY; 12])];
    for tensor in odd {
        let mut engine = Small::engine();
        engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
        let tensors = [("sensitivities".to_owned(), tensor)].into();
        assert!(engine.load(&mut Snapshot { tensors }).is_err());
        assert_eq!(engine.advance(&TAME.step(), None), Err(Error::Lost));
        assert_eq!(engine.gradient(&mut [0.0; 6], 3), Err(Error::Lost));
        engine.reset().unwrap();
        let mut gradient = [1.0; 6];
        engine.gradient(&mut gradient, 3).unwrap();
        assert_eq!(gradient, [0.0; 6]);
        engine.advance(&TAME.step(), None).unwrap();
    }
}

#[test]
fn an_overflow_is_an_error_of_its_own_until_a_reset() {
    let wild = Small { scale: [1e30, 1e30], ..TAME };
    let cases = [(None, Quantity::Sensitivities), (Some([1e30; 2]), Quantity::Gradient)];
    for ((error, quantity), weights) in
        cases.iter().flat_map(|&case| [6, 5].map(|weights| (case, weights)))
    {
        let mut engine = Small::learning(weights);
        let error = error.as_ref().map(<[f32; 2]>::as_slice);
        let mut result = engine.advance(&wild.step(), error);
        if quantity == Quantity::Sensitivities {
            result = engine.advance(&wild.step(), None);
        }
        assert_eq!(result, Err(Error::NonFinite { quantity }));
        assert_eq!(engine.advance(&TAME.step(), None), Err(Error::Lost));
        assert_eq!(engine.sensitivities(0, &mut [0.0; 6][..weights]), Err(Error::Lost));
        let mut untouched = [7.0; 6];
        assert_eq!(engine.gradient(&mut untouched, 3), Err(Error::Lost));
        assert_eq!(untouched, [7.0; 6]);
        assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
        engine.reset().unwrap();
        engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
        let mut gradient = [0.0; 6];
        engine.gradient(&mut gradient, 3).unwrap();
        let expected = [-0.5, 0.5, -1.0, -0.25, 0.25, -0.5];
        assert_eq!(gradient[..weights], expected[..weights]);
        assert!(gradient[weights..].iter().all(|&g| g == 0.0));
    }
}

#[test]
fn a_shape_that_does_not_fit_in_memory_says_how_many_bytes_it_needs() {
    let bytes = 4_000_080_000_000_000;
    assert_eq!(cost::sensitivity_bytes::<f32>(100_000, 100_000 * 100_002), bytes);
    assert_eq!(cost::check_memory(bytes), Err(Error::Memory { bytes }));
    assert_eq!(cost::sensitivity_bytes::<f64>(3, 17), 3 * 3 * 64);
    assert_eq!(cost::sensitivity_bytes::<f32>(u128::MAX, u128::MAX), u128::MAX);
    assert!(matches!(Layout::simple(usize::MAX, usize::MAX), Err(Error::Memory { .. })));
    assert!(matches!(Layout::simple(1 << 63, 2), Err(Error::Memory { .. })));
}

#[test]
fn nothing_to_learn_is_nothing_to_do() {
    let layout = Layout::simple(2, 3).unwrap();
    let mut engine = Eager::<f32>::new(&layout, &[false; 6], Isa::best(), Threads::SERIAL).unwrap();
    engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
    let mut gradient = [7.0; 6];
    engine.gradient(&mut gradient, 3).unwrap();
    assert_eq!((engine.weights(), gradient), (0, [7.0; 6]));
}

/// Lanes without a weight are not loaded, and an overflow leaves NaN in them.
#[test]
fn an_engine_that_has_overflowed_can_be_loaded() {
    let layout = Layout::simple(2, 3).unwrap();
    let wild = Small { scale: [1e30, 1e30], ..TAME };
    let engines = || -> [Box<dyn Engine<f32>>; 3] {
        let (isa, threads) = (Isa::best(), Threads::SERIAL);
        let late = Deferred::new(&layout, &[true; 6], 2, Pace::Bursts, isa, threads).unwrap();
        [Box::new(Small::engine()), Box::new(Small::learning(5)), Box::new(late)]
    };
    for (mut good, mut bad) in engines().into_iter().zip(engines()) {
        good.advance(&TAME.step(), None).unwrap();
        let mut saved = Snapshot::default();
        good.save(&mut saved).unwrap();
        assert!((0..9).any(|_| bad.advance(&wild.step(), None).is_err()), "{bad:?}");
        bad.load(&mut saved).unwrap();
        let mut gradients = [[0.0f32; 6]; 2];
        for (engine, gradient) in [good, bad].into_iter().zip(&mut gradients) {
            let mut engine = engine;
            for _ in 0..3 {
                engine.advance(&TAME.step(), Some(&[1.0, -1.0])).unwrap();
            }
            engine.gradient(gradient, 3).unwrap();
        }
        assert_eq!(gradients[0], gradients[1]);
    }
}

#[test]
fn rows_without_weights_have_an_empty_gradient() {
    let layout = Layout::simple(2, 0).unwrap();
    let mut engine = Eager::<f32>::new(&layout, &[], Isa::best(), Threads::SERIAL).unwrap();
    assert_eq!(engine.gradient(&mut [], 0), Ok(()));
    for len in [16, 32] {
        let mut untouched = vec![7.0; len];
        assert_eq!(engine.gradient(&mut untouched, 16), Ok(()));
        assert!(untouched.iter().all(|&value| value == 7.0));
    }
}
