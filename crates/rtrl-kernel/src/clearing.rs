//! When the p of an engine that updates it at every step is cleared of subnormal numbers.
//!
//! Where sensitivities vanish, for example those of an input that is 0 for a while, rounding keeps
//! them subnormal for ever: 0.8 times the smallest number rounds to the same number. Processors
//! multiply such numbers a hundred times slower than others. To check every sensitivity at every
//! step would take too long, so all of p is cleared after every [`PERIOD`] steps. The deferred
//! engine needs no period: it clears p when it flushes a window.

use crate::error::Error;
use crate::simd::Real;
use crate::store::{Sink, Source};

/// Steps from p = 0 to the first clearing, and from one to the next.
const PERIOD: u8 = 64;

/// The name of the stored number of steps.
const STEPS: &str = "since_clearing";

/// The steps since p was last cleared, or 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clearing {
    steps: u8,
}

impl Clearing {
    /// Counts a step. Returns whether p must be cleared after it.
    #[inline]
    pub(crate) fn count_step(&mut self) -> bool {
        self.steps = (self.steps + 1) % PERIOD;
        self.steps == 0
    }

    /// Passes the number of steps on.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn save<T: Real>(self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        to.tensor(STEPS, [1, 1], &mut |_, row| row[0] = T::from_f64(self.steps.into()))
    }

    /// Reads the number of steps.
    ///
    /// # Errors
    /// [`Error::Tensor`] and [`Error::Number`] for what [`Clearing::save`] never passes on, and
    /// those of the source.
    pub(crate) fn load<T: Real>(from: &mut dyn Source<T>) -> Result<Self, Error> {
        let mut steps = T::ZERO;
        from.read(STEPS, [1, 1], &mut |_, row| steps = row[0])?;
        let is_stored = |&count: &u8| T::from_f64(count.into()) == steps;
        match (0..PERIOD).find(is_stored) {
            Some(steps) => Ok(Self { steps }),
            None => Err(Error::Number {
                name: STEPS.to_owned(),
                row: 0,
                expected: "a whole number below 64",
                got: steps.to_string(),
            }),
        }
    }
}
