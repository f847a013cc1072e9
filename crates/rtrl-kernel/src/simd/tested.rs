//! The instruction sets that tests run on, of which one can be required.
//!
//! The tests of this crate and of others include this file, so that one variable governs all of
//! them.

use std::io::Write;
use std::sync::Once;

use super::Isa;

/// The environment variable that names an instruction set without which tests fail.
const EXPECTED: &str = "RTRL_EXPECT_ISA";

/// Every set of this machine, narrowest first. The first call in a process prints them to standard
/// error, where the test harness does not capture them.
///
/// Panics if `RTRL_EXPECT_ISA` names a set that is not among them.
pub(crate) fn sets() -> Vec<Isa> {
    static PRINTED: Once = Once::new();
    let sets = Isa::available();
    let names = names(&sets);
    PRINTED.call_once(|| drop(writeln!(std::io::stderr(), "instruction sets tested: {names}")));
    let expected = std::env::var_os(EXPECTED).unwrap_or_default();
    let expected = expected.to_string_lossy();
    assert!(has(&sets, &expected), "got the instruction sets {names}, {EXPECTED} is {expected}");
    sets
}

/// Whether `sets` has the expected one; nothing is expected where the name is empty.
fn has(sets: &[Isa], expected: &str) -> bool {
    expected.is_empty() || sets.iter().any(|isa| isa.name() == expected)
}

fn names(sets: &[Isa]) -> String {
    sets.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_set_that_is_expected_and_missing_is_noticed() {
    let sets = [Isa::scalar()];
    assert!(has(&sets, "") && has(&sets, "scalar"));
    assert!(!has(&sets, "v4") && !has(&[], "scalar"));
}
