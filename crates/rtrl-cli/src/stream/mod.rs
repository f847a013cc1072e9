//! A stream: rows enter, predictions leave, and the network learns. The commands `train` and `run`
//! are two users of it.
//!
//! | file | subject |
//! |---|---|
//! | `flow.rs` | the loop over the rows |
//! | `forecasters.rs` | what is computed from a row: the forecasts, their errors and intervals |
//! | `subject.rs` | what is forecast, numbers or a class, and how lines show it |
//! | `predictions.rs` | predictions as lines of text |
//! | `progress.rs` | progress on standard error |
//! | `history.rs` | what a report shows of all rows, in bounded memory |
//! | `checkpoint.rs` | everything that the stream needs to continue |
//! | `seen.rs` | the rows that a checkpoint has seen, as a hash |
//! | `kept.rs` | what a checkpoint holds next to the learners |
//! | `lock.rs` | one process for a checkpoint |

pub(crate) mod checkpoint;
pub(crate) mod flow;
pub(crate) mod forecasters;
pub(crate) mod history;
mod kept;
mod lock;
pub(crate) mod predictions;
pub(crate) mod progress;
mod seen;
pub(crate) mod subject;
