//! What one does with recurrent networks: tasks for them to learn, the experiments of Williams & Zipser
//! 1989, and instruments that show what a network has become.
//!
//! | file | subject |
//! |---|---|
//! | `tasks/` | seeded generators of inputs and targets |
//! | `paper/` | the experiments of Williams & Zipser 1989 |
//! | `inspect/` | instruments that show what a network does |
//! | `scale.rs` | running standardisation |

pub mod inspect;
pub mod paper;
pub mod scale;
pub mod tasks;
