//! Task generators: seeded streams of inputs and targets.

mod add;
mod xor;

pub use add::AddTask;
pub use xor::PipelinedXor;
