//! The write sequence: write a temporary file, sync it, rename it, sync the folder.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::folder;
use super::storage::{NewFile, Storage};
use crate::Error;

/// Replaces or creates the file at `place` with what `write` writes. First, temporary files of
/// killed processes are removed, because they may fill the disk.
///
/// # Errors
/// Those of `write`, and [`Error::File`]. The file at `place` is then unchanged, unless the last
/// operation failed, which makes the new name survive a power failure.
pub(crate) fn replace_in(
    storage: &dyn Storage,
    place: &Path,
    permissions: Option<&Permissions>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let named = |source| Error::File { path: place.to_owned(), source };
    remove_abandoned(storage, folder(place));
    let (beside, mut file) = beside(storage, place, permissions).map_err(named)?;
    let in_place = write(&mut *file)
        .and_then(|()| file.sync().map_err(named))
        .and_then(|()| storage.rename(&beside, place).map_err(named));
    if in_place.is_err() {
        // What cannot be removed now is removed by a later call.
        let _ = storage.remove(&beside);
        return in_place;
    }
    storage.sync_folder(folder(place)).map_err(named)
}

/// A new file in the folder of `place`, and its path.
pub(super) fn beside(
    storage: &dyn Storage,
    place: &Path,
    permissions: Option<&Permissions>,
) -> io::Result<(PathBuf, Box<dyn NewFile>)> {
    use io::ErrorKind::{AlreadyExists, Interrupted, NotFound};
    let folder = folder(place);
    let create = || {
        let path = folder.join(temporary_name());
        storage.create(&path, permissions).map(|file| (path, file))
    };
    let again = |error: &io::Error| matches!(error.kind(), AlreadyExists | Interrupted);
    let mut created = create();
    for _ in 0..8 {
        if !created.as_ref().is_err_and(again) {
            break;
        }
        created = create();
    }
    // The system's message is about the temporary file, which means nothing to a user.
    created.map_err(|error| match error.kind() {
        NotFound => {
            let reason = format!("the folder {} does not exist", folder.display());
            io::Error::new(NotFound, reason)
        }
        kind => io::Error::new(kind, format!("{error} in the folder {}", folder.display())),
    })
}

const PREFIX: &str = ".rtrl-";
const SUFFIX: &str = ".tmp";

/// A name that no file has had, so that the removal of an abandoned file cannot remove a new one.
fn temporary_name() -> String {
    // The standard library's source of randomness.
    let random = RandomState::new().build_hasher().finish();
    format!("{PREFIX}{random:016x}{SUFFIX}")
}

/// Whether [`temporary_name`] may have made `name`.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    random.is_some_and(|random| {
        random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Removes temporary files of killed processes in `folder`. A failure (for example, if the folder
/// cannot be read) does not prevent writing.
fn remove_abandoned(storage: &dyn Storage, folder: &Path) {
    let names = storage.list(folder).unwrap_or_default();
    for name in names.iter().filter(|name| is_temporary(name)) {
        let _ = storage.remove_abandoned(&folder.join(name));
    }
}
