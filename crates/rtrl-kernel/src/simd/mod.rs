//! Numbers, registers and the instruction sets that work on them.
//!
//! | file | subject |
//! |---|---|
//! | `isa.rs` | which instruction set runs, and how to force one |
//! | `vector.rs` | one register of either precision |
//! | `functions.rs` | exp, the logistic function, tanh, and division by a constant |
//! | `real.rs` | the two precisions, and loops that are compiled in this crate |
//! | `buffer.rs` | memory that starts on a cache line |
//! | `prefetch.rs` | asking for memory ahead of its use |
//! | `clear.rs` | replacing subnormal numbers by 0 |
//! | `product.rs`, `activate.rs` | matrix times vector; activations |
//! | `update.rs`, `descend.rs` | the optimisers; plain descent |
//! | `norm.rs`, `squares.rs` | the norm of a gradient; sums of squares in their order |
//! | `forward.rs` | a step of a layer: product, activation and clearing in one call |
//! | `heads.rs` | matrix times vector of layers in heads |
//! | `gates.rs`, `combine.rs` | the elementwise part of gated cells; vector times matrix |
//! | `rank_one.rs` | recursive least squares |

mod activate;
mod buffer;
mod clear;
mod combine;
mod descend;
mod forward;
mod functions;
mod gates;
mod heads;
mod isa;
mod norm;
mod prefetch;
mod product;
mod rank_one;
mod real;
mod squares;
#[cfg(test)]
pub(crate) mod tested;
mod update;
mod vector;

pub use self::activate::{Function, activate};
pub(crate) use self::buffer::Buffer;
pub use self::clear::clear_subnormals;
pub(crate) use self::clear::{Clear, ClearLoop};
pub use self::combine::{combine, sum_rows};
pub use self::descend::descend;
pub use self::forward::Forward;
pub use self::functions::Elementary;
pub use self::gates::{Gru, Lstm};
pub use self::heads::{Heads, head_products};
pub use self::isa::Isa;
pub(crate) use self::isa::Work;
pub use self::norm::{MOST_ROUGH, limited_squares, rough_squares};
pub(crate) use self::prefetch::prefetch;
pub use self::product::product;
pub use self::rank_one::subtract_square;
pub use self::real::{Compiled, Real};
pub(crate) use self::real::{compiled, numbers};
pub use self::squares::{squared_errors, sum_of_squares};
pub use self::update::{Average, Limit, Moment, Scale, Update};
pub use self::vector::Vectorised;
pub(crate) use self::vector::{at_least, is_zero, lanes, load, normal, register, store};
