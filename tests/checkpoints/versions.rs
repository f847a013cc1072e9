//! Files of this version and of another.

use rtrl_bench::training;
use rtrl_model::{StoredLearner, Supplies};

/// The fixture is a file of the current version: `checkpoint_loop FOLDER --steps 30 --keep 1` made it. A change
/// of the format that breaks it needs another version.
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
