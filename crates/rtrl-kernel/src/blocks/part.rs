//! One block: its states and weight rows, and its engine.

use std::ops::Range;

use super::places::Places;
use crate::engine::Engine;
use crate::error::Error;
use crate::jacobian::Jacobian;
use crate::layout::{Drive, Layout};
use crate::simd::{Isa, Real};
use crate::single::single;
use crate::spec::Block;
use crate::step::Step;
use crate::threads::Workers;

/// One block.
#[derive(Debug, Clone)]
pub(super) struct Part<T: Real> {
    pub(super) states: Places,
    pub(super) rows: Places,
    drives: Places,
    /// What its rows see of z, the parts of it that are neighbours together.
    z: Vec<Range<usize>>,
    /// The columns of p of each of its rows, among those of all rows.
    columns: Vec<Range<usize>>,
    /// The largest number of weights in one of its rows.
    widest: usize,
    pub(super) engine: Box<dyn Engine<T>>,
    room: Room<T>,
    isa: Isa,
    /// How the last step ended.
    pub(super) result: Result<(), Error>,
}

/// Room for copies of what is not in one piece.
#[derive(Debug, Clone)]
struct Room<T> {
    /// The states, neighbours together.
    runs: Vec<Range<usize>>,
    /// z, if it is not one part.
    z: Vec<T>,
    jacobian: Vec<T>,
    /// The factors of its rows, 1; the diagonal where the engine uses nothing else.
    scale: Vec<T>,
    injection: Vec<T>,
    forced: Vec<bool>,
    error: Vec<T>,
    gradient: Vec<T>,
}

impl<T: Real> Part<T> {
    /// The block `block` of a layout, in which weight row i has the columns `columns[i]` of p.
    pub(super) fn new(
        layout: &Layout,
        learns: &[bool],
        columns: &[Range<usize>],
        block: &Block,
        isa: Isa,
        workers: Workers,
    ) -> Result<Self, Error> {
        let list = |numbers: &[u32]| numbers.iter().map(|&number| number as usize).collect();
        let (states, rows) = (Places::new(list(&block.states)), Places::new(list(&block.rows)));
        let z = seen(layout, &rows);
        let (part, drives) = inner_layout(layout, &states, &rows, &z)?;
        let weights = |row: usize| &learns[layout.offset(row)..][..layout.width(row)];
        let learns: Vec<bool> = rows.iter().flat_map(weights).copied().collect();
        let engine = single(&block.engine, &part, &learns, isa, workers)?;
        let engine = engine.ok_or(Error::Unsupported { what: "being built from its spec" })?;
        let columns = rows.iter().map(|row| columns[row].clone()).collect();
        let drives = Places::new(drives);
        let (n, zeros) = (states.copied(), |len| vec![T::ZERO; len]);
        let stride = layout.widest().next_multiple_of(T::LANES);
        let room = Room {
            runs: states.runs(),
            z: zeros(if z.len() > 1 { z.iter().map(Range::len).sum() } else { 0 }),
            jacobian: zeros(if is_diagonal(block) { 0 } else { n * n }),
            scale: vec![T::ONE; n],
            injection: zeros(drives.copied()),
            forced: vec![false; n],
            error: zeros(n),
            gradient: zeros(rows.copied() * stride),
        };
        let (widest, result) = (part.widest(), Ok(()));
        Ok(Self { states, rows, drives, z, columns, widest, engine, room, isa, result })
    }

