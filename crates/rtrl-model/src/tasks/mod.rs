//! Task generators: seeded streams of inputs and targets.

mod xor;

pub use self::xor::PipelinedXor;
