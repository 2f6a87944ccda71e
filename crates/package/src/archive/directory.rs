//! Turns the records of the central directory into entries, judging each by what it claims.

use super::end::Directory;
use super::records::{Central, Cursor};
use super::{Entry, EntryKind, Method, path};
use crate::{EntryName, Limits, Refused};

const FLAG_ENCRYPTED: u16 = 1;
const FLAG_STRONGLY_ENCRYPTED: u16 = 1 << 6;
const FLAG_HEADERS_MASKED: u16 = 1 << 13;
const METHOD_AES: u16 = 99;

/// The type bits of a Unix mode.
const TYPE_MASK: u32 = 0o170_000;
const ANY_EXECUTE: u32 = 0o111;

pub(super) fn read<'a>(
    bytes: &'a [u8],
    directory: &Directory,
    limits: &Limits,
) -> Result<Vec<Entry<'a>>, Refused> {
    let mut cursor = Cursor(&bytes[directory.start..directory.end]);
    let count = usize::try_from(directory.entries).unwrap_or(usize::MAX);
    // The number is within the limit, and the directory is large enough for so many records.
    let mut entries = Vec::with_capacity(count);
    let mut total = Total::default();
    for number in 1..=directory.entries {
        let record = Central::read(&mut cursor)
            .ok_or(Refused::Directory { record: number, why: "it is cut short" })?;
        let entry = entry(record, number, limits)?;
        total.add(&entry, limits)?;
        entries.push(entry);
    }
    if cursor.0.is_empty() {
        total.check(bytes.len() as u64, limits)?;
        Ok(entries)
    } else {
        // More records than it claims, or a signature of the directory, which nobody writes.
        Err(Refused::Directory { record: directory.entries, why: "more follows the last record" })
    }
}

fn entry<'a>(record: Central<'a>, number: u64, limits: &Limits) -> Result<Entry<'a>, Refused> {
    let shown = || EntryName::new(record.name);
    let (path, is_folder) = path::check(record.name, limits)?;
    if record.extra.unicode_path().is_some_and(|name| name != record.name) {
        return Err(Refused::BadName {
            entry: shown(),
            why: "it has a second name for Unicode readers; pack it with UTF-8 names",
        });
    }

    let encrypted = FLAG_ENCRYPTED | FLAG_STRONGLY_ENCRYPTED | FLAG_HEADERS_MASKED;
    if record.flags & encrypted != 0 || record.method == METHOD_AES {
        return Err(Refused::Encrypted { entry: shown() });
    }
    let method = match record.method {
        0 => Method::Stored,
        8 => Method::Deflate,
        method => return Err(Refused::Method { entry: shown(), method }),
    };
    if record.disk != 0 {
        return Err(Refused::Split);
    }

    let wide = record.extra.wide(record.unpacked_bytes, record.packed_bytes, record.header_offset);
    let packed_bytes = wide.packed_bytes.unwrap_or(record.packed_bytes.into());
    let unpacked_bytes = wide.unpacked_bytes.unwrap_or(record.unpacked_bytes.into());
    if method == Method::Stored && packed_bytes != unpacked_bytes {
        return Err(Refused::SizeLies {
            entry: shown(),
            claimed: unpacked_bytes,
            actual: packed_bytes,
        });
    }
    let kind = kind(&record, is_folder)?;
    if kind == EntryKind::Folder && unpacked_bytes != 0 {
        return Err(Refused::Directory { record: number, why: "a folder has contents" });
    }
    Ok(Entry {
        path,
        kind,
        unpacked_bytes,
        method,
        crc: record.crc,
        packed_bytes,
        header_offset: wide.header_offset.unwrap_or(record.header_offset.into()),
        record,
        data: &[],
    })
}

/// The upper half of the attributes is a Unix mode by nearly all writers, on whatever system they
/// say they ran; a link is refused even where another reader would not see it as one.
fn kind(record: &Central<'_>, is_folder: bool) -> Result<EntryKind, Refused> {
    let mode = record.attributes >> 16;
    let what = match mode & TYPE_MASK {
        // Not set, or a regular file.
        0 | 0o100_000 => None,
        0o040_000 if is_folder => None,
        0o040_000 => Some("folder whose name does not end in '/'"),
        0o120_000 => Some("symbolic link"),
        0o060_000 | 0o020_000 => Some("device"),
        0o010_000 => Some("named pipe"),
        0o140_000 => Some("socket"),
        _ => Some("file of unknown type"),
    };
    match what {
        Some(what) => Err(Refused::Link { entry: EntryName::new(record.name), what }),
        None if is_folder => Ok(EntryKind::Folder),
        None => Ok(EntryKind::File { executable: mode & ANY_EXECUTE != 0 }),
    }
}

/// What all entries claim together. Contents are held to the claims when they are inflated, so
/// that these sums bound the real ones.
#[derive(Default)]
struct Total {
    unpacked_bytes: u64,
    has_file: bool,
}

impl Total {
    fn add(&mut self, entry: &Entry<'_>, limits: &Limits) -> Result<(), Refused> {
        self.has_file |= entry.kind != EntryKind::Folder;
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(entry.unpacked_bytes);
        if self.unpacked_bytes > limits.unpacked_bytes {
            return Err(Refused::UnpackedTooLarge {
                entry: entry.name(),
                bytes: self.unpacked_bytes,
                limit: limits.unpacked_bytes,
            });
        }
        if limits.is_bomb(entry.unpacked_bytes, entry.packed_bytes) {
            return Err(Refused::Bomb {
                entry: entry.name(),
                packed: entry.packed_bytes,
                unpacked: entry.unpacked_bytes,
                limit: limits.ratio,
            });
        }
        Ok(())
    }

    fn check(&self, archive_bytes: u64, limits: &Limits) -> Result<(), Refused> {
        if !self.has_file {
            return Err(Refused::NoFiles);
        }
        if limits.is_bomb(self.unpacked_bytes, archive_bytes) {
            return Err(Refused::BombInTotal {
                packed: archive_bytes,
                unpacked: self.unpacked_bytes,
                limit: limits.ratio,
            });
        }
        Ok(())
    }
}
