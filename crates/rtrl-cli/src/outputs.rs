//! The outputs of a command: checks of its files before it starts, standard output for results and
//! standard error for everything else.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rtrl_model::store;

use crate::error::Error;

/// Fails if two of the files are the same, or if one of the outputs could not be written.
///
/// `input`, if there is one, and `outputs` go with the names by which the user knows them.
pub(crate) fn check(
    input: Option<(&'static str, &Path)>,
    outputs: &[(&'static str, Option<&PathBuf>)],
) -> Result<(), Error> {
    let mut seen: Vec<_> = input.into_iter().map(|(name, path)| (name, identity(path))).collect();
    for &(name, path) in outputs {
        let Some(path) = path else { continue };
        let identity = identity(path);
        if let Some(&(first, _)) = seen.iter().find(|(_, other)| *other == identity) {
            return Err(Error::SameFile { first, second: name, path: path.clone() });
        }
        seen.push((name, identity));
        store::check_writable(path)?;
    }
    Ok(())
}

/// Prints a text. A closed standard output is no error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Print(error)),
        _ => Ok(()),
    }
}

/// Prints a line to standard error. A closed standard error is no error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Confirms on standard error that a file has been written.
pub(crate) fn confirm(what: &str, path: &Path) {
    note(&confirmation(what, path));
}

/// Says that a file has been written.
pub(crate) fn confirmation(what: &str, path: &Path) -> String {
    format!("wrote the {what} to {}", path.display())
}

/// The file that a run which is stopped writes in place of `path`, which stays as it is; none for
/// a device, to which both write.
pub(crate) fn partial(path: &Path) -> Option<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    (!store::is_appended_to(path)).then(|| name.into())
}

/// A path that is the same for the same file, even if the file does not exist yet.
fn identity(path: &Path) -> PathBuf {
    store::destination(path).unwrap_or_else(|_| path.to_owned())
}
