//! Text in zstd frames.

use std::io::{self, BufRead, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Decompresses frames one after the other, block by block, and verifies their checksums.
pub(super) struct Frames<R> {
    bytes: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(bytes: R) -> Self {
        Self { bytes, decoder: FrameDecoder::new() }
    }

    /// Begins the next frame; returns false if there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.bytes.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let skipped = match self.decoder.reset(&mut self.bytes) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => u64::from(length),
                Err(error) => return Err(damaged(&error)),
            };
            io::copy(&mut self.bytes.by_ref().take(skipped), &mut io::sink())?;
        }
    }

    /// Fails if the text of the frame that has ended is not what was compressed.
    fn verify(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            stored @ Some(_) if stored != self.decoder.get_calculated_checksum() => {
                Err(damaged(&"a checksum differs"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if self.decoder.is_finished() {
                self.verify()?;
                if !self.begin()? {
                    return Ok(0);
                }
            }
            let one = BlockDecodingStrategy::UptoBlocks(1);
            let decoded = self.decoder.decode_blocks(&mut self.bytes, one);
            decoded.map_err(|error| damaged(&error))?;
        }
        self.decoder.read(buffer)
    }
}

fn damaged(reason: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("damaged zstd file: {reason}"))
}

#[cfg(test)]
pub(super) mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// A frame.
    pub(crate) fn compressed(text: &str) -> Vec<u8> {
        compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
    }

    #[test]
    fn frames_that_hold_no_text_are_skipped() {
        let skippable = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..]].concat();
        let bytes = [compressed("one\n"), skippable.clone(), compressed("two\n"), skippable];
        let mut text = String::new();
        Frames::new(bytes.concat().as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn rest_after_a_frame_is_an_error() {
        let bytes = [compressed("one\n"), b"rest".to_vec()].concat();
        let error = Frames::new(bytes.as_slice()).read_to_string(&mut String::new()).unwrap_err();
        assert!(error.to_string().contains("damaged zstd file"), "{error}");
    }
}
