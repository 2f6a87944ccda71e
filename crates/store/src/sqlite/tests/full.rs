//! A full disk: a file system of 16 MiB, filled and emptied again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::super::Sqlite;
use crate::blobs::Blobs;
use crate::contract::World;
use crate::contract::world::page;
use crate::{Error, EventFilter};

/// A small file system; none where the test may not mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: mounting a tmpfs needs root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn large(w: &World, sender_id: &str) -> crate::NewEvent {
    let mut event = w.event(sender_id, &[]);
    event.event.record = "x".repeat(200_000).into();
    event
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_goes_on_when_space_returns() {
    let Some(disk) = Tmpfs::mount() else { return };
    let store = Arc::new(Sqlite::open(disk.path()).unwrap());
    let w = World::new(store, ());
    let function = w.deploy("f").await;
    let mut stored = vec![w.send("first", &function).await];
    // Something else takes most of the room, and will give it back.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let mut accepted = Vec::new();
    for n in 0.. {
        assert!(n < 1_000, "the disk never filled");
        let event = large(&w, &n.to_string());
        let id = event.id;
        match w.store.append(vec![event]).await {
            Ok(_) => accepted.push(id),
            Err(Error::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!accepted.is_empty());
    for n in 0..20 {
        let refused = w.store.append(vec![large(&w, &format!("no{n}"))]).await;
        assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    }
    for id in &accepted {
        assert!(w.store.event(&w.project, *id).await.unwrap().is_some());
    }
    let blobs = Blobs::open(disk.path());
    let put = blobs.and_then(|blobs| blobs.put(&vec![1; 16 << 20]));
    assert!(matches!(put, Err(Error::Full { .. })), "{put:?}");
    fs::remove_file(&ballast).unwrap();
    w.store.append(vec![large(&w, "after")]).await.unwrap();
    stored.push(w.send("last", &function).await);
    let listed = w.store.events(&w.project, EventFilter::default(), page(1_000)).await.unwrap();
    assert!(listed.items.iter().any(|event| event.event.id == "first"));
    for id in stored {
        w.detail(id).await;
    }
    // What was refused is not there, so that its sender can send it again.
    let again = w.store.append(vec![w.event("no0", &[])]).await.unwrap();
    assert!(!again[0].duplicate);
}
