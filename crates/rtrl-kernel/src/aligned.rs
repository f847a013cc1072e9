//! A buffer that starts on a cache line.

use std::fmt;

use bytemuck::{Pod, Zeroable};

use crate::{Error, Real};

/// One cache line: a row of a panel.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed numbers on 64-byte boundaries, a whole number of cache lines.
pub(crate) struct Aligned(Storage);

enum Storage {
    Boxed(Box<[Line]>),
    /// Large buffers, where the system may use large pages: reading p from memory is faster by a sixth.
    #[cfg(target_os = "linux")]
    Mapped(memmap2::MmapMut),
}

/// Bytes from which a buffer is mapped: a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

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
        Storage::zeroed(count).map(Self).ok_or(refused)
    }

    /// Room for `count` zeros, at least.
    ///
    /// # Errors
    /// [`Error::Memory`] if the system refuses.
    pub(crate) fn numbers<T: Real>(count: u128) -> Result<Self, Error> {
        Self::zeroed(count.div_ceil(T::LANES as u128))
    }

    /// The numbers.
    pub(crate) fn values<T: Real>(&self) -> &[T] {
        match &self.0 {
            Storage::Boxed(lines) => bytemuck::cast_slice(lines),
            #[cfg(target_os = "linux")]
            Storage::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// The numbers, to be written.
    pub(crate) fn values_mut<T: Real>(&mut self) -> &mut [T] {
        match &mut self.0 {
            Storage::Boxed(lines) => bytemuck::cast_slice_mut(lines),
            #[cfg(target_os = "linux")]
            Storage::Mapped(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Storage::Boxed(lines) => lines.len() * 64,
            #[cfg(target_os = "linux")]
            Storage::Mapped(bytes) => bytes.len(),
        }
    }
}

impl Storage {
    fn zeroed(lines: usize) -> Option<Self> {
        #[cfg(target_os = "linux")]
        if lines * 64 >= LARGE {
            let bytes = memmap2::MmapMut::map_anon(lines * 64).ok()?;
            // A system without large pages says no; the buffer serves all the same.
            let _ = bytes.advise(memmap2::Advice::HugePage);
            return Some(Self::Mapped(bytes));
        }
        bytemuck::allocation::try_zeroed_slice_box(lines).ok().map(Self::Boxed)
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        let lines: &[Line] = match &self.0 {
            Storage::Boxed(lines) => lines,
            #[cfg(target_os = "linux")]
            Storage::Mapped(bytes) => bytemuck::cast_slice(bytes),
        };
        let Some(storage) = Storage::zeroed(lines.len()) else {
            // As every collection does where there is no memory for a copy.
            return Self(Storage::Boxed(lines.into()));
        };
        let mut copy = Self(storage);
        copy.values_mut::<f64>().copy_from_slice(self.values());
        copy
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
    fn a_large_buffer_is_like_a_small_one_and_so_is_its_copy() {
        let rows = 3 << 20 >> 6;
        let mut buffer = Aligned::zeroed(rows).unwrap();
        assert_eq!((buffer.bytes(), buffer.values::<f32>().as_ptr().addr() % 64), (3 << 20, 0));
        buffer.values_mut::<f64>()[rows as usize * 8 - 1] = 5.0;
        let copy = buffer.clone();
        buffer.values_mut::<f64>()[0] = 7.0;
        let sum = copy.values::<f64>().iter().sum::<f64>();
        assert_eq!((sum, copy.bytes()), (5.0, buffer.bytes()));
    }

    #[test]
    fn too_much_is_an_error_that_names_the_bytes() {
        for rows in [1 << 56, u128::MAX / 64] {
            let refused = std::hint::black_box(Aligned::zeroed(rows)).err();
            assert_eq!(refused, Some(Error::Memory { bytes: rows * 64 }));
        }
    }
}
