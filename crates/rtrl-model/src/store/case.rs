//! Conformance cases and traces: how implementations are compared with each other.
//!
//! A [`Case`] is a small network with its inputs, targets and settings; a [`Trace`] is what an
//! implementation computed for it. Both are JSON files, described field by field in
//! `docs/conformance.md`.

use rtrl_kernel::{Isa, Real};
use serde::{Deserialize, Serialize};

use crate::error::check_count;
use crate::matrix::check_shape;
use crate::{
    Activation, Error, InitialWeights, Learner, LearnerBuilder, Network, Optimizer, Regime,
    Targets, Timing,
};

/// A conformance case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is called.
    pub name: String,
    /// n
    pub units: usize,
    /// m
    pub inputs: usize,
    /// Whether there is a bias line.
    pub bias: bool,
    /// The activation of all units, or of each.
    pub activation: ActivationNames,
    /// The leak of all units, or of each; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// When the weights change.
    pub regime: RegimeName,
    /// When an update of the real-time regime is applied.
    pub update_timing: TimingName,
    /// Whether targets replace the outputs that they are for in z(t).
    pub teacher_forcing: bool,
    /// α
    pub learning_rate: f64,
    /// u: the weights change at every u-th step.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub update_every: usize,
    /// y(t0), n values.
    pub initial_state: Vec<f64>,
    /// W, n x c.
    pub weights: Vec<Vec<f64>>,
    /// 1 where a weight exists, n x c; absent means everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Vec<u8>>>,
    /// 1 where a weight never changes, n x c; absent means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Vec<Vec<u8>>>,
    /// Where new sequences begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<Reset>,
    /// The inputs, T x m.
    pub x: Vec<Vec<f64>>,
    /// The targets, T x n: row t belongs to the output of step t; null is no target.
    pub targets: Vec<Vec<Option<f64>>>,
    /// What a correct implementation computes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Trace>,
}

/// What an implementation computed for a case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// y after each step, T x n.
    pub outputs: Vec<Vec<f64>>,
    /// J of each step, T values.
    pub losses: Vec<f64>,
    /// `sum over k of e_k p^k_ij` of each step: the negative gradient, T x n x c.
    pub gradients: Vec<Vec<Vec<f64>>>,
    /// W at the end, n x c.
    pub weights: Vec<Vec<f64>>,
    /// p at the end, `[k][i][j]`.
    pub sensitivities: Vec<Vec<Vec<f64>>>,
}

/// The start of a new sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The step before which it happens, from 0.
    pub before_step: usize,
    /// The new state, n values.
    pub state: Vec<f64>,
}

/// One activation for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "activation must be a name or a list of names")]
pub enum ActivationNames {
    /// The name for all units.
    All(String),
    /// The name of each unit.
    Each(Vec<String>),
}

/// One leak for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "leak must be a number or a list of numbers")]
pub enum Leak {
    /// a of all units.
    All(f64),
    /// a of each unit.
    Each(Vec<f64>),
}

/// A regime as it stands in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegimeName {
    /// Weights change while the network runs.
    RealTime,
    /// Weights change between epochs.
    Epochwise,
}

