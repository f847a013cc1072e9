//! Rows of JSON lines: an object on each line, whose keys are the columns.

use std::fmt::{self, Display, Write};
use std::io::{BufRead, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::malformed::{MOST_BYTES, Malformed};

/// Most characters of what is wrong with an object, which may quote it.
const MOST_REASON: usize = 200;

/// Reads one object after the other. Empty lines at the end are no rows.
///
/// The keys of the first object are the columns, in its order. A key that a later object lacks, or
/// whose value is null, is an empty cell; other keys are ignored.
///
/// After an error, the next row is that of the next line.
pub(super) struct Objects<R> {
    bytes: R,
    line: u64,
    /// The text of the line.
    text: Vec<u8>,
    row: Row,
    /// Whether the rest of the line belongs to a row that was too long.
    spoilt: bool,
    /// Whether `text` is the next line already.
    held: bool,
}

/// The cells of an object.
#[derive(Debug, Default)]
struct Row {
    keys: Vec<String>,
    cells: Vec<String>,
    /// Whether the object has the key.
    given: Vec<bool>,
    /// Whether keys are new columns.
    is_first: bool,
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(bytes: R) -> Self {
        let row = Row { is_first: true, ..Row::default() };
        Self { bytes, line: 0, text: Vec::new(), row, spoilt: false, held: false }
    }

    /// Reads the next row; returns false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        let mut empty = None;
        loop {
            if !std::mem::take(&mut self.held) && !self.read_line()? {
                return Ok(false);
            }
            match (self.text.trim_ascii().is_empty(), empty) {
                (true, _) => empty = empty.or(Some(self.line)),
                (false, None) => break,
                (false, Some(line)) => {
                    self.held = true;
                    return Err(Malformed::Empty { line });
                }
            }
        }
        self.row.begin();
        let mut json = serde_json::Deserializer::from_slice(self.text.trim_ascii_end());
        let parsed = json.deserialize_any(&mut self.row).and_then(|()| json.end());
        parsed.map_err(|error| malformed(self.line, &error))?;
        self.row.is_first = false;
        Ok(true)
    }

    /// Reads a line; returns false at the end.
    fn read_line(&mut self) -> Result<bool, Malformed> {
        loop {
            self.text.clear();
            let line = self.line + u64::from(!self.spoilt);
            let most = MOST_BYTES as u64 + 1;
            let read = self.bytes.by_ref().take(most).read_until(b'\n', &mut self.text);
            let read = read.map_err(|source| Malformed::Unreadable { line, source })?;
            let (was_spoilt, is_long) = (self.spoilt, read > MOST_BYTES);
            self.line = line;
            self.spoilt = is_long && self.text.last() != Some(&b'\n');
            match (read, was_spoilt, is_long) {
                (0, _, _) => return Ok(false),
                (_, true, _) => {}
                (_, false, true) => return Err(Malformed::Length { line }),
                (_, false, false) => return Ok(true),
            }
        }
    }

    /// The line of the row, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The names of the columns, once the first row has been read.
    pub(super) fn keys(&self) -> &[String] {
        &self.row.keys
    }

    /// A cell without the blanks around it.
    pub(super) fn cell(&self, index: usize) -> &str {
        self.row.cells[index].trim()
    }
}

/// The error of a line, without the line that `serde_json` would name.
fn malformed(line: u64, error: &serde_json::Error) -> Malformed {
    let reason = error.to_string();
    let end = reason.rfind(" at line ").unwrap_or(reason.len());
    let reason = reason[..end].chars().take(MOST_REASON).collect();
    Malformed::Json { line, byte: error.column(), reason }
}

impl Row {
    fn begin(&mut self) {
        self.cells.iter_mut().for_each(String::clear);
        self.given.fill(false);
    }

    /// The place of a key; `None` if it is to be ignored. `next` is where it usually is.
    fn place(&mut self, key: &str, next: usize) -> Option<usize> {
        if self.keys.get(next).is_some_and(|known| known == key) {
            return Some(next);
        }
        let found = self.keys.iter().position(|known| known == key);
        if found.is_none() && self.is_first {
            self.keys.push(key.to_owned());
            self.cells.push(String::new());
            self.given.push(false);
            return Some(self.keys.len() - 1);
        }
        found
    }
}

impl<'de> Visitor<'de> for &mut Row {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object of numbers, texts and nulls")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some(key) = map.next_key::<String>()? {
            let Some(place) = self.place(&key, next) else {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.given[place], true) {
                return Err(A::Error::custom(format!("got key {key:?} twice, expected once")));
            }
            map.next_value_seed(Cell(&mut self.cells[place]))?;
            next = place + 1;
        }
        Ok(())
    }
}

/// A value as text.
struct Cell<'a>(&'a mut String);

impl Cell<'_> {
    fn set<E: Error>(self, value: impl Display) -> Result<(), E> {
        write!(self.0, "{value}").map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl Visitor<'_> for Cell<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a number, a text or null")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.set(u8::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.set(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.set(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.set(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.set(value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The rows of a text with their lines, and the errors between them.
    fn read(text: &str) -> (Vec<(u64, Vec<String>)>, Vec<String>) {
        let mut objects = Objects::new(BufReader::with_capacity(7, text.as_bytes()));
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        loop {
            match objects.advance() {
                Ok(true) => {
                    let cells = 0..objects.keys().len();
                    let cells = cells.map(|index| objects.cell(index).to_owned()).collect();
                    rows.push((objects.line(), cells));
                }
                Ok(false) => return (rows, errors),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }

    #[test]
    fn values_are_cells_in_the_order_of_the_first_object() {
        let text = "{\"a\": 1.5e3, \"b\": \" x \\u0041\"}\r\n\
            {\"b\": 18446744073709551615, \"c\": [1, {}], \"a\": null}\n\
            {\"b\": true}\n{\"a\":-7, \"b\":0.1}\n\n\n";
        let (rows, errors) = read(text);
        let row = |line, cells: [&str; 2]| (line, cells.map(str::to_owned).to_vec());
        let expected = [
            row(1, ["1500", "x A"]),
            row(2, ["", "18446744073709551615"]),
            row(3, ["", "1"]),
            row(4, ["-7", "0.1"]),
        ];
        assert_eq!(rows, expected);
        assert_eq!(errors, [""; 0]);
    }

    #[test]
    fn the_row_after_an_error_is_that_of_the_next_line() {
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(3 * MOST_BYTES));
        for (bad, words) in [
            ("", "line 2: got an empty line"),
            ("{\"a\": 1", "line 2, byte 7: EOF"),
            ("{\"a\": 1} {", "line 2, byte 10: trailing"),
            ("[1]", "expected an object of numbers"),
            ("{\"a\": {}}", "expected a number, a text or null"),
            ("{\"a\": 1, \"a\": 2}", "got key \"a\" twice"),
            ("{\"a\": nan}", "expected ident"),
            (&format!("\"{}\"", "x".repeat(MOST_BYTES / 2)), "invalid type: string \"xxx"),
            ("{\"a\": \"\u{1}\"}", "control character"),
            (&long, "line 2: got more than 1048576 bytes"),
        ] {
            let (rows, errors) = read(&format!("{{\"a\": 1}}\n{bad}\n{{\"a\": 3}}\n"));
            assert!(errors.len() == 1 && errors[0].contains(words), "{errors:?}");
            assert!(errors[0].len() < 300, "{} bytes", errors[0].len());
            let last = rows.last().unwrap();
            assert_eq!((rows.len(), last.0, last.1[0].as_str()), (2, 3, "3"), "{words}");
        }
    }
}
