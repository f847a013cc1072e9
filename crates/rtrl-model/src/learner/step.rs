//! The data path of a step, from top to bottom: compare, advance, settle, learn, report.

use rtrl_kernel::Real;

use super::combined::gradient;
use super::recovery::in_stream;
use super::stream::{Read, Stream};
use super::streams::Samples;
use super::{Learner, StepReport};
use crate::error::{Quantity, check_finite};
use crate::{Error, Gradient};

impl<T: Real> Learner<T> {
    /// Equations 1 to 4 in every stream whose turn it is, without advancing. Returns the loss.
    #[inline]
    pub(super) fn compare(&mut self, samples: &Samples<'_, '_, T>) -> Result<T, Error> {
        let network = &self.network;
        if let ([lone], Some((input, targets))) = (&mut *self.streams, samples.get(0)) {
            lone.compare(network, &self.loss, self.steps, input, targets)?;
            return Ok(lone.loss);
        }
        self.compare_several(samples)
    }

    /// [`Learner::compare`] of several streams, or of one that skips the step.
    #[inline(never)]
    fn compare_several(&mut self, samples: &Samples<'_, '_, T>) -> Result<T, Error> {
        let network = &self.network;
        let several = self.streams.len() > 1;
        let mut loss = T::ZERO;
        for (b, stream) in self.turn.clone().zip(&mut self.streams[self.turn.clone()]) {
            let Some((input, targets)) = samples.get(b) else {
                stream.sit_out();
                continue;
            };
            let result = stream.compare(network, &self.loss, self.steps, input, targets);
            result.map_err(|error| in_stream(several.then_some(b), error))?;
            loss += stream.loss;
        }
        if several {
            check_finite(self.steps, Quantity::Loss, &[loss])?;
        }
        Ok(loss)
    }

    /// Equations 5 and 6 in every stream whose turn it is; moves y and the forced set to t + 1.
    #[inline]
    pub(super) fn advance(&mut self, samples: &Samples<'_, '_, T>) -> Result<(), Error> {
        let has_target = self.has_target();
        let read = match &self.accumulator {
            sums if sums.each_step => Read::Step,
            sums if sums.is_due() && (has_target || sums.has_target) => Read::Sum,
            _ => Read::Nothing,
        };
        let (network, forcing) = (&self.network, self.teacher_forcing);
        if let ([lone], Some((_, targets))) = (&mut *self.streams, samples.get(0)) {
            lone.advance(network, forcing.then_some(targets), read);
        } else {
            self.advance_several(samples, read);
        }
        self.settle(read)?;
        self.steps += 1;
        Ok(())
    }

    /// [`Learner::advance`] of several streams, or of one that skips the step.
    #[inline(never)]
    fn advance_several(&mut self, samples: &Samples<'_, '_, T>, read: Read) {
        let (network, forcing) = (&self.network, self.teacher_forcing);
        let (first, streams) = (self.turn.start, &mut self.streams[self.turn.clone()]);
        let each = streams.len().div_ceil(self.workers.count());
        self.workers.each([(streams, each)], |share, [streams]| {
            for (b, stream) in (first + share * each..).zip(streams) {
                match samples.get(b) {
                    Some((_, targets)) => {
                        stream.advance(network, forcing.then_some(targets), read);
                    }
                    None => stream.read_accumulated(read),
                }
            }
        });
    }

    /// Ends the work of the streams whose turn it is: sums their gradients, or reports the first
    /// failure.
    #[inline]
    pub(super) fn settle(&mut self, read: Read) -> Result<(), Error> {
        if self.any(|stream| stream.failure.is_some()) {
            self.lose()?;
        }
        if let Some(combined) = &mut self.combined {
            combined.accumulate(&self.streams[self.turn.clone()], read != Read::Nothing);
        }
        Ok(())
    }

    /// Equation 6: the gradient of this step, and the updates that are due. Returns whether weights
    /// changed and whether the gradient is finite.
    #[inline]
    pub(super) fn learn(&mut self, samples: &Samples<'_, '_, T>) -> Result<(bool, bool), Error> {
        let has_target = self.has_target();
        let fitted = if self.fit.is_some() { self.fit(samples) } else { Ok(false) };
        // That of one stream was checked where it was computed.
        let checked = self.combined.is_none();
        let gradient = (gradient(self.combined.as_ref(), &self.streams), checked);
        let result =
            self.accumulator.take(gradient, has_target, &mut self.updater, &mut self.network);
        let (updated, finite) = match result {
            Ok(updated) => (updated, true),
            Err(quantity) => self.skip_update(quantity)?,
        };
        Ok((fitted? | updated, finite))
    }

