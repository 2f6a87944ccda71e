//! `cargo xtask bench`: the benchmarks, with what a number needs to mean anything: which machine,
//! which kernel, which compiler, which commit.
//!
//! A benchmark is a program of its own in `crates/*/benches`, built for release. Words that name
//! such programs select them; all other words are handed to those that run, as filters.

use std::path::Path;

use crate::failure::{Attempting, Failure, Outcome};
use crate::tools;

pub(crate) fn run(words: &[&str]) -> Outcome {
    let all = programs(&tools::root())?;
    let (chosen, filters) = choose(&all, words);
    if chosen.is_empty() {
        return Err(Failure::new("there is no benchmark in crates/*/benches"));
    }
    println!("{}", machine());
    let mut cargo = tools::cargo(&["bench", "--workspace", "--locked"]);
    for name in &chosen {
        cargo.args(["--bench", name]);
    }
    cargo.arg("--").args(filters);
    tools::succeed(&mut cargo)
}

/// The benchmark programs to run, and what to hand them.
fn choose<'a>(all: &'a [String], words: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (named, filters): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| all.iter().any(|name| name == *word));
    match named.is_empty() {
        true => (all.iter().map(String::as_str).collect(), filters),
        false => (named, filters),
    }
}

/// Names of the files (or folders with a `main.rs`) in the crates' `benches`, sorted.
pub(crate) fn programs(root: &Path) -> Outcome<Vec<String>> {
    let crates = root.join("crates");
    let listed = std::fs::read_dir(&crates);
    let listed = listed.attempting(|| format!("read the folder {}", crates.display()))?;
    let folders = listed.filter_map(|entry| Some(entry.ok()?.path().join("benches")));
    let mut names: Vec<String> = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|benches| benches.filter_map(|entry| program(&entry.ok()?.path())))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn program(path: &Path) -> Option<String> {
    let is_program = path.extension().is_some_and(|it| it == "rs") || path.join("main.rs").exists();
    let name = path.file_stem()?.to_str()?;
    is_program.then(|| name.to_owned())
}

/// What a reader needs to compare a number with another.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_else(|| "?".to_owned());
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "?".to_owned());
    let rust = tools::answer(tools::command("rustc").arg("--version"));
    let commit = tools::answer(tools::command("git").args(["rev-parse", "--short=12", "HEAD"]));
    let changed = tools::answer(tools::command("git").args(["status", "--porcelain"]));
    let dirty = changed.is_some_and(|changes| !changes.is_empty());
    format!(
        "machine  {processor}, {cores} cores for us, {memory} memory\n\
         kernel   {}\n\
         rust     {}\n\
         commit   {}{}\n",
        read("/proc/sys/kernel/osrelease").trim(),
        rust.as_deref().unwrap_or("?"),
        commit.as_deref().unwrap_or("none"),
        if dirty { ", with changes that are not committed" } else { "" },
    )
}

/// A value of one of /proc's `name : value` files.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_worker_sandbox_and_ledger_are_measured() {
        let found = programs(&tools::root()).unwrap();
        for name in ["ledger", "sandbox", "service", "worker"] {
            assert!(found.iter().any(|it| it == name), "{name} is not among {found:?}");
        }
    }

    #[test]
    fn words_select_programs_or_filter_within_them() {
        let all = ["ledger".to_owned(), "warm".to_owned()];
        assert_eq!(choose(&all, &[]), (vec!["ledger", "warm"], vec![]));
        assert_eq!(choose(&all, &["warm"]), (vec!["warm"], vec![]));
        assert_eq!(choose(&all, &["append", "ledger"]), (vec!["ledger"], vec!["append"]));
        assert_eq!(choose(&all, &["append"]), (vec!["ledger", "warm"], vec!["append"]));
    }

    #[test]
    fn a_value_of_proc_is_found_by_its_name() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n";
        assert_eq!(field(text, "model name"), Some("A: B".to_owned()));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn the_machine_is_told_in_four_lines() {
        assert_eq!(machine().lines().count(), 4);
    }
}