/// A timing as it stands in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimingName {
    /// Before the next step.
    Immediate,
    /// After the next step's outputs and sensitivities.
    AfterNextStep,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Case {
    /// Reads a case from its JSON text and checks the shapes of everything in it.
    ///
    /// # Errors
    /// [`Error::Format`] if the text is not a case, [`Error::Shape`], [`Error::StateLength`] or
    /// [`Error::Setting`] if its parts do not fit together.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let format = |reason| Error::Format { what: "not a conformance case".to_owned(), reason };
        let mut reader = serde_json::Deserializer::from_str(text);
        let case: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| format(error.to_string()))?;
        reader.end().map_err(|error| format(error.to_string()))?;
        case.check()?;
        Ok(case)
    }

    /// Fails unless the network can be built and everything else has the right shape.
    ///
    /// # Errors
    /// As [`Case::from_json`].
    pub fn check(&self) -> Result<(), Error> {
        self.network::<f64>(Isa::scalar())?;
        check_count("update_every", self.update_every)?;
        let steps = self.x.len();
        check_shape("x", (steps, self.inputs), &self.x)?;
        check_shape("targets", (steps, self.units), &self.targets)?;
        let mut earliest = 0;
        for reset in &self.resets {
            if reset.before_step < earliest || reset.before_step >= steps {
                let expected = format!("steps below {steps}, in ascending order");
                let got = reset.before_step.to_string();
                return Err(Error::Setting { what: "a reset's before_step", expected, got });
            }
            earliest = reset.before_step + 1;
            if reset.state.len() != self.units {
                let got = reset.state.len();
                return Err(Error::StateLength { expected: self.units, got });
            }
        }
        Ok(())
    }

    /// The network of the case.
    ///
    /// # Errors
    /// Those of [`NetworkBuilder::build`](crate::NetworkBuilder::build).
    pub fn network<T: Real>(&self, isa: Isa) -> Result<Network<T>, Error> {
        let names = match &self.activation {
            ActivationNames::All(name) => std::slice::from_ref(name),
            ActivationNames::Each(names) => names,
        };
        let activations = names.iter().map(|name| name.parse::<Activation>());
        let mut builder = Network::<T>::builder(self.units, self.inputs)
            .bias(self.bias)
            .activations(activations.collect::<Result<Vec<_>, _>>()?)
            .weights(InitialWeights::given(self.weights.clone()))
            .initial_state(self.initial_state.clone())
            .isa(isa);
        builder = match &self.leak {
            None => builder,
            Some(Leak::All(leak)) => builder.leak(*leak),
            Some(Leak::Each(leaks)) => builder.leaks(leaks.iter().copied()),
        };
        if let Some(connections) = &self.connections {
            builder = builder.connections(flags("connections", connections)?);
        }
        if let Some(frozen) = &self.frozen {
            builder = builder.frozen(flags("frozen", frozen)?);
        }
        builder.build()
    }

    /// The regime with its timing and interval.
    pub fn regime(&self) -> Regime {
        let timing = match self.update_timing {
            TimingName::Immediate => Timing::Immediate,
            TimingName::AfterNextStep => Timing::AfterNextStep,
        };
        match self.regime {
            RegimeName::Epochwise => Regime::Epochwise,
            RegimeName::RealTime => Regime::RealTime { timing, every: self.update_every },
        }
    }

    /// A learner for the case, still to be given an engine and threads.
    ///
    /// # Errors
    /// Those of [`Case::network`].
    pub fn learner<T: Real>(&self, isa: Isa) -> Result<LearnerBuilder<T>, Error> {
        Ok(Learner::builder(self.network(isa)?)
            .regime(self.regime())
            .teacher_forcing(self.teacher_forcing)
            .optimizer(Optimizer::sgd(self.learning_rate)))
    }

    /// Runs the whole case on a learner from [`Case::learner`].
    ///
    /// Where gradients add up, those of each step come from one learner and the final weights from
    /// another, which adds up as it would without being watched.
    ///
    /// # Errors
    /// Those of the learner's steps.
    pub fn run<T: Real>(&self, learner: LearnerBuilder<T>) -> Result<Trace, Error> {
        let watched = self.run_on(learner.clone().step_gradients(true).build()?)?;
        if !self.regime().accumulates() {
            return Ok(watched);
        }
        Ok(Trace { weights: self.run_on(learner.build()?)?.weights, ..watched })
    }

    fn run_on<T: Real>(&self, mut learner: Learner<T>) -> Result<Trace, Error> {
        let mut trace = Trace::default();
        for (t, (x, targets)) in self.x.iter().zip(&self.targets).enumerate() {
            if let Some(reset) = self.resets.iter().find(|reset| reset.before_step == t) {
                self.begin_sequence(&mut learner, &reset.state)?;
            }
            let targets: Vec<Option<T>> =
                targets.iter().map(|target| target.map(T::from_f64)).collect();
            let report = learner.step(&rounded(x), Targets::Some(&targets))?;
            trace.outputs.push(exact(report.outputs));
            trace.losses.push(report.loss.to_f64());
            if let Some(gradient) = report.gradient {
                trace.gradients.push(negative(gradient.recurrent().to_rows()));
            }
        }
        for unit in 0..self.units {
            match learner.sensitivities(unit) {
                // A custom engine need not offer them: the trace then has none.
                Err(Error::Kernel(rtrl_kernel::Error::Unsupported { .. })) => break,
                sensitivities => trace.sensitivities.push(sensitivities?.to_rows()),
            }
        }
        match self.regime {
            RegimeName::Epochwise => learner.end_epoch(&vec![T::ZERO; self.units])?,
            RegimeName::RealTime => drop(learner.finish()?),
        }
        trace.weights = learner.network().weights().to_rows();
        Ok(trace)
    }

    fn begin_sequence<T: Real>(
        &self,
        learner: &mut Learner<T>,
        state: &[f64],
    ) -> Result<(), Error> {
        match self.regime {
            RegimeName::Epochwise => learner.end_epoch(&rounded(state)),
            RegimeName::RealTime => learner.reset(&rounded(state)),
        }
    }
}

/// Rows of 0 and 1 as a mask.
fn flags(what: &'static str, rows: &[Vec<u8>]) -> Result<Vec<Vec<bool>>, Error> {
    if let Some(odd) = rows.iter().flatten().find(|&&flag| flag > 1) {
        let expected = "0 or 1".to_owned();
        return Err(Error::Setting { what, expected, got: odd.to_string() });
    }
    Ok(rows.iter().map(|row| row.iter().map(|&flag| flag == 1).collect()).collect())
}

fn rounded<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}

fn exact<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

/// The rows with the sign changed; zeros stay positive.
fn negative(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for value in rows.iter_mut().flatten() {
        *value = 0.0 - *value;
    }
    rows
}
