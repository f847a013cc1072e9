//! Task generators: seeded streams of inputs and targets.
//!
//! | file | subject |
//! |---|---|
//! | `task.rs` | their common trait: [`Task`] |
//! | `catalogue.rs` | all of them by name |
//! | `xor.rs`, `sequence.rs`, `nonmatch.rs`, `oscillation.rs`, `turing.rs` | the tasks of the paper |
//! | `add.rs` | the Add task of Marschall, Cho & Savin 2020 |
//! | `recall.rs` | the recall of a symbol after a random time |
//! | `mackey_glass.rs`, `henon.rs`, `lorenz.rs`, `narma.rs`, `counting.rs` | more recent series |
//! | `series.rs` | series whose target is the next value |
//! | `delay.rs` | answers that are due some steps later |
//! | `machine.rs` | the finite-state machine that solves a task, if there is one |

mod add;
pub(crate) mod catalogue;
mod counting;
mod delay;
mod henon;
mod lorenz;
mod machine;
mod mackey_glass;
mod narma;
mod nonmatch;
mod oscillation;
mod recall;
mod sequence;
mod series;
mod task;
mod turing;
mod xor;

pub use self::add::AddTask;
pub use self::catalogue::{CATALOGUE, Entry, find};
pub use self::counting::Counting;
pub use self::henon::Henon;
pub use self::lorenz::Lorenz;
pub use self::machine::{Situation, TaskMachine, TaskStep};
pub use self::mackey_glass::MackeyGlass;
pub use self::narma::Narma;
pub use self::nonmatch::DelayedNonmatch;
pub use self::oscillation::Oscillation;
pub use self::recall::Recall;
pub use self::sequence::Sequence;
pub use self::task::Task;
pub use self::turing::Turing;
pub use self::xor::PipelinedXor;
