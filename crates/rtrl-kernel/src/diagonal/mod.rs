//! The diagonal engine: states that depend on themselves only.
//!
//! If each weight row drives one state and no state depends on another, `p^k_ij` is 0 except in the
//! state k that row i drives. Equation 5 then has one number for each weight:
//!
//! ```text
//! p_ij(t+1) = J[k][k] p_ij(t) + injection z_j          dL/dw_ij = -e_k p_ij
//! ```
//!
//! Cost of a step: 5 q operations for q learning weights, in one pass over p and one over the
//! gradient; memory: 2 q numbers.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the engine |
//! | `rows.rs` | the loops over rows of any length |
//! | `even.rs` | the same where all rows are alike, and with the gradient in the same pass |
//! | `reading.rs` | the gradient of such rows in a pass of its own |
//! | `period.rs` | where such rows are in registers |

mod even;
mod period;
mod reading;
mod rows;

use self::even::{AdvanceEven, AdvanceEvenLoop, Even, Reading};
use self::reading::{ReadEven, ReadEvenLoop};
use self::rows::{Advance, AdvanceLoop, Collect, CollectLoop, Read, ReadLoop, Row, Run};
use crate::clearing::Clearing;
use crate::engine::Engine;
use crate::error::{Error, Quantity, check_matrix};
use crate::layout::Layout;
use crate::panels::Placement;
use crate::simd::{Buffer, Clear, ClearLoop, Isa, Real};
use crate::spec::Spec;
use crate::step::{Step, any_forced};
use crate::store::{Sink, Source};

/// The exact engine of a layer in which each weight row drives at most one state and no state
/// depends on another. It reads only the diagonal of the Jacobian.
///
/// It computes the sums of [`Eager`](crate::Eager) without the terms that are 0, so the results of
/// both are equal by `==`. A gradient that overflows is detected when it is read, in a step or in a
/// reset. As there, subnormal numbers in p become 0 after every 64 steps.
#[derive(Debug, Clone)]
pub struct Diagonal<T> {
    placement: Placement,
    isa: Isa,
    rows: Vec<Row>,
    runs: Vec<Run>,
    /// What all rows have in common, where they are alike.
    even: Option<Even>,
    /// Room for what these see of z.
    seen: Vec<T>,
    /// One number for each weight, in the order of the weights.
    p: Buffer<T>,
    /// The gradient of each weight, with the sign of `sum e p`, of the errors before the last.
    sums: Buffer<T>,
    /// `J[k][k]`, 0 where unit k was forced.
    own: Vec<T>,
    /// The error of the last step, if it has not been read.
    error: Vec<T>,
    unread: bool,
    clearing: Clearing,
    /// Whether the sums hold errors that have not been read.
    summed: bool,
    lost: bool,
}

impl<T: Real> Diagonal<T> {
    /// An engine with p = 0 for the weights that `learns` marks, row by row.
    ///
    /// # Errors
    /// [`Error::Drives`] for a row that drives several states, [`Error::Length`] if the mask does
    /// not fit the layout, [`Error::Memory`] if p does not fit in memory.
    pub fn new(layout: &Layout, learns: &[bool], isa: Isa) -> Result<Self, Error> {
        let placement = Placement::dense(layout, learns, T::LANES)?;
        let (mut rows, mut runs): (Vec<Row>, Vec<Run>) = (Vec::new(), Vec::new());
        for run in placement.runs() {
            let drives = layout.drives_of(run.row);
            if drives.len() > 1 {
                return Err(Error::Drives { row: run.row, expected: 1, got: drives.len() });
            }
            // A row that drives nothing is not advanced: its p stays 0.
            let Some(drive) = drives.clone().next() else { continue };
            if rows.last().is_none_or(|last| last.number != run.row) {
                let state = layout.drives()[drive].state as usize;
                rows.push(Row { number: run.row, lane: run.lane, state, drive, end: 0 });
            }
            let short = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
            let mut column = run.column;
            for z in layout.seen(run.row, column..column + run.len) {
                runs.push(Run { column: short(column), len: short(z.len()), z: z.start });
                column += z.len();
            }
            if let Some(row) = rows.last_mut() {
                row.end = runs.len();
            }
        }
        let panels = placement.panels() as u128;
        let zeros = || vec![T::ZERO; layout.states()];
        let even = Even::of(layout, placement.weights());
        Ok(Self {
            p: Buffer::zeroed(panels)?,
            sums: Buffer::zeroed(panels)?,
            even,
            seen: even.map_or_else(Vec::new, Even::room),
            placement,
            isa,
            rows,
            runs,
            own: zeros(),
            error: zeros(),
            unread: false,
            clearing: Clearing::default(),
            summed: false,
            lost: false,
        })
    }

