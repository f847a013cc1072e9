//! A readout that is fitted by recursive least squares.

use rtrl_kernel::{Isa, Real};

use crate::error::Quantity;
use crate::readout::ReadoutLayer;
use crate::{Error, Loss, Matrix, Network, RecursiveLeastSquares, Regime, Targets};

/// One fit for each output, because each output may have a target or not.
///
/// Everything is in double precision; the weights of the layer are the rounded weights of the fits.
#[derive(Debug, Clone)]
pub(crate) struct ReadoutRls {
    pub(crate) outputs: Vec<RecursiveLeastSquares>,
    /// The features: what the readout sees.
    features: Vec<f64>,
}

impl ReadoutRls {
    /// The fits of a layer on an instruction set, which start from its weights; `None` if it learns
    /// by its gradient.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Memory`], as [`RecursiveLeastSquares::new`].
    pub(crate) fn new<T: Real>(layer: &ReadoutLayer<T>, isa: Isa) -> Result<Option<Self>, Error> {
        let Some(settings) = layer.least_squares else { return Ok(None) };
        let fit = |row: &[T]| {
            let weights = row.iter().map(|weight| weight.to_f64()).collect();
            RecursiveLeastSquares::with_isa(weights, settings.forgetting, settings.ridge, isa)
        };
        let outputs = layer.weights.iter_rows().map(fit).collect::<Result<_, _>>()?;
        Ok(Some(Self { outputs, features: vec![0.0; layer.weights.columns()] }))
    }

    /// The fits of the readout of a network, if it learns by least squares.
    ///
    /// # Errors
    /// [`Error::Setting`] for a loss or a regime that does not go with least squares; those of
    /// [`ReadoutRls::new`].
    pub(crate) fn of<T: Real>(
        network: &Network<T>,
        loss: &Loss<T>,
        regime: Regime,
    ) -> Result<Option<Self>, Error> {
        let Some(layer) = &network.readout else { return Ok(None) };
        let fit = Self::new(layer, network.isa)?;
        let refused = |what, expected: &str, got: &str| {
            let expected = format!("{expected} with a readout that learns by least squares");
            Err(Error::Setting { what, expected, got: got.to_owned() })
        };
        match (&fit, loss, regime) {
            (Some(_), Loss::SquaredError, Regime::RealTime { .. }) | (None, ..) => Ok(fit),
            (Some(_), Loss::SquaredError, _) => refused("regime", "real-time", regime.name()),
            (Some(_), loss, _) => refused("loss", "squared error", loss.name()),
        }
    }

    /// Fits the targets of a step. `features` is what the readout saw, in the order of its columns;
    /// further values are ignored. `weights` is the matrix of the layer: the rows of the outputs
    /// that have a target are replaced.
    ///
    /// # Errors
    /// The quantity that is not finite, including weights in the precision of the layer. No output
    /// has changed then.
    pub(crate) fn update<T: Real>(
        &mut self,
        features: &[T],
        targets: &Targets<'_, T>,
        weights: &mut Matrix<T>,
    ) -> Result<(), Quantity> {
        self.features.iter_mut().zip(features).for_each(|(place, value)| *place = value.to_f64());
        for (o, fit) in self.outputs.iter_mut().enumerate() {
            let Some(target) = targets.get(o) else { continue };
            fit.prepare(&self.features, target.to_f64())?;
            let rounds = |&weight: &f64| T::from_f64(weight).is_finite();
            if !fit.prepared_weights().iter().all(rounds) {
                return Err(Quantity::Weights);
            }
        }
        for (o, fit) in self.outputs.iter_mut().enumerate() {
            if targets.get(o).is_some() {
                fit.commit();
                let places = weights.row_mut(o).iter_mut().zip(fit.weights());
                places.for_each(|(place, &weight)| *place = T::from_f64(weight));
            }
        }
        Ok(())
    }

