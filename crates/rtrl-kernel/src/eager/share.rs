//! The division of panels among threads, and what a thread needs of a step.

use super::immediate::Immediate;
use super::pack::Packing;
use crate::panels::Placement;
use crate::step::Step;

/// Panels of a group.
pub(crate) const GROUP: usize = 2;

/// How the panels are divided among the threads, and where they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    /// Number of shares.
    pub(super) count: usize,
    /// Panels of a share, a whole number of groups.
    pub(super) panels: usize,
    /// Panels of the spare group of a share; none in small layers.
    pub(super) spare: usize,
    /// Whether the spare group of each share is its first (else its last).
    pub(super) spare_first: bool,
}

impl Shares {
    pub(super) fn new(panels: usize, threads: usize, small: bool) -> Self {
        let group = if small { 1 } else { GROUP };
        let groups = panels.div_ceil(group);
        let panels = groups.div_ceil(threads).max(1) * group;
        let count = (groups * group).div_ceil(panels);
        Self { count, panels, spare: if small { 0 } else { GROUP }, spare_first: false }
    }

    /// Rooms for panels, the spare ones included.
    pub(super) fn rooms(self) -> usize {
        self.count * (self.panels + self.spare)
    }

    /// The room that panel `panel` occupies.
    pub(super) fn room(self, panel: usize) -> usize {
        let front = if self.spare_first { self.spare } else { 0 };
        panel / self.panels * (self.panels + self.spare) + front + panel % self.panels
    }
}

/// What all panels need of one step.
#[derive(Debug)]
pub(crate) struct Packed<'a, T> {
    pub(crate) placement: &'a Placement,
    pub(crate) immediate: &'a Immediate<T>,
    pub(crate) step: &'a Step<'a, T>,
    /// Whether the layer takes the path of `small.rs`, which needs no packing.
    pub(crate) small: bool,
    /// Whether the spare group is the first of each share (else the last).
    pub(crate) spare_first: bool,
    /// e(t + 1), if there is a target.
    pub(crate) target_error: Option<&'a [T]>,
    /// The rows, the Jacobian and the error, where the layer is not small.
    pub(crate) packing: &'a Packing<T>,
    /// Whether the gradient is added to the sums (else it replaces them).
    pub(crate) accumulate: bool,
}

/// One thread's share of the panels.
pub(crate) struct Share<'a, T> {
    pub(crate) packed: &'a Packed<'a, T>,
    /// Number of the first panel of this share.
    pub(crate) first: usize,
    /// The panels and, unless the layer is small, the spare group.
    pub(crate) p: &'a mut [T],
    /// The gradient of each column of these panels.
    pub(crate) sums: &'a mut [T],
    /// Room for the old rows that are read, where some are not.
    pub(crate) scratch: &'a mut [T],
}
