//! One process for a checkpoint.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rtrl_model::store;

use crate::error::Error;

/// Most bytes that are read of a lock.
const MOST: u64 = 32;

/// Holds a lock on a file next to a checkpoint, `NAME.lock`, until it is dropped or the process
/// ends. The file stays, because another process may be waiting to open it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has it, [`Error::NotALock`] for another file of its
    /// name.
    pub(crate) fn take(checkpoint: &Path) -> Result<Self, Error> {
        let path = lock_path(checkpoint);
        let named = |source| Error::File { path: path.clone(), source };
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // Some systems let no other process read a file that is locked.
                let process = read(&file).ok().as_deref().and_then(process);
                return Err(Error::InUse { path: checkpoint.to_owned(), process });
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        let found = read(&file).map_err(named)?;
        if !found.is_empty() && process(&found).is_none() {
            return Err(Error::NotALock { path });
        }
        file.rewind().map_err(named)?;
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(named)?;
        Ok(Self { _file: file })
    }
}

/// The first bytes of a file, more than the number of a process has.
fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    file.take(MOST).read_to_end(&mut found)?;
    Ok(found)
}

/// The process that has written a lock.
fn process(found: &[u8]) -> Option<u32> {
    std::str::from_utf8(found).ok()?.trim().parse().ok()
}

/// The file that is locked while a process uses a checkpoint.
pub(crate) fn lock_path(checkpoint: &Path) -> PathBuf {
    let whole = store::destination(checkpoint).unwrap_or_else(|_| checkpoint.to_owned());
    let mut name = whole.file_name().map(OsString::from).unwrap_or_default();
    name.push(".lock");
    whole.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// On some systems a file cannot be read while it is locked.
    #[test]
    fn a_lock_whose_process_is_unknown_is_in_use_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        let first = Lock::take(&checkpoint).unwrap();
        let process = || match Lock::take(&checkpoint) {
            Err(Error::InUse { process, .. }) => process,
            other => panic!("{other:?}"),
        };
        assert_eq!(process(), Some(std::process::id()));
        fs::write(lock_path(&checkpoint), b"\xff").unwrap();
        assert_eq!(process(), None);
        drop(first);
        assert!(matches!(Lock::take(&checkpoint), Err(Error::NotALock { .. })));
        assert_eq!(fs::read(lock_path(&checkpoint)).unwrap(), b"\xff");
    }
}
