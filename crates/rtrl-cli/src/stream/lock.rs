//! One process for a checkpoint.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rtrl_model::store;

use crate::error::Error;

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
    /// [`Error::InUse`] if another process has it.
    pub(crate) fn take(checkpoint: &Path) -> Result<Self, Error> {
        let path = beside(checkpoint);
        let named = |source| Error::File { path: path.clone(), source };
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                file.read_to_string(&mut process).map_err(named)?;
                let process = process.trim().parse().ok();
                return Err(Error::InUse { path: checkpoint.to_owned(), process });
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(named)?;
        Ok(Self { _file: file })
    }
}

fn beside(checkpoint: &Path) -> PathBuf {
    let whole = store::destination(checkpoint).unwrap_or_else(|_| checkpoint.to_owned());
    let mut name = whole.file_name().map(OsString::from).unwrap_or_default();
    name.push(".lock");
    whole.with_file_name(name)
}
