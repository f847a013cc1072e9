//! The controller of a Turing machine that accepts balanced parentheses.

use std::num::NonZeroUsize;

use rtrl_model::Generator;

use super::delay::DelayLine;
use super::machine::{Possible, TaskMachine};
use super::task::{Task, number};

/// The fewest and the most parentheses on a tape.
const SHORTEST: usize = 2;
const LONGEST: usize = 10;

/// Balanced parentheses (Williams & Zipser 1989, section 4.4): the network replaces the finite
/// controller of a Turing machine.
///
/// It sees the symbol under the head and must report, `delay` steps later, what the true controller
/// does: whether the head moves right (0 when the machine halts), whether it writes an X, whether
/// it accepts, whether it rejects. The true controller moves the head, its state is hidden, and
/// when it halts the next tape follows at once.
///
/// A tape is A, 2 to 10 parentheses, A. Half of the tapes are drawn from the balanced ones, half
/// from all.
#[derive(Debug)]
pub struct Turing {
    generator: Generator,
    controller: Controller,
    reports: DelayLine<[bool; 4]>,
}

impl Turing {
    /// The stream of a seed.
    pub fn new(delay: NonZeroUsize, seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let controller = Controller::on(draw_tape(&mut generator));
        Self { generator, controller, reports: DelayLine::new(delay) }
    }

    /// The machine that solves the task: the state of the controller, and its last reports. A
    /// situation has the tape as well, of which only what the head has seen is decided.
    pub(super) fn machine(delay: NonZeroUsize) -> TaskMachine {
        let start = Controller::on(vec![Symbol::End]);
        let possible = |place: &Controller| {
            let step = |symbol: Symbol| {
                let mut next = place.clone();
                next.tape.resize(next.tape.len().max(next.head + 1), symbol);
                let action = control(place.state, symbol);
                if !next.act(action) {
                    next = start.clone();
                }
                let answer = action.report().map(Some).to_vec();
                Possible { input: symbol.lines().to_vec(), answer, next }
            };
            place.symbols().into_iter().map(step).collect()
        };
        TaskMachine::explore(&start, delay, |place| place.state, possible)
    }
}

impl Task for Turing {
    fn inputs(&self) -> &'static [&'static str] {
        &["A", "(", ")", "X"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["right", "write", "accept", "reject"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let symbol = self.controller.symbol().unwrap_or(Symbol::End);
        let action = control(self.controller.state, symbol);
        input.copy_from_slice(&symbol.lines());
        let report = self.reports.pass(action.report());
        for (k, target) in targets.iter_mut().enumerate() {
            *target = report.map(|bits| number(bits[k]));
        }
        if !self.controller.act(action) {
            self.controller = Controller::on(draw_tape(&mut self.generator));
        }
    }
}

/// The controller with its tape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Controller {
    tape: Vec<Symbol>,
    head: usize,
    state: State,
}

impl Controller {
    /// At the beginning of a tape.
    fn on(tape: Vec<Symbol>) -> Self {
        Self { tape, head: 1, state: State::Opening }
    }

    /// The symbol under the head, unless the tape is not known so far.
    fn symbol(&self) -> Option<Symbol> {
        self.tape.get(self.head).copied()
    }

    /// The symbols that may be under the head, given the tape so far.
    fn symbols(&self) -> Vec<Symbol> {
        if let Some(symbol) = self.symbol() {
            return vec![symbol];
        }
        let parentheses = self.tape.len() - 1;
        let more = (parentheses < LONGEST).then_some([Symbol::Open, Symbol::Close]);
        let end = (parentheses >= SHORTEST).then_some(Symbol::End);
        more.into_iter().flatten().chain(end).collect()
    }

    /// Does a step; false on a halt.
    fn act(&mut self, action: Action) -> bool {
        let Action::Move { right, write, next } = action else { return false };
        if write {
            self.tape[self.head] = Symbol::Crossed;
        }
        // It turns round at both ends.
        self.head = if right { self.head + 1 } else { self.head.saturating_sub(1) };
        self.state = next;
        true
    }
}

/// A symbol on the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Symbol {
    /// A, at both ends.
    End,
    Open,
    Close,
    /// X, where a parenthesis has found its partner.
    Crossed,
}

