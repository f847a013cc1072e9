//! The deferred engine: the sensitivities of equation 5 without computing them at every step.
//!
//! The engine holds p of an earlier time t0 and a *window* of records since then: the Jacobian, the
//! injections and z of each step. A gradient carries the error back through the window and then
//! reads p(t0) once. p moves to the end of the window only when the window is full (*flush*).
//! Nothing is approximated even though weights may change at every step, because each record holds
//! the weights of its own step. `docs/equations.md` has the derivation.
//!
//! Cost of a step, for n units, q columns and windows of h steps: for the gradient, `2 n q` to read
//! p and `h (n² + q)` on average to go back through the window; for the flush,
//! `2 n³ + 2 n q + 2 n² q / h`: O(n³) with h ~ n. Steps without an error cost only their part of
//! the flush. Memory: n q numbers for p, h n² for the window, (h + 1) n² for the flush, and h
//! numbers for each z in each pattern of lanes: h c where every weight learns, up to h q with a
//! mask.
//!
//! The block idea is Schmidhuber's (Neural Computation 4(2), 1992).
//!
//! | file | subject |
//! |---|---|
//! | `window.rs`, `stored.rs` | records, and the Jacobian of a record |
//! | `chains.rs` | sums in several chains |
//! | `backward.rs` | the backward pass through a window |
//! | `factors.rs` | what the adjoints mean for each weight row |
//! | `sweep.rs` | the gradient: one read of p |
//! | `flush.rs` | moving p to the end of a window |
//! | `pace.rs` | when the work of a flush is done |

mod backward;
mod chains;
mod factors;
mod flush;
mod pace;
mod stored;
mod sweep;
mod window;

use std::sync::atomic::{AtomicBool, Ordering};

use self::backward::Adjoints;
use self::pace::{Flushing, Site};
use self::sweep::{Sweep, SweepLoop};
use self::window::{Patterns, Window};
use crate::cost::DeferredCost;
use crate::engine::Engine;
use crate::error::{Error, Quantity, check_matrix};
use crate::layout::Layout;
use crate::panels::Placement;
use crate::simd::{Buffer, Isa, Real};
use crate::spec::{Pace, Spec};
use crate::step::Step;
use crate::store::{Sink, Source};
use crate::threads::{Threads, Workers};

/// The exact engine that computes p only when a window of steps is full.
///
/// For a given window and pace the results have the same bits on every instruction set and with any
/// number of threads; they differ from those of [`Eager`](crate::Eager) by rounding. Numbers of p
/// that a flush leaves subnormal become 0, and so do negligible adjoints and products of Jacobians
/// (`docs/equations.md`, "Order of summation").
///
/// An overflow of p is detected when the window is flushed or a gradient is read; errors that have
/// not been read are then lost with it.
#[derive(Debug, Clone)]
pub struct Deferred<T> {
    placement: Placement,
    patterns: Patterns,
    isa: Isa,
    workers: Workers,
    /// p at the start of the window, or of the one before for the panels that are not flushed yet.
    p: Buffer<T>,
    /// The gradient of each column, with the sign of `sum e p`, of errors no longer in the window.
    sums: Buffer<T>,
    window: Window<T>,
    /// The window before, which is flushed little by little.
    previous: Option<Window<T>>,
    flushing: Flushing<T>,
    adjoints: Adjoints<T>,
    /// Whether an error in the window has not been read.
    unread: bool,
    /// The direction of the next sweep.
    descending: bool,
    lost: bool,
}

impl<T: Real> Deferred<T> {
    /// An engine with p = 0 for the weights that `learns` marks, row by row, which is
    /// flushed after every `window` steps.
    ///
    /// # Errors
    /// [`Error::Zero`] for a window of no steps, [`Error::Length`] if the mask does not fit the
    /// layout, [`Error::Memory`] if p or the window does not fit in memory, [`Error::Threads`] if
    /// the threads cannot be had.
    pub fn new(
        layout: &Layout,
        learns: &[bool],
        window: usize,
        pace: Pace,
        isa: Isa,
        threads: Threads,
    ) -> Result<Self, Error> {
        let weights = learns.iter().filter(|&&learns| learns).count();
        let cost = DeferredCost::new(layout.states(), weights, window);
        let workers = Workers::new(threads, cost.total())?;
        Self::with_workers(layout, learns, (window, pace), isa, workers)
    }

