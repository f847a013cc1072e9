//! The container of checkpoints and saved models: files of named tensors that are verified before
//! use.
//!
//! It is a safetensors file whose last tensor is the SHA-256 of all bytes before it; see the
//! project's `docs/checkpoint.md`. A [`Plan`] describes its parts, a [`Writer`] streams them and a
//! [`Reader`] reads them by offset, so that no second copy of a large tensor is ever in memory.
//! [`Checkpoints`] keeps the last few of a run in a folder, [`save`] writes a single file.
//!
//! | file | subject |
//! |---|---|
//! | `plan.rs` | which tensors there will be, and the file's header |
//! | `header.rs` | the header of an untrusted file |
//! | `writer.rs`, `reader.rs` | the tensors, streamed |
//! | `series.rs` | the last few checkpoints of a run |
//! | `fault.rs` | why a file cannot be used |
//! | `../replace/` | the write sequence, and the operations of a file system that it needs |

#[cfg(test)]
mod crash_tests;
mod fault;
#[cfg(test)]
mod format_tests;
mod header;
mod plan;
mod reader;
mod series;
mod writer;

pub use fault::Fault;
pub use plan::{Dtype, Plan, Tensor};
pub use reader::Reader;
pub use series::{Checkpoints, Latest, Saved};
pub use writer::{Writer, save, to_bytes};

/// The version of the format that is written and read.
const VERSION: u32 = 2;

/// What the metadata's `format` says.
const FORMAT: &str = "rtrl";

/// The key of the metadata. One key, because the format does not fix the order of several.
const KEY: &str = "rtrl";

/// The name of the last tensor.
const CHECKSUM: &str = "checksum";

/// What errors call the bytes of a checkpoint that is not in a file.
const MEMORY: &str = "checkpoint in memory";

/// Bytes of a SHA-256.
const CHECKSUM_BYTES: usize = 32;

/// The longest header that the safetensors format allows.
const MAX_HEADER: usize = 100_000_000;

/// Turns numbers of `width` bytes between the machine's order and the file's, which is
/// little-endian.
fn reorder(bytes: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}
