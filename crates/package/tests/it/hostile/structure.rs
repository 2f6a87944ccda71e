//! Archives that two readers would read differently, and headers that lie.

use package::{Limits, inspect};

use super::{assert_item_refused, assert_refused, good, ordinary, refused};
use crate::raw_zip::{Archive, DEFLATE, Item, archive, crc, extra};

#[test]
fn encrypted_entries_are_refused() {
    for flag in [1, 1 << 6, 1 << 13] {
        assert_item_refused(
            Item::stored("secret", b"x").both(|header| header.flags |= flag),
            "package.encrypted",
        );
    }
    assert_item_refused(
        Item::stored("secret", b"x").both(|header| header.method = 99),
        "package.encrypted",
    );
    // Encrypted by the local header only.
    assert_item_refused(
        Item::stored("secret", b"x").local(|header| header.flags |= 1),
        "package.headers_disagree",
    );
}

#[test]
fn other_compression_methods_are_refused() {
    for method in [1, 6, 9, 12, 14, 93, 95, 98, 65_535] {
        assert_item_refused(
            Item::stored("x", b"x").both(|header| header.method = method),
            "package.method",
        );
    }
}

#[test]
fn headers_that_disagree_are_refused() {
    let lies: [fn(&mut crate::raw_zip::Header); 6] = [
        |header| header.name = b"other.py".to_vec(),
        |header| header.crc ^= 1,
        |header| header.unpacked_bytes += 1,
        |header| header.packed_bytes += 1,
        |header| header.method = DEFLATE,
        |header| header.flags |= 1 << 3,
    ];
    for lie in lies {
        assert_item_refused(Item::stored("x.py", b"x").local(lie), "package.headers_disagree");
    }
    // A second name, for readers that prefer it.
    let mut second = vec![1];
    second.extend(crc(b"x.py").to_le_bytes());
    second.extend(b"../y");
    let second = extra(0x7075, &second);
    assert_item_refused(
        Item::stored("x.py", b"x").local(|header| header.extra = second.clone()),
        "package.headers_disagree",
    );
    assert_item_refused(
        Item::stored("x.py", b"x").central(|header| header.extra = second.clone()),
        "package.bad_name",
    );
    // Data descriptors that lie, or that are missing.
    let spoils: [fn(&mut Vec<u8>); 3] = [|bytes| bytes[5] ^= 1, |bytes| bytes[8] ^= 1, Vec::clear];
    for spoil in spoils {
        let mut item = Item::deflated("x.py", b"xxxx").streamed(true, false);
        spoil(&mut item.descriptor);
        assert_item_refused(item, "package.headers_disagree");
    }
}

#[test]
fn overlapping_entries_are_refused() {
    // The same bytes under many names.
    let mut same = Archive::of([Item::deflated("a", &[0; 100_000])]);
    same.ghosts = vec![Item::deflated("a", &[0; 100_000]).central(|h| h.name = b"b".to_vec())];
    let code = refused(&same.bytes(), &Limits::default()).code();
    assert!(["package.overlap", "package.headers_disagree"].contains(&code), "{code}");

    // Quoted headers: each entry's data is a stored block that holds the next entry.
    let inner = Item::stored("b", b"bbbb");
    let quoted = Item::stored("a", &inner.local_bytes());
    let inside = u32::try_from(quoted.local_bytes().len() - inner.local_bytes().len()).unwrap();
    let mut nested = Archive::of([quoted]);
    nested.ghosts = vec![inner.at(inside)];
    assert_refused(&nested.bytes(), "package.overlap", Some("a"));

    // Data that reaches into the directory.
    let reaching = archive([Item::stored("a", b"a").both(|header| {
        (header.packed_bytes, header.unpacked_bytes) = (20, 20);
    })]);
    assert_refused(&reaching, "package.overlap", Some("a"));
}

#[test]
fn entries_that_point_nowhere_are_refused() {
    for offset in [u32::MAX, u32::MAX - 1, 1_000_000] {
        let lost = archive([Item::stored("a", b"a").at(offset)]);
        assert_refused(&lost, "package.headers_disagree", Some("a"));
    }
}

