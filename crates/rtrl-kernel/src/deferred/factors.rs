//! The factor of every weight row in every record of a window, from the adjoints: the sum over the
//! drives of a row of adjoint times injection, the first product rounded, the others added by fused
//! multiply-adds.

use std::ops::Range;

use pulp::Simd;

use super::window::Window;
use crate::layout::Layout;
use crate::simd::{Real, lanes, load, store};

/// The weight rows of a layout in runs that are computed together.
#[derive(Debug, Clone)]
pub(super) struct Runs(Vec<Run>);

/// Neighbouring weight rows with drives of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    rows: Range<usize>,
    /// The first drive of the first row.
    drive: usize,
    states: States,
}

/// The states that the rows of a run drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum States {
    /// Row i of the run drives state `i + .0`: units with one state.
    One(usize),
    /// Row i of the run drives the states `i + .0[0]` and `i + .0[1]`: units with a cell.
    Two([usize; 2]),
    /// Any number of any states: rows below another layer.
    Any,
}

impl Runs {
    pub(super) fn new(layout: &Layout) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for row in 0..layout.rows() {
            let drives = layout.drives_of(row);
            let state = |drive: usize| layout.drives()[drive].state as usize;
            let states = match drives.len() {
                1 => States::One(state(drives.start)),
                2 => States::Two([state(drives.start), state(drives.start + 1)]),
                _ => States::Any,
            };
            match runs.last_mut() {
                Some(run) if run.states.after(run.rows.len()) == states => run.rows.end = row + 1,
                _ => runs.push(Run { rows: row..row + 1, drive: drives.start, states }),
            }
        }
        Self(runs)
    }

    /// Writes the factors, `[record][weight row]`. `above` holds the adjoints after each record,
    /// rows [`Window::stride`] apart.
    #[inline(always)]
    pub(super) fn write<S: Simd, T: Real>(
        &self,
        simd: S,
        layout: &Layout,
        window: &Window<T>,
        above: &[T],
        factors: &mut [T],
    ) {
        let (stride, rows, drives) = (window.stride(), layout.rows(), layout.drives().len());
        let above = &above[..window.len() * stride];
        let simple = Run { rows: 0..stride, drive: 0, states: States::One(0) };
        if self.0 == [simple] && drives == stride {
            // There are no gaps between records.
            return one(simd, above, window.injections(), &mut factors[..window.len() * stride]);
        }
        for run in &self.0 {
            let records = above.chunks_exact(stride).zip(factors.chunks_exact_mut(rows));
            for (record, (above, factors)) in records.enumerate() {
                let injection = &window.injection(record)[run.drive..];
                let factors = &mut factors[run.rows.clone()];
                match run.states {
                    States::One(state) => one(simd, &above[state..], injection, factors),
                    States::Two([first, second]) => {
                        two([&above[first..], &above[second..]], injection, factors);
                    }
                    States::Any => any(layout, run, above, injection, factors),
                }
            }
        }
    }
}

impl States {
    /// Those of the row `rows` rows further, if it is like this one.
    fn after(self, rows: usize) -> Self {
        match self {
            Self::One(state) => Self::One(state + rows),
            Self::Two(states) => Self::Two(states.map(|state| state + rows)),
            Self::Any => Self::Any,
        }
    }
}

/// Rows with one drive.
#[inline(always)]
fn one<S: Simd, T: Real>(simd: S, above: &[T], injection: &[T], factors: &mut [T]) {
    let len = factors.len();
    let (above, injection) = (&above[..len], &injection[..len]);
    for at in (0..len).step_by(lanes::<S, T>()) {
        let (above, injection) = (load(simd, above, at), load(simd, injection, at));
        store(simd, factors, at, T::product(simd, above, injection));
    }
}

/// Rows with two drives.
#[inline(always)]
fn two<T: Real>(above: [&[T]; 2], injection: &[T], factors: &mut [T]) {
    let terms = injection.as_chunks().0.iter().zip(above[0].iter().zip(above[1]));
    for (factor, (&[a, b], (&first, &second))) in factors.iter_mut().zip(terms) {
        *factor = second.mul_add(b, first * a);
    }
}

/// Row by row.
#[inline(always)]
fn any<T: Real>(layout: &Layout, run: &Run, above: &[T], injection: &[T], factors: &mut [T]) {
    let mut terms = layout.drives()[run.drive..].iter().zip(injection);
    for (row, factor) in run.rows.clone().zip(factors) {
        let mut sum = None;
        for (drive, &injection) in terms.by_ref().take(layout.drives_of(row).len()) {
            let adjoint = above[drive.state as usize];
            sum = Some(match sum {
                Some(sum) => adjoint.mul_add(injection, sum),
                None => adjoint * injection,
            });
        }
        *factor = sum.unwrap_or(T::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Drive;

    #[test]
    fn rows_that_drive_neighbours_are_taken_together() {
        // Two units with a cell each, of which the last block of rows drives the outputs alone;
        // below a unit that sees them both.
        let pairs = [
            (0, 0),
            (0, 3),
            (1, 1),
            (1, 4),
            (2, 0),
            (2, 3),
            (3, 1),
            (3, 4),
            (4, 0),
            (5, 1),
            (7, 0),
            (7, 1),
            (7, 2),
        ];
        let drives = pairs.map(|(row, state)| Drive { row, state }).to_vec();
        let layout = Layout::new(5, vec![0..3; 8], drives).unwrap();
        let run = |rows, drive, states| Run { rows, drive, states };
        let expected = [
            run(0..2, 0, States::Two([0, 3])),
            run(2..4, 4, States::Two([0, 3])),
            run(4..6, 8, States::One(0)),
            run(6..8, 10, States::Any),
        ];
        assert_eq!(Runs::new(&layout).0, expected);
        assert_eq!(Runs::new(&Layout::simple(7, 9).unwrap()).0, [run(0..7, 0, States::One(0))]);
    }
}
