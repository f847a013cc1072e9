//! Structure: which sensitivities are zero for ever, from the connections alone.
//!
//! `p^k_ij` stays 0 unless state k can be reached from a state that weight row i drives, along
//! entries of the Jacobian that can differ from 0. The set of these states is the *reach* of the
//! row. Columns of p never mix, so the rows with one reach form a block with its own states and its
//! own engine, on `J[reach, reach]`. Nothing is lost; `docs/structure.md` has the proof.
//!
//! | file | subject |
//! |---|---|
//! | `pattern.rs` | which entries of the Jacobian can differ from 0 |
//! | `reach.rs` | the reach of every weight row, and rows with the same one |
//! | `merge.rs` | reaches that are cheaper together |
//! | `closed.rs` | whether blocks hold all that their rows reach |

mod closed;
mod merge;
mod pattern;
mod reach;

pub use closed::check_blocks;
pub use merge::merge;
pub use pattern::Pattern;
pub use reach::{Extent, Reach, reaches};
