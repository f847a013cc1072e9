//! `rtrl inspect`: what a saved network does.
//!
//! `findings.rs` applies the instruments of `rtrl_lab::inspect` → `summary.rs` prints what they found,
//! and `report.rs` draws it, with `pictures.rs` and `graph.rs`. `compared.rs` has words for both.

mod compared;
mod findings;
mod graph;
mod pictures;
mod report;
mod summary;
mod watched;

use rtrl_lab::inspect::Dynamics;
use rtrl_lab::tasks::{CATALOGUE, Entry, find};
use rtrl_model::saved::SavedModel;
use rtrl_model::{Network, file};

use crate::args::InspectArgs;
use crate::error::Error;
use crate::inspect::findings::Findings;
use crate::outputs;

pub(crate) fn run(args: &InspectArgs) -> Result<(), Error> {
    let files = [("--json", args.json.as_ref()), ("--report", args.report.as_ref())];
    outputs::check(Some(("the model", &args.model)), &files)?;
    let task = args.task.as_deref().map(named).transpose()?;
    let saved = SavedModel::read(&args.model)?;
    let network = network(&saved)?;
    if let Some(task) = task {
        check_shape(task, &network)?;
    }
    let findings = Findings::gather(&network, saved.precision(), task, args)?;
    if let Some(path) = &args.json {
        file::replace(path, &findings.json()?)?;
    }
    if let Some(path) = &args.report {
        let name = args.model.file_name().unwrap_or_default().to_string_lossy();
        file::replace(path, report::draw(&name, &findings, &network).as_bytes())?;
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

/// The network of a file, in double precision, unless it has functions that only its program knows.
fn network(saved: &SavedModel) -> Result<Network<f64>, Error> {
    saved.network::<f64>(&[]).map_err(|error| match error {
        rtrl_model::Error::Setting { what: "activation", got, .. } if got.contains("custom:") => {
            Error::OwnActivation { name: got }
        }
        other => other.into(),
    })
}

/// Fails unless the network takes the inputs of a task and has an output for each of its targets.
fn check_shape(task: &Entry, network: &Network<f64>) -> Result<(), Error> {
    let stream = task.start(0);
    let takes = (stream.inputs().len(), stream.targets().len());
    let dynamics = Dynamics::of(network);
    if takes.0 == dynamics.inputs() && takes.1 <= network.outputs() {
        return Ok(());
    }
    let got = (network.inputs(), network.outputs());
    Err(Error::TaskShape { task: task.name, expected: takes, got })
}
