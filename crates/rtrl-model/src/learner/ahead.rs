//! Looking ahead: runs of the current network from the current state that change nothing.

use rtrl_kernel::Real;

use crate::{Error, Learner};

impl<T: Real> Learner<T> {
    /// The outputs that [`Learner::step`] would compute for this input, in the first stream.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::NonFinite`].
    pub fn peek(&mut self, input: &[T]) -> Result<&[T], Error> {
        self.replay(0, [input])
    }

    /// The last outputs of a run over `inputs` with the current weights, from the current state of
    /// a stream. Changes nothing. Without an input, these are the outputs of the stream's last
    /// step.
    ///
    /// Forecasts use this to replay inputs whose labels are not known yet. It allocates nothing.
    /// For anything else, clone [`Learner::state`] and run [`Learner::network`] on it.
    ///
    /// # Errors
    /// [`Error::NoStream`], [`Error::InputLength`] or [`Error::NonFinite`].
    pub fn replay<'i>(
        &mut self,
        stream: usize,
        inputs: impl IntoIterator<Item = &'i [T]>,
    ) -> Result<&[T], Error> {
        self.check_stream(stream)?;
        self.ahead.copy_from(&self.streams[stream].state)?;
        for input in inputs {
            self.network.forward(&mut self.ahead, input)?;
        }
        Ok(self.ahead.outputs())
    }

    /// The outputs of a free run of `steps` steps from the current state of a stream, row by row.
    /// Changes nothing.
    ///
    /// `input` is called with the number of the step, from 0, and the outputs of the previous step
    /// (at first those of the stream's last step, even after a reset), and writes the next input.
    ///
    /// # Errors
    /// [`Error::NoStream`], or [`Error::NonFinite`] for an input that is not finite or a run that
    /// overflows.
    pub fn generate(
        &mut self,
        stream: usize,
        steps: usize,
        mut input: impl FnMut(usize, &[T], &mut [T]),
    ) -> Result<Vec<Vec<T>>, Error> {
        self.replay(stream, [])?;
        let mut next = vec![T::ZERO; self.network.inputs()];
        let mut rows = Vec::new();
        for step in 0..steps {
            input(step, self.ahead.outputs(), &mut next);
            rows.push(self.network.forward(&mut self.ahead, &next)?.to_vec());
        }
        Ok(rows)
    }
}
