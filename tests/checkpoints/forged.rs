//! Files made by hand, with a checksum that is right.

use rtrl_model::store::container::Tensor;
use rtrl_model::{
    Error, Forecaster, Learner, Network, StoredLearner, Supplies, Targets, Timing, UpdateSettings,
};
use serde_json::json;

use super::{Forge, Layer, Run, advance, builder, plain, real_time, rewrite, supplies};

/// Files that were made by hand, with a checksum that is right: each is refused, none is a panic.
#[test]
fn contents_that_contradict_the_tensors_are_refused() {
    let regime = real_time(Timing::AfterNextStep, 4);
    let updates = UpdateSettings::adamw(0.005);
    let run = Run { regime, updates, step_gradients: true, ..plain() };
    refuse_forgeries(
        &run,
        &[
            ("weights that learn", |contents, _| contents["learning_weights"] = json!(7)),
            ("streams", |contents, _| contents["learner"]["streams"] = json!(1000)),
            ("units", |contents, _| contents["network"]["units"] = json!(1u64 << 40)),
            ("inputs", |contents, _| contents["network"]["inputs"] = json!(u64::MAX)),
            ("a field", |contents, _| contents["network"]["colour"] = json!("red")),
            ("another field", |contents, _| contents["colour"] = json!("red")),
            ("an unknown count", |contents, _| contents["counts"]["colours"] = json!(1)),
            ("a precision", |contents, _| contents["precision"] = json!("f16")),
            ("forced", |_, tensors| tensor(tensors, "stream.0.forced")[0] = 1),
            ("sum", |_, tensors| put(tensor(tensors, "sum.recurrent"), ABSENT, 1.0)),
            ("waiting", |_, tensors| put(tensor(tensors, "waiting.recurrent"), ABSENT, 1.0)),
            ("a moment", |_, tensors| {
                put(tensor(tensors, "optimizer.recurrent.first_moment"), ABSENT, 1.0);
            }),
            ("a negative moment", |_, tensors| {
                put(tensor(tensors, "optimizer.readout.second_moment"), 0, -1.0);
            }),
            ("a missing tensor", |_, tensors| rename(tensors, "stream.0.slopes")),
            ("a missing part of a window", |_, tensors| {
                rename(tensors, "stream.0.engine.window.z");
            }),
        ],
    );
    let run = Run { layer: Layer::LeastSquares, ..plain() };
    refuse_forgeries(
        &run,
        &[("inverse", |_, tensors| put(tensor(tensors, "fit.0.inverse"), 1, 9.0))],
    );
}

/// No run reaches these counts.
#[test]
fn counts_that_no_run_reaches_are_refused() {
    refuse_forgeries(
        &plain(),
        &[
            ("steps", |contents, _| contents["counts"]["steps"] = json!(u64::MAX / 2)),
            ("more steps", |contents, _| contents["counts"]["steps"] = json!(u64::MAX)),
            ("negative steps", |contents, _| contents["counts"]["steps"] = json!(-1)),
            ("updates", |contents, _| contents["counts"]["updates"] = json!(u64::MAX / 2)),
            ("accumulated steps", |contents, _| {
                contents["counts"]["accumulator.steps"] = json!(u64::MAX);
            }),
            ("a stream's steps", |contents, _| {
                contents["counts"]["stream.0.steps"] = json!(u64::MAX);
            }),
            ("resets", |contents, _| {
                contents["counts"]["recoveries.resets"] = json!(u64::MAX);
            }),
            ("skipped updates", |contents, _| {
                contents["counts"]["recoveries.skipped_updates"] = json!(u64::MAX);
            }),
            ("a flag", |contents, _| contents["counts"]["accumulator.due"] = json!(2)),
            ("no count", |contents, _| {
                contents["counts"].as_object_mut().unwrap().remove("updates");
            }),
        ],
    );
}

