//! Leaky units, which keep a fraction of their output (equation 2').

use rtrl_kernel::Real;

use crate::Error;

/// The leaks of the units of a network, at least one of which is below 1.
#[derive(Debug, Clone)]
pub(crate) struct Leaks<T> {
    /// `a_k`, above 0 and at most 1.
    rates: Vec<T>,
    /// `1 - a_k`, rounded once and for all.
    kept: Vec<T>,
}

impl<T: Real> Leaks<T> {
    /// Takes one leak for all of `units` units, or one for each. Returns `None` if all are 1.
    pub(crate) fn build(given: &[f64], units: usize) -> Result<Option<Self>, Error> {
        if given.len() != 1 && given.len() != units {
            let (expected, got) = (format!("1 or {units}"), given.len().to_string());
            return Err(Error::Setting { what: "number of leaks", expected, got });
        }
        let rates = given.iter().map(|&a| check(a)).collect::<Result<Vec<T>, _>>()?;
        if rates.iter().all(|&a| a == T::ONE) {
            return Ok(None);
        }
        let rates = if rates.len() == units { rates } else { vec![rates[0]; units] };
        let kept = rates.iter().map(|&a| T::ONE - a).collect();
        Ok(Some(Self { rates, kept }))
    }

    /// `a_k`, one value a unit.
    pub(crate) fn rates(&self) -> &[T] {
        &self.rates
    }

    /// `1 - a_k`, one value per unit: the fraction of its output that a unit keeps.
    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// Turns f(s) into `y(t+1) = fma(a, f(s), (1 - a) y(t))`, the product rounded, and f'(s) into
    /// `a f'(s)`.
    /// `state` is y(t) as in z(t), with the teacher's values for forced units. Finite values stay
    /// finite: for a >= 1/2, `1 - a` is exact; below, its product with the largest number is not
    /// rounded upwards, so the sum exceeds that number by less than half a unit in the last place.
    pub(crate) fn apply(&self, state: &[T], values: &mut [T], slopes: &mut [T]) {
        let places = values.iter_mut().zip(slopes).zip(state);
        for (((value, slope), &y), (&a, &kept)) in places.zip(self.rates.iter().zip(&self.kept)) {
            *value = a.mul_add(*value, kept * y);
            *slope = a * *slope;
        }
    }
}

/// The leak in the precision `T`.
fn check<T: Real>(leak: f64) -> Result<T, Error> {
    let rounded = T::from_f64(leak);
    if rounded > T::ZERO && rounded <= T::ONE {
        return Ok(rounded);
    }
    let expected = format!("above 0 and at most 1 in {}", T::NAME);
    Err(Error::Setting { what: "leak", expected, got: leak.to_string() })
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Error, InitialWeights, Network};
    use rtrl_kernel::Real;

    /// Two units without input or bias that see only themselves.
    fn build<T: Real>(leaks: &[f64]) -> Result<Network<T>, Error> {
        Network::builder(2, 0)
            .bias(false)
            .activation(Activation::Identity)
            .leaks(leaks.iter().copied())
            .weights(InitialWeights::given(vec![vec![2.0, 0.0], vec![0.0, -3.0]]))
            .initial_state(vec![1.0, 1.0])
            .build()
    }

    #[test]
    fn a_unit_moves_by_its_leak() {
        let network = build::<f32>(&[0.25, 1.0]).unwrap();
        assert_eq!(network.layers()[0].leaks(), Some([0.25, 1.0].as_slice()));
        assert_eq!(network.forward(&mut network.state(), &[]).unwrap(), [1.25, -3.0]);
        let network = build::<f64>(&[0.5]).unwrap();
        assert_eq!(network.layers()[0].leaks(), Some([0.5, 0.5].as_slice()));
        assert_eq!(network.forward(&mut network.state(), &[]).unwrap(), [1.5, -1.0]);
    }

    #[test]
    fn leaks_of_one_are_none() {
        assert_eq!(build::<f64>(&[1.0, 1.0]).unwrap().layers()[0].leaks(), None);
        // In single precision, this is 1.
        assert_eq!(build::<f32>(&[1.0 - 1e-12]).unwrap().layers()[0].leaks(), None);
        assert!(build::<f64>(&[1.0 - 1e-12]).unwrap().layers()[0].leaks().is_some());
    }

    #[test]
    fn what_is_no_leak_is_refused() {
        for leak in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            let result = build::<f64>(&[0.5, leak]);
            assert!(matches!(result, Err(Error::Setting { what: "leak", .. })), "{leak}");
        }
        // In single precision, this is 0.
        assert!(build::<f32>(&[1e-60]).is_err() && build::<f64>(&[1e-60]).is_ok());
        for leaks in [[0.5; 3].as_slice(), &[]] {
            let result = build::<f64>(leaks);
            assert!(matches!(result, Err(Error::Setting { what: "number of leaks", .. })));
        }
    }

    /// Roundings could accumulate to more than the largest number if `1 - a` and its product with y
    /// were both rounded upwards; they never are.
    #[test]
    fn the_largest_state_stays_finite() {
        for leak in (1..2000).map(|i| f64::from(i) / 2000.0).chain([1e-7, 3e-8, 2e-8, 1e-9]) {
            let network = Network::<f32>::builder(1, 0)
                .bias(false)
                .activation(Activation::Identity)
                .leak(leak)
                .weights(InitialWeights::given(vec![vec![1.0]]))
                .initial_state(vec![f64::from(f32::MAX)])
                .build()
                .unwrap();
            assert!(network.forward(&mut network.state(), &[]).unwrap()[0].is_finite(), "{leak}");
        }
    }
}