    /// Recovers from a refused update. Returns false, since no weight has changed, and whether
    /// the gradient of the step is finite: the sum over streams or steps may not be.
    #[cold]
    fn skip_update(&mut self, quantity: Quantity) -> Result<(bool, bool), Error> {
        self.drop_unread()?;
        let updated = self.recover(self.refused(quantity))?;
        Ok((updated, gradient(self.combined.as_ref(), &self.streams).is_finite()))
    }

    /// Drops what the engines have accumulated, if the sum that it belongs to was dropped.
    fn drop_unread(&mut self) -> Result<(), Error> {
        if self.accumulator.each_step || self.accumulator.has_target {
            return Ok(());
        }
        for stream in &mut self.streams {
            stream.read_accumulated(Read::Sum);
        }
        self.settle(Read::Sum)
    }

    /// Fits a readout that learns by least squares to the streams, one after the other. Returns
    /// whether there was a sample.
    ///
    /// # Errors
    /// [`Error::Fit`] for the first refused sample; the others have been used.
    #[inline(never)]
    fn fit(&mut self, samples: &Samples<'_, '_, T>) -> Result<bool, Error> {
        let (Some(fit), Some(readout)) = (&mut self.fit, &mut self.network.readout) else {
            return Ok(false);
        };
        let (mut fitted, mut refused) = (false, None);
        for (b, stream) in self.turn.clone().zip(&self.streams[self.turn.clone()]) {
            let Some((_, targets)) = samples.get(b) else { continue };
            match fit.update(&stream.state.tape.features, targets, &mut readout.weights) {
                Ok(()) => fitted |= stream.has_target,
                Err(quantity) => refused = refused.or(Some((b, quantity))),
            }
        }
        let Some((b, quantity)) = refused else { return Ok(fitted) };
        let several = self.streams.len() > 1;
        let error = in_stream(several.then_some(b), Error::Fit { quantity });
        self.recover(error).map(|_| fitted)
    }

    /// The report of step `step`, the last one.
    pub(crate) fn report(&self, step: u64, loss: T, updated: bool) -> StepReport<'_, T> {
        let Self { streams, recoveries, .. } = self;
        let (outputs, errors) = match &self.combined {
            Some(combined) => (combined.outputs.as_slice(), combined.errors.as_slice()),
            None => (streams[0].state.outputs(), streams[0].errors.as_slice()),
        };
        StepReport {
            step,
            outputs,
            errors,
            loss,
            gradient: self.gradient(),
            updated,
            recoveries: *recoveries,
        }
    }

    /// Whether the last step had a target.
    pub(crate) fn has_target(&self) -> bool {
        self.any(|stream| stream.has_target)
    }

    /// Whether `is` holds for any stream whose turn it is. A lone stream is not worth a loop.
    #[inline]
    fn any(&self, is: impl Fn(&Stream<T>) -> bool) -> bool {
        match self.streams.as_slice() {
            [lone] => is(lone),
            streams => streams[self.turn.clone()].iter().any(is),
        }
    }
}

/// Gradients between steps.
impl<T: Real> Learner<T> {
    /// The gradient of the last step, as in its [`StepReport`]. `None` before the first step, and
    /// for a learner that was read from a file until its next step.
    pub fn gradient(&self) -> Option<&Gradient<T>> {
        let whole = self.whole && self.accumulator.each_step;
        whole.then(|| gradient(self.combined.as_ref(), &self.streams))
    }

    /// The gradient accumulated since the last update, summed over the streams and not clipped; the
    /// epoch continues. It is 0 before the first target, and `None` if every step's gradient is
    /// applied separately.
    ///
    /// Reading moves the sums out of the engines, so the sum that is finally applied may differ by
    /// rounding from that of a run in which it is not read. It takes as long as reading one
    /// gradient.
    ///
    /// # Errors
    /// [`Error::Overflow`] as after a step: gradients that have accumulated are dropped, and the
    /// sensitivities must be reset, unless a [`Recovery`](crate::Recovery) has done so.
    /// [`Error::UpdateRefused`] if only the sum has overflowed; it is dropped.
    pub fn accumulated_gradient(&mut self) -> Result<Option<&Gradient<T>>, Error> {
        let read = self.read_sum();
        read.or_else(|error| self.recover(error).map(drop))?;
        Ok(self.accumulator.sum.as_ref())
    }

    /// Reads the gradients that the engines have accumulated, where they do.
    pub(super) fn read_sum(&mut self) -> Result<(), Error> {
        if self.accumulator.each_step || !self.accumulator.has_target {
            return Ok(());
        }
        for stream in &mut self.streams {
            stream.read_accumulated(Read::Sum);
        }
        self.settle(Read::Sum)?;
        let closed = self.accumulator.close_sum(gradient(self.combined.as_ref(), &self.streams));
        closed.map_err(|quantity| self.refused(quantity))
    }
}
