//! Blocks: weight rows that reach few states, each block with an engine of its own.
//!
//! The sensitivities of a weight row can differ from 0 only in the states that it reaches
//! (`structure/`). A block holds the rows of one reach, or of several, on `J[reach, reach]`;
//! columns of p never mix, so the blocks need nothing of each other. What they do not hold is 0.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the engine |
//! | `part.rs` | one block and what it takes of a step |
//! | `places.rs` | some states, weight rows or drives among all of them |
//! | `prefixed.rs` | the tensors of one block among those of all |

mod part;
mod places;
mod prefixed;

use std::ops::Range;

use self::part::Part;
use self::prefixed::{Prefixed, named};
use crate::cost;
use crate::engine::Engine;
use crate::error::{Error, check_length, check_matrix};
use crate::layout::Layout;
use crate::simd::{Isa, Real};
use crate::spec::{Block, Spec};
use crate::step::Step;
use crate::store::{Sink, Source};
use crate::threads::{FLOPS_PER_THREAD, Threads, Workers};

/// The engine of blocks of weight rows, each with an engine of its own on the states that its rows
/// reach. The sensitivities are 0 in all other states.
///
/// If no coefficient of a Jacobian leads out of a block, and no injection other than 0, the results
/// are those of the inner engines on the whole: with eager ones they compare equal with those of
/// [`Eager`](crate::Eager). [`reaches`](crate::reaches) finds such blocks.
///
/// ```
/// use rtrl_kernel::{Block, Isa, Layout, Pattern, Spec, Threads, build, reaches};
///
/// # fn main() -> Result<(), rtrl_kernel::Error> {
/// // Two pairs of units that do not see each other.
/// let pattern = Pattern::new(vec![vec![0, 1], vec![0, 1], vec![2, 3], vec![2, 3]])?;
/// let (layout, learns) = (Layout::simple(4, 5)?, [true; 20]);
/// let blocks = reaches(&layout, &learns, &pattern)?.into_iter().map(|reach| Block {
///     states: reach.states,
///     rows: reach.rows,
///     weights: reach.weights,
///     engine: Spec::Eager,
/// });
/// let spec = Spec::Blocks(blocks.collect());
/// let engine = build::<f32>(&spec, &layout, &learns, Isa::best(), Threads::SERIAL)?;
/// // Half of p, and half of the operations on half of the rest.
/// assert_eq!(spec.sensitivities(4, 20), [
///     ("block.0.sensitivities".to_owned(), [2, 10]),
///     ("block.1.sensitivities".to_owned(), [2, 10]),
/// ]);
/// assert_eq!(engine.spec(), spec);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Blocks<T: Real> {
    layout: Layout,
    parts: Vec<Part<T>>,
    weights: usize,
    workers: Workers,
    /// Blocks that one thread takes, if they are divided among the threads.
    taken: Option<usize>,
    lost: bool,
}

impl<T: Real> Blocks<T> {
    /// Engines with p = 0 for the weights that `learns` marks, row by row.
    ///
    /// If no block has more than its share of the operations, the blocks are divided among the
    /// threads; otherwise each large block is advanced by all threads, one after the other.
    ///
    /// # Errors
    /// [`Error::Block`] and [`Error::NoBlock`] unless each row with a weight that learns is in one
    /// block, with ascending rows and states that exist, as many weights as it says, and an engine
    /// that is neither custom nor made of blocks; [`Error::Length`] if the mask does not fit the
    /// layout; [`Error::Threads`]; those of the engines.
    pub fn new(
        layout: &Layout,
        learns: &[bool],
        blocks: &[Block],
        isa: Isa,
        threads: Threads,
    ) -> Result<Self, Error> {
        check_length("mask of learning weights", layout.weights(), learns.len())?;
        let columns = columns(layout, learns);
        check(layout, &columns, blocks)?;
        let flops = blocks.iter().map(flops).sum();
        let count = threads.count(flops);
        let are_idle = count > 1 && Sharing::of(blocks, count) == Sharing::Nothing;
        let threads = if are_idle { Threads::SERIAL } else { threads };
        let workers = Workers::new(threads, flops)?;
        let threads = workers.count();
        let sharing = Sharing::of(blocks, threads);
        let part = |block: &Block| {
            let shared = sharing == Sharing::Large && is_shared(block, blocks.len());
            let own = if shared { workers.clone() } else { Workers::new(Threads::SERIAL, 0)? };
            Part::new(layout, learns, &columns, block, isa, own)
        };
        Ok(Self {
            layout: layout.clone(),
            parts: blocks.iter().map(part).collect::<Result<_, _>>()?,
            weights: columns.last().map_or(0, |last| last.end),
            taken: (sharing == Sharing::Blocks).then(|| blocks.len().div_ceil(threads)),
            workers,
            lost: false,
        })
    }

