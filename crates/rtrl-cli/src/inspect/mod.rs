//! `rtrl inspect`: the analysis of a saved network.
//!
//! `rtrl_lab::inspect::Findings` gathers the results → `summary.rs` prints them, and `report.rs`
//! draws them, with `pictures.rs` and `graph.rs`.

mod graph;
mod pictures;
mod report;
mod summary;

use std::num::NonZeroU32;
use std::path::Path;

use rtrl_lab::inspect::{Findings, Inputs, UNWATCHED, Watching};
use rtrl_lab::tasks::{CATALOGUE, Entry, find};
use rtrl_model::store::network::SavedModel;
use rtrl_model::{Network, StoredLearner, Threads, store};

use crate::args::{InspectArgs, OnError};
use crate::error::Error;
use crate::input::{self, Series};
use crate::model::Model;
use crate::outputs;
use crate::ranks::alone;
use crate::signals::Stop;

pub(crate) fn run(args: &InspectArgs) -> Result<(), Error> {
    let files = [("--json", args.json.as_ref()), ("--report", args.report.as_ref())];
    outputs::check(Some(("the model", &args.model)), &files)?;
    if let Some(series) = args.series.as_deref().filter(|path| !input::is_standard_input(path)) {
        outputs::check(Some(("--series", series)), &files)?;
    }
    let task = args.task.as_deref().map(named).transpose()?;
    let (network, precision) = network(&args.model)?;
    let watching = Watching { steps: args.steps, seed: args.seed };
    let stop = args.series.is_some().then(|| Stop::watch(&alone())).transpose()?;
    let rows = args.series.as_deref().map(|series| rows(args, series)).transpose();
    let rows = stop.as_ref().map_or(Ok(()), |stop| stop.or(Ok(()))).and(rows)?;
    let inputs = match (task, &rows) {
        (Some(task), _) => Inputs::Task(task),
        (None, Some(rows)) => Inputs::Rows(rows),
        (None, None) => Inputs::Zeros,
    };
    let findings = Findings::gather(&network, &precision, inputs, watching)?;
    if let Some(signal) = stop.and_then(|stop| stop.error()) {
        return Err(signal);
    }
    if let Some(path) = &args.json {
        store::replace(path, &json(&findings)?)?;
        outputs::confirm("results", path);
    }
    if let Some(path) = &args.report {
        let name = args.model.file_name().unwrap_or_default().to_string_lossy();
        store::replace(path, report::draw(&name, &findings, &network).as_bytes())?;
        outputs::confirm("report", path);
    }
    outputs::print(&summary::text(&findings))
}

/// The task of a name.
fn named(name: &str) -> Result<&'static Entry, Error> {
    find(name).ok_or_else(|| Error::Task {
        name: name.to_owned(),
        known: CATALOGUE.iter().map(|entry| entry.name).collect(),
    })
}

/// The inputs of the network in the rows of a series that are observed, and in those before them.
fn rows(args: &InspectArgs, series: &Path) -> Result<Vec<Vec<f64>>, Error> {
    let model = Model::read(&args.model)?;
    let mut columns = model.described.columns(OnError::Stop);
    (columns.groups, columns.most_groups) = (Vec::new(), NonZeroU32::MAX);
    let horizon = model.manner(Threads::Auto).horizon;
    let mut series = Series::open(series, &columns, horizon, false, &alone())?;
    let mut rows = Vec::new();
    while rows.len() < UNWATCHED + args.steps
        && let Some(row) = series.next_row()?
    {
        // Of several groups, the first one is observed.
        if row.group == 0 {
            rows.push(model.described.memory.standardise(&row.inputs)?);
        }
    }
    Ok(rows)
}

/// The network of a saved model or of a learner's checkpoint, in double precision, and the
/// precision of the file; an error if it has functions that only its program knows.
fn network(path: &Path) -> Result<(Network<f64>, String), Error> {
    let (network, precision) = if let Ok(stored) = StoredLearner::open(path) {
        let precision = stored.precision().to_owned();
        (stored.network(&[]), precision)
    } else {
        let saved = SavedModel::read(path)?;
        (saved.network(&[]), saved.precision().to_owned())
    };
    let network = network.map_err(|error| match error {
        rtrl_model::Error::Setting { what: "activation", got, .. } if got.contains("custom:") => {
            Error::CustomActivation { name: got }
        }
        other => other.into(),
    })?;
    Ok((network, precision))
}

/// The JSON file.
fn json(findings: &Findings) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(findings).map_err(Error::format("the findings"))
}
