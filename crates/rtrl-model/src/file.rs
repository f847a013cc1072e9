//! Files that are either the old one or the new one, never half of it.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::Error;

/// Replaces the file at `path`, or makes it: written beside it, synced and renamed.
///
/// What is no regular file (a pipe, `/dev/stdout`) is written directly.
///
/// # Errors
/// [`Error::File`]; a file that was there before is then as it was.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let named = |source| Error::File { path: path.to_owned(), source };
    let write = || -> io::Result<()> {
        let Some(place) = place(path)? else {
            return fs::OpenOptions::new().write(true).open(path)?.write_all(contents);
        };
        let mut beside = beside(&place)?;
        beside.write_all(contents)?;
        beside.as_file().sync_all()?;
        beside.persist(&place).map_err(|error| error.error)?;
        sync_folder(&place)
    };
    write().map_err(named)
}

/// Fails unless [`replace`] could write to `path` now. To be asked before hours of work.
///
/// # Errors
/// [`Error::File`] with the reason.
pub fn check_writable(path: &Path) -> Result<(), Error> {
    let check = || match place(path)? {
        Some(place) => beside(&place).map(drop),
        None => fs::OpenOptions::new().write(true).open(path).map(drop),
    };
    check().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The file that `path` means, links followed, or nothing if it is there and no regular file.
fn place(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => fs::canonicalize(path).map(Some),
        Ok(found) if found.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, expected a file"))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => {
            Ok(Some(path.to_owned()))
        }
        Err(error) => Err(error),
    }
}

fn folder(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn beside(place: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".rtrl-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any program would create it; the system takes off what the user's mask forbids.
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder(place)).map_err(|error| {
        // The path that the library adds is that of the temporary file, which means nothing to a user.
        io::Error::new(error.kind(), error.kind().to_string())
    })
}

/// Makes a rename last, where the system can sync a folder.
fn sync_folder(place: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder(place))?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        check_writable(&path).unwrap();
        for contents in ["one", "two"] {
            replace(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_and_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/model"), folder.path().to_owned()] {
            assert!(matches!(check_writable(&path), Err(Error::File { .. })));
            assert!(matches!(replace(&path, b"x"), Err(Error::File { .. })));
        }
    }
}
