//! From a gradient to a change of the weights.
//!
//! The chain: clip by value, then clip by the joint norm of all gradients, then the optimiser. Formulas
//! and defaults are those of `torch.optim` and `torch.nn.utils.clip_grad_norm_`.

mod clip;
mod rule;
mod updater;

pub use clip::Clipping;
pub use rule::Optimizer;
pub(crate) use updater::Updater;
