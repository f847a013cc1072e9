//! Files of networks and learners: saved models, checkpoints and conformance cases.
//!
//! | file | subject |
//! |---|---|
//! | `replace/` | files that are replaced whole |
//! | `container/` | named tensors that are streamed and verified |
//! | `fields.rs` | named fields, planned, written, read and compared |
//! | `network.rs` | saved models |
//! | `description.rs` | the shape of a network, as plain data |
//! | `learner.rs`, `supplies.rs` | checkpoints of learners and forecasters; what they hold by name only |
//! | `engines.rs` | engines without their learners |
//! | `learners.rs` | checkpoints of several learners in one file |
//! | `torch/`, `tensor.rs` | weights under `PyTorch`'s names, in plain safetensors files |
//! | `case/` | conformance cases and traces |

pub mod case;
pub mod container;
mod description;
mod engines;
pub(crate) mod fields;
mod learner;
pub mod learners;
pub mod network;
mod replace;
mod supplies;
mod tensor;
pub mod torch;

pub use self::engines::save_engines;
pub use self::learner::StoredLearner;
pub(crate) use self::learner::{Waiting, stored_width};
pub use self::learners::StoredLearners;
#[cfg(test)]
pub(crate) use self::replace::simulated;
pub(crate) use self::replace::{Disk, Storage, StoredFile, make_folder, replace_in, replace_with};
pub use self::replace::{check_writable, destination, is_appended_to, replace};
pub use self::supplies::{EngineFactory, Supplies};
