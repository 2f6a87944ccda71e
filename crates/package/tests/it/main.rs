//! The package reader from outside: hostile archives, ordinary ones, and random ones.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as a test may")]

mod benign;
mod hostile;
mod mutated;
mod raw_zip;
mod tree;
mod unpacking;
