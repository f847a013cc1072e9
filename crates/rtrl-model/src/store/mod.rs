//! The files that a learner lives in.
//!
//! | file | subject |
//! |---|---|
//! | `replace/` | files that are replaced whole |
//! | `container/` | named tensors that are streamed and verified |
//! | `network.rs` | saved models |
//! | `description.rs` | what a file says of a network besides its numbers |
//! | `torch.rs`, `tensor.rs` | weights under `PyTorch`'s names, in plain safetensors files |
//! | `case.rs` | conformance cases and traces |

pub mod case;
pub mod container;
pub(crate) mod description;
pub mod network;
mod replace;
mod tensor;
pub mod torch;

#[cfg(test)]
pub(crate) use self::replace::simulated;
pub(crate) use self::replace::{Disk, Storage, StoredFile, make_folder, replace_in, replace_with};
pub use self::replace::{check_writable, replace};
