//! Shards: the columns of p that one rank saves, and the manifest that names those of all.
//!
//! | file | subject |
//! |---|---|
//! | `part.rs` | what belongs in the manifest, and what in a shard |
//! | `write.rs` | writing a shard |
//! | `read.rs` | reading columns from the shards of any number of ranks |
//! | `names.rs` | the folders and files, and which of them are stale |

mod names;
mod part;
mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::names::Names;
pub(crate) use self::part::{Part, check_inner, name_of, spec_of};
pub(crate) use self::read::SharedShards;
pub(crate) use self::write::shard as write;

/// The shards of a checkpoint, as its manifest names them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) generation: u64,
    /// One for each rank that has saved it.
    pub(crate) shards: Vec<ShardEntry>,
    /// Data of the program.
    pub(crate) application: Value,
}

/// A shard, as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardEntry {
    /// Number of its columns, which follow those of the rank before.
    weights: usize,
    /// The checksum of the file, in hexadecimal digits.
    checksum: String,
}
