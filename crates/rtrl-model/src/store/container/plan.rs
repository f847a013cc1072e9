//! The contents of a checkpoint, planned before the first number is written.

use std::collections::{HashMap, HashSet};
use std::fmt;

use rtrl_kernel::Real;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Serialize;

use super::{CHECKSUM, CHECKSUM_BYTES, FORMAT, KEY, MAX_HEADER, VERSION};
use crate::Error;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// `f64`
    F64,
    /// `f32`
    F32,
    /// Bytes.
    U8,
}

impl Dtype {
    /// That of `T`.
    pub fn of<T: Real>() -> Self {
        if T::NAME == "f32" { Self::F32 } else { Self::F64 }
    }

    /// Bytes of an element.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::U8 => 1,
        }
    }

    pub(super) fn read(found: safetensors::Dtype) -> Option<Self> {
        match found {
            safetensors::Dtype::F64 => Some(Self::F64),
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::U8 => Some(Self::U8),
            _ => None,
        }
    }

    fn stored(self) -> safetensors::Dtype {
        match self {
            Self::F64 => safetensors::Dtype::F64,
            Self::F32 => safetensors::Dtype::F32,
            Self::U8 => safetensors::Dtype::U8,
        }
    }
}

/// A tensor of a checkpoint, without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape; a matrix is stored row by row.
    pub shape: Vec<usize>,
}

impl Tensor {
    /// A tensor of numbers of type `T`.
    pub fn numbers<T: Real>(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), dtype: Dtype::of::<T>(), shape: shape.into() }
    }

    /// A tensor of bytes.
    pub fn bytes(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), dtype: Dtype::U8, shape: shape.into() }
    }

    /// Bytes of all elements, if they can be counted.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.dtype.width(), |bytes, &size| bytes.checked_mul(size))
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} {:?}", self.dtype, self.shape)
    }
}

/// The tensors of a checkpoint in the order in which they will be written, and what is stored with
/// them.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything before the first tensor, as written in the file.
    pub(super) header: Vec<u8>,
    /// Without the checksum.
    pub(super) tensors: Vec<Tensor>,
    /// Bytes of the file.
    pub(super) file_len: usize,
}

/// The metadata of the file.
#[derive(Serialize)]
struct Written<'a, C> {
    format: &'a str,
    version: u32,
    contents: &'a C,
}

impl Plan {
    /// A checkpoint of these tensors, in this order, with `contents` in its header.
    ///
    /// # Errors
    /// [`Error::Format`] for a repeated or reserved name, a tensor that would not be aligned (wide
    /// types must be first), or more bytes than can be addressed.
    pub fn new(contents: &impl Serialize, tensors: Vec<Tensor>) -> Result<Self, Error> {
        let refused = |reason| Error::Format { what: "plan of a file".to_owned(), reason };
        let (infos, tensor_bytes) = infos(&tensors).map_err(refused)?;
        let metadata = Written { format: FORMAT, version: VERSION, contents };
        let header = header(&metadata, infos).map_err(|error| refused(error.to_string()))?;
        if header.len() > MAX_HEADER {
            return Err(refused(format!(
                "the header has {} bytes, expected at most {MAX_HEADER}",
                header.len()
            )));
        }
        let file_len = header.len().checked_add(tensor_bytes);
        let file_len = file_len.ok_or_else(|| refused(TOO_LARGE.to_owned()))?;
        Ok(Self { header, tensors, file_len })
    }

    /// Bytes that the file will have.
    pub fn file_len(&self) -> usize {
        self.file_len
    }
}

const TOO_LARGE: &str = "the tensors have more bytes than can be addressed";

/// The header's entries, checksum included, and the bytes of all tensors.
fn infos(tensors: &[Tensor]) -> Result<(Vec<(String, TensorInfo)>, usize), String> {
    let checksum = Tensor::bytes(CHECKSUM, [CHECKSUM_BYTES]);
    let mut names = HashSet::from(["__metadata__"]);
    let mut start = 0usize;
    let mut infos = Vec::with_capacity(tensors.len() + 1);
    for tensor in tensors.iter().chain([&checksum]) {
        let name = tensor.name.as_str();
        if !names.insert(name) {
            return Err(format!(
                "got the name {name:?}, expected a unique name that is not reserved"
            ));
        }
        let width = tensor.dtype.width();
        if !start.is_multiple_of(width) {
            return Err(format!(
                "{name:?} would start at byte {start}, expected a multiple of {width}: \
                 tensors of wide types come first"
            ));
        }
        let end = tensor.len().and_then(|len| start.checked_add(len)).ok_or(TOO_LARGE)?;
        let info = TensorInfo {
            dtype: tensor.dtype.stored(),
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        infos.push((name.to_owned(), info));
        start = end;
    }
    Ok((infos, start))
}

/// The length of the JSON text, and the text, padded so that tensors are aligned.
fn header(
    metadata: &Written<'_, impl Serialize>,
    infos: Vec<(String, TensorInfo)>,
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(metadata)?)]);
    let mut json = serde_json::to_vec(&Metadata::new(Some(metadata), infos)?)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reason(tensors: Vec<Tensor>) -> String {
        Plan::new(&json!(null), tensors).unwrap_err().to_string()
    }

    #[test]
    fn plans_that_no_file_can_follow_are_refused() {
        let bytes = |name: &str, len: usize| Tensor::bytes(name, [len]);
        assert!(reason(vec![bytes("a", 1), bytes("a", 1)]).contains("\"a\", expected a unique"));
        for taken in ["checksum", "__metadata__"] {
            assert!(reason(vec![bytes(taken, 32)]).contains("not reserved"));
        }
        let misaligned = reason(vec![bytes("a", 3), Tensor::numbers::<f32>("b", [1])]);
        assert!(misaligned.contains("at byte 3, expected a multiple of 4"), "{misaligned}");
        assert!(reason(vec![Tensor::numbers::<f64>("a", [usize::MAX, 2])]).contains("addressed"));
        assert!(reason(vec![bytes("a", usize::MAX)]).contains("addressed"));
    }

    #[test]
    fn tensors_start_at_multiples_of_eight() {
        for name in ["a", "ab", "abc", "abcd", "abcde"] {
            let plan = Plan::new(&json!(name), vec![Tensor::numbers::<f64>(name, [3])]).unwrap();
            assert_eq!(plan.header.len() % 8, 0);
            assert_eq!(plan.file_len(), plan.header.len() + 3 * 8 + 32);
        }
    }
}
