//! Which engine it is, with its settings.

/// When the work of a flush is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// All at once when a window is full: the least work, one long step in h.
    #[default]
    Bursts,
    /// A share in every step while the next window fills: no step is long.
    Even,
}

/// Which engine to build so that it can load what was saved, without the shape of the layer.
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
    /// An engine that is not part of this crate.
    Custom {
        /// The name under which a factory finds it; it holds the engine's own settings too, if there are any.
        name: String,
        /// Whether it computes equation 5 up to rounding.
        exact: bool,
    },
}

impl Spec {
    /// Whether the engine computes equation 5 up to rounding.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Eager | Self::Deferred { .. } => true,
            Self::Custom { exact, .. } => *exact,
        }
    }
}
