//! Simple units: `y(t+1) = f(W z(t))`, or `(1 - a) y(t) + a f(W z(t))` where they leak (equations
//! 2, 2').

use rtrl_kernel::{Function, Real};

use super::CellStep;
use super::leaks::Leaks;
use crate::activation::{Run, evaluate, runs};
use crate::{Activation, Error};

/// A layer of simple units: one weight row and one state each.
#[derive(Debug, Clone)]
pub(crate) struct Simple<T> {
    pub(crate) activations: Vec<Activation>,
    runs: Vec<Run>,
    pub(crate) leaks: Option<Leaks<T>>,
}

impl<T: Real> Simple<T> {
    /// Units with one activation and one leak for all of them, or one for each. `room` is the
    /// number of values in the slices of a step: the number of units, or that with its padding.
    ///
    /// # Errors
    /// [`Error::Setting`] for another number of activations or leaks, and for a leak out of range.
    pub(crate) fn new(
        units: usize,
        activations: &[Activation],
        leaks: &[f64],
        room: usize,
    ) -> Result<Self, Error> {
        let activations = each_unit(activations, units)?;
        let runs = runs(&activations, room);
        Ok(Self { leaks: Leaks::build(leaks, units)?, activations, runs })
    }

    /// The function of all units, if it is one, built in, and nothing else makes their outputs.
    #[inline]
    pub(crate) fn function(&self) -> Option<Function> {
        match (self.runs.as_slice(), &self.leaks) {
            ([run], None) => run.function,
            _ => None,
        }
    }

    /// [`Units::forward`](super::Units::forward).
    #[inline(always)]
    pub(super) fn forward(&self, step: CellStep<'_, T>) -> Result<bool, Error> {
        let CellStep { isa, sums, outputs, next, slopes, .. } = step;
        let functions = (self.runs.as_slice(), self.activations.as_slice());
        if !evaluate(isa, functions, sums, next, slopes)? {
            return Ok(false);
        }
        if let Some(leaks) = &self.leaks {
            leaks.apply(outputs, next, slopes);
        }
        Ok(true)
    }
}

/// One activation per unit.
fn each_unit(given: &[Activation], units: usize) -> Result<Vec<Activation>, Error> {
    match given {
        [one] => Ok(vec![one.clone(); units]),
        list if list.len() == units => Ok(list.to_vec()),
        list => Err(Error::Setting {
            what: "number of activations",
            expected: format!("1 or {units}"),
            got: list.len().to_string(),
        }),
    }
}