    /// Whether all rows are alike: each sees what all share of z and, in its last column, one value
    /// of its own, which follows that of the row before; all weights learn, and row i drives state
    /// i. Then the loops read no table of rows.
    #[doc(hidden)]
    pub fn has_even_rows(&self) -> bool {
        self.even.is_some()
    }

    /// Adds the gradient of the last error to the sums.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if it overflows: p and the sums are then lost.
    fn collect(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.unread) {
            return Ok(());
        }
        let Self { isa, rows, runs, p, sums, error, summed, .. } = self;
        let (p, sums, summed) = (p.values(), sums.values_mut(), std::mem::replace(summed, true));
        let finite = T::run::<CollectLoop>(*isa, Collect { rows, runs, p, sums, error, summed });
        if finite { Ok(()) } else { Err(self.lose(Quantity::Gradient)) }
    }

    /// Checks a step, and writes the diagonal of its Jacobian. Errors that have not been read are
    /// added to the sums.
    fn prepare(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        step.check(self.placement.layout(), error)?;
        if self.lost {
            return Err(Error::Lost);
        }
        self.collect()?;
        step.jacobian.write_diagonal(self.isa, &mut self.own);
        if any_forced(step.forced) {
            for (own, _) in self.own.iter_mut().zip(step.forced).filter(|&(_, &forced)| forced) {
                *own = T::ZERO;
            }
        }
        Ok(())
    }

    /// Moves p through a step. Where all rows are alike, writes the gradient of an error, too.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if one of them overflows: p is then lost.
    fn advance_rows(
        &mut self,
        step: &Step<'_, T>,
        reading: Option<(&[T], &mut [T])>,
    ) -> Result<(), Error> {
        // Nothing is unread here: `error` is room.
        let Self { isa, rows, runs, even, seen, p, own, error: minus, .. } = self;
        let (injection, z, weights) = (step.injection, step.z, self.placement.weights());
        let [p, gradient] = if let &mut Some(even) = even {
            let p = &mut p.values_mut()[..weights];
            let reading =
                reading.map(|(error, into)| Reading { error, minus, into: &mut into[..weights] });
            let work = AdvanceEven { even, p, own, injection, z, seen, reading };
            T::run::<AdvanceEvenLoop>(*isa, work)
        } else {
            let p = p.values_mut();
            [T::run::<AdvanceLoop>(*isa, Advance { rows, runs, p, own, injection, z }), true]
        };
        match (p, gradient) {
            (false, _) => Err(self.lose(Quantity::Sensitivities)),
            (true, false) => Err(self.lose(Quantity::Gradient)),
            (true, true) => Ok(()),
        }
    }

    /// Clears p of subnormal numbers.
    fn clear(&mut self) {
        T::run::<ClearLoop>(self.isa, Clear { values: self.p.values_mut() });
    }

    /// Marks p as lost, and says what has overflowed.
    fn lose(&mut self, quantity: Quantity) -> Error {
        self.forget();
        Error::NonFinite { quantity }
    }

    /// Marks p as lost, and with it the errors that have not been read.
    fn forget(&mut self) {
        (self.lost, self.unread, self.summed) = (true, false, false);
    }
}

