//! Runs over whole arrays, and networks made of flat arrays.

use rtrl_model::{
    Connection, Error, InitialWeights, Learner, Network, Readout, ReadoutWeights, Real, Table,
    Targets,
};

use super::{INPUTS, OUTPUTS, UNITS, network, stream, weights};

/// A learner of several streams, with the inputs and targets of a run of 20 steps.
fn runnable(streams: usize) -> (Learner<f32>, Vec<f32>, Vec<Option<f32>>) {
    let (recurrent, readout) = weights();
    let learner = Learner::builder(network::<f32>(&recurrent, &readout)).streams(streams);
    let drawn: Vec<_> = stream(20 * streams);
    let x = drawn.iter().flat_map(|(x, _)| x).map(|&x| f32::from_f64(x)).collect();
    let d = drawn.iter().flat_map(|(_, d)| d).map(|d| d.map(f32::from_f64)).collect();
    (learner.build().unwrap(), x, d)
}

#[test]
fn a_run_over_arrays_is_the_loop_over_its_steps() {
    for streams in [1, 3] {
        let (mut learner, x, d) = runnable(streams);
        let all: Vec<f32> = d.iter().map(|d| d.unwrap_or(0.25)).collect();
        let mut looped = learner.clone();
        for targets in [Targets::Some(&d), Targets::All(&all), Targets::None] {
            let run = learner.run(20, &x, targets).unwrap();
            let (mut outputs, mut losses) = (Vec::new(), Vec::new());
            for t in 0..20 {
                let sample = |b| {
                    let row = (t * streams + b) * OUTPUTS..(t * streams + b + 1) * OUTPUTS;
                    let targets = match targets {
                        Targets::None => Targets::None,
                        Targets::All(values) => Targets::All(&values[row]),
                        Targets::Some(values) => Targets::Some(&values[row]),
                    };
                    Some((&x[(t * streams + b) * INPUTS..][..INPUTS], targets))
                };
                let samples: Vec<_> = (0..streams).map(sample).collect();
                let report = looped.step_streams(&samples).unwrap();
                outputs.extend_from_slice(report.outputs);
                losses.push(report.loss);
            }
            assert_eq!((run.outputs, run.losses), (outputs, losses));
            assert_eq!(learner.network().weights(), looped.network().weights());
        }
        assert!(learner.updates() == 40 && learner.steps() == 60);
    }
}

#[test]
fn a_run_that_fails_names_its_step_and_keeps_what_came_before() {
    let (mut learner, mut x, d) = runnable(2);
    let mut looped = learner.clone();
    x[(13 * 2 + 1) * INPUTS + 1] = f32::NAN;
    let error = learner.run(20, &x, Targets::Some(&d)).unwrap_err();
    let expected =
        "step 13 of the run: stream 1: step 13, input 1: got NaN, expected a finite number";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error.cause(), Error::NonFinite { .. }));
    looped.run(13, &x[..13 * 2 * INPUTS], Targets::Some(&d[..13 * 2 * OUTPUTS])).unwrap();
    assert_eq!(learner.steps(), 13);
    assert_eq!(learner.network().weights(), looped.network().weights());
    for (x, d, message) in [
        (&x[1..], &d[..], "input of a run: got 79 values, expected 80"),
        (&x[..], &d[1..], "target of a run: got 119 values, expected 120"),
    ] {
        let error = learner.run(20, x, Targets::Some(d)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(learner.steps(), 13);
}

#[test]
fn a_network_runs_over_arrays_as_it_does_step_by_step() {
    let (learner, mut x, _) = runnable(1);
    let network = learner.network();
    let (mut whole, mut single) = (network.state(), network.state());
    let outputs = network.run(&mut whole, 20, &x).unwrap();
    let steps = x.chunks(INPUTS).map(|x| network.forward(&mut single, x).unwrap().to_vec());
    assert_eq!(outputs, steps.collect::<Vec<_>>().concat());
    assert_eq!(whole.values(), single.values());
    x[4 * INPUTS] = f32::INFINITY;
    let mut state = network.state();
    let error = network.run(&mut state, 20, &x).unwrap_err();
    assert!(matches!(error, Error::AtStep { step: 4, .. }), "{error}");
    assert_eq!(state.steps(), 4);
    assert!(network.run(&mut state, 19, &x).is_err());
}

#[test]
fn a_network_of_flat_arrays_is_that_of_rows() {
    let (recurrent, readout) = weights();
    let present: Vec<Vec<bool>> =
        recurrent.iter().map(|row| row.iter().map(|w| *w > -0.4).collect()).collect();
    let frozen: Vec<Vec<bool>> =
        recurrent.iter().map(|row| row.iter().map(|w| *w > 0.4).collect()).collect();
    let build = |weights, read, present: Table<bool>, frozen: Table<bool>| {
        Network::<f64>::builder(UNITS, INPUTS)
            .weights(InitialWeights::Given(weights))
            .connections(present)
            .frozen(frozen)
            .readout(Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::Given(read)))
            .build()
    };
    let flat = (recurrent.concat(), readout.concat(), present.concat(), frozen.concat());
    let rows = build(recurrent.into(), readout.into(), present.into(), frozen.into()).unwrap();
    let (w, r, p, f) = flat;
    let same =
        build(w.clone().into(), r.clone().into(), p.clone().into(), f.clone().into()).unwrap();
    assert_eq!(rows.weights(), same.weights());
    assert_eq!(rows.readout_weights(), same.readout_weights());
    assert_eq!(rows.connections(), same.connections());
    assert!(rows.connections().count(Connection::Frozen) > 0);
    let cut = |values: &[f64]| Table::from(&values[1..]);
    let refused = [
        build(cut(&w), r.clone().into(), p.clone().into(), f.clone().into()),
        build(w.clone().into(), cut(&r), p.clone().into(), f.clone().into()),
        build(w.clone().into(), r.clone().into(), p[1..].into(), f.clone().into()),
        build(w.into(), r.into(), p.into(), f[1..].into()),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(
            matches!(error, Error::Length { expected, got, .. } if got + 1 == expected),
            "{error}"
        );
    }
}
