//! The network and the learner of a case, and a run of it.

use rtrl_kernel::{Isa, Real};

use super::layer::flags;
use super::{Case, Layer, LayerState, Leak, PerLayer, RegimeName, Table, TimingName, Trace};
use crate::error::zero;
use crate::{
    Activation, Error, InitialWeights, Learner, LearnerBuilder, Network, NetworkBuilder, Optimizer,
    Regime, Targets, Timing,
};

impl Case {
    /// The network of the case.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::StateLength`] or [`Error::Setting`] for a layer whose parts do
    /// not fit together, and those of [`NetworkBuilder::build`](crate::NetworkBuilder::build).
    pub fn network<T: Real>(&self, isa: Isa) -> Result<Network<T>, Error> {
        let mut builder: Option<NetworkBuilder<T>> = None;
        for (l, layer) in self.layers.iter().enumerate() {
            layer.check(self.inputs_of(l), self.bias)?;
            let begun = match builder {
                Some(below) => below.layer(layer.units),
                None => Network::builder(layer.units, self.inputs).bias(self.bias).isa(isa),
            };
            builder = Some(layer.describe(begun, self.first_unit(l))?);
        }
        builder.ok_or_else(|| zero("number of layers"))?.build()
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
        self.run_with(learner, |_, _| Ok(()))
    }

    /// [`Case::run`], which before each step passes the number of the step and the learner to
    /// `before`. That may store the learner and replace it by a resumed one.
    ///
    /// # Errors
    /// Those of the learner's steps and of `before`.
    pub fn run_with<T: Real>(
        &self,
        learner: LearnerBuilder<T>,
        mut before: impl FnMut(usize, &mut Learner<T>) -> Result<(), Error>,
    ) -> Result<Trace, Error> {
        let watched = learner.clone().step_gradients(true).build()?;
        let watched = self.run_on(watched, &mut before)?;
        if !self.regime().accumulates() {
            return Ok(watched);
        }
        Ok(Trace { weights: self.run_on(learner.build()?, &mut before)?.weights, ..watched })
    }

    fn run_on<T: Real>(
        &self,
        mut learner: Learner<T>,
        before: &mut impl FnMut(usize, &mut Learner<T>) -> Result<(), Error>,
    ) -> Result<Trace, Error> {
        let mut trace = Trace::default();
        for (t, (x, targets)) in self.x.iter().zip(&self.targets).enumerate() {
            before(t, &mut learner)?;
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
            RegimeName::Epochwise => {
                learner.end_epoch(&vec![T::ZERO; learner.network().layout().states()])?;
            }
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
        let state = self.state_of(layers);
        match self.regime {
            RegimeName::Epochwise => learner.end_epoch(&state),
            RegimeName::RealTime => learner.reset(&state),
        }
    }

    /// y of all layers, then c of those that have it.
    fn state_of<T: Real>(&self, layers: &[LayerState]) -> Vec<T> {
        let outputs = layers.iter().flat_map(|layer| rounded(&layer.state));
        let with_cells =
            layers.iter().zip(&*self.layers).filter(|(_, layer)| layer.cell.has_cells());
        let cells = with_cells.flat_map(|(state, layer)| match &state.cell {
            Some(cell) => rounded(cell),
            None => vec![T::ZERO; layer.units],
        });
        outputs.chain(cells).collect()
    }

    /// The rows of each layer, in the form of the case.
    fn tables(&self, rows: Table) -> PerLayer<Table> {
        let mut rows = rows.into_iter();
        self.layers.map_numbered(|l, layer| {
            let first_unit = self.first_unit(l);
            let rows = rows.by_ref().take(layer.rows());
            let table = rows.enumerate().map(|(i, row)| {
                let mut whole = vec![0.0; first_unit + layer.units];
                for (j, value) in layer.columns(first_unit, i).zip(row) {
                    whole[j] = value;
                }
                whole
            });
            table.collect()
        })
    }
}

impl Layer {
    /// Describes the layer that `builder` has begun, whose first unit is column `first_unit`.
    fn describe<T: Real>(
        &self,
        builder: NetworkBuilder<T>,
        first_unit: usize,
    ) -> Result<NetworkBuilder<T>, Error> {
        let mut builder = builder
            .cell(self.cell)
            .weights(InitialWeights::given(self.present(first_unit, &self.weights)))
            .initial_state(self.initial_state.clone());
        if let Some(head) = self.heads_of {
            builder = builder.heads_of(head);
        }
        if let Some(activation) = &self.activation {
            let names = activation.names().iter().map(|name| name.parse::<Activation>());
            builder = builder.activations(names.collect::<Result<Vec<_>, _>>()?);
        }
        builder = match &self.leak {
            None => builder,
            Some(Leak::All(leak)) => builder.leak(*leak),
            Some(Leak::Each(leaks)) => builder.leaks(leaks.iter().copied()),
        };
        if let Some(connections) = &self.connections {
            let connections = flags("connections", connections)?;
            builder = builder.connections(self.present(first_unit, &connections));
        }
        if let Some(frozen) = &self.frozen {
            let frozen = flags("frozen", frozen)?;
            builder = builder.frozen(self.present(first_unit, &frozen));
        }
        Ok(match &self.initial_cell {
            Some(cells) => builder.initial_cells(cells.clone()),
            None => builder,
        })
    }

    /// The columns of a table that a network has.
    fn present<V: Copy>(&self, first_unit: usize, table: &[Vec<V>]) -> Vec<Vec<V>> {
        let row =
            |(i, row): (usize, &Vec<V>)| self.columns(first_unit, i).map(|j| row[j]).collect();
        table.iter().enumerate().map(row).collect()
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
