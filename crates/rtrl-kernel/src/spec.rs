//! The description of an engine: its kind and its settings.

/// When the work of a flush is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// All at once when a window is full: this is the least work, but one step in h is long.
    #[default]
    Bursts,
    /// Spread over the steps of the next window: no step is long.
    Even,
}

/// The name of the tensor of p.
const SENSITIVITIES: &str = "sensitivities";

/// The name of a tensor of block `number`.
pub(crate) fn in_block(number: usize, name: &str) -> String {
    format!("block.{number}.{name}")
}

/// The engine to build in order to load what was saved, without the shape of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// [`Eager`](crate::Eager).
    Eager,
    /// [`Deferred`](crate::Deferred).
    Deferred {
        /// Steps in a window.
        window: usize,
        /// When the work of a full window is done.
        pace: Pace,
    },
    /// [`Diagonal`](crate::Diagonal).
    Diagonal,
    /// [`Blocks`](crate::Blocks): these, in this order.
    Blocks(Vec<Block>),
    /// An engine that is not part of this crate.
    Custom {
        /// The name by which a factory finds it. It includes the engine's settings, if there are
        /// any.
        name: String,
        /// Whether it computes equation 5 up to rounding.
        exact: bool,
    },
}

/// Weight rows with the states in which their sensitivities can differ from 0, and the engine that
/// carries these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The states, ascending.
    pub states: Vec<u32>,
    /// The weight rows, ascending. No other block has any of them.
    pub rows: Vec<u32>,
    /// Number of weights that learn in these rows.
    pub weights: usize,
    /// The engine.
    pub engine: Spec,
}

impl Spec {
    /// Names and shapes of the tensors of p, as the engine saves them, for n `states` and q
    /// `weights` that learn: the large ones among all that it saves. Nothing for a custom engine.
    pub fn sensitivities(&self, states: usize, weights: usize) -> Vec<(String, [usize; 2])> {
        let p = |rows| vec![(SENSITIVITIES.to_owned(), [rows, weights])];
        match self {
            Self::Eager | Self::Deferred { .. } => p(states),
            Self::Diagonal => p(1),
            Self::Blocks(blocks) => {
                let of_block = |(number, block): (usize, &Block)| {
                    let mut list = block.engine.sensitivities(block.states.len(), block.weights);
                    for (name, _) in &mut list {
                        *name = in_block(number, name);
                    }
                    list
                };
                blocks.iter().enumerate().flat_map(of_block).collect()
            }
            Self::Custom { .. } => Vec::new(),
        }
    }

    /// Whether the engine computes equation 5 up to rounding.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Eager | Self::Deferred { .. } | Self::Diagonal => true,
            Self::Blocks(blocks) => blocks.iter().all(|block| block.engine.is_exact()),
            Self::Custom { exact, .. } => *exact,
        }
    }
}
