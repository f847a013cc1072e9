//! A disk for tests that loses and reorders unsynced changes, and fails on request.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::storage::{NewFile, Storage, StoredFile};

/// Files as a program sees them, by their paths.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Bytes of a write that survive or are lost together.
const SECTOR: usize = 32;

/// Bytes that one write accepts: the writer must call again with the rest.
const SHORT_WRITE: usize = 100;

/// A step of the write sequence that the disk ignores, as if the program had omitted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Files are never synced.
    NoFileSync,
    /// Files are synced after they have been renamed.
    LateFileSync,
    /// Folders are never synced.
    NoFolderSync,
}

/// Which operations fail, counted from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failing {
    Only(usize, io::ErrorKind),
    /// This one and all after it that would change anything.
    From(usize, io::ErrorKind),
}

/// A change of the folder that has not been synced.
#[derive(Debug, Clone)]
enum Change {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, inode) => drop(names.insert(path.clone(), *inode)),
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Remove(path) => drop(names.remove(path)),
        }
    }
}

/// What a program sees, and what would survive if the power failed now.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    names: BTreeMap<PathBuf, usize>,
    contents: Vec<Vec<u8>>,
    safe_names: BTreeMap<PathBuf, usize>,
    safe_contents: Vec<Vec<u8>>,
    changes: Vec<Change>,
    /// Inode, offset and bytes of at most a sector.
    writes: Vec<(usize, usize, Vec<u8>)>,
    /// Inodes that a process holds.
    held: BTreeSet<usize>,
}

impl State {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn write(&mut self, inode: usize, bytes: &[u8]) {
        for sector in bytes.chunks(SECTOR) {
            self.writes.push((inode, self.contents[inode].len(), sector.to_vec()));
            self.contents[inode].extend(sector);
        }
    }

    fn sync(&mut self, inode: usize) {
        self.safe_contents[inode] = self.contents[inode].clone();
        self.writes.retain(|(other, ..)| *other != inode);
    }

    /// Calls `visit` with what the disk may hold after the power failed: every subset of the
    /// changes of the folder in every order, with every subset of the sectors of each file that
    /// then has a name.
    pub(crate) fn crashes(&self, visit: &mut dyn FnMut(Files)) {
        self.some_changes(&self.safe_names, &self.changes, visit);
    }

    fn some_changes(
        &self,
        names: &BTreeMap<PathBuf, usize>,
        left: &[Change],
        visit: &mut dyn FnMut(Files),
    ) {
        self.some_writes(names, visit);
        for place in 0..left.len() {
            let mut names = names.clone();
            left[place].apply(&mut names);
            self.some_changes(&names, &[&left[..place], &left[place + 1..]].concat(), visit);
        }
    }

    fn some_writes(&self, names: &BTreeMap<PathBuf, usize>, visit: &mut dyn FnMut(Files)) {
        let named: BTreeSet<_> = names.values().collect();
        let writes: Vec<_> = self.writes.iter().filter(|(i, ..)| named.contains(i)).collect();
        // What has been lost may be missing at the end, be zero, or be what was there before.
        let kinds = if writes.is_empty() { &[None][..] } else { &[None, Some(0), Some(0xA5)] };
        for &lost in kinds {
            for survivors in 0..1u32 << writes.len() {
                let mut contents = self.safe_contents.clone();
                for (bit, (inode, offset, bytes)) in writes.iter().enumerate() {
                    let survives = survivors & (1 << bit) != 0;
                    write_at(&mut contents[*inode], *offset, bytes, survives, lost);
                }
                let file =
                    |(path, inode): (&PathBuf, &usize)| (path.clone(), contents[*inode].clone());
                visit(names.iter().map(file).collect());
            }
        }
    }
}

fn write_at(file: &mut Vec<u8>, offset: usize, bytes: &[u8], survives: bool, lost: Option<u8>) {
    if !survives && lost.is_none() {
        return;
    }
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    match lost {
        Some(value) if !survives => file[offset..end].fill(value),
        _ => file[offset..end].copy_from_slice(bytes),
    }
}

#[derive(Debug)]
struct Machine {
    state: State,
    flaw: Flaw,
    failing: Option<Failing>,
    operations: usize,
    /// The state after each operation.
    history: Vec<State>,
}

impl Machine {
    /// Counts an operation and fails if it should.
    fn begin(&mut self, changes: bool) -> io::Result<()> {
        let now = self.operations;
        self.operations += 1;
        let kind = match self.failing {
            Some(Failing::Only(place, kind)) if place == now => kind,
            Some(Failing::From(place, kind)) if place <= now && changes => kind,
            _ => return Ok(()),
        };
        self.history.push(self.state.clone());
        Err(io::Error::from(kind))
    }

