//! Attractors of the network under a constant input: fixed points and cycles.

use rtrl_model::{Error, Generator};

use super::Dynamics;
use super::fixed_points::is_same;

/// Steps before the search for a period.
pub const SETTLING: usize = 5000;

/// How close a state must return, relative to 1 + the largest |y|, to be periodic.
const TOLERANCE: f64 = 1e-9;

/// A cycle that runs end in; period 1 is a fixed point.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// The states, in the order in which they follow each other.
    pub states: Vec<Vec<f64>>,
    /// How many starts ended here.
    pub starts: usize,
}

impl Cycle {
    /// Number of steps in a round.
    pub fn period(&self) -> usize {
        self.states.len()
    }
}

/// The attractors of several runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attractors {
    /// The cycles, shorter ones first, then those of more starts.
    pub cycles: Vec<Cycle>,
    /// Runs without a period up to the longest one.
    pub aperiodic: usize,
    /// Runs that overflowed.
    pub divergent: usize,
}

/// Runs the network under a constant input from `starts` random states, 5000 steps each, and looks
/// for periods of up to `longest` steps.
///
/// This finds only attractors that the starts reach. A run that has not settled after 5000 steps
/// counts as aperiodic.
///
/// # Errors
/// [`Error::InputLength`] or [`Error::NonFinite`] for the input.
pub fn attractors(
    dynamics: &mut Dynamics,
    input: &[f64],
    starts: usize,
    longest: usize,
    seed: u64,
) -> Result<Attractors, Error> {
    dynamics.check_input(input)?;
    let mut generator = Generator::new(seed);
    let mut found = Attractors::default();
    for _ in 0..starts {
        let mut state = dynamics.draw_state(&mut generator);
        let mut settling = 0..SETTLING;
        if settling.any(|_| dynamics.advance(&mut state, input).is_err()) {
            found.divergent += 1;
            continue;
        }
        match cycle(dynamics, input, state, longest) {
            None => found.aperiodic += 1,
            Some(states) => {
                match found.cycles.iter_mut().find(|known| is_rotated(known, &states)) {
                    Some(known) => known.starts += 1,
                    None => found.cycles.push(Cycle { states, starts: 1 }),
                }
            }
        }
    }
    found.cycles.sort_by_key(|cycle| (cycle.period(), usize::MAX - cycle.starts));
    Ok(found)
}

/// The states until the run returns to `state`, if it repeats them for another round.
fn cycle(
    dynamics: &mut Dynamics,
    input: &[f64],
    state: Vec<f64>,
    longest: usize,
) -> Option<Vec<Vec<f64>>> {
    let mut states = vec![state.clone()];
    let mut now = state;
    for _ in 0..2 * longest {
        dynamics.advance(&mut now, input).ok()?;
        states.push(now.clone());
    }
    let comes_back =
        |&period: &usize| (0..=period).all(|t| is_near(&states[t], &states[t + period]));
    let period = (1..=longest).find(comes_back)?;
    states.truncate(period);
    Some(states)
}

fn is_near(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE * (1.0 + a.abs()))
}

/// Whether the states are those of the cycle, from any of them on.
fn is_rotated(cycle: &Cycle, states: &[Vec<f64>]) -> bool {
    let period = states.len();
    let turned = |turn| cycle.states.iter().cycle().skip(turn);
    let fits = |turn| states.iter().zip(turned(turn)).all(|(a, b)| is_same(a, b));
    cycle.period() == period && (0..period).any(fits)
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Activation, InitialWeights, Network};

    use super::super::dynamics::autonomous;
    use super::*;

    fn periods(found: &Attractors) -> Vec<usize> {
        found.cycles.iter().map(Cycle::period).collect()
    }

    /// Two units that take each other's place, one of them turned: four steps to come round; with
    /// both turned, two.
    #[test]
    fn flips_come_round_in_two_or_four() {
        let mut quarter = autonomous(Activation::Tanh, &[&[0.0, -3.0], &[3.0, 0.0]]);
        let found = attractors(&mut quarter, &[], 30, 8, 1).unwrap();
        assert!(!found.cycles.is_empty() && found.aperiodic == 0 && found.divergent == 0);
        assert!(periods(&found).iter().all(|&period| period == 4), "{:?}", periods(&found));
        let mut flip = autonomous(Activation::Tanh, &[&[-3.0]]);
        let found = attractors(&mut flip, &[], 30, 8, 1).unwrap();
        assert_eq!(periods(&found), [2]);
        assert_eq!(found.cycles[0].starts, 30);
        let states = &found.cycles[0].states;
        assert!((states[0][0] + states[1][0]).abs() < 1e-9 && states[0][0].abs() > 0.9);
        // A period that is too long to be looked at is none.
        assert_eq!(attractors(&mut quarter, &[], 30, 3, 1).unwrap().aperiodic, 30);
    }

    #[test]
    fn a_latch_rests_at_either_end() {
        let mut latch = autonomous(Activation::Tanh, &[&[2.0]]);
        let found = attractors(&mut latch, &[], 40, 4, 1).unwrap();
        assert_eq!(periods(&found), [1, 1]);
        assert_eq!(found.cycles.iter().map(|cycle| cycle.starts).sum::<usize>(), 40);
    }

    #[test]
    fn what_neither_rests_nor_comes_round_is_counted() {
        // A rotation by an irrational part of the circle.
        let (c, s) = (libm::cos(1.0), libm::sin(1.0));
        let mut turn = autonomous(Activation::Identity, &[&[c, -s], &[s, c]]);
        assert_eq!(attractors(&mut turn, &[], 5, 20, 1).unwrap().aperiodic, 5);
        let mut doubling = autonomous(Activation::Identity, &[&[2.0]]);
        assert_eq!(attractors(&mut doubling, &[], 5, 20, 1).unwrap().divergent, 5);
    }

    #[test]
    fn the_input_is_held() {
        let weights = InitialWeights::given(vec![vec![2.0, -3.0]]);
        let builder = Network::builder(1, 1).bias(false).weights(weights);
        let mut unit = Dynamics::of(&builder.build().unwrap());
        assert_eq!(periods(&attractors(&mut unit, &[0.0], 9, 4, 1).unwrap()), [2]);
        // A strong input holds it where tanh is flat.
        assert_eq!(periods(&attractors(&mut unit, &[5.0], 9, 4, 1).unwrap()), [1]);
        assert!(attractors(&mut unit, &[], 9, 4, 1).is_err());
    }
}
