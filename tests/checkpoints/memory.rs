//! Memory that a file makes room for, and a full disk.

use rtrl_model::{EngineChoice, Error, Forecaster, Learner, Network, StoredLearner, Targets};
use serde_json::json;

use super::{builder, plain, rewrite, supplies};

/// Memory is reserved in proportion to what the file holds, whatever its header claims.
#[test]
fn memory_follows_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let mut forecaster = Forecaster::new(builder(&plain()).build().unwrap(), 5).unwrap();
    for _ in 0..3 {
        forecaster.observe(&[0.1f64, 0.2], Targets::None).unwrap();
    }
    forecaster.save(&path, &json!(null)).unwrap();
    rewrite(&path, &forged, |contents, _| contents["forecast"]["horizon"] = json!(1u64 << 30));
    let mut read = None;
    let used = allocation_counter::measure(|| {
        let stored = StoredLearner::open(&forged).unwrap();
        read = Some(stored.forecaster::<f64>(&supplies(1, 0)));
    });
    let mut forecaster = read.unwrap().unwrap();
    assert!(used.bytes_max < 4 << 20, "{} bytes", used.bytes_max);
    forecaster.observe(&[0.1, 0.2], Targets::None).unwrap();
}

/// p is longer than every buffer, so that the disk fails while the engine passes its rows on.
#[cfg(target_os = "linux")]
#[test]
fn the_error_of_a_full_disk_comes_through_the_engine() {
    let network = Network::<f64>::builder(40, 2).build().unwrap();
    let learner = Learner::builder(network).engine(EngineChoice::Eager).build().unwrap();
    let error = learner.save(std::path::Path::new("/dev/full"), &json!(null)).unwrap_err();
    let Error::File { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
