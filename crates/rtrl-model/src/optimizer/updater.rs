//! An update of the weights: all of them change, or none.

use rtrl_kernel::Real;

use super::bias::RunningPower;
use super::clip;
use super::layer::{LayerState, Rates};
use super::moments::Moments;
use super::rule::{Rule, check_rate};
use super::spectral::SpectralLimit;
use super::{Clipping, UpdateSettings};
use crate::error::{MOST_COUNTED, Quantity};
use crate::gradient::Gradient;
use crate::{Connection, Error, Matrix, Network};

/// Names of the layers, in the order of [`Network::matrices`].
const LAYERS: [&str; 2] = ["recurrent", "readout"];

/// An optimiser with its state.
#[derive(Debug, Clone)]
pub(crate) struct Updater<T> {
    settings: UpdateSettings,
    spectral: Option<SpectralLimit>,
    pub(crate) updates: u64,
    /// That of the decay of Adam's second moment, computed again after a restart.
    power: RunningPower,
    layers: Vec<LayerState<T>>,
}

impl<T: Real> Updater<T> {
    /// An optimiser for these layers.
    pub(crate) fn new(settings: UpdateSettings, layers: &Network<T>) -> Result<Self, Error> {
        settings.check::<T>()?;
        if settings.readout_learning_rate.is_some() && layers.descending_readout().is_none() {
            return Err(no_readout());
        }
        let spectral = settings.spectral_limit.map(|limit| SpectralLimit::new(limit, layers));
        let decay = settings.weight_decay > 0.0;
        let masks = decay.then(|| decaying(layers)).transpose()?.unwrap_or_default();
        let mut masks = masks.into_iter();
        let mut learning = std::iter::once(layers.connections.learning());
        let state = |weights: &Matrix<T>| {
            let all = || vec![true; weights.rows() * weights.columns()];
            let learning = || learning.next().unwrap_or_else(all);
            LayerState::new(&settings.optimizer, weights, masks.next(), learning)
        };
        let layers = layers.matrices().map(state).collect::<Result<_, Error>>()?;
        Ok(Self {
            spectral: spectral.transpose()?,
            settings,
            updates: 0,
            power: RunningPower::ONE,
            layers,
        })
    }

    /// Number of updates so far.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// The settings with the current rates.
    pub(crate) fn settings(&self) -> &UpdateSettings {
        &self.settings
    }

    /// Replaces the rate of the recurrent weights, and of the readout if it has no separate rate.
    ///
    /// # Errors
    /// [`Error::Setting`]; nothing has changed.
    pub(crate) fn set_learning_rate(&mut self, rate: f64) -> Result<(), Error> {
        check_rate::<T>("learning rate", rate)?;
        *self.settings.optimizer.learning_rate_mut() = rate;
        Ok(())
    }

    /// Replaces the rate of the readout; `None` is that of the recurrent weights.
    ///
    /// # Errors
    /// [`Error::Setting`]; nothing has changed.
    pub(crate) fn set_readout_learning_rate(&mut self, rate: Option<f64>) -> Result<(), Error> {
        if let Some(rate) = rate {
            check_rate::<T>("learning rate of the readout", rate)?;
            if self.layers.len() < LAYERS.len() {
                return Err(no_readout());
            }
        }
        self.settings.readout_learning_rate = rate;
        Ok(())
    }

    /// Changes the weights of every layer, or none of them if anything would not be finite.
    ///
    /// # Errors
    /// What is not finite.
    pub(crate) fn apply(
        &mut self,
        layers: &mut Network<T>,
        gradient: &Gradient<T>,
    ) -> Result<(), Quantity> {
        let factor = self.settings.schedule.factor(self.updates).ok_or(Quantity::LearningRate)?;
        let limit = match self.settings.clipping {
            Clipping { value: None, norm: None } => None,
            clipping => clip::limit(layers.isa, clipping, gradient)?,
        };
        let rule = Rule::new(&self.settings.optimizer, self.updates + 1, &mut self.power);
        let rates = self.settings.learning_rates();
        let places = self.layers.iter_mut().zip(layers.matrices()).zip(gradient.matrices());
        for (((layer, weights), gradient), rate) in places.zip(rates) {
            let (weights, gradient) = (weights.padded(), gradient.padded());
            let rates = Rates::new(rate * factor, self.settings.weight_decay, &rule);
            if !layer.prepare(layers.isa, &rule, (limit, &rates), weights, gradient) {
                return Err(Quantity::Weights);
            }
        }
        if let (Some(limit), Some(layer)) = (&mut self.spectral, self.layers.first_mut()) {
            limit.enforce(&mut layer.next_weights)?;
        }
        for (layer, weights) in self.layers.iter_mut().zip(layers.matrices_mut()) {
            layer.commit(weights);
        }
        self.updates += 1;
        Ok(())
    }

    /// The state of the optimiser except the number of updates, by name: layer (`recurrent`,
    /// `readout`), dot, moment (`momentum`, `first_moment`, `second_moment`); shapes as the
    /// weights'.
    pub(crate) fn state(&self) -> impl Iterator<Item = (String, &Matrix<T>)> {
        self.moments().map(|(name, moments)| (name, &moments.now))
    }

