//! Which tensors of an engine belong in the manifest, and which in the shard of a rank.

use std::sync::atomic::Ordering;

use rtrl_model::kernel::{self, Sink};
use rtrl_model::{Error, Pace, Real, Spec};

use crate::Ranks;

/// p, with a column for each weight of a rank and a row for each state.
pub(super) const SENSITIVITIES: &str = "sensitivities";

/// Tensors with a column for each weight of a rank. Apart from p, they have one row.
const OF_COLUMNS: [&str; 2] = [SENSITIVITIES, "gradient"];

/// The end of the names of tensors that hold 0 where no weight of a rank sees the value, so that
/// only all ranks together know them whole.
const OF_Z: &str = ".z";

/// The part of its tensors that an engine passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Those that are the same on all ranks.
    Shared = 1,
    /// The columns of this rank, and z as far as they see it.
    Columns = 2,
}

impl Part {
    /// The part with this number; none for 0.
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Shared, Self::Columns].into_iter().find(|&part| part as u8 == number)
    }

    /// Lets engines pass this part on until the result is dropped.
    pub(crate) fn begin(self, ranks: &Ranks) -> impl Drop {
        ranks.context().saving.store(self as u8, Ordering::Relaxed);
        End(ranks.clone())
    }

    /// A sink that passes only this part on.
    pub(crate) fn filter<T: Real>(self, to: &mut dyn Sink<T>) -> impl Sink<T> {
        Filter { part: self, to }
    }

    fn takes(self, name: &str) -> bool {
        match self {
            Self::Shared => !is_of_columns(name),
            Self::Columns => is_of_columns(name) || is_of_z(name),
        }
    }
}

struct End(Ranks);

impl Drop for End {
    fn drop(&mut self) {
        self.0.context().saving.store(0, Ordering::Relaxed);
    }
}

struct Filter<'a, T> {
    part: Part,
    to: &'a mut dyn Sink<T>,
}

impl<T: Real> Sink<T> for Filter<'_, T> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), kernel::Error> {
        if self.part.takes(name) { self.to.tensor(name, shape, fill) } else { Ok(()) }
    }
}

pub(super) fn is_of_columns(name: &str) -> bool {
    OF_COLUMNS.contains(&name)
}

pub(super) fn is_of_z(name: &str) -> bool {
    name.ends_with(OF_Z)
}

const PREFIX: &str = "sharded ";
const EAGER: &str = "eager";
const DEFERRED: &str = "deferred ";

/// The name of a sharded engine around one of this spec.
pub(crate) fn name_of(inner: &Spec) -> String {
    match inner {
        Spec::Eager => format!("{PREFIX}{EAGER}"),
        Spec::Deferred { window, pace: Pace::Bursts } => format!("{PREFIX}{DEFERRED}{window}"),
        Spec::Deferred { window, .. } => format!("{PREFIX}{DEFERRED}{window}, evenly paced"),
        Spec::Diagonal => format!("{PREFIX}diagonal"),
        Spec::Blocks(blocks) => format!("{PREFIX}{} blocks", blocks.len()),
        Spec::Custom { name, .. } => format!("{PREFIX}{name}"),
    }
}

/// Whether an engine is a sharded one, which saves the parts of its tensors.
pub(super) fn is_sharded(spec: &Spec) -> bool {
    matches!(spec, Spec::Custom { name, .. } if name.starts_with(PREFIX))
}

/// The spec in the name of a sharded engine that can be saved.
///
/// # Errors
/// [`Error::Setting`] for any other name.
pub(crate) fn spec_of(name: &str) -> Result<Spec, Error> {
    let inner = name.strip_prefix(PREFIX);
    let window = inner.and_then(|inner| inner.strip_prefix(DEFERRED)?.parse().ok());
    match (inner, window) {
        (Some(EAGER), _) => Ok(Spec::Eager),
        (_, Some(window)) => Ok(Spec::Deferred { window, pace: Pace::Bursts }),
        _ => {
            let expected = "a sharded eager or deferred one".to_owned();
            Err(Error::Setting { what: "stored engine", expected, got: format!("{name:?}") })
        }
    }
}

/// Fails unless the columns of an engine can be divided anew.
pub(crate) fn check_inner(inner: &Spec) -> Result<(), kernel::Error> {
    if spec_of(&name_of(inner)).is_ok_and(|spec| spec == *inner) {
        return Ok(());
    }
    Err(kernel::Error::Unsupported { what: "being saved in shards" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_engines_that_can_be_saved() {
        let deferred = |pace| Spec::Deferred { window: 24, pace };
        for spec in [Spec::Eager, deferred(Pace::Bursts)] {
            assert_eq!(spec_of(&name_of(&spec)).unwrap(), spec);
            check_inner(&spec).unwrap();
        }
        let custom = Spec::Custom { name: "eager".to_owned(), exact: true };
        for spec in [custom, deferred(Pace::Even)] {
            assert!(check_inner(&spec).is_err(), "{spec:?}");
        }
        for name in ["eager", "sharded ", "sharded deferred", "sharded deferred -1"] {
            assert!(spec_of(name).is_err(), "{name}");
        }
    }
}
