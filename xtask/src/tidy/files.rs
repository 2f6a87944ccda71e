//! Files as a reader meets them: what they are called, how they open, how long they are.

use super::Finding;
use super::tree::{File, Tree};

/// Names that say nothing about what is within, so that anything gets in.
const NAMES: [&str; 9] =
    ["utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff", "manager"];
/// A good file has 100 to 300 lines; beyond this a reader does not find the way.
const SOURCE_LINES: usize = 500;
/// Tables of cases and policies are read one entry at a time.
const DATA_LINES: usize = 800;

const SOURCES: [&str; 6] = ["rs", "py", "sql", "sh", "js", "toml"];

pub(crate) fn modules_open_with_prose(tree: &Tree) -> Vec<Finding> {
    let in_src = |file: &&File| file.path.contains("/src/") && file.is("rs");
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(in_src) {
        if !file.text.starts_with("//! ") {
            let message = "a module opens with `//!`: what it is, and what it does not do";
            findings.push(Finding::new(file, 1, message));
        }
    }
    findings
}

pub(crate) fn names_say_something(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is("rs") || file.is("py")) {
        let mut parts = file.path.split(['/', '.']);
        if let Some(part) = parts.find(|part| NAMES.contains(part)) {
            let message = format!("{part:?} says nothing: name the file by what it does");
            findings.push(Finding::new(file, 0, message));
        }
    }
    findings
}

pub(crate) fn lengths_are_readable(tree: &Tree) -> Vec<Finding> {
    let is_source = |file: &&File| SOURCES.iter().any(|extension| file.is(extension));
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(is_source) {
        let is_data = file.is("toml")
            || file.is("sql")
            || file.path.contains("/tests/")
            || file.name() == "tests.rs";
        let most = if is_data { DATA_LINES } else { SOURCE_LINES };
        let lines = file.text.lines().count();
        if lines > most {
            let message = format!("{lines} lines, at most {most}: split it where a name helps");
            findings.push(Finding::new(file, 0, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(check: fn(&Tree) -> Vec<Finding>, path: &str, text: &str, found: usize) {
        let findings = check(&Tree::of(&[(path, text)]));
        assert_eq!(findings.len(), found, "{path}: {findings:?}");
    }

    #[test]
    fn a_module_without_prose_is_found() {
        check(modules_open_with_prose, "crates/a/src/b.rs", "use x;\n//! Late.\n", 1);
        check(modules_open_with_prose, "crates/a/src/b.rs", "", 1);
        check(modules_open_with_prose, "crates/a/src/lib.rs", "//! What it is.\n", 0);
        check(modules_open_with_prose, "crates/a/build.rs", "fn main() {}\n", 0);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        check(names_say_something, "crates/a/src/utils.rs", "", 1);
        check(names_say_something, "crates/a/src/common/mod.rs", "", 1);
        check(names_say_something, "crates/a/src/route.rs", "", 0);
        check(names_say_something, "docs/common.md", "", 0);
    }

    #[test]
    fn a_long_file_is_found() {
        check(lengths_are_readable, "crates/a/src/b.rs", &"x\n".repeat(501), 1);
        check(lengths_are_readable, "crates/a/src/b.rs", &"x\n".repeat(500), 0);
        check(lengths_are_readable, "crates/a/tests/it/b.rs", &"x\n".repeat(800), 0);
        check(lengths_are_readable, "crates/a/src/b/tests.rs", &"x\n".repeat(801), 1);
        check(lengths_are_readable, "docs/b.md", &"x\n".repeat(2_000), 0);
    }
}
