//! When the work of a flush is done: at once, or spread over the steps.

use super::flush::{self, Chain, ChainLoop, Flush, FlushLoop};
use super::window::{Patterns, Window};
use crate::error::Error;
use crate::panels::Placement;
use crate::simd::{Buffer, Isa, Real};
use crate::threads::Workers;

/// What stays the same for all windows of an engine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) placement: &'a Placement,
    pub(super) patterns: &'a Patterns,
    pub(super) isa: Isa,
    pub(super) workers: &'a Workers,
}

/// A flush and its progress.
#[derive(Debug, Clone)]
pub(super) struct Flushing<T> {
    /// The products of Jacobians, as `flush.rs` draws them.
    chain: Buffer<T>,
    /// For each thread, what a flush needs: see [`flush::scratch_rows`].
    scratch: Buffer<T>,
    /// Records that the chain has taken in.
    chained: usize,
    /// Panels of p that stand at the end of the window.
    pub(super) flushed: usize,
}

impl<T: Real> Flushing<T> {
    /// Nothing to flush, with room for windows of `records` records.
    pub(super) fn new(
        placement: &Placement,
        records: usize,
        workers: &Workers,
    ) -> Result<Self, Error> {
        let n = placement.layout().states();
        let chain_rows = n.div_ceil(T::LANES) as u128 * (records as u128 + 1) * n as u128;
        let scratch_rows = flush::scratch_rows(n, T::LANES, records);
        Ok(Self {
            chain: Buffer::zeroed(chain_rows)?,
            scratch: Buffer::zeroed(workers.count() as u128 * scratch_rows)?,
            chained: records,
            flushed: placement.panels(),
        })
    }

    /// Whether panels of p are left to be flushed.
    pub(super) fn is_under_way(&self, placement: &Placement) -> bool {
        self.flushed < placement.panels()
    }

    /// Forgets what is left to be flushed.
    pub(super) fn stop(&mut self, placement: &Placement) {
        self.flushed = placement.panels();
    }

    /// Starts to flush `window`: the chain is the identity.
    pub(super) fn start(&mut self, window: &Window<T>) {
        let (n, records) = (window.states(), window.capacity());
        let stage_len = n * T::LANES;
        let chain = self.chain.values_mut().chunks_exact_mut((records + 1) * stage_len);
        for (panel, chain) in chain.enumerate() {
            let identity = &mut chain[records * stage_len..];
            identity.fill(T::ZERO);
            for lane in 0..T::LANES.min(n - panel * T::LANES) {
                identity[(panel * T::LANES + lane) * T::LANES + lane] = T::ONE;
            }
        }
        (self.chained, self.flushed) = (0, 0);
    }

    /// Does all that is left. Returns whether p is finite.
    pub(super) fn finish(&mut self, site: Site<'_>, window: &Window<T>, p: &mut [T]) -> bool {
        self.extend_chain(site, window, window.len());
        self.flush_panels(site, window, p, site.placement.panels())
    }

    /// Does the share of a step, after which the next window has `steps` records. Returns whether p
    /// is finite.
    pub(super) fn do_share(
        &mut self,
        site: Site<'_>,
        window: &Window<T>,
        p: &mut [T],
        steps: usize,
    ) -> bool {
        let (chained, flushed) = self.goal(site.placement, window, steps);
        self.extend_chain(site, window, chained);
        self.flush_panels(site, window, p, flushed)
    }

    /// Brings the chain to where it was when p was stored with `steps` records in the next window.
    pub(super) fn catch_up(&mut self, site: Site<'_>, window: &Window<T>, steps: usize) {
        let (chained, flushed) = self.goal(site.placement, window, steps);
        self.extend_chain(site, window, chained);
        self.flushed = flushed;
    }

    /// Takes records into the chain until there are `goal`.
    fn extend_chain(&mut self, site: Site<'_>, window: &Window<T>, goal: usize) {
        if goal <= self.chained {
            return;
        }
        let n = window.states();
        let records = window.len() - goal..window.len() - self.chained;
        let panels = n.div_ceil(T::LANES).div_ceil(site.workers.count());
        let share = panels * (window.capacity() + 1) * n * T::LANES;
        site.workers.each([(self.chain.values_mut(), share)], |_, [panels]| {
            T::run::<ChainLoop>(site.isa, Chain { window, records: records.clone(), panels });
        });
        self.chained = goal;
    }