    /// Replaces the weights; the second moments are kept.
    ///
    /// # Errors
    /// As [`RecursiveLeastSquares::restore`].
    pub(crate) fn set_weights<T: Real>(&mut self, weights: &Matrix<T>) -> Result<(), Error> {
        for (fit, row) in self.outputs.iter_mut().zip(weights.iter_rows()) {
            let row: Vec<f64> = row.iter().map(|weight| weight.to_f64()).collect();
            let inverse = fit.inverse().to_vec();
            fit.restore(&row, &inverse)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Network, Readout, ReadoutWeights};

    fn layer<T: Real>(readout: Readout) -> ReadoutLayer<T> {
        Network::<T>::builder(3, 0).readout(readout).build().unwrap().readout.unwrap()
    }

    fn fitted() -> Readout {
        let start = vec![vec![0.5, 0.0, 0.0, 1.0], vec![0.0; 4]];
        let readout = Readout::new(2).weights(ReadoutWeights::given(start));
        readout.recursive_least_squares(0.98, 0.1)
    }

    fn bits(rls: &ReadoutRls) -> Vec<u64> {
        let numbers = rls.outputs.iter().flat_map(|fit| fit.weights().iter().chain(fit.inverse()));
        numbers.map(|number| number.to_bits()).collect()
    }

    /// Targets come at random; each output has the weights of a fit that saw its own alone.
    fn check<T: Real>() {
        let mut layer = layer::<T>(fitted());
        let mut rls = ReadoutRls::new(&layer, Isa::best()).unwrap().unwrap();
        let start: Vec<Vec<f64>> = layer.weights.to_rows();
        let mut alone: Vec<RecursiveLeastSquares> = start
            .into_iter()
            .map(|row| RecursiveLeastSquares::new(row, 0.98, 0.1).unwrap())
            .collect();
        let mut generator = Generator::new(1);
        let mut draw = || T::from_f64(generator.normal());
        for t in 0..50 {
            if t == 25 {
                let mut restored = ReadoutRls::new(&layer, Isa::best()).unwrap().unwrap();
                for (to, from) in restored.outputs.iter_mut().zip(&rls.outputs) {
                    to.restore(from.weights(), from.inverse()).unwrap();
                }
                rls = restored;
            }
            // The features are followed by padding.
            let features = [draw(), draw(), draw(), T::ONE, draw()];
            let targets = [(t % 2 == 0).then(&mut draw), (t % 3 == 0).then(&mut draw)];
            rls.update(&features, &Targets::Some(&targets), &mut layer.weights).unwrap();
            let features: Vec<f64> = features[..4].iter().map(|value| value.to_f64()).collect();
            for (o, (fit, target)) in alone.iter_mut().zip(targets).enumerate() {
                if let Some(target) = target {
                    fit.update(&features, target.to_f64()).unwrap();
                }
                assert_eq!(rls.outputs[o].weights(), fit.weights());
                let rounded: Vec<T> = fit.weights().iter().map(|&w| T::from_f64(w)).collect();
                assert_eq!(layer.weights.row(o), rounded);
            }
        }
    }

    #[test]
    fn every_output_is_fitted_to_its_own_targets() {
        check::<f32>();
        check::<f64>();
    }

    /// The second output fails after the first one has been computed.
    #[test]
    fn all_outputs_learn_or_none() {
        let mut layer = layer::<f32>(fitted());
        let mut rls = ReadoutRls::new(&layer, Isa::best()).unwrap().unwrap();
        let features = [1.0f32, 0.5, -1.0, 1.0];
        rls.update(&features, &Targets::All(&[0.3, 0.7]), &mut layer.weights).unwrap();
        let (before, weights) = (bits(&rls), layer.weights.clone());
        let bad = [
            (features, [0.1, f32::INFINITY]),
            ([f32::NAN; 4], [0.1, 0.2]),
            // In double precision this weight is finite.
            ([0.2, -0.4, 0.0, 0.0], [0.0, f32::MAX]),
        ];
        for (features, targets) in bad {
            let result = rls.update(&features, &Targets::All(&targets), &mut layer.weights);
            assert!(result.is_err(), "{features:?}");
            assert_eq!((bits(&rls), &layer.weights), (before.clone(), &weights));
        }
        rls.update(&features, &Targets::None, &mut layer.weights).unwrap();
        assert_eq!((bits(&rls), &layer.weights), (before, &weights));
    }

    #[test]
    fn fits_are_on_the_instruction_set_of_the_network() {
        for isa in Isa::available() {
            let network = Network::<f32>::builder(3, 0).readout(fitted()).isa(isa).build().unwrap();
            let rls = ReadoutRls::of(&network, &Loss::SquaredError, Regime::real_time());
            let fits = rls.unwrap().unwrap().outputs;
            assert!(fits.iter().all(|fit| fit.isa() == isa), "{isa}");
        }
    }

    #[test]
    fn settings_are_checked_with_the_network() {
        assert!(ReadoutRls::new(&layer::<f64>(Readout::new(1)), Isa::best()).unwrap().is_none());
        for (forgetting, ridge) in [(0.0, 1.0), (1.5, 1.0), (0.9, 0.0), (f64::NAN, 1.0)] {
            let readout = Readout::new(1).recursive_least_squares(forgetting, ridge);
            let built = Network::<f32>::builder(2, 0).readout(readout).build();
            assert!(matches!(built, Err(Error::Setting { .. })), "{forgetting} {ridge}");
        }
    }
}
