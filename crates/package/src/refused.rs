//! Why a package is not accepted: one variant per reason, each with a stable code and a sentence
//! that names the entry, the value and what to do.
//!
//! The sentences go back to whoever uploaded the package and into logs, so names taken from the
//! archive are escaped and capped before they get into one (see [`EntryName`]).

use std::fmt;

/// An entry's name as it may be shown: printable, on one line, of bounded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName(String);

impl EntryName {
    /// Enough to recognise a path by; a name may have 65,535 bytes.
    const SHOWN_CHARS: usize = 120;

    pub(crate) fn new(raw: &[u8]) -> Self {
        let mut shown = String::new();
        let mut count = 0;
        for chunk in raw.utf8_chunks() {
            let valid = chunk.valid().chars().map(|c| c.escape_debug().to_string());
            let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
            for piece in valid.chain(invalid) {
                if count == Self::SHOWN_CHARS {
                    shown.push('…');
                    return Self(shown);
                }
                shown.push_str(&piece);
                count += 1;
            }
        }
        Self(shown)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EntryName {
    fn from(name: &str) -> Self {
        Self::new(name.as_bytes())
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

/// Something that an entry's local header says otherwise than the central directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderField {
    Name,
    Flags,
    Method,
    Checksum,
    PackedSize,
    UnpackedSize,
    DataDescriptor,
}

impl fmt::Display for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Flags => "flags",
            Self::Method => "compression method",
            Self::Checksum => "checksum",
            Self::PackedSize => "compressed size",
            Self::UnpackedSize => "size",
            Self::DataDescriptor => "data descriptor",
        })
    }
}

/// Why a package is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    #[error(
        "the package has {bytes} bytes, more than the {limit} allowed: leave out what the function does not need"
    )]
    TooLarge { bytes: u64, limit: u64 },
    #[error(
        "the package is empty: upload a zip archive or a .py file with at least one byte of code"
    )]
    Empty,
    #[error("the archive holds no file, only folders: add the function's code")]
    NoFiles,
    #[error("{file_name} is neither a zip archive nor a .py file: upload one of the two")]
    UnknownKind { file_name: EntryName },

    #[error(
        "the package is not a zip archive: it does not begin with an entry (PK 03 04); pack it again as .zip"
    )]
    NotAZip,
    #[error(
        "the archive is cut short, or something was added behind it: no end record within its last {searched} bytes; upload it again"
    )]
    Truncated { searched: usize },
    #[error(
        "{bytes} bytes come before the archive's first entry: self-extracting archives and zip applications are not accepted; pack the files as a plain .zip"
    )]
    Prefix { bytes: u64 },
    #[error("{bytes} bytes come after the end of the archive: upload the archive alone")]
    TrailingData { bytes: u64 },
    #[error(
        "the archive has more than one central directory, so that two readers would see two different packages: pack it again"
    )]
    TwoDirectories,
    #[error(
        "the archive has {bytes} bytes before offset {offset} that belong to no entry, where something could be hidden: pack it again"
    )]
    StrayBytes { offset: u64, bytes: u64 },
    #[error("the archive is one part of several: pack it as a single file")]
    Split,
    #[error("the archive's central directory is damaged at record {record}: {why}; pack it again")]
    Directory { record: u64, why: &'static str },

    #[error(
        "the archive has {count} files and folders or more, more than the {limit} allowed: leave out what the function does not need"
    )]
    TooManyEntries { count: u64, limit: u32 },
    #[error(
        "the files have {bytes} bytes unpacked as far as {entry}, more than the {limit} allowed: leave out what the function does not need"
    )]
    UnpackedTooLarge { entry: EntryName, bytes: u64, limit: u64 },
    #[error(
        "{entry} unpacks {packed} bytes into {unpacked}, more than {limit} to 1, as only decompression bombs do: upload such data uncompressed, or make it when the function starts"
    )]
    Bomb { entry: EntryName, packed: u64, unpacked: u64, limit: u64 },
    #[error(
        "the archive unpacks {packed} bytes into {unpacked}, more than {limit} to 1, as only decompression bombs do: upload such data uncompressed, or make it when the function starts"
    )]
    BombInTotal { packed: u64, unpacked: u64, limit: u64 },

    #[error("{entry} leads outside of the package ({why}): use paths relative to the package")]
    PathOutside { entry: EntryName, why: &'static str },
    #[error("{entry} is not a name we can store: {why}")]
    BadName { entry: EntryName, why: &'static str },
    #[error("{entry} has a path of {bytes} bytes, more than the {limit} allowed: shorten it")]
    PathTooLong { entry: EntryName, bytes: usize, limit: usize },
    #[error("{entry} has a component of {bytes} bytes, more than the {limit} allowed: shorten it")]
    NameTooLong { entry: EntryName, bytes: usize, limit: usize },
    #[error("{entry} lies {depth} folders deep, more than the {limit} allowed: flatten the tree")]
    TooDeep { entry: EntryName, depth: usize, limit: usize },
    #[error("{entry} is in the archive twice: remove one of the two")]
    DuplicateName { entry: EntryName },
    #[error("{entry} is both a file and a folder in the archive: rename one of the two")]
    FileAndFolder { entry: EntryName },
    #[error(
        "{entry} is a {what}, and only files and folders are accepted: put a copy of the file in its place (zip without --symlinks)"
    )]
    Link { entry: EntryName, what: &'static str },

    #[error("{entry} is encrypted: pack it without a password")]
    Encrypted { entry: EntryName },
    #[error(
        "{entry} is compressed by method {method}, and only stored (0) and deflate (8) are accepted: pack it again with deflate"
    )]
    Method { entry: EntryName, method: u16 },
    #[error("{entry} shares bytes with another part of the archive: pack it again")]
    Overlap { entry: EntryName },
    #[error(
        "{entry} has no local header where the central directory says: the archive is damaged; pack it again"
    )]
    NoLocalHeader { entry: EntryName },
    #[error(
        "{entry} has one {field} in the central directory and another beside its data: pack it again"
    )]
    HeadersDisagree { entry: EntryName, field: HeaderField },
    #[error("{entry} cannot be decompressed ({why}): the archive is damaged; pack it again")]
    Corrupt { entry: EntryName, why: &'static str },
    #[error("{entry} claims {claimed} bytes and unpacks into {}: pack it again", Unpacked(*actual, *claimed))]
    SizeLies { entry: EntryName, claimed: u64, actual: u64 },
    #[error(
        "{entry} has checksum {actual:08x} and claims {claimed:08x}: it was damaged on the way; upload it again"
    )]
    Checksum { entry: EntryName, claimed: u32, actual: u32 },

    #[error(
        "the source file has {bytes} bytes, more than the {limit} allowed: move data out of the code, or upload a zip archive"
    )]
    SourceTooLarge { bytes: u64, limit: u64 },
    #[error("the source file is not valid UTF-8 at byte {offset}: save it as UTF-8")]
    SourceNotUtf8 { offset: usize },
    #[error(
        "the source file has a NUL at byte {offset}, which Python does not accept: is it really source text?"
    )]
    SourceHasNul { offset: usize },
}

