//! `cargo xtask ci`: everything that must pass before a commit, cheapest first.
//!
//! Every step runs, whatever became of the ones before it: one run tells all there is to mend. A
//! step that needs a tool which is not here is skipped, aloud. At the end stand a table of the
//! steps with their times, and the tests' summary line as the very last.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::tally::Tally;
use crate::{test, tidy, tools};

/// Names a program that holds Cargo.lock against known advisories, without a network.
const ADVISORIES: &str = "LAMBENT_ADVISORIES";
/// Where that program is looked for otherwise, from the root.
const ADVISORIES_USUAL: &str = "../shared/advisories/check.py";

enum End {
    Passed,
    Skipped(String),
    Failed(String),
}

struct Row {
    name: &'static str,
    end: End,
    took: Duration,
}

pub(crate) fn run() -> Outcome {
    let mut tally = Tally::default();
    let rows = [
        step("format", || {
            tools::succeed(&mut tools::cargo(&["fmt", "--all", "--check"])).map(passed)
        }),
        step("clippy", || {
            let mut clippy = tools::cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
            tools::succeed(clippy.args(["--", "-D", "warnings"])).map(passed)
        }),
        step("tidy", || tidy::run().map(passed)),
        step("test", || {
            tally = test::all(false)?;
            test::verdict(&tally).map(passed)
        }),
        step("advisories", advisories),
        step("licences", licences),
    ];
    println!("\n{}\n", table(&rows));
    let failed = rows.iter().filter(|row| matches!(row.end, End::Failed(_))).count();
    if failed > 0 {
        println!("{failed} of {} steps failed", rows.len());
    }
    println!("{tally}");
    if failed == 0 { Ok(()) } else { Err(Failure::told()) }
}

fn step(name: &'static str, run: impl FnOnce() -> Outcome<End>) -> Row {
    println!("\n== {name}");
    let began = Instant::now();
    let end = run().unwrap_or_else(|failure| End::Failed(failure.to_string()));
    match &end {
        End::Passed => {}
        End::Skipped(why) => println!("skipped: {name}: {why}"),
        End::Failed(why) => println!("failed: {name}: {why}"),
    }
    Row { name, end, took: began.elapsed() }
}

fn passed((): ()) -> End {
    End::Passed
}

fn advisories() -> Outcome<End> {
    let named = std::env::var_os(ADVISORIES).map(PathBuf::from);
    let checker = named.clone().unwrap_or_else(|| tools::root().join(ADVISORIES_USUAL));
    if !checker.exists() {
        if let Some(named) = named {
            let why = format!("{ADVISORIES} names {}, which does not exist", named.display());
            return Err(Failure::new(why));
        }
        return Ok(End::Skipped(format!("no offline advisory check ({ADVISORIES} can name one)")));
    }
    if !tools::exists("python3") {
        return Ok(End::Skipped("the offline advisory check needs python3".to_owned()));
    }
    tools::succeed(tools::command("python3").arg(checker).arg("Cargo.lock")).map(passed)
}

fn licences() -> Outcome<End> {
    if tools::answer(&mut tools::cargo(&["deny", "--version"])).is_none() {
        return Ok(End::Skipped("cargo-deny is not installed".to_owned()));
    }
    // Advisories come from the step before: cargo-deny would fetch its own list.
    let mut deny = tools::cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]);
    tools::succeed(&mut deny).map(passed)
}

fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|Row { name, end, took }| {
        let seconds = took.as_secs_f64();
        match end {
            End::Passed => format!("{name:11} {seconds:7.1} s  passed"),
            End::Skipped(why) => format!("{name:11} {seconds:7.1} s  skipped: {why}"),
            End::Failed(why) => format!("{name:11} {seconds:7.1} s  FAILED: {why}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_step() {
        let took = Duration::from_millis(1_500);
        let rows = [
            Row { name: "format", end: End::Passed, took },
            Row { name: "licences", end: End::Skipped("no tool".to_owned()), took },
            step("tidy", || Err(Failure::new("3 findings"))),
        ];
        let table = table(&rows);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "format          1.5 s  passed");
        assert_eq!(lines[1], "licences        1.5 s  skipped: no tool");
        assert!(lines[2].ends_with("FAILED: 3 findings"), "{table}");
    }
}
