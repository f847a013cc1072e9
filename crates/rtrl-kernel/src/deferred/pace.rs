//! When the work of a flush is done: at once, or a share in every step.

use super::Deferred;
use super::flush::{self, Chain, ChainLoop, Flush, FlushLoop};
use crate::error::{Error, Quantity};
use crate::simd::Real;

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
        assert!(!self.is_flushing(), "a window is flushed when the next one is full");
        self.collect()?;
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
        let chain = self.chain.values_mut().chunks_exact_mut((records + 1) * slot_len);
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
        let piece = panels * (window.capacity() + 1) * n * T::LANES;
        let isa = self.isa;
        self.workers.each([(self.chain.values_mut(), piece)], |_, [panels]| {
            T::run::<ChainLoop>(isa, Chain { window, records: range.clone(), panels });
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
        let piece = scratch.values().len() / workers.count();
        let chain = chain.values();
        let p = &mut p.values_mut()[start * panel_len..end * panel_len];
        for piece in scratch.values_mut().chunks_exact_mut(piece) {
            piece[..T::LANES].fill(T::ZERO);
        }
        let buffers = [(p, panels * panel_len), (scratch.values_mut(), piece)];
        workers.each(buffers, |part, [p, scratch]| {
            let first = start + part * panels;
            let flush = Flush { columns, patterns, window, chain, first, p, scratch };
            T::run::<FlushLoop>(*isa, flush);
        });
        self.progress.flushed = end;
        let checks = scratch.values().chunks_exact(piece).map(|piece| &piece[..T::LANES]);
        if checks.flatten().all(|&check| check == T::ZERO) {
            return Ok(());
        }
        Err(self.lose(Quantity::Sensitivities))
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
        let Work { record, panel, share } = self.work();
        let (records, panels) = (self.window.capacity(), self.columns.panels());
        let goal = share * self.window.len() as u64;
        let chained = goal.div_ceil(record).min(records as u64);
        let rest = goal.saturating_sub(record * records as u64);
        let mut flushed = self.progress.flushed;
        while flushed < panels && flushed as u64 * panel < rest {
            let row = self.columns.panels_of_row(self.columns.row_of_panel(flushed));
            flushed += flush::group(row.end - flushed);
        }
        let chained = usize::try_from(chained).unwrap_or(records);
        Progress { chained, flushed }
    }

    /// What a flush costs, in units of a register's work.
    fn work(&self) -> Work {
        let (n, records) = (self.window.states() as u64, self.window.capacity() as u64);
        let record = n.div_ceil(T::LANES as u64) * n * n;
        let panel = n * (n + records);
        let all = record * records + panel * self.columns.panels() as u64;
        Work { record, panel, share: all.div_ceil(records) }
    }
}

/// What a flush costs, in units of a register's work.
struct Work {
    /// A record in the chain.
    record: u64,
    /// A panel of p.
    panel: u64,
    /// A step's share of all.
    share: u64,
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{Engine, Isa, Jacobian, Layout, Pace, Step, Threads};

    /// What a step does at an even pace is its share, rounded up to a record and a group of panels.
    #[test]
    fn no_step_does_much_more_than_its_share() {
        for (n, records) in [(5, 1), (17, 2), (20, 7), (33, 40)] {
            let layout = Layout::simple(n, n + 4).unwrap();
            let window = NonZeroUsize::new(records).unwrap();
            let learns = vec![true; n * (n + 4)];
            let (isa, threads) = (Isa::best(), Threads::SERIAL);
            let mut engine =
                Deferred::<f32>::new(&layout, &learns, window, Pace::Even, isa, threads).unwrap();
            let zeros = vec![0.0; n * n];
            let step = Step {
                jacobian: Jacobian::scaled(&zeros, n, &zeros[..n]),
                injection: &zeros[..n],
                z: &vec![0.0; n + 4],
                forced: &vec![false; n],
            };
            let Work { record, panel, share } = engine.work();
            for t in 0..3 * records {
                let before = if t % records == 0 { 0 } else { done(&engine) };
                engine.advance(&step, None).unwrap();
                if t < records {
                    continue;
                }
                let most = share + record + flush::GROUP as u64 * panel;
                let did = done(&engine) - before;
                assert!(did <= most, "n = {n}, h = {records}, step {t}: {did} of {most}");
            }
            assert!(!engine.is_flushing());
        }
    }

    fn done(engine: &Deferred<f32>) -> u64 {
        let Work { record, panel, .. } = engine.work();
        let Progress { chained, flushed } = engine.progress;
        chained as u64 * record + flushed as u64 * panel
    }
}
