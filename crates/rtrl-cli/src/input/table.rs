//! A table in text: named columns, and one row after the other.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{BufRead, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::malformed::Malformed;
use super::objects::Objects;
use super::records::Records;
use super::source::{self, Source, Text};
use crate::error::Error;

/// Most bytes of the first line in which separators are counted.
const MOST_AHEAD: u64 = 1 << 20;

/// A table whose columns are known. Its format is that of its first line: JSON lines if that
/// begins with a brace, else cells between separators.
pub(super) struct Table {
    path: PathBuf,
    rows: Rows,
    names: Vec<String>,
    /// Whether the next row has been read already.
    held: bool,
    size: Option<u64>,
    read: Rc<Cell<u64>>,
}

enum Rows {
    Records(Records<Text>),
    Objects(Objects<Text>),
}

impl Table {
    /// Opens a file, or standard input for `-`, and finds the columns. Without a header the columns
    /// are called 1, 2 and so on.
    pub(super) fn open(path: &Path, has_header: bool) -> Result<Self, Error> {
        let Source { mut text, size, read } = Source::open(path)?;
        let path = source::name(path);
        let mut first = Vec::new();
        let line = text.by_ref().take(MOST_AHEAD).read_until(b'\n', &mut first);
        line.map_err(|source| Error::File { path: path.clone(), source })?;
        let (is_json, separator) = (first.trim_ascii_start().starts_with(b"{"), separator(&first));
        let text: Text = Box::new(Cursor::new(first).chain(text));
        let rows = if is_json {
            Rows::Objects(Objects::new(text))
        } else {
            Rows::Records(Records::new(text, separator))
        };
        let held = is_json || !has_header;
        let mut table = Self { path, rows, names: Vec::new(), held: false, size, read };
        table.advance()?;
        table.names = table.header(has_header)?;
        table.held = held;
        Ok(table)
    }

    fn header(&self, has_header: bool) -> Result<Vec<String>, Error> {
        let names: Vec<String> = match &self.rows {
            Rows::Objects(objects) => objects.keys().to_vec(),
            Rows::Records(records) => {
                let cells = (0..records.len()).map(|place| records.cell(place).into_owned());
                cells.collect()
            }
        };
        if names.iter().all(String::is_empty) {
            let expected = if has_header { "a header and rows" } else { "rows" };
            let reason = format!("the file is empty, expected {expected}");
            return Err(Error::Table { path: self.path.clone(), reason });
        }
        match self.rows {
            Rows::Records(_) if !has_header => {
                Ok((1..=names.len()).map(|number| number.to_string()).collect())
            }
            _ => Ok(names),
        }
    }

    /// Reads the next row; returns false at the end. After an error in a row, the next row is that
    /// of the next line.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        let more = match &mut self.rows {
            Rows::Records(records) => records.advance(),
            Rows::Objects(objects) => objects.advance(),
        };
        let more = more.map_err(|malformed| match malformed {
            Malformed::Unreadable { .. } => {
                Error::Table { path: self.path.clone(), reason: malformed.to_string() }
            }
            malformed => self.row_error(malformed.to_string()),
        })?;
        match &self.rows {
            Rows::Records(records) if more && !self.names.is_empty() => {
                let (got, expected) = (records.len(), self.names.len());
                if got != expected {
                    let line = self.line();
                    let reason = format!("line {line}: got {got} cells, expected {expected}");
                    return Err(self.row_error(reason));
                }
            }
            _ => {}
        }
        Ok(more)
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
        match &self.rows {
            Rows::Records(records) => records.first_line(),
            Rows::Objects(objects) => objects.line(),
        }
    }

    /// A cell of the row without the blanks around it.
    pub(super) fn cell(&self, place: usize) -> Cow<'_, str> {
        match &self.rows {
            Rows::Records(records) => records.cell(place),
            Rows::Objects(objects) => Cow::Borrowed(objects.cell(place)),
        }
    }

    /// Size of the file, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes of the file that have been read so far.
    pub(super) fn position(&self) -> u64 {
        self.read.get()
    }
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
