//! Pipelined exclusive or: memory of a few steps, and a hidden layer.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::delay::DelayLine;
use super::machine::{PAIRS_OF_BITS, Possible, TaskMachine};
use super::task::{Task, number};

/// Pipelined exclusive or (Williams & Zipser 1989, section 4.1): two random bits a step; the output
/// at time t should be the exclusive or of the bits that were part of z(t - delay).
#[derive(Debug)]
pub struct PipelinedXor {
    generator: Generator,
    answers: DelayLine<f64>,
}

impl PipelinedXor {
    /// The stream of a seed.
    pub fn new(delay: NonZeroUsize, seed: u64) -> Self {
        Self { generator: Generator::new(seed), answers: DelayLine::new(delay) }
    }

    /// The machine that solves the task, which remembers only answers that are due.
    pub(super) fn machine(delay: NonZeroUsize) -> TaskMachine {
        let step = |bits: [bool; 2]| Possible {
            input: bits.map(number).to_vec(),
            answer: vec![Some(bits[0] != bits[1])],
            next: (),
        };
        TaskMachine::explore(&(), delay, |()| (), |()| PAIRS_OF_BITS.map(step).into())
    }

    /// The input x(t) and the target for time t + 1, which is absent until the delay has passed.
    pub fn draw(&mut self) -> ([f64; 2], Option<f64>) {
        let bits = [self.generator.bit(), self.generator.bit()];
        (bits.map(number), self.answers.pass(number(bits[0] != bits[1])))
    }
}

impl Task for PipelinedXor {
    fn inputs(&self) -> &'static [&'static str] {
        &["first", "second"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["xor"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let (bits, target) = self.draw();
        input.copy_from_slice(&bits);
        targets[0] = target;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y(t + 1) answers the bits of z(t + 1 - delay): those of the same call at delay 1, of the
    /// call before at delay 2.
    #[test]
    fn targets_answer_the_bits_of_the_right_step() {
        for delay in 1..=4 {
            let mut task = PipelinedXor::new(NonZeroUsize::new(delay).unwrap(), 9);
            let drawn: Vec<_> = (0..200).map(|_| task.draw()).collect();
            for (t, (_, target)) in drawn.iter().enumerate() {
                let earlier = (t + 1).checked_sub(delay).map(|earlier| drawn[earlier].0);
                let expected = earlier.map(|bits| (bits[0] - bits[1]).abs());
                assert_eq!(*target, expected, "delay {delay}, step {t}");
            }
            let ones = drawn.iter().filter(|(_, target)| *target == Some(1.0)).count();
            assert!((60..140).contains(&ones), "{ones} ones of 200");
        }
    }
}
