//! Shrinks a failing case.

use super::case::{Case, EngineCase};
use super::report::{Finding, Problem};

/// Runs a case: the number of events that were done, and what failed.
pub(super) type Attempt<'a> = &'a dyn Fn(&Case) -> (usize, Option<Finding>);

/// A smaller case that fails as well, and what fails in it. Cases of engines end with the event
/// that fails, and none of their other events can be left out; cases of networks have as few steps
/// as possible.
pub(super) fn shrink(mut case: Case, found: Finding, attempt: Attempt<'_>) -> (Case, Finding) {
    // Each attempt at a panic prints its message once more.
    if matches!(found.problem, Problem::Panicked(_)) {
        let (done, _) = attempt(&case);
        if let Case::Engine(case) = &mut case {
            case.events.truncate(done + 1);
        }
        return (case, found);
    }
    match case {
        Case::Engine(case) => shrink_events(case, found, attempt),
        Case::Network(case) => {
            for steps in 1..case.x.len() {
                let mut fewer = case.clone();
                fewer.x.truncate(steps);
                fewer.targets.truncate(steps);
                fewer.resets.retain(|reset| reset.before_step < steps);
                let fewer = Case::Network(fewer);
                if let (_, Some(found)) = attempt(&fewer) {
                    return (fewer, found);
                }
            }
            (Case::Network(case), found)
        }
    }
}

fn shrink_events(
    mut case: EngineCase,
    mut found: Finding,
    attempt: Attempt<'_>,
) -> (Case, Finding) {
    // From the end, so that events after the failure are removed first.
    let mut place = case.events.len();
    while let Some(earlier) = place.checked_sub(1) {
        place = earlier;
        let mut shorter = case.clone();
        shorter.events.remove(place);
        let attempted = Case::Engine(shorter);
        let (done, Some(problem)) = attempt(&attempted) else { continue };
        let Case::Engine(shorter) = attempted else { continue };
        (case, found) = (shorter, problem);
        case.events.truncate(done + 1);
        place = place.min(case.events.len());
    }
    (Case::Engine(case), found)
}
