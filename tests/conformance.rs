//! Every conformance case with the reference and with every engine, on every instruction set and in
//! both precisions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::reference::{self, Fault};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{EngineChoice, Isa, Pace, Real, Threads};

use crate::tested;

static PRINTED: Once = Once::new();

/// The project's own cases, and those of a neighbouring folder where it exists.
pub(crate) fn cases() -> Vec<(PathBuf, Case)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = |folder: &str| {
        let folder = root.join(folder);
        [json_files(&folder), json_files(&folder.join("cells"))].concat()
    };
    let own = files("tests/cases");
    assert!(own.len() >= 30, "only {} cases of our own", own.len());
    let shared = files("../shared/conformance");
    PRINTED.call_once(|| {
        let (own, shared) = (own.len(), shared.len());
        drop(writeln!(
            std::io::stderr(),
            "conformance cases: {own} here, {shared} in the shared folder"
        ));
    });
    let paths = own.into_iter().chain(shared);
    paths
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let case = Case::from_json(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, case)
        })
        .collect()
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

/// The eager engine, the automatic choice, and the deferred engine with windows that fill often,
/// seldom and never, and with its default.
fn engines() -> Vec<EngineChoice> {
    let windows = [1, 2, 5, 32, 1000].map(Some).into_iter().chain([None]);
    let deferred = windows.flat_map(|window| {
        [Pace::Bursts, Pace::Even].map(|pace| EngineChoice::Deferred { window, pace })
    });
    [EngineChoice::Eager, EngineChoice::Auto].into_iter().chain(deferred).collect()
}

fn check<T: Real>(tolerance: f64) {
    for (path, case) in cases() {
        let expected = case.expect.as_ref().expect("a case in the project has expected values");
        let compare = |got: &Trace, what: &str| {
            if let Err(difference) = trace(got, expected, Tolerance::Relative(tolerance)) {
                panic!("{} with {what} in {}: {difference}", path.display(), T::NAME);
            }
        };
        compare(&reference::run::<T>(&case), "the reference");
        for isa in tested::sets() {
            for engine in engines() {
                let learner = case.learner::<T>(isa).unwrap().engine(engine);
                let got = case.run(learner.threads(Threads::SERIAL)).unwrap();
                compare(&got, &format!("{engine:?} on {isa}"));
            }
        }
    }
}

#[test]
fn every_case_in_double_precision() {
    check::<f64>(1e-9);
}

#[test]
fn every_case_in_single_precision() {
    check::<f32>(2e-4);
}

/// Negative control: another learning rate must be detected.
#[test]
fn a_wrong_setting_is_caught() {
    let (_, mut case) = cases().into_iter().find(|(_, case)| case.learning_rate > 0.0).unwrap();
    case.learning_rate *= 1.001;
    let learner = case.learner::<f64>(Isa::best()).unwrap();
    let got = case.run(learner).unwrap();
    assert!(trace(&got, case.expect.as_ref().unwrap(), Tolerance::Relative(1e-9)).is_err());
}

/// Negative control: a case in heads notices heads of another size, and none at all.
#[test]
fn other_heads_are_caught() {
    let mut divided = 0;
    for (path, case) in cases() {
        let expected = case.expect.as_ref().unwrap();
        for l in 0..case.layers.len() {
            let Some(head) = case.layers[l].heads_of else { continue };
            divided += 1;
            let units = case.layers[l].units;
            let others = (1..=units).filter(|&size| size != head && units.is_multiple_of(size));
            for other in others.map(Some).chain([None]) {
                let mut case = case.clone();
                case.layers[l].heads_of = other;
                let got = case.run(case.learner::<f64>(Isa::best()).unwrap()).unwrap();
                let difference = trace(&got, expected, Tolerance::Relative(2e-4));
                assert!(difference.is_err(), "{}: {other:?}", path.display());
            }
        }
    }
    assert!(divided >= 5, "only {divided} layers in heads");
}

/// Negative control: cases of simple units notice each broken term that they have, and cases of
/// gated cells or layers all of them, even with the loosest tolerance in use.
#[test]
fn a_broken_term_is_caught() {
    let (layered, simple): (Vec<_>, Vec<_>) =
        cases().into_iter().partition(|(path, _)| path.parent().unwrap().ends_with("cells"));
    let is_of_layers =
        |fault| matches!(fault, Fault::Gate | Fault::OutputDrive | Fault::LayerAbove);
    for fault in Fault::ALL {
        let is_caught = |(_, case): &&(PathBuf, Case)| {
            let got = reference::run_with::<f64>(case, fault);
            trace(&got, case.expect.as_ref().unwrap(), Tolerance::Relative(2e-4)).is_err()
        };
        let count = |cases: &[_]| cases.iter().filter(is_caught).count();
        let counts = [count(&simple), count(&layered)];
        println!("{fault:?}: caught by {counts:?} cases");
        assert!(counts[1] > 0 && (counts[0] > 0) != is_of_layers(fault), "{fault:?}: {counts:?}");
    }
}
