//! Delayed recall: memory of one symbol over a random time.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::machine::{Possible, TaskMachine, one_hot};
use super::task::{Task, number};

/// How many symbols there are.
const SYMBOLS: usize = 4;
/// Input lines: the symbols and the cue.
const LINES: usize = SYMBOLS + 1;
/// The shortest and the longest lag from a symbol to its cue.
const SHORTEST: usize = 20;
const LONGEST: usize = 50;

/// Delayed recall: one of four symbols is shown for a step; a cue follows 20 to 50 steps later,
/// uniform at random, and the target of that call is the symbol, one-hot. All other inputs are 0
/// and have no target. The next symbol follows the cue at once.
///
/// A task with a long time lag in the sense of Hochreiter & Schmidhuber (*Long Short-Term Memory*,
/// Neural Computation 9(8), 1997). The lag is random, so counting the steps does not help.
#[derive(Debug)]
pub struct Recall {
    generator: Generator,
    /// The symbol to recall and the steps until its cue; `None` if a symbol is due.
    held: Option<(usize, usize)>,
}

impl Recall {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), held: None }
    }

    /// The machine that solves the task: it remembers the symbol, until it has been recalled.
    pub(super) fn machine() -> TaskMachine {
        /// The symbol and the steps since it was shown.
        type Place = Option<(usize, usize)>;
        let silent = vec![None; SYMBOLS];
        let show = |symbol: usize| Possible {
            input: one_hot(symbol, LINES),
            answer: silent.clone(),
            next: Some((symbol, 0)),
        };
        let possible = |place: &Place| -> Vec<Possible<Place>> {
            let Some((symbol, past)) = *place else { return (0..SYMBOLS).map(show).collect() };
            let lag = past + 1;
            let wait = (lag < LONGEST).then(|| Possible {
                input: vec![0.0; LINES],
                answer: silent.clone(),
                next: Some((symbol, lag)),
            });
            let recall = (lag >= SHORTEST).then(|| Possible {
                input: one_hot(SYMBOLS, LINES),
                answer: (0..SYMBOLS).map(|other| Some(other == symbol)).collect(),
                next: None,
            });
            wait.into_iter().chain(recall).collect()
        };
        let symbol = |place: &Place| place.map(|(symbol, _)| symbol);
        TaskMachine::explore(&None, NonZeroUsize::MIN, symbol, possible)
    }
}

impl Task for Recall {
    fn inputs(&self) -> &'static [&'static str] {
        &["a", "b", "c", "d", "cue"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["was_a", "was_b", "was_c", "was_d"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        input.fill(0.0);
        targets.fill(None);
        self.held = match self.held {
            None => {
                let symbol = self.generator.below(SYMBOLS);
                input[symbol] = 1.0;
                Some((symbol, SHORTEST + self.generator.below(LONGEST - SHORTEST + 1)))
            }
            Some((symbol, 1)) => {
                input[SYMBOLS] = 1.0;
                for (other, target) in targets.iter_mut().enumerate() {
                    *target = Some(number(other == symbol));
                }
                None
            }
            Some((symbol, left)) => Some((symbol, left - 1)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::task::drawn;

    #[test]
    fn the_target_is_the_symbol_before_the_cue() {
        let steps = drawn(&mut Recall::new(3), 40_000);
        let (mut shown, mut lags, mut symbols) = (None, [0; LONGEST + 1], [0; SYMBOLS]);
        for (t, (input, targets)) in steps.iter().enumerate() {
            assert!(input.iter().sum::<f64>() <= 1.0);
            if let Some(symbol) = input[..SYMBOLS].iter().position(|&line| line == 1.0) {
                assert_eq!(shown.replace((symbol, t)), None, "step {t}");
            }
            let asked = input[SYMBOLS] == 1.0;
            assert!(targets.iter().all(|target| target.is_some() == asked));
            if asked {
                let (symbol, at) = shown.take().unwrap();
                let expected = |k| Some(number(k == symbol));
                assert!((0..SYMBOLS).all(|k| targets[k] == expected(k)), "step {t}");
                lags[t - at] += 1;
                symbols[symbol] += 1;
            }
        }
        // Every lag and every symbol, and no others.
        assert!(lags[..SHORTEST].iter().all(|&count| count == 0));
        assert!(lags[SHORTEST..].iter().all(|&count| (10..70).contains(&count)), "{lags:?}");
        assert!(symbols.iter().all(|&count| (230..330).contains(&count)), "{symbols:?}");
    }

    #[test]
    fn five_states_solve_it() {
        let machine = Recall::machine();
        let states: std::collections::BTreeSet<_> =
            machine.situations.iter().map(|situation| situation.state).collect();
        assert_eq!((states.len(), machine.situations.len()), (5, 1 + SYMBOLS * LONGEST));
    }
}
