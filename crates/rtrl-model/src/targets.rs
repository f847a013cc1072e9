//! The targets of a step, with explicit presence: 0 is an ordinary target.

use rtrl_kernel::{Isa, Real, squared_errors, sum_of_squares};

use crate::Error;
use crate::error::{Quantity, check_finite};

/// The targets d(t+1) of a step: for no output, for all of them or for some.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a, T> {
    /// The step has no target: state and sensitivities advance, nothing is learnt.
    None,
    /// One for each output.
    All(&'a [T]),
    /// One for each output that has one.
    Some(&'a [Option<T>]),
}

/// The data of one stream for a step: the input x(t) and the targets for t + 1.
pub type Sample<'a, T> = (&'a [T], Targets<'a, T>);

impl<'a, T> Targets<'a, T> {
    /// Row `row` of targets that hold `width` values a row.
    pub(crate) fn row(&self, row: usize, width: usize) -> Targets<'a, T> {
        match self {
            Self::None => Targets::None,
            Self::All(values) => Targets::All(&values[row * width..][..width]),
            Self::Some(values) => Targets::Some(&values[row * width..][..width]),
        }
    }
}

impl<T: Real> Targets<'_, T> {
    /// The target of output `k`, if it has one.
    pub fn get(&self, k: usize) -> Option<T> {
        match self {
            Self::None => None,
            Self::All(values) => values.get(k).copied(),
            Self::Some(values) => values.get(k).copied().flatten(),
        }
    }

    /// Number of values, present or not; `None` for a step without targets.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::All(values) => Some(values.len()),
            Self::Some(values) => Some(values.len()),
        }
    }

    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        match self {
            Self::None => false,
            Self::All(values) => !values.is_empty(),
            Self::Some(values) => values.iter().any(Option::is_some),
        }
    }

    /// Writes `e_k = d_k - y_k`, 0 where there is no target (equation 3), and returns the sum of
    /// the squares over k ascending.
    ///
    /// # Errors
    /// [`Error::Kernel`] if lengths do not fit.
    #[inline]
    pub(crate) fn squared_errors(
        &self,
        isa: Isa,
        outputs: &[T],
        errors: &mut [T],
    ) -> Result<T, Error> {
        match self {
            Self::All(targets) => Ok(squared_errors(isa, targets, outputs, errors)?),
            Self::Some(_) => {
                for (k, (error, &y)) in errors.iter_mut().zip(outputs).enumerate() {
                    *error = self.get(k).map_or(T::ZERO, |d| d - y);
                }
                Ok(sum_of_squares(isa, errors))
            }
            Self::None => {
                errors.fill(T::ZERO);
                Ok(T::ZERO)
            }
        }
    }

    /// Fails unless there are targets for exactly `outputs` outputs (or none).
    #[inline]
    pub(crate) fn check_length(&self, outputs: usize) -> Result<(), Error> {
        match self.len() {
            Some(got) if got != outputs => Err(Error::TargetLength { expected: outputs, got }),
            _ => Ok(()),
        }
    }

    /// Fails unless there are targets for exactly `outputs` outputs (or none), all finite.
    pub(crate) fn check(&self, step: u64, outputs: usize) -> Result<(), Error> {
        self.check_length(outputs)?;
        match self {
            Self::All(values) => check_finite(step, Quantity::Target, values),
            _ => self.check_present(step, outputs),
        }
    }

    fn check_present(&self, step: u64, outputs: usize) -> Result<(), Error> {
        let mut present = (0..outputs).filter_map(|k| Some((k, self.get(k)?)));
        present.find(|(_, value)| !value.is_finite()).map_or(Ok(()), |(index, value)| {
            let (quantity, value) = (Quantity::Target, value.to_f64());
            Err(Error::NonFinite { step, quantity, index, value })
        })
    }
}
