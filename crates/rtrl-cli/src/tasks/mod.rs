//! `rtrl tasks`: lists the task generators and writes their streams; `compare.rs` compares cells on
//! them.

mod compare;

use std::io::ErrorKind;

use rtrl_lab::tasks::{CATALOGUE, Entry, find};

use crate::args::{EmitArgs, TasksCommand};
use crate::error::Error;
use crate::outputs;

pub(crate) fn run(command: &TasksCommand) -> Result<(), Error> {
    match command {
        TasksCommand::List => outputs::print(&list()),
        TasksCommand::Emit(args) => emit(args),
        TasksCommand::Compare(args) => compare::run(args),
    }
}

fn list() -> String {
    let header = "task          inputs  targets\n".to_owned();
    let line = |entry: &Entry| {
        let task = entry.start(0);
        let (inputs, targets) = (task.inputs().len(), task.targets().len());
        format!("{:<14}{inputs:>6}{targets:>9}   {}\n", entry.name, entry.about)
    };
    std::iter::once(header).chain(CATALOGUE.iter().map(line)).collect()
}

/// Writes a header and the steps, one by one. A closed standard output is no error.
fn emit(args: &EmitArgs) -> Result<(), Error> {
    match write_stream(args)?.map_err(csv::Error::into_kind) {
        Err(csv::ErrorKind::Io(error)) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Print(error))
        }
        _ => Ok(()),
    }
}

/// The outer result is about the command line, the inner one about standard output.
fn write_stream(args: &EmitArgs) -> Result<csv::Result<()>, Error> {
    let entry = find(&args.task).ok_or_else(|| Error::Task {
        name: args.task.clone(),
        known: CATALOGUE.iter().map(|entry| entry.name).collect(),
    })?;
    let mut task = entry.start(args.seed);
    let mut input = vec![0.0; task.inputs().len()];
    let mut targets = vec![None; task.targets().len()];
    let mut rows = csv::Writer::from_writer(std::io::stdout().lock());
    let mut write = || {
        rows.write_record(task.inputs().iter().chain(task.targets()))?;
        for _ in 0..args.steps {
            task.draw_into(&mut input, &mut targets);
            rows.serialize((&input, &targets))?;
        }
        Ok(rows.flush()?)
    };
    Ok(write())
}
