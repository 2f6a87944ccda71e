//! What only this store promises: its files, its crashes, a full disk.

mod crash;
mod damage;
mod files;
mod flips;
mod fsync;
mod full;
mod machine;
mod migration;
mod rest;
mod stuck;

use std::sync::Arc;

use super::Sqlite;
use crate::contract::{self, World};

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    World::new(Arc::new(Sqlite::open(folder.path()).unwrap()), folder)
}

contract::tests!(world);
