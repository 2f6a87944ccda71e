//! A change as a CloudEvents record.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wire::http::rfc3339;

use super::folder::{Change, Kind};
use crate::commands::event::Record;
use crate::commands::time::now;

/// A record on its way, and how to speak of it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) label: String,
    pub(super) record: Bytes,
}

#[derive(Debug)]
pub(super) struct Describer {
    root: PathBuf,
    source: String,
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    path: &'a str,
    name: &'a str,
    size_bytes: u64,
}

impl Describer {
    pub(super) fn new(root: &Path, source: Option<&str>) -> Self {
        let source = source.map_or_else(|| file_url(root), ToOwned::to_owned);
        Self { root: root.into(), source }
    }

    pub(super) fn describe(&self, change: &Change) -> Described {
        let kind = match change.kind {
            Kind::Created => "file.created",
            Kind::Modified => "file.modified",
            Kind::Deleted => "file.deleted",
        };
        let subject = change.path.to_string_lossy();
        let path = self.root.join(&change.path);
        let name = change.path.file_name().unwrap_or_default().to_string_lossy();
        let record = Record {
            specversion: "1.0",
            id: &id(kind, change),
            source: &self.source,
            kind,
            subject: Some(&subject),
            time: Some(&rfc3339(now())),
            datacontenttype: Some("application/json"),
            data: Some(Data {
                path: &path.to_string_lossy(),
                name: &name,
                size_bytes: change.seen.size_bytes,
            }),
        };
        Described { label: format!("{kind}  {subject}"), record: record.to_json() }
    }
}

/// The same change of the same file has the same id, in whatever process it is seen; any other has
/// another. The path belongs to it, since a file that is moved keeps its inode and its time.
fn id(kind: &str, change: &Change) -> String {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(change.seen.inode.to_le_bytes());
    hash.update(change.seen.modified_ns.to_le_bytes());
    hash.update(change.seen.changed_ns.to_le_bytes());
    hash.update(change.seen.size_bytes.to_le_bytes());
    hash.update(change.path.as_os_str().as_bytes());
    // Half of it is enough to tell 2^64 changes apart.
    hash.finalize().iter().take(16).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes every write");
        hex
    })
}

fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            url.push((*byte).into());
        } else {
            write!(url, "%{byte:02X}").expect("a String takes every write");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::super::folder::Seen;
    use super::*;

    fn change(kind: Kind, path: &str) -> Change {
        let seen = Seen { inode: 7, modified_ns: 8, changed_ns: 9, size_bytes: 10 };
        Change { kind, path: path.into(), seen }
    }

    #[test]
    fn a_change_is_an_event_that_the_service_takes() {
        let describer = Describer::new(Path::new("/srv/in box"), None);
        let described = describer.describe(&change(Kind::Created, "a/ä.txt"));
        assert_eq!(described.label, "file.created  a/ä.txt");
        let event = wire::cloudevents::structured(&described.record, None).unwrap();
        assert_eq!(event.source, "file:///srv/in%20box");
        assert_eq!(event.kind, "file.created");
        let record: serde_json::Value = serde_json::from_str(&event.record).unwrap();
        assert_eq!(record["subject"], "a/ä.txt");
        let data = serde_json::json!({
            "path": "/srv/in box/a/ä.txt", "name": "ä.txt", "size_bytes": 10,
        });
        assert_eq!(record["data"], data);
    }

    #[test]
    fn equal_changes_have_equal_ids_and_others_have_others() {
        let id_of = |kind, path| id("k", &change(kind, path));
        assert_eq!(id_of(Kind::Created, "a"), id_of(Kind::Created, "a"));
        assert_ne!(id_of(Kind::Created, "a"), id_of(Kind::Created, "b"));
        let mut moved = change(Kind::Created, "a");
        moved.seen.changed_ns += 1;
        assert_ne!(id("k", &moved), id_of(Kind::Created, "a"));
        assert_ne!(id("other", &change(Kind::Created, "a")), id_of(Kind::Created, "a"));
    }
}
