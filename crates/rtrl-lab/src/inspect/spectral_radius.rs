//! The spectral radius of a step's Jacobian.

use rtrl_model::{Error, Learner, Matrix, Observer, Real, StepReport};

use super::spectral_radius;

/// The largest absolute eigenvalue of the Jacobian of the last step ([`Learner::jacobian`]), over
/// all streams, computed at every n-th step. If it remains above 1, p grows.
///
/// It takes `O(n^3)` and allocates. Its last bits may differ between machines; the run does not
/// depend on them.
#[derive(Debug, Clone, Copy)]
pub struct SpectralRadius {
    every: u64,
    seen: u64,
    last: Option<f64>,
}

impl SpectralRadius {
    /// Observes the first step and then every `every`-th.
    ///
    /// # Errors
    /// [`Error::Setting`] if `every` is 0.
    pub fn new(every: u64) -> Result<Self, Error> {
        if every == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "interval between observations", expected, got });
        }
        Ok(Self { every, seen: 0, last: None })
    }

    /// The last value; `None` before the first step, or if a Jacobian is not finite or its
    /// eigenvalues cannot be computed.
    pub fn last(&self) -> Option<f64> {
        self.last
    }
}

impl<T: Real> Observer<T> for SpectralRadius {
    fn observe(&mut self, learner: &Learner<T>, _: &StepReport<'_, T>) {
        if self.seen.is_multiple_of(self.every) {
            let radius = |b| radius(&learner.jacobian(b).ok()?);
            let largest = |most: f64, b| radius(b).map(|radius| radius.max(most));
            self.last = (0..learner.streams()).try_fold(0.0, largest);
        }
        self.seen += 1;
    }
}

fn radius<T: Real>(jacobian: &Matrix<T>) -> Option<f64> {
    let finite = jacobian.iter_rows().flatten().all(|value| value.is_finite());
    let radius = finite.then(|| spectral_radius(&jacobian.to_rows()).ok())??;
    radius.is_finite().then_some(radius)
}
