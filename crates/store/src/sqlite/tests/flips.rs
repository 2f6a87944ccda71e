//! Flipped bits: what a disk's silent mistake in the database does to whoever reads it.
//!
//! SQLite notices when the structure of a page makes no sense, and then the operation is refused. It
//! keeps no checksum, so a bit that flipped within a value is read as it is, and this test does not
//! say otherwise. It says that such a file causes no panic and no memory fault: each operation
//! answers or is refused, or the writer finds a commit impossible and ends the process on purpose.
//!
//! Since it may, the files are read by a child, which is this very test binary.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

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

/// A database with everything in it that was written, and nothing in its log.
async fn written(chance: &mut Chance) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let w = World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), ());
    let function = w.deploy("f").await;
    for n in 0..EVENTS {
        let words = 16 + chance.below(48);
        let data: String = (0..words).map(|_| format!("{:016x}", chance.next())).collect();
        let mut event = w.event(&n.to_string(), &[&function]);
        event.event.record = format!(r#"{{"id":"{n}","data":"{data}"}}"#).into();
        w.store.append(vec![event]).await.unwrap();
    }
    // Closed, so copied back from the log.
    drop(w);
    fs::read(folder.path().join("lambent.db")).unwrap()
}

/// Reads all events and invocations, and claims what waits; tells how many it was given.
///
/// A list whose keys the flip has put out of order may go round in circles, so it is left when it has
/// told more than there is.
async fn read_all(folder: &Path) -> Result<usize> {
    let w = World::new(Arc::new(Sqlite::open(folder)?), ());
    // Each reads on, whatever became of the others.
    let outcomes = [events(&w).await, invocations(&w).await, claims(&w).await];
    outcomes.into_iter().sum()
}

async fn events(w: &World) -> Result<usize> {
    let (mut count, mut next) = (0, page(40));
    loop {
        let listed = w.store.events(&w.project, EventFilter::default(), next).await?;
        count += listed.items.len();
        let Some(cursor) = listed.next.filter(|_| count <= EVENTS) else { return Ok(count) };
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
        let Some(cursor) = listed.next.filter(|_| count <= EVENTS) else { return Ok(count) };
        next = Page { limit: 40, cursor: Some(cursor) };
    }
}

async fn claims(w: &World) -> Result<usize> {
    let mut count = 0;
    for waiting in w.store.waiting().await? {
        let (function, worker, now) = (waiting.function, w.worker, w.now().plus(seconds(60)));
        let until = now.plus(seconds(30));
        let claim = Claim { function, limit: EVENTS, worker, now, until, accepted_before: None };
        count += w.store.claim(claim).await?.len();
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
    let mut database = written(&mut chance).await;
    // The control: what was not flipped is read in full.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lambent.db"), &database).unwrap();
    assert_eq!(read_all(folder.path()).await.unwrap(), 3 * EVENTS);
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
        match read_all(folder.path()).await {
            Ok(_) => println!("read"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

#[test]
fn a_flipped_bit_in_the_database_is_read_or_refused_or_ends_the_process_and_never_panics() {
    use std::os::unix::process::ExitStatusExt;

    let name = module_path!().split_once("::").unwrap().1;
    let (mut first, mut read, mut refused, mut ended) = (0, 0, 0, 0);
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
        read += starting("read");
        refused += starting("refused: ");
        ended += usize::from(!child.status.success());
    }
    assert_eq!((first, read + refused + ended), (FLIPS, FLIPS));
    println!("seed {SEED}: {read} were read, {refused} refused, {ended} ended the process");
    assert!(refused > 0, "no flip hit what is read");
}
