//! Flipped bits: what a disk's silent mistake in the database does to whoever reads it.
//!
//! Whatever flipped, no event is delivered or told of that is not what was stored, since each has a
//! checksum; and nothing panics or makes a memory fault: each operation answers, leaving out what is
//! damaged, or is refused, or the writer finds a commit impossible and ends the process on purpose.
//! What else a row says of an invocation has no checksum, and this test does not say otherwise.
//!
//! Since it may, the files are read by a child, which is this very test binary.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use model::EventId;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::super::Sqlite;
use crate::contract::World;
use crate::contract::world::{page, seconds};
use crate::{Claim, EventFilter, Filter, Page, Result};

/// The number of the first flip that the child tries; set only for a child.
const FIRST: &str = "LAMBENT_TEST_FLIPS_FIRST";

/// SIGABRT, with which the writer ends the process.
const ABORT: i32 = 6;

/// Chance begins with it, so a failure repeats.
const SEED: u64 = 7;
const FLIPS: usize = 200;
const EVENTS: usize = 100;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// What was stored of each event: its sender's id and its record.
type Records = HashMap<EventId, (String, String)>;

/// A database with everything in it that was written, and nothing in its log.
async fn written(chance: &mut Chance) -> (Vec<u8>, Records) {
    let folder = tempfile::tempdir().unwrap();
    let w = World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), ());
    let function = w.deploy("f").await;
    let mut records = Records::new();
    for n in 0..EVENTS {
        let words = 16 + chance.below(48);
        let data: String = (0..words).map(|_| format!("{:016x}", chance.next())).collect();
        let mut event = w.event(&n.to_string(), &[&function]);
        let record = format!(r#"{{"id":"{n}","data":"{data}"}}"#);
        event.event.record = record.as_str().into();
        records.insert(event.id, (n.to_string(), record));
        w.store.append(vec![event]).await.unwrap();
    }
    // Closed, so copied back from the log.
    drop(w);
    (fs::read(folder.path().join("lambent.db")).unwrap(), records)
}

/// What came of one file.
#[derive(Debug, Default)]
struct Told {
    /// Events and invocations of lists and claims.
    items: usize,
    /// Rows that were left out.
    damaged: u64,
    dead: u64,
}

/// Reads all events and invocations, and claims what waits. Panics if it is given an event that is not
/// what was stored.
async fn read_all(folder: &Path, records: &Records) -> Result<Told> {
    let w = World::new(Arc::new(Sqlite::open(folder)?), ());
    // Each reads on, whatever became of the others.
    let outcomes = [events(&w, records).await, invocations(&w).await, claims(&w, records).await];
    let counts = w.store.counts().await;
    let items = outcomes.into_iter().sum::<Result<usize>>()?;
    let counts = counts?;
    Ok(Told { items, damaged: counts.damaged_rows, dead: counts.dead })
}

async fn events(w: &World, records: &Records) -> Result<usize> {
    let (mut count, mut next) = (0, page(40));
    loop {
        let listed = w.store.events(&w.project, EventFilter::default(), next).await?;
        for stored in &listed.items {
            let (id, record) = &records[&stored.id];
            assert_eq!((&*stored.event.id, &*stored.event.record), (&**id, &**record));
        }
        count += listed.items.len();
        assert!(count <= EVENTS, "the list goes round in circles");
        let Some(cursor) = listed.next else { return Ok(count) };
        next = Page { limit: 40, cursor: Some(cursor) };
    }
}

async fn invocations(w: &World) -> Result<usize> {
    let (mut count, mut next) = (0, page(40));
    loop {
        let listed = w.store.invocations(&w.project, Filter::default(), next).await?;
        for invocation in &listed.items {
            w.store.invocation(&w.project, invocation.id).await?;
        }
        count += listed.items.len();
        assert!(count <= EVENTS, "the list goes round in circles");
        let Some(cursor) = listed.next else { return Ok(count) };
        next = Page { limit: 40, cursor: Some(cursor) };
    }
}

async fn claims(w: &World, records: &Records) -> Result<usize> {
    let mut count = 0;
    for waiting in w.store.waiting().await? {
        let (function, worker, now) = (waiting.function, w.worker, w.now().plus(seconds(60)));
        let until = now.plus(seconds(30));
        // By the handful, so that one that is passed over stands before others.
        loop {
            let claim = Claim {
                function,
                lane: None,
                limit: 3,
                worker,
                now,
                due_by: now,
                until,
                accepted_before: None,
            };
            let claimed = w.store.claim(claim).await?;
            for one in &claimed {
                assert_eq!(&*one.payload, records[&one.event].1.as_bytes());
            }
            count += claimed.len();
            assert!(count <= EVENTS, "one was claimed twice");
            if claimed.is_empty() {
                break;
            }
        }
    }
    Ok(count)
}

#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_that_reads_flipped_bits() {
    let Some(first) = std::env::var_os(FIRST) else { return };
    let first: usize = first.to_str().unwrap().parse().unwrap();
    // It may abort, and nobody wants the core of it.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    let mut chance = Chance(SEED);
    let (mut database, records) = written(&mut chance).await;
    // The control: what was not flipped is read in full.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lambent.db"), &database).unwrap();
    let whole = read_all(folder.path(), &records).await.unwrap();
    assert_eq!((whole.items, whole.damaged, whole.dead), (3 * EVENTS, 0, 0));
    for number in 0..FLIPS {
        let (at, mask) = (chance.below(database.len()), 1 << chance.below(8));
        if number < first {
            continue;
        }
        println!("\nflip {number}: byte {at} of {}, mask {mask:#04x}", database.len());
        let folder = tempfile::tempdir().unwrap();
        database[at] ^= mask;
        fs::write(folder.path().join("lambent.db"), &database).unwrap();
        database[at] ^= mask;
        match read_all(folder.path(), &records).await {
            Ok(told) if told.damaged == 0 => println!("read: {told:?}"),
            Ok(told) => println!("noticed: {told:?}"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

#[test]
fn a_flipped_bit_in_the_database_never_changes_what_is_delivered_and_never_panics() {
    use std::os::unix::process::ExitStatusExt;

    let name = module_path!().split_once("::").unwrap().1;
    let (mut first, mut read, mut noticed, mut refused, mut ended) = (0, 0, 0, 0, 0);
    while first < FLIPS {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{name}::child_that_reads_flipped_bits")])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(FIRST, first.to_string())
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        let errors = String::from_utf8_lossy(&child.stderr);
        let said = format!("seed {SEED}, {}:\n{output}\n{errors}", child.status);
        let in_order = child.status.success() || child.status.signal() == Some(ABORT);
        assert!(in_order && !said.contains("panicked"), "{said}");
        let starting = |with: &str| output.lines().filter(|line| line.starts_with(with)).count();
        assert!(starting("flip ") > 0, "{said}");
        first += starting("flip ");
        read += starting("read: ");
        noticed += starting("noticed: ");
        refused += starting("refused: ");
        ended += usize::from(!child.status.success());
    }
    assert_eq!((first, read + noticed + refused + ended), (FLIPS, FLIPS));
    println!(
        "seed {SEED}: {read} hit nothing that was looked at, {noticed} were noticed and left out, \
         {refused} refused, {ended} ended the process"
    );
    assert!(noticed > FLIPS / 8, "a third of the file is events");
}
