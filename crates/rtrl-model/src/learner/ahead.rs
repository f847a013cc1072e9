//! Looking ahead: runs of the present network from the present state that change nothing.

use rtrl_kernel::Real;

use crate::{Error, Learner};

impl<T: Real> Learner<T> {
    /// What [`Learner::step`] would put out for this input (in the first of several streams); changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::NonFinite`].
    pub fn peek(&mut self, input: &[T]) -> Result<&[T], Error> {
        self.replay(0, [input])
    }

    /// The last output of a run over `inputs` with today's weights, from the present state of a stream;
    /// changes nothing. Without an input, the last output of that stream's last step.
    ///
    /// This is how a forecast catches up with inputs whose labels have not come yet.
    ///
    /// # Errors
    /// [`Error::NoStream`], [`Error::InputLength`] or [`Error::NonFinite`].
    pub fn replay<'i>(
        &mut self,
        stream: usize,
        inputs: impl IntoIterator<Item = &'i [T]>,
    ) -> Result<&[T], Error> {
        self.start_ahead(stream)?;
        let mut first = true;
        for input in inputs {
            self.look_ahead(stream, input, first)?;
            first = false;
        }
        Ok(if first { &self.streams[stream].outputs } else { self.network.pass.outputs() })
    }

    /// The outputs of a free run of `steps` steps from the present state of a stream, row by row; changes
    /// nothing.
    ///
    /// `input` is told the number of the step, from 0, and the outputs of the step before (at first those of
    /// the stream's last step), and writes the next input.
    ///
    /// # Errors
    /// [`Error::NoStream`], or [`Error::NonFinite`] for an input that is not finite or a run that leaves the
    /// range of the number type.
    pub fn generate(
        &mut self,
        stream: usize,
        steps: usize,
        mut input: impl FnMut(usize, &[T], &mut [T]),
    ) -> Result<Vec<Vec<T>>, Error> {
        self.start_ahead(stream)?;
        let mut next = vec![T::ZERO; self.network.inputs()];
        let mut rows: Vec<Vec<T>> = Vec::new();
        for step in 0..steps {
            let before = rows.last().unwrap_or(&self.streams[stream].outputs);
            input(step, before, &mut next);
            self.look_ahead(stream, &next, step == 0)?;
            rows.push(self.network.pass.outputs().to_vec());
        }
        Ok(rows)
    }

    /// Puts the scratch state where a stream is.
    fn start_ahead(&mut self, stream: usize) -> Result<(), Error> {
        self.check_stream(stream)?;
        self.ahead.copy_from_slice(&self.streams[stream].state);
        Ok(())
    }

    /// One step of the scratch state; only the first sees the forced set.
    fn look_ahead(&mut self, stream: usize, input: &[T], first: bool) -> Result<(), Error> {
        let teacher = first.then_some(&self.streams[stream].teacher);
        let network = &mut self.network;
        network.pass.run(&network.layers, self.steps, &self.ahead, teacher, input)?;
        self.ahead.copy_from_slice(network.pass.next());
        Ok(())
    }
}
