//! Comparing the results of an engine with the reference.

use rtrl_kernel::Real;

use super::report::{Finding, Problem, Worst};

/// Compares the results of an engine with the reference, and records the largest difference.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// How large a difference may be, relative to the largest number of a reading; `None` to
    /// measure only.
    pub(super) tolerance: Option<f64>,
    /// The largest difference so far.
    pub(super) worst: Option<Worst>,
}

impl Judge {
    /// Compares a reading with the reference; `place` names a number of it.
    pub(super) fn compare<T: Real>(
        &mut self,
        got: &[T],
        expected: &[T],
        place: &dyn Fn(usize) -> String,
    ) -> Result<(), Finding> {
        if got.len() != expected.len() {
            let (got, expected) = (got.len() as f64, expected.len() as f64);
            return Err(Finding::new(Problem::Count, "number of values".to_owned(), got, expected));
        }
        let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.to_f64().abs()));
        let mut worst: Option<(f64, usize)> = None;
        for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
            let (got, expected) = (got.to_f64(), expected.to_f64());
            if !got.is_finite() || !expected.is_finite() {
                return Err(Finding::new(Problem::NotFinite, place(index), got, expected));
            }
            // Numbers that vanish become 0 at steps that an engine may choose.
            let least = T::NEGLIGIBLE.to_f64();
            let vanish = self.tolerance != Some(0.0) && got.abs() < least && expected.abs() < least;
            let off = if vanish { 0.0 } else { relative((got - expected).abs(), largest) };
            if worst.is_none_or(|(most, _)| off > most) {
                worst = Some((off, index));
            }
        }
        let Some((difference, index)) = worst else { return Ok(()) };
        if self.worst.as_ref().is_none_or(|worst| difference > worst.difference) {
            self.worst = Some(Worst { difference, place: place(index) });
        }
        match self.tolerance {
            None => Ok(()),
            // NaN is not.
            Some(tolerance) if difference <= tolerance => Ok(()),
            Some(tolerance) => {
                let problem = Problem::TooFar { difference, tolerance };
                let (got, expected) = (got[index].to_f64(), expected[index].to_f64());
                Err(Finding::new(problem, place(index), got, expected))
            }
        }
    }
}

/// `off / largest`, where nothing is small compared with a reading that should be all zero.
fn relative(off: f64, largest: f64) -> f64 {
    match off {
        0.0 => 0.0,
        off if largest > 0.0 => off / largest,
        _ => f64::INFINITY,
    }
}

/// Fails unless both engines return the same bits: the second one was never interrupted.
pub(super) fn same_bits<T: Real>(
    got: &[T],
    uninterrupted: &[T],
    place: &dyn Fn(usize) -> String,
) -> Result<(), Finding> {
    for (index, (got, expected)) in got.iter().zip(uninterrupted).enumerate() {
        let (got, expected) = (got.to_f64(), expected.to_f64());
        if got.to_bits() != expected.to_bits() {
            return Err(Finding::new(Problem::OtherBits, place(index), got, expected));
        }
    }
    Ok(())
}
