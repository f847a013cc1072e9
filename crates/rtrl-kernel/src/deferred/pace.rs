//! When the work of a flush is done: at once, or a share in every step.

use super::Deferred;
use super::flush::{self, Chain, Flush};
use crate::{Error, Real};

/// How far the flush of a window has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// Records that the chain has taken in.
    pub(super) chained: usize,
    /// Panels of p that stand at the end of the window.
    pub(super) flushed: usize,
}

impl<T: Real> Deferred<T> {
    /// Makes room in the window: flushes it, or lets it become the previous one.
    pub(super) fn make_room(&mut self) -> Result<(), Error> {
        self.collect();
        self.start_chain();
        if let Some(previous) = &mut self.previous {
            std::mem::swap(previous, &mut self.window);
            self.window.clear();
            return Ok(());
        }
        let records = self.window.len();
        self.extend_chain(records);
        let result = self.flush_panels(self.columns.panels());
        self.window.clear();
        result
    }

    /// The identity, from which the chain starts.
    pub(super) fn start_chain(&mut self) {
        let (n, records) = (self.window.states(), self.window.capacity());
        let slot_len = n * T::LANES;
        let chain = self.chain.values_mut::<T>().chunks_exact_mut((records + 1) * slot_len);
        for (panel, chain) in chain.enumerate() {
            let identity = &mut chain[records * slot_len..];
            identity.fill(T::ZERO);
            for lane in 0..T::LANES.min(n - panel * T::LANES) {
                identity[(panel * T::LANES + lane) * T::LANES + lane] = T::ONE;
            }
        }
        self.progress = Progress { chained: 0, flushed: 0 };
    }

    /// Takes the next `records` records into the chain.
    fn extend_chain(&mut self, records: usize) {
        let window = self.previous.as_ref().unwrap_or(&self.window);
        let n = window.states();
        let rest = window.len() - self.progress.chained;
        let range = rest - records..rest;
        let panels = n.div_ceil(T::LANES).div_ceil(self.workers.count());
        let piece = panels * (window.len() + 1) * n * T::LANES;
        let isa = self.isa;
        self.workers.each([(self.chain.values_mut(), piece)], |_, [panels]| {
            isa.run(Chain { window, records: range.clone(), panels });
        });
        self.progress.chained += records;
    }

    /// Moves the panels that come next, up to panel `end`, to the end of the window.
    fn flush_panels(&mut self, end: usize) -> Result<(), Error> {
        let Self { columns, patterns, isa, workers, p, chain, scratch, .. } = self;
        let window = self.previous.as_ref().unwrap_or(&self.window);
        let panel_len = window.states() * T::LANES;
        let start = self.progress.flushed;
        let panels = (end - start).div_ceil(workers.count());
        let piece = scratch.values::<T>().len() / workers.count();
        let chain = chain.values();
        let p = &mut p.values_mut()[start * panel_len..end * panel_len];
        for piece in scratch.values_mut::<T>().chunks_exact_mut(piece) {
            piece[..T::LANES].fill(T::ZERO);
        }
        let buffers = [(p, panels * panel_len), (scratch.values_mut(), piece)];
        workers.each(buffers, |part, [p, scratch]| {
            let first = start + part * panels;
            isa.run(Flush { columns, patterns, window, chain, first, p, scratch });
        });
        self.progress.flushed = end;
        let checks = scratch.values::<T>().chunks_exact(piece).map(|piece| &piece[..T::LANES]);
        if checks.flatten().all(|&check| check == T::ZERO) {
            return Ok(());
        }
        Err(self.lose("sensitivities"))
    }

    /// Does this step's share of the flush of the previous window.
    pub(super) fn flush_share(&mut self) -> Result<(), Error> {
        if !self.is_flushing() {
            return Ok(());
        }
        let goal = self.goal();
        if goal.chained > self.progress.chained {
            self.extend_chain(goal.chained - self.progress.chained);
        }
        if goal.flushed > self.progress.flushed { self.flush_panels(goal.flushed) } else { Ok(()) }
    }

    /// Brings the chain to where it was when this state, with p, was stored.
    pub(super) fn catch_up(&mut self) {
        if self.is_flushing() {
            let goal = self.goal();
            self.extend_chain(goal.chained);
            self.progress.flushed = goal.flushed;
        }
    }

    /// How far the flush of the previous window has to be, as a function of the shape and the number of
    /// records in the window: after as many steps as the window holds all is done.
    fn goal(&self) -> Progress {
        let (n, records) = (self.window.states(), self.window.capacity());
        let panels = self.columns.panels();
        // In units of a register's work: what a record costs the chain, and what a panel costs.
        let record = n.div_ceil(T::LANES) * n * n;
        let panel = n * (n + records);
        let goal = (record * records + panel * panels).div_ceil(records) * self.window.len();
        let chained = goal.div_ceil(record).min(records);
        let rest = goal.saturating_sub(record * records);
        let mut flushed = self.progress.flushed;
        while flushed < panels && flushed * panel < rest {
            let row = self.columns.panels_of_row(self.columns.row_of_panel(flushed));
            flushed += flush::group(row.end - flushed);
        }
        Progress { chained, flushed }
    }
}
