//! Files of this version and of another, and of another kind.

use rtrl_bench::training;
use rtrl_model::store::network::{self, SavedModel};
use rtrl_model::{StoredLearner, Supplies};
use serde_json::json;

/// The fixture is a file of the current version: `checkpoint_loop FOLDER --steps 30 --keep 1` made
/// it. From the first release on, a change of the format that breaks it needs another version;
/// until then, a new fixture.
#[test]
fn files_of_the_present_version_stay_readable() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkpoints/version-2.safetensors");
    let stored = StoredLearner::open(std::path::Path::new(path)).unwrap();
    let mut resumed = stored.learner::<f32>(&Supplies::default()).unwrap();
    let mut whole = training::learner().unwrap();
    for _ in 0..30 {
        training::advance(&mut whole).unwrap();
    }
    for _ in 0..40 {
        assert_eq!(resumed.first_difference(&whole).unwrap(), None);
        training::advance(&mut resumed).unwrap();
        training::advance(&mut whole).unwrap();
    }
}

/// The fixture is a file of the first version, which no release has written.
#[test]
fn files_of_another_version_are_refused_by_number() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkpoints/version-1.safetensors");
    let error = StoredLearner::open(std::path::Path::new(path)).unwrap_err().to_string();
    let expected = r#"format "rtrl-checkpoint" version 1, expected "rtrl" version 2"#;
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn models_and_checkpoints_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (model, checkpoint) = (folder.path().join("model"), folder.path().join("checkpoint"));
    let learner = training::learner().unwrap();
    learner.save(&checkpoint, &json!(null)).unwrap();
    let layers = learner.network();
    network::save(layers, layers.initial_state(), json!(null), &model).unwrap();
    let error = StoredLearner::open(&model).unwrap_err().to_string();
    assert!(error.ends_with("got a saved model, expected the checkpoint of a learner"), "{error}");
    let error = SavedModel::read(&checkpoint).unwrap_err().to_string();
    assert!(error.ends_with("got the checkpoint of a learner, expected a saved model"), "{error}");
}
