//! Steps of several streams, of all together or of one, and streams that are added.

use rtrl_kernel::Real;

use super::stream::Stream;
use super::{Combined, Learner, StepReport};
use crate::gradient::Gradient;
use crate::{Error, Sample, Targets};

/// The samples of a step: those of the streams from `first` on. All others skip the step.
pub(super) struct Samples<'s, 'a, T> {
    first: usize,
    samples: &'s [Option<Sample<'a, T>>],
}

impl<'a, T> Samples<'_, 'a, T> {
    /// The sample of stream `b`.
    #[inline]
    pub(super) fn get(&self, b: usize) -> Option<&Sample<'a, T>> {
        self.samples.get(b.wrapping_sub(self.first))?.as_ref()
    }
}

impl<T: Real> Learner<T> {
    /// One time step of every stream, each with its input and its targets. A stream whose sample is
    /// `None` skips the step: its state, forced set and sensitivities are unchanged, it does not
    /// contribute to loss and gradient, and the report shows its last outputs and errors of 0.
    ///
    /// # Errors
    /// As [`Learner::step`]; with several streams, [`Error::InStream`] names the stream. An error
    /// that is found before anything has changed leaves all streams unchanged. After an
    /// [`Error::Overflow`] all streams have advanced, and the others have kept their p, but the
    /// weights have not changed, and the gradients that the engines have accumulated are dropped.
    pub fn step_streams(
        &mut self,
        samples: &[Option<Sample<'_, T>>],
    ) -> Result<StepReport<'_, T>, Error> {
        self.check_samples(samples.len())?;
        self.turn = 0..self.streams.len();
        let (step, taken) = (self.steps, self.take(&Samples { first: 0, samples }));
        let (loss, updated) = taken?;
        if let Some(combined) = &mut self.combined {
            combined.copy_outputs(&self.streams);
        }
        Ok(self.report(step, loss, updated))
    }

    /// One time step of one stream; the others skip it. This is [`Learner::step_streams`] with one
    /// sample, bit for bit, but the report has only the outputs and errors of this stream, and the
    /// time does not depend on the number of streams, unless gradients accumulate over several
    /// steps.
    ///
    /// # Errors
    /// As [`Learner::step_streams`], and [`Error::NoStream`] with nothing changed.
    pub fn step_stream(
        &mut self,
        stream: usize,
        input: &[T],
        targets: Targets<'_, T>,
    ) -> Result<StepReport<'_, T>, Error> {
        self.check_stream(stream)?;
        // Sums of several steps are those of all streams.
        let is_alone = self.accumulator.each_step;
        self.turn = if is_alone { stream..stream + 1 } else { 0..self.streams.len() };
        let samples = &Samples { first: stream, samples: &[Some((input, targets))] };
        let (step, taken) = (self.steps, self.take(samples));
        let (loss, updated) = taken?;
        let report = self.report(step, loss, updated);
        let Stream { state, errors, .. } = &self.streams[stream];
        Ok(StepReport { outputs: state.outputs(), errors, ..report })
    }

    /// The data path of a step. Returns the loss and whether weights changed.
    fn take(&mut self, samples: &Samples<'_, '_, T>) -> Result<(T, bool), Error> {
        let loss = self.compare(samples)?;
        self.whole = false;
        let updated = match self.advance(samples) {
            Ok(()) => {
                let (updated, whole) = self.learn(samples)?;
                self.whole = whole;
                updated
            }
            Err(error) => self.recover(error)?,
        };
        Ok((loss, updated))
    }

    /// Adds a stream in the initial state of the network, p = 0, and returns its number. The
    /// learner then continues, bit for bit, as one that was built with this stream, which has
    /// skipped all steps so far. A checkpoint includes it.
    ///
    /// Streams that are added share the threads of the first one.
    ///
    /// # Errors
    /// [`Error::Memory`] if its sensitivities do not fit in memory, with nothing changed.
    pub fn add_stream(&mut self) -> Result<usize, Error> {
        let bytes = self.streams[0].engine.state_bytes();
        let refused = |_| Error::Memory { what: "a stream", bytes: bytes as u128 };
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(refused)?;
        let mut gradient = Gradient::zeros(&self.network)?;
        let mut engine = self.streams[0].engine.clone();
        // The gradient that the first stream has accumulated is its own. If it has overflowed, it
        // is dropped here, and the first stream reports it.
        let stride = gradient.recurrent.stride();
        let _ = engine.gradient(gradient.recurrent.padded_mut(), stride);
        let _ = engine.reset();
        let decay = T::from_f64(self.sensitivity_decay);
        let stream = Stream::new(&self.network, engine, decay)?;
        gradient.clear();
        let outputs = self.network.outputs();
        match &mut self.combined {
            Some(combined) => combined.add_stream(outputs),
            None => self.combined = Some(Combined::new(outputs, 2, gradient)),
        }
        self.streams.push(stream);
        // The sums start at 0.
        self.whole = false;
        self.turn = 0..self.streams.len();
        Ok(self.streams.len() - 1)
    }
}
