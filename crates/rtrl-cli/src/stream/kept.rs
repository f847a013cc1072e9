//! What a checkpoint of a stream holds next to its learners.

use std::borrow::Cow;

use rtrl_lab::baselines::{Autoregression, PerTarget, Persistence};
use rtrl_lab::class_baselines::{Frequencies, LastLabel};
use rtrl_lab::forecast::{Horizon, Memory, NetworkForecaster, Predict};
use rtrl_lab::interval::RecentErrors;
use rtrl_lab::prequential::Scores;
use rtrl_model::store::StoredLearners;
use rtrl_model::{Learner, Real, Supplies, Threads};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::stream::forecasters::{Baseline, Forecasters};
use crate::stream::history::History;
use crate::stream::seen::Seen;

/// The name of the network's learner in the file, and that of the baseline with fixed recurrent
/// weights.
const NETWORK: &str = "network";
const STILL: &str = "still";

/// Everything but the learners, borrowed when it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept<'a> {
    /// The version of the program.
    version: Cow<'a, str>,
    /// The options that must be the same when the run is resumed.
    pub(super) settings: Cow<'a, Value>,
    /// Rows so far.
    pub(super) rows: u64,
    /// These rows.
    pub(super) seen: Seen,
    /// The names of the groups so far.
    pub(super) groups: Cow<'a, [String]>,
    /// Bytes of the file of predictions, if there is one.
    pub(super) predictions: Option<u64>,
    network: Memory,
    baselines: Vec<KeptBaseline<'a>>,
    scores: Cow<'a, Scores>,
    errors: Cow<'a, [RecentErrors]>,
    pub(super) history: Option<Cow<'a, History>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptBaseline<'a> {
    Persistence(Cow<'a, PerTarget<Persistence>>),
    Autoregression(Cow<'a, PerTarget<Autoregression>>),
    LastLabel(Cow<'a, LastLabel>),
    Frequencies(Cow<'a, Frequencies>),
    Still(Memory),
}

/// How a network forecasts, which options say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) predict: Predict,
    pub(crate) horizon: Horizon,
    pub(crate) threads: Threads,
}

impl<'a> Kept<'a> {
    /// What is kept of forecasters.
    pub(super) fn of<T: Real>(
        forecasters: &'a Forecasters<T>,
        (settings, seen): (&'a Value, Seen),
        groups: &'a [String],
        predictions: Option<u64>,
        history: Option<&'a History>,
    ) -> Self {
        let baseline = |baseline: &'a Baseline<T>| match baseline {
            Baseline::Persistence(baseline) => KeptBaseline::Persistence(Cow::Borrowed(baseline)),
            Baseline::Autoregression(baseline) => {
                KeptBaseline::Autoregression(Cow::Borrowed(baseline))
            }
            Baseline::LastLabel(baseline) => KeptBaseline::LastLabel(Cow::Borrowed(baseline)),
            Baseline::Frequencies(baseline) => KeptBaseline::Frequencies(Cow::Borrowed(baseline)),
            Baseline::Still(baseline) => KeptBaseline::Still(baseline.memory()),
        };
        Self {
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
            settings: Cow::Borrowed(settings),
            rows: forecasters.rows,
            seen,
            groups: Cow::Borrowed(groups),
            predictions,
            network: forecasters.ours.memory(),
            baselines: forecasters.baselines.iter().map(baseline).collect(),
            scores: Cow::Borrowed(&forecasters.scores),
            errors: Cow::Borrowed(forecasters.errors.as_slice()),
            history: history.map(Cow::Borrowed),
        }
    }

    /// The version of the program, this one's and that of the file, if it is another one: a version
    /// may compute other bits.
    pub(super) fn other_version(&self) -> Option<(String, String, String)> {
        let this = env!("CARGO_PKG_VERSION");
        let differs = self.version != this;
        differs.then(|| ("version".to_owned(), this.to_owned(), self.version.to_string()))
    }

    /// The forecasters, with their learners from the file.
    pub(super) fn forecasters<T: Real>(
        self,
        stored: &mut StoredLearners,
        manner: Manner,
    ) -> Result<Forecasters<T>, Error> {
        let ours = remembering(stored, NETWORK, self.network, manner)?;
        let mut baselines = Vec::with_capacity(self.baselines.len());
        for baseline in self.baselines {
            baselines.push(match baseline {
                KeptBaseline::Persistence(baseline) => Baseline::Persistence(baseline.into_owned()),
                KeptBaseline::Autoregression(baseline) => {
                    Baseline::Autoregression(Box::new(baseline.into_owned()))
                }
                KeptBaseline::LastLabel(baseline) => Baseline::LastLabel(baseline.into_owned()),
                KeptBaseline::Frequencies(baseline) => Baseline::Frequencies(baseline.into_owned()),
                KeptBaseline::Still(memory) => {
                    Baseline::Still(Box::new(remembering(stored, STILL, memory, manner)?))
                }
            });
        }
        let (scores, errors, rows) =
            (self.scores.into_owned(), self.errors.into_owned(), self.rows);
        Ok(Forecasters::with(ours, baselines, scores, errors, rows))
    }
}

/// The learners of forecasters, by their names in the file.
pub(super) fn learners<T: Real>(forecasters: &Forecasters<T>) -> Vec<(&'static str, &Learner<T>)> {
    let still = forecasters.baselines.iter().filter_map(|baseline| match baseline {
        Baseline::Still(baseline) => Some((STILL, baseline.learner())),
        _ => None,
    });
    std::iter::once((NETWORK, forecasters.ours.learner())).chain(still).collect()
}

fn remembering<T: Real>(
    stored: &mut StoredLearners,
    name: &str,
    memory: Memory,
    manner: Manner,
) -> Result<NetworkForecaster<T>, Error> {
    let Manner { predict, horizon, threads } = manner;
    let learner = stored.take(name, &Supplies { threads, ..Supplies::default() })?;
    Ok(NetworkForecaster::new(learner, predict, horizon)?.remember(memory)?)
}
