//! Outputs of a network that forecast a class.

use rtrl_model::{Loss, Real};

use super::Predict;
use crate::Error;

/// Fails unless the loss is, exactly if a class is forecast, the softmax cross-entropy.
pub(super) fn check_loss<T: Real>(loss: &Loss<T>, predict: Predict) -> Result<(), Error> {
    let is_class = predict == Predict::Class;
    if is_class == matches!(loss, Loss::SoftmaxCrossEntropy) {
        return Ok(());
    }
    let expected = if is_class { "softmax-cross-entropy" } else { "a loss of numbers" };
    let (expected, got) = (expected.to_owned(), loss.name().to_owned());
    let what = "loss of a forecaster";
    Err(Error::Model(rtrl_model::Error::Setting { what, expected, got }))
}

/// Replaces logits by their softmax.
pub(super) fn softmax(values: &mut [f64]) {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for value in &mut *values {
        *value = libm::exp(*value - largest);
    }
    let sum: f64 = values.iter().sum();
    for value in values {
        *value /= sum;
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rtrl_model::{Learner, Network, Readout};

    use super::super::tested::{NO_BASELINES, pair};
    use super::super::{Horizon, NetworkForecaster};
    use super::*;
    use crate::prequential::{Scores, SeriesForecaster, SeriesRow};

    /// Of a wave that rises or falls, which the last value does not tell.
    #[test]
    fn a_class_is_learnt() {
        let run = |shuffled: bool| {
            let mut network = pair(Predict::Class);
            let mut scores = Scores::of_classes(1, 2, 1500);
            let mut generator = rtrl_model::Generator::new(8);
            for t in 0..3000 {
                let input = libm::sin(0.3 * f64::from(t));
                let rises =
                    if shuffled { generator.bit() } else { libm::cos(0.3 * f64::from(t)) > 0.0 };
                let targets = [rises, !rises].map(|is| Some(f64::from(u8::from(is))));
                // Some rows have no class.
                let targets = if t % 7 == 0 { [None; 2] } else { targets };
                let row = SeriesRow { group: 0, inputs: &[input], targets: &targets };
                scores.take(&mut network, &mut NO_BASELINES.clone(), row).unwrap();
                let sum: f64 = scores.forecasts().iter().flatten().sum();
                assert_abs_diff_eq!(sum, 1.0, epsilon = 1e-12);
            }
            assert_eq!(network.mishaps(), 0);
            [scores.classes()[0].accuracy().unwrap(), scores.least().unwrap()]
        };
        let [accuracy, log_loss] = run(false);
        assert!(accuracy > 0.95 && log_loss < 0.15, "{accuracy} {log_loss}");
        // Negative control.
        let [accuracy, log_loss] = run(true);
        assert!(accuracy < 0.6 && log_loss > 0.6, "{accuracy} {log_loss}");
    }

    #[test]
    fn the_loss_must_fit() {
        let build = |loss: Loss<f64>| {
            let network = Network::builder(2, 1).readout(Readout::new(2)).build().unwrap();
            Learner::builder(network).loss(loss).build().unwrap()
        };
        for (loss, predict, got) in [
            (Loss::SquaredError, Predict::Class, "got squared-error"),
            (Loss::SoftmaxCrossEntropy, Predict::Value, "got softmax"),
        ] {
            let refused = NetworkForecaster::new(build(loss), predict, Horizon::NextRow);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("loss") && error.contains(got), "{error}");
        }
        let mut network = pair(Predict::Value);
        let row = SeriesRow { group: 0, inputs: &[1.0], targets: &[Some(1.0)] };
        assert!(network.observe(row, &mut Vec::new()).is_err());
    }
}
