//! Terms of the algorithm that can be broken.

/// A term of the algorithm to break, in order to test that a comparison detects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is broken.
    None,
    /// Sensitivities of forced units are not taken as zero.
    ForcedColumns,
    /// The immediate influence of a weight is omitted.
    ImmediateInfluence,
    /// The derivatives of the previous step are used.
    Slope,
    /// The error is taken against the value that was forced.
    Error,
    /// A reset does not clear p.
    Reset,
    /// One state is omitted from the recurrent sum.
    RecurrentSum,
    /// The part that a state keeps is omitted from the recurrent sum: by a leaky unit or a GRU of
    /// its output, by an LSTM of its c.
    Kept,
    /// The second block of weight rows is omitted from the Jacobian: the gate u of a GRU, f of an
    /// LSTM.
    Gate,
    /// Rows that drive the c of an LSTM do not drive its y.
    OutputDrive,
    /// Rows of a layer do not drive the layers above.
    LayerAbove,
    /// Sensitivities that vanish are never cleared.
    Clearing,
}

impl Fault {
    /// All that break something in every run; [`Fault::Clearing`] does only where sensitivities
    /// vanish.
    pub const ALL: [Self; 10] = [
        Self::ForcedColumns,
        Self::ImmediateInfluence,
        Self::Slope,
        Self::Error,
        Self::Reset,
        Self::RecurrentSum,
        Self::Kept,
        Self::Gate,
        Self::OutputDrive,
        Self::LayerAbove,
    ];
}