    /// [`Deferred::new`] on these threads.
    pub(crate) fn with_workers(
        layout: &Layout,
        learns: &[bool],
        (window, pace): (usize, Pace),
        isa: Isa,
        workers: Workers,
    ) -> Result<Self, Error> {
        if window == 0 {
            return Err(Error::Zero { what: "steps in a window" });
        }
        let placement = Placement::by_row(layout, learns, T::LANES)?;
        let patterns = Patterns::new(&placement);
        let (n, records) = (placement.layout().states(), window);
        let window = Window::new(&placement, &patterns, records)?;
        let previous = match pace {
            Pace::Bursts => None,
            Pace::Even => Some(Window::new(&placement, &patterns, records)?),
        };
        Ok(Self {
            p: Buffer::zeroed(placement.panels() as u128 * n as u128)?,
            sums: Buffer::zeroed(placement.panels() as u128)?,
            flushing: Flushing::new(&placement, records, &workers)?,
            adjoints: Adjoints::new(placement.layout(), &window, previous.is_some())?,
            placement,
            patterns,
            isa,
            workers,
            window,
            previous,
            unread: false,
            descending: false,
            lost: false,
        })
    }

    /// Marks p as lost, and says what has overflowed.
    fn lose(&mut self, quantity: Quantity) -> Error {
        self.forget();
        Error::NonFinite { quantity }
    }

    /// Marks p as lost, and with it the errors that have not been read.
    fn forget(&mut self) {
        self.lost = true;
        self.unread = false;
        self.sums.values_mut().fill(T::ZERO);
    }

    /// Loads p and the sums that have not been read.
    fn load_sums(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        let Self { placement, p, sums, window, .. } = self;
        let (states, count) = (window.states(), placement.weights());
        from.read("sensitivities", [states, count], &mut |state, row| {
            let rows = p.values_mut().chunks_exact_mut(T::LANES);
            placement.spread(row, rows.skip(state).step_by(states));
        })?;
        let sums = &mut |_, row: &[T]| {
            placement.spread(row, sums.values_mut().chunks_exact_mut(T::LANES));
        };
        from.read_any("gradient", [1, count], sums).map(drop)
    }

    /// Loads the previous window, if it was still being flushed, and brings its flush to where it
    /// was.
    fn load_previous(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.flushing.stop(&self.placement);
        let stored = window::stored_records::<T>("previous", from);
        let Self { placement, patterns, isa, workers, flushing, window, .. } = self;
        let Some(previous) = &mut self.previous else {
            return stored.map_or(Ok(()), |got| window.check_records("previous", 0, got));
        };
        previous.clear();
        let Some(got) = stored else { return Ok(()) };
        previous.check_records("previous", previous.capacity(), got)?;
        previous.load("previous", got, placement, patterns, from)?;
        let site = Site { placement, patterns, isa: *isa, workers };
        flushing.start(previous);
        flushing.catch_up(site, previous, window.len());
        Ok(())
    }

