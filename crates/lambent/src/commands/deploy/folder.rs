//! A folder as a zip, in memory.
//!
//! The same files give the same bytes, whoever zips them and when: entries are sorted and have no
//! times, and of the permissions only whether a file may be executed is kept. So a deploy of what
//! has not changed is a version with the same code.

use std::fs::{self, File};
use std::io::{self, Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::Failure;

/// What no function needs, by name, at any depth.
const SKIPPED: [&str; 2] = [".git", "__pycache__"];
/// Of all files together, as the service takes them: AWS's 250 MiB. Memory holds the zip meanwhile.
const UNPACKED_BYTES: u64 = 250 * 1024 * 1024;
/// Folders in folders: deeper than any package, and shallow enough to recurse.
const DEPTH: usize = 64;

pub(super) fn zip(root: &Path) -> Result<Vec<u8>, Failure> {
    let mut zipping =
        Zipping { root, zip: ZipWriter::new(Cursor::new(Vec::new())), bytes: 0, files: 0 };
    zipping.folder(root, "", DEPTH)?;
    if zipping.files == 0 {
        return Err(Failure::Usage(format!("there is no file in {}", root.display())));
    }
    let finished = zipping.zip.finish();
    finished.map(Cursor::into_inner).map_err(|source| Failure::Zip { path: root.into(), source })
}

struct Zipping<'a> {
    root: &'a Path,
    zip: ZipWriter<Cursor<Vec<u8>>>,
    bytes: u64,
    files: u64,
}

impl Zipping<'_> {
    /// Adds what is in a folder, whose name in the zip is `prefix` (empty, or ending in a slash).
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Failure> {
        if depth == 0 {
            return Err(refused(folder, &format!("folders may lie {DEPTH} deep, no deeper")));
        }
        let read = |source| Failure::Read { path: folder.into(), source };
        let entries = fs::read_dir(folder).map_err(read)?;
        let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(read)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(refused(&path, "its name is not UTF-8"));
            };
            let about = entry.metadata();
            let about = about.map_err(|source| Failure::Read { path: path.clone(), source })?;
            let name = format!("{prefix}{name}");
            if about.is_dir() {
                self.folder(&path, &format!("{name}/"), depth - 1)?;
            } else if about.is_file() {
                self.file(&path, &name, &about)?;
            } else if about.is_symlink() {
                let why = "it is a link, which a package cannot have; put a copy in its place";
                return Err(refused(&path, why));
            } else {
                return Err(refused(&path, "it is neither a file nor a folder"));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str, about: &fs::Metadata) -> Result<(), Failure> {
        let is_executable = about.permissions().mode() & 0o111 != 0;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(if is_executable { 0o755 } else { 0o644 });
        let zip_error = |source| Failure::Zip { path: path.into(), source };
        self.zip.start_file(name, options).map_err(zip_error)?;
        let left = UNPACKED_BYTES - self.bytes;
        let file =
            File::open(path).map_err(|source| Failure::Read { path: path.into(), source })?;
        let copied = io::copy(&mut file.take(left + 1), &mut self.zip);
        let copied = copied.map_err(|source| Failure::Read { path: path.into(), source })?;
        if copied > left {
            let why = format!("all files together may have {UNPACKED_BYTES} bytes");
            return Err(refused(self.root, &why));
        }
        self.bytes += copied;
        self.files += 1;
        Ok(())
    }
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::Usage(format!("{} cannot be zipped: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn entries(zip: &[u8]) -> Vec<(String, u32, String)> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut entries = Vec::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let name = entry.name().unwrap().into_owned();
            entries.push((name, entry.unix_mode().unwrap() & 0o777, text));
        }
        entries
    }

    #[test]
    fn files_are_sorted_keep_whether_they_are_executable_and_history_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, text) in [
            ("z.py", "z"),
            ("bin/tool", "#!"),
            ("a/__pycache__/x.pyc", "no"),
            (".git/config", "no"),
            ("a/b.py", "b"),
            (".hidden", "kept"),
        ] {
            write(root, name, text);
        }
        fs::set_permissions(root.join("bin/tool"), fs::Permissions::from_mode(0o700)).unwrap();
        let bytes = zip(root).unwrap();
        let expect = [
            (".hidden", 0o644, "kept"),
            ("a/b.py", 0o644, "b"),
            ("bin/tool", 0o755, "#!"),
            ("z.py", 0o644, "z"),
        ];
        let expect = expect.map(|(name, mode, text)| (name.to_owned(), mode, text.to_owned()));
        assert_eq!(entries(&bytes), expect);
        assert_eq!(zip(root).unwrap(), bytes, "the same files give the same bytes");
    }

    #[test]
    fn links_and_empty_folders_are_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let error = zip(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("there is no file in "), "{error}");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.py")).unwrap();
        let error = zip(folder.path()).unwrap_err().to_string();
        assert!(error.contains("link.py cannot be zipped: it is a link"), "{error}");
    }
}
