//! Records of a table in text, split with bounded memory.

use std::borrow::Cow;
use std::io::{self, BufRead, Cursor, ErrorKind};

use super::malformed::{MOST_BYTES, MOST_CELLS, MOST_LINES, Malformed};

/// Splits bytes into records of cells. Lines end with LF, CRLF or CR; a cell in quotes may hold
/// line ends, separators and doubled quotes. Empty lines at the end are no records.
///
/// After an error, the next record is that of the next line.
pub(super) struct Records<R> {
    bytes: Repeated<R>,
    splitter: Splitter,
    /// Whether the next record has been read already.
    held: bool,
    /// Whether the rest of the line belongs to a record that was too long.
    spoilt: bool,
}

/// What a record is read until.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The end of a line that has cells.
    Row,
    /// The end of an empty line.
    EmptyLine,
    /// The end of the bytes.
    Bytes,
}

impl<R: BufRead> Records<R> {
    /// The records of some bytes, in which `separator` is between two cells.
    pub(super) fn new(bytes: R, separator: u8) -> Self {
        let bytes = Repeated { again: Cursor::default(), bytes };
        Self { bytes, splitter: Splitter::new(separator), held: false, spoilt: false }
    }

    /// Reads the next record; returns false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        let mut empty = None;
        loop {
            match (self.read()?, empty) {
                (Ending::Bytes, _) => return Ok(false),
                (Ending::EmptyLine, _) => empty = empty.or(Some(self.splitter.begun)),
                (Ending::Row, None) => return Ok(true),
                (Ending::Row, Some(line)) => {
                    self.held = true;
                    return Err(Malformed::Empty { line });
                }
            }
        }
    }

    fn read(&mut self) -> Result<Ending, Malformed> {
        self.splitter.begin();
        if self.spoilt {
            self.take_until(Splitter::pass)?;
            self.spoilt = false;
            self.splitter.begin();
        }
        let ended = self.take_until(Splitter::take)?;
        let ending = if ended { Ok(self.splitter.ending()) } else { self.splitter.finish() };
        if ending.is_err() {
            self.repeat();
        }
        ending
    }

    /// Takes bytes up to one at which `ends` says so; returns false at the end of the bytes.
    fn take_until(&mut self, ends: fn(&mut Splitter, u8) -> bool) -> Result<bool, Malformed> {
        loop {
            let line = self.splitter.line;
            let chunk = match self.bytes.fill_buf() {
                Ok([]) => return Ok(false),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Malformed::Unreadable { line, source }),
            };
            let end = chunk.iter().position(|&byte| ends(&mut self.splitter, byte));
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.bytes.consume(used);
            if let Err(error) = self.splitter.check() {
                self.spoilt = self.splitter.line == self.splitter.begun;
                self.repeat();
                return Err(error);
            }
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// Goes back to the second line of the record, if it has begun.
    fn repeat(&mut self) {
        let Splitter { line, begun, after_first, previous, .. } = &mut self.splitter;
        if line > begun {
            *line = *begun + 1;
        }
        if !after_first.is_empty() {
            *previous = 0;
            self.bytes.repeat(std::mem::take(after_first));
        }
    }

    /// The line on which the record begins, from 1.
    pub(super) fn first_line(&self) -> u64 {
        self.splitter.begun
    }

    /// Number of cells of the record.
    pub(super) fn len(&self) -> usize {
        self.splitter.ends.len()
    }

    /// A cell without the blanks around it; empty if the record is too short.
    pub(super) fn cell(&self, index: usize) -> Cow<'_, str> {
        let Splitter { text, ends, .. } = &self.splitter;
        let start = index.checked_sub(1).map_or(0, |before| ends[before]);
        let bytes = ends.get(index).map_or(&[][..], |&end| &text[start..end]);
        String::from_utf8_lossy(bytes.trim_ascii())
    }
}

/// Bytes of which some are read twice.
struct Repeated<R> {
    again: Cursor<Vec<u8>>,
    bytes: R,
}

impl<R: BufRead> Repeated<R> {
    /// Reads these bytes before all others.
    fn repeat(&mut self, mut again: Vec<u8>) {
        let rest = usize::try_from(self.again.position()).unwrap_or(usize::MAX);
        again.extend(self.again.get_ref().iter().skip(rest));
        self.again = Cursor::new(again);
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.again.fill_buf()?.is_empty() {
            self.bytes.fill_buf()
        } else {
            self.again.fill_buf()
        }
    }

    fn consume(&mut self, count: usize) {
        match self.again.fill_buf() {
            Ok(again) if !again.is_empty() => self.again.consume(count),
            _ => self.bytes.consume(count),
        }
    }
}

