//! A buffer that starts on a cache line.

use std::fmt;

use bytemuck::{Pod, Zeroable};

use crate::{Error, Real};

/// One cache line: a row of a panel.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed numbers on 64-byte boundaries, a whole number of cache lines.
#[derive(Clone)]
pub(crate) struct Aligned(Box<[Line]>);

impl Aligned {
    /// Room for `rows` rows of [`Real::LANES`] zeros.
    ///
    /// Pages are taken from the system as they are first written.
    ///
    /// # Errors
    /// [`Error::Memory`] if the system refuses.
    pub(crate) fn zeroed(rows: u128) -> Result<Self, Error> {
        let refused = Error::Memory { bytes: rows.saturating_mul(64) };
        let Ok(count) = usize::try_from(rows) else { return Err(refused) };
        if count.checked_mul(64).is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(refused);
        }
        bytemuck::allocation::try_zeroed_slice_box(count).map(Self).map_err(|()| refused)
    }

    /// The numbers.
    pub(crate) fn values<T: Real>(&self) -> &[T] {
        bytemuck::cast_slice(&self.0)
    }

    /// The numbers, to be written.
    pub(crate) fn values_mut<T: Real>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * 64
    }
}

impl fmt::Debug for Aligned {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Aligned({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_cache_line_and_is_zero() {
        let mut buffer = Aligned::zeroed(3).unwrap();
        assert_eq!(buffer.values::<f32>().as_ptr().addr() % 64, 0);
        assert!(buffer.values::<f64>().iter().all(|&value| value == 0.0));
        assert_eq!(buffer.values_mut::<f32>().len(), 48);
    }

    #[test]
    fn too_much_is_an_error_that_names_the_bytes() {
        for rows in [1 << 56, u128::MAX / 64] {
            let refused = std::hint::black_box(Aligned::zeroed(rows)).err();
            assert_eq!(refused, Some(Error::Memory { bytes: rows * 64 }));
        }
    }
}
