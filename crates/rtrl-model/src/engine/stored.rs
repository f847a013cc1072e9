//! The engine in a file, with everything needed to build it again.

use rtrl_kernel::{Block, Engine, Pace, Real, Spec, check_blocks};
use serde::{Deserialize, Serialize};

use crate::store::Supplies;
use crate::{Error, Network};

/// An engine in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredEngine {
    Eager,
    Deferred { window: usize, even_paced: bool },
    Diagonal,
    Blocks(Vec<StoredBlock>),
    Custom { name: String, exact: bool },
}

/// The most entries of the Jacobians of all blocks for each number in a file, if the states are
/// few. Those of a network have fewer, since rows are merged until a block has many weights. Where
/// each of many layers has a single unit, blocks stay small and there are up to a twentieth of the
/// states.
const ENTRIES: u128 = 64;

/// A block in a file. Numbers that follow each other are stored as the first and the one after the
/// last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredBlock {
    states: Vec<[u32; 2]>,
    rows: Vec<[u32; 2]>,
    weights: usize,
    engine: StoredEngine,
}

impl StoredEngine {
    pub(crate) fn of(spec: &Spec) -> Self {
        match spec {
            Spec::Eager => Self::Eager,
            &Spec::Deferred { window, pace } => {
                Self::Deferred { window, even_paced: pace == Pace::Even }
            }
            Spec::Diagonal => Self::Diagonal,
            Spec::Blocks(blocks) => Self::Blocks(blocks.iter().map(StoredBlock::of).collect()),
            Spec::Custom { name, exact } => Self::Custom { name: name.clone(), exact: *exact },
        }
    }

    /// The engine to build for `network`.
    ///
    /// # Errors
    /// [`Error::Kernel`] for blocks that are not those of the network: the sensitivities would be
    /// others.
    pub(crate) fn spec<T: Real>(&self, network: &Network<T>) -> Result<Spec, Error> {
        let layout = network.layout();
        let spec = self.unchecked([layout.states(), layout.rows()])?;
        match &spec {
            Spec::Blocks(blocks) => check_blocks(layout, network.pattern()?.as_ref(), blocks)?,
            Spec::Diagonal => {
                let all = |count| (0..).take(count).collect();
                let (states, rows) = (all(layout.states()), all(layout.rows()));
                let block = Block { states, rows, weights: 0, engine: Spec::Diagonal };
                check_blocks(layout, network.pattern()?.as_ref(), &[block])?;
            }
            _ => {}
        }
        Ok(spec)
    }

    /// The engine to build for a network of this many states and weight rows, which may be other
    /// ones.
    ///
    /// # Errors
    /// [`Error::Kernel`] for numbers that are not there, and for blocks in a block.
    pub(crate) fn unchecked(&self, [states, rows]: [usize; 2]) -> Result<Spec, Error> {
        Ok(match self {
            Self::Eager => Spec::Eager,
            &Self::Deferred { window, even_paced } => {
                let pace = if even_paced { Pace::Even } else { Pace::Bursts };
                Spec::Deferred { window, pace }
            }
            Self::Blocks(blocks) => {
                let blocks = blocks.iter().enumerate();
                let block =
                    |(number, block): (usize, &StoredBlock)| block.block(number, [states, rows]);
                Spec::Blocks(blocks.map(block).collect::<Result<_, _>>()?)
            }
            Self::Diagonal => Spec::Diagonal,
            Self::Custom { name, exact } => Spec::Custom { name: name.clone(), exact: *exact },
        })
    }

    /// Fails if the blocks would take memory that no tensor of a file with `stored` numbers
    /// confirms: lists of more states and weight rows, all together, or many times as many entries
    /// of their Jacobians, which engines other than the diagonal one have room for: [`ENTRIES`]
    /// times, or an eighth of the number of all `states`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check_claims(&self, stored: usize, states: usize) -> Result<(), Error> {
        let Self::Blocks(blocks) = self else { return Ok(()) };
        let (mut listed, mut entries) = (0u128, 0u128);
        let most = stored as u128 * ENTRIES.max(states as u128 / 8);
        for block in blocks {
            let [states, rows] = [&block.states, &block.rows].map(|runs| claimed(runs));
            listed += states + rows;
            entries += if block.engine == Self::Diagonal { 0 } else { states * states };
        }
        let stored = stored as u128;
        for (what, got, most) in [
            ("states and weight rows of all stored blocks", listed, stored),
            ("entries of the Jacobians of all stored blocks", entries, most),
        ] {
            if got > most {
                let expected = format!("at most {most} in a file of {stored} numbers");
                return Err(Error::Setting { what, expected, got: got.to_string() });
            }
        }
        Ok(())
    }

    /// The custom engine of this name, if it is one.
    pub(crate) fn custom<T: Real>(
        &self,
        network: &Network<T>,
        supplies: &Supplies<T>,
    ) -> Result<Option<Box<dyn Engine<T>>>, Error> {
        let Self::Custom { name, .. } = self else { return Ok(None) };
        let refused = |got| {
            let expected = format!("{name:?} from the supplied factory");
            Err(Error::Setting { what: "custom engine", expected, got })
        };
        let Some(factory) = &supplies.engine else { return refused("no factory".to_owned()) };
        let engine = factory.build(network.layout(), &network.learning(), name)?;
        let spec = Self::of(&engine.spec());
        if spec == *self { Ok(Some(engine)) } else { refused(format!("{:?}", engine.spec())) }
    }
}

