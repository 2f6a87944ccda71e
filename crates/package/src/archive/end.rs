//! Finds the one central directory, or says why there is not exactly one.
//!
//! The end record is searched from the back, since a comment of any content may follow it. Taking
//! the last one and insisting that its comment reaches exactly to the end of the archive leaves one
//! reading: an end record inside a comment would make the bytes before it strays.

use super::records::{
    CENTRAL_BYTES, CENTRAL_SIGNATURE, Cursor, END_BYTES, END_SIGNATURE, End, End64, LOCATOR_BYTES,
    Locator, SEE_ZIP64, SEE_ZIP64_SHORT,
};
use crate::{Limits, Refused};

/// Where the central directory is, as absolute offsets into the archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) entries: u64,
}

/// What the end records claim, of either width.
struct Claims {
    entries: u64,
    directory_bytes: u64,
    directory_offset: u64,
}

pub(super) fn find(bytes: &[u8], limits: &Limits) -> Result<Directory, Refused> {
    let (at, end) = end_record(bytes)?;
    let comment_end = at + END_BYTES + usize::from(end.comment_bytes);
    if comment_end > bytes.len() {
        return Err(damaged("the archive's comment is cut short"));
    }
    if comment_end < bytes.len() {
        return Err(Refused::TrailingData { bytes: (bytes.len() - comment_end) as u64 });
    }

    let (claims, directory_end) = claims(bytes, at, &end)?;
    // Before anything is allocated or read per entry.
    if claims.entries > limits.entries.into() {
        return Err(Refused::TooManyEntries { count: claims.entries, limit: limits.entries });
    }
    if claims.entries == 0 {
        return Err(Refused::NoFiles);
    }
    let start = directory_start(bytes, directory_end, &claims)?;
    if ((directory_end - start) as u64) < claims.entries.saturating_mul(CENTRAL_BYTES as u64) {
        return Err(damaged("it is too small for the number of entries it claims"));
    }
    Ok(Directory { start, end: directory_end, entries: claims.entries })
}

fn end_record(bytes: &[u8]) -> Result<(usize, End), Refused> {
    let searched = bytes.len().min(END_BYTES + usize::from(u16::MAX));
    let tail_start = bytes.len() - searched;
    bytes[tail_start..]
        .windows(END_SIGNATURE.len())
        .rposition(|window| window == END_SIGNATURE)
        .and_then(|at| Some((tail_start + at, End::read(Cursor(&bytes[tail_start + at..]))?)))
        .ok_or(if bytes.starts_with(b"PK") {
            Refused::Truncated { searched }
        } else {
            Refused::NotAZip
        })
}

/// The claims, and where the directory has to end: at the first of the end records.
fn claims(bytes: &[u8], at: usize, end: &End) -> Result<(Claims, usize), Refused> {
    let narrow = Claims {
        entries: end.entries.into(),
        directory_bytes: end.directory_bytes.into(),
        directory_offset: end.directory_offset.into(),
    };
    let saturated = end.entries == SEE_ZIP64_SHORT
        || end.directory_bytes == SEE_ZIP64
        || end.directory_offset == SEE_ZIP64;
    // Without a need for zip64, bytes that look like its locator may be a comment's.
    let closed = narrow.directory_offset + narrow.directory_bytes == at as u64;
    let locator_at = at.checked_sub(LOCATOR_BYTES).filter(|_| saturated || !closed);
    let locator = locator_at.and_then(|start| Locator::read(Cursor(&bytes[start..at])));
    let (Some(locator_at), Some(locator)) = (locator_at, locator) else {
        check_disks(end.disk == 0 && end.directory_disk == 0, end.entries_here == end.entries)?;
        return Ok((narrow, at));
    };

    check_disks(locator.disk == 0, locator.disks <= 1)?;
    let end64_at = usize::try_from(locator.end64_offset)
        .ok()
        .filter(|&start| start < locator_at)
        .ok_or_else(|| damaged("its zip64 end record lies outside of the archive"))?;
    let end64 = End64::read(Cursor(&bytes[end64_at..locator_at]))
        .ok_or_else(|| damaged("its zip64 end record is missing"))?;
    if end64.remaining_bytes.checked_add(12) != Some((locator_at - end64_at) as u64) {
        return Err(damaged("its zip64 end record has another length than it says"));
    }
    check_disks(end64.disk == 0 && end64.directory_disk == 0, end64.entries_here == end64.entries)?;
    let agree = |narrow: u64, saturated: bool, wide: u64| saturated || narrow == wide;
    if !agree(narrow.entries, end.entries == SEE_ZIP64_SHORT, end64.entries)
        || !agree(narrow.directory_bytes, end.directory_bytes == SEE_ZIP64, end64.directory_bytes)
        || !agree(
            narrow.directory_offset,
            end.directory_offset == SEE_ZIP64,
            end64.directory_offset,
        )
    {
        return Err(damaged("its two end records say different things"));
    }
    let wide = Claims {
        entries: end64.entries,
        directory_bytes: end64.directory_bytes,
        directory_offset: end64.directory_offset,
    };
    Ok((wide, end64_at))
}

fn check_disks(first_disk: bool, all_here: bool) -> Result<(), Refused> {
    if first_disk && all_here { Ok(()) } else { Err(Refused::Split) }
}

/// The directory has to fill the bytes from its claimed offset to the end records.
fn directory_start(bytes: &[u8], end: usize, claims: &Claims) -> Result<usize, Refused> {
    let claimed_end = claims.directory_offset.checked_add(claims.directory_bytes);
    if claimed_end == Some(end as u64) {
        return usize::try_from(claims.directory_offset)
            .ok()
            .filter(|&start| start <= end)
            .ok_or_else(|| damaged("it lies outside of the archive"));
    }
    // Offsets that are all too small by the same number mean that something was put before the
    // archive. Another archive there is an attempt to show two readers two packages.
    let shifted = usize::try_from(claims.directory_bytes)
        .ok()
        .and_then(|length| end.checked_sub(length))
        .filter(|&start| bytes[start..].starts_with(CENTRAL_SIGNATURE))
        .filter(|&start| start as u64 > claims.directory_offset);
    match shifted {
        Some(start) => {
            let before = start as u64 - claims.directory_offset;
            let prefix = usize::try_from(before).ok().and_then(|length| bytes.get(..length));
            Err(stray(prefix.unwrap_or_default(), 0))
        }
        None => Err(damaged("it does not end where the archive's end records begin")),
    }
}

/// Names bytes that belong to nothing, by where they are and what they look like.
pub(super) fn stray(bytes: &[u8], offset: u64) -> Refused {
    let length = bytes.len() as u64;
    if bytes.windows(END_SIGNATURE.len()).any(|window| window == END_SIGNATURE) {
        Refused::TwoDirectories
    } else if offset == 0 {
        Refused::Prefix { bytes: length }
    } else {
        Refused::StrayBytes { offset: offset + length, bytes: length }
    }
}

fn damaged(why: &'static str) -> Refused {
    Refused::Directory { record: 0, why }
}
