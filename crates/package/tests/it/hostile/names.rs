//! Names and kinds of entries that must not reach a disk.

use package::Limits;

use super::{assert_item_refused, assert_refused, good, refused};
use crate::raw_zip::{Item, archive};

#[test]
fn names_that_lead_outside_are_refused() {
    for name in [
        "../evil.py",
        "a/../../evil.py",
        "a/b/../c",
        "/etc/cron.d/evil",
        "//evil",
        r"..\evil.py",
        r"\\server\share",
        "C:/evil.py",
        r"c:\evil.py",
        "..",
        "../",
    ] {
        assert_item_refused(Item::stored(name, b"x"), "package.path_outside");
    }
}

#[test]
fn names_that_cannot_be_stored_are_refused() {
    for name in
        [&b"a\0.py"[..], b"a\nb.py", b"a\r\nb", b"\x1b]0;x\x07", b"\xff\xfe.py", b"a\\b", b"./a"]
    {
        assert_item_refused(Item::stored(name, b"x"), "package.bad_name");
    }
    // Too long in a component, in all, and as long as the format can hold; and too deep.
    let long = |bytes: usize| format!("{}/", "x".repeat(199)).repeat(bytes / 200) + "x";
    for (name, code) in [
        ("x".repeat(256), "package.name_too_long"),
        (long(4_000), "package.name_too_long"),
        (long(65_400), "package.name_too_long"),
        ("d/".repeat(64) + "x", "package.too_deep"),
    ] {
        let refused = refused(&archive([Item::stored(&name, b"")]), &Limits::default());
        assert_eq!(refused.code(), code, "{refused}");
        let shown = refused.entry().unwrap().as_str();
        assert!(name.starts_with(shown.trim_end_matches('…')), "{refused}");
        assert!(refused.to_string().len() < 500, "{refused}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    for mode in [0o120_777, 0o060_644, 0o020_666, 0o010_644, 0o140_755, 0o040_755, 0o170_000] {
        assert_item_refused(Item::stored("link", b"/etc/passwd").mode(mode), "package.link");
    }
    // A link that calls itself a folder, and one through which the next entry would be written.
    assert_item_refused(Item::stored("link/", b"").mode(0o120_777), "package.link");
    let through = archive([
        Item::stored("link", b"/tmp").mode(0o120_777),
        Item::stored("link/evil.py", b"x"),
    ]);
    assert_refused(&through, "package.link", Some("link"));
}

#[test]
fn names_that_cannot_be_on_one_disk_together_are_refused() {
    for (names, entry) in [
        (&["a.py", "a.py"][..], "a.py"),
        (&["d/", "d/"], "d"),
        (&["d/a.py", "c", "d/a.py"], "d/a.py"),
        (&["a", "a/"], "a"),
        (&["a/", "a"], "a"),
        (&["a", "a/b"], "a"),
        (&["a/b/c", "a/b"], "a/b"),
        (&["a/b", "a/b/c/d"], "a/b"),
    ] {
        let mut items = good();
        items.extend(names.iter().map(|name| Item::stored(name, b"")));
        assert_refused(&archive(items), "package.duplicate_name", Some(entry));
    }
}
