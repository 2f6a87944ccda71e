//! Counts tests while their output goes by.
//!
//! Three dialects: the lines of Rust's own test runner (and of our test programs with a `main` of
//! their own, which speak it too), those of Python's unittest, and `skipped: NAME: why`, by which
//! a test says that it could not run here. Such a test has returned early and its runner counts it
//! as passed; here it counts as skipped, since nothing was tested.

use std::fmt;

/// How many, and which were not run.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// What was skipped, with the reason, as it was said.
    pub(crate) reasons: Vec<String>,
    /// unittest says how many it ran, and on a later line how many of those did not pass.
    ran: usize,
    /// Tests of the program being heard that said `skipped:` and will be counted as passed.
    early: usize,
}

/// The summary line that other programs look for; its form is a contract.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// Takes one line of a test program's output.
    pub(crate) fn hear(&mut self, line: &str) {
        let line = line.trim();
        if let Some(result) = line.strip_prefix("test result: ") {
            let passed = number_before(result, " passed");
            let early = std::mem::take(&mut self.early).min(passed);
            self.passed += passed - early;
            self.skipped += early;
            self.failed += number_before(result, " failed");
            self.skipped += number_before(result, " ignored");
        } else if let Some(what) = line.strip_prefix("skipped: ") {
            self.reasons.push(what.to_owned());
            self.early += 1;
        } else if let Some((name, reason)) = ignored(line).or_else(|| unittest_skip(line)) {
            self.reasons.push(format!("{name}: {reason}"));
        } else if let Some(ran) = line.strip_prefix("Ran ") {
            self.ran = ran.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
        } else if let Some(rest) = verdict(line) {
            self.unittest(rest);
        }
    }

    /// Something could not be run at all.
    pub(crate) fn skip(&mut self, what: &str) {
        self.skipped += 1;
        self.reasons.push(what.to_owned());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
    }

    fn unittest(&mut self, rest: &str) {
        let failed = number_after(rest, "failures=")
            + number_after(rest, "errors=")
            + number_after(rest, "unexpected successes=");
        let skipped = number_after(rest, "skipped=");
        self.failed += failed;
        self.skipped += skipped;
        self.passed += self.ran.saturating_sub(failed + skipped);
        self.ran = 0;
    }
}

/// `test NAME ... ignored, REASON`, as Rust's runner says it.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, rest.trim_start_matches([',', ' '])))
}

/// `test_name (module.Class) ... skipped 'REASON'`, as unittest says it.
fn unittest_skip(line: &str) -> Option<(&str, &str)> {
    let (name, reason) = line.split_once(" ... skipped ")?;
    Some((name.split(' ').next().unwrap_or(name), reason.trim_matches(['\'', '"'])))
}

/// What follows `OK` or `FAILED` when unittest sums up.
fn verdict(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("OK").or_else(|| line.strip_prefix("FAILED"))?;
    let rest = rest.trim();
    (rest.is_empty() || rest.starts_with('(')).then_some(rest)
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split_once(word).map(|(before, _)| before).unwrap_or_default();
    before.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn number_after(text: &str, word: &str) -> usize {
    let after = text.split_once(word).map(|(_, after)| after).unwrap_or_default();
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, summary: &str, reasons: &[&str]) {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.hear(line));
        assert_eq!(tally.to_string(), summary);
        assert_eq!(tally.reasons, reasons);
    }

    #[test]
    fn results_of_several_programs_add_up() {
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test a::b ... ok\n\
             test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out",
            "15 passed, 2 failed, 1 skipped",
            &[],
        );
    }

    #[test]
    fn an_ignored_test_tells_its_reason_and_counts_once() {
        check(
            "test a_thing ... ignored, since this process is not root\n\
             test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "0 passed, 0 failed, 1 skipped",
            &["a_thing: since this process is not root"],
        );
    }

    #[test]
    fn a_test_that_returned_early_counts_as_skipped() {
        check(
            "skipped: crash_anywhere: slow; set SLOW_TESTS=1\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "1 passed, 0 failed, 1 skipped",
            &["crash_anywhere: slow; set SLOW_TESTS=1"],
        );
    }

    #[test]
    fn unittest_is_understood() {
        check(
            "test_x (t.T.test_x) ... skipped 'no wheel here'\nRan 91 tests in 22.7s\n\nOK (skipped=1)",
            "90 passed, 0 failed, 1 skipped",
            &["test_x: no wheel here"],
        );
        let failed = "Ran 10 tests in 1s\n\nFAILED (failures=2, errors=1)";
        check(failed, "7 passed, 3 failed, 0 skipped", &[]);
        check("Ran 3 tests in 1s\n\nOK", "3 passed, 0 failed, 0 skipped", &[]);
    }

    #[test]
    fn other_lines_change_nothing() {
        check("OKAY\nRan away\nnothing skipped: here", "0 passed, 0 failed, 0 skipped", &[]);
    }
}
