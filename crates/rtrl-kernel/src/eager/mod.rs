//! The eager engine: equation 5 at every step, as in the paper.
//!
//! Cost of a step: 2 n² q floating-point operations for q learning weights and n units, that is
//! O(n⁴); memory: n q numbers, updated in place, and for each thread a spare group of panels and a
//! scratch. Source: Williams & Zipser, Neural Computation 1(2), 1989.
//!
//! | file | subject |
//! |---|---|
//! | `share.rs` | how the panels are divided among the threads |
//! | `pack.rs`, `lists.rs` | the Jacobian of a step in strips, and lists of columns where others are 0 |
//! | `group.rs`, `tile.rs` | a group of panels through a step, and the inner loops |
//! | `small.rs`, `tiny.rs` | all of it for layers of up to 16 units, and of up to 8 |
//! | `immediate.rs` | the immediate influence |
//! | `rows.rs` | rows of p, read and replaced |
//! | `ahead.rs` | prefetching the next panels |

mod ahead;
mod group;
mod immediate;
mod lists;
mod pack;
mod rows;
mod share;
mod small;
mod tile;
mod tiny;

use std::sync::atomic::{AtomicBool, Ordering};

use pulp::Simd;

use self::immediate::Immediate;
use self::pack::Packing;
use self::rows::SKIPPED;
use self::share::{GROUP, Packed, Share, Shares};
use self::tiny::{Tiny, TinyLoop};
use crate::clearing::Clearing;
use crate::cost;
use crate::engine::Engine;
use crate::error::{Error, Quantity, check_matrix};
use crate::jacobian::Jacobian;
use crate::layout::Layout;
use crate::panels::{Placement, read_negative_rows};
use crate::simd::{Buffer, Clear, ClearLoop, Isa, Real, Work, compiled};
use crate::spec::Spec;
use crate::step::Step;
use crate::store::{Sink, Source};
use crate::threads::{Threads, Workers};

/// Which loops take a layer through a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Those of `tiny.rs`.
    Tiny,
    /// Those of `small.rs`.
    Small,
    /// Those of `tile.rs`, of a Jacobian that has been packed.
    Packed,
}

impl Path {
    fn of<T: Real>(layout: &Layout, learns: &[bool]) -> Self {
        if tiny::fits::<T>(layout, learns) {
            Self::Tiny
        } else if small::fits(layout) {
            Self::Small
        } else {
            Self::Packed
        }
    }
}

/// The exact engine that computes p(t) at every step.
///
/// The order of summation is fixed: for each element, the coefficient `J[k][l]` as [`Step`] rounds
/// it, then one fused multiply-add for each unforced unit l, ascending, from +0, and last the
/// immediate influence, fused. The gradient is one fused chain over k ascending. So the results
/// have the same bits on every instruction set and with any number of threads.
///
/// After every 64 steps, counted from the last time that p was 0, subnormal numbers in p become 0.
#[derive(Debug, Clone)]
pub struct Eager<T> {
    placement: Placement,
    immediate: Immediate<T>,
    isa: Isa,
    path: Path,
    shares: Shares,
    workers: Workers,
    /// p, panel by panel.
    p: Buffer<T>,
    /// The gradient of each column, panel by panel, with the sign of `sum e p`, if there were
    /// errors since it was last read; else anything. One more row of lanes follows, which is 0: a
    /// row of weights is read in whole registers.
    sums: Buffer<T>,
    /// Old rows that are read, of one group of panels, for each thread.
    scratch: Buffer<T>,
    /// Rows of p that have not been computed: they are 0 and not read. Where the layer is small,
    /// all are read.
    skipped: Vec<bool>,
    clearing: Clearing,
    /// Whether the sums hold errors that have not been read.
    unread: bool,
    lost: bool,
    packing: Packing<T>,
}

impl<T: Real> Eager<T> {
    /// An engine with p = 0 for the weights that `learns` marks, row by row.
    ///
    /// # Errors
    /// [`Error::Length`] if the mask does not fit the layout, [`Error::Memory`] if p or the
    /// Jacobian does not fit in memory, [`Error::Threads`] if the threads cannot be had.
    pub fn new(
        layout: &Layout,
        learns: &[bool],
        isa: Isa,
        threads: Threads,
    ) -> Result<Self, Error> {
        let (n, weights) = (layout.states(), learns.iter().filter(|&&learns| learns).count());
        let workers = Workers::new(threads, cost::eager(n.saturating_mul(n), weights))?;
        Self::with_workers(layout, learns, isa, workers)
    }

