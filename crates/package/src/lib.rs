//! What a user uploads, checked and unpacked beneath a folder.
//!
//! A **package** is a zip archive or one Python source file, at most 50 MiB, from somebody we do
//! not trust. It is met twice. When it is uploaded, the control plane calls [`inspect`], which
//! reads every byte (each entry is inflated into a counter and its checksum compared) and either
//! refuses with a sentence that names the offending entry, or sums up what is inside. Later a
//! worker calls [`unpack`], which makes the same checks again, writes the files into a hidden
//! folder beside their destination, and renames that folder into place as the last step: the
//! destination is whole or it is not there.
//!
//! The reader accepts less than the zip format allows. Every byte of an archive must belong to
//! exactly one thing (a local header, an entry's data, its data descriptor, the central directory,
//! the end records), and what is said twice must be said the same way. Two readers that obey the
//! format therefore cannot see two different packages in the same bytes, and the well-known tricks
//! (overlapping entries, a second directory, code before or after the archive) need no detector of
//! their own: they are bytes without an owner, or with two. That is also why the directory is read
//! here and not by a general zip library, which has to be lenient; inflating is left to a library.
//!
//! Memory stays within a constant over the input: entries are streamed through one 64 KiB buffer,
//! and the number of entries is checked before anything is kept per entry.
//!
//! What this crate does not do: it knows no functions, versions or stores; it does not follow,
//! create or keep links, owners, times, extended attributes or set-id bits; it does not look into
//! archives within archives; it does not run or parse Python.

mod archive;
mod kind;
mod limits;
mod refused;
mod remove;
mod summary;
mod unpack;

pub use kind::Kind;
pub use limits::Limits;
pub use refused::{EntryName, HeaderField, Refused};
pub use remove::remove_tree;
pub use summary::Summary;
pub use unpack::{Durability, UnpackError, remove_abandoned, unpack};

use archive::{Archive, Inflater};
use kind::Content;

/// Checks a whole package, as it must be before it is accepted, and sums up what is inside.
///
/// `file_name` is what the user called the file, where that is known. It decides only between
/// "broken zip" and "Python source", and names the module of a source file.
pub fn inspect(bytes: &[u8], file_name: Option<&str>, limits: &Limits) -> Result<Summary, Refused> {
    match kind::decide(bytes, file_name, limits)? {
        Content::Source { module_file } => Ok(Summary::of_source(&module_file, bytes)),
        Content::Zip => {
            let archive = Archive::read(bytes, limits)?;
            let mut inflater = Inflater::new();
            for entry in archive.entries() {
                inflater.copy(entry, |_| Ok::<(), Refused>(()))?;
            }
            Ok(Summary::of_archive(&archive))
        }
    }
}
