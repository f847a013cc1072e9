//! What a file stores only by name.

use std::fmt;
use std::sync::Arc;

use rtrl_kernel::{Engine, Isa, Layout, Real, Threads};

use crate::{Activation, Error, Loss, Optimizer, RateSchedule};

/// What a program supplies when it reads a learner from a file: everything that files store only by
/// name, and the choices for this machine.
#[derive(Debug, Clone)]
pub struct Supplies<T: Real> {
    /// Custom activations.
    pub activations: Vec<Activation>,
    /// A custom loss.
    pub loss: Option<Loss<T>>,
    /// A custom schedule.
    pub schedule: Option<RateSchedule>,
    /// A custom optimiser; its learning rate is that of the file.
    pub optimizer: Option<Optimizer>,
    /// Builds custom engines.
    pub engine: Option<EngineFactory<T>>,
    /// The number of threads. The results do not depend on it.
    pub threads: Threads,
    /// The instruction set; that of [`Isa::from_env`] by default. The results do not depend on it.
    pub isa: Option<Isa>,
}

impl<T: Real> Default for Supplies<T> {
    fn default() -> Self {
        Self {
            activations: Vec::new(),
            loss: None,
            schedule: None,
            optimizer: None,
            engine: None,
            threads: Threads::Auto,
            isa: None,
        }
    }
}

/// Builds the custom engines that a file names.
#[derive(Clone)]
pub struct EngineFactory<T: Real>(Arc<Build<T>>);

type Build<T> = dyn Fn(&Layout, &[bool], &str) -> Result<Box<dyn Engine<T>>, Error> + Send + Sync;

impl<T: Real> EngineFactory<T> {
    /// A factory that calls `build` with the shape of the layer, the weights that learn (as
    /// [`Network::learning`](crate::Network::learning)) and the name from the engine's
    /// [`Spec::Custom`](rtrl_kernel::Spec::Custom).
    pub fn new(
        build: impl Fn(&Layout, &[bool], &str) -> Result<Box<dyn Engine<T>>, Error>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(build))
    }

    pub(crate) fn build(
        &self,
        layout: &Layout,
        learns: &[bool],
        name: &str,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        self.0(layout, learns, name)
    }
}

impl<T: Real> fmt::Debug for EngineFactory<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EngineFactory")
    }
}
