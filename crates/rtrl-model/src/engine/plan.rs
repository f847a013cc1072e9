//! The report of a learner's engine: blocks, memory and operations.

use std::fmt;

use rtrl_kernel::{Block, Pace, Pattern, Real, Spec, cost};

use crate::{Error, Learner};

/// How a learner computes its sensitivities, as [`Learner::engine_plan`] reports it.
///
/// ```
/// use rtrl_model::{Learner, Network};
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// let network = Network::<f32>::builder(16, 2).layer(16).build()?;
/// let plan = Learner::builder(network).build()?.engine_plan()?;
/// let states: Vec<usize> = plan.blocks.iter().map(|block| block.states).collect();
/// // Weights of the first layer reach the units of both, those of the second only its own.
/// assert_eq!(states, [32, 16]);
/// println!("{plan}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePlan {
    /// The blocks, each with a separate engine; a single one if the network is not
    /// divided, none if no weight of the units learns.
    pub blocks: Vec<BlockPlan>,
    /// Bytes of p of all streams without any padding: n q numbers for a block of n states and q
    /// weights, q for a diagonal one. Those of a custom engine are unknown and count as 0.
    /// [`NetworkBuilder::sensitivity_bytes`](crate::NetworkBuilder::sensitivity_bytes) is an
    /// estimate of the padded p of one stream in one engine.
    pub sensitivity_bytes: u128,
    /// Bytes of everything that the engines of all streams hold: p, its padding, windows, sums.
    pub bytes: usize,
    /// Floating-point operations for the sensitivities and the gradient in a step of one stream
    /// with a target, on average.
    pub operations: u128,
}

/// A block: weight rows, the states in which their sensitivities can differ from 0, and the engine
/// that carries these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPlan {
    /// The engine.
    pub engine: Spec,
    /// States in which the sensitivities of these rows can differ from 0.
    pub states: usize,
    /// Weight rows.
    pub rows: usize,
    /// Weights that learn in these rows.
    pub weights: usize,
}

impl<T: Real> Learner<T> {
    /// Reports how the learner computes its sensitivities: the blocks of the network with their
    /// engines, the memory of all engines, and the operations of a step. Those of a custom engine
    /// are unknown and count as 0.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the network has more states than can be counted.
    pub fn engine_plan(&self) -> Result<EnginePlan, Error> {
        let (network, spec) = (self.network(), self.engine_spec());
        let pattern = network.pattern()?;
        let layout = network.layout();
        let whole = |engine: Spec| Block {
            states: (0..).take(layout.states()).collect(),
            rows: (0..).take(layout.rows()).collect(),
            weights: network.weight_counts().1,
            engine,
        };
        let blocks = match spec {
            Spec::Blocks(blocks) => blocks,
            engine => vec![whole(engine)],
        };
        let operations = blocks.iter().map(|block| operations(block, pattern.as_ref())).sum();
        let numbers = blocks.iter().map(sensitivities).sum::<u128>();
        let streams = self.streams() as u128;
        let plan = |block: Block| BlockPlan {
            engine: block.engine,
            states: block.states.len(),
            rows: block.rows.len(),
            weights: block.weights,
        };
        let blocks = blocks.into_iter().map(plan).collect();
        Ok(EnginePlan {
            blocks,
            sensitivity_bytes: streams * numbers * size_of::<T>() as u128,
            bytes: self.state_bytes(),
            operations,
        })
    }
}

/// Numbers of p of a block in one stream.
fn sensitivities(block: &Block) -> u128 {
    let tensors = block.engine.sensitivities(block.states.len(), block.weights);
    tensors.iter().map(|(_, [rows, columns])| *rows as u128 * *columns as u128).sum()
}

/// Operations of a step of a block.
fn operations(block: &Block, pattern: Option<&Pattern>) -> u128 {
    let states = block.states.len();
    match &block.engine {
        Spec::Eager => {
            let all = states.saturating_mul(states);
            let entries = pattern.map_or(all, |pattern| pattern.entries_between(&block.states));
            cost::eager(entries, block.weights)
        }
        engine => cost::step(engine, states, block.weights),
    }
}

