//! Files that are either the old or the new one, never a mixture.
//!
//! | file | subject |
//! |---|---|
//! | `sequence.rs` | the write sequence |
//! | `storage.rs` | the operations of a disk, as a trait |
//! | `disk.rs` | those of the real disk |

mod disk;
mod sequence;
#[cfg(test)]
pub(crate) mod simulated;
mod storage;

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;

pub(crate) use disk::{Disk, make_folder};
pub(crate) use sequence::replace_in;
pub(crate) use storage::{Storage, StoredFile};

/// Replaces or creates the file at `path`: a temporary file in the same folder is written, synced
/// and renamed. Links are followed, and an existing file keeps its permissions.
///
/// Paths that are not regular files, and everything under `/dev` (except `/dev/shm`) and `/proc`,
/// are appended to directly, because `/dev/stdout` may refer to a file that others write to.
///
/// # Errors
/// [`Error::File`]; an existing file is then unchanged, unless only the sync of the folder failed:
/// then the new file exists, but may not survive a power failure.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), Error> {
    replace_with(path, |file| {
        let named = |source| Error::File { path: path.to_owned(), source };
        file.write_all(contents).map_err(named)
    })
}

/// As [`replace`], with contents that `write` writes.
pub(crate) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let named = |source| Error::File { path: path.to_owned(), source };
    match place(path).map_err(named)? {
        Place::Direct => write(&mut append(path).map_err(named)?),
        Place::New(place) => replace_in(&Disk, &place, None, write),
        Place::Old(place, permissions) => replace_in(&Disk, &place, Some(&permissions), write),
    }
}

/// Fails unless [`replace`] could write to `path` now. Call this before hours of work.
///
/// # Errors
/// [`Error::File`] with the reason.
pub fn check_writable(path: &Path) -> Result<(), Error> {
    let check = || match place(path)? {
        Place::Direct => append(path).map(drop),
        Place::New(place) | Place::Old(place, _) => {
            let (beside, _) = sequence::beside(&Disk, &place, None)?;
            fs::remove_file(beside)
        }
    };
    check().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Whether [`replace`] appends to `path`, as to a device, so that no old file can be lost.
pub fn is_appended_to(path: &Path) -> bool {
    matches!(place(path), Ok(Place::Direct))
}

/// How to write to a path.
enum Place {
    /// It exists and is not a regular file.
    Direct,
    /// It does not exist.
    New(PathBuf),
    /// A regular file, with these permissions.
    Old(PathBuf, Permissions),
}

/// What `path` means, links followed.
fn place(path: &Path) -> io::Result<Place> {
    let device = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    if device || path.starts_with("/proc") {
        return Ok(Place::Direct);
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            // A file that may not be written is not to be replaced either.
            append(path)?;
            Ok(Place::Old(fs::canonicalize(path)?, found.permissions()))
        }
        Ok(found) if found.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, expected a file"))
        }
        Ok(found) if is_pipe(&found) => {
            let reason = "is a named pipe, expected a file, a terminal or a device";
            Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
        }
        Ok(_) => Ok(Place::Direct),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => {
            Ok(Place::New(destination(path)?))
        }
        Err(error) => Err(error),
    }
}

/// Most links from a path to its file, as on Linux.
const MOST_LINKS: usize = 40;

/// The path of the file that [`replace`] writes: links are followed, also those to nothing yet.
///
/// # Errors
/// More than 40 links from one to the next.
pub fn destination(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        if let Ok(whole) = fs::canonicalize(&path) {
            return Ok(whole);
        }
        let Ok(target) = fs::read_link(&path) else {
            let folder = fs::canonicalize(folder(&path));
            return Ok(folder
                .ok()
                .zip(path.file_name())
                .map_or_else(|| path.clone(), |(f, n)| f.join(n)));
        };
        path = folder(&path).join(target);
    }
    let reason = format!("got more than {MOST_LINKS} links, expected a file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Whether a file is a named pipe. To open one waits until another process reads it, for ever if
/// none does.
#[cfg(unix)]
fn is_pipe(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

fn append(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().append(true).open(path)
}

/// The folder that `place` is in.
fn folder(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        symlink("file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        replace(&link, b"newer").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"newer");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    /// Only the first of several links to nothing was once followed, and the second replaced.
    #[cfg(unix)]
    #[test]
    fn links_to_nothing_yet_are_followed_to_the_end() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        symlink("b", path("a")).unwrap();
        symlink("inner/c", path("b")).unwrap();
        symlink("../model", path("inner/c")).unwrap();
        for name in ["a", "b", "inner/c", "model"] {
            let found = destination(&path(name)).unwrap();
            assert_eq!(found, fs::canonicalize(folder.path()).unwrap().join("model"), "{name}");
        }
        replace(&path("a"), b"new").unwrap();
        assert_eq!(fs::read(path("model")).unwrap(), b"new");
        for link in ["a", "b", "inner/c"] {
            assert!(fs::symlink_metadata(path(link)).unwrap().is_symlink(), "{link}");
        }
        symlink("round", path("round")).unwrap();
        assert!(destination(&path("round")).is_err() && check_writable(&path("round")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_devices_are_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(folder.path().join("old"), "old").unwrap();
        for place in [path, folder.path().join("old"), folder.path().to_owned()] {
            assert!(!is_appended_to(&place), "{place:?}");
        }
        assert!(is_appended_to(Path::new("/dev/null")) && is_appended_to(Path::new("/dev/stdout")));
    }

    /// Files in memory are files, and are replaced.
    #[cfg(target_os = "linux")]
    #[test]
    fn shared_memory_holds_files() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("model");
        for contents in ["one", "two"] {
            replace(&path, contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), contents);
        }
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
