//! What unpacking does to the disk around it.

use std::fs;
use std::sync::Barrier;

use package::{Durability, Limits, UnpackError, remove_abandoned, unpack};

use crate::raw_zip::{Item, archive};
use crate::tree;

fn sample() -> Vec<u8> {
    archive((0..200).map(|n| Item::stored(format!("d{}/{n}.py", n % 7), b"code")))
}

#[test]
fn an_existing_destination_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("x");
    fs::create_dir(&into).unwrap();
    let outcome = unpack(&sample(), None, &Limits::default(), &into, Durability::UntilReboot);
    assert!(matches!(outcome, Err(UnpackError::Exists { .. })), "{outcome:?}");
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0);

    // Nor is a link followed, even one that leads nowhere.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    let outcome = unpack(&sample(), None, &Limits::default(), &link, Durability::UntilReboot);
    assert!(matches!(outcome, Err(UnpackError::Exists { .. })), "{outcome:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_destination_without_a_parent_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for into in [folder.path().join("no/x"), folder.path().join("..")] {
        unpack(&sample(), None, &Limits::default(), &into, Durability::UntilReboot).unwrap_err();
    }
    let outcome = unpack(
        &sample(),
        None,
        &Limits::default(),
        &folder.path().join("no/x"),
        Durability::OnDisk,
    );
    assert!(matches!(outcome, Err(UnpackError::NoDestination { .. })), "{outcome:?}");
}

#[test]
fn of_many_unpackers_one_wins_and_the_others_learn_that_it_exists() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("x");
    let bytes = sample();
    let unpackers = 4;
    let together = Barrier::new(unpackers);
    let won = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..unpackers)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    unpack(&bytes, None, &Limits::default(), &into, Durability::UntilReboot)
                })
            })
            .collect();
        attempts
            .into_iter()
            .map(|attempt| attempt.join().unwrap())
            .inspect(|outcome| {
                assert!(matches!(outcome, Ok(_) | Err(UnpackError::Exists { .. })), "{outcome:?}");
            })
            .filter(Result::is_ok)
            .count()
    });
    assert_eq!(won, 1);
    assert_eq!(tree::read(&into).len(), 207);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no staging folder is left");
}

#[test]
fn a_failure_in_the_last_entry_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut items: Vec<Item> =
        (0..100).map(|n| Item::stored(format!("a/b{n}/c.py"), b"code")).collect();
    items.push(Item::deflated("last.py", b"last").both(|header| header.crc ^= 1));
    let into = folder.path().join("x");
    let outcome = unpack(&archive(items), None, &Limits::default(), &into, Durability::UntilReboot);
    assert!(
        matches!(&outcome, Err(UnpackError::Refused(r)) if r.code() == "package.crc"),
        "{outcome:?}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_unpacker_left_is_swept_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".unpacking-1-0/deep/er")).unwrap();
    fs::write(folder.path().join(".unpacking-1-0/deep/file"), "x").unwrap();
    fs::create_dir(folder.path().join(".unpacking-2-7")).unwrap();
    fs::create_dir(folder.path().join("kept")).unwrap();
    fs::write(folder.path().join(".unpacking-file"), "kept").unwrap();
    assert_eq!(remove_abandoned(folder.path()).unwrap(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn packages_that_must_survive_a_power_failure_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("x");
    unpack(&sample(), None, &Limits::default(), &into, Durability::OnDisk).unwrap();
    assert_eq!(tree::read(&into).len(), 207);
}

#[test]
fn the_deepest_and_longest_paths_allowed_can_be_unpacked_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let component = limits.path_bytes / 16 - 1;
    let long = format!("{}/", "x".repeat(component)).repeat(15) + &"y".repeat(component);
    let deep = "d/".repeat(limits.depth - 1) + "handler.py";
    let bytes = archive([Item::stored(long, b"long"), Item::stored(deep, b"deep")]);
    let into = folder.path().join("x");
    unpack(&bytes, None, &limits, &into, Durability::UntilReboot).unwrap();
    package::remove_tree(&into).unwrap();
    assert!(!into.exists());
}