/// Where the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a cell.
    Start,
    /// After blanks at the start of a cell.
    Blank,
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
    /// All bytes of the record after its first line.
    after_first: Vec<u8>,
    /// Number of bytes of the record.
    length: usize,
    previous: u8,
    /// The line of the next byte, from 1.
    line: u64,
    /// The line on which the record begins.
    begun: u64,
}

impl Splitter {
    fn new(separator: u8) -> Self {
        Self {
            separator,
            place: Place::Start,
            text: Vec::new(),
            ends: Vec::new(),
            after_first: Vec::new(),
            length: 0,
            previous: 0,
            line: 1,
            begun: 1,
        }
    }

    /// Starts a record.
    fn begin(&mut self) {
        self.place = Place::Start;
        self.text.clear();
        self.ends.clear();
        self.after_first.clear();
        self.length = 0;
        self.begun = self.line;
    }

    /// Whether the record has no byte yet.
    fn is_at_start(&self) -> bool {
        self.place == Place::Start && self.text.is_empty() && self.ends.is_empty()
    }

    /// Counts lines; returns whether the byte is the second one of CRLF.
    fn count(&mut self, byte: u8) -> bool {
        let after_return = std::mem::replace(&mut self.previous, byte) == b'\r';
        let line_feed_of_pair = byte == b'\n' && after_return;
        self.line += u64::from(matches!(byte, b'\n' | b'\r') && !line_feed_of_pair);
        line_feed_of_pair
    }

    /// Takes a byte that belongs to no record; returns whether it ends the line.
    fn pass(&mut self, byte: u8) -> bool {
        !self.count(byte) && matches!(byte, b'\n' | b'\r')
    }

    /// Takes a byte; returns whether it ends the record.
    fn take(&mut self, byte: u8) -> bool {
        let is_after_first = self.line > self.begun;
        let line_feed_of_pair = self.count(byte);
        if line_feed_of_pair && self.is_at_start() {
            return false;
        }
        if is_after_first && !(line_feed_of_pair && self.after_first.is_empty()) {
            self.after_first.push(byte);
        }
        self.length += 1;
        let ends_line = matches!(byte, b'\n' | b'\r');
        match (self.place, byte) {
            (Place::Quoted, b'"') => self.place = Place::Closed,
            (Place::Quoted, _) => self.text.push(byte),
            (Place::Start | Place::Blank, b'"') => self.place = Place::Quoted,
            (Place::Closed, b'"') => {
                self.text.push(byte);
                self.place = Place::Quoted;
            }
            (Place::Start, _) if ends_line && self.is_at_start() => return true,
            _ if ends_line || byte == self.separator => {
                self.ends.push(self.text.len());
                self.place = Place::Start;
            }
            (Place::Start, _) if byte.is_ascii_whitespace() => self.place = Place::Blank,
            (Place::Blank | Place::Closed, _) if byte.is_ascii_whitespace() => {}
            _ => {
                // A quote in front of other text has not ended the cell, so `"1"2` is not 12.
                if self.place == Place::Closed {
                    self.text.push(b'"');
                }
                self.text.push(byte);
                self.place = Place::Plain;
            }
        }
        ends_line && self.place == Place::Start
    }

    fn ending(&self) -> Ending {
        if self.ends.is_empty() { Ending::EmptyLine } else { Ending::Row }
    }

    /// Ends the record at the end of the bytes.
    fn finish(&mut self) -> Result<Ending, Malformed> {
        if self.place == Place::Quoted {
            return Err(Malformed::Quote { line: self.begun });
        }
        if self.is_at_start() {
            return Ok(Ending::Bytes);
        }
        self.ends.push(self.text.len());
        self.check()?;
        Ok(Ending::Row)
    }

