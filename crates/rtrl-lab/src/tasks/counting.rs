//! Strings with equal numbers of a and b.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::machine::{Possible, TaskMachine};
use super::task::{Task, number};

/// The largest number of a.
const MOST: usize = 10;

/// The language a^n b^n: strings without anything between them, n uniform in 1 to 10. The targets
/// are the next symbol, where the previous ones determine it: from the first b of a string to the
/// first a of the next. Predicting them requires counting.
#[derive(Debug)]
pub struct Counting {
    generator: Generator,
    /// n of the current string.
    count: usize,
    /// Symbols of it so far.
    place: usize,
}

impl Counting {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let count = 1 + generator.below(MOST);
        Self { generator, count, place: 0 }
    }

    /// The machine that solves the task: how many b can or must follow, and whether there was one.
    pub(super) fn machine() -> TaskMachine {
        let possible = |&(count, falls): &(usize, bool)| {
            let a = || Possible {
                input: symbol(false).to_vec(),
                answer: vec![None; 2],
                next: (count + 1, false),
            };
            let b = || {
                let left = count - 1;
                let answer = [left == 0, left > 0].map(Some).to_vec();
                Possible { input: symbol(true).to_vec(), answer, next: (left, left > 0) }
            };
            let rises = (!falls && count < MOST).then(a);
            rises.into_iter().chain((count > 0).then(b)).collect()
        };
        TaskMachine::explore(&(0, false), NonZeroUsize::MIN, |&place| place, possible)
    }
}

impl Task for Counting {
    fn inputs(&self) -> &'static [&'static str] {
        &["a", "b"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["next_a", "next_b"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let is_b = self.place >= self.count;
        input.copy_from_slice(&symbol(is_b));
        self.place += 1;
        if self.place == 2 * self.count {
            (self.count, self.place) = (1 + self.generator.below(MOST), 0);
        }
        let next = symbol(self.place >= self.count);
        targets.copy_from_slice(&next.map(|line| is_b.then_some(line)));
    }
}

/// One line for a, one for b.
fn symbol(is_b: bool) -> [f64; 2] {
    [!is_b, is_b].map(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    #[test]
    fn there_are_as_many_b_as_a_and_what_is_determined_is_asked() {
        let steps = drawn(&mut Counting::new(1), 20_000);
        let text: String = steps.iter().map(|(x, _)| if x[0] > x[1] { 'a' } else { 'b' }).collect();
        for (t, pair) in steps.windows(2).enumerate() {
            let expected = pair[1].0.iter().map(|&line| (pair[0].0[1] == 1.0).then_some(line));
            assert_eq!(pair[0].1, expected.collect::<Vec<_>>(), "step {t}");
        }
        let mut counts = [0; MOST];
        let text = text.replace("ba", "b a");
        let mut whole: Vec<&str> = text.split(' ').collect();
        whole.pop();
        for string in whole {
            let count = string.len() / 2;
            assert_eq!(string, "a".repeat(count) + &"b".repeat(count));
            counts[count - 1] += 1;
        }
        assert!(counts.iter().all(|&count| (130..240).contains(&count)), "{counts:?}");
    }
}
