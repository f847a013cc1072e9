//! All tasks by name.

use std::num::NonZeroUsize;

use super::{
    AddTask, Counting, DelayedNonmatch, Henon, Lorenz, MackeyGlass, Narma, Oscillation,
    PipelinedXor, Recall, Sequence, Task, TaskMachine, Turing,
};

/// A task with a name.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// What the task is, in a line.
    pub about: &'static str,
    start: fn(u64) -> Box<dyn Task>,
    machine: Option<fn() -> TaskMachine>,
}

impl Entry {
    /// The stream of a seed.
    pub fn start(&self, seed: u64) -> Box<dyn Task> {
        (self.start)(seed)
    }

    /// The machine that solves the task, if inputs are symbols and targets bits.
    pub fn machine(&self) -> Option<TaskMachine> {
        self.machine.map(|explore| explore())
    }
}

/// The entry of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

fn delay(steps: usize) -> NonZeroUsize {
    NonZeroUsize::new(steps).unwrap_or(NonZeroUsize::MIN)
}

/// All tasks, those of the paper first.
pub const CATALOGUE: &[Entry] = &[
    XOR_2,
    XOR_3,
    XOR_4,
    SEQUENCE,
    NONMATCH,
    ALTERNATION,
    PAIRS,
    SINE,
    TURING_2,
    TURING_1,
    ADD,
    RECALL,
    MACKEY_GLASS,
    HENON,
    LORENZ,
    NARMA_10,
    COUNTING,
];

