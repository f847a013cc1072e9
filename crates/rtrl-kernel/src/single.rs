//! Building an engine that is not made of others.

use crate::deferred::Deferred;
use crate::diagonal::Diagonal;
use crate::eager::Eager;
use crate::engine::Engine;
use crate::error::Error;
use crate::layout::Layout;
use crate::simd::{Isa, Real};
use crate::spec::Spec;
use crate::threads::Workers;

/// The engine that `spec` describes on these threads; `None` for blocks and for a custom one.
pub(crate) fn single<T: Real>(
    spec: &Spec,
    layout: &Layout,
    learns: &[bool],
    isa: Isa,
    workers: Workers,
) -> Result<Option<Box<dyn Engine<T>>>, Error> {
    Ok(match spec {
        Spec::Eager => Some(Box::new(Eager::with_workers(layout, learns, isa, workers)?)),
        &Spec::Deferred { window, pace } => {
            let window = (window, pace);
            Some(Box::new(Deferred::with_workers(layout, learns, window, isa, workers)?))
        }
        Spec::Diagonal => Some(Box::new(Diagonal::new(layout, learns, isa)?)),
        Spec::Blocks(_) | Spec::Custom { .. } => None,
    })
}
