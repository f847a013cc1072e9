//! Blocks: weight rows that reach few states, each block with an engine of its own.
//!
//! The sensitivities of a weight row can differ from 0 only in the states that it reaches
//! (`structure/`). A block holds the rows of one reach, or of several, on `J[reach, reach]`; columns
//! of p never mix, so the blocks need nothing of each other. What they do not hold is 0.
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
    /// [`Error::Block`] unless each row with a weight that learns is in one block, with ascending
    /// rows and states that exist and as many weights as it says; [`Error::Length`] if the mask does
    /// not fit the layout; [`Error::Threads`]; those of the engines.
    pub fn new(
        layout: &Layout,
        learns: &[bool],
        blocks: &[Block],
        isa: Isa,
        threads: Threads,
    ) -> Result<Self, Error> {
        let flops = blocks.iter().map(flops).sum();
        Self::with_workers(layout, learns, blocks, isa, Workers::new(threads, flops)?)
    }

    /// [`Blocks::new`] on these threads.
    pub(crate) fn with_workers(
        layout: &Layout,
        learns: &[bool],
        blocks: &[Block],
        isa: Isa,
        workers: Workers,
    ) -> Result<Self, Error> {
        check_length("mask of learning weights", layout.weights(), learns.len())?;
        let columns = columns(layout, learns);
        check(layout, &columns, blocks)?;
        let total: u128 = blocks.iter().map(flops).sum();
        let largest = blocks.iter().map(flops).max().unwrap_or(0);
        let threads = workers.count();
        let even =
            threads > 1 && !blocks.is_empty() && largest.saturating_mul(threads as u128) <= total;
        let part = |block: &Block| {
            let shared = !even && (flops(block) >= 2 * FLOPS_PER_THREAD || blocks.len() == 1);
            let own = if shared { workers.clone() } else { Workers::new(Threads::SERIAL, 0)? };
            Part::new(layout, learns, &columns, block, isa, own)
        };
        Ok(Self {
            layout: layout.clone(),
            parts: blocks.iter().map(part).collect::<Result<_, _>>()?,
            weights: columns.last().map_or(0, |last| last.end),
            taken: even.then(|| blocks.len().div_ceil(threads)),
            workers,
            lost: false,
        })
    }

    /// Drops the errors that have not been read.
    fn drop_errors(&mut self) {
        self.parts.iter_mut().for_each(Part::drop_errors);
    }
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
        let refuse = |got, expected| Err(Error::Block { block: number, expected, got });
        for (list, end) in [(&block.states, layout.states()), (&block.rows, layout.rows())] {
            let ascends = list.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascends || list.last().is_none_or(|&last| last as usize >= end) {
                let got = format!("{} numbers of at most {:?}", list.len(), list.last());
                return refuse(got, "ascending states and weight rows of the layout");
            }
        }
        for &row in &block.rows {
            if std::mem::replace(&mut taken[row as usize], true) {
                return refuse(format!("row {row} again"), "rows that no other block has");
            }
        }
        let weights: usize = block.rows.iter().map(|&row| columns[row as usize].len()).sum();
        if weights != block.weights {
            return refuse(
                format!("{} weights that learn", block.weights),
                "as many as its rows have",
            );
        }
    }
    match (0..layout.rows()).find(|&row| !taken[row] && !columns[row].is_empty()) {
        Some(row) => {
            let (block, got) = (blocks.len(), format!("row {row} in no block"));
            Err(Error::Block { block, expected: "every row with a weight that learns", got })
        }
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
