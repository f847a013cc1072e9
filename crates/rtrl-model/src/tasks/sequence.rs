//! Sequence recognition.

use super::task::{Task, number};
use crate::Generator;

/// Sequence recognition (Williams & Zipser 1989, section 4.2): one of four lines, a to d, is active at
/// random; the output should be 1 right after the first b that follows an a, which is then used up, else
/// 0. Any number of others may stand between the two.
#[derive(Debug)]
pub struct Sequence {
    generator: Generator,
    /// Whether an a has come that no b has followed yet.
    waiting: bool,
}

impl Sequence {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), waiting: false }
    }
}

impl Task for Sequence {
    fn inputs(&self) -> &'static [&'static str] {
        &["a", "b", "c", "d"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["recognised"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let line = self.generator.below(input.len());
        input.fill(0.0);
        input[line] = 1.0;
        targets[0] = Some(number(self.waiting && line == 1));
        self.waiting = line == 0 || self.waiting && line != 1;
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
