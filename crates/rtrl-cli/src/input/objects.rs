//! Rows of JSON lines: an object on each line, whose keys are the columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::malformed::{MOST_BYTES, MOST_CELLS, Malformed};
use super::source::read_line;

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
    /// Whether the last byte was a carriage return, which a line feed may follow.
    after_return: bool,
}

/// The cells of an object.
#[derive(Debug, Default)]
struct Row {
    keys: Vec<String>,
    /// The place of each key.
    places: HashMap<String, usize>,
    cells: Vec<Cell>,
    /// Whether keys are new columns.
    is_first: bool,
}

/// The value of a key.
#[derive(Debug, Default)]
struct Cell {
    /// Whether the object has the key.
    given: bool,
    text: String,
    /// The number, in which case there is no text.
    number: Option<Number>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
    /// 1 if it is true, else 0; as a text `true` or `false`.
    Truth(bool),
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(bytes: R) -> Self {
        let row = Row { is_first: true, ..Row::default() };
        let text = Vec::new();
        Self { bytes, line: 0, text, row, spoilt: false, held: false, after_return: false }
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
        if self.row.keys.len() > MOST_CELLS {
            return Err(Malformed::Cells { line: self.line });
        }
        self.row.is_first = false;
        Ok(true)
    }

    /// Reads a line; returns false at the end.
    fn read_line(&mut self) -> Result<bool, Malformed> {
        loop {
            self.text.clear();
            let line = self.line + u64::from(!self.spoilt);
            let read = read_line(&mut self.bytes, MOST_BYTES + 1, &mut self.text);
            read.map_err(|source| Malformed::Unreadable { line, source })?;
            let last = self.text.last().copied();
            if std::mem::replace(&mut self.after_return, last == Some(b'\r')) && self.text == b"\n"
            {
                continue;
            }
            let (was_spoilt, is_long) = (self.spoilt, self.text.len() > MOST_BYTES);
            self.line = line;
            self.spoilt = is_long && !matches!(last, Some(b'\n' | b'\r'));
            match (self.text.len(), was_spoilt, is_long) {
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

    /// A cell as text, without the blanks around it.
    pub(super) fn cell(&self, index: usize) -> Cow<'_, str> {
        let Cell { text, number, .. } = &self.row.cells[index];
        match number {
            None => Cow::Borrowed(text.trim_ascii()),
            Some(Number::Whole(number)) => Cow::Owned(number.to_string()),
            Some(Number::Real(number)) => Cow::Owned(number.to_string()),
            Some(Number::Truth(value)) => Cow::Borrowed(if *value { "true" } else { "false" }),
        }
    }

    /// The number of a cell, unless its value is a text or null.
    pub(super) fn number(&self, index: usize) -> Option<f64> {
        match self.row.cells[index].number? {
            Number::Whole(number) => Some(number as f64),
            Number::Real(number) => Some(number),
            Number::Truth(value) => Some(f64::from(u8::from(value))),
        }
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
        for cell in &mut self.cells {
            cell.given = false;
            cell.text.clear();
            cell.number = None;
        }
    }

    /// The place of a key; `None` if it is to be ignored. `next` is where it usually is.
    fn place(&mut self, key: &str, next: usize) -> Option<usize> {
        if self.keys.get(next).is_some_and(|known| known == key) {
            return Some(next);
        }
        let found = self.places.get(key).copied();
        if found.is_none() && self.is_first {
            let place = self.keys.len();
            self.keys.push(key.to_owned());
            self.places.insert(key.to_owned(), place);
            self.cells.push(Cell::default());
            return Some(place);
        }
        found
    }
}

impl<'de> Visitor<'de> for &mut Row {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object of numbers, texts, booleans and nulls")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some(place) = map.next_key_seed(Key { row: &mut *self, next })? {
            let Some(place) = place else {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut self.cells[place].given, true) {
                let key = &self.keys[place];
                return Err(A::Error::custom(format!("got key {key:?} twice, expected once")));
            }
            map.next_value_seed(&mut self.cells[place])?;
            next = place + 1;
        }
        Ok(())
    }
}