    /// Moves the panels up to panel `goal` to the end of the window. Returns whether they are
    /// finite.
    fn flush_panels(
        &mut self,
        site: Site<'_>,
        window: &Window<T>,
        p: &mut [T],
        goal: usize,
    ) -> bool {
        let start = self.flushed;
        if goal <= start {
            return true;
        }
        let Site { placement, patterns, isa, workers } = site;
        let panel_len = window.states() * T::LANES;
        let panels = (goal - start).div_ceil(workers.count());
        let share = self.scratch.values().len() / workers.count();
        for scratch in self.scratch.values_mut().chunks_exact_mut(share) {
            scratch[..T::LANES].fill(T::ZERO);
        }
        let chain = self.chain.values();
        let p = &mut p[start * panel_len..goal * panel_len];
        let buffers = [(p, panels * panel_len), (self.scratch.values_mut(), share)];
        workers.each(buffers, |number, [p, scratch]| {
            let first = start + number * panels;
            let flush = Flush { placement, patterns, window, chain, first, p, scratch };
            T::run::<FlushLoop>(isa, flush);
        });
        self.flushed = goal;
        let checks = self.scratch.values().chunks_exact(share).map(|share| &share[..T::LANES]);
        checks.flatten().all(|&check| check == T::ZERO)
    }

    /// How many records the chain has to hold and how many panels must be flushed when the next
    /// window has `steps` records: a function of the shape, so that a stored engine finds its place
    /// again. After as many steps as the window holds all is done. The chain is counted as if all
    /// columns of the Jacobians were multiplied.
    fn goal(&self, placement: &Placement, window: &Window<T>, steps: usize) -> (usize, usize) {
        let FlushCost { record, panel, share } = FlushCost::of(placement, window);
        let (records, panels) = (window.capacity(), placement.panels());
        let goal = share * steps as u64;
        let chained = goal.div_ceil(record).min(records as u64);
        let rest = goal.saturating_sub(record * records as u64);
        let mut flushed = self.flushed;
        while flushed < panels && flushed as u64 * panel < rest {
            let row = placement.panels_of_row(placement.row_of_panel(flushed));
            flushed += flush::group(row.end - flushed);
        }
        (usize::try_from(chained).unwrap_or(records), flushed)
    }

    /// Bytes of its buffers.
    pub(super) fn bytes(&self) -> usize {
        self.chain.bytes() + self.scratch.bytes()
    }
}

/// What a flush costs, in units of a register's work.
struct FlushCost {
    /// A record in the chain, of which all columns are counted, stored or not.
    record: u64,
    /// A panel of p.
    panel: u64,
    /// A step's share of all.
    share: u64,
}

impl FlushCost {
    fn of<T: Real>(placement: &Placement, window: &Window<T>) -> Self {
        let (n, records) = (window.states() as u64, window.capacity() as u64);
        let record = n.div_ceil(T::LANES as u64) * n * n;
        let panel = n * (n + records);
        let all = record * records + panel * placement.panels() as u64;
        Self { record, panel, share: all.div_ceil(records) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jacobian::Jacobian;
    use crate::layout::Layout;
    use crate::step::Step;
    use crate::threads::Threads;

    /// What a step does at an even pace is its share, rounded up to a record and a group of panels.
    #[test]
    fn no_step_does_much_more_than_its_share() {
        for (n, records) in [(5, 1), (17, 2), (20, 7), (33, 40)] {
            let layout = Layout::simple(n, n + 4).unwrap();
            let placement =
                &Placement::by_row(&layout, &vec![true; n * (n + 4)], f32::LANES).unwrap();
            let patterns = &Patterns::new(placement);
            let (isa, workers) = (Isa::best(), &Workers::new(Threads::SERIAL, 0).unwrap());
            let mut window = Window::<f32>::new(placement, patterns, records).unwrap();
            let zeros = vec![0.0; n * n];
            for _ in 0..records {
                let step = Step {
                    jacobian: Jacobian::scaled(&zeros, n, &zeros[..n]),
                    injection: &zeros[..n],
                    z: &vec![0.0; n + 4],
                    forced: &vec![false; n],
                };
                assert!(window.push(isa, &step, None, patterns));
            }
            let mut p = vec![0.0; placement.panels() * n * f32::LANES];
            let mut flushing = Flushing::new(placement, records, workers).unwrap();
            flushing.start(&window);
            let FlushCost { record, panel, share } = FlushCost::of(placement, &window);
            let done = |flushing: &Flushing<f32>| {
                flushing.chained as u64 * record + flushing.flushed as u64 * panel
            };
            for steps in 1..=records {
                let before = done(&flushing);
                let site = Site { placement, patterns, isa, workers };
                assert!(flushing.do_share(site, &window, &mut p, steps));
                let most = share + record + flush::GROUP as u64 * panel;
                let did = done(&flushing) - before;
                assert!(did <= most, "n = {n}, h = {records}, step {steps}: {did} of {most}");
            }
            assert!(!flushing.is_under_way(placement));
        }
    }
}