    /// [`Eager::new`] on these threads.
    pub(crate) fn with_workers(
        layout: &Layout,
        learns: &[bool],
        isa: Isa,
        workers: Workers,
    ) -> Result<Self, Error> {
        Self::on_path(Path::of::<T>(layout, learns), (layout, learns), isa, workers)
    }

    /// An engine whose layer takes this path.
    fn on_path(
        path: Path,
        (layout, learns): (&Layout, &[bool]),
        isa: Isa,
        workers: Workers,
    ) -> Result<Self, Error> {
        let (placement, workers) = match path {
            Path::Tiny => {
                (Placement::by_row(layout, learns, T::LANES)?, Workers::new(Threads::SERIAL, 0)?)
            }
            _ => (Placement::dense(layout, learns, T::LANES)?, workers),
        };
        let n = placement.layout().states();
        let small = path != Path::Packed;
        let shares = Shares::new(placement.panels(), workers.count(), small);
        let p = Buffer::zeroed(shares.rooms() as u128 * n as u128)?;
        let sums = Buffer::zeroed((shares.count * shares.panels + 1) as u128)?;
        // A share of no length could not be handed out.
        let room = if small { 1 } else { GROUP * n };
        let scratch = Buffer::zeroed((workers.count() * room) as u128)?;
        let packing = Packing::new(n, isa)?;
        let (immediate, skipped) = (Immediate::new(&placement), vec![true; n]);
        let (unread, lost) = (false, false);
        Ok(Self {
            placement,
            immediate,
            isa,
            path,
            shares,
            workers,
            p,
            sums,
            scratch,
            skipped,
            clearing: Clearing::default(),
            unread,
            lost,
            packing,
        })
    }

