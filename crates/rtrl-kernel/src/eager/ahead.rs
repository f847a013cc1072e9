//! Prefetching panels.
//!
//! Computing a group of panels takes microseconds, and the first use of every row would wait for
//! the outer caches. So while one group is computed, the rows of the next are prefetched, some with
//! each strip of the Jacobian. This changes no result.

/// Bytes of p in one share above which prefetching helps: data in the level-2 cache arrives soon
/// enough, and prefetching it costs layers of a few dozen units 4 percent.
const FAR: usize = 2 << 20;

/// Whether to prefetch panels of these values.
#[inline(always)]
pub(crate) fn is_far<T>(p: &[T]) -> bool {
    size_of_val(p) > FAR
}
