//! Predictions as lines of text, in a file or on standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rtrl_model::store;

use crate::args::Format;
use crate::error::Error;
use crate::stream::subject::Value;

/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

/// Writes a line for each row.
pub(crate) struct Predictions {
    sink: BufWriter<Sink>,
    layout: Lines,
    /// The names of the columns in JSON, quoted.
    keys: Vec<String>,
    line: Vec<u8>,
    bytes: u64,
}

/// What lines look like.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) format: Format,
    /// Whether lines have the time of their row, and its group.
    pub(crate) has: [bool; 2],
    /// The names of the values that follow.
    pub(crate) columns: Vec<String>,
    /// Whether each line is written at once.
    pub(crate) live: bool,
}

/// Where lines are written to.
enum Sink {
    File(File, PathBuf),
    Output(io::Stdout),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.write(bytes),
            Self::Output(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.flush(),
            Self::Output(output) => output.flush(),
        }
    }
}

impl Predictions {
    /// Lines for standard output.
    pub(crate) fn to_output(layout: Lines) -> Result<Self, Error> {
        Self::new(Sink::Output(io::stdout()), layout).header()
    }

    /// Lines for a new file; an old one is emptied.
    pub(crate) fn to_file(path: &Path, layout: Lines) -> Result<Self, Error> {
        // A device has its own place, which may be in the middle of a file that others write to.
        let file = if store::is_appended_to(path) {
            OpenOptions::new().append(true).open(path)
        } else {
            File::create(path)
        };
        let file = file.map_err(|error| file_error(path, error))?;
        Self::new(Sink::File(file, path.to_owned()), layout).header()
    }

    /// Continues a file after its first `bytes` bytes; what follows them is cut off. A device,
    /// which keeps nothing, goes on.
    pub(crate) fn resume(path: &Path, layout: Lines, bytes: u64) -> Result<Self, Error> {
        let named = |error| file_error(path, error);
        if store::is_appended_to(path) {
            let file = OpenOptions::new().append(true).open(path).map_err(named)?;
            return Ok(Self { bytes, ..Self::new(Sink::File(file, path.to_owned()), layout) });
        }
        let mut file = OpenOptions::new().write(true).open(path).map_err(named)?;
        let got = file.metadata().map_err(named)?.len();
        if got < bytes {
            return Err(Error::ShortPredictions { path: path.to_owned(), got, expected: bytes });
        }
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(named)?;
        Ok(Self { bytes, ..Self::new(Sink::File(file, path.to_owned()), layout) })
    }

    fn new(sink: Sink, layout: Lines) -> Self {
        let sink = BufWriter::with_capacity(CHUNK, sink);
        let quoted = |name: &String| serde_json::Value::from(name.as_str()).to_string();
        let keys = layout.columns.iter().map(quoted).collect();
        Self { sink, layout, keys, line: Vec::new(), bytes: 0 }
    }

    /// Writes the names of the columns.
    fn header(mut self) -> Result<Self, Error> {
        if self.layout.format == Format::Csv {
            self.line = b"row".to_vec();
            for (name, _) in self.carried(["time", "group"]) {
                csv_text(&mut self.line, name).map_err(Error::Print)?;
            }
            for name in &self.layout.columns {
                csv_text(&mut self.line, name).map_err(Error::Print)?;
            }
            self.end_line()?;
        }
        Ok(self)
    }

    /// The texts of a row that its line repeats, with their keys in JSON: its time and its group.
    fn carried<'a>(
        &self,
        [time, group]: [&'a str; 2],
    ) -> impl Iterator<Item = (&'a str, &'static str)> + use<'a> {
        let texts = [(time, "\"time\""), (group, "\"group\"")].into_iter().zip(self.layout.has);
        texts.filter_map(|(text, has)| has.then_some(text))
    }

    /// Writes the line of a row with its time, its group and a value for each column.
    pub(crate) fn take(
        &mut self,
        row: u64,
        texts: [&str; 2],
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        self.line.clear();
        let mut carried = self.carried(texts);
        let (line, mut named) = (&mut self.line, self.keys.iter().zip(values));
        let written = match self.layout.format {
            Format::Csv => write!(line, "{row}")
                .and_then(|()| carried.try_for_each(|(text, _)| csv_text(line, text)))
                .and_then(|()| named.try_for_each(|(_, value)| csv(line, *value))),
            Format::Jsonl => write!(line, "{{\"row\":{row}")
                .and_then(|()| carried.try_for_each(|(text, key)| json_text(line, key, text)))
                .and_then(|()| named.try_for_each(|(name, value)| json(line, name, *value)))
                .and_then(|()| line.write_all(b"}")),
        };
        written.map_err(|error| self.failed(error))?;
        self.end_line()
    }

    fn end_line(&mut self) -> Result<(), Error> {
        self.line.push(b'\n');
        let mut written = self.sink.write_all(&self.line);
        if self.layout.live {
            written = written.and_then(|()| self.sink.flush());
        }
        self.bytes += self.line.len() as u64;
        written.map_err(|error| self.failed(error))
    }

    /// Whether lines are written to a file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.sink.get_ref(), Sink::File(..))
    }

    /// Lets a file, which has been flushed, survive a power failure. Returns the bytes of all
    /// lines.
    pub(crate) fn keep(&self) -> Result<u64, Error> {
        if let Sink::File(file, path) = self.sink.get_ref() {
            match file.sync_data() {
                // A device has nothing to sync.
                Err(error) if error.kind() != ErrorKind::InvalidInput => {
                    return Err(file_error(path, error));
                }
                _ => {}
            }
        }
        Ok(self.bytes)
    }

    /// Writes everything out.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.sink.flush().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        match self.sink.get_ref() {
            Sink::File(_, path) => file_error(path, error),
            Sink::Output(_) if error.kind() == ErrorKind::BrokenPipe => Error::Closed,
            Sink::Output(_) => Error::Print(error),
        }
    }
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

fn csv(line: &mut Vec<u8>, value: Value<'_>) -> io::Result<()> {
    match value {
        Value::Number(Some(value)) => write!(line, ",{value:?}"),
        Value::Text(Some(text)) => csv_text(line, text),
        Value::Number(None) | Value::Text(None) => line.write_all(b","),
    }
}

/// Text is quoted where it must be.
fn csv_text(line: &mut Vec<u8>, text: &str) -> io::Result<()> {
    if text.contains([',', '"', '\n', '\r']) {
        write!(line, ",\"{}\"", text.replace('"', "\"\""))
    } else {
        write!(line, ",{text}")
    }
}

fn json_text(line: &mut Vec<u8>, key: &str, text: &str) -> io::Result<()> {
    write!(line, ",{key}:{}", serde_json::Value::from(text))
}

/// JSON has no word for a number that is not finite.
fn json(line: &mut Vec<u8>, key: &str, value: Value<'_>) -> io::Result<()> {
    match value {
        Value::Number(Some(value)) if value.is_finite() => write!(line, ",{key}:{value:?}"),
        Value::Text(Some(text)) => json_text(line, key, text),
        Value::Number(_) | Value::Text(None) => write!(line, ",{key}:null"),
    }
}
