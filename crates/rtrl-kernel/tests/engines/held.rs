//! What an engine holds: p, and what it saves.

use rtrl_kernel::{Engine, Real, Snapshot};

/// p, one row after the other.
pub(crate) fn p<T: Real>(engine: &dyn Engine<T>, states: usize) -> Vec<T> {
    let mut rows = vec![T::ZERO; engine.weights() * states];
    for (k, row) in rows.chunks_exact_mut(engine.weights().max(1)).enumerate() {
        engine.sensitivities(k, row).unwrap();
    }
    rows
}

/// What the engine saves.
pub(crate) fn saved<T: Real>(engine: &dyn Engine<T>) -> Snapshot<T> {
    let mut snapshot = Snapshot::default();
    engine.save(&mut snapshot).unwrap();
    snapshot
}
