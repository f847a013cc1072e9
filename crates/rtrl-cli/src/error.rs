//! The errors of the program.

use std::path::PathBuf;

use thiserror::Error;

use crate::number::counted;
use crate::ranks::BuildError;

/// An error that ends the program, with exit code 2 if the command line itself is wrong, 128 and
/// its number for a signal, else 1.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// Two arguments name the same file.
    #[error("{first} and {second}: got the same file, {}, expected two files", path.display())]
    SameFile {
        /// The one argument.
        first: &'static str,
        /// The other argument.
        second: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The same item twice in the values of an option.
    #[error("{option}: got {item} twice, expected each once")]
    Repeated {
        /// The option.
        option: &'static str,
        /// The item.
        item: String,
    },
    /// No column is left among those that an option chooses.
    #[error("{option}: got no column, expected at least one")]
    NoColumn { option: &'static str },
    /// A column of text that is not used.
    #[error("--classes: got column {column:?}, expected an input or the target")]
    NoTextInput { column: String },
    /// A target of text next to others.
    #[error(
        "--target: got the column of text {column:?} and other columns, expected it alone, or only \
         columns of numbers"
    )]
    SeveralClasses {
        /// The name.
        column: String,
    },
    /// A target of text with fewer than two classes.
    #[error(
        "--target: got only the class {got:?} in column {column:?}, expected at least 2 classes"
    )]
    FewClasses {
        /// The name.
        column: String,
        /// The class.
        got: String,
    },
    /// A target of text with many classes, which may be no classes at all.
    #[error(
        "--target: got {got} different texts in column {column:?} in the first {rows} rows, \
         expected numbers, or at most {most} classes; more are learnt with --classes {column}"
    )]
    ManyClasses {
        /// The name.
        column: String,
        /// Different texts.
        got: usize,
        /// The rows from which classes are learnt.
        rows: usize,
        /// Most classes.
        most: usize,
    },
    /// Least squares for a class.
    #[error(
        "{option}: got least squares for a class, expected --readout gradient: least squares fits \
         numbers, not the probabilities of classes"
    )]
    ClassLeastSquares { option: &'static str },
    /// An option for numbers next to a class, or the other way round.
    #[error("{option}: got {got} for {target}, expected {expected}")]
    OtherKind {
        /// The option.
        option: &'static str,
        /// Its value.
        got: &'static str,
        /// What is forecast.
        target: &'static str,
        /// What would fit.
        expected: &'static str,
    },
    /// The target is an input of its own row.
    #[error("--inputs: got the target {column:?}, expected other columns with --horizon 0")]
    TargetInput {
        /// The name.
        column: String,
    },
    /// The target decides whose state a row belongs to.
    #[error("--group: got the target {column:?}, expected another column")]
    TargetGroup {
        /// The name.
        column: String,
    },
    /// A constant of least squares for a readout that learns by its gradient.
    #[error("{option}: got a readout that learns by its gradient, expected --readout rls")]
    NeedsLeastSquares { option: &'static str },
    /// An option of simple units for a gated cell.
    #[error("{option}: got {cell} units, expected --cell simple")]
    NeedsSimple {
        /// The option.
        option: &'static str,
        /// The cell.
        cell: &'static str,
    },
    /// Heads that do not make up a layer.
    #[error("--heads-of: got {got}, expected a divisor of the {units} units of a layer")]
    Heads { got: u32, units: u32 },
    /// The header has a requested column more than once.
    #[error("{}: got column {column:?} {count} times in the header, expected once", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
        /// How often the header has it.
        count: usize,
    },
    /// A file could not be opened or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An option that names a folder was given a file.
    #[error("{}: got a file, expected a folder", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a table, or cannot be read to its end.
    #[error("{}: {reason}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A row that cannot be split into cells, or has another number of them.
    #[error("{}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// The header lacks a requested column.
    #[error(
        "{}: got column {column:?}, expected one of {}{}",
        path.display(),
        available.join(", "),
        nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The requested name.
        column: String,
        /// The names in the header.
        available: Vec<String>,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A cell of a column that is used is not what it should be.
    #[error(
        "{}: line {line}, column {column:?}: got {got:?}, expected {expected}",
        path.display()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        got: String,
        /// What it should be.
        expected: String,
    },
    /// A column of text without any.
    #[error(
        "{}: got no text in column {column:?} in the first {rows} rows, expected its classes",
        path.display()
    )]
    NoClasses {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The rows from which classes are learnt.
        rows: usize,
    },
    /// Too few rows for a single forecast.
    #[error("{}: got {} of data, expected at least 2", path.display(), counted(*got, "row"))]
    Rows {
        /// The file.
        path: PathBuf,
        /// Rows below the header.
        got: u64,
    },
    /// An error after rows that were learnt from, whose results are written.
    #[error("{source}; the results are those of the {} before", counted(*rows, "row"))]
    Stopped {
        /// What is wrong.
        source: Box<Self>,
        /// Rows before the error.
        rows: u64,
    },
    /// An error after rows that were learnt from, whose results could not be written either.
    #[error("{source}; the results of the {} before are lost: {lost}", counted(*rows, "row"))]
    Lost {
        /// What is wrong.
        source: Box<Self>,
        /// Rows before the error.
        rows: u64,
        /// Why the results could not be written.
        lost: Box<Self>,
    },
    /// A signal.
    #[error("{name} has stopped the run")]
    Signal {
        /// Its number.
        number: i32,
        /// Its name.
        name: &'static str,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    /// A checkpoint that another process uses.
    #[error("{}: got a checkpoint that {} uses, expected one that no process uses", path.display(),
        process.map_or("another process".to_owned(), |process| format!("process {process}")))]
    InUse {
        /// The checkpoint.
        path: PathBuf,
        /// The other process, if it is known.
        process: Option<u32>,
    },
    /// A file that has the name of the lock of a checkpoint and is none.
    #[error(
        "{}: got another file in place of the checkpoint's lock, expected an empty file or the \
         number of a process; choose another name for --checkpoint",
        path.display()
    )]
    NotALock {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint that would be replaced by that of another run.
    #[error(
        "{}: got the checkpoint of an earlier run, expected none; continue that run with --resume, \
         or remove the file",
        path.display()
    )]
    CheckpointExists {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A run that is resumed with other options.
    #[error(
        "{}: --resume: got {setting} {got}, expected {expected} as in the checkpoint",
        path.display()
    )]
    OtherSettings {
        /// The checkpoint.
        path: PathBuf,
        /// The setting, an option by its flag.
        setting: String,
        /// Its value now.
        got: String,
        /// Its value in the checkpoint.
        expected: String,
    },
    /// A run that is resumed from the checkpoint of another command.
    #[error(
        "{}: --resume: got the checkpoint of `rtrl {got}`, expected one of `rtrl {expected}`",
        path.display()
    )]
    OtherCommand {
        /// The checkpoint.
        path: PathBuf,
        /// The command that has written it.
        got: String,
        /// The command that reads it.
        expected: String,
    },
    /// A run that is resumed on another series.
    #[error(
        "{}: --resume: got other rows, expected the {rows} rows that the checkpoint has seen; with \
         --from-now, none are expected",
        path.display()
    )]
    OtherRows {
        /// The series.
        path: PathBuf,
        /// Rows that the checkpoint has seen.
        rows: u64,
    },
    /// A file of predictions that lacks some of them.
    #[error(
        "{}: got {got} bytes, expected at least the {expected} bytes of predictions that the \
         checkpoint has seen",
        path.display()
    )]
    ShortPredictions {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        got: u64,
        /// Bytes at the checkpoint.
        expected: u64,
    },
    /// A model that does not say how to use it on a series.
    #[error(
        "{}: got a model that does not describe a series ({reason}), expected one that `rtrl \
         train` has saved",
        path.display()
    )]
    NotOfASeries {
        /// The model.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A model that needs more than its own forecasts.
    #[error(
        "{}: got a model with the inputs {}, expected only its target{} {}, one row before",
        path.display(), inputs.join(", "), if targets.len() == 1 { "" } else { "s" },
        targets.join(", ")
    )]
    NeedsInputs {
        /// The model.
        path: PathBuf,
        /// The inputs.
        inputs: Vec<String>,
        /// The targets.
        targets: Vec<String>,
    },
    /// A model with groups, of which one must be named, or a group that the model does not have.
    #[error("--group: got {}, expected one of the groups of the model{}",
        got.as_ref().map_or("none".to_owned(), |group| format!("{group:?}")),
        if known.is_empty() { ", which has none".to_owned() } else { format!(": {}", known.join(", ")) })]
    Group {
        /// The name that was given.
        got: Option<String>,
        /// The names of the groups.
        known: Vec<String>,
    },
    /// The reader of standard output has closed it.
    #[error("standard output is closed")]
    Closed,
    /// An unknown task.
    #[error("got task {name:?}, expected one of {}", known.join(", "))]
    Task {
        /// The name that was given.
        name: String,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// `--quick` excludes all tasks that were named.
    #[error("--quick excludes {}, so no task is left to run; name other tasks", tasks.join(", "))]
    NothingQuick {
        /// The names that were given.
        tasks: Vec<String>,
    },
    /// A model with a custom activation.
    #[error("got a model with the custom activation {name}, expected built-in activations only")]
    CustomActivation {
        /// The name of the function.
        name: String,
    },
    /// Standard output could not be written.
    #[error("standard output: {0}")]
    Print(std::io::Error),
    /// A chart could not be drawn.
    #[error("cannot draw the report: {0}")]
    Chart(String),
    /// The fits of a readout do not fit in memory.
    #[error("{0}; --readout gradient needs no such memory")]
    LeastSquaresMemory(rtrl_model::Error),
    /// A learner could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An error of the lab.
    #[error(transparent)]
    Lab(#[from] rtrl_lab::Error),
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] rtrl_model::Error),
}