    /// Drops the errors that have not been read.
    fn drop_errors(&mut self) {
        self.parts.iter_mut().for_each(Part::drop_errors);
    }
}

/// What several threads share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// The blocks: each thread takes some.
    Blocks,
    /// Each of the large ones, one after the other.
    Large,
    Nothing,
}

impl Sharing {
    fn of(blocks: &[Block], threads: usize) -> Self {
        let total: u128 = blocks.iter().map(flops).sum();
        let largest = blocks.iter().map(flops).max().unwrap_or(0);
        if threads < 2 {
            Self::Nothing
        } else if blocks.len() > 1 && largest.saturating_mul(threads as u128) <= total {
            Self::Blocks
        } else if blocks.iter().any(|block| is_shared(block, blocks.len())) {
            Self::Large
        } else {
            Self::Nothing
        }
    }
}

/// Whether threads share a block, one of `count`. The diagonal engine has one thread.
fn is_shared(block: &Block, count: usize) -> bool {
    let is_large = flops(block) >= 2 * FLOPS_PER_THREAD || count == 1;
    is_large && block.engine != Spec::Diagonal
}

/// The columns of p of each weight row.
fn columns(layout: &Layout, learns: &[bool]) -> Vec<Range<usize>> {
    let mut end = 0;
    let of_row = |row: usize| {
        let start = end;
        let learning = &learns[layout.offset(row)..][..layout.width(row)];
        end += learning.iter().filter(|&&learns| learns).count();
        start..end
    };
    (0..layout.rows()).map(of_row).collect()
}

/// Operations of a step of a block.
fn flops(block: &Block) -> u128 {
    cost::step(&block.engine, block.states.len(), block.weights)
}

/// Fails unless the blocks divide the rows that learn.
fn check(layout: &Layout, columns: &[Range<usize>], blocks: &[Block]) -> Result<(), Error> {
    let mut taken = vec![false; layout.rows()];
    for (number, block) in blocks.iter().enumerate() {
        let refuse =
            |field, got, expected| Err(Error::Block { block: number, field, expected, got });
        let states = ("states", &block.states, layout.states());
        for (field, list, end) in [states, ("rows", &block.rows, layout.rows())] {
            let Some(&last) = list.last() else {
                return refuse(field, "none".to_owned(), "at least one".to_owned());
            };
            let mut pairs = list.iter().zip(&list[1..]);
            if let Some((before, number)) = pairs.find(|(before, number)| before >= number) {
                let got = format!("{number} after {before}");
                return refuse(field, got, "ascending numbers".to_owned());
            }
            if last as usize >= end {
                return refuse(field, last.to_string(), format!("a number below {end}"));
            }
        }
        for &row in &block.rows {
            if std::mem::replace(&mut taken[row as usize], true) {
                let expected = "rows that no other block has".to_owned();
                return refuse("rows", format!("row {row} again"), expected);
            }
        }
        let odd = match &block.engine {
            Spec::Blocks(_) => Some("blocks".to_owned()),
            Spec::Custom { .. } => Some("a custom one".to_owned()),
            _ => None,
        };
        if let Some(got) = odd {
            return refuse("engine", got, "eager, deferred or diagonal".to_owned());
        }
        let weights: usize = block.rows.iter().map(|&row| columns[row as usize].len()).sum();
        if weights != block.weights {
            let expected = format!("{weights}, those of its rows that learn");
            return refuse("weights", block.weights.to_string(), expected);
        }
    }
    match (0..layout.rows()).find(|&row| !taken[row] && !columns[row].is_empty()) {
        Some(row) => Err(Error::NoBlock { row }),
        None => Ok(()),
    }
}

