//! Delayed nonmatch to sample.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::delay::DelayLine;
use super::machine::{PAIRS_OF_BITS, Possible, TaskMachine};
use super::task::{Task, number};

/// When the answer is due.
const DELAY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Delayed nonmatch to sample (Williams & Zipser 1989, section 4.3): a random bit and a random cue
/// per step. If the cue is 1, the bit is stored. Two steps later the output should be 1 if the bit
/// differs from the stored one (which it does not if the cue is 1). Until the first cue there is no
/// target.
#[derive(Debug)]
pub struct DelayedNonmatch {
    generator: Generator,
    stored: Option<bool>,
    answers: DelayLine<Option<f64>>,
}

impl DelayedNonmatch {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), stored: None, answers: DelayLine::new(DELAY) }
    }

    /// The machine that solves the task, which remembers the stored bit and an answer.
    pub(super) fn machine() -> TaskMachine {
        let possible = |&stored: &Option<bool>| {
            let step = |[bit, cue]: [bool; 2]| {
                let next = if cue { Some(bit) } else { stored };
                let answer = vec![next.map(|stored| bit != stored)];
                Possible { input: [bit, cue].map(number).to_vec(), answer, next }
            };
            PAIRS_OF_BITS.map(step).into()
        };
        TaskMachine::explore(&None, DELAY, |&stored| stored, possible)
    }
}

impl Task for DelayedNonmatch {
    fn inputs(&self) -> &'static [&'static str] {
        &["bit", "cue"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["differs"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let [bit, cue] = [self.generator.bit(), self.generator.bit()];
        if cue {
            self.stored = Some(bit);
        }
        let answer = self.stored.map(|stored| number(bit != stored));
        input.copy_from_slice(&[bit, cue].map(number));
        targets[0] = self.answers.pass(answer).flatten();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    #[test]
    fn the_bit_is_compared_with_the_last_cued_one() {
        let steps = drawn(&mut DelayedNonmatch::new(4), 2000);
        for (t, (_, targets)) in steps.iter().enumerate() {
            // y(t + 1) answers z(t - 1).
            let expected = t.checked_sub(1).and_then(|asked| {
                let sample = steps[..=asked].iter().rev().find(|(input, _)| input[1] == 1.0)?;
                Some((steps[asked].0[0] - sample.0[0]).abs())
            });
            assert_eq!(targets, &[expected], "step {t}");
        }
        let ones = steps.iter().filter(|(_, targets)| targets[0] == Some(1.0)).count();
        assert!((430..570).contains(&ones), "{ones} of 2000, a quarter was expected");
    }
}