    /// The moments of all layers, with the names of [`Updater::state`].
    fn moments(&self) -> impl Iterator<Item = (String, &Moments<T>)> {
        LAYERS.iter().zip(&self.layers).flat_map(|(name, layer)| {
            layer.moments().map(move |moments| (format!("{name}.{}", moments.name), moments))
        })
    }

    /// [`Updater::state`], to be replaced.
    pub(crate) fn state_mut(&mut self) -> impl Iterator<Item = (String, &mut Matrix<T>)> {
        LAYERS.iter().zip(&mut self.layers).flat_map(|(name, layer)| {
            layer.moments_mut().map(move |(moment, matrix)| (format!("{name}.{moment}"), matrix))
        })
    }

    /// Fails unless an optimiser of these weights could have produced the moments.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check_state(&self, layers: &Network<T>) -> Result<(), Error> {
        let mut all = self.moments();
        all.try_for_each(|(name, moments)| check_moment(&name, &moments.now, moments, layers))
    }

    /// Restores the results of [`Updater::state`] and [`Updater::updates`] for the same settings
    /// and layers, in any order.
    ///
    /// # Errors
    /// [`Error::Setting`] if names are missing or unknown or a number cannot be one of that moment,
    /// [`Error::Shape`]; nothing has changed.
    pub(crate) fn restore(
        &mut self,
        layers: &Network<T>,
        updates: u64,
        stored: &[(String, Matrix<T>)],
    ) -> Result<(), Error> {
        if updates > MOST_COUNTED {
            let (expected, got) = (format!("at most {MOST_COUNTED}"), updates.to_string());
            return Err(Error::Setting { what: "number of updates", expected, got });
        }
        let names: Vec<String> = self.state().map(|(name, _)| name).collect();
        let find = |name| stored.iter().find(|(stored, _)| stored == name);
        let found: Vec<_> = names.iter().filter_map(find).collect();
        if found.len() != names.len() || stored.len() != names.len() {
            let got = stored.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let (expected, got) = (listed(&names), listed(&got));
            return Err(Error::Setting { what: "state of the optimiser", expected, got });
        }
        for ((name, matrix), (_, moments)) in found.iter().zip(self.moments()) {
            check_moment(name, matrix, moments, layers)?;
        }
        for ((_, place), (_, matrix)) in self.state_mut().zip(found) {
            for row in 0..place.rows() {
                place.row_mut(row).copy_from_slice(matrix.row(row));
            }
        }
        self.updates = updates;
        Ok(())
    }
}

fn no_readout() -> Error {
    let (expected, got) =
        ("none without a readout that learns by its gradient".to_owned(), "one".to_owned());
    Error::Setting { what: "learning rate of the readout", expected, got }
}

fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Fails unless `matrix` can replace `moments`, which have this name: it has the same shape, and
/// its numbers are finite, 0 for weights that do not learn (else these would move), and not
/// negative if they average squares.
fn check_moment<T: Real>(
    name: &str,
    matrix: &Matrix<T>,
    moments: &Moments<T>,
    layers: &Network<T>,
) -> Result<(), Error> {
    let shape = |matrix: &Matrix<T>| (matrix.rows(), matrix.columns());
    if shape(matrix) != shape(&moments.now) {
        let (expected, got) = (shape(&moments.now), shape(matrix));
        return Err(Error::Shape { what: "moment of the optimiser", expected, got });
    }
    let learning = if name.starts_with(LAYERS[0]) { layers.connections.learning() } else { vec![] };
    let mut learning = learning.into_iter();
    for &value in matrix.iter_rows().flatten() {
        let learns = learning.next().unwrap_or(true);
        let possible = value.is_finite() && !(moments.squares && value < T::ZERO);
        if !possible || !(learns || value == T::ZERO) {
            let expected = "finite numbers, none negative in a second moment, and 0 for weights \
                            that do not learn";
            let got = format!("{value} in {name}");
            let (what, expected) = ("moment of the optimiser", expected.to_owned());
            return Err(Error::Setting { what, expected, got });
        }
    }
    Ok(())
}

/// For each layer, 1 where weight decay acts: on weights that learn, except the bias.
fn decaying<T: Real>(layers: &Network<T>) -> Result<Vec<Matrix<T>>, Error> {
    let biases = layers.layers().iter().map(|layer| (layer.rows.end, layer.bias_column()));
    let is_bias =
        |i, j| biases.clone().find(|&(end, _)| i < end).is_some_and(|(_, b)| b == Some(j));
    let recurrent = marked(&layers.weights, |i, j| {
        !is_bias(i, j) && layers.connections.get(i, j) == Connection::Learning
    });
    let readout = layers.descending_readout().map(|readout| {
        let weights = readout.weights.columns() - usize::from(readout.bias);
        marked(&readout.weights, |_, j| j < weights)
    });
    std::iter::once(recurrent).chain(readout).collect()
}

/// A matrix like `like` with 1 where `is` says so, else 0.
fn marked<T: Real>(
    like: &Matrix<T>,
    is: impl Fn(usize, usize) -> bool,
) -> Result<Matrix<T>, Error> {
    let mut mask = like.zeros_like()?;
    for i in 0..mask.rows() {
        for (j, place) in mask.row_mut(i).iter_mut().enumerate() {
            *place = if is(i, j) { T::ONE } else { T::ZERO };
        }
    }
    Ok(mask)
}
