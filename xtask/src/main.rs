//! The project's automation: `cargo xtask TASK`.
//!
//! One program with the standard library alone, so that a fresh machine needs cargo and nothing
//! else, and so that it builds before anything else does. Each task is a module: [`demo`] shows
//! the main job, [`test`] runs every test and counts, [`bench`] measures, [`fuzz`] looks for inputs
//! that break a promise, [`tidy`] holds the repository to what its documents say, [`docs`] writes the
//! generated pages, [`ci`] is all that must pass, in the order in which a mistake is found cheapest.
//!
//! What it does not do: it installs nothing (`.ci/run` does, on a bare machine) and it publishes
//! nothing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal: what it prints is its work"
)]

mod bench;
mod ci;
mod demo;
mod docs;
mod failure;
mod fuzz;
mod http;
mod json;
mod tally;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use failure::{Failure, Outcome};

const USAGE: &str = "\
usage: cargo xtask TASK

  demo              build lambent, start it, deploy a function, call it, send it an event
  test [--slow]     every test of the workspace; --slow adds the long ones
  bench [NAME…]     the benchmarks, or those named; other words filter within them
  fuzz [TARGET] [SECONDS]
                    the fuzz targets, or one of them, each for 60 s or as long as you say
  tidy              what the documents promise about the code
  docs [--check]    write the generated pages of docs/reference, or see whether they are fresh
  ci                everything that must pass before a commit";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("xtask: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => demo::run(),
        ["test"] => test::run(false),
        ["test", "--slow"] => test::run(true),
        ["bench", names @ ..] => bench::run(names),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["tidy"] => tidy::run(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["ci"] => ci::run(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::new(format!("there is no task {:?}\n\n{USAGE}", other.join(" ")))),
    }
}
