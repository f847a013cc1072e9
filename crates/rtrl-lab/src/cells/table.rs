//! The problems, as data.

use super::{Measure, Problem};
use crate::tasks::catalogue::{ADD, HENON, LORENZ, MACKEY_GLASS, RECALL};

/// A series, one step ahead from its first value alone: the settings of the published figures in
/// `docs/tasks.md`.
const SERIES: Problem = Problem {
    task: MACKEY_GLASS,
    observed: (1, 1),
    units: 64,
    streams: 8,
    steps: 15_000,
    scored: 1000,
    restart: Some(200),
    learning_rate: 1e-3,
    forget_bias: 0.0,
    measure: Measure::SquaredError,
};

/// All problems.
pub const PROBLEMS: &[Problem] = &[
    Problem {
        task: ADD,
        observed: (2, 2),
        units: 32,
        streams: 1,
        steps: 240_000,
        scored: 30_000,
        restart: None,
        measure: Measure::CrossEntropy,
        ..SERIES
    },
    Problem {
        task: RECALL,
        observed: (5, 4),
        units: 32,
        steps: 60_000,
        scored: 5000,
        restart: None,
        // At the start, a cell keeps about 18 % of its content over 35 steps; with 1 it would be
        // less than 0.01 %.
        forget_bias: 3.0,
        measure: Measure::WrongAnswers,
        ..SERIES
    },
    SERIES,
    Problem { task: HENON, ..SERIES },
    Problem { task: LORENZ, ..SERIES },
];
