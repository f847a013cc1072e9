//! Independent jobs, several at a time.

use rayon::prelude::*;

use crate::Error;

/// Does every job, on all threads. The results are in the order of the jobs, whichever ends first.
///
/// Behind a pointer, so that the work of sharing out jobs is compiled once for each result `R`.
///
/// # Errors
/// That of a job that failed; jobs that had not begun by then are not done.
pub(crate) fn in_order<J: Sync, R: Send>(
    jobs: &[J],
    run: &(dyn Fn(&J) -> Result<R, Error> + Sync),
) -> Result<Vec<R>, Error> {
    jobs.par_iter().with_max_len(1).map(run).collect()
}
