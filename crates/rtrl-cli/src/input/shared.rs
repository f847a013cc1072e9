//! Bytes that rank 0 reads for all ranks.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use crate::ranks::Ranks;

/// Bytes that rank 0 reads, and all ranks receive. All of them read in the same way, so that the
/// pieces are the same.
pub(super) struct Shared {
    /// None on other ranks than 0.
    bytes: Option<Box<dyn Read>>,
    ranks: Arc<dyn Ranks>,
}

impl Shared {
    /// The bytes that rank 0 has `opened`. If it could not, no rank can.
    pub(super) fn new(
        opened: Option<io::Result<Box<dyn Read>>>,
        ranks: &Arc<dyn Ranks>,
    ) -> io::Result<Self> {
        let (bytes, outcome) = match opened {
            Some(Ok(bytes)) => (Some(bytes), Some(Ok(Vec::new()))),
            Some(Err(error)) => (None, Some(Err(error))),
            None => (None, None),
        };
        share(&**ranks, outcome)?;
        Ok(Self { bytes, ranks: Arc::clone(ranks) })
    }
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.bytes.as_mut().map(|bytes| {
            let mut piece = vec![0; buffer.len()];
            let count = loop {
                match bytes.read(&mut piece) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            piece.truncate(count);
            Ok(piece)
        });
        let piece = share(&*self.ranks, outcome)?;
        let Some(places) = buffer.get_mut(..piece.len()) else {
            return Err(io::Error::other("got a piece of another rank that is too long"));
        };
        places.copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The first byte of a message with bytes; any other begins the message of an error.
const BYTES: u8 = 1;

/// The outcome of rank 0, on every rank; `None` on the others.
fn share(ranks: &dyn Ranks, outcome: Option<io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    let message = match outcome {
        Some(Ok(mut bytes)) => {
            bytes.insert(0, BYTES);
            bytes
        }
        Some(Err(error)) => [&[0], error.to_string().as_bytes()].concat(),
        None => Vec::new(),
    };
    let mut message = ranks.share(&message)?;
    if message.first() == Some(&BYTES) {
        return Ok(message.split_off(1));
    }
    Err(io::Error::other(String::from_utf8_lossy(message.get(1..).unwrap_or_default())))
}
