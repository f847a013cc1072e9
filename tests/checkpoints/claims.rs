//! Files whose header claims more than their tensors show, measured in a process of its own.

use std::path::Path;
use std::process::Command;

use rtrl_model::store::container::Tensor;
use rtrl_model::{EngineChoice, Learner, Network, Pace};
use serde_json::json;

use super::{Forge, Tensors, rewrite};

const PROGRAM: &str = env!("CARGO_BIN_EXE_resumed_memory");

/// A learner of one stream in which one weight learns, so that a stream takes little of its file.
fn nearly_frozen(units: usize) -> Learner<f64> {
    let mut frozen = vec![true; units * (units + 2)];
    frozen[0] = false;
    let network = Network::<f64>::builder(units, 1).frozen(frozen).build().unwrap();
    let engine = EngineChoice::Deferred { window: Some(8), pace: Pace::Even };
    Learner::builder(network).engine(engine).build().unwrap()
}

/// Claims 100 streams, each with all its tensors and counts.
fn hundred_streams(contents: &mut serde_json::Value, tensors: &mut Tensors) {
    contents["learner"]["streams"] = json!(100);
    let counts = contents["counts"].as_object_mut().unwrap();
    let rename = |name: &str, b: usize| {
        name.strip_prefix("stream.0.").map(|rest| format!("stream.{b}.{rest}"))
    };
    for b in 1..100 {
        for (name, count) in counts.clone() {
            counts.extend(rename(&name, b).map(|name| (name, count)));
        }
        let copy = |(tensor, bytes): &(Tensor, Vec<u8>)| {
            let name = rename(&tensor.name, b)?;
            Some((Tensor { name, ..tensor.clone() }, bytes.clone()))
        };
        let copies: Vec<_> = tensors.iter().filter_map(copy).collect();
        tensors.extend(copies);
    }
}

/// Claims a window that no file of this size can have filled.
fn long_window(contents: &mut serde_json::Value, _: &mut Tensors) {
    contents["learner"]["engine"]["deferred"]["window"] = json!(1u64 << 16);
}

/// Claims 100 streams, each with a window of 400 steps.
fn streams_with_long_windows(contents: &mut serde_json::Value, tensors: &mut Tensors) {
    hundred_streams(contents, tensors);
    contents["learner"]["engine"]["deferred"]["window"] = json!(400);
}

/// Claims a block of all states for each weight row, which take no place in the file where no
/// weight of the row learns.
fn blocks_of_all_states<const UNITS: usize>(
    contents: &mut serde_json::Value,
    tensors: &mut Tensors,
) {
    let block = |row: usize| {
        let (states, rows) = ([[0, UNITS]], [[row, row + 1]]);
        json!({"states": states, "rows": rows, "weights": u8::from(row == 0), "engine": "eager"})
    };
    contents["learner"]["engine"] = json!({"blocks": (0..UNITS).map(block).collect::<Vec<_>>()});
    let name = |row: usize| format!("stream.0.engine.block.{row}.sensitivities");
    let p = tensors.iter_mut().find(|(tensor, _)| tensor.name.ends_with("engine.sensitivities"));
    p.unwrap().0.name = name(0);
    let empty = |row| (Tensor::numbers::<f64>(name(row), [UNITS, 0]), Vec::new());
    tensors.splice(0..0, (1..UNITS).map(empty));
}

/// Gradients of n c numbers a stream and windows of h n² numbers take memory when a step first
/// writes them, not because a header claims them.
#[test]
fn claimed_streams_windows_and_blocks_take_no_memory() {
    check::<400>(20);
}

/// Arrays of an engine with less than 128 KiB are written when they are made: as many as a file can
/// name are bounded by its size, and each by this length.
#[test]
fn claimed_arrays_of_small_layers_take_a_bounded_multiple_of_the_file() {
    check::<120>(400);
}

/// Claims in the name of a learner of `UNITS` units take less than `most` times the size of their
/// file.
fn check<const UNITS: usize>(most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    nearly_frozen(UNITS).save(&path, &json!(null)).unwrap();
    // A system that does not lend more than it has refuses long windows.
    let claims: [(Forge, &[u64]); 4] = [
        (hundred_streams, &[100]),
        (streams_with_long_windows, &[0, 100]),
        (long_window, &[0, 1]),
        // Each block would have a Jacobian.
        (blocks_of_all_states::<UNITS>, &[0]),
    ];
    for (forge, allowed) in claims {
        rewrite(&path, &forged, forge);
        let [streams, taken] = read(&forged);
        assert!(allowed.contains(&streams), "{streams} streams");
        let file = std::fs::metadata(&forged).unwrap().len() / 1024;
        let what = format!("{UNITS} units, {streams} streams");
        assert!(taken < most * file, "{what}: {taken} KiB for a file of {file} KiB");
    }
}

/// The streams of the learner in a file, and the memory that reading it takes, in KiB.
fn read(forged: &Path) -> [u64; 2] {
    let output = Command::new(PROGRAM).arg(forged).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let (streams, taken) = printed.trim_end().split_once(' ').unwrap();
    [streams, taken].map(|number| number.parse().unwrap())
}
