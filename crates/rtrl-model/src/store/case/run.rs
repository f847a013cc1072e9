//! The network and the learner of a case, and a run of it.

use rtrl_kernel::{Isa, Real};

use super::layer::flags;
use super::{Case, CellName, Layer, LayerState, PerLayer, RegimeName, Table, TimingName, Trace};
use crate::{
    Activation, Error, InitialWeights, Learner, LearnerBuilder, Network, Optimizer, Regime,
    Targets, Timing,
};

impl Case {
    /// The network of the case.
    ///
    /// # Errors
    /// Those of [`NetworkBuilder::build`](crate::NetworkBuilder::build), and [`Error::Setting`] for
    /// anything but one layer of simple cells.
    pub fn network<T: Real>(&self, isa: Isa) -> Result<Network<T>, Error> {
        let layer = self.simple_layer()?;
        layer.check(self.inputs, self.bias)?;
        let names = (0..layer.units).map(|k| layer.activation_of(k));
        let activations = names.map(str::parse::<Activation>);
        let mut builder = Network::<T>::builder(layer.units, self.inputs)
            .bias(self.bias)
            .activations(activations.collect::<Result<Vec<_>, _>>()?)
            .leaks((0..layer.units).map(|k| layer.leak_of(k)))
            .weights(InitialWeights::given(layer.weights.clone()))
            .initial_state(layer.initial_state.clone())
            .isa(isa);
        if let Some(connections) = &layer.connections {
            builder = builder.connections(flags("connections", connections)?);
        }
        if let Some(frozen) = &layer.frozen {
            builder = builder.frozen(flags("frozen", frozen)?);
        }
        builder.build()
    }

    /// The only layer, if its cells are simple.
    pub(super) fn simple_layer(&self) -> Result<&Layer, Error> {
        let got = match &*self.layers {
            [layer] if layer.cell == CellName::Simple => return Ok(layer),
            [layer] => format!("one of {} cells", layer.cell.name()),
            layers => layers.len().to_string(),
        };
        let expected = "one of simple cells".to_owned();
        Err(Error::Setting { what: "layers of the network", expected, got })
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
    /// Where gradients accumulate, those of each step come from one learner and the final weights
    /// from another, which accumulates as in normal use.
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
                self.begin_sequence(&mut learner, &reset.layers)?;
            }
            let targets: Vec<Option<T>> =
                targets.iter().map(|target| target.map(T::from_f64)).collect();
            let report = learner.step(&rounded(x), Targets::Some(&targets))?;
            trace.outputs.push(exact(report.outputs));
            trace.losses.push(report.loss.to_f64());
            if let Some(gradient) = report.gradient {
                trace.gradients.push(self.tables(negative(gradient.recurrent().to_rows())));
            }
        }
        for unit in 0..self.units() {
            match learner.sensitivities(unit) {
                // A custom engine need not offer them: the trace then has none.
                Err(Error::Kernel(rtrl_kernel::Error::Unsupported { .. })) => break,
                sensitivities => trace.sensitivities.push(self.tables(sensitivities?.to_rows())),
            }
        }
        match self.regime {
            RegimeName::Epochwise => learner.end_epoch(&vec![T::ZERO; self.units()])?,
            RegimeName::RealTime => drop(learner.finish()?),
        }
        trace.weights = self.tables(learner.network().weights().to_rows());
        Ok(trace)
    }

    fn begin_sequence<T: Real>(
        &self,
        learner: &mut Learner<T>,
        layers: &[LayerState],
    ) -> Result<(), Error> {
        let state: Vec<T> = layers.iter().flat_map(|layer| rounded(&layer.state)).collect();
        match self.regime {
            RegimeName::Epochwise => learner.end_epoch(&state),
            RegimeName::RealTime => learner.reset(&state),
        }
    }

    /// The table of the only layer, in the form of the case.
    fn tables(&self, table: Table) -> PerLayer<Table> {
        match self.layers {
            PerLayer::One(_) => PerLayer::One(table),
            PerLayer::Each(_) => PerLayer::Each(vec![table]),
        }
    }
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
