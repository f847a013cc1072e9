//! The outputs of a command: checks of its files before it starts, standard output for results and
//! standard error for everything else.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rtrl_model::store;

use crate::error::Error;

/// Fails if two of the files are the same, or if one of the outputs could not be written. Standard
/// output is one of the files if the shell has redirected it to a file: a file that it names as
/// well, as `/dev/stdout` for example, would be written from its start by both.
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
        let other = seen.iter().find(|(_, other)| *other == identity).map(|&(first, _)| first);
        if let Some(first) = other.or_else(|| is_standard_output(path).then_some("standard output"))
        {
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

/// Where a run saves its model: at `path`, or at [`partial`] if it has been stopped.
pub(crate) fn place(path: &Path, stopped: bool) -> PathBuf {
    partial(path).filter(|_| stopped).unwrap_or_else(|| path.to_owned())
}

/// Says that a model has been written to `place`. Where that is `path` itself, removes what an
/// earlier run that was stopped has left next to it.
pub(crate) fn saved(path: &Path, place: &Path) -> String {
    if let Some(partial) = partial(path).filter(|partial| partial != place) {
        // If there is none, or it stays, nothing is lost.
        let _ = std::fs::remove_file(partial);
    }
    confirmation("model", place)
}

/// Whether standard output is redirected to this file, and not to its end, where both would add to
/// it.
#[cfg(unix)]
fn is_standard_output(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{OFlags, fcntl_getfl, fstat};

    let output = std::io::stdout();
    let (Ok(flags), Ok(output), Ok(found)) =
        (fcntl_getfl(&output), fstat(&output), path.metadata())
    else {
        return false;
    };
    let is_same = (output.st_dev, output.st_ino) == (found.dev(), found.ino());
    is_same && found.is_file() && !flags.contains(OFlags::APPEND)
}

/// Nobody knows how standard output is opened here.
#[cfg(not(unix))]
fn is_standard_output(_: &Path) -> bool {
    false
}

/// A path that is the same for the same file, even if the file does not exist yet.
fn identity(path: &Path) -> PathBuf {
    store::destination(path).unwrap_or_else(|_| path.to_owned())
}