    /// Advances every panel, each thread its own share of them. Returns whether the gradient is
    /// finite; as every sensitivity enters it, with the factor zero where there is no error, it
    /// shows any overflow.
    fn advance_panels(&mut self, step: &Step<'_, T>, target_error: Option<&[T]>) -> bool {
        let Self { placement, immediate, isa, workers, p, sums, scratch, packing, .. } = self;
        immediate.fill(step.z);
        let n = placement.layout().states();
        let packed = Packed {
            placement,
            immediate,
            small: self.path == Path::Small,
            spare_first: self.shares.spare_first,
            step,
            target_error,
            packing,
            accumulate: self.unread,
        };
        let Shares { panels, spare, .. } = self.shares;
        let scratch_share = scratch.values().len() / workers.count();
        let (sums, _) = sums.values_mut().split_at_mut(self.shares.count * panels * T::LANES);
        let buffers = [
            (p.values_mut(), (panels + spare) * n * T::LANES),
            (sums, panels * T::LANES),
            (scratch.values_mut(), scratch_share),
        ];
        let finite = AtomicBool::new(true);
        workers.each(buffers, |share, [p, sums, scratch]| {
            let first = share * panels;
            if !T::run::<ShareLoop>(*isa, Share { packed: &packed, first, p, sums, scratch }) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        self.shares.spare_first = !self.shares.spare_first;
        finite.into_inner()
    }

    /// [`Eager::advance_panels`] of a tiny layer.
    #[inline]
    fn advance_tiny(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> bool {
        let layout = self.placement.layout();
        let z = &step.z[layout.place(0, 0)..][..layout.widest()];
        let (p, sums, accumulate) = (self.p.values_mut(), self.sums.values_mut(), self.unread);
        T::run::<TinyLoop>(self.isa, Tiny { step, z, error, accumulate, p, sums })
    }

    /// Replaces the subnormal numbers in p by 0.
    #[cold]
    fn clear_subnormals(&mut self) {
        let Self { placement, isa, workers, p, shares, .. } = self;
        let share = (shares.panels + shares.spare) * placement.layout().states() * T::LANES;
        workers.each([(p.values_mut(), share)], |_, [values]| {
            T::run::<ClearLoop>(*isa, Clear { values });
        });
    }

    /// [`Engine::advance`] of a small layer whose Jacobian is a sum of blocks: it is formed first,
    /// since the loops of small layers know one block.
    #[cold]
    fn advance_formed(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        let n = self.placement.layout().states();
        let (mut formed, ones) = (vec![T::ZERO; n * n], vec![T::ONE; n]);
        step.jacobian.write(formed.chunks_exact_mut(n), |_| ());
        self.advance(&Step { jacobian: Jacobian::scaled(&formed, n, &ones), ..*step }, error)
    }

    /// Marks p as lost, and says what has overflowed.
    fn lose(&mut self) -> Error {
        self.forget();
        let p_is_finite = self.p.values().iter().all(|value| value.is_finite());
        let quantity = if p_is_finite { Quantity::Gradient } else { Quantity::Sensitivities };
        Error::NonFinite { quantity }
    }

    /// Marks p as lost, and with it the errors that have not been read.
    fn forget(&mut self) {
        self.lost = true;
        self.unread = false;
        self.sums.values_mut().fill(T::ZERO);
    }
}

compiled!(ShareLoop: Share -> bool);

impl<T: Real> Work for Share<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        if self.packed.small { small::advance(simd, self) } else { self.advance(simd) }
    }
}

impl<T: Real> Engine<T> for Eager<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        step.check(self.placement.layout(), error)?;
        if self.lost {
            return Err(Error::Lost);
        }
        if self.placement.weights() == 0 {
            return Ok(());
        }
        if self.path == Path::Packed {
            let drives = self.placement.layout().drives();
            self.packing.pack(self.isa, drives, step, error, &mut self.skipped);
        } else if !step.jacobian.is_single() {
            return self.advance_formed(step, error);
        }
        let finite = match self.path {
            Path::Tiny => self.advance_tiny(step, error),
            Path::Small | Path::Packed => self.advance_panels(step, error),
        };
        self.unread |= error.is_some();
        if !finite {
            return Err(self.lose());
        }
        if self.clearing.count_step() {
            self.clear_subnormals();
        }
        Ok(())
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        let layout = self.placement.layout();
        check_matrix("the gradient", layout.rows(), layout.widest(), stride, into.len())?;
        if self.lost {
            return Err(Error::Lost);
        }
        if !std::mem::take(&mut self.unread) {
            self.sums.values_mut().fill(T::ZERO);
        }
        let (sums, rows) = (self.sums.values(), layout.rows());
        if self.path == Path::Tiny && stride == T::LANES {
            let len = into.len().min(rows * stride);
            read_negative_rows(self.isa, sums, &mut into[..len]);
        } else {
            self.placement.read_negative(self.isa, sums, into, stride);
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.p.values_mut().fill(T::ZERO);
        self.skipped.fill(true);
        self.clearing = Clearing::default();
        self.lost = false;
        Ok(())
    }

    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        self.placement.check_row(self.lost, state, row.len())?;
        self.read_row(state, row);
        Ok(())
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        if self.lost {
            return Err(Error::Lost);
        }
        let shape = [self.placement.layout().states(), self.placement.weights()];
        to.tensor("sensitivities", shape, &mut |state, row| self.read_row(state, row))?;
        self.clearing.save(to)?;
        if self.path == Path::Packed {
            to.tensor(SKIPPED, [1, shape[0]], &mut |_, row| {
                for (place, &skipped) in row.iter_mut().zip(&self.skipped) {
                    *place = if skipped { T::ONE } else { T::ZERO };
                }
            })?;
        }
        if !self.unread {
            return Ok(());
        }
        to.tensor("gradient", [1, self.placement.weights()], &mut |_, row| {
            self.placement.gather(self.sums.values().chunks_exact(T::LANES), row);
        })
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.forget();
        // Padding is not loaded; after an overflow it is not zero.
        self.p.values_mut().fill(T::ZERO);
        let shape = [self.placement.layout().states(), self.placement.weights()];
        from.read("sensitivities", shape, &mut |state, row| self.write_row(state, row))?;
        self.clearing = Clearing::load(from)?;
        if self.path == Path::Packed {
            self.load_skipped(from)?;
        }
        let Self { placement, sums, .. } = self;
        let unread = from.read_any("gradient", [1, placement.weights()], &mut |_, row| {
            placement.spread(row, sums.values_mut().chunks_exact_mut(T::LANES));
        })?;
        (self.unread, self.lost) = (unread, false);
        Ok(())
    }

    fn spec(&self) -> Spec {
        Spec::Eager
    }

    fn weights(&self) -> usize {
        self.placement.weights()
    }

    fn state_bytes(&self) -> usize {
        self.p.bytes() + self.sums.bytes() + self.scratch.bytes()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}
