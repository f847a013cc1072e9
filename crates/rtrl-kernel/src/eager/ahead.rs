//! Asking for memory ahead of time.
//!
//! A group of panels is worked on for microseconds, and its first use of every row would wait for
//! the caches further out. So while one group is computed, the rows of the next are prefetched,
//! some with each strip of the Jacobian. That changes no result; where the architecture has no such
//! instruction in safe Rust, nothing is prefetched.

/// Bytes of p in one share above which prefetching helps: what is surely in the level-2 cache
/// arrives soon enough, and asking for it costs layers of a few dozen units 4 percent.
const FAR: usize = 2 << 20;

/// Whether to prefetch panels of these values.
#[inline(always)]
pub(crate) fn is_far<T>(p: &[T]) -> bool {
    size_of_val(p) > FAR
}

/// Asks for the cache line at the start of `row`, a row of a panel.
#[inline(always)]
pub(crate) fn ask_for<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = row.first() {
        safe_arch::prefetch_t0(value);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