/// A key, whose value is the place of its cell.
struct Key<'a> {
    row: &'a mut Row,
    /// Where the key usually is.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.row.place(key, self.next))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Cell {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl Visitor<'_> for &mut Cell {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a number, a text, a boolean or null")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.number = Some(Number::Truth(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number = Some(Number::Whole(value.into()));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number = Some(Number::Whole(value.into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number = Some(Number::Real(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.text.push_str(value);
        Ok(())
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
                    let cells = cells.map(|index| objects.cell(index).into_owned()).collect();
                    rows.push((objects.line(), cells));
                }
                Ok(false) => return (rows, errors),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }

    #[test]
    fn values_are_cells_in_the_order_of_the_first_object() {
        let text = "{\"a\": 1.5e3, \"b\": \" x \\u0041\\t\"}\n\
            {\"b\": 18446744073709551615, \"c\": [1, {}], \"a\": null}\n\
            {\"b\": true}\n{\"\\u0061\":-7, \"b\":0.1}\n{\"b\": \"\\u00a05\"}\n\n\n";
        let row = |line, cells: [&str; 2]| (line, cells.map(str::to_owned).to_vec());
        let expected = [
            row(1, ["1500", "x A"]),
            row(2, ["", "18446744073709551615"]),
            row(3, ["", "true"]),
            row(4, ["-7", "0.1"]),
            row(5, ["", "\u{a0}5"]),
        ];
        // Lines once ended only with a line feed.
        for ends in ["\n", "\r\n", "\r"] {
            let (rows, errors) = read(&text.replace('\n', ends));
            assert_eq!(rows, expected, "{ends:?}");
            assert_eq!(errors, [""; 0], "{ends:?}");
        }
    }

    /// The number of a value is that of its text.
    #[test]
    fn numbers_are_those_of_their_texts() {
        for text in ["0.1", "-0.0", "1e-310", "18446744073709551615", "-9223372036854775808", "7"] {
            let text = format!("{{\"a\": {text}}}");
            let mut objects = Objects::new(text.as_bytes());
            assert!(objects.advance().unwrap());
            let (number, parsed) = (objects.number(0), objects.cell(0).parse::<f64>().unwrap());
            assert_eq!(number.map(f64::to_bits), Some(parsed.to_bits()), "{text}");
        }
        let mut objects = Objects::new(&b"{\"a\": false}"[..]);
        assert!(objects.advance().unwrap());
        assert_eq!((objects.number(0), &*objects.cell(0)), (Some(0.0), "false"));
        for value in ["\"7\"", "null"] {
            let text = format!("{{\"a\": {value}}}\n");
            let text = format!("{{\"a\": 1}}\n{text}");
            let mut objects = Objects::new(text.as_bytes());
            assert!(objects.advance().unwrap() && objects.advance().unwrap());
            assert_eq!(objects.number(0), None, "{value}");
        }
    }

    #[test]
    fn objects_have_as_many_keys_as_rows_have_cells() {
        let object = |keys: usize| {
            let pairs: Vec<String> = (0..keys).map(|key| format!("\"{key:x}\":1")).collect();
            format!("{{{}}}", pairs.join(","))
        };
        let (rows, errors) = read(&object(MOST_CELLS));
        assert_eq!((rows.len(), rows[0].1.len(), errors), (1, MOST_CELLS, vec![]));
        let (rows, errors) = read(&object(MOST_CELLS + 1));
        assert_eq!(
            (rows, errors),
            (vec![], vec!["line 1: got more than 65536 cells, expected at most 65536".to_owned()])
        );
    }

    #[test]
    fn the_row_after_an_error_is_that_of_the_next_line() {
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(3 * MOST_BYTES));
        for (bad, words) in [
            ("", "line 2: got an empty line"),
            ("{\"a\": 1", "line 2, byte 7: EOF"),
            ("{\"a\": 1} {", "line 2, byte 10: trailing"),
            ("[1]", "expected an object of numbers, texts, booleans and nulls"),
            ("{\"a\": {}}", "expected a number, a text, a boolean or null"),
            ("{\"a\": 1, \"a\": 2}", "got key \"a\" twice"),
            ("{\"a\": nan}", "expected ident"),
            (&format!("\"{}\"", "x".repeat(MOST_BYTES / 2)), "invalid type: string \"xxx"),
            ("{\"a\": \"\u{1}\"}", "control character"),
            (&long, "line 2: got more than 1048576 bytes"),
        ] {
            for ends in ["\n", "\r\n", "\r"] {
                let text = format!("{{\"a\": 1}}\n{bad}\n{{\"a\": 3}}\n").replace('\n', ends);
                let (rows, errors) = read(&text);
                assert!(errors.len() == 1 && errors[0].contains(words), "{ends:?}: {errors:?}");
                assert!(errors[0].len() < 300, "{} bytes", errors[0].len());
                let last = rows.last().unwrap();
                let found = (rows.len(), last.0, last.1[0].as_str());
                assert_eq!(found, (2, 3, "3"), "{words} {ends:?}");
            }
        }
    }
}
