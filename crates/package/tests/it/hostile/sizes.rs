//! Sizes that lie, and sizes and numbers that are too large.

use std::time::{Duration, Instant};

use package::{Limits, inspect};

use super::{assert_item_refused, assert_refused, good, refused};
use crate::raw_zip::{Archive, Item, archive, deflate, extra};

#[test]
fn sizes_and_checksums_are_held_to_the_truth() {
    let item = || Item::deflated("x.bin", &[7; 1_000]);
    assert_item_refused(item().both(|h| h.unpacked_bytes = 999), "package.size_lies");
    assert_item_refused(item().both(|h| h.unpacked_bytes = 1_001), "package.size_lies");
    assert_item_refused(item().both(|h| h.unpacked_bytes = 0), "package.size_lies");
    assert_item_refused(item().both(|h| h.crc ^= 1), "package.crc");
    assert_item_refused(Item::stored("x", b"x").both(|h| h.crc ^= 1), "package.crc");
    assert_item_refused(
        Item::stored("x", b"x").both(|h| h.unpacked_bytes = 2),
        "package.size_lies",
    );

    let mut longer = item();
    longer.packed.push(0);
    assert_item_refused(longer.both(|h| h.packed_bytes += 1), "package.corrupt");
    let mut shorter = item();
    shorter.packed.pop();
    assert_item_refused(shorter.both(|h| h.packed_bytes -= 1), "package.corrupt");
    let mut nonsense = item();
    nonsense.packed.fill(0xff);
    assert_item_refused(nonsense, "package.corrupt");
    let mut nothing = item().both(|h| h.packed_bytes = 0);
    nothing.packed.clear();
    assert_item_refused(nothing, "package.corrupt");

    // A folder that deflates into something, while claiming nothing.
    let folder = Item::deflated("d/", b"x").both(|h| h.unpacked_bytes = 0);
    assert_item_refused(folder, "package.size_lies");
    assert_refused(&archive([Item::stored("d/", b"x")]), "package.directory", None);
}

#[test]
fn zip64_sizes_that_lie_are_refused() {
    let wide = |sizes: &[u64]| {
        extra(1, &sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>())
    };
    let lie = |unpacked: u64, packed: u64| {
        Item::deflated("x.bin", &[7; 1_000]).both(|header| {
            (header.unpacked_bytes, header.packed_bytes) = (u32::MAX, u32::MAX);
            header.extra = wide(&[unpacked, packed]);
        })
    };
    let packed = deflate(&[7; 1_000]).len() as u64;
    inspect(&archive([lie(1_000, packed)]), None, &Limits::default()).unwrap();
    assert_item_refused(lie(999, packed), "package.size_lies");
    assert_item_refused(lie(u64::MAX, packed), "package.unpacked_too_large");
    assert_item_refused(lie(1_000, u64::MAX), "package.overlap");
    assert_item_refused(lie(1_000, 1 << 40), "package.overlap");

    for entries in [0, 1, 3, 1 << 40, u64::MAX] {
        let lying = Archive {
            zip64_entries: Some(entries),
            entries: Some(u16::MAX),
            ..Archive::of(good())
        };
        let code = refused(&lying.bytes(), &Limits::default()).code();
        assert!(
            ["package.directory", "package.too_many_entries", "package.empty"].contains(&code),
            "{code}"
        );
    }
    // The two end records say different things, each plausible.
    let two_minds = Archive { zip64_entries: Some(2), entries: Some(1), ..Archive::of(good()) };
    assert_refused(&two_minds.bytes(), "package.directory", None);
}

#[test]
fn archives_without_files_are_refused() {
    assert_refused(&archive([]), "package.empty", None);
    assert_refused(
        &archive([Item::stored("a/", b""), Item::stored("a/b/", b"")]),
        "package.empty",
        None,
    );
}

#[test]
fn bombs_are_refused() {
    let mebibyte = 1024 * 1024;
    let bomb = archive([Item::deflated("zeros.bin", &vec![0; 2 * mebibyte])]);
    assert_refused(&bomb, "package.bomb", Some("zeros.bin"));
    // Below the size at which one entry is looked at, many times.
    let small = Item::deflated("0.bin", &vec![0; mebibyte]);
    let many = (0..64).map(|number| {
        small.clone().both(|header| header.name = format!("{number}.bin").into_bytes())
    });
    assert_refused(&archive(many), "package.bomb", None);
    // One megabyte of nothing is no bomb.
    inspect(&archive([small]), None, &Limits::default()).unwrap();
    // A bomb that claims to be small is stopped at its claim.
    let liar = Item::deflated("liar.bin", &vec![0; 2 * mebibyte]).both(|header| {
        header.unpacked_bytes = 10;
    });
    assert_refused(&archive([liar]), "package.size_lies", Some("liar.bin"));
}

#[test]
fn one_byte_more_than_the_limit_is_refused_and_the_limit_itself_is_not() {
    let items = [Item::stored("a", b"aaaa"), Item::stored("b", b"bbbb")];
    let limits = Limits { unpacked_bytes: 8, entries: 2, ..Limits::default() };
    inspect(&archive(items.clone()), None, &limits).unwrap();

    let [a, _] = items.clone();
    let larger = archive([a, Item::stored("b", b"bbbbb")]);
    let too_large = refused(&larger, &limits);
    assert_eq!(too_large.code(), "package.unpacked_too_large");
    assert_eq!(too_large.entry().unwrap().as_str(), "b");

    let [a, b] = items;
    let too_many = refused(&archive([a, b, Item::stored("c", b"")]), &limits);
    assert_eq!(too_many.code(), "package.too_many_entries");
    // Folders count, also those without an entry of their own.
    let deep = refused(&archive([Item::stored("d/e/a", b"")]), &limits);
    assert_eq!(deep.code(), "package.too_many_entries");
}

#[test]
fn a_hundred_thousand_entries_are_refused_at_once() {
    let empty = Item::stored("x", b"");
    let many = |claimed: Option<u16>, zip64_entries| {
        let mut items = Vec::with_capacity(100_000);
        for number in 0..100_000 {
            let mut item = empty.clone();
            item.local.name = format!("{number}.py").into_bytes();
            item.central.name.clone_from(&item.local.name);
            items.push(item);
        }
        Archive { zip64_entries, entries: claimed, ..Archive::of(items) }.bytes()
    };
    let honest = many(Some(u16::MAX), Some(100_000));
    let started = Instant::now();
    assert_refused(&honest, "package.too_many_entries", None);
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    // More entries than claimed.
    assert_refused(&many(Some(10), None), "package.directory", None);
    // A claim without the bytes to back it, which must not become an allocation.
    let hollow = Archive { entries: Some(49_999), ..Archive::of(good()) };
    assert_refused(&hollow.bytes(), "package.directory", None);
}
