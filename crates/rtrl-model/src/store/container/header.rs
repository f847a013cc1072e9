//! The header of an untrusted file.

use std::io::SeekFrom;
use std::path::Path;

use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::{CHECKSUM, CHECKSUM_BYTES, Dtype, FORMAT, Fault, KEY, MAX_HEADER, Tensor, VERSION};
use crate::Error;
use crate::store::StoredFile;

/// A header that matches the length of its file.
pub(super) struct Header {
    /// The bytes themselves, which are a part of what the checksum covers.
    pub(super) bytes: Vec<u8>,
    /// What the program that saved the checkpoint stored with the tensors.
    pub(super) contents: serde_json::Value,
    /// The tensors in the order of the file, without the checksum, each with its first byte.
    pub(super) tensors: Vec<(Tensor, u64)>,
    /// Bytes of the file.
    pub(super) file_len: u64,
}

/// The part of the metadata that every version has.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
struct Contents {
    contents: serde_json::Value,
}

impl Header {
    /// Reads the header of `file`. No allocation depends on a length that the file has not
    /// confirmed.
    pub(super) fn read(file: &mut dyn StoredFile, path: &Path) -> Result<Self, Error> {
        let (bytes, file_len) = header_bytes(file, path)?;
        let refuse = |fault| Error::Container { path: path.to_owned(), fault };
        let foreign = |reason: String| refuse(Fault::Foreign { reason });
        let metadata: Metadata =
            serde_json::from_slice(&bytes[8..]).map_err(|error| foreign(error.to_string()))?;
        let contents = contents(&metadata).map_err(refuse)?;
        check_len(bytes.len(), metadata.data_len(), file_len).map_err(refuse)?;
        let tensors = tensors(&metadata, bytes.len() as u64).map_err(foreign)?;
        Ok(Self { bytes, contents, tensors, file_len })
    }
}

/// The bytes before the first tensor, and the length of the file.
fn header_bytes(file: &mut dyn StoredFile, path: &Path) -> Result<(Vec<u8>, u64), Error> {
    let named = |source| Error::File { path: path.to_owned(), source };
    let refuse = |fault| Error::Container { path: path.to_owned(), fault };
    let got = file.seek(SeekFrom::End(0)).map_err(named)?;
    if got < 8 {
        return Err(refuse(Fault::CutShort { expected: 8, got }));
    }
    file.rewind().map_err(named)?;
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes).map_err(named)?;
    let announced = bytes.iter().rev().fold(0, |len, &byte| len << 8 | u64::from(byte));
    let Some(len) = usize::try_from(announced).ok().filter(|&len| len <= MAX_HEADER) else {
        let reason = format!(
            "the first 8 bytes of the file are not the length of a safetensors header: \
             got {announced}, expected at most {MAX_HEADER}"
        );
        return Err(refuse(Fault::Foreign { reason }));
    };
    let expected = 8 + announced;
    if got < expected {
        return Err(refuse(Fault::CutShort { expected, got }));
    }
    bytes.resize(8 + len, 0);
    file.read_exact(&mut bytes[8..]).map_err(named)?;
    Ok((bytes, got))
}

/// The contents of the metadata, if it is that of a checkpoint of a known version.
fn contents(metadata: &Metadata) -> Result<serde_json::Value, Fault> {
    let foreign = |reason: String| Fault::Foreign { reason };
    let text = metadata.metadata().as_ref().and_then(|keys| keys.get(KEY));
    let text = text.ok_or_else(|| foreign(format!("the metadata has no key `{KEY}`")))?;
    let json = |error: serde_json::Error| foreign(error.to_string());
    let Version { format, version } = serde_json::from_str(text).map_err(json)?;
    if format != FORMAT {
        return Err(foreign(format!(
            "format {format:?} version {version}, expected {FORMAT:?} version {VERSION}"
        )));
    }
    if version != u64::from(VERSION) {
        return Err(Fault::Version { got: version, expected: VERSION });
    }
    let Contents { contents } = serde_json::from_str(text).map_err(json)?;
    Ok(contents)
}

/// Fails unless the file ends where the header says.
fn check_len(header: usize, tensors: usize, got: u64) -> Result<(), Fault> {
    let expected = (header as u64).saturating_add(tensors as u64);
    match got.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Fault::CutShort { expected, got }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Fault::TooLong { expected, got }),
    }
}

/// The tensors before the checksum. Their places have been checked by the safetensors library: they
/// follow one another without gaps, each as long as its type and shape say.
fn tensors(metadata: &Metadata, start: u64) -> Result<Vec<(Tensor, u64)>, String> {
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).ok_or("tensors have no order")?;
        let dtype = Dtype::read(info.dtype).ok_or_else(|| {
            format!("tensor {name:?}: got type {}, expected F64, F32 or U8", info.dtype)
        })?;
        let first = start + info.data_offsets.0 as u64;
        tensors.push((Tensor { name, dtype, shape: info.shape.clone() }, first));
    }
    let checksum = tensors.pop().map(|(tensor, _)| tensor);
    if checksum != Some(Tensor::bytes(CHECKSUM, [CHECKSUM_BYTES])) {
        return Err(format!("the last tensor is no {CHECKSUM} of {CHECKSUM_BYTES} bytes"));
    }
    Ok(tensors)
}