/// Lists of one value for all units, and readouts that are half described.
#[test]
fn a_network_that_is_not_fully_described_is_refused() {
    let run = Run { leaky: true, ..plain() };
    refuse_forgeries(
        &run,
        &[
            ("one activation", |contents, _| {
                contents["network"]["activations"] = json!(["tanh"]);
            }),
            ("one leak", |contents, _| contents["network"]["leaks"] = json!([0.5])),
            ("no readout", |contents, _| contents["network"]["readout"] = json!(null)),
            ("a readout without outputs", |contents, _| {
                contents["network"]["readout"]["outputs"] = json!(0);
            }),
            ("half a readout", |contents, _| {
                contents["network"]["readout"] = json!({"outputs": 2, "sees_inputs": true});
            }),
            ("least squares without a readout", |contents, _| {
                contents["network"]["readout"] =
                    json!({"least_squares": {"forgetting": 0.9, "ridge": 0.1}});
            }),
        ],
    );
}

/// Weight (1, 0), which is absent.
const ABSENT: usize = 7;

fn tensor<'a>(tensors: &'a mut [(Tensor, Vec<u8>)], name: &str) -> &'a mut [u8] {
    &mut tensors.iter_mut().find(|(tensor, _)| tensor.name == name).unwrap().1
}

fn rename(tensors: &mut [(Tensor, Vec<u8>)], name: &str) {
    tensors.iter_mut().find(|(tensor, _)| tensor.name == name).unwrap().0.name += "s";
}

fn put(bytes: &mut [u8], place: usize, value: f64) {
    bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
}

fn refuse_forgeries(run: &Run, forgeries: &[(&str, Forge)]) {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let mut learner = builder::<f64>(run).build().unwrap();
    (0..6).for_each(|step| advance(&mut learner, run, step));
    learner.save(&path, &json!(null)).unwrap();
    let read = |forge| {
        rewrite(&path, &forged, forge);
        StoredLearner::open(&forged).and_then(|stored| stored.learner::<f64>(&supplies(1, 0)))
    };
    assert!(read(|_, _| {}).is_ok());
    for &(what, forge) in forgeries {
        assert!(read(forge).is_err(), "{what}");
    }
}

/// A network without inputs: its waiting inputs have no values, but the file confirms their number.
#[test]
fn inputs_without_values_are_confirmed_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let network = Network::<f64>::builder(2, 0).seed(4).build().unwrap();
    let learner = Learner::builder(network).build().unwrap();
    let mut whole = Forecaster::new(learner, 5).unwrap();
    for _ in 0..3 {
        whole.observe(&[], Targets::None).unwrap();
    }
    whole.save(&path, &json!(null)).unwrap();
    let read = |path| StoredLearner::open(path).unwrap().forecaster::<f64>(&Supplies::default());
    let mut resumed = read(&path).unwrap();
    for _ in 0..6 {
        assert_eq!(resumed.forecast().unwrap(), whole.forecast().unwrap());
        let observe = |forecaster: &mut Forecaster<f64>| {
            forecaster.observe(&[], Targets::All(&[0.3, -0.2])).unwrap().is_some()
        };
        assert_eq!(observe(&mut resumed), observe(&mut whole));
    }
    rewrite(&path, &forged, |contents, _| {
        contents["forecast"] = json!({"horizon": 1u64 << 60, "waiting": [1u64 << 60]});
    });
    let refused = read(&forged);
    assert!(matches!(refused, Err(Error::Container { .. })), "forged waiting count was accepted");
}

/// A stream whose p is lost takes as much of the file as any other.
#[test]
fn lost_streams_are_not_for_free() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    builder::<f64>(&plain()).build().unwrap().save(&path, &json!(null)).unwrap();
    rewrite(&path, &forged, |contents, tensors| {
        contents["counts"]["stream.0.lost"] = json!(true);
        rename(tensors, "stream.0.engine.sensitivities");
    });
    let refused = StoredLearner::open(&forged).unwrap().learner::<f64>(&supplies(1, 0));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`stream.0.engine.sensitivities`: got none"), "{message}");
}
