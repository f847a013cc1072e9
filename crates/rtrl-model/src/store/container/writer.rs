//! Checkpoints written tensor by tensor.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::Path;

use rtrl_kernel::Real;
use sha2::{Digest, Sha256};

use super::{Dtype, Fault, MEMORY, Plan, Tensor, reorder};
use crate::{Error, store};

/// Writes a checkpoint to `path` like [`store::replace`](crate::store::replace): the file is either
/// the old or the new one, never a mixture.
///
/// # Errors
/// Those of `write`, [`Error::Container`] if it does not follow the plan, [`Error::File`]. An
/// existing file is then unchanged (but see [`store::replace`](crate::store::replace)).
pub fn save(
    path: &Path,
    plan: &Plan,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    store::replace_with(path, |sink| stream(sink, path, plan, write))
}

/// The bytes of a checkpoint, without a file.
///
/// # Errors
/// Those of `write`, [`Error::Container`] if it does not follow the plan.
pub fn to_bytes(
    plan: &Plan,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    stream(&mut bytes, Path::new(MEMORY), plan, write)?;
    Ok(bytes)
}

/// Writes the bytes of a checkpoint to `sink`, which errors call `path`.
pub(super) fn stream<'a>(
    sink: &'a mut (dyn Write + 'a),
    path: &'a Path,
    plan: &'a Plan,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let sink = BufWriter::with_capacity(BUFFER, sink);
    let mut writer = Writer { sink, path, plan, hash: Sha256::new(), place: 0, written: 0 };
    writer.pass(&plan.header)?;
    write(&mut writer)?;
    writer.finish()
}

/// Short rows are buffered up to this many bytes; longer ones are written directly.
const BUFFER: usize = 1 << 18;

/// Writes the tensors of a checkpoint in the order of its [`Plan`], each in one call or in many.
///
/// The calls must follow the plan exactly: other names, types or lengths are errors.
pub struct Writer<'a> {
    sink: BufWriter<&'a mut (dyn Write + 'a)>,
    path: &'a Path,
    plan: &'a Plan,
    /// The hash of everything written so far.
    hash: Sha256,
    /// The current tensor.
    place: usize,
    /// Bytes of it that have been written.
    written: usize,
}

impl Writer<'_> {
    /// Writes the next numbers of the tensor `name`, for example a row.
    ///
    /// # Errors
    /// [`Error::Container`] if it is not this tensor's turn, it has another type, fewer numbers are
    /// missing, or one is not finite; [`Error::File`] if they cannot be written.
    pub fn numbers<T: Real>(&mut self, name: &str, values: &[T]) -> Result<(), Error> {
        if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
            return Err(self.refuse(name, "finite numbers", &odd.to_string()));
        }
        self.elements(name, Dtype::of::<T>(), bytemuck::cast_slice(values))
    }

    /// Writes the next bytes of the tensor `name`.
    ///
    /// # Errors
    /// As [`Writer::numbers`].
    pub fn bytes(&mut self, name: &str, values: &[u8]) -> Result<(), Error> {
        self.elements(name, Dtype::U8, values)
    }

    fn elements(&mut self, name: &str, dtype: Dtype, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.advance();
        let got = || format!("{} of {dtype:?}", count(bytes.len() / dtype.width()));
        let Some(tensor) = self.plan.tensors.get(self.place) else {
            return Err(self.refuse(name, "no more tensors", &got()));
        };
        let missing = length(tensor) - self.written;
        if tensor.name != name || tensor.dtype != dtype || missing < bytes.len() {
            return Err(self.refuse(name, &self.turn(tensor), &got()));
        }
        let mut bytes = Cow::Borrowed(bytes);
        if cfg!(target_endian = "big") {
            reorder(bytes.to_mut(), dtype.width());
        }
        self.pass(&bytes)?;
        self.written += bytes.len();
        Ok(())
    }

    /// Moves to the first incomplete tensor.
    fn advance(&mut self) {
        while let Some(tensor) = self.plan.tensors.get(self.place)
            && self.written == length(tensor)
        {
            self.place += 1;
            self.written = 0;
        }
    }

    /// What is expected next.
    fn turn(&self, tensor: &Tensor) -> String {
        let Tensor { name, dtype, .. } = tensor;
        let missing = (length(tensor) - self.written) / dtype.width();
        format!("at most {} of {dtype:?} of `{name}`", count(missing))
    }

    fn refuse(&self, name: &str, expected: &str, got: &str) -> Error {
        let (name, expected, got) = (name.to_owned(), expected.to_owned(), got.to_owned());
        let fault = Fault::Tensor { name, expected, got };
        Error::Container { path: self.path.to_owned(), fault }
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let named = |source| Error::File { path: self.path.to_owned(), source };
        self.sink.write_all(bytes).map_err(named)
    }

    /// Writes the checksum after everything else.
    fn finish(mut self) -> Result<(), Error> {
        self.advance();
        if let Some(tensor) = self.plan.tensors.get(self.place) {
            return Err(self.refuse(&tensor.name, &self.turn(tensor), "the end of the file"));
        }
        let checksum: [u8; super::CHECKSUM_BYTES] = self.hash.finalize_reset().into();
        self.write(&checksum)?;
        self.sink.flush().map_err(|source| Error::File { path: self.path.to_owned(), source })
    }
}

/// Bytes of a tensor of a plan, which has counted them before.
fn length(tensor: &Tensor) -> usize {
    tensor.len().unwrap_or(usize::MAX)
}

fn count(elements: usize) -> String {
    format!("{elements} element{}", if elements == 1 { "" } else { "s" })
}
