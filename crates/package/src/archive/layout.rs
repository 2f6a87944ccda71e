//! Compares the central directory with what is at the places it points to.
//!
//! Sorted by offset, entries have to follow one another without a gap from the first byte of the
//! archive to its central directory: local header, data, and a data descriptor where the flags say
//! so. Overlaps, hidden entries and prepended code all fail this one rule.

use super::Entry;
use super::end::{Directory, stray};
use super::records::{Cursor, Descriptor, Local, SEE_ZIP64};
use crate::{HeaderField, Refused};

/// The sizes and the checksum follow the data instead of standing in the local header.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8. Some writers set it in one header only, and we do not rely on it.
const FLAG_UTF8: u16 = 1 << 11;
/// How hard the compressor tried: of no consequence.
const FLAGS_OF_COMPRESSOR: u16 = 0b110;

/// Puts entries into the order of their data, and finds that data.
pub(super) fn check<'a>(
    bytes: &'a [u8],
    directory: &Directory,
    entries: &mut [Entry<'a>],
) -> Result<(), Refused> {
    entries.sort_unstable_by_key(|entry| entry.header_offset);
    let mut at = 0;
    for index in 0..entries.len() {
        let next = entries.get(index + 1).map(|entry| entry.header_offset);
        let entry = &mut entries[index];
        // Where this entry's bytes have to end.
        let bound = next.and_then(|offset| usize::try_from(offset).ok()).unwrap_or(directory.start);
        let header_at = usize::try_from(entry.header_offset)
            .ok()
            .filter(|&offset| offset < directory.start)
            .ok_or_else(|| Refused::NoLocalHeader { entry: entry.name() })?;
        if header_at > at {
            return Err(stray(&bytes[at..header_at], at as u64));
        }
        let mut cursor = Cursor(&bytes[header_at..directory.start]);
        let local = Local::read(&mut cursor)
            .ok_or_else(|| Refused::NoLocalHeader { entry: entry.name() })?;
        if let Some(field) = disagreement(entry, &local) {
            return Err(Refused::HeadersDisagree { entry: entry.name(), field });
        }
        let overlap = || Refused::Overlap { entry: entry.name() };
        let data = usize::try_from(entry.packed_bytes)
            .ok()
            .and_then(|length| cursor.0.split_at_checked(length))
            .ok_or_else(overlap)?;
        let data_end = directory.start - data.1.len();
        if data_end > bound || bound > directory.start {
            return Err(overlap());
        }
        let rest = &bytes[data_end..bound];
        at = if local.flags & FLAG_DESCRIPTOR == 0 || rest.is_empty() && entry.is_told(&local) {
            data_end
        } else {
            data_end + descriptor_bytes(entry, rest)?
        };
        entry.data = data.0;
        if at < bound {
            return Err(stray(&bytes[at..bound], at as u64));
        }
    }
    Ok(())
}

impl Entry<'_> {
    /// Whether the local header says by itself all that a data descriptor would. Some writers set
    /// the flag for one, seek back after all, and write none.
    fn is_told(&self, local: &Local<'_>) -> bool {
        let wide = local.extra.wide(local.unpacked_bytes, local.packed_bytes, 0);
        local.crc == self.crc
            && wide.packed_bytes.unwrap_or(local.packed_bytes.into()) == self.packed_bytes
            && wide.unpacked_bytes.unwrap_or(local.unpacked_bytes.into()) == self.unpacked_bytes
    }
}

/// The first thing that the local header says otherwise.
fn disagreement(entry: &Entry<'_>, local: &Local<'_>) -> Option<HeaderField> {
    let central = &entry.record;
    let later = local.flags & FLAG_DESCRIPTOR != 0;
    let wide = local.extra.wide(local.unpacked_bytes, local.packed_bytes, 0);
    // With a data descriptor to come, a local field may be zero instead.
    let differs = |wide: Option<u64>, narrow: u32, truth: u64| {
        let claimed = wide.unwrap_or(narrow.into());
        claimed != truth && !(later && (claimed == 0 || wide.is_none() && narrow == SEE_ZIP64))
    };
    let second_name = local.extra.unicode_path().is_some_and(|name| name != central.name);
    if local.name != central.name || second_name {
        Some(HeaderField::Name)
    } else if (local.flags ^ central.flags) & !(FLAG_UTF8 | FLAGS_OF_COMPRESSOR) != 0 {
        Some(HeaderField::Flags)
    } else if local.method != central.method {
        Some(HeaderField::Method)
    } else if local.crc != entry.crc && !(later && local.crc == 0) {
        Some(HeaderField::Checksum)
    } else if differs(wide.packed_bytes, local.packed_bytes, entry.packed_bytes) {
        Some(HeaderField::PackedSize)
    } else if differs(wide.unpacked_bytes, local.unpacked_bytes, entry.unpacked_bytes) {
        Some(HeaderField::UnpackedSize)
    } else {
        None
    }
}

/// Takes the whole rest up to the next entry if that is a data descriptor that says the truth.
fn descriptor_bytes(entry: &Entry<'_>, rest: &[u8]) -> Result<usize, Refused> {
    let truth = Descriptor {
        crc: entry.crc,
        packed_bytes: entry.packed_bytes,
        unpacked_bytes: entry.unpacked_bytes,
    };
    // Longest first, so that a signature is never taken for a checksum. What then follows the
    // descriptor belongs to nobody.
    [24, 20, 16, 12]
        .into_iter()
        .find(|&length| rest.get(..length).and_then(Descriptor::read) == Some(truth))
        .ok_or_else(|| Refused::HeadersDisagree {
            entry: entry.name(),
            field: HeaderField::DataDescriptor,
        })
}
