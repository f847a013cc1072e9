//! Tasks for recurrent networks, the experiments of Williams & Zipser (1989), online forecasting
//! against baselines, and instruments that analyse trained networks.
//!
//! | file | subject |
//! |---|---|
//! | `tasks/` | seeded generators of inputs and targets |
//! | `paper/` | the experiments of Williams & Zipser 1989 |
//! | `cells/` | simple units, GRU and LSTM on the same tasks |
//! | `inspect/` | instruments that analyse a network |
//! | `prequential.rs` | scores of forecasters on the same series |
//! | `baselines.rs` | persistence and linear autoregression |
//! | `labels.rs`, `class_baselines.rs` | scores of forecasts of classes, and their baselines |
//! | `forecast/` | a network that forecasts a series, numbers or a class |
//! | `interval.rs` | prediction intervals from past errors |
//! | `scale.rs` | running standardisation |
//! | `jobs.rs` | independent jobs, several at a time |
//! | `bits.rs` | numbers in files that may be infinite or NaN |
//! | `error.rs` | errors |

pub mod baselines;
mod bits;
pub mod cells;
pub mod class_baselines;
mod error;
pub mod forecast;
pub mod inspect;
pub mod interval;
mod jobs;
pub mod labels;
pub mod paper;
pub mod prequential;
pub mod scale;
pub mod tasks;

pub use error::Error;
