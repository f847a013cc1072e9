//! The experiments, as data.

use super::{Criterion, Experiment, FreeRun};
use crate::tasks::catalogue::{
    ALTERNATION, NONMATCH, PAIRS, SEQUENCE, SINE, TURING_1, TURING_2, XOR_2, XOR_3, XOR_4,
};

const XOR: Experiment = Experiment {
    task: XOR_2,
    units: 4,
    learning_rate: 2.0,
    bound: 1.0,
    forced: false,
    limit: 200_000,
    criterion: Criterion::Answers(1000),
    quick: true,
};

const RECOGNITION: Experiment = Experiment { task: SEQUENCE, units: 2, bound: 0.5, ..XOR };

const OSCILLATION: Experiment = Experiment {
    task: PAIRS,
    units: 2,
    learning_rate: 1.0,
    bound: 0.1,
    criterion: Criterion::Oscillation(FreeRun::Pattern),
    ..XOR
};

const WAVE: Experiment =
    Experiment { task: SINE, criterion: Criterion::Oscillation(FreeRun::Wave), ..OSCILLATION };

const MACHINE: Experiment = Experiment {
    task: TURING_2,
    units: 12,
    learning_rate: 1.0,
    bound: 0.5,
    forced: true,
    limit: 600_000,
    criterion: Criterion::Answers(5000),
    quick: false,
};

/// All experiments. Those that are expected to fail belong to them: without teacher forcing 0 0 1 1
/// at the smaller rate and the sine, and the Turing machine with one step of delay.
pub const TABLE: &[Experiment] = &[
    Experiment { units: 3, ..XOR },
    Experiment { learning_rate: 1.0, ..XOR },
    XOR,
    Experiment { task: XOR_3, units: 6, ..XOR },
    Experiment { task: XOR_4, units: 6, ..XOR },
    Experiment { learning_rate: 1.0, ..RECOGNITION },
    RECOGNITION,
    Experiment { learning_rate: 4.0, ..RECOGNITION },
    Experiment { task: NONMATCH, units: 8, learning_rate: 1.0, limit: 400_000, ..XOR },
    Experiment { task: ALTERNATION, units: 1, ..OSCILLATION },
    Experiment { task: ALTERNATION, units: 1, forced: true, ..OSCILLATION },
    OSCILLATION,
    Experiment { forced: true, ..OSCILLATION },
    Experiment { learning_rate: 2.0, ..OSCILLATION },
    WAVE,
    Experiment { learning_rate: 4.0, ..WAVE },
    Experiment { forced: true, ..WAVE },
    Experiment { learning_rate: 4.0, forced: true, ..WAVE },
    Experiment { forced: false, ..MACHINE },
    MACHINE,
    Experiment { units: 15, forced: false, ..MACHINE },
    Experiment { units: 15, ..MACHINE },
    Experiment { task: TURING_1, ..MACHINE },
];
