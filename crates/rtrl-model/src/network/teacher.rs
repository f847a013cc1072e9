//! Teacher forcing: units whose outputs are replaced (the forced set).

use rtrl_kernel::{Real, any_forced};

use crate::Targets;

/// Units whose output is replaced by a teacher's value in z(t): one entry for each state, of which
/// those of cells are never forced.
#[derive(Debug, Clone)]
pub(crate) struct Teacher<T> {
    /// Whether k is in T(t).
    pub(crate) forced: Vec<bool>,
    /// `d_k(t)` where forced.
    pub(crate) values: Vec<T>,
}

impl<T: Real> Teacher<T> {
    pub(super) fn absent(states: usize) -> Self {
        Self { forced: vec![false; states], values: vec![T::ZERO; states] }
    }

    /// Replaces the outputs of forced units by the teacher's values.
    #[inline]
    pub(super) fn replace(&self, outputs: &mut [T]) {
        if !any_forced(&self.forced) {
            return;
        }
        let taught = self.forced.iter().zip(&self.values);
        for (output, (&forced, &value)) in outputs.iter_mut().zip(taught) {
            if forced {
                *output = value;
            }
        }
    }

    /// Becomes T(t+1) with its values.
    pub(crate) fn take_over(&mut self, targets: &Targets<'_, T>) {
        for (k, (forced, value)) in self.forced.iter_mut().zip(&mut self.values).enumerate() {
            *forced = targets.get(k).is_some();
            *value = targets.get(k).unwrap_or(T::ZERO);
        }
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.forced.copy_from_slice(&other.forced);
        self.values.copy_from_slice(&other.values);
    }
}