impl fmt::Display for EnginePlan {
    /// A line about all blocks, then one for each group of equal blocks that follow each other.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, sensitivity_bytes, bytes, operations } = self;
        let count = blocks.len();
        let plural = if count == 1 { "" } else { "s" };
        let [p, all] = [*sensitivity_bytes as f64, *bytes as f64].map(|bytes| bytes / 1e6);
        let millions = *operations as f64 / 1e6;
        write!(
            out,
            "sensitivities: {count} block{plural}, {p:.3} MB in engines of {all:.3} MB, \
             {millions:.3} million operations a step"
        )?;
        for alike in blocks.chunk_by(|a, b| a == b) {
            let BlockPlan { engine, states, rows, weights } = &alike[0];
            let engine = name(engine);
            write!(
                out,
                "\n  {} x {engine}: {states} states, {rows} weight rows, {weights} weights that learn",
                alike.len()
            )?;
        }
        Ok(())
    }
}

/// The engine in words.
fn name(engine: &Spec) -> String {
    match engine {
        Spec::Eager => "eager".to_owned(),
        Spec::Deferred { window, pace } => {
            let pace = if *pace == Pace::Even { ", even-paced" } else { "" };
            format!("deferred (window of {window}{pace})")
        }
        Spec::Diagonal => "diagonal".to_owned(),
        Spec::Blocks(_) => "blocks".to_owned(),
        Spec::Custom { name, .. } => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{EngineChoice, Network};

    use super::*;

    fn plan(network: crate::NetworkBuilder<f32>, engine: EngineChoice) -> EnginePlan {
        let learner = Learner::builder(network.build().unwrap()).engine(engine);
        learner.build().unwrap().engine_plan().unwrap()
    }

    #[test]
    fn a_plan_is_displayed_in_a_line_for_each_kind_of_block() {
        let mask = |i: usize| (0..20).map(move |j| j < 4 || (j - 4) / 8 == i / 8);
        let heads = Network::builder(16, 3).connections((0..16).flat_map(mask).collect::<Vec<_>>());
        let mut plan = plan(heads, EngineChoice::Eager);
        // 2 heads of 8 units, each with 12 weights: 2 * 8² * 96 operations each.
        assert_eq!(plan.operations, 2 * 2 * 64 * 96);
        assert_eq!(plan.sensitivity_bytes, 2 * 8 * 96 * 4);
        plan.bytes = 12_345;
        let expected = "sensitivities: 2 blocks, 0.006 MB in engines of 0.012 MB, \
                        0.025 million operations a step\n  \
                        2 x eager: 8 states, 8 weight rows, 96 weights that learn";
        assert_eq!(plan.to_string(), expected);
    }

    #[test]
    fn a_network_without_structure_is_one_block() {
        let plan = plan(Network::builder(5, 1), EngineChoice::DEFERRED);
        let [block] = plan.blocks.as_slice() else { panic!("one block") };
        assert_eq!((block.states, block.rows, block.weights), (5, 5, 35));
        assert!(plan.to_string().contains("1 x deferred (window of 16): 5 states"), "{plan}");
        assert_eq!(plan.sensitivity_bytes, 5 * 35 * 4);
    }

    #[test]
    fn p_is_counted_for_every_stream_and_once_for_a_diagonal() {
        let network = Network::<f64>::builder(40, 2).heads_of(1).build().unwrap();
        let learner = Learner::builder(network).streams(3).build().unwrap();
        let plan = learner.engine_plan().unwrap();
        assert_eq!(plan.blocks[0].engine, Spec::Diagonal);
        assert_eq!(plan.sensitivity_bytes, 3 * 40 * 4 * 8);
        assert!(plan.bytes as u128 > plan.sensitivity_bytes);
    }
}
