//! One call at a time, and objects that survive a fork.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::prelude::*;

use crate::error::CallError;

/// How often this process and its ancestors have been forked.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called in the child of every fork.
#[pyfunction]
pub(crate) fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// An object whose threads do not exist in the child of a fork.
pub(crate) trait Revive: Sized {
    /// The same object with threads of this process.
    fn revived(&self) -> PyResult<Self>;
}

/// An object that takes one call at a time. A second call is an error, because it would have to
/// wait for the first one, which may be its own caller.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    inner: Mutex<Owned<S>>,
}

#[derive(Debug)]
struct Owned<S> {
    value: S,
    forks: u64,
}

impl<S: Revive> Guard<S> {
    pub(crate) fn new(value: S) -> Self {
        let forks = FORKS.load(Ordering::Relaxed);
        Self { inner: Mutex::new(Owned { value, forks }) }
    }

    /// The object, for one call.
    pub(crate) fn take(&self) -> PyResult<Taken<'_, S>> {
        let mut owned = match self.inner.try_lock() {
            Ok(owned) => owned,
            Err(TryLockError::WouldBlock) => {
                let message = "got a call during another one, expected one call at a time";
                return Err(CallError::new_err(message));
            }
            Err(TryLockError::Poisoned(_)) => {
                let message = "got a call after a panic, expected a new object";
                return Err(CallError::new_err(message));
            }
        };
        let forks = FORKS.load(Ordering::Relaxed);
        if owned.forks != forks {
            let revived = owned.value.revived()?;
            // Its threads are in another process, and waiting for their end would take forever.
            std::mem::forget(std::mem::replace(&mut owned.value, revived));
            owned.forks = forks;
        }
        Ok(Taken(owned))
    }
}

/// The object during a call.
#[derive(Debug)]
pub(crate) struct Taken<'a, S>(MutexGuard<'a, Owned<S>>);

impl<S> std::ops::Deref for Taken<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.value
    }
}

impl<S> std::ops::DerefMut for Taken<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.value
    }
}