    /// Advances the engine by the part of a step that concerns it, and notes how that ended.
    pub(super) fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) {
        self.result = self.take(step, |engine, step, (states, room)| {
            engine.advance(step, error.map(|error| states.pick(error, room)))
        });
    }

    /// [`Engine::advance_into`] of the engine, if its weight rows are neighbours.
    pub(super) fn advance_into(
        &mut self,
        step: &Step<'_, T>,
        error: &[T],
        (into, stride): (&mut [T], usize),
    ) -> Result<bool, Error> {
        let Places::Run(rows) = &self.rows else {
            self.advance(step, Some(error));
            return self.result.clone().map(|()| false);
        };
        let end = (rows.end * stride).min(into.len());
        let into = &mut into[rows.start * stride..end];
        self.take(step, |engine, step, (states, room)| {
            engine.advance_into(step, states.pick(error, room), (into, stride))
        })
    }

    /// Gives the engine the part of a step that concerns it. Of an error, `advance` takes that of
    /// the states which it is given, with room for them.
    #[inline(always)]
    fn take<R, F>(&mut self, step: &Step<'_, T>, advance: F) -> Result<R, Error>
    where
        F: FnOnce(&mut dyn Engine<T>, &Step<'_, T>, (&Places, &mut [T])) -> Result<R, Error>,
    {
        let Self { states, drives, z, engine, room, isa, .. } = self;
        let Room { runs, z: room, jacobian, scale, injection, forced, error, .. } = room;
        let jacobian = match states {
            Places::Run(run) => step.jacobian.part(run.clone()),
            Places::Any(_) if jacobian.is_empty() => {
                let mut rest = scale.as_mut_slice();
                for run in runs {
                    let (own, after) = rest.split_at_mut(run.len());
                    step.jacobian.part(run.clone()).write_diagonal(*isa, own);
                    rest = after;
                }
                Jacobian::sum([]).with_diagonal(Some(scale))
            }
            Places::Any(list) => {
                step.jacobian.gather(*isa, runs, jacobian);
                Jacobian::scaled(jacobian, list.len(), scale)
            }
        };
        let step = Step {
            jacobian,
            injection: drives.pick(step.injection, injection),
            z: take(step.z, z, room),
            forced: states.pick(step.forced, forced),
        };
        advance(&mut **engine, &step, (states, error))
    }

    /// [`Engine::gradient`] of its weight rows.
    pub(super) fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        match &self.rows {
            Places::Run(rows) => {
                let end = (rows.end * stride).min(into.len());
                self.engine.gradient(&mut into[rows.start * stride..end], stride)
            }
            Places::Any(rows) => {
                let gradient = &mut self.room.gradient;
                // Rows of another length than those of a learner are seldom asked for.
                gradient.resize(rows.len() * stride, T::ZERO);
                for (own, &row) in gradient.chunks_exact_mut(stride).zip(rows) {
                    let len = (into.len() - row * stride).min(stride);
                    own[..len].copy_from_slice(&into[row * stride..][..len]);
                }
                self.engine.gradient(gradient, stride)?;
                for (own, &row) in gradient.chunks_exact(stride).zip(rows) {
                    let len = (into.len() - row * stride).min(stride);
                    into[row * stride..][..len].copy_from_slice(&own[..len]);
                }
                Ok(())
            }
        }
    }

    /// [`Engine::sensitivities`] in its columns of `row`.
    pub(super) fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        let Some(state) = self.states.find(state) else { return Ok(()) };
        let mut own = vec![T::ZERO; self.engine.weights()];
        self.engine.sensitivities(state, &mut own)?;
        let mut rest = own.as_slice();
        for columns in &self.columns {
            let (values, after) = rest.split_at(columns.len());
            row[columns.clone()].copy_from_slice(values);
            rest = after;
        }
        Ok(())
    }

    /// Drops the errors that have not been read, after an overflow in any block.
    pub(super) fn drop_errors(&mut self) {
        let mut dropped = vec![T::ZERO; self.rows.len() * self.widest];
        // An engine that is lost has dropped them.
        let _ = self.engine.gradient(&mut dropped, self.widest);
    }

    /// The description of the block.
    pub(super) fn block(&self) -> Block {
        let numbers = |places: &Places| {
            places.iter().map(|place| u32::try_from(place).unwrap_or(u32::MAX)).collect()
        };
        Block {
            states: numbers(&self.states),
            rows: numbers(&self.rows),
            weights: self.engine.weights(),
            engine: self.engine.spec(),
        }
    }

    /// Bytes of its copies.
    pub(super) fn room_bytes(&self) -> usize {
        let Room { z, jacobian, scale, injection, error, gradient, .. } = &self.room;
        let numbers = [z, jacobian, scale, injection, error, gradient];
        numbers.iter().map(|numbers| size_of_val(numbers.as_slice())).sum()
    }
}

