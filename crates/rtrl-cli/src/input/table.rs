//! A table in text: named columns, and one row after the other.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::malformed::{MOST_BYTES, Malformed};
use super::objects::Objects;
use super::records::Records;
use super::source::{self, Source, Text};
use crate::error::Error;
use crate::number::counted;
use crate::ranks::Ranks;

/// A table whose columns are known. Its format is that of its first line: JSON lines if that
/// begins with a brace, else cells between separators.
pub(super) struct Table {
    path: PathBuf,
    rows: Rows,
    names: Vec<String>,
    /// Whether `rows` has read the next row already.
    held: bool,
    /// Rows, and errors in rows, that have been read ahead.
    ahead: VecDeque<Result<Stored, Error>>,
    /// The row, if it was read ahead.
    current: Option<Stored>,
    size: Option<u64>,
    read: Rc<Cell<u64>>,
}

/// A row that was read ahead.
struct Stored {
    line: u64,
    position: u64,
    cells: Vec<String>,
    /// The numbers of cells whose format tells them from texts.
    numbers: Vec<Option<f64>>,
}

enum Rows {
    Records(Records<Text>),
    Objects(Objects<Text>),
}

impl Table {
    /// Opens a file, or standard input for `-`, and finds the columns. Without a header the columns
    /// are called 1, 2 and so on.
    pub(super) fn open(
        path: &Path,
        has_header: bool,
        ranks: &Arc<dyn Ranks>,
    ) -> Result<Self, Error> {
        let Source { mut text, size, read } = Source::open(path, ranks)?;
        let path = source::name(path);
        let first = first_line(&mut text);
        let first = first.map_err(|source| Error::File { path: path.clone(), source })?;
        let (is_json, separator) = (first.trim_ascii_start().starts_with(b"{"), separator(&first));
        let text: Text = Box::new(Cursor::new(first).chain(text));
        let rows = if is_json {
            Rows::Objects(Objects::new(text))
        } else {
            Rows::Records(Records::new(text, separator))
        };
        let held = is_json || !has_header;
        let mut table = Self {
            path,
            rows,
            names: Vec::new(),
            held: false,
            ahead: VecDeque::new(),
            current: None,
            size,
            read,
        };
        if !table.read()? {
            let expected = if has_header { "a header and rows" } else { "rows" };
            return Err(table.error(format!("the file is empty, expected {expected}")));
        }
        table.names = table.header(has_header)?;
        table.held = held;
        Ok(table)
    }

    fn header(&self, has_header: bool) -> Result<Vec<String>, Error> {
        let (names, got): (Vec<String>, _) = match &self.rows {
            Rows::Objects(objects) => {
                let keys = objects.keys().iter().map(|key| key.trim_ascii().to_owned());
                (keys.collect(), "an object without keys")
            }
            Rows::Records(records) if has_header => {
                let cells = (0..records.len()).map(|place| records.cell(place).into_owned());
                (cells.collect(), "a header without names")
            }
            Rows::Records(records) => {
                return Ok((1..=records.len()).map(|number| number.to_string()).collect());
            }
        };
        if names.iter().all(String::is_empty) {
            let line = self.line();
            return Err(self.error(format!("line {line}: got {got}, expected names of columns")));
        }
        Ok(names)
    }

    /// Makes the next row the current one; returns false at the end. After an error in a row, the
    /// next row is that of the next line.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        self.current = None;
        match self.ahead.pop_front() {
            Some(row) => self.current = Some(row?),
            None => return self.read(),
        }
        Ok(true)
    }

    /// Reads the next rows, up to the end or to an error that leaves no next row; returns false
    /// there.
    pub(super) fn read_ahead(&mut self, rows: usize) -> bool {
        while self.ahead.len() < rows {
            let row = match self.read() {
                Ok(false) => return false,
                Ok(true) => Ok(self.stored()),
                Err(error) => Err(error),
            };
            let is_last = row.as_ref().is_err_and(|error| !error.is_of_row());
            self.ahead.push_back(row);
            if is_last {
                return false;
            }
        }
        true
    }

    /// The cells of the rows that have been read ahead, without rows with errors.
    pub(super) fn ahead(&self) -> impl Iterator<Item = &[String]> {
        self.ahead.iter().flatten().map(|row| row.cells.as_slice())
    }

    fn stored(&self) -> Stored {
        let cells = (0..self.names.len()).map(|place| self.cell(place).into_owned()).collect();
        let numbers = (0..self.names.len()).map(|place| self.number(place)).collect();
        Stored { line: self.line(), position: self.position(), cells, numbers }
    }

    fn read(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        let more = match &mut self.rows {
            Rows::Records(records) => records.advance(),
            Rows::Objects(objects) => objects.advance(),
        };
        let more = more.map_err(|malformed| match malformed {
            Malformed::Unreadable { .. } => self.error(malformed.to_string()),
            malformed => self.row_error(malformed.to_string()),
        })?;
        match &self.rows {
            Rows::Records(records) if more && !self.names.is_empty() => {
                let (got, expected) = (records.len(), self.names.len());
                if got != expected {
                    let line = self.line();
                    let reason =
                        format!("line {line}: got {}, expected {expected}", counted(got, "cell"));
                    return Err(self.row_error(reason));
                }
            }
            _ => {}
        }
        Ok(more)
    }

    fn error(&self, reason: String) -> Error {
        Error::Table { path: self.path.clone(), reason }
    }

    fn row_error(&self, reason: String) -> Error {
        Error::Row { path: self.path.clone(), reason }
    }

    /// What messages call the table.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The line on which the row begins, from 1.
    pub(super) fn line(&self) -> u64 {
        if let Some(row) = &self.current {
            return row.line;
        }
        match &self.rows {
            Rows::Records(records) => records.first_line(),
            Rows::Objects(objects) => objects.line(),
        }
    }

    /// A cell of the row without the blanks around it.
    pub(super) fn cell(&self, place: usize) -> Cow<'_, str> {
        if let Some(row) = &self.current {
            return Cow::Borrowed(&row.cells[place]);
        }
        match &self.rows {
            Rows::Records(records) => records.cell(place),
            Rows::Objects(objects) => objects.cell(place),
        }
    }

    /// The number of a cell whose format tells numbers from texts.
    pub(super) fn number(&self, place: usize) -> Option<f64> {
        match (&self.current, &self.rows) {
            (Some(row), _) => row.numbers[place],
            (None, Rows::Objects(objects)) => objects.number(place),
            (None, Rows::Records(_)) => None,
        }
    }

    /// Size of the file, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes of the file that had been read when the row was.
    pub(super) fn position(&self) -> u64 {
        self.current.as_ref().map_or_else(|| self.read.get(), |row| row.position)
    }
}

/// The first line; of cells with the line ends in their quotes, but not much more than
/// [`MOST_BYTES`].
fn first_line(text: &mut Text) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let before = line.len();
        source::read_line(text, MOST_BYTES, &mut line)?;
        let is_json = line.trim_ascii_start().starts_with(b"{");
        if is_json || !is_open(&line) || line.len() == before || line.len() > MOST_BYTES {
            return Ok(line);
        }
    }
}

/// Whether a quoted cell has no end, whatever the separator. A quote opens a cell at its start
/// only.
fn is_open(line: &[u8]) -> bool {
    let (mut quoted, mut may_open) = (false, true);
    for &byte in line {
        match byte {
            b'"' if quoted || may_open => (quoted, may_open) = (!quoted, true),
            b',' | b';' | b'\t' | b' ' => may_open |= byte != b' ',
            _ => may_open = false,
        }
    }
    quoted
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
