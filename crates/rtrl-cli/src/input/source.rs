//! The bytes of a file or of standard input, decompressed if they are compressed.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::shared::Shared;
use super::zstd::Frames;
use crate::error::Error;
use crate::ranks::Ranks;
use crate::signals;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// The first bytes of a format, and what it is called.
const OTHER_FORMATS: [(&[u8], &str); 6] = [
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zX", "an xz file"),
    (b"PAR1", "a Parquet file"),
];

/// The first bytes of a gzip member and of a zstd frame.
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Marks UTF-8 text at its start.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes that identify a format.
const MOST_MAGIC: u64 = 4;

/// Where text is read from.
pub(super) type Text = Box<dyn BufRead>;

/// The text of a file or of standard input.
pub(super) struct Source {
    /// The text, without a byte order mark.
    pub(super) text: Text,
    /// Size of the file, if it is known.
    pub(super) size: Option<u64>,
    /// Bytes of the file that have been read so far.
    pub(super) read: Rc<Cell<u64>>,
}

impl Source {
    /// Opens a file, or standard input for `-`, on rank 0, which reads for all ranks. Only rank 0
    /// knows the size.
    pub(super) fn open(path: &Path, ranks: &Arc<dyn Ranks>) -> Result<Self, Error> {
        let unreadable = |source| Error::File { path: name(path), source };
        let (bytes, size) = if ranks.count() == 1 {
            bytes(path).map_err(unreadable)?
        } else {
            let opened = (ranks.rank() == 0).then(|| bytes(path));
            let size = opened.as_ref().and_then(|opened| opened.as_ref().ok()?.1);
            let opened = opened.map(|opened| opened.map(|(bytes, _)| bytes));
            (Box::new(Shared::new(opened, ranks).map_err(unreadable)?) as _, size)
        };
        let read = Rc::new(Cell::new(0));
        let bytes = Counted { bytes, read: Rc::clone(&read) };
        let text = text(BufReader::with_capacity(CHUNK, bytes)).map_err(unreadable)?;
        Ok(Self { text, size, read })
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
fn bytes(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    if is_standard_input(path) {
        return Ok((signals::standard_input()?, None));
    }
    let file = File::open(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        Ok((Box::new(file), Some(found.len())))
    } else {
        Ok((signals::interruptible(file)?, None))
    }
}

/// The text in bytes that may be compressed.
fn text(bytes: impl BufRead + 'static) -> io::Result<Text> {
    let (magic, bytes) = ahead(bytes)?;
    let text: Text = if magic.starts_with(GZIP) {
        Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(bytes)))
    } else if magic.starts_with(ZSTD) {
        Box::new(BufReader::with_capacity(CHUNK, Frames::new(bytes)))
    } else {
        Box::new(bytes)
    };
    let (start, mut text) = ahead(text)?;
    if let Some((_, got)) = OTHER_FORMATS.iter().find(|(magic, _)| start.starts_with(magic)) {
        let reason = format!("got {got}, expected UTF-8 text, plain or compressed by gzip or zstd");
        return Err(io::Error::new(ErrorKind::InvalidData, reason));
    }
    if start.starts_with(BYTE_ORDER_MARK) {
        io::copy(&mut text.by_ref().take(BYTE_ORDER_MARK.len() as u64), &mut io::sink())?;
    }
    Ok(Box::new(text))
}

/// Appends the bytes up to the end of the line, but at most `most`. The line ends with the first LF
/// or CR, so that an LF after a CR is a line of its own.
pub(super) fn read_line(
    bytes: &mut impl BufRead,
    most: usize,
    line: &mut Vec<u8>,
) -> io::Result<()> {
    let mut left = most;
    while left > 0 {
        let chunk = match bytes.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => &chunk[..chunk.len().min(left)],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let used = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(&chunk[..used]);
        bytes.consume(used);
        left = if end.is_some() { 0 } else { left - used };
    }
    Ok(())
}

/// The first bytes, and all of them.
fn ahead<R: BufRead>(mut bytes: R) -> io::Result<(Vec<u8>, impl BufRead + use<R>)> {
    let mut first = Vec::new();
    bytes.by_ref().take(MOST_MAGIC).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(bytes)))
}

/// Counts the bytes that are read.
struct Counted {
    bytes: Box<dyn Read>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn decoded(bytes: &[u8]) -> Result<String, String> {
        let mut found = String::new();
        let text = text(Cursor::new(bytes.to_vec())).map_err(|error| error.to_string())?;
        { text }.read_to_string(&mut found).map_err(|error| error.to_string())?;
        Ok(found)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_bytes_are_the_same_text() {
        let plain = format!("y\n{}", "1.5\n".repeat(100_000));
        let zstd = |text: &str| super::super::zstd::tests::compressed(text);
        for text in ["", "y", "y\n1\n", &plain] {
            let halves = text.split_at(text.len() / 2);
            for bytes in [
                text.as_bytes().to_vec(),
                gzip(text),
                zstd(text),
                [gzip(halves.0), gzip(halves.1)].concat(),
                [zstd(halves.0), zstd(halves.1)].concat(),
                gzip(&format!("\u{feff}{text}")),
            ] {
                assert!(decoded(&bytes).as_deref() == Ok(text), "{} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let plain = "1.5\n2.5\n".repeat(1000);
        for whole in [gzip(&plain), super::super::zstd::tests::compressed(&plain)] {
            assert!(decoded(&whole[..whole.len() - 1]).is_err());
            for place in [whole.len() / 2, whole.len() - 2] {
                let mut damaged = whole.clone();
                damaged[place] ^= 4;
                assert!(decoded(&damaged).is_err(), "{place}");
            }
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (magic, name) in OTHER_FORMATS {
            let found = decoded(&[magic, b"rest"].concat()).unwrap_err();
            assert!(found.contains(name) && found.contains("expected UTF-8"), "{found}");
        }
    }
}