    fn end(&mut self) {
        self.history.push(self.state.clone());
    }
}

/// A simulated disk with one folder. Clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Simulated(Arc<Mutex<Machine>>);

impl Simulated {
    /// A disk on which these files are safe.
    pub(crate) fn new(files: &Files, flaw: Flaw) -> Self {
        let names: BTreeMap<_, _> =
            files.keys().enumerate().map(|(inode, path)| (path.clone(), inode)).collect();
        let contents: Vec<_> = files.values().cloned().collect();
        let state = State {
            names: names.clone(),
            contents: contents.clone(),
            safe_names: names,
            safe_contents: contents,
            ..State::default()
        };
        let history = vec![state.clone()];
        let machine = Machine { state, flaw, failing: None, operations: 0, history };
        Self(Arc::new(Mutex::new(machine)))
    }

    /// From now on, these operations fail.
    pub(crate) fn fail(&self, failing: Option<Failing>) {
        let mut machine = self.0.lock().unwrap();
        machine.operations = 0;
        machine.failing = failing;
    }

    /// Operations since the last [`Simulated::fail`].
    pub(crate) fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    /// The states since the last call, the first one included.
    pub(crate) fn take_history(&self) -> Vec<State> {
        let mut machine = self.0.lock().unwrap();
        let last = machine.state.clone();
        std::mem::replace(&mut machine.history, vec![last])
    }

    /// The files as a program sees them.
    pub(crate) fn files(&self) -> Files {
        let state = &self.0.lock().unwrap().state;
        let file =
            |(path, inode): (&PathBuf, &usize)| (path.clone(), state.contents[*inode].clone());
        state.names.iter().map(file).collect()
    }

    fn with<R>(
        &self,
        changes: bool,
        operation: impl FnOnce(&mut Machine) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut machine = self.0.lock().unwrap();
        machine.begin(changes)?;
        let result = operation(&mut machine)?;
        machine.end();
        Ok(result)
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

/// An open file, which is held until it is dropped.
struct Open {
    disk: Simulated,
    inode: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.disk.0.lock().unwrap().state.held.remove(&self.inode);
    }
}

impl Write for Open {
    /// One that fails has written half.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut machine = self.disk.0.lock().unwrap();
        let begun = machine.begin(true);
        let accepted = bytes.len().min(SHORT_WRITE);
        let len = if begun.is_ok() { accepted } else { accepted / 2 };
        machine.state.write(self.inode, &bytes[..len]);
        machine.end();
        begun.map(|()| len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Open {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(true, |machine| {
            if machine.flaw == Flaw::None || machine.flaw == Flaw::NoFolderSync {
                machine.state.sync(self.inode);
            }
            Ok(())
        })
    }
}

impl Storage for Simulated {
    fn create(&self, path: &Path, _: Option<&Permissions>) -> io::Result<Box<dyn NewFile>> {
        let inode = self.with(true, |Machine { state, .. }| {
            if state.names.contains_key(path) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let inode = state.contents.len();
            state.contents.push(Vec::new());
            state.safe_contents.push(Vec::new());
            state.held.insert(inode);
            state.change(Change::Create(path.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(Box::new(Open { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.with(false, |Machine { state, .. }| {
            let inode = *state.names.get(path).ok_or_else(missing)?;
            Ok(Box::new(Cursor::new(state.contents[inode].clone())) as Box<dyn StoredFile>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(true, |machine| {
            let inode = *machine.state.names.get(from).ok_or_else(missing)?;
            machine.state.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
            if machine.flaw == Flaw::LateFileSync {
                machine.end();
                machine.state.sync(inode);
            }
            Ok(())
        })
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.with(true, |Machine { state, flaw, .. }| {
            if *flaw != Flaw::NoFolderSync {
                state.safe_names = state.names.clone();
                state.changes.clear();
            }
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.with(false, |Machine { state, .. }| {
            let paths = state.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(paths.filter_map(|path| path.file_name()).map(OsString::from).collect())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(true, |Machine { state, .. }| {
            state.names.get(path).ok_or_else(missing)?;
            state.change(Change::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<()> {
        self.with(true, |Machine { state, .. }| {
            let inode = state.names.get(path).ok_or_else(missing)?;
            if !state.held.contains(inode) {
                state.change(Change::Remove(path.to_owned()));
            }
            Ok(())
        })
    }
}