impl<T: Real> Engine<T> for Diagonal<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        self.prepare(step, error)?;
        self.advance_rows(step, None)?;
        if let Some(error) = error {
            self.error.copy_from_slice(error);
            self.unread = true;
        }
        if self.clearing.count_step() {
            // The error counts with p as it was.
            self.collect()?;
            self.clear();
        }
        Ok(())
    }

    fn advance_into(
        &mut self,
        step: &Step<'_, T>,
        error: &[T],
        (into, stride): (&mut [T], usize),
    ) -> Result<bool, Error> {
        let layout = self.placement.layout();
        let fits = into.len() >= layout.weights() && stride == layout.widest();
        if self.even.is_none() || self.unread || self.summed || !fits {
            return self.advance(step, Some(error)).map(|()| false);
        }
        self.prepare(step, Some(error))?;
        self.advance_rows(step, Some((error, into)))?;
        if self.clearing.count_step() {
            self.clear();
        }
        Ok(true)
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        let layout = self.placement.layout();
        check_matrix("the gradient", layout.rows(), layout.widest(), stride, into.len())?;
        if self.lost {
            return Err(Error::Lost);
        }
        if self.unread && !self.summed && self.rows.len() == layout.rows() {
            self.unread = false;
            let Self { isa, rows, runs, even, p, error, .. } = self;
            let finite = if let &mut Some(Even { width, .. }) = even {
                let p = p.values();
                T::run::<ReadEvenLoop>(*isa, ReadEven { width, p, error, into, stride })
            } else {
                let p = p.values();
                T::run::<ReadLoop>(*isa, Read { rows, runs, p, error, into, stride })
            };
            if !finite {
                return Err(self.lose(Quantity::Gradient));
            }
            return Ok(());
        }
        self.collect()?;
        if !std::mem::take(&mut self.summed) {
            self.sums.values_mut().fill(T::ZERO);
        }
        self.placement.read_negative(self.isa, self.sums.values(), into, stride);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        let collected = self.collect();
        self.p.values_mut().fill(T::ZERO);
        self.clearing = Clearing::default();
        self.lost = false;
        collected
    }

    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        self.placement.check_row(self.lost, state, row.len())?;
        row.fill(T::ZERO);
        for run in self.placement.runs() {
            let layout = self.placement.layout();
            let drives = &layout.drives()[layout.drives_of(run.row)];
            if drives.iter().any(|drive| drive.state as usize == state) {
                row[run.lane..][..run.len].copy_from_slice(&self.p.values()[run.lane..][..run.len]);
            }
        }
        Ok(())
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        if self.lost {
            return Err(Error::Lost);
        }
        let shape = [1, self.placement.weights()];
        let (p, sums, error) = (self.p.values(), self.sums.values(), &self.error);
        to.tensor("sensitivities", shape, &mut |_, row| row.copy_from_slice(&p[..row.len()]))?;
        self.clearing.save(to)?;
        if self.summed {
            to.tensor("gradient", shape, &mut |_, row| row.copy_from_slice(&sums[..row.len()]))?;
        }
        if self.unread {
            to.tensor("error", [1, error.len()], &mut |_, row| row.copy_from_slice(error))?;
        }
        Ok(())
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.forget();
        let shape = [1, self.placement.weights()];
        let Self { p, sums, error, .. } = self;
        let (p, sums) = (p.values_mut(), sums.values_mut());
        from.read("sensitivities", shape, &mut |_, row| p[..row.len()].copy_from_slice(row))?;
        self.clearing = Clearing::load(from)?;
        let mut sum = |_, row: &[T]| sums[..row.len()].copy_from_slice(row);
        let summed = from.read_any("gradient", shape, &mut sum)?;
        let shape = [1, error.len()];
        let unread = from.read_any("error", shape, &mut |_, row| error.copy_from_slice(row))?;
        (self.summed, self.unread, self.lost) = (summed, unread, false);
        Ok(())
    }

    fn spec(&self) -> Spec {
        Spec::Diagonal
    }

    fn weights(&self) -> usize {
        self.placement.weights()
    }

    fn state_bytes(&self) -> usize {
        self.p.bytes() + self.sums.bytes()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Drive, Jacobian, Snapshot};

    /// A sum that overflows is reported when it is read, by a resumed engine as by this one.
    #[test]
    fn an_error_that_has_not_been_read_is_saved_as_it_is() {
        let layout = Layout::simple(1, 1).unwrap();
        let jacobian = Jacobian::sum([]).with_diagonal(Some(&[1.0]));
        let step = Step { jacobian, injection: &[1.0], z: &[1e200], forced: &[false] };
        for (first, second, overflows) in [(2.0, 3.0, false), (1e100, -1e200, true)] {
            let mut whole = Diagonal::<f64>::new(&layout, &[true], Isa::best()).unwrap();
            whole.advance(&step, Some(&[first])).unwrap();
            whole.advance(&step, Some(&[second])).unwrap();
            let mut saved = Snapshot::default();
            whole.save(&mut saved).unwrap();
            let mut resumed = Diagonal::<f64>::new(&layout, &[true], Isa::best()).unwrap();
            resumed.load(&mut saved.clone()).unwrap();
            let mut again = Snapshot::default();
            resumed.save(&mut again).unwrap();
            assert_eq!(saved, again);
            let [mut expected, mut got] = [[0.0]; 2];
            let read = whole.gradient(&mut expected, 1);
            assert_eq!((resumed.gradient(&mut got, 1), read.is_err()), (read, overflows));
            assert_eq!(got, expected);
        }
    }

    /// A step does not write the gradient of its error alone where others have not been read.
    #[test]
    fn errors_that_have_not_been_read_count_in_a_step_that_could_write_its_gradient() {
        let parts = vec![[0..1, 1..2], [0..1, 2..3]];
        let drives = (0..2).map(|k| Drive { row: k, state: k }).collect();
        let layout = Layout::divided(2, parts, drives).unwrap();
        let new = || Diagonal::<f64>::new(&layout, &[true; 4], Isa::best()).unwrap();
        assert!(new().has_even_rows());
        let jacobian = Jacobian::sum([]).with_diagonal(Some(&[0.5; 2]));
        let z = [1.0, 2.0, 3.0];
        let step = Step { jacobian, injection: &[1.0; 2], z: &z, forced: &[false; 2] };
        // p of a state is a multiple of what its row sees.
        let gradient = |factors: [f64; 2]| {
            let [a, b] = factors;
            [-a, -2.0 * a, -b, -3.0 * b]
        };
        for (steps_between, is_resumed) in [(0, false), (0, true), (1, false), (1, true)] {
            let (mut engine, mut got) = (new(), [7.0; 4]);
            engine.advance(&step, Some(&[1.0, 2.0])).unwrap();
            for _ in 0..steps_between {
                engine.advance(&step, None).unwrap();
            }
            if is_resumed {
                let mut saved = Snapshot::default();
                engine.save(&mut saved).unwrap();
                engine = new();
                engine.load(&mut saved).unwrap();
            }
            assert_eq!(engine.advance_into(&step, &[4.0, 8.0], (&mut got, 2)), Ok(false));
            engine.gradient(&mut got, 2).unwrap();
            let p = [1.5, 1.75][steps_between];
            assert_eq!(got, gradient([1.0 + 4.0 * p, 2.0 + 8.0 * p]));
            assert_eq!(engine.advance_into(&step, &[4.0, 8.0], (&mut got, 2)), Ok(true));
            let p = 1.0 + 0.5 * p;
            assert_eq!(got, gradient([4.0 * p, 8.0 * p]));
        }
    }

    #[test]
    fn a_row_that_drives_nothing_moves_no_other_row() {
        let layout = Layout::new(1, vec![0..3; 2], vec![Drive { row: 1, state: 0 }]).unwrap();
        let mut engine = Diagonal::<f64>::new(&layout, &[true; 6], Isa::best()).unwrap();
        let jacobian = Jacobian::sum([]).with_diagonal(Some(&[0.5]));
        let z = [1.0, 2.0, 3.0];
        let step = Step { jacobian, injection: &[2.0], z: &z, forced: &[false] };
        engine.advance(&step, Some(&[-1.0])).unwrap();
        let expected = [0.0, 0.0, 0.0, 2.0, 4.0, 6.0];
        let (mut p, mut gradient) = ([9.0; 6], [9.0; 6]);
        engine.sensitivities(0, &mut p).unwrap();
        engine.gradient(&mut gradient, 3).unwrap();
        assert_eq!((p, gradient), (expected, expected));
    }
}
