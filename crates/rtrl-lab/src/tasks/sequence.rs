//! Sequence recognition.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::machine::{Possible, TaskMachine, one_hot};
use super::task::{Task, number};

/// Sequence recognition (Williams & Zipser 1989, section 4.2): one of four inputs, a to d, is
/// active at random. The output should be 1 right after the first b that follows an a, and else 0;
/// then a new a is needed. Any number of other inputs may occur between the two.
#[derive(Debug)]
pub struct Sequence {
    generator: Generator,
    /// Whether there was an a that no b has followed yet.
    waiting: bool,
}

impl Sequence {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), waiting: false }
    }

    /// The machine that solves the task: whether an a waits for its b.
    pub(super) fn machine() -> TaskMachine {
        let possible = |&waiting: &bool| {
            let step = |line| {
                let (recognised, next) = step(waiting, line);
                Possible { input: one_hot(line, LINES.len()), answer: vec![Some(recognised)], next }
            };
            (0..LINES.len()).map(step).collect()
        };
        TaskMachine::explore(&false, NonZeroUsize::MIN, |&waiting| waiting, possible)
    }
}

const LINES: &[&str] = &["a", "b", "c", "d"];

/// Whether a line ends a sequence, and whether an a waits for its b then.
fn step(waiting: bool, line: usize) -> (bool, bool) {
    (waiting && line == 1, line == 0 || waiting && line != 1)
}

impl Task for Sequence {
    fn inputs(&self) -> &'static [&'static str] {
        LINES
    }

    fn targets(&self) -> &'static [&'static str] {
        &["recognised"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let line = self.generator.below(input.len());
        input.fill(0.0);
        input[line] = 1.0;
        let (recognised, waiting) = step(self.waiting, line);
        targets[0] = Some(number(recognised));
        self.waiting = waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    /// The answer by looking back: at a b, the last of a and b before it was an a.
    #[test]
    fn the_first_b_after_an_a_is_recognised_once() {
        let steps = drawn(&mut Sequence::new(4), 4000);
        let line = |t: usize| steps[t].0.iter().position(|&x| x == 1.0).unwrap();
        let mut lines = [0; 4];
        for (t, (input, targets)) in steps.iter().enumerate() {
            assert_eq!(input.iter().sum::<f64>(), 1.0);
            lines[line(t)] += 1;
            let before = (0..t).rev().map(line).find(|&line| line < 2);
            let expected = number(line(t) == 1 && before == Some(0));
            assert_eq!(targets, &[Some(expected)], "step {t}");
        }
        assert!(lines.iter().all(|count| (900..1100).contains(count)), "{lines:?}");
    }
}
