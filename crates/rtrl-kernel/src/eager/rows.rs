//! Rows of p, read and replaced: for files, and for programs that look at sensitivities.

use super::Eager;
use crate::error::Error;
use crate::simd::Real;
use crate::store::Source;

/// The name of the tensor that marks rows of p which have not been computed.
pub(super) const SKIPPED: &str = "skipped";

impl<T: Real> Eager<T> {
    /// Writes row `state` of p, one value a column, to `row`.
    pub(super) fn read_row(&self, state: usize, row: &mut [T]) {
        let panels = (0..self.placement.panels()).map(|panel| self.row(state, panel));
        self.placement.gather(panels.map(|place| &self.p.values()[place]), row);
    }

    /// Replaces row `state` of p.
    pub(super) fn write_row(&mut self, state: usize, row: &[T]) {
        let mut rest = row;
        for panel in 0..self.placement.panels() {
            let place = self.row(state, panel);
            let (now, then) = rest.split_at(place.len());
            self.p.values_mut()[place].copy_from_slice(now);
            rest = then;
        }
        self.skipped[state] = bytemuck::cast_slice(row).iter().all(|&byte: &u8| byte == 0);
    }

    /// Decides which of the rows that are +0 are read: those that were read before they were
    /// stored. One that has vanished is, and to omit it could change the sign of a zero.
    pub(super) fn load_skipped(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        let states = self.skipped.len();
        let mut odd = None;
        from.read(SKIPPED, [1, states], &mut |_, row| {
            for (state, (skipped, &stored)) in self.skipped.iter_mut().zip(row).enumerate() {
                if stored != T::ZERO && !(*skipped && stored == T::ONE) {
                    odd = odd.or(Some((state, *skipped, stored)));
                }
                *skipped &= stored == T::ONE;
            }
        })?;
        let Some((_, is_zero, got)) = odd else { return Ok(()) };
        let expected = if is_zero { "0 or 1" } else { "0, since a sensitivity in its row is not" };
        Err(Error::Number { name: SKIPPED.to_owned(), row: 0, expected, got: got.to_string() })
    }

    /// Row `state` of panel `panel` in p.
    fn row(&self, state: usize, panel: usize) -> std::ops::Range<usize> {
        let room = self.shares.room(panel);
        let start = (room * self.placement.layout().states() + state) * T::LANES;
        start..start + self.placement.width(panel)
    }
}
