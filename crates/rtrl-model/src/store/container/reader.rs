//! Verified checkpoints, read by offset.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rtrl_kernel::Real;
use sha2::{Digest, Sha256};

use super::header::Header;
use super::{CHECKSUM_BYTES, Dtype, Fault, MEMORY, Tensor, reorder};
use crate::Error;
use crate::store::{Disk, Storage, StoredFile};

/// A checkpoint whose length, header and checksum are verified.
///
/// The file stays open, so it can be read to its end even if a new one replaces it in the meantime.
/// No program may write into it: checkpoints are replaced, never changed.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Arc<Mutex<Box<dyn StoredFile>>>,
    contents: serde_json::Value,
    tensors: Vec<(Tensor, u64)>,
}

/// Bytes that the verification holds in memory.
const BUFFER: usize = 1 << 20;

impl Reader {
    /// Opens a checkpoint and verifies it in one pass.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Container`] with the reason if it is
    /// not a valid checkpoint.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_in(&Disk, path)
    }

    /// Verifies the bytes of a checkpoint, as [`to_bytes`](super::to_bytes) returns them.
    ///
    /// # Errors
    /// [`Error::Container`] with the reason if they are not a valid checkpoint.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::verified(Box::new(Cursor::new(bytes)), Path::new(MEMORY))
    }

    pub(super) fn open_in(storage: &dyn Storage, path: &Path) -> Result<Self, Error> {
        let opened = storage.open(path);
        let file = opened.map_err(|source| Error::File { path: path.to_owned(), source })?;
        Self::verified(file, path)
    }

    fn verified(mut file: Box<dyn StoredFile>, path: &Path) -> Result<Self, Error> {
        let header = Header::read(&mut *file, path)?;
        verify(&mut *file, path, &header)?;
        let Header { contents, tensors, .. } = header;
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)), contents, tensors })
    }

    /// The tensors whose names start with `prefix`, under the rest of their names, without the
    /// contents.
    pub(crate) fn part(&self, prefix: &str) -> Self {
        let tensors = self.tensors.iter().filter_map(|(tensor, first)| {
            let name = tensor.name.strip_prefix(prefix)?.to_owned();
            Some((Tensor { name, ..tensor.clone() }, *first))
        });
        Self {
            path: self.path.clone(),
            file: Arc::clone(&self.file),
            contents: serde_json::Value::Null,
            tensors: tensors.collect(),
        }
    }

    /// The path of the checkpoint.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the program that saved the checkpoint stored with the tensors.
    pub fn contents(&self) -> &serde_json::Value {
        &self.contents
    }

    /// The tensors in the order of the file.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().map(|(tensor, _)| tensor)
    }

    /// The tensor `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors().find(|tensor| tensor.name == name)
    }

    /// An error about the contents of the file.
    pub(crate) fn refuse(&self, reason: String) -> Error {
        Error::Format { what: self.path.display().to_string(), reason }
    }

    /// Fails unless the checkpoint has this tensor, of this type and shape. Call this before
    /// reserving memory for it.
    ///
    /// # Errors
    /// [`Error::Container`].
    pub fn expect(&self, expected: &Tensor) -> Result<(), Error> {
        let found = self.find(&expected.name);
        if found == Some(expected) {
            return Ok(());
        }
        let got = found.map_or("none".to_owned(), ToString::to_string);
        Err(self.refuse_tensor(&expected.name, expected.to_string(), got))
    }

    /// Fills `values` with the numbers of the tensor `name` from index `first` on, counted from 0
    /// and row by row.
    ///
    /// # Errors
    /// [`Error::Container`] if there is no such tensor, it has another type, ends earlier, or a
    /// number is not finite; [`Error::File`] if it cannot be read.
    pub fn numbers<T: Real>(
        &mut self,
        name: &str,
        first: usize,
        values: &mut [T],
    ) -> Result<(), Error> {
        self.elements(name, Dtype::of::<T>(), first, bytemuck::cast_slice_mut(values))?;
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(odd) => {
                Err(self.refuse_tensor(name, "finite numbers".to_owned(), odd.to_string()))
            }
        }
    }

    /// Fills `values` with bytes of the tensor `name`, as [`Reader::numbers`] does.
    ///
    /// # Errors
    /// As [`Reader::numbers`].
    pub fn bytes(&mut self, name: &str, first: usize, values: &mut [u8]) -> Result<(), Error> {
        self.elements(name, Dtype::U8, first, values)
    }

    fn elements(
        &mut self,
        name: &str,
        dtype: Dtype,
        first: usize,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let place = self.place(name, dtype, first, bytes.len())?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(place));
        read.and_then(|_| file.read_exact(bytes))
            .map_err(|source| Error::File { path: self.path.clone(), source })?;
        reorder(bytes, dtype.width());
        Ok(())
    }

    /// Where in the file these elements start.
    fn place(&self, name: &str, dtype: Dtype, first: usize, len: usize) -> Result<u64, Error> {
        let found = self.tensors.iter().find(|(tensor, _)| tensor.name == name);
        let width = dtype.width();
        if let Some((tensor, start)) = found
            && tensor.dtype == dtype
            && let Some(skipped) = first.checked_mul(width)
            && let Some(end) = skipped.checked_add(len)
            && tensor.len().is_some_and(|bytes| end <= bytes)
        {
            return Ok(start + skipped as u64);
        }
        let got = found.map_or("none".to_owned(), |(tensor, _)| tensor.to_string());
        let expected = format!("{} elements of {dtype:?} from place {first}", len / width);
        Err(self.refuse_tensor(name, expected, got))
    }

    fn refuse_tensor(&self, name: &str, expected: String, got: String) -> Error {
        let fault = Fault::Tensor { name: name.to_owned(), expected, got };
        Error::Container { path: self.path.clone(), fault }
    }
}

/// Fails unless the last bytes of the file are the checksum of all before, the header included.
fn verify(file: &mut dyn StoredFile, path: &Path, header: &Header) -> Result<(), Error> {
    let named = |source| Error::File { path: path.to_owned(), source };
    let mut hash = Sha256::new_with_prefix(&header.bytes);
    let mut left = header.file_len - (header.bytes.len() + CHECKSUM_BYTES) as u64;
    let mut buffer = vec![0; usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER))];
    while left > 0 {
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        file.read_exact(&mut buffer[..len]).map_err(named)?;
        hash.update(&buffer[..len]);
        left -= len as u64;
    }
    let mut stored = [0; CHECKSUM_BYTES];
    file.read_exact(&mut stored).map_err(named)?;
    let found: [u8; CHECKSUM_BYTES] = hash.finalize().into();
    if found == stored {
        return Ok(());
    }
    let fault = Fault::Checksum { expected: digits(&stored), got: digits(&found) };
    Err(Error::Container { path: path.to_owned(), fault })
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
