//! A run, step by step.

use rtrl_model::Error;

use super::Dynamics;

/// A recorded run of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// x(t), one row a step.
    pub inputs: Vec<Vec<f64>>,
    /// y(t) before every step, one row a step.
    pub states: Vec<Vec<f64>>,
    /// The outputs at t + 1, one row a step.
    pub outputs: Vec<Vec<f64>>,
}

impl Run {
    /// Runs a network for `steps` steps and advances `state`; `draw` writes the input of each step.
    ///
    /// # Errors
    /// As [`Dynamics::advance`], with the number of the step.
    pub fn record(
        dynamics: &mut Dynamics,
        state: &mut [f64],
        steps: usize,
        mut draw: impl FnMut(&mut [f64]),
    ) -> Result<Self, Error> {
        let mut run = Self { inputs: Vec::new(), states: Vec::new(), outputs: Vec::new() };
        let mut input = vec![0.0; dynamics.inputs()];
        for step in 0..steps {
            draw(&mut input);
            run.states.push(state.to_vec());
            let outputs = dynamics.advance(state, &input).map_err(|error| at(step, error))?;
            run.outputs.push(outputs.to_vec());
            run.inputs.push(input.clone());
        }
        Ok(run)
    }
}

/// The error with the number of its step.
pub(super) fn at(number: usize, error: Error) -> Error {
    match error {
        Error::NonFinite { quantity, index, value, .. } => {
            Error::NonFinite { step: number as u64, quantity, index, value }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rtrl_model::Activation;

    use super::super::dynamics::autonomous;
    use super::*;

    #[test]
    fn a_run_is_what_was_seen() {
        let mut doubling = autonomous(Activation::Identity, &[&[2.0]]);
        let mut state = [1.0];
        let run = Run::record(&mut doubling, &mut state, 3, |_| {}).unwrap();
        assert_eq!(run.states, [[1.0], [2.0], [4.0]]);
        assert_eq!(run.outputs, [[2.0], [4.0], [8.0]]);
        assert_eq!(state, [8.0]);
        let error = Run::record(&mut doubling, &mut state, 2000, |_| {}).unwrap_err();
        assert!(matches!(error, Error::NonFinite { step: 1020, .. }), "{error}");
    }
}
