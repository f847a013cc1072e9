//! Signals that end a run after the current row, also while it waits for the next one.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;
use crate::ranks::Ranks;

/// The signals and their names.
const SIGNALS: [(i32, &str); 2] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// Whether a signal has arrived, on rank 0 for all ranks.
pub(crate) struct Stop {
    found: Arc<AtomicUsize>,
    ranks: Arc<dyn Ranks>,
}

impl Stop {
    /// Waits for signals from here on. The first one is for [`Stop::error`]; another ends the
    /// process at once.
    pub(crate) fn watch(ranks: &Arc<dyn Ranks>) -> Result<Self, Error> {
        let (found, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for (signal, _) in SIGNALS {
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again))
                .and_then(|_| flag::register(signal, Arc::clone(&again)))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&found), number))
                .map_err(Error::Signals)?;
        }
        Ok(Self { found, ranks: Arc::clone(ranks) })
    }

    /// The signal that has arrived, as an error. Involves all ranks.
    pub(crate) fn error(&self) -> Option<Error> {
        let mut found = u8::try_from(self.found.load(Ordering::SeqCst)).unwrap_or_default();
        if self.ranks.count() > 1 {
            found = match self.ranks.share(&[found]) {
                Ok(shared) => shared.first().copied().unwrap_or_default(),
                Err(error) => return Some(Error::Signals(error)),
            };
        }
        let found = i32::from(found);
        let (number, name) = SIGNALS.into_iter().find(|&(number, _)| number == found)?;
        Some(Error::Signal { number, name })
    }

    /// A result of work that is worthless once a signal has arrived, which is the error then.
    pub(crate) fn or<V>(&self, result: Result<V, Error>) -> Result<V, Error> {
        self.error().map_or(result, Err)
    }
}

/// Standard input, whose reads fail once a signal has arrived.
#[cfg(unix)]
pub(crate) fn standard_input() -> io::Result<Box<dyn Read>> {
    use std::os::fd::AsFd;
    let file = io::stdin().as_fd().try_clone_to_owned()?;
    interruptible(file.into())
}

/// A file.
#[cfg(not(unix))]
pub(crate) fn interruptible(file: std::fs::File) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(file))
}

/// Standard input.
#[cfg(not(unix))]
pub(crate) fn standard_input() -> io::Result<Box<dyn Read>> {
    Ok(Box::new(io::stdin()))
}

/// A file that may wait for its writer, such as a named pipe; its reads fail once a signal has
/// arrived.
#[cfg(unix)]
pub(crate) fn interruptible(file: std::fs::File) -> io::Result<Box<dyn Read>> {
    use std::os::unix::net::UnixStream;
    let (wake, signalled) = UnixStream::pair()?;
    for (signal, _) in SIGNALS {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    Ok(Box::new(Interruptible { file, wake }))
}

#[cfg(unix)]
struct Interruptible {
    file: std::fs::File,
    /// Has a byte to read once a signal has arrived.
    wake: std::os::unix::net::UnixStream,
}

#[cfg(unix)]
impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut waiting =
            [PollFd::new(&self.wake, PollFlags::IN), PollFd::new(&self.file, PollFlags::IN)];
        poll(&mut waiting, None)?;
        if !waiting[0].revents().is_empty() {
            return Err(io::Error::other("a signal has arrived"));
        }
        self.file.read(buffer)
    }
}
