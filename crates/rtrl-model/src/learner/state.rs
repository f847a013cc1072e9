//! Everything that a learner saves in addition to its network and its settings, each thing named
//! once.
//!
//! Files are planned, written, read and compared by the same walk: a new field is one line in it.

use rtrl_kernel::Real;

use super::Learner;
use super::stream::Stream;
use crate::store::fields::{EngineField, Field, FieldMut, Fingerprints, Visit, VisitMut, emit};
use crate::store::network::visit_network;
use crate::{Error, RecursiveLeastSquares};

/// The walk, once for shared references and once for exclusive ones.
macro_rules! walk {
    ($walk:ident, $visitor:ident, $field:ident, $moments:ident $(, $mutable:tt)?) => {
        impl<T: Real> Learner<T> {
            /// Visits every field, always in the same order.
            ///
            /// # Errors
            /// Those of the visitor.
            pub(crate) fn $walk(
                &$($mutable)? self,
                visit: &mut $visitor<'_, T>,
            ) -> Result<(), Error> {
                visit("steps", $field::Count(&$($mutable)? self.steps))?;
                visit("updates", $field::Count(&$($mutable)? self.updater.updates))?;
                let accumulator = &$($mutable)? self.accumulator;
                visit("accumulator.steps", $field::Count(&$($mutable)? accumulator.steps))?;
                visit("accumulator.due", $field::Flag(&$($mutable)? accumulator.due))?;
                visit("accumulator.has_target", $field::Flag(&$($mutable)? accumulator.has_target))?;
                for (name, gradient) in [
                    ("sum", &$($mutable)? accumulator.sum),
                    ("waiting", &$($mutable)? accumulator.waiting),
                ] {
                    let Some(gradient) = gradient else { continue };
                    let recurrent = &$($mutable)? gradient.recurrent;
                    visit(&format!("{name}.recurrent"), $field::Matrix(recurrent))?;
                    if let Some(readout) = &$($mutable)? gradient.readout {
                        visit(&format!("{name}.readout"), $field::Matrix(readout))?;
                    }
                }
                let recoveries = &$($mutable)? self.recoveries;
                visit("recoveries.resets", $field::Count(&$($mutable)? recoveries.resets))?;
                let skipped = &$($mutable)? recoveries.skipped_updates;
                visit("recoveries.skipped_updates", $field::Count(skipped))?;
                for (name, moment) in self.updater.$moments() {
                    visit(&format!("optimizer.{name}"), $field::Matrix(moment))?;
                }
                if let Some(fit) = &$($mutable)? self.fit {
                    for (o, fit) in (&$($mutable)? fit.outputs).into_iter().enumerate() {
                        let weights = &$($mutable)? fit.weights;
                        visit(&format!("fit.{o}.weight"), $field::Doubles(weights))?;
                        let inverse = &$($mutable)? fit.inverse;
                        visit(&format!("fit.{o}.inverse"), $field::Doubles(inverse))?;
                    }
                }
                for (b, stream) in (&$($mutable)? self.streams).into_iter().enumerate() {
                    stream.$walk(&mut |name, field| visit(&stream_field(b, name), field))?;
                }
                Ok(())
            }
        }

        impl<T: Real> Stream<T> {
            fn $walk(&$($mutable)? self, visit: &mut $visitor<'_, T>) -> Result<(), Error> {
                let state = &$($mutable)? self.state;
                let (states, drives) = (state.states, state.drives);
                visit("steps", $field::Count(&$($mutable)? state.steps))?;
                visit("state", $field::Numbers(&$($mutable)? state.values[..states]))?;
                visit("outputs", $field::Numbers(&$($mutable)? state.outputs))?;
                visit("slopes", $field::Numbers(&$($mutable)? state.slopes[..drives]))?;
                if !state.kept.is_empty() {
                    visit("kept", $field::Numbers(&$($mutable)? state.kept))?;
                }
                visit("forced", $field::Flags(&$($mutable)? state.teacher.forced))?;
                visit("teacher", $field::Numbers(&$($mutable)? state.teacher.values))?;
                visit("lost", $field::Flag(&$($mutable)? self.lost))?;
                let (engine, lost) = (&$($mutable)? *self.engine, self.lost);
                visit("engine", $field::Engine(EngineField { engine, states, lost }))
            }
        }
    };
}

walk!(visit, Visit, Field, state);
walk!(visit_mut, VisitMut, FieldMut, state_mut, mut);

/// The name of a stream's field.
pub(crate) fn stream_field(b: usize, name: &str) -> String {
    format!("stream.{b}.{name}")
}

impl<T: Real> Learner<T> {
    /// The name of the first field, in alphabetical order, in which the two learners or their
    /// networks differ by a bit. Settings are not compared.
    ///
    /// # Errors
    /// [`Error::Kernel`] if a custom engine cannot be saved.
    pub fn first_difference(&self, other: &Self) -> Result<Option<String>, Error> {
        Ok(self.fingerprints()?.first_difference(other.fingerprints()?))
    }

    fn fingerprints(&self) -> Result<Fingerprints, Error> {
        let mut prints = Fingerprints::default();
        let mut visit = |name: &str, field: Field<'_, T>| emit(name, field, &mut prints);
        visit_network(&self.network, self.network.initial_state(), &mut visit)?;
        self.visit(&mut visit)?;
        Ok(prints)
    }

    /// Fails unless a run could have produced the fields.
    ///
    /// # Errors
    /// [`Error::Setting`] for gradients and moments of weights that do not learn, moments that are
    /// negative, an inverse that is not symmetric, and forced units without teacher forcing.
    pub(crate) fn check_fields(&self) -> Result<(), Error> {
        let learning = self.network.learning();
        for (name, gradient) in
            [("sum", &self.accumulator.sum), ("waiting", &self.accumulator.waiting)]
        {
            let Some(gradient) = gradient else { continue };
            let mut values = gradient.recurrent.iter_rows().flatten().zip(&learning);
            if let Some((odd, _)) = values.find(|&(&value, &learns)| !learns && value != T::ZERO) {
                let expected = "0 for weights that do not learn".to_owned();
                let got = format!("{odd} in {name}.recurrent");
                return Err(Error::Setting { what: "accumulated gradient", expected, got });
            }
        }
        self.updater.check_state(&self.network)?;
        if let Some(fit) = &self.fit {
            fit.outputs.iter().try_for_each(RecursiveLeastSquares::check)?;
        }
        let forced = |stream: &Stream<T>| stream.state.teacher.forced.contains(&true);
        if !self.teacher_forcing && self.streams.iter().any(forced) {
            let (expected, got) = ("none without teacher forcing".to_owned(), "some".to_owned());
            return Err(Error::Setting { what: "forced units", expected, got });
        }
        Ok(())
    }
}
