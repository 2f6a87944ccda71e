//! `cargo xtask tidy`: what the documents promise about the code, held by a program.
//!
//! Each check is a function from the repository's files ([`tree::Tree`]) to findings; each has a
//! test with a small bad example, and all of them run on the real repository as a test of this
//! crate, so that `cargo test` is the whole truth. Checks read text: they parse no Rust and build
//! nothing, which is why they take milliseconds.
//!
//! To add one: write it in the module that it belongs to, with its test, and list it in
//! [`CHECKS`].

mod arrows;
mod files;
mod lock;
mod manifest;
mod pages;
mod policies;
mod promises;
mod rust;
mod tree;
mod unsafety;
mod words;

use std::fmt;

use crate::failure::{Failure, Outcome};
use crate::tools;
use tree::{File, Tree};

/// A place that is not as it should be, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, message: message.into() }
    }

    /// A file that should be there.
    fn missing(path: &str, why: &str) -> Self {
        Self { path: path.to_owned(), line: 0, message: format!("is missing: {why}") }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: &[(&str, Check)] = &[
    ("crates depend as ARCHITECTURE.md says", arrows::crates_depend_as_documented),
    ("pure crates have no async runtime", arrows::pure_crates_have_no_async_runtime),
    ("unsafe code is in one file", unsafety::unsafe_is_in_one_file),
    ("modules open with prose", files::modules_open_with_prose),
    ("file names say something", files::names_say_something),
    ("files are of a readable length", files::lengths_are_readable),
    ("every rule of a seccomp policy has a reason", policies::rules_have_reasons),
    ("the repository speaks of itself only", words::are_ours),
    ("no banned crate is in Cargo.lock", lock::holds_no_banned_crate),
    ("every example is explained and listed", pages::examples_are_listed),
    ("the README's commands are the ones that are tested", pages::readme_has_two_commands),
    ("the guides name files that exist", pages::guides_name_files_that_exist),
    ("every promise names its proof", promises::have_proofs),
];

/// Checks the repository and prints what it finds.
pub(crate) fn run() -> Outcome {
    let tree = Tree::read(&tools::root())?;
    let mut found = 0;
    for (name, check) in CHECKS {
        let findings = check(&tree);
        found += findings.len();
        println!("{} {name}", if findings.is_empty() { "ok    " } else { "FAILED" });
        for finding in findings {
            println!("         {finding}");
        }
    }
    match found {
        0 => Ok(()),
        1 => Err(Failure::new("tidy has one finding; see above")),
        some => Err(Failure::new(format!("tidy has {some} findings; see above"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::read(&tools::root()).unwrap();
        let found: Vec<_> = CHECKS
            .iter()
            .flat_map(|(name, check)| {
                check(&tree).into_iter().map(move |finding| format!("{name}: {finding}"))
            })
            .collect();
        assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    }

    #[test]
    fn a_finding_names_its_place() {
        let tree = Tree::of(&[("a.rs", "x")]);
        let file = tree.file("a.rs").unwrap();
        assert_eq!(Finding::new(file, 3, "is bad").to_string(), "a.rs:3: is bad");
        assert_eq!(Finding::missing("b", "why").to_string(), "b: is missing: why");
    }
}
