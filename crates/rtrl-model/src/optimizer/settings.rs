//! All settings of the updates of a learner.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use super::rule::check_rate;
use super::{Clipping, Optimizer, RateSchedule};
use crate::Error;
use crate::error::check_setting;

/// Everything between a gradient and the change of the weights, as plain data. It is checked when a
/// learner is built.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateSettings {
    /// The rule, with its learning rate. By default gradient descent with rate 0.01.
    pub optimizer: Optimizer,
    /// The learning rate of the readout; `None` for that of the optimiser.
    #[serde(default)]
    pub readout_learning_rate: Option<f64>,
    /// How both rates change with the number of updates.
    #[serde(default)]
    pub schedule: RateSchedule,
    /// Limits on the gradient.
    #[serde(default)]
    pub clipping: Clipping,
    /// λ of decoupled weight decay (Loshchilov & Hutter 2019): in addition to the change of the
    /// optimiser, `w -= rate * λ * w`, as in `torch.optim.AdamW`, with the rate of the layer and
    /// the schedule. It applies to weights that learn, except those of the bias; 0 for none.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest singular value that the recurrent weights (units x units) may have after an update.
    ///
    /// If they exceed it, those that learn are multiplied by one factor. Frozen weights are
    /// unchanged, and a limit below their own singular value is refused. The limit holds up to
    /// rounding, from the first update on; initial weights are unchanged. It needs the feature
    /// `linalg` and costs `O(n^3)` per update. Results may then differ between machines in the last
    /// bits, the only exception to the guarantee of equal bits.
    #[serde(default)]
    pub spectral_limit: Option<f64>,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Optimizer::sgd(0.01).into()
    }
}

impl From<Optimizer> for UpdateSettings {
    /// This optimiser and nothing else.
    fn from(optimizer: Optimizer) -> Self {
        Self {
            optimizer,
            readout_learning_rate: None,
            schedule: RateSchedule::Constant,
            clipping: Clipping::default(),
            weight_decay: 0.0,
            spectral_limit: None,
        }
    }
}

impl UpdateSettings {
    /// Adam with weight decay 0.01, the defaults of `torch.optim.AdamW`.
    pub fn adamw(learning_rate: f64) -> Self {
        Self { weight_decay: 0.01, ..Optimizer::adam(learning_rate).into() }
    }

    /// Supplies the functions of a custom schedule and a custom optimiser, of which a file stores
    /// only the names. Others need nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if the one of that name has not been supplied.
    pub fn supply(
        &mut self,
        schedule: Option<&RateSchedule>,
        optimizer: Option<&Optimizer>,
    ) -> Result<(), Error> {
        self.schedule.supply(schedule)?;
        if let Some(optimizer) = optimizer {
            self.optimizer.supply(optimizer);
        }
        self.optimizer.check_rule()
    }

    /// The rates of the recurrent weights and of the readout, before the schedule.
    pub(super) fn learning_rates(&self) -> [f64; 2] {
        let rate = self.optimizer.learning_rate();
        [rate, self.readout_learning_rate.unwrap_or(rate)]
    }

    /// Fails unless every number is in its range, in the precision of the weights.
    pub(super) fn check<T: Real>(&self) -> Result<(), Error> {
        self.optimizer.check::<T>()?;
        let [_, readout] = self.learning_rates();
        check_rate::<T>("learning rate of the readout", readout)?;
        self.schedule.check()?;
        self.clipping.check()?;
        check_setting("weight decay", T::from_f64(self.weight_decay).to_f64(), 0.0)
    }
}