    /// Adds the gradient of the errors that have not been read to the sums.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if it overflows: p and the sums are then lost.
    fn collect(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.unread) {
            return Ok(());
        }
        let Self { placement, patterns, isa, workers, window, flushing, descending, .. } = self;
        let older = self.previous.as_ref().filter(|_| flushing.is_under_way(placement));
        self.adjoints.go_back(*isa, placement.layout(), window, older, None);
        let newer = self.adjoints.newer.view(window);
        let older = older.map(|older| self.adjoints.older.view(older));
        let panels = placement.panels().div_ceil(workers.count()).max(1);
        let panel_len = window.states() * T::LANES;
        let buffers = [
            (self.p.values_mut(), panels * panel_len),
            (self.sums.values_mut(), panels * T::LANES),
        ];
        let finite = AtomicBool::new(true);
        workers.each(buffers, |share, [p, sums]| {
            let (first, flushed, descending) = (share * panels, flushing.flushed, *descending);
            let p = &*p;
            let sweep =
                Sweep { placement, patterns, newer, older, flushed, first, p, sums, descending };
            if !T::run::<SweepLoop>(*isa, sweep) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        self.window.clear_errors();
        self.descending = !self.descending;
        if finite.into_inner() { Ok(()) } else { Err(self.lose(Quantity::Gradient)) }
    }
}

impl<T: Real> Engine<T> for Deferred<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        step.check(self.placement.layout(), error)?;
        if self.lost {
            return Err(Error::Lost);
        }
        if self.placement.weights() == 0 {
            return Ok(());
        }
        if self.window.is_full() {
            self.make_room()?;
        }
        if !self.window.push(self.isa, step, error, &self.patterns) {
            return Err(self.lose(Quantity::Sensitivities));
        }
        self.unread |= error.is_some();
        self.flush_share()
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        let layout = self.placement.layout();
        check_matrix("the gradient", layout.rows(), layout.widest(), stride, into.len())?;
        if self.lost {
            return Err(Error::Lost);
        }
        self.collect()?;
        self.placement.read_negative(self.isa, self.sums.values(), into, stride);
        self.sums.values_mut().fill(T::ZERO);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        let collected = self.collect();
        self.window.clear();
        if let Some(previous) = &mut self.previous {
            previous.clear();
        }
        self.flushing.stop(&self.placement);
        self.p.values_mut().fill(T::ZERO);
        self.lost = false;
        collected
    }

    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        self.placement.check_row(self.lost, state, row.len())?;
        let mut adjoints = self.adjoints.clone();
        let mut sums = Buffer::zeroed(self.placement.panels() as u128)?;
        let mut above = vec![T::ZERO; self.window.stride()];
        above[state] = T::ONE;
        let older = self.previous.as_ref().filter(|_| self.is_flushing());
        adjoints.go_back(self.isa, self.placement.layout(), &self.window, older, Some(&above));
        let sweep = Sweep {
            placement: &self.placement,
            patterns: &self.patterns,
            newer: adjoints.newer.view(&self.window),
            older: older.map(|older| adjoints.older.view(older)),
            flushed: self.flushing.flushed,
            first: 0,
            p: self.p.values(),
            sums: sums.values_mut(),
            descending: false,
        };
        if !T::run::<SweepLoop>(self.isa, sweep) {
            return Err(Error::NonFinite { quantity: Quantity::Sensitivities });
        }
        self.placement.gather(sums.values().chunks_exact(T::LANES), row);
        Ok(())
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        if self.lost {
            return Err(Error::Lost);
        }
        let Self { placement, patterns, window, .. } = self;
        let (states, count) = (window.states(), placement.weights());
        to.tensor("sensitivities", [states, count], &mut |state, row| {
            let rows = self.p.values().chunks_exact(T::LANES);
            placement.gather(rows.skip(state).step_by(states), row);
        })?;
        if self.sums.values().iter().any(|&sum| sum != T::ZERO) {
            to.tensor("gradient", [1, count], &mut |_, row| {
                placement.gather(self.sums.values().chunks_exact(T::LANES), row);
            })?;
        }
        window.save("window", placement, patterns, to)?;
        match &self.previous {
            Some(previous) if self.is_flushing() => {
                previous.save("previous", placement, patterns, to)
            }
            _ => Ok(()),
        }
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.forget();
        // Padding is not loaded; after an overflow it is not zero.
        self.p.values_mut().fill(T::ZERO);
        self.load_sums(from)?;
        let records = window::stored_records::<T>("window", from).unwrap_or(0);
        self.window.check_records("window", records.min(self.window.capacity()), records)?;
        self.window.load("window", records, &self.placement, &self.patterns, from)?;
        self.load_previous(from)?;
        self.unread = self.window.has_errors();
        self.lost = false;
        Ok(())
    }

    fn spec(&self) -> Spec {
        let pace = if self.previous.is_some() { Pace::Even } else { Pace::Bursts };
        Spec::Deferred { window: self.window.capacity(), pace }
    }

    fn weights(&self) -> usize {
        self.placement.weights()
    }

    fn state_bytes(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, Window::bytes);
        let buffers = [&self.p, &self.sums];
        let buffers: usize = buffers.into_iter().map(Buffer::bytes).sum();
        let backs = self.adjoints.newer.bytes() + self.adjoints.older.bytes();
        buffers + self.flushing.bytes() + self.window.bytes() + previous + backs
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}

/// How p moves from window to window.
impl<T: Real> Deferred<T> {
    fn is_flushing(&self) -> bool {
        self.flushing.is_under_way(&self.placement)
    }

    /// Makes room in the window: flushes it, or lets it become the previous one.
    fn make_room(&mut self) -> Result<(), Error> {
        assert!(!self.is_flushing(), "a window is flushed when the next one is full");
        self.collect()?;
        let Self { placement, patterns, isa, workers, p, flushing, window, .. } = self;
        flushing.start(window);
        if let Some(previous) = &mut self.previous {
            std::mem::swap(previous, window);
            window.clear();
            return Ok(());
        }
        let site = Site { placement, patterns, isa: *isa, workers };
        let finite = flushing.finish(site, window, p.values_mut());
        window.clear();
        if finite { Ok(()) } else { Err(self.lose(Quantity::Sensitivities)) }
    }

    /// Does this step's share of the flush of the previous window.
    fn flush_share(&mut self) -> Result<(), Error> {
        let Self { placement, patterns, isa, workers, p, flushing, window, .. } = self;
        let Some(previous) = self.previous.as_ref().filter(|_| flushing.is_under_way(placement))
        else {
            return Ok(());
        };
        let site = Site { placement, patterns, isa: *isa, workers };
        let finite = flushing.do_share(site, previous, p.values_mut(), window.len());
        if finite { Ok(()) } else { Err(self.lose(Quantity::Sensitivities)) }
    }
}
