//! The series: rows of a CSV file, read one at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord};

use crate::error::Error;

/// A CSV file, of which some columns are the numbers to read.
pub(crate) struct Series {
    path: PathBuf,
    reader: Reader<File>,
    bytes: u64,
    names: Vec<String>,
    /// Places of the target and of the inputs in a record.
    target: usize,
    inputs: Vec<usize>,
    record: StringRecord,
    row: Row,
}

/// The values of one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Number of the row, from 1.
    pub(crate) number: u64,
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// Bytes read so far.
    pub(crate) position: u64,
    pub(crate) target: f64,
    pub(crate) inputs: Vec<f64>,
}

impl Series {
    /// Opens a file and finds the columns.
    pub(crate) fn open(path: &Path, target: &str, inputs: &[String]) -> Result<Self, Error> {
        let unreadable = |source| Error::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
        let header = reader.headers().map_err(|error| broken(path, &error))?;
        if header.iter().all(str::is_empty) {
            let reason = "the file is empty, expected a header and rows".to_owned();
            return Err(Error::Csv { path: path.to_owned(), reason });
        }
        let names: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        let target = place(path, &names, target)?;
        let inputs =
            inputs.iter().map(|name| place(path, &names, name)).collect::<Result<Vec<_>, _>>()?;
        let row = Row { inputs: vec![0.0; inputs.len()], ..Row::default() };
        let (path, record) = (path.to_owned(), StringRecord::new());
        Ok(Self { path, reader, bytes, names, target, inputs, record, row })
    }

    /// Size of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows read so far.
    pub(crate) fn rows(&self) -> u64 {
        self.row.number
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<&Row>, Error> {
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|error| broken(&self.path, &error))? {
            return Ok(None);
        }
        self.row.number += 1;
        self.row.line = self.record.position().map_or(0, csv::Position::line);
        self.check_no_line_skipped()?;
        self.row.position = self.reader.position().byte();
        self.row.target = self.number(self.target)?;
        for index in 0..self.inputs.len() {
            self.row.inputs[index] = self.number(self.inputs[index])?;
        }
        Ok(Some(&self.row))
    }

    /// The reader skips empty lines, which would shift time.
    fn check_no_line_skipped(&self) -> Result<(), Error> {
        let within = self.record.iter().flat_map(str::bytes).filter(|&byte| byte == b'\n').count();
        let lines = self.reader.position().line().saturating_sub(self.row.line);
        if lines <= 1 + within as u64 {
            return Ok(());
        }
        let reason = format!("line {}: got an empty line, expected a row", self.row.line);
        Err(Error::Csv { path: self.path.clone(), reason })
    }

    fn number(&self, place: usize) -> Result<f64, Error> {
        let cell = self.record.get(place).unwrap_or_default();
        match cell.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(Error::Cell {
                path: self.path.clone(),
                line: self.row.line,
                column: self.names[place].clone(),
                got: cell.to_owned(),
            }),
        }
    }
}

/// The index of a column that the header has exactly once.
fn place(path: &Path, names: &[String], column: &str) -> Result<usize, Error> {
    let mut places = (0..names.len()).filter(|&place| names[place] == column);
    let (path, column) = (path.to_owned(), column.to_owned());
    match (places.next(), places.count()) {
        (Some(place), 0) => Ok(place),
        (Some(_), more) => Err(Error::Ambiguous { path, column, count: more + 1 }),
        (None, _) if names.len() == 1 && names[0].contains([';', '\t']) => {
            let reason = format!("header: got {:?}, expected commas between columns", names[0]);
            Err(Error::Csv { path, reason })
        }
        (None, _) => Err(Error::Column { path, column, available: names.to_vec() }),
    }
}

/// A CSV error in words that say what was expected.
fn broken(path: &Path, error: &csv::Error) -> Error {
    let path = path.to_owned();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            let reason = format!("line {line}: got {len} cells, expected {expected_len}");
            Error::Csv { path, reason }
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            Error::Csv { path, reason: format!("line {line}: got bytes that are not UTF-8 text") }
        }
        _ => Error::Csv { path, reason: error.to_string() },
    }
}