    fn check(&self) -> Result<(), Malformed> {
        let line = self.begun;
        if self.line - self.begun > MOST_LINES {
            return Err(Malformed::Lines { line });
        }
        if self.length > MOST_BYTES {
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

    /// The records of a text with their lines, and the errors between them.
    fn split(text: &str, chunk: usize) -> (Vec<(u64, Vec<String>)>, Vec<String>) {
        let bytes = io::BufReader::with_capacity(chunk, text.as_bytes());
        let (mut records, mut found) = (Records::new(bytes, b','), Vec::new());
        let mut errors = Vec::new();
        loop {
            match records.advance() {
                Ok(true) => {
                    let cells = (0..records.len()).map(|i| records.cell(i).into_owned());
                    found.push((records.first_line(), cells.collect()));
                }
                Ok(false) => return (found, errors),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }

    #[test]
    fn cells_and_lines_do_not_depend_on_line_ends_and_chunks() {
        let text = "a, b \n\"1,\n2\"\"\",\n\"z\" ,\"1\"2\n\n\n";
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let expected =
            [(1, cells(["a", "b"])), (2, cells(["1,\n2\"", ""])), (4, cells(["z", "1\"2"]))];
        for ends in ["\n", "\r\n", "\r"] {
            for chunk in [1, 2, 3, 100] {
                let (found, errors) = split(&text.replace('\n', ends), chunk);
                let within = |cell: &String| cell.replace(ends, "\n");
                let found: Vec<(u64, Vec<_>)> = found
                    .iter()
                    .map(|(line, cells)| (*line, cells.iter().map(within).collect()))
                    .collect();
                assert_eq!(found, expected, "{ends:?} {chunk}");
                assert_eq!(errors, [""; 0], "{ends:?} {chunk}");
            }
        }
    }

    /// A blank before a quote once made the quotes a part of the cell.
    #[test]
    fn blanks_around_quotes_do_not_count() {
        for blank in [" ", "\t", " \t\x0c "] {
            let text = "a, \"b\" ,~\"1,5\"~,~\"x\n\"\"y\"~\nq\"r\",~s~\"t\"~,~\n~\n";
            let text = text.replace('~', blank);
            let (found, errors) = split(&text, 3);
            let cells = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
            let spaced = format!("s{blank}\"t\"");
            let expected: [(u64, Vec<String>); 3] = [
                (1, cells(&["a", "b", "1,5", "x\n\"y"])),
                (3, cells(&["q\"r\"", &spaced, ""])),
                (4, cells(&[""])),
            ];
            assert_eq!(found, expected, "{blank:?}");
            assert_eq!(errors, [""; 0], "{blank:?}");
        }
        // A tab that separates cells is no blank.
        let mut records = Records::new(&b"a\t\"b\"\t\tc\n"[..], b'\t');
        assert!(records.advance().unwrap());
        let cells: Vec<_> = (0..records.len()).map(|place| records.cell(place)).collect();
        assert_eq!(cells, ["a", "b", "", "c"]);
    }

    /// What is read after an error does not depend on line ends and chunks either.
    #[test]
    fn the_record_after_an_error_is_that_of_the_next_line() {
        let long = "1".repeat(2 * MOST_BYTES);
        let blanks = " ".repeat(2 * MOST_BYTES);
        let commas = ",".repeat(2 * MOST_CELLS);
        let lines = "x\n".repeat(200);
        for (bad, words, count) in [
            ("\n\n", "got an empty line", 1),
            ("\"2\n", "got a quote that is never closed", 1),
            (&format!("\"{lines}"), "got more than 100 lines in a row", 1),
            // The second quote opens a cell that is never closed.
            (&format!("\"{lines}\"\n"), "got more than 100 lines in a row", 2),
            (&format!("{long}\n"), "bytes in a row", 1),
            (&format!("\"{long}\"\n"), "bytes in a row", 1),
            (&format!("\"a\nb\"{long}\n"), "bytes in a row", 2),
            // Blanks, quotes and separators count: what may be read again is limited.
            (&format!("\"a\nb\"{blanks}\n"), "bytes in a row", 2),
            (&format!("\"a\"{blanks}\n"), "bytes in a row", 1),
            (&format!("{blanks}1\n"), "bytes in a row", 1),
            (&format!("{commas}\n"), "cells", 1),
        ] {
            for ends in ["\n", "\r\n", "\r"] {
                for chunk in [2, 1 << 16, 1 << 23] {
                    let text = format!("y\n1\n{bad}3\n4\n").replace('\n', ends);
                    let (found, errors) = split(&text, chunk);
                    let place = format!("{words} {ends:?} {chunk}: {errors:?}");
                    assert!(errors[0].starts_with("line 3: "), "{place}");
                    assert!(errors[0].contains(words) && errors.len() == count, "{place}");
                    let line = 3 + bad.matches('\n').count() as u64;
                    let row = |line, cell: &str| (line, vec![cell.to_owned()]);
                    let last = &found[found.len() - 2..];
                    assert_eq!(last, [row(line, "3"), row(line + 1, "4")], "{place}");
                }
            }
        }
    }

    #[test]
    fn records_of_the_greatest_length_are_read() {
        for text in ["1".repeat(MOST_BYTES), ",".repeat(MOST_CELLS - 1)] {
            assert_eq!(split(&text, 1 << 16).1, [""; 0]);
        }
        let lines = |count| split(&format!("\"{}\"\n", "x\n".repeat(count)), 7);
        assert_eq!(lines(99).1, [""; 0]);
        assert_eq!(lines(99).0.len(), 1);
        assert!(lines(100).1[0].contains("100 lines"), "{:?}", lines(100).1);
    }
}
