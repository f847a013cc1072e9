//! The series: rows of a CSV file, read one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::input::records::Records;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// Most bytes of the first line in which separators are counted.
const MOST_AHEAD: u64 = 1 << 20;

/// Most characters of a cell or a name in a message.
const MOST_SHOWN: usize = 60;

/// Most names in a message.
const MOST_NAMES: usize = 20;

/// Where rows come from.
type Source = Box<dyn BufRead>;

/// A CSV file or standard input, of which some columns are the numbers to read.
pub(crate) struct Series {
    path: PathBuf,
    records: Records<Source>,
    bytes: Option<u64>,
    names: Vec<String>,
    /// Places of the target and of the inputs in a record.
    target: usize,
    inputs: Vec<usize>,
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
    /// The target; `None` if its cell is empty.
    pub(crate) target: Option<f64>,
    pub(crate) inputs: Vec<f64>,
}

impl Series {
    /// Opens a file, or standard input for `-`, and finds the columns. Without names of inputs, all
    /// columns except the target are inputs.
    pub(crate) fn open(
        path: &Path,
        target: &str,
        inputs: Option<&[String]>,
    ) -> Result<Self, Error> {
        let (source, bytes) = source(path)?;
        let path = name(path);
        let unreadable = |source| Error::File { path: path.clone(), source };
        let (source, separator) = separated(source).map_err(unreadable)?;
        let mut records = Records::new(source, separator);
        let names = header(&mut records).map_err(|reason| csv(&path, reason))?;
        let target = place(&path, &names, target)?;
        let inputs = match inputs {
            Some(inputs) => inputs.iter().map(|name| place(&path, &names, name)).collect(),
            None => Ok((0..names.len()).filter(|&place| place != target).collect()),
        };
        let inputs: Vec<usize> = inputs?;
        let row = Row { inputs: vec![0.0; inputs.len()], ..Row::default() };
        Ok(Self { path, records, bytes, names, target, inputs, row })
    }

    /// Size of the file, if it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The names of the inputs.
    pub(crate) fn inputs(&self) -> Vec<String> {
        self.inputs.iter().map(|&place| self.names[place].clone()).collect()
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<&Row>, Error> {
        let more = self.records.advance();
        if !more.map_err(|error| csv(&self.path, error.to_string()))? {
            return Ok(None);
        }
        self.row.line = self.records.first_line();
        self.check_cells()?;
        self.row.position = self.records.bytes();
        let has_target = !self.records.cell(self.target).is_empty();
        self.row.target = has_target.then(|| self.number(self.target)).transpose()?;
        for index in 0..self.inputs.len() {
            self.row.inputs[index] = self.number(self.inputs[index])?;
        }
        self.row.number += 1;
        Ok(Some(&self.row))
    }

    fn check_cells(&self) -> Result<(), Error> {
        let (got, expected) = (self.records.len(), self.names.len());
        if got == expected {
            return Ok(());
        }
        let reason = format!("line {}: got {got} cells, expected {expected}", self.row.line);
        Err(csv(&self.path, reason))
    }

    fn number(&self, place: usize) -> Result<f64, Error> {
        let cell = self.records.cell(place);
        match cell.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(Error::Cell {
                path: self.path.clone(),
                line: self.row.line,
                column: shortened(&self.names[place]),
                got: shortened(&cell),
            }),
        }
    }
}

/// What messages call a series.
pub(crate) fn name(path: &Path) -> PathBuf {
    PathBuf::from(if is_standard_input(path) { Path::new("standard input") } else { path })
}

/// Whether a series is standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// The bytes of a file or of standard input, and how many there are, if that is known.
fn source(path: &Path) -> Result<(Source, Option<u64>), Error> {
    if is_standard_input(path) {
        return Ok((Box::new(std::io::stdin().lock()), None));
    }
    let unreadable = |source| Error::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let bytes = found.is_file().then_some(found.len());
    Ok((Box::new(BufReader::with_capacity(CHUNK, file)), bytes))
}

/// The source, whose first line has been read ahead, and the separator of its cells.
fn separated(mut source: Source) -> io::Result<(Source, u8)> {
    let mut first = Vec::new();
    source.by_ref().take(MOST_AHEAD).read_until(b'\n', &mut first)?;
    let separator = separator(&first);
    Ok((Box::new(Cursor::new(first).chain(source)), separator))
}

/// The comma, semicolon or tab that is most frequent in the first line outside quotes; the comma if
/// it is no less frequent than the others.
fn separator(text: &[u8]) -> u8 {
    let mut quoted = false;
    let line = text.iter().take_while(|&&byte| {
        quoted ^= byte == b'"';
        quoted || !matches!(byte, b'\n' | b'\r')
    });
    let line: Vec<u8> = line.copied().collect();
    let outside = line.split(|&byte| byte == b'"').step_by(2);
    let mut counts = [(0, b'\t'), (0, b';'), (0, b',')];
    for &byte in outside.flatten() {
        counts.iter_mut().filter(|(_, found)| *found == byte).for_each(|(count, _)| *count += 1);
    }
    counts.into_iter().max_by_key(|(count, _)| *count).map_or(b',', |(_, separator)| separator)
}

/// The names of the columns, or what is wrong.
fn header(records: &mut Records<Source>) -> Result<Vec<String>, String> {
    records.advance().map_err(|error| error.to_string())?;
    let names: Vec<String> = (0..records.len()).map(|i| records.cell(i).into_owned()).collect();
    if names.iter().all(String::is_empty) {
        return Err("the file is empty, expected a header and rows".to_owned());
    }
    Ok(names)
}

/// A file that is not a CSV table.
fn csv(path: &Path, reason: String) -> Error {
    Error::Csv { path: path.to_owned(), reason }
}

/// A text that is short enough for a message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Names for a message, their control characters escaped.
fn listed(names: &[String]) -> Vec<String> {
    let shown = |name: &String| -> String {
        let escaped = |character: char| {
            if character.is_control() {
                character.escape_default().to_string()
            } else {
                character.to_string()
            }
        };
        shortened(name).chars().map(escaped).collect()
    };
    let mut listed: Vec<String> = names.iter().take(MOST_NAMES).map(shown).collect();
    if names.len() > MOST_NAMES {
        listed.push(format!("{} more", names.len() - MOST_NAMES));
    }
    listed
}

/// The index of a column that the header has exactly once.
fn place(path: &Path, names: &[String], column: &str) -> Result<usize, Error> {
    let mut places = (0..names.len()).filter(|&place| names[place] == column);
    let found = (places.next(), places.count());
    let (path, column) = (path.to_owned(), shortened(column));
    match found {
        (Some(place), 0) => Ok(place),
        (Some(_), more) => Err(Error::Ambiguous { path, column, count: more + 1 }),
        (None, _) => Err(Error::Column { path, column, available: listed(names) }),
    }
}