impl<T: Real> Engine<T> for Blocks<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        step.check(&self.layout, error)?;
        if self.lost {
            return Err(Error::Lost);
        }
        let advance = |parts: &mut [Part<T>]| {
            for part in parts {
                part.advance(step, error);
            }
        };
        match self.taken {
            Some(taken) => {
                let buffers = [(self.parts.as_mut_slice(), taken)];
                self.workers.each(buffers, |_, [parts]| advance(parts));
            }
            None => advance(&mut self.parts),
        }
        let Some(failure) = self.parts.iter().find_map(|part| part.result.as_ref().err()) else {
            return Ok(());
        };
        self.lost = true;
        Err(failure.clone())
    }

    fn advance_into(
        &mut self,
        step: &Step<'_, T>,
        error: &[T],
        into: (&mut [T], usize),
    ) -> Result<bool, Error> {
        let [part] = self.parts.as_mut_slice() else {
            return self.advance(step, Some(error)).map(|()| false);
        };
        step.check(&self.layout, Some(error))?;
        let (layout, (gradient, stride)) = (&self.layout, &into);
        check_matrix("the gradient", layout.rows(), layout.widest(), *stride, gradient.len())?;
        if self.lost {
            return Err(Error::Lost);
        }
        let read = part.advance_into(step, error, into);
        self.lost = read.is_err();
        read
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        let layout = &self.layout;
        check_matrix("the gradient", layout.rows(), layout.widest(), stride, into.len())?;
        if self.lost {
            return Err(Error::Lost);
        }
        let read = self.parts.iter_mut().try_for_each(|part| part.gradient(into, stride));
        self.lost = read.is_err();
        read
    }

    fn reset(&mut self) -> Result<(), Error> {
        if self.lost {
            self.drop_errors();
        }
        let results = self.parts.iter_mut().map(|part| part.engine.reset());
        let reset = results.fold(Ok(()), Result::and);
        if reset.is_err() {
            self.drop_errors();
        }
        self.lost = false;
        reset
    }

    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        check_length("row of sensitivities", self.weights, row.len())?;
        let states = self.layout.states();
        if state >= states {
            return Err(Error::State { states, got: state });
        }
        if self.lost {
            return Err(Error::Lost);
        }
        row.fill(T::ZERO);
        self.parts.iter().try_for_each(|part| part.sensitivities(state, row))
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        if self.lost {
            return Err(Error::Lost);
        }
        let mut parts = self.parts.iter().enumerate();
        parts.try_for_each(|(block, part)| part.engine.save(&mut Prefixed { block, all: to }))
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.lost = true;
        for (block, part) in self.parts.iter_mut().enumerate() {
            let loaded = part.engine.load(&mut Prefixed { block, all: from });
            loaded.map_err(|error| named(block, error))?;
        }
        self.lost = false;
        Ok(())
    }

    fn spec(&self) -> Spec {
        Spec::Blocks(self.parts.iter().map(Part::block).collect())
    }

    fn weights(&self) -> usize {
        self.weights
    }

    fn state_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.engine.state_bytes() + part.room_bytes()).sum()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads of the engine of blocks of one state and row each, if three are requested.
    fn threads(engines: &[Spec]) -> usize {
        let count = engines.len();
        let layout = Layout::simple(count, 1).unwrap();
        let block = |(number, engine): (u32, &Spec)| Block {
            states: vec![number],
            rows: vec![number],
            weights: 1,
            engine: engine.clone(),
        };
        let blocks: Vec<_> = (0..).zip(engines).map(block).collect();
        let threads = Threads::Exactly(3);
        let blocks = Blocks::<f32>::new(&layout, &vec![true; count], &blocks, Isa::best(), threads);
        blocks.unwrap().workers.count()
    }

    #[test]
    fn threads_that_no_block_could_use_are_not_started() {
        assert_eq!(threads(&[Spec::Diagonal]), 1);
        assert_eq!(threads(&[Spec::Eager, Spec::Diagonal]), 1);
    }

    #[cfg(feature = "rayon")]
    #[test]
    fn threads_share_blocks_or_a_large_one() {
        assert_eq!(threads(&[Spec::Eager]), 3);
        assert_eq!(threads(&vec![Spec::Diagonal; 6]), 3);
    }
}
