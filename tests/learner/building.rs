//! What does not fit together when a learner is built.

use rtrl_model::{
    Activation, Cell, EngineChoice, Error, Forecaster, InitialWeights, LargestSensitivity, Learner,
    LearnerBuilder, Network, Optimizer, Pace, Readout, Regime, Threads, Timing, kernel,
};

use super::{INPUTS, UNITS};

#[test]
fn a_choice_of_engine_next_to_a_custom_one_is_refused() {
    let network = Network::<f64>::builder(UNITS, INPUTS).build().unwrap();
    let (layout, learning) = (network.layout(), network.learning());
    let engine = kernel::Eager::new(layout, &learning, network.isa(), Threads::SERIAL).unwrap();
    let builder = Learner::builder(network).custom_engine(Box::new(engine));
    assert!(builder.clone().build().is_ok());
    let error = builder.engine(EngineChoice::Auto).build().unwrap_err().to_string();
    assert_eq!(error, "engine: got two choices, expected `engine` or `custom_engine`");
}

#[test]
fn counts_of_zero_are_refused() {
    let builder = || Learner::builder(Network::<f64>::builder(UNITS, INPUTS).build().unwrap());
    let every = |every| Regime::RealTime { timing: Timing::Immediate, every };
    let window = |steps| EngineChoice::Deferred { window: Some(steps), pace: Pace::Even };
    let build = |builder: LearnerBuilder<f64>| builder.build().map(drop);
    let forecaster = |horizon| Forecaster::new(builder().build()?, horizon).map(drop);
    for (what, call) in [
        ("number of streams", &(|n| build(builder().streams(n))) as &dyn Fn(usize) -> _),
        ("interval between updates", &|n| build(builder().regime(every(n)))),
        ("window", &|n| build(builder().engine(window(n)))),
        ("horizon", &forecaster),
        ("interval between observations", &|n| LargestSensitivity::new(n as u64).map(drop)),
    ] {
        call(1).unwrap();
        let error = call(0).unwrap_err();
        assert_eq!(error.to_string(), format!("{what}: got 0, expected at least 1"));
    }
}

#[test]
fn what_does_not_fit_together_is_refused_when_built() {
    let setting = |result: Result<Network<f64>, Error>| match result {
        Err(Error::Setting { what, .. }) => what,
        other => panic!("expected a setting to be refused, got {other:?}"),
    };
    let builder = || Network::<f64>::builder(3, 1);
    assert_eq!(setting(Network::<f64>::builder(0, 1).build()), "number of units");
    assert_eq!(
        setting(builder().activations([Activation::Tanh, Activation::Relu]).build()),
        "number of activations"
    );
    assert_eq!(setting(builder().readout(Readout::new(0)).build()), "number of readout outputs");
    assert_eq!(
        setting(builder().weights(InitialWeights::given(vec![vec![f64::NAN; 5]; 3])).build()),
        "weight matrix"
    );
    for (units, inputs) in
        [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 20, 1)]
    {
        for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
            let builder = Network::<f64>::builder(units, inputs).cell(cell);
            let vast = builder.layer(1).build();
            assert!(matches!(vast, Err(Error::Memory { .. })), "{units} {cell}, {inputs} inputs");
        }
    }
    let narrow = builder().weights(InitialWeights::given(vec![vec![0.0; 4]; 3])).build();
    assert!(matches!(narrow, Err(Error::Shape { expected: (3, 5), got: (3, 4), .. })));
    assert!(matches!(builder().initial_state(vec![0.0]).build(), Err(Error::StateLength { .. })));
    let forced = Learner::builder(builder().readout(Readout::new(1)).build().unwrap())
        .teacher_forcing(true)
        .build();
    assert!(matches!(forced, Err(Error::Setting { what: "teacher forcing", .. })));
    for optimizer in
        [Optimizer::sgd(f64::NAN), Optimizer::sgd(-1.0), Optimizer::adam(f64::INFINITY)]
    {
        let learner = Learner::builder(builder().build().unwrap()).optimizer(optimizer);
        assert!(matches!(learner.build(), Err(Error::Setting { what: "learning rate", .. })));
    }
}
