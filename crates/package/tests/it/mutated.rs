//! Random input: whatever the bytes, nothing panics, nothing is written outside of the destination,
//! and both callers agree.

use std::fs;
use std::path::Path;

use package::{Durability, Limits, UnpackError, inspect, unpack};
use proptest::prelude::*;

use crate::raw_zip::{Archive, Item, extra};
use crate::tree;

/// Small limits keep random archives cheap, and make them meet the limits.
fn limits() -> Limits {
    Limits { unpacked_bytes: 1 << 20, entries: 64, ..Limits::default() }
}

/// Both callers on the same bytes, in a folder where anything unexpected would be seen.
fn check(bytes: &[u8], file_name: Option<&str>, folder: &Path) {
    let inspected = inspect(bytes, file_name, &limits());
    let into = folder.join("x");
    let unpacked = unpack(bytes, file_name, &limits(), &into, Durability::UntilReboot);
    match (inspected, unpacked) {
        (Ok(inspected), Ok(unpacked)) => {
            assert_eq!(inspected, unpacked);
            let files = tree::read(&into).into_values().filter_map(|(_, contents)| contents);
            assert_eq!(files.map(|file| file.len() as u64).sum::<u64>(), inspected.unpacked_bytes);
            package::remove_tree(&into).unwrap();
        }
        (Err(by_inspect), Err(UnpackError::Refused(by_unpack))) => {
            assert_eq!(by_inspect, by_unpack);
            let sentence = by_inspect.to_string();
            assert!(sentence.len() < 2_000 && !sentence.contains(char::is_control), "{sentence}");
        }
        (inspected, unpacked) => panic!("inspect: {inspected:?}, unpack: {unpacked:?}"),
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something is left behind");
}

/// SplitMix64: small, seeded, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Archives that between them use every part of the reader.
fn seeds() -> Vec<Vec<u8>> {
    let items = || {
        vec![
            Item::stored("handler.py", b"def handler(event, context): return event"),
            Item::deflated("pkg/mod.py", &b"x = 1\n".repeat(50)).mode(0o100_755),
            Item::stored("pkg/", b"").mode(0o040_755),
        ]
    };
    let streamed = items().into_iter().map(|item| item.streamed(true, false));
    let wide_streamed = items().into_iter().map(|item| item.streamed(false, true));
    let wide_item = Item::deflated("w", b"wide").both(|header| {
        let sizes = [header.unpacked_bytes, header.packed_bytes].map(u64::from);
        header.extra = extra(1, sizes.map(u64::to_le_bytes).as_flattened());
        (header.unpacked_bytes, header.packed_bytes) = (u32::MAX, u32::MAX);
    });
    vec![
        Archive::of(items()).bytes(),
        Archive::of(streamed).bytes(),
        Archive::of(wide_streamed).bytes(),
        Archive { comment: b"comment".to_vec(), ..Archive::of(items()) }.bytes(),
        Archive { zip64_entries: Some(3), entries: Some(u16::MAX), ..Archive::of(items()) }.bytes(),
        Archive::of([wide_item]).bytes(),
    ]
}

/// One to four changes of the kinds that parsers fall over.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const SIGNATURES: [&[u8]; 6] =
        [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"];
    const NUMBERS: [u32; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.byte(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.byte()),
            4 => drop(bytes.remove(at)),
            5 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let end = (at + 1 + random.below(4)).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            6 => {
                let signature = SIGNATURES[random.below(SIGNATURES.len())];
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&signature[..end - at]);
            }
            7 => {
                let end = at + random.below((bytes.len() - at).min(64));
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                // A field of the end record or the last central record, where most is decided.
                let near_end = bytes.len() - 1 - random.below(bytes.len().min(100));
                bytes[near_end] = random.byte();
            }
        }
    }
}

#[test]
fn hundred_thousand_mutated_archives_never_panic() {
    let inputs = if std::env::var_os("SLOW_TESTS").is_some_and(|value| value == "1") {
        100_000
    } else {
        2_000
    };
    let folder = tempfile::tempdir().unwrap();
    let seeds = seeds();
    let mut accepted = 0;
    for seed in &seeds {
        inspect(seed, None, &limits()).expect("every seed is a valid archive");
    }
    for number in 0..inputs {
        let mut random = Random(number);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut random, &mut bytes);
        accepted += u64::from(inspect(&bytes, None, &limits()).is_ok());
        check(&bytes, Some("x.zip"), folder.path());
    }
    // A reader that refuses everything would pass above. Times, versions and unused attributes may
    // take any value, so some mutants are still archives; but few.
    assert!(accepted > inputs / 100 && accepted < inputs / 2, "{accepted} of {inputs} accepted");
}

proptest! {
    // Seeds are printed with a failure; a case worth keeping becomes a test of its own. Fewer cases
    // than by default, since each makes and removes a tree on disk.
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_accepted_or_refused_without_a_trace(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        file_name in proptest::option::of(any::<String>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        check(&bytes, file_name.as_deref(), folder.path());
    }

    #[test]
    fn any_names_stay_inside(
        names in proptest::collection::vec("[a-c./\\\\:\\x00\\n]{0,12}|\\.\\./.{0,5}|.{0,20}", 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let items = names.iter().map(|name| Item::stored(name, b"x"));
        check(&Archive::of(items).bytes(), None, folder.path());
    }

    #[test]
    fn any_contents_come_out_as_they_went_in(
        files in proptest::collection::btree_map(
            "[a-z]{1,3}/[a-z]{1,3}\\.py",
            (proptest::collection::vec(any::<u8>(), 0..5_000), any::<bool>(), any::<bool>()),
            1..10,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let items = files.iter().map(|(name, (contents, deflated, streamed))| {
            let item = if *deflated {
                Item::deflated(name, contents)
            } else {
                Item::stored(name, contents)
            };
            if *streamed { item.streamed(true, false) } else { item }
        });
        let into = folder.path().join("x");
        unpack(&Archive::of(items).bytes(), None, &limits(), &into, Durability::UntilReboot)
            .unwrap();
        for (name, (contents, ..)) in &files {
            prop_assert_eq!(&fs::read(into.join(name)).unwrap(), contents);
        }
    }
}