impl Symbol {
    /// One line for each symbol.
    fn lines(self) -> [f64; 4] {
        [Self::End, Self::Open, Self::Close, Self::Crossed].map(|symbol| number(self == symbol))
    }
}

/// The hidden state of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// q0: to the right, to the first closing parenthesis.
    Opening,
    /// q1: back to its partner.
    Matching,
    /// q2: nothing is left to close; back over what must be crossed out.
    Checking,
}

/// What the controller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Move { right: bool, write: bool, next: State },
    Accept,
    Reject,
}

impl Action {
    /// Right, write, accept, reject.
    fn report(self) -> [bool; 4] {
        match self {
            Self::Move { right, write, .. } => [right, write, false, false],
            Self::Accept => [false, false, true, false],
            Self::Reject => [false, false, false, true],
        }
    }
}

/// The table of the controller.
fn control(state: State, symbol: Symbol) -> Action {
    let go = |right, write, next| Action::Move { right, write, next };
    match (state, symbol) {
        (State::Opening, Symbol::Open | Symbol::Crossed) => go(true, false, State::Opening),
        (State::Opening, Symbol::Close) => go(false, true, State::Matching),
        // No closing parenthesis is left of the head in the other two states.
        (State::Matching, Symbol::Close | Symbol::Crossed) => go(false, false, State::Matching),
        (State::Matching, Symbol::Open) => go(true, true, State::Opening),
        (State::Opening, Symbol::End) | (State::Checking, Symbol::Close | Symbol::Crossed) => {
            go(false, false, State::Checking)
        }
        (State::Matching, Symbol::End) | (State::Checking, Symbol::Open) => Action::Reject,
        (State::Checking, Symbol::End) => Action::Accept,
    }
}

/// A tape with its ends.
fn draw_tape(generator: &mut Generator) -> Vec<Symbol> {
    let inner = if generator.bit() {
        let pairs = SHORTEST / 2 + generator.below(LONGEST / 2);
        draw_balanced(generator, 2 * pairs)
    } else {
        let length = SHORTEST + generator.below(LONGEST - SHORTEST + 1);
        (0..length).map(|_| parenthesis(generator.bit())).collect()
    };
    [vec![Symbol::End], inner, vec![Symbol::End]].concat()
}

/// One of the balanced words of this even length, all equally likely.
fn draw_balanced(generator: &mut Generator, length: usize) -> Vec<Symbol> {
    let mut depth = 0;
    let draw = |place| {
        // Of the ways to continue, d (r + d + 2) of 2 r (d + 1) close, at depth d with r places
        // left (Arnold & Sleep 1980).
        let left = length - place;
        let opens = generator.below(2 * left * (depth + 1)) >= depth * (left + depth + 2);
        depth = if opens { depth + 1 } else { depth - 1 };
        parenthesis(opens)
    };
    (0..length).map(draw).collect()
}

