//! The sizes of a recurrent layer.

use crate::error::Error;
use crate::simd::{Buffer, Real};

/// The sizes of a recurrent layer.
///
/// Rows and states are the same for simple units. Cells with gates have several weight rows for each
/// state unit, stacked: row i drives state unit `i % states`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    states: usize,
    rows: usize,
    lines: usize,
}

impl Layout {
    /// `states` state units, `rows` weight rows (a multiple of `states`) over `lines` columns of the
    /// weight matrix.
    ///
    /// # Errors
    /// [`Error::Layout`] if there are no states, or rows that do not divide among them;
    /// [`Error::Memory`] if the weights are more than can be counted.
    pub fn new(states: usize, rows: usize, lines: usize) -> Result<Self, Error> {
        if states == 0 || rows == 0 || !rows.is_multiple_of(states) {
            return Err(Error::Layout { states, rows });
        }
        let weights = rows as u128 * lines as u128;
        if weights > isize::MAX as u128 {
            return Err(Error::Memory { bytes: weights });
        }
        Ok(Self { states, rows, lines })
    }

    /// Simple units: one weight row each.
    ///
    /// # Errors
    /// [`Error::Layout`] if there are no units.
    pub fn simple(units: usize, lines: usize) -> Result<Self, Error> {
        Self::new(units, units, lines)
    }

    /// Number of state units, n.
    pub fn states(self) -> usize {
        self.states
    }

    /// Number of rows of the weight matrix.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns of the weight matrix, c: the length of z.
    pub fn lines(self) -> usize {
        self.lines
    }

    /// The state unit that weight row `row` drives.
    pub fn owner(self, row: usize) -> usize {
        row % self.states
    }

    /// Fails unless the system would give the memory for p if every weight learns; keeps nothing.
    ///
    /// # Errors
    /// [`Error::Memory`] with [`Layout::sensitivity_bytes`].
    pub fn check_memory<T: Real>(self) -> Result<(), Error> {
        // The compiler may drop an allocation that nobody looks at, and with it the refusal.
        Buffer::<T>::zeroed(self.sensitivity_bytes::<T>() / 64)
            .map(|p| drop(std::hint::black_box(p)))
    }

    /// Bytes of p if every weight learns, whether or not they can be had.
    pub fn sensitivity_bytes<T: Real>(self) -> u128 {
        let columns = self.rows as u128 * self.lines as u128;
        columns.div_ceil(T::LANES as u128).saturating_mul(self.states as u128 * 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_layouts_are_refused() {
        assert_eq!(Layout::new(0, 0, 3), Err(Error::Layout { states: 0, rows: 0 }));
        assert_eq!(Layout::new(4, 6, 3), Err(Error::Layout { states: 4, rows: 6 }));
        assert_eq!(Layout::new(4, 12, 3).unwrap().owner(9), 1);
    }

    #[test]
    fn bytes_of_p_do_not_overflow() {
        let layout = Layout::simple(100_000, 100_002).unwrap();
        assert_eq!(layout.sensitivity_bytes::<f32>(), 4_000_080_000_000_000);
    }
}