#[test]
fn bytes_that_belong_to_nothing_are_refused() {
    let good_bytes = ordinary();

    // A self-extracting archive, with its offsets adjusted and not.
    let stub = b"#!/bin/sh\nexec unzip $0\n";
    let mut unadjusted = stub.to_vec();
    unadjusted.extend(&good_bytes);
    assert_refused(&unadjusted, "package.prefix", None);
    let hidden = Item::stored("hidden.py", b"x").local_bytes();
    let mut adjusted = Archive::of(good());
    let mut bytes = hidden.clone();
    let shift = u32::try_from(hidden.len()).unwrap();
    let mut at = shift;
    for item in &mut adjusted.items {
        item.offset = Some(at);
        at += u32::try_from(item.local_bytes().len()).unwrap();
    }
    adjusted.directory_offset = Some(at);
    bytes.extend(adjusted.bytes());
    assert_refused(&bytes, "package.prefix", None);

    // An entry that only readers of local headers see, in the middle and at the end.
    let mut middle = good();
    middle[0].descriptor = hidden.clone();
    assert_refused(&archive(middle), "package.stray_bytes", None);
    let end = Archive { gap: hidden, ..Archive::of(good()) };
    assert_refused(&end.bytes(), "package.stray_bytes", None);

    let mut trailing = good_bytes.clone();
    trailing.extend(b"trailing");
    assert_refused(&trailing, "package.trailing_data", None);
    let overlong =
        Archive { comment: b"abc".to_vec(), comment_bytes: Some(4), ..Archive::of(good()) };
    assert_refused(&overlong.bytes(), "package.directory", None);
}

#[test]
fn two_directories_are_refused() {
    let first = ordinary();
    let second = archive([Item::stored("evil.py", b"evil")]);
    // One after the other, and one as the comment of the other.
    let mut one_after_the_other = first.clone();
    one_after_the_other.extend(&second);
    assert_refused(&one_after_the_other, "package.two_directories", None);
    let in_comment = Archive { comment: second, ..Archive::of(good()) };
    assert_refused(&in_comment.bytes(), "package.two_directories", None);
    // The first archive's directory and end hidden between entries and directory of the second.
    let entries = good().iter().map(|item| item.local_bytes().len()).sum::<usize>();
    let between = Archive { gap: first[entries..].to_vec(), ..Archive::of(good()) };
    assert_refused(&between.bytes(), "package.two_directories", None);
}

#[test]
fn claims_of_the_end_record_are_held_to_the_truth() {
    let spoilt = |change: fn(&mut Archive)| {
        let mut archive = Archive::of(good());
        change(&mut archive);
        archive.bytes()
    };
    let fewer = spoilt(|archive| archive.entries = Some(1));
    assert_refused(&fewer, "package.directory", None);
    let more = spoilt(|archive| archive.entries = Some(3));
    assert_refused(&more, "package.directory", None);
    for offset in [0, 1, u32::MAX - 1, u32::MAX] {
        let mut moved = Archive::of(good());
        moved.directory_offset = Some(offset);
        let code = refused(&moved.bytes(), &Limits::default()).code();
        assert!(["package.directory", "package.prefix"].contains(&code), "{code}");
    }
    assert_refused(&spoilt(|a| a.directory_bytes = Some(0)), "package.directory", None);
    assert_refused(&spoilt(|a| a.directory_bytes = Some(u32::MAX)), "package.directory", None);
    assert_refused(&spoilt(|archive| archive.disk = 1), "package.split", None);
    assert_refused(&spoilt(|archive| archive.items[0].disk = 1), "package.split", None);
}

#[test]
fn archives_cut_short_anywhere_are_refused() {
    let bytes = ordinary();
    for length in 0..bytes.len() {
        let code = inspect(&bytes[..length], Some("x.zip"), &Limits::default())
            .expect_err("must be refused")
            .code();
        match length {
            0 => assert_eq!(code, "package.empty"),
            1 => assert_eq!(code, "package.not_a_zip"),
            _ => assert_eq!(code, "package.truncated", "at {length}"),
        }
    }
    assert_refused(b"just text", "package.not_a_zip", None);
    assert_refused(&[0; 100_000], "package.not_a_zip", None);
}