fn parenthesis(opens: bool) -> Symbol {
    if opens { Symbol::Open } else { Symbol::Close }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use std::collections::HashMap;

    use super::*;
    use crate::tasks::task::drawn;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    /// Whether the controller accepts, and in how many steps.
    fn run(mut tape: Vec<Symbol>) -> (bool, usize) {
        let (mut head, mut state) = (1, State::Opening);
        for steps in 1..1000 {
            match control(state, tape[head]) {
                Action::Move { right, write, next } => {
                    if write {
                        tape[head] = Symbol::Crossed;
                    }
                    head = if right { head + 1 } else { head - 1 };
                    state = next;
                }
                halt => return (halt == Action::Accept, steps),
            }
        }
        panic!("the machine does not halt");
    }

    /// The plain counter.
    fn is_balanced(tape: &[Symbol]) -> bool {
        let mut depth = 0;
        let never_below = tape.iter().all(|symbol| {
            depth += i32::from(*symbol == Symbol::Open) - i32::from(*symbol == Symbol::Close);
            depth >= 0
        });
        never_below && depth == 0
    }

    #[test]
    fn exactly_the_balanced_tapes_are_accepted() {
        let mut accepted = 0;
        for length in 0..=12 {
            for word in 0..1u32 << length {
                let inner = (0..length).map(|place| parenthesis(word >> place & 1 == 1));
                let mut tape = vec![Symbol::End];
                tape.extend(inner.chain([Symbol::End]));
                let expected = is_balanced(&tape);
                assert_eq!(run(tape.clone()).0, expected, "{tape:?}");
                accepted += u32::from(expected);
            }
        }
        // The sum of the first seven Catalan numbers.
        assert_eq!(accepted, 1 + 1 + 2 + 5 + 14 + 42 + 132);
    }

    #[test]
    fn tapes_are_drawn_as_promised() {
        let mut generator = Generator::new(2);
        let tapes: Vec<_> = (0..20_000).map(|_| draw_tape(&mut generator)).collect();
        assert!(tapes.iter().all(|tape| (4..=12).contains(&tape.len())));
        let share = |tapes: &[Vec<Symbol>], which: fn(&[Symbol]) -> bool| {
            tapes.iter().filter(|tape| which(tape)).count() as f64 / tapes.len() as f64
        };
        // Of the words of length 2 to 10, 1/4, 2/16, 5/64, 14/256 and 42/1024 are balanced; odd
        // ones never.
        let by_chance = (0.25 + 0.125 + 5.0 / 64.0 + 14.0 / 256.0 + 42.0 / 1024.0) / 9.0;
        let balanced = share(&tapes, is_balanced);
        assert_abs_diff_eq!(balanced, 0.5 + by_chance / 2.0, epsilon = 0.012);
        let odd = share(&tapes, |tape| tape.len() % 2 == 1);
        assert_abs_diff_eq!(odd, 0.5 * 4.0 / 9.0, epsilon = 0.012);
    }

    #[test]
    fn balanced_words_are_equally_likely() {
        let mut generator = Generator::new(3);
        let mut counts: HashMap<String, u32> = HashMap::new();
        for _ in 0..14_000 {
            let word = draw_balanced(&mut generator, 8);
            assert!(is_balanced(&word));
            *counts.entry(format!("{word:?}")).or_default() += 1;
        }
        assert_eq!(counts.len(), 14);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    /// Follows the stream with nothing but what is reported, two steps late: the head that the
    /// reports move finds the symbols that the stream shows.
    #[test]
    fn the_reports_lead_from_symbol_to_symbol() {
        let steps = drawn(&mut Turing::new(TWO, 6), 5000);
        assert_eq!(steps[0].1, [None; 4]);
        let report = |t: usize| steps[t + 1].1.iter().map(|bit| bit.unwrap()).collect::<Vec<_>>();
        let symbol = |t: usize| steps[t].0.iter().position(|&line| line == 1.0).unwrap();
        let (mut tape, mut head) = (HashMap::from([(0, 0)]), 1i32);
        let mut verdicts = [0, 0];
        for t in 0..steps.len() - 1 {
            let seen = *tape.entry(head).or_insert(symbol(t));
            assert_eq!(seen, symbol(t), "step {t}");
            let report = report(t);
            if report[1] == 1.0 {
                tape.insert(head, 3);
            }
            head += if report[0] == 1.0 { 1 } else { -1 };
            if report[2] + report[3] > 0.0 {
                let end = tape.values().filter(|&&symbol| symbol == 0).count();
                let open = tape.values().filter(|&&symbol| symbol == 1).count();
                assert!(report[2] == 0.0 || end == 2 && open == 0, "step {t}");
                verdicts[usize::from(report[3] == 1.0)] += 1;
                (tape, head) = (HashMap::from([(0, 0)]), 1);
            }
        }
        assert!(verdicts.iter().all(|&count| count > 50), "{verdicts:?}");
    }

    /// The same tapes at both delays, reported one step earlier at delay 1.
    #[test]
    fn the_delay_moves_the_reports_only() {
        let late = drawn(&mut Turing::new(TWO, 6), 500);
        let soon = drawn(&mut Turing::new(NonZeroUsize::MIN, 6), 500);
        for t in 0..499 {
            assert_eq!(late[t].0, soon[t].0);
            assert_eq!(late[t + 1].1, soon[t].1);
        }
    }
}
