//! Archives made to harm. Each is refused with its code and the offending entry, by both callers,
//! and nothing is left on disk.

mod names;
mod sizes;
mod structure;

use std::fs;

use package::{Durability, Limits, Refused, UnpackError, inspect, unpack};

use crate::raw_zip::{Item, archive};

/// An accepted archive, to be spoilt.
fn good() -> Vec<Item> {
    vec![Item::stored("handler.py", b"def handler(e, c): pass\n"), Item::deflated("b.txt", b"bbbb")]
}

fn ordinary() -> Vec<u8> {
    archive(good())
}

fn refused(bytes: &[u8], limits: &Limits) -> Refused {
    let by_inspect = inspect(bytes, Some("code.zip"), limits).expect_err("inspect must refuse");

    let folder = tempfile::tempdir().unwrap();
    let outcome =
        unpack(bytes, Some("code.zip"), limits, &folder.path().join("x"), Durability::UntilReboot);
    let Err(UnpackError::Refused(by_unpack)) = outcome else {
        panic!("unpack must refuse, not {outcome:?}")
    };
    assert_eq!(by_inspect, by_unpack, "both callers refuse for the same reason");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    by_inspect
}

#[track_caller]
fn assert_refused(bytes: &[u8], code: &str, entry: Option<&str>) {
    let refused = refused(bytes, &Limits::default());
    assert_eq!(refused.code(), code, "{refused}");
    assert_eq!(refused.entry().map(package::EntryName::as_str), entry, "{refused}");
    if let Some(entry) = entry {
        assert!(refused.to_string().contains(entry), "{refused}");
    }
    assert!(!refused.to_string().contains(char::is_control), "{refused}");
}

#[track_caller]
fn assert_item_refused(item: Item, code: &str) {
    let shown = match str::from_utf8(&item.central.name) {
        Ok(name) => name.trim_end_matches('/').escape_debug().to_string(),
        Err(_) => item.central.name.escape_ascii().to_string(),
    };
    let mut items = good();
    items.insert(1, item);
    let refused = refused(&archive(items), &Limits::default());
    assert_eq!(refused.code(), code, "{refused}");
    let entry = refused.entry().expect("names the entry").as_str();
    assert!(entry.starts_with(&shown), "{refused} should name {shown}");
}

#[test]
fn the_archive_that_the_others_are_made_from_is_accepted() {
    inspect(&ordinary(), None, &Limits::default()).unwrap();
}
