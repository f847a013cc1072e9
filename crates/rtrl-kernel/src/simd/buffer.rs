//! A buffer that starts on a cache line.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use super::real::Real;
use crate::error::Error;

/// One cache line: a row of a panel.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers that start on a cache line and fill a whole number of lines, of [`Real::LANES`] each.
///
/// A register that crosses the end of a cache line takes two accesses, and storing one takes many
/// times as long as storing one that does not.
pub(crate) struct Buffer<T> {
    storage: Storage,
    numbers: PhantomData<T>,
}

enum Storage {
    Boxed(Box<[Line]>),
    /// Large buffers, where the system may use large pages: reading p from memory is faster by a
    /// sixth.
    #[cfg(target_os = "linux")]
    Mapped(memmap2::MmapMut),
}

/// Bytes from which a buffer is mapped. An allocator writes zeros where memory has an alignment
/// like this; a mapped page is taken from the system when it is first written.
#[cfg(target_os = "linux")]
const MAPPED: usize = 128 << 10;

/// Bytes from which large pages serve: one of them.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

impl<T: Real> Buffer<T> {
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
        let storage = Storage::zeroed(count).ok_or(refused)?;
        Ok(Self { storage, numbers: PhantomData })
    }

    /// Room for `count` zeros, at least.
    ///
    /// # Errors
    /// [`Error::Memory`] if the system refuses.
    pub(crate) fn numbers(count: u128) -> Result<Self, Error> {
        Self::zeroed(count.div_ceil(T::LANES as u128))
    }

    /// The numbers.
    #[inline(always)]
    pub(crate) fn values(&self) -> &[T] {
        bytemuck::cast_slice(self.storage.lines())
    }

    /// The numbers, to be written.
    #[inline(always)]
    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.storage.lines_mut())
    }
}

impl<T> Buffer<T> {
    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.storage.lines())
    }
}

impl Storage {
    fn zeroed(lines: usize) -> Option<Self> {
        #[cfg(target_os = "linux")]
        if lines * 64 >= MAPPED {
            let bytes = memmap2::MmapMut::map_anon(lines * 64).ok()?;
            if lines * 64 >= LARGE {
                // A system without large pages says no; the buffer serves all the same.
                let _ = bytes.advise(memmap2::Advice::HugePage);
            }
            return Some(Self::Mapped(bytes));
        }
        bytemuck::allocation::try_zeroed_slice_box(lines).ok().map(Self::Boxed)
    }

    #[inline(always)]
    fn lines(&self) -> &[Line] {
        match self {
            Self::Boxed(lines) => lines,
            #[cfg(target_os = "linux")]
            Self::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    #[inline(always)]
    fn lines_mut(&mut self) -> &mut [Line] {
        match self {
            Self::Boxed(lines) => lines,
            #[cfg(target_os = "linux")]
            Self::Mapped(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }
}

impl<T> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let lines = self.storage.lines();
        let storage = match Storage::zeroed(lines.len()) {
            Some(mut storage) => {
                storage.lines_mut().copy_from_slice(lines);
                storage
            }
            // Aborts, as every collection does where there is no memory for a copy.
            None => Storage::Boxed(lines.into()),
        };
        Self { storage, numbers: PhantomData }
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Buffer({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_cache_line_and_is_zero() {
        let mut buffer = Buffer::<f32>::zeroed(3).unwrap();
        assert_eq!(buffer.values().as_ptr().addr() % 64, 0);
        assert!(buffer.values().iter().all(|&value| value == 0.0));
        assert_eq!(buffer.values_mut().len(), 48);
    }

    #[test]
    fn a_large_buffer_is_like_a_small_one_and_so_is_its_copy() {
        let rows = 3 << 20 >> 6;
        let mut buffer = Buffer::<f64>::zeroed(rows).unwrap();
        assert_eq!((buffer.bytes(), buffer.values().as_ptr().addr() % 64), (3 << 20, 0));
        buffer.values_mut()[rows as usize * 8 - 1] = 5.0;
        let copy = buffer.clone();
        buffer.values_mut()[0] = 7.0;
        let sum = copy.values().iter().sum::<f64>();
        assert_eq!((sum, copy.bytes()), (5.0, buffer.bytes()));
    }

    #[test]
    fn too_much_is_an_error_that_names_the_bytes() {
        for rows in [1 << 56, u128::MAX / 64] {
            let refused = std::hint::black_box(Buffer::<f64>::zeroed(rows)).err();
            assert_eq!(refused, Some(Error::Memory { bytes: rows * 64 }));
        }
    }
}
