//! The operations of a file system that replacing a file needs.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::Permissions;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The operations of the write sequence, so that a test can lose and reorder them.
///
/// Only what has been synced survives a power failure: bytes by [`NewFile::sync`], and names
/// (created, renamed or removed) by [`Storage::sync_folder`].
pub(crate) trait Storage: Debug + Send + Sync {
    /// Creates a file at `path`, which must not exist, and locks it: until it is dropped,
    /// [`Storage::remove_abandoned`] of any process ignores it.
    ///
    /// # Errors
    /// `AlreadyExists` or `Interrupted` if another name should be tried.
    fn create(
        &self,
        path: &Path,
        permissions: Option<&Permissions>,
    ) -> io::Result<Box<dyn NewFile>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Renames a file atomically: opening `to` gives either the old or the new file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in `folder` survive a power failure.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names in `folder`, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a file that was created and that no process holds any more.
    fn remove_abandoned(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub(crate) trait NewFile: Write {
    /// Makes what was written survive a power failure.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is being read.
pub(crate) trait StoredFile: Read + Seek + Debug + Send {}

impl<F: Read + Seek + Debug + Send> StoredFile for F {}
