//! The largest Lyapunov exponent.

use rtrl_model::{Error as ModelError, Generator};

use super::Dynamics;
use super::run::at;
use crate::Error;

/// The largest Lyapunov exponent of a network along a run: the mean, over the steps, of the
/// logarithm of the factor by which a small change of the state grows. Per step, natural logarithm.
///
/// Below 0 the network forgets its state, above 0 it is sensitive to it (for a run without inputs:
/// chaos). A tangent vector, drawn from `seed`, moves with the state and is rescaled to length 1 at
/// every step (Benettin, Galgani, Giorgilli & Strelcyn, *Meccanica* 15, 1980). The first `discard`
/// steps align the vector and do not count. If the vector becomes 0, the result is negative
/// infinity: every small change dies out within finitely many steps.
///
/// `state` is y(t0), n values; `inputs` has a row of m values for every step. With external inputs,
/// this is the exponent of the driven network.
///
/// # Errors
/// As [`Dynamics::advance`], with the number of the step; [`Error::Tangent`] if the vector
/// overflows in a single step; [`ModelError::Setting`] if no step is left to count.
pub fn largest_lyapunov_exponent(
    dynamics: &mut Dynamics,
    state: &[f64],
    inputs: &[Vec<f64>],
    discard: usize,
    seed: u64,
) -> Result<f64, Error> {
    if inputs.len() <= discard {
        let (expected, got) = (format!("more than {discard}"), inputs.len().to_string());
        return Err(ModelError::Setting { what: "number of steps", expected, got }.into());
    }
    let mut generator = Generator::new(seed);
    let mut state = state.to_vec();
    let mut tangent: Vec<f64> = (0..dynamics.states()).map(|_| generator.normal()).collect();
    normalise(&mut tangent);
    let mut sum = 0.0;
    for (step, input) in inputs.iter().enumerate() {
        let moved = dynamics.advance_with_tangent(&mut state, &mut tangent, input);
        moved.map_err(|error| at(step, error))?;
        let growth = normalise(&mut tangent);
        if !growth.is_finite() {
            return Err(Error::Tangent { step: step as u64, length: growth });
        }
        if growth == 0.0 {
            return Ok(f64::NEG_INFINITY);
        }
        if step >= discard {
            sum += libm::log(growth);
        }
    }
    Ok(sum / (inputs.len() - discard) as f64)
}

/// Rescales a vector to length 1, unless it is 0 or not finite, and returns its previous length.
fn normalise(vector: &mut [f64]) -> f64 {
    let largest =
        vector.iter().fold(0.0, |most: f64, v| if v.is_nan() { *v } else { most.max(v.abs()) });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    // The largest first, so that no square overflows or vanishes.
    for v in vector.iter_mut() {
        *v /= largest;
    }
    let length = vector.iter().fold(0.0, |sum, v| v.mul_add(*v, sum)).sqrt();
    for v in vector.iter_mut() {
        *v /= length;
    }
    largest * length
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Activation, InitialWeights, Network};

    use super::super::dynamics::autonomous;
    use super::*;

    fn exponent(dynamics: &mut Dynamics, state: &[f64], steps: usize) -> f64 {
        largest_lyapunov_exponent(dynamics, state, &vec![vec![]; steps], steps / 4, 1).unwrap()
    }

    /// Linear, with the eigenvalues 0.9 exp(+-i) and 0.5 behind a change of basis; from 0 nothing
    /// moves.
    #[test]
    fn of_a_linear_network_it_is_the_logarithm_of_the_spectral_radius() {
        for radius in [0.9, 1.0, 1.2] {
            let (c, s) = (radius * libm::cos(1.0), radius * libm::sin(1.0));
            let rows: [&[f64]; 3] = [&[c, -s, 0.7], &[s, c, -0.2], &[0.0, 0.0, 0.5]];
            let mut linear = autonomous(Activation::Identity, &rows);
            let found = exponent(&mut linear, &[0.0; 3], 4000);
            assert!((found - libm::log(radius)).abs() < 1e-3, "{radius}: {found}");
        }
    }

    /// Two rectified linear units, u = max(0, y) and v = max(0, y - 1/2), make the tent map, y = s
    /// (u - 2 v), whose slope is s or -s everywhere.
    #[test]
    fn of_a_tent_map_it_is_the_logarithm_of_its_slope() {
        // With 2 itself, every bit of y would be shifted out in the end.
        let slope = 1.99;
        let rows = vec![vec![0.0, slope, -2.0 * slope], vec![-0.5, slope, -2.0 * slope]];
        let network = Network::builder(2, 0)
            .activation(Activation::Relu)
            .weights(InitialWeights::given(rows))
            .build()
            .unwrap();
        let found = exponent(&mut Dynamics::of(&network), &[0.3, 0.0], 4000);
        assert!((found - libm::log(slope)).abs() < 1e-3, "{found}");
    }

    #[test]
    fn it_tells_forgetting_from_chaos() {
        let random = |gain| {
            let weights = InitialWeights::Normal { gain };
            let builder = Network::builder(40, 0).bias(false).weights(weights).seed(5);
            let state = (0..40u8).map(|k| f64::from(k % 5) / 5.0 - 0.4).collect();
            builder.initial_state(state).build().unwrap()
        };
        let found = |gain| {
            let network = random(gain);
            exponent(&mut Dynamics::of(&network), network.initial_state(), 2000)
        };
        assert!(found(0.5) < -0.3 && found(4.0) > 0.1, "{} {}", found(0.5), found(4.0));
    }

    #[test]
    fn a_tangent_that_dies_or_explodes_is_no_number() {
        let mut shift = autonomous(Activation::Identity, &[&[0.0, 1.0], &[0.0, 0.0]]);
        assert_eq!(exponent(&mut shift, &[1.0, 1.0], 10), f64::NEG_INFINITY);
        let mut steep = autonomous(Activation::Identity, &[&[1.7e308; 4][..]; 4]);
        let error = largest_lyapunov_exponent(&mut steep, &[0.0; 4], &[vec![]], 0, 1);
        assert!(matches!(error, Err(Error::Tangent { step: 0, .. })));
        let error = largest_lyapunov_exponent(&mut shift, &[0.0; 2], &[vec![]], 1, 1);
        assert!(matches!(error, Err(Error::Model(ModelError::Setting { .. }))));
    }
}