/// We stop at the first byte too many, so then we know only that there are more.
struct Unpacked(u64, u64);

impl fmt::Display for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(actual, claimed) = *self;
        if actual > claimed { f.write_str("more") } else { write!(f, "{actual}") }
    }
}

impl Refused {
    /// The machine's word for the reason. Never changes its meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "package.too_large",
            Self::Empty | Self::NoFiles => "package.empty",
            Self::UnknownKind { .. } => "package.unknown_kind",
            Self::NotAZip => "package.not_a_zip",
            Self::Truncated { .. } => "package.truncated",
            Self::Prefix { .. } => "package.prefix",
            Self::TrailingData { .. } => "package.trailing_data",
            Self::TwoDirectories => "package.two_directories",
            Self::StrayBytes { .. } => "package.stray_bytes",
            Self::Split => "package.split",
            Self::Directory { .. } => "package.directory",
            Self::TooManyEntries { .. } => "package.too_many_entries",
            Self::UnpackedTooLarge { .. } => "package.unpacked_too_large",
            Self::Bomb { .. } | Self::BombInTotal { .. } => "package.bomb",
            Self::PathOutside { .. } => "package.path_outside",
            Self::BadName { .. } => "package.bad_name",
            Self::PathTooLong { .. } | Self::NameTooLong { .. } => "package.name_too_long",
            Self::TooDeep { .. } => "package.too_deep",
            Self::DuplicateName { .. } | Self::FileAndFolder { .. } => "package.duplicate_name",
            Self::Link { .. } => "package.link",
            Self::Encrypted { .. } => "package.encrypted",
            Self::Method { .. } => "package.method",
            Self::Overlap { .. } => "package.overlap",
            Self::NoLocalHeader { .. } | Self::HeadersDisagree { .. } => "package.headers_disagree",
            Self::Corrupt { .. } => "package.corrupt",
            Self::SizeLies { .. } => "package.size_lies",
            Self::Checksum { .. } => "package.crc",
            Self::SourceTooLarge { .. } => "package.source_too_large",
            Self::SourceNotUtf8 { .. } => "package.source_not_utf8",
            Self::SourceHasNul { .. } => "package.source_has_nul",
        }
    }

    /// The entry at fault, where it is one entry's fault.
    pub fn entry(&self) -> Option<&EntryName> {
        match self {
            Self::UnpackedTooLarge { entry, .. }
            | Self::Bomb { entry, .. }
            | Self::PathOutside { entry, .. }
            | Self::BadName { entry, .. }
            | Self::PathTooLong { entry, .. }
            | Self::NameTooLong { entry, .. }
            | Self::TooDeep { entry, .. }
            | Self::DuplicateName { entry }
            | Self::FileAndFolder { entry }
            | Self::Link { entry, .. }
            | Self::Encrypted { entry }
            | Self::Method { entry, .. }
            | Self::Overlap { entry }
            | Self::NoLocalHeader { entry }
            | Self::HeadersDisagree { entry, .. }
            | Self::Corrupt { entry, .. }
            | Self::SizeLies { entry, .. }
            | Self::Checksum { entry, .. } => Some(entry),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_on_one_line_and_in_printable_characters() {
        let name = EntryName::new(b"a\r\nSet-Cookie: x\x1b[2J\xff\x00\xe2\x80\xae.py");
        assert_eq!(name.to_string(), r"'a\r\nSet-Cookie: x\u{1b}[2J\xff\0\u{202e}.py'");
    }

    #[test]
    fn readable_names_are_shown_as_they_are() {
        assert_eq!(EntryName::from("größe/日本.py").as_str(), "größe/日本.py");
    }

    #[test]
    fn long_names_are_capped() {
        let name = EntryName::new(&[0xff; 65_535]);
        assert_eq!(name.as_str().len(), 4 * EntryName::SHOWN_CHARS + '…'.len_utf8());
    }
}
