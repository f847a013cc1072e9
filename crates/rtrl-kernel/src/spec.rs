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
    /// An engine that is not part of this crate.
    Custom {
        /// The name by which a factory finds it. It includes the engine's settings, if there are
        /// any.
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
