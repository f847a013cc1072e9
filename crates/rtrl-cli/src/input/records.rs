//! Records of a CSV file, split with bounded memory.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind};

use thiserror::Error;

/// Most bytes of all cells of a record.
const MOST_BYTES: usize = 1 << 20;

/// Most cells of a record.
const MOST_CELLS: usize = 1 << 16;

/// Marks UTF-8 text at its start.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why there is no further record.
#[derive(Debug, Error)]
pub(crate) enum Malformed {
    /// The source cannot be read.
    #[error("line {line}: {source}")]
    Unreadable { line: u64, source: io::Error },
    /// A quote that is still open at the end, or after the longest record.
    #[error("line {line}: got a quote that is never closed, expected a closing quote")]
    Quote { line: u64 },
    /// A record with too much text.
    #[error("line {line}: got more than {MOST_BYTES} bytes in a row, expected at most as many")]
    Length { line: u64 },
    /// A record with too many cells.
    #[error("line {line}: got more than {MOST_CELLS} cells, expected at most as many")]
    Cells { line: u64 },
    /// An empty line before another record, which would shift time.
    #[error("line {line}: got an empty line, expected a row")]
    Empty { line: u64 },
}

/// Splits bytes into records of cells. Lines end with LF, CRLF or CR; a cell in quotes may hold
/// line ends, separators and doubled quotes. Empty lines at the end are no records.
pub(crate) struct Records<R> {
    source: R,
    bytes: u64,
    splitter: Splitter,
}

/// What a record is read until.
enum Ending {
    /// The end of a line that has cells.
    Row,
    /// The end of an empty line.
    EmptyLine,
    /// The end of the source.
    Source,
}

impl<R: BufRead> Records<R> {
    /// The records of a source, in which `separator` is between two cells.
    pub(crate) fn new(source: R, separator: u8) -> Self {
        Self { source, bytes: 0, splitter: Splitter::new(separator) }
    }

    /// Reads the next record; returns false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Malformed> {
        let mut empty = None;
        loop {
            match (self.read()?, empty) {
                (Ending::Source, _) => return Ok(false),
                (Ending::EmptyLine, _) => empty = empty.or(Some(self.splitter.begun)),
                (Ending::Row, Some(line)) => return Err(Malformed::Empty { line }),
                (Ending::Row, None) => return Ok(true),
            }
        }
    }

    fn read(&mut self) -> Result<Ending, Malformed> {
        self.splitter.begin();
        loop {
            let line = self.splitter.line;
            let chunk = match self.source.fill_buf() {
                Ok([]) => return self.splitter.finish(),
                Ok(chunk) if self.bytes == 0 && chunk.starts_with(BYTE_ORDER_MARK) => {
                    self.bytes = BYTE_ORDER_MARK.len() as u64;
                    self.source.consume(BYTE_ORDER_MARK.len());
                    continue;
                }
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Malformed::Unreadable { line, source }),
            };
            let end = chunk.iter().position(|&byte| self.splitter.take(byte));
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.source.consume(used);
            self.bytes += used as u64;
            self.splitter.check()?;
            if end.is_some() {
                return Ok(self.splitter.ending());
            }
        }
    }

    /// The line on which the record begins, from 1.
    pub(crate) fn first_line(&self) -> u64 {
        self.splitter.begun
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of cells of the record.
    pub(crate) fn len(&self) -> usize {
        self.splitter.ends.len()
    }

    /// A cell without the blanks around it; empty if the record is too short.
    pub(crate) fn cell(&self, index: usize) -> Cow<'_, str> {
        let Splitter { text, ends, .. } = &self.splitter;
        let start = index.checked_sub(1).map_or(0, |before| ends[before]);
        let bytes = ends.get(index).map_or(&[][..], |&end| &text[start..end]);
        String::from_utf8_lossy(bytes.trim_ascii())
    }
}

/// Where the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes, or after them.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes, which ends them unless it is doubled.
    Closed,
}

/// Splits a record into cells, byte by byte.
struct Splitter {
    separator: u8,
    place: Place,
    /// The cells, one after the other.
    text: Vec<u8>,
    /// The end of each complete cell in `text`.
    ends: Vec<usize>,
    previous: u8,
    /// The line of the next byte, from 1.
    line: u64,
    /// The line on which the record begins.
    begun: u64,
}

impl Splitter {
    fn new(separator: u8) -> Self {
        let (text, ends) = (Vec::new(), Vec::new());
        Self { separator, place: Place::Start, text, ends, previous: 0, line: 1, begun: 1 }
    }

    /// Starts a record.
    fn begin(&mut self) {
        self.place = Place::Start;
        self.text.clear();
        self.ends.clear();
        self.begun = self.line;
    }

