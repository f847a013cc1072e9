//! The real file system.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::path::Path;

use super::storage::{NewFile, Storage, StoredFile};

/// The file system of the operating system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl NewFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Storage for Disk {
    /// An advisory lock holds the file; the system releases it when the process ends.
    fn create(
        &self,
        path: &Path,
        permissions: Option<&Permissions>,
    ) -> io::Result<Box<dyn NewFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        // Another process may take the file for abandoned until it is locked. (A file system
        // without locks refuses them to that process, too.)
        let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        if taken || !path.try_exists()? {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        if let Some(permissions) = permissions
            && let Err(error) = file.set_permissions(permissions.clone())
        {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// A folder that is writable but not readable cannot be synced, nor can any folder on some
    /// systems; there this does nothing.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
        let opened = match File::open(folder) {
            Err(error) if error.kind() == PermissionDenied => return Ok(()),
            opened => opened?,
        };
        match opened.sync_all() {
            Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
            synced => synced,
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<()> {
        // To open a pipe would wait for its reader.
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let file = OpenOptions::new().write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => fs::remove_file(path),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Creates a folder and its parents, so that they survive a power failure. An existing folder is
/// unchanged.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = super::folder(folder);
    if folder.parent().is_some_and(|parent| !parent.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    Disk.sync_folder(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::replace::sequence::{beside, is_temporary};

    #[test]
    fn only_what_no_process_holds_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, held) = beside(&Disk, &folder.path().join("model"), None).unwrap();
        assert!(is_temporary(path.file_name().unwrap()));
        Disk.remove_abandoned(&path).unwrap();
        assert!(path.exists());
        drop(held);
        Disk.remove_abandoned(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn folders_are_made_all_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        for _ in 0..2 {
            make_folder(&deep).unwrap();
            assert!(deep.is_dir());
        }
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(make_folder(&folder.path().join("file/a")).is_err());
        assert!(make_folder(&folder.path().join("file")).is_err());
    }
}
