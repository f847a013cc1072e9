//! Steps over whole arrays.

use rtrl_kernel::Real;

use super::Learner;
use crate::error::{at_step, check_length};
use crate::{Error, Targets};

/// The results of [`Learner::run`].
#[derive(Debug, Clone, PartialEq)]
pub struct Run<T> {
    /// The outputs at t + 1, steps x streams x outputs, row by row.
    pub outputs: Vec<T>,
    /// The loss at t + 1, summed over the streams, one value per step.
    pub losses: Vec<T>,
}

impl<T: Real> Learner<T> {
    /// Takes `steps` steps, with the same bits as that many calls of [`Learner::step_streams`].
    ///
    /// `inputs` holds x, steps x streams x inputs, and `targets` the targets of the same steps,
    /// steps x streams x outputs, both row by row without gaps. Use [`Targets::None`] for a run
    /// without targets; in [`Targets::Some`], a row without any target is a step without a target.
    ///
    /// ```
    /// use rtrl_model::{Learner, Network, Targets};
    ///
    /// # fn main() -> Result<(), rtrl_model::Error> {
    /// let network = Network::<f32>::builder(4, 1).build()?;
    /// let mut learner = Learner::builder(network).build()?;
    /// let (x, d) = ([0.1, 0.2, 0.3], [0.5; 3 * 4]);
    /// let run = learner.run(3, &x, Targets::All(&d))?;
    /// assert_eq!((run.losses.len(), run.outputs.len()), (3, 3 * 4));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] for arrays of another size and [`Error::Memory`], with nothing changed.
    /// [`Error::AtStep`] with the error of a step: the steps before it are done, and the failed
    /// step has the effect of its error.
    pub fn run(
        &mut self,
        steps: usize,
        inputs: &[T],
        targets: Targets<'_, T>,
    ) -> Result<Run<T>, Error> {
        let (streams, width) = (self.streams(), self.network.inputs());
        let outputs = self.network.outputs();
        check_length("input of a run", [steps, streams, width], inputs.len())?;
        if let Some(got) = targets.len() {
            check_length("target of a run", [steps, streams, outputs], got)?;
        }
        let mut run = Run::with_capacity([steps, streams, outputs])?;
        let mut samples = vec![None; streams];
        for t in 0..steps {
            for (b, sample) in samples.iter_mut().enumerate() {
                let row = t * streams + b;
                *sample = Some((&inputs[row * width..][..width], targets.row(row, outputs)));
            }
            let report = self.step_streams(&samples).map_err(|error| at_step(t, error))?;
            run.outputs.extend_from_slice(report.outputs);
            run.losses.push(report.loss);
        }
        Ok(run)
    }
}

impl<T: Real> Run<T> {
    fn with_capacity(shape: [usize; 3]) -> Result<Self, Error> {
        let mut run = Self { outputs: Vec::new(), losses: Vec::new() };
        let len = shape.iter().fold(1, |len: usize, &size| len.saturating_mul(size));
        let refused = run.outputs.try_reserve_exact(len).is_err()
            || run.losses.try_reserve_exact(shape[0]).is_err();
        if refused {
            let bytes = len as u128 * size_of::<T>() as u128;
            return Err(Error::Memory { what: "the outputs of a run", bytes });
        }
        Ok(run)
    }
}