impl StoredBlock {
    fn of(block: &Block) -> Self {
        Self {
            states: runs(&block.states),
            rows: runs(&block.rows),
            weights: block.weights,
            engine: StoredEngine::of(&block.engine),
        }
    }

    /// Block `number` of a network of this many states and weight rows.
    fn block(&self, number: usize, [states, rows]: [usize; 2]) -> Result<Block, Error> {
        let refuse = |field, (expected, got)| {
            Error::Kernel(rtrl_kernel::Error::Block { block: number, field, expected, got })
        };
        let engine = match &self.engine {
            odd @ (StoredEngine::Blocks(_) | StoredEngine::Custom { .. }) => {
                let got = if let StoredEngine::Blocks(_) = odd { "blocks" } else { "a custom one" };
                let expected = "eager, deferred or diagonal".to_owned();
                return Err(refuse("engine", (expected, got.to_owned())));
            }
            engine => engine.unchecked([states, rows])?,
        };
        let states = numbers(&self.states, states).map_err(|odd| refuse("states", odd))?;
        let rows = numbers(&self.rows, rows).map_err(|odd| refuse("rows", odd))?;
        Ok(Block { states, rows, weights: self.weights, engine })
    }
}

/// How many numbers some runs claim to have.
fn claimed(runs: &[[u32; 2]]) -> u128 {
    runs.iter().map(|[first, after]| u128::from(after.saturating_sub(*first))).sum()
}

/// Ascending numbers as runs.
fn runs(numbers: &[u32]) -> Vec<[u32; 2]> {
    let mut runs: Vec<[u32; 2]> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some([_, end]) if *end == number => *end += 1,
            _ => runs.push([number, number + 1]),
        }
    }
    runs
}

/// The numbers of some runs, which must ascend and stay below `end`; otherwise what was expected
/// and what was given.
fn numbers(runs: &[[u32; 2]], end: usize) -> Result<Vec<u32>, (String, String)> {
    let mut next = 0;
    let mut list = Vec::new();
    for &[first, after] in runs {
        if first < next || after <= first || after as usize > end {
            let expected = format!("ascending runs of numbers below {end}");
            return Err((expected, format!("[{first}, {after}]")));
        }
        list.extend(first..after);
        next = after;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stored_as_runs() {
        for list in [vec![], vec![3], vec![0, 1, 2], vec![1, 2, 5, 7, 8]] {
            assert_eq!(numbers(&runs(&list), 9).unwrap(), list);
        }
        assert_eq!(runs(&[1, 2, 5]), [[1, 3], [5, 6]]);
        for bad in [[[0, 10], [0, 0]], [[0, 2], [1, 3]], [[0, 2], [3, 3]], [[2, 1], [4, 5]]] {
            assert!(numbers(&bad, 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn blocks_of_another_network_are_refused() {
        let network = Network::<f32>::builder(4, 1).layer(2).build().unwrap();
        let block = |states: [u32; 2], rows: [u32; 2], weights, engine| StoredBlock {
            states: vec![states],
            rows: vec![rows],
            weights,
            engine,
        };
        let spec = |blocks: Vec<StoredBlock>| {
            StoredEngine::Blocks(blocks).spec(&network).map_err(|error| error.to_string())
        };
        let upper = || block([4, 6], [4, 6], 14, StoredEngine::Eager);
        spec(vec![block([0, 6], [0, 4], 24, StoredEngine::Eager), upper()]).unwrap();
        for (bad, expected) in [
            (block([0, 5], [0, 4], 24, StoredEngine::Eager), "block 0, states: got no state 5"),
            (
                block([0, 6], [0, 4], 24, StoredEngine::Diagonal),
                "block 0, engine: got a diagonal one",
            ),
            (
                block([0, 7], [0, 4], 24, StoredEngine::Eager),
                "block 0, states: got [0, 7], expected ascending runs of numbers below 6",
            ),
            (
                block([0, 6], [0, 4], 24, StoredEngine::Blocks(vec![])),
                "block 0, engine: got blocks, expected eager, deferred or diagonal",
            ),
        ] {
            let message = spec(vec![bad, upper()]).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
