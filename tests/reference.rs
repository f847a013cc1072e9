//! The reference itself: conformance cases that other programs made, and broken terms.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::reference::{self, Fault};
use rtrl_model::Real;
use rtrl_model::store::case::Case;

/// The project's cases, and those of a neighbouring folder where it exists.
fn cases() -> Vec<(PathBuf, Case)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["tests/cases", "tests/cases/cells"].map(|folder| root.join(folder));
    let shared = ["conformance", "conformance/cells"].map(|f| root.join("../shared").join(f));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = Case::from_json(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, case)
    };
    folders.into_iter().chain(shared).flat_map(|folder| json_files(&folder)).map(read).collect()
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect()
}

fn check<T: Real>(tolerance: f64) {
    for (path, case) in cases() {
        let got = reference::run::<T>(&case);
        let expected = case.expect.as_ref().unwrap();
        if let Err(difference) = trace(&got, expected, Tolerance::Relative(tolerance)) {
            panic!("{} in {}: {difference}", path.display(), T::NAME);
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

/// Negative control: a missing term of a gated cell or of a chain is noticed in some case, even
/// with the loosest tolerance in use.
#[test]
fn a_broken_term_is_caught() {
    let cases = cases();
    for fault in [
        Fault::ForcedColumns,
        Fault::ImmediateInfluence,
        Fault::Slope,
        Fault::Error,
        Fault::Reset,
        Fault::RecurrentSum,
        Fault::Kept,
        Fault::Gate,
        Fault::OutputDrive,
        Fault::LayerAbove,
    ] {
        let is_caught = |(_, case): &&(PathBuf, Case)| {
            let got = reference::run_with::<f64>(case, fault);
            trace(&got, case.expect.as_ref().unwrap(), Tolerance::Relative(2e-4)).is_err()
        };
        let layered = cases.iter().filter(|(path, _)| is_gated(path));
        let count = layered.filter(is_caught).count();
        println!("{fault:?}: caught by {count} cases");
        assert!(count > 0, "{fault:?} was not noticed");
    }
}

/// Whether the file lies in a folder of cases with gated cells or layers.
fn is_gated(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("cells"))
}
