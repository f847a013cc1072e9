//! Prefetching. On architectures without such an instruction in safe Rust, nothing is prefetched.

/// Prefetches the cache line at the start of `row`.
#[inline(always)]
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = row.first() {
        safe_arch::prefetch_t0(value);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
