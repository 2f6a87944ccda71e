//! Attacks: whatever a package's bytes are, nothing panics, `inspect` and `unpack` agree, nothing is
//! left behind by a refusal, nothing is written outside of the destination; and an archive that is
//! accepted means the same to another reader.
//!
//! The other reader is the zip crate. It may refuse what we take, and we refuse much that it takes;
//! but where both take an archive, they must see the same files.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use package::{Durability, Kind, Limits, UnpackError, inspect, unpack};
use second_zip::ZipArchive;
use tempfile::TempDir;

/// One for the whole run, empty after every input. In memory where the machine has a folder for it.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder to unpack in")
});

fuzz_target!(|bytes: &[u8]| {
    // Small limits keep inputs cheap, and make them meet the limits.
    let limits = Limits { unpacked_bytes: 1 << 20, entries: 64, ..Limits::default() };
    let folder = FOLDER.path();
    let into = folder.join("x");
    let inspected = inspect(bytes, Some("x.zip"), &limits);
    let unpacked = unpack(bytes, Some("x.zip"), &limits, &into, Durability::UntilReboot);
    match (inspected, unpacked) {
        (Ok(inspected), Ok(unpacked)) => {
            assert_eq!(inspected, unpacked);
            let mut files = BTreeMap::new();
            collect(&into, &into, &mut files);
            let total = files.values().map(|file| file.len() as u64).sum::<u64>();
            assert_eq!(total, inspected.unpacked_bytes);
            if inspected.kind == Kind::Zip
                && let Some(theirs) = second_opinion(bytes)
            {
                assert_eq!(files, theirs);
            }
            package::remove_tree(&into).expect("what was unpacked can be removed");
        }
        (Err(by_inspect), Err(UnpackError::Refused(by_unpack))) => {
            assert_eq!(by_inspect, by_unpack);
            let sentence = by_inspect.to_string();
            assert!(sentence.len() < 2_000 && !sentence.contains(char::is_control), "{sentence}");
        }
        (inspected, unpacked) => panic!("inspect: {inspected:?}, unpack: {unpacked:?}"),
    }
    let left = fs::read_dir(folder).expect("the folder is still there").count();
    assert_eq!(left, 0, "something is left behind");
});

type Files = BTreeMap<String, Vec<u8>>;

fn collect(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("a folder of the package") {
        let path = entry.expect("an entry of the package").path();
        let metadata = fs::symlink_metadata(&path).expect("an entry of the package");
        if metadata.is_dir() {
            collect(root, &path, files);
        } else {
            assert!(metadata.is_file(), "{} is no file", path.display());
            let name = path.strip_prefix(root).expect("it was found there");
            let name = name.to_str().expect("names are UTF-8").to_owned();
            files.insert(name, fs::read(&path).expect("a file of the package"));
        }
    }
}

/// The files as the zip crate reads them, if it does.
fn second_opinion(bytes: &[u8]) -> Option<Files> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut files = Files::new();
    for position in 0..archive.len() {
        let mut entry = archive.by_index(position).ok()?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().ok()?.into_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).ok()?;
        files.insert(name, contents);
    }
    Some(files)
}
