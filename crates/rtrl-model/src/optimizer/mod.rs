//! From a gradient to a change of the weights.
//!
//! The chain: clip by value, then clip by the joint norm of all gradients, then the optimiser at
//! the rate of the schedule, then decoupled weight decay, then the spectral limit, if there is one.
//! Formulas and defaults are those of `torch.optim` and `torch.nn.utils.clip_grad_norm_`;
//! `docs/equations.md` lists them.
//!
//! | file | subject |
//! |---|---|
//! | `settings.rs` | all settings of the chain, as plain data |
//! | `updater.rs` | an update: all weights change, or none |
//! | `clip.rs` | limits on the gradient |
//! | `rule.rs` | the optimisers and their constants |
//! | `bias.rs` | Adam's bias corrections |
//! | `custom.rs` | custom optimisers |
//! | `moments.rs` | the numbers that an optimiser keeps for each weight |
//! | `layer.rs` | the moments and the next weights of one matrix |
//! | `schedule.rs` | the learning rate over the updates |
//! | `spectral.rs`, `no_spectral.rs` | the spectral limit, with linear algebra and without |

mod bias;
mod clip;
mod custom;
mod layer;
mod moments;
mod rule;
mod schedule;
mod settings;
#[cfg(feature = "linalg")]
mod spectral;
#[cfg(not(feature = "linalg"))]
#[path = "no_spectral.rs"]
mod spectral;
mod updater;

pub use clip::Clipping;
pub use custom::{CustomOptimizer, CustomRule};
pub use rule::Optimizer;
pub use schedule::{CustomSchedule, RateSchedule};
pub use settings::UpdateSettings;
pub(crate) use updater::Updater;

#[cfg(test)]
mod custom_tests;
#[cfg(test)]
mod tests;