    /// Whether the record has no byte yet.
    fn is_at_start(&self) -> bool {
        self.place == Place::Start && self.text.is_empty() && self.ends.is_empty()
    }

    /// Takes a byte; returns whether it ends the record.
    fn take(&mut self, byte: u8) -> bool {
        let after_return = std::mem::replace(&mut self.previous, byte) == b'\r';
        let line_feed_of_pair = byte == b'\n' && after_return;
        if line_feed_of_pair && self.is_at_start() {
            return false;
        }
        let ends_line = matches!(byte, b'\n' | b'\r');
        self.line += u64::from(ends_line && !line_feed_of_pair);
        match (self.place, byte) {
            (Place::Quoted, b'"') => self.place = Place::Closed,
            (Place::Quoted, _) => self.text.push(byte),
            (Place::Start, b'"') => self.place = Place::Quoted,
            (Place::Closed, b'"') => {
                self.text.push(byte);
                self.place = Place::Quoted;
            }
            (Place::Start, _) if ends_line && self.is_at_start() => return true,
            _ if ends_line || byte == self.separator => {
                self.ends.push(self.text.len());
                self.place = Place::Start;
            }
            _ => {
                self.text.push(byte);
                self.place = Place::Plain;
            }
        }
        ends_line && self.place == Place::Start
    }

    fn ending(&self) -> Ending {
        if self.ends.is_empty() { Ending::EmptyLine } else { Ending::Row }
    }

    /// Ends the record at the end of the source.
    fn finish(&mut self) -> Result<Ending, Malformed> {
        if self.place == Place::Quoted {
            return Err(Malformed::Quote { line: self.begun });
        }
        if self.is_at_start() {
            return Ok(Ending::Source);
        }
        self.ends.push(self.text.len());
        self.check()?;
        Ok(Ending::Row)
    }

    fn check(&self) -> Result<(), Malformed> {
        let line = self.begun;
        if self.text.len() > MOST_BYTES && self.place == Place::Quoted {
            return Err(Malformed::Quote { line });
        }
        if self.text.len() > MOST_BYTES {
            return Err(Malformed::Length { line });
        }
        if self.ends.len() > MOST_CELLS {
            return Err(Malformed::Cells { line });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text with their lines, and how it ends.
    fn split(text: &str, chunk: usize) -> (Vec<(u64, Vec<String>)>, Option<String>) {
        let source = io::BufReader::with_capacity(chunk, text.as_bytes());
        let (mut records, mut found) = (Records::new(source, b','), Vec::new());
        loop {
            match records.advance() {
                Ok(true) => {
                    let cells = (0..records.len()).map(|i| records.cell(i).into_owned());
                    found.push((records.first_line(), cells.collect()));
                }
                Ok(false) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn cells_and_lines_do_not_depend_on_line_ends_and_chunks() {
        let text = "a, b \n\"1,\n2\"\"\",\n,\"x\"y\n\n\n";
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let expected =
            [(1, cells(["a", "b"])), (2, cells(["1,\n2\"", ""])), (4, cells(["", "xy"]))];
        for ends in ["\n", "\r\n", "\r"] {
            for chunk in [1, 2, 3, 100] {
                let (found, error) = split(&text.replace('\n', ends), chunk);
                let within = |cell: &String| cell.replace(ends, "\n");
                let found: Vec<(u64, Vec<_>)> = found
                    .iter()
                    .map(|(line, cells)| (*line, cells.iter().map(within).collect()))
                    .collect();
                assert_eq!((found.as_slice(), error), (&expected[..], None), "{ends:?} {chunk}");
            }
        }
    }

    #[test]
    fn an_empty_line_between_rows_is_an_error_whatever_ends_it() {
        for ends in ["\n", "\r\n", "\r"] {
            let (found, error) = split(&"y\n1\n\n\n2\n".replace('\n', ends), 3);
            assert_eq!(
                (found.len(), error.unwrap()),
                (2, { "line 3: got an empty line, expected a row".to_owned() })
            );
        }
    }

    #[test]
    fn an_open_quote_and_long_rows_are_errors() {
        let error = |text: &str| split(text, 1 << 16).1.unwrap_or_default();
        assert!(error("y\n1\n\"2\n3\n").contains("line 3: got a quote that is never closed"));
        assert!(
            error(&format!("y\n\"{}", "1\n".repeat(MOST_BYTES))).contains("line 2: got a quote")
        );
        assert!(error(&"1".repeat(MOST_BYTES + 1)).contains("bytes in a row"));
        assert!(error(&",".repeat(MOST_CELLS)).contains("cells"));
        assert_eq!(error(&"1".repeat(MOST_BYTES)), "");
        assert_eq!(error(&",".repeat(MOST_CELLS - 1)), "");
    }
}