pub(crate) const XOR_2: Entry = Entry {
    name: "xor-2",
    about: "exclusive or of two random bits, two steps later",
    start: |seed| Box::new(PipelinedXor::new(delay(2), seed)),
    machine: Some(|| PipelinedXor::machine(delay(2))),
};
pub(crate) const XOR_3: Entry = Entry {
    name: "xor-3",
    about: "exclusive or of two random bits, three steps later",
    start: |seed| Box::new(PipelinedXor::new(delay(3), seed)),
    machine: Some(|| PipelinedXor::machine(delay(3))),
};
pub(crate) const XOR_4: Entry = Entry {
    name: "xor-4",
    about: "exclusive or of two random bits, four steps later",
    start: |seed| Box::new(PipelinedXor::new(delay(4), seed)),
    machine: Some(|| PipelinedXor::machine(delay(4))),
};
pub(crate) const SEQUENCE: Entry = Entry {
    name: "sequence",
    about: "the first b after an a among four random symbols",
    start: |seed| Box::new(Sequence::new(seed)),
    machine: Some(Sequence::machine),
};
pub(crate) const NONMATCH: Entry = Entry {
    name: "nonmatch",
    about: "whether a bit differs from the last cued one, two steps later",
    start: |seed| Box::new(DelayedNonmatch::new(seed)),
    machine: Some(DelayedNonmatch::machine),
};
pub(crate) const ALTERNATION: Entry = Entry {
    name: "0101",
    about: "the oscillation 0 1 without input",
    start: |_| Box::new(Oscillation::alternating()),
    machine: None,
};
pub(crate) const PAIRS: Entry = Entry {
    name: "0011",
    about: "the oscillation 0 0 1 1 without input",
    start: |_| Box::new(Oscillation::in_pairs()),
    machine: None,
};
pub(crate) const SINE: Entry = Entry {
    name: "sine",
    about: "0.5 + 0.4 sin(2 pi t / 25) without input",
    start: |_| Box::new(Oscillation::sine()),
    machine: None,
};
pub(crate) const TURING_2: Entry = Entry {
    name: "turing-2",
    about: "the controller of a Turing machine for balanced parentheses, two steps later",
    start: |seed| Box::new(Turing::new(delay(2), seed)),
    machine: Some(|| Turing::machine(delay(2))),
};
pub(crate) const TURING_1: Entry = Entry {
    name: "turing-1",
    about: "the controller of a Turing machine for balanced parentheses, one step later",
    start: |seed| Box::new(Turing::new(delay(1), seed)),
    machine: Some(|| Turing::machine(delay(1))),
};
pub(crate) const ADD: Entry = Entry {
    name: "add",
    about: "a weighted sum of two coins, tossed 5 and 9 steps ago, as a soft label",
    start: |seed| Box::new(AddTask::new(seed)),
    machine: None,
};
pub(crate) const RECALL: Entry = Entry {
    name: "recall",
    about: "one of four symbols, asked for 20 to 50 steps later",
    start: |seed| Box::new(Recall::new(seed)),
    machine: Some(Recall::machine),
};
pub(crate) const MACKEY_GLASS: Entry = Entry {
    name: "mackey-glass",
    about: "the Mackey-Glass equation with delay 17, one step ahead",
    start: |seed| Box::new(MackeyGlass::new(seed)),
    machine: None,
};
pub(crate) const HENON: Entry = Entry {
    name: "henon",
    about: "the map of Henon, one step ahead",
    start: |seed| Box::new(Henon::new(seed)),
    machine: None,
};
pub(crate) const LORENZ: Entry = Entry {
    name: "lorenz",
    about: "the system of Lorenz, one step of 0.02 ahead",
    start: |seed| Box::new(Lorenz::new(seed)),
    machine: None,
};
pub(crate) const NARMA_10: Entry = Entry {
    name: "narma-10",
    about: "a nonlinear moving average of order 10 with random input",
    start: |seed| Box::new(Narma::new(seed)),
    machine: None,
};
pub(crate) const COUNTING: Entry = Entry {
    name: "anbn",
    about: "the next symbol of strings of n a and n b, where it is determined",
    start: |seed| Box::new(Counting::new(seed)),
    machine: Some(Counting::machine),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    /// The first 1000 steps of seed 7, as a hash of their bits.
    fn hash(entry: &Entry) -> u64 {
        let steps = drawn(entry.start(7).as_mut(), 1000);
        let values = steps.iter().flat_map(|(input, targets)| {
            let targets = targets.iter().map(|target| target.unwrap_or(-9.0));
            input.iter().copied().chain(targets)
        });
        values.fold(0u64, |hash, value| {
            (hash ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29)
        })
    }

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let hashes: Vec<_> = CATALOGUE.iter().map(|entry| (entry.name, hash(entry))).collect();
        assert_eq!(hashes, PINNED);
    }

    const PINNED: [(&str, u64); 17] = [
        ("xor-2", 15_662_249_572_379_210_097),
        ("xor-3", 113_707_945_837_530_447),
        ("xor-4", 16_838_312_941_358_072_048),
        ("sequence", 6_233_377_247_679_708),
        ("nonmatch", 8_243_400_874_509_715_344),
        ("0101", 14_733_178_788_354_585_236),
        ("0011", 9_783_920_909_073_928_671),
        ("sine", 16_501_129_157_536_466_265),
        ("turing-2", 16_223_774_865_323_756_193),
        ("turing-1", 2_855_784_962_683_839_009),
        ("add", 11_470_735_674_599_270_356),
        ("recall", 7_016_709_415_972_424_728),
        ("mackey-glass", 8_092_616_708_591_566_566),
        ("henon", 3_977_017_648_095_895_994),
        ("lorenz", 2_489_422_735_971_427_386),
        ("narma-10", 17_533_828_814_583_025_999),
        ("anbn", 8_713_982_207_781_823_137),
    ];

    #[test]
    fn names_are_unique_and_shapes_are_as_declared() {
        for entry in CATALOGUE {
            assert_eq!(CATALOGUE.iter().filter(|other| other.name == entry.name).count(), 1);
            assert!(find(entry.name).is_some_and(|found| found.about == entry.about));
            for (input, targets) in drawn(entry.start(3).as_mut(), 5000) {
                assert!(input.iter().chain(targets.iter().flatten()).all(|x| x.is_finite()));
            }
        }
        assert!(find("xor").is_none());
    }
}
