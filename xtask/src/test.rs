//! `cargo xtask test`: every test there is, and one honest line at the end.
//!
//! First the Python shim's own tests, then `cargo test` of the whole workspace, this crate's tidy
//! tests included. Output goes by as it comes, and is counted ([`crate::tally`]). The last line is
//! always `N passed, N failed, N skipped`; what was skipped, and why, stands before it.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::failure::{Attempting, Failure, Outcome};
use crate::tally::Tally;
use crate::tools;

const SHIM_TESTS: &str = "runtimes/python/tests";
/// Skipped tests that are told one by one; of more, the rest are only counted.
const REASONS_SHOWN: usize = 40;

pub(crate) fn run(slow: bool) -> Outcome {
    let tally = all(slow)?;
    let verdict = verdict(&tally);
    if let Err(failure) = &verdict {
        println!("{failure}");
    }
    println!("{tally}");
    verdict.map_err(|_printed| Failure::told())
}

pub(crate) fn verdict(tally: &Tally) -> Outcome {
    match tally {
        Tally { failed: 0, passed: 0, .. } => Err(Failure::new("no test ran")),
        Tally { failed: 0, .. } => Ok(()),
        Tally { failed, .. } => Err(Failure::new(format!("{failed} tests failed; see above"))),
    }
}

/// Runs everything, and says what was skipped; the caller prints the summary.
pub(crate) fn all(slow: bool) -> Outcome<Tally> {
    let mut tally = Tally::default();
    if tools::exists("python3") {
        let mut python = tools::command("python3");
        python.args(["-m", "unittest", "discover", "-v", "-s", SHIM_TESTS]);
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        tally.add(listen(&mut python, &mut std::io::stdout())?);
    } else {
        tally.skip("the tests of the Python shim: there is no python3");
    }
    // What a passing test printed is captured; --show-output gives it back, so that a test can
    // say that it skipped itself.
    let mut cargo = tools::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    cargo.args(["--", "--show-output"]);
    if slow {
        cargo.env("SLOW_TESTS", "1");
    }
    if std::io::stdout().is_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    tally.add(listen(&mut cargo, &mut std::io::stdout())?);
    if !slow {
        println!("\nThe slow tests did not run; `cargo xtask test --slow` runs them.");
    }
    tell_skipped(&tally);
    Ok(tally)
}

/// Runs it, passes its output on line by line, and counts. A program that fails without naming a
/// failed test (it did not build, or died) counts as one.
fn listen(command: &mut Command, out: &mut impl Write) -> Outcome<Tally> {
    let line = tools::words(command);
    let attempt = || format!("run `{line}`");
    writeln!(out, "$ {line}").attempting(attempt)?;
    let (reader, writer) = std::io::pipe().attempting(attempt)?;
    // One pipe for both, so that lines stay in the order in which they were written.
    command.stdout(writer.try_clone().attempting(attempt)?).stderr(writer);
    let mut child = command.spawn().attempting(attempt)?;
    // The command holds the pipe's writing ends, and so would keep us from seeing its end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut tally = Tally::default();
    let mut successes = Successes::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.attempting(attempt)?;
        let line = String::from_utf8_lossy(&line);
        tally.hear(&line);
        if successes.show(&line) {
            writeln!(out, "{line}").attempting(attempt)?;
        }
    }
    let status = child.wait().attempting(attempt)?;
    if !status.success() && tally.failed == 0 {
        writeln!(out, "`{line}` ended with {status}, and no test says that it failed")
            .attempting(attempt)?;
        tally.failed = 1;
    }
    Ok(tally)
}

fn tell_skipped(tally: &Tally) {
    if tally.skipped == 0 {
        return;
    }
    println!("\nSkipped:");
    for reason in tally.reasons.iter().take(REASONS_SHOWN) {
        println!("  {reason}");
    }
    let shown = tally.reasons.len().min(REASONS_SHOWN);
    if tally.skipped > shown {
        println!("  and {} more; their output above says why", tally.skipped - shown);
    }
    println!();
}

/// Leaves out the names of all tests that passed, which `--show-output` prints a second time.
#[derive(Default)]
struct Successes {
    within: bool,
}

impl Successes {
    fn show(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.within = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.within = false;
        }
        let name = line.strip_prefix("    ").is_some_and(|rest| !rest.trim().contains(' '));
        !self.within || !(line == "successes:" || line.is_empty() || name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_passed_tests_are_printed_once() {
        let output = "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\nskipped: a: no root\n\n\n\
                      successes:\n    a\n    b::c\n\ntest result: ok. 2 passed; 0 failed\n\nrunning";
        let mut successes = Successes::default();
        let shown: Vec<_> = output.lines().filter(|line| successes.show(line)).collect();
        let expected = [
            "test a ... ok",
            "",
            "---- a stdout ----",
            "skipped: a: no root",
            "test result: ok. 2 passed; 0 failed",
            "",
            "running",
        ];
        assert_eq!(shown, expected);
    }

    /// Not on our own output: whoever counts this test's lines would count these, too.
    fn heard(script: &str) -> Tally {
        listen(tools::command("sh").args(["-c", script]), &mut std::io::sink()).unwrap()
    }

    #[test]
    fn a_program_that_dies_counts_as_a_failure() {
        let tally = heard("echo hello; exit 1");
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn both_outputs_are_counted() {
        let tally = heard(
            "echo 'skipped: x: y' >&2; echo 'test result: ok. 2 passed; 0 failed; 0 ignored'",
        );
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn nothing_that_ran_is_no_success() {
        assert!(verdict(&Tally::default()).is_err());
    }
}