/// The layout of a block with these states and rows, which see `z`, and its drives among those of
/// all.
fn inner_layout(
    layout: &Layout,
    states: &Places,
    rows: &Places,
    z: &[Range<usize>],
) -> Result<(Layout, Vec<usize>), Error> {
    let (mut inner, mut drives) = (Vec::new(), Vec::new());
    for (row, number) in rows.iter().zip(0..) {
        for drive in layout.drives_of(row) {
            let state = layout.drives()[drive].state as usize;
            let place = states.find(state).and_then(|place| u32::try_from(place).ok());
            let Some(state) = place else { continue };
            inner.push(Drive { row: number, state });
            drives.push(drive);
        }
    }
    let own = rows.iter().map(|row| layout.z(row).map(|part| inside(z, &part))).collect();
    Ok((Layout::divided(states.len(), own, inner)?, drives))
}

/// What some rows of a layout see of z, neighbours together. If each sees one part, this is all
/// from the first to the last of them: a copy would take longer than a gap is worth.
fn seen(layout: &Layout, rows: &Places) -> Vec<Range<usize>> {
    let all = rows.iter().flat_map(|row| layout.z(row));
    let mut parts: Vec<_> = all.filter(|part| !part.is_empty()).collect();
    parts.sort_by_key(|part| part.start);
    let is_divided = rows.iter().any(|row| !layout.z(row)[1].is_empty());
    let mut runs: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match runs.last_mut() {
            Some(last) if part.start <= last.end || !is_divided => {
                last.end = last.end.max(part.end);
            }
            _ => runs.push(part),
        }
    }
    runs
}

/// Where `part` is in the copy of `runs`, one after the other, one of which it is in.
fn inside(runs: &[Range<usize>], part: &Range<usize>) -> Range<usize> {
    let mut before = 0;
    for run in runs {
        if run.start <= part.start && part.end <= run.end {
            let start = before + part.start - run.start;
            return start..start + part.len();
        }
        before += run.len();
    }
    0..0
}

/// These parts of z, copied to `room` unless there is only one.
fn take<'a, T: Real>(z: &'a [T], parts: &[Range<usize>], room: &'a mut [T]) -> &'a [T] {
    if let [part] = parts {
        return &z[part.clone()];
    }
    let mut rest = &mut *room;
    for part in parts {
        let (own, after) = rest.split_at_mut(part.len());
        own.copy_from_slice(&z[part.clone()]);
        rest = after;
    }
    room
}

fn is_diagonal(block: &Block) -> bool {
    block.engine == crate::spec::Spec::Diagonal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A diagonal layer is one block, whose engine takes the loops for rows that are alike.
    #[test]
    fn the_layout_of_a_block_of_everything_is_that_of_the_whole() {
        let layout = |count: usize| {
            let rows = (0..count).map(|row| [0..3, 3 + row..4 + row]).collect();
            let drives = (0..).take(count).map(|k| Drive { row: k, state: k }).collect();
            Layout::divided(count, rows, drives).unwrap()
        };
        let all = layout(7);
        let of = |count| {
            let places = Places::new((0..count).collect());
            let z = seen(&all, &places);
            inner_layout(&all, &places, &places, &z).unwrap().0
        };
        assert_eq!((of(7), of(6)), (layout(7), layout(6)));
        for (part, rows) in [(of(7), 7), (of(6), 6)] {
            let engine = crate::Diagonal::<f32>::new(&part, &vec![true; rows * 4], Isa::scalar());
            assert!(engine.unwrap().has_even_rows());
        }
    }
}
