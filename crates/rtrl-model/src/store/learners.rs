//! Several learners in one file, each under its name.

use std::borrow::Cow;
use std::path::Path;

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoredLearner;
use super::container::{self, Plan, Reader};
use super::fields::{Planned, Walk, planned, write};
use super::learner::StoredParts;
use super::network::check_kind;
use super::supplies::Supplies;
use crate::{Error, Learner};

/// The header of a file of several learners, apart from the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents<'a> {
    kind: Kind,
    learners: Vec<Named>,
    /// Counts and flags of all learners; each name starts with that of its learner and a dot.
    counts: Map<String, Value>,
    application: Cow<'a, Value>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Learners,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    parts: StoredParts,
}

/// Saves several learners to one file, which is replaced whole. Each tensor has the name that
/// [`Learner::save`] gives it, after the name of its learner and a dot.
///
/// # Errors
/// [`Error::Setting`] for a name with a dot; otherwise as [`Learner::save`].
pub fn save<T: Real>(
    path: &Path,
    learners: &[(&str, &Learner<T>)],
    application: &Value,
) -> Result<(), Error> {
    if let Some((name, _)) = learners.iter().find(|(name, _)| name.contains('.')) {
        let (expected, got) = ("no dot".to_owned(), format!("{name:?}"));
        return Err(Error::Setting { what: "name of a learner", expected, got });
    }
    let walk: &Walk<'_, T> = &|visit| {
        learners.iter().try_for_each(|(name, learner)| {
            learner.visit_all(None, &mut |field, value| visit(&format!("{name}.{field}"), value))
        })
    };
    let Planned { tensors, counts } = planned(walk)?;
    let named = |(name, learner): &(&str, &Learner<T>)| Named {
        name: (*name).to_owned(),
        parts: StoredParts::of(*learner),
    };
    let contents = Contents {
        kind: Kind::Learners,
        learners: learners.iter().map(named).collect(),
        counts,
        application: Cow::Borrowed(application),
    };
    let plan = Plan::new(&contents, tensors)?;
    container::save(path, &plan, |writer| write(walk, writer))
}

/// A file of several learners.
#[derive(Debug)]
pub struct StoredLearners {
    reader: Reader,
    contents: Contents<'static>,
}

impl StoredLearners {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Those of [`Reader::open`], and [`Error::Format`] if it does not hold several learners or has
    /// tensors or counts that belong to none of them.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let reader = Reader::open(path)?;
        check_kind(&reader, "learners")?;
        let contents = Contents::deserialize(reader.contents());
        let contents = contents
            .map_err(|error| reader.refuse(format!("not a checkpoint of learners: {error}")))?;
        let known = |name: &str| {
            let owner = name.split_once('.').map(|(owner, _)| owner);
            contents.learners.iter().any(|learner| Some(learner.name.as_str()) == owner)
        };
        let names = reader.tensors().map(|tensor| &tensor.name).chain(contents.counts.keys());
        if let Some(odd) = names.into_iter().find(|name| !known(name)) {
            return Err(reader.refuse(format!("got `{odd}`, expected fields of its learners")));
        }
        Ok(Self { reader, contents })
    }

    /// Data of the program that saved it.
    pub fn application(&self) -> &Value {
        &self.contents.application
    }

    /// The precision of the learner of a name, `f32` or `f64`; `None` if there is no such learner.
    pub fn precision(&self, name: &str) -> Option<&str> {
        let named = self.contents.learners.iter().find(|learner| learner.name == name)?;
        Some(named.parts.precision())
    }

    /// Takes out the learner of a name, which continues as the saved one would have, bit for bit.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no such learner, or it has been taken; otherwise as
    /// [`StoredLearner::learner`].
    pub fn take<T: Real>(
        &mut self,
        name: &str,
        supplies: &Supplies<T>,
    ) -> Result<Learner<T>, Error> {
        let Self { reader, contents } = self;
        let Some(place) = contents.learners.iter().position(|learner| learner.name == name) else {
            return Err(reader.refuse(format!("got no learner `{name}`")));
        };
        let Named { parts, .. } = contents.learners.swap_remove(place);
        let prefix = format!("{name}.");
        let counts = contents.counts.iter().filter_map(|(count, value)| {
            Some((count.strip_prefix(&prefix)?.to_owned(), value.clone()))
        });
        let stored = StoredLearner::among(reader.part(&prefix), parts, counts.collect());
        stored.learner(supplies)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Network, Optimizer, Readout, Targets};

    fn learner(units: usize) -> Learner<f32> {
        let readout = Readout::new(1).recursive_least_squares(0.99, 1.0);
        let network = Network::builder(units, 1).readout(readout).seed(units as u64);
        let learner = Learner::builder(network.build().unwrap()).optimizer(Optimizer::adam(0.01));
        learner.build().unwrap()
    }

    fn step(learner: &mut Learner<f32>, t: u8) {
        let x = f32::from(t % 7) / 7.0;
        learner.step(&[x], Targets::All(&[1.0 - x])).unwrap();
    }

    #[test]
    fn each_learner_continues_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("both");
        let mut learners = [learner(3), learner(5)];
        for t in 0..40 {
            for learner in &mut learners {
                step(learner, t);
            }
            if t == 20 {
                let [a, b] = &learners;
                save(&path, &[("a", a), ("b", b)], &json!({"row": t})).unwrap();
            }
        }
        let mut stored = StoredLearners::open(&path).unwrap();
        assert_eq!(stored.application(), &json!({"row": 20}));
        assert_eq!((stored.precision("a"), stored.precision("c")), (Some("f32"), None));
        for (name, whole) in ["a", "b"].into_iter().zip(&learners) {
            let mut resumed = stored.take::<f32>(name, &Supplies::default()).unwrap();
            assert!(resumed.first_difference(whole).unwrap().is_some());
            (21..40).for_each(|t| step(&mut resumed, t));
            assert_eq!(resumed.first_difference(whole).unwrap(), None, "{name}");
        }
        for gone in ["a", "c"] {
            let message = stored.take::<f32>(gone, &Supplies::default()).unwrap_err().to_string();
            assert!(message.contains(&format!("no learner `{gone}`")), "{message}");
        }
    }

    #[test]
    fn names_must_be_unique_and_without_a_dot() {
        let folder = tempfile::tempdir().unwrap();
        let (path, learner) = (folder.path().join("both"), learner(2));
        for names in [["a", "b.c"], ["a", "a"]] {
            let named = names.map(|name| (name, &learner));
            assert!(save(&path, &named, &json!(null)).is_err(), "{names:?}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_checkpoint_of_one_learner_is_another_kind_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        learner(2).save(&path, &json!(null)).unwrap();
        let message = StoredLearners::open(&path).unwrap_err().to_string();
        let expected =
            "got the checkpoint of a learner, expected the checkpoint of several learners";
        assert!(message.contains(expected), "{message}");
        save(&path, &[("a", &learner(2))], &json!(null)).unwrap();
        assert!(StoredLearner::open(&path).is_err());
    }
}
