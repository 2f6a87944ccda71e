//! Inflates entries, holding each to the size and checksum that it claims.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Entry, Method};
use crate::Refused;

/// Large enough that a write costs more than the call; small enough to stay in the cache.
const BUFFER_BYTES: usize = 64 * 1024;

/// One decompressor and one buffer for all entries of an archive.
pub(crate) struct Inflater {
    state: Decompress,
    buffer: Box<[u8]>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            // Raw deflate: zip has its own checksum and no zlib header.
            state: Decompress::new(false),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        }
    }

    /// Passes an entry's contents to `sink` in pieces. Never more than the entry claims, and an
    /// error unless it was exactly that: what the sink got is right only if this returns `Ok`.
    pub(crate) fn copy<E: From<Refused>>(
        &mut self,
        entry: &Entry<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut crc = Crc::new();
        match entry.method {
            Method::Stored => {
                for piece in entry.data.chunks(BUFFER_BYTES) {
                    crc.update(piece);
                    sink(piece)?;
                }
            }
            Method::Deflate => self.inflate(entry, |piece| {
                crc.update(piece);
                sink(piece)
            })?,
        }
        if crc.sum() == entry.crc {
            Ok(())
        } else {
            Err(Refused::Checksum { entry: entry.name(), claimed: entry.crc, actual: crc.sum() }
                .into())
        }
    }

    fn inflate<E: From<Refused>>(
        &mut self,
        entry: &Entry<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let corrupt = |why| E::from(Refused::Corrupt { entry: entry.name(), why });
        self.state.reset(false);
        loop {
            let (taken, made) = (self.state.total_in(), self.state.total_out());
            let consumed = usize::try_from(taken).unwrap_or(usize::MAX);
            let input = entry.data.get(consumed..).unwrap_or_default();
            let Ok(status) = self.state.decompress(input, &mut self.buffer, FlushDecompress::None)
            else {
                return Err(corrupt("its bytes are not deflate"));
            };
            let total = self.state.total_out();
            if total > entry.unpacked_bytes {
                return Err(size_lies(entry, total));
            }
            let piece = usize::try_from(total - made).unwrap_or(usize::MAX);
            sink(self.buffer.get(..piece).unwrap_or_default())?;
            match status {
                Status::StreamEnd => break,
                _ if total == made && self.state.total_in() == taken => {
                    return Err(corrupt("it ends in the middle"));
                }
                Status::Ok | Status::BufError => {}
            }
        }
        if self.state.total_in() != entry.packed_bytes {
            return Err(corrupt("more bytes follow its end"));
        }
        if self.state.total_out() != entry.unpacked_bytes {
            return Err(size_lies(entry, self.state.total_out()));
        }
        Ok(())
    }
}

fn size_lies<E: From<Refused>>(entry: &Entry<'_>, actual: u64) -> E {
    Refused::SizeLies { entry: entry.name(), claimed: entry.unpacked_bytes, actual }.into()
}
