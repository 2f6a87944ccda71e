//! Which crate may know which: the table in ARCHITECTURE.md, held against the manifests.
//!
//! The table is a fenced block whose lines read `control -> model wire store`, with nothing
//! after the arrow for a crate that knows no other. A crate may know fewer than its line says, never more.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{Finding, manifest};

const PAGE: &str = "ARCHITECTURE.md";
/// Crates that decide or contain: no task, timer or thread of an async runtime.
const PURE: [&str; 3] = ["model", "package", "sandbox"];
const RUNTIMES: [&str; 9] = [
    "tokio",
    "tokio-util",
    "async-std",
    "smol",
    "async-executor",
    "futures",
    "futures-util",
    "futures-executor",
    "hyper",
];

/// What each crate may depend on.
type Arrows<'a> = BTreeMap<&'a str, Vec<&'a str>>;

pub(crate) fn crates_depend_as_documented(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::missing(PAGE, "it says which crate may know which")];
    };
    let arrows = arrows(&page.text);
    if arrows.is_empty() {
        let message = "has no fenced block with lines like `control -> model wire store`";
        return vec![Finding::new(page, 0, message)];
    }
    let mut findings = Vec::new();
    let ours: Vec<&str> = manifest::crates(tree).map(|(name, _)| name).collect();
    for (name, manifest) in manifest::crates(tree) {
        let Some(allowed) = arrows.get(name) else {
            let message = format!("crate {name} has no line in {PAGE}'s table of arrows");
            findings.push(Finding::new(manifest, 0, message));
            continue;
        };
        for (line, dependency) in manifest::dependencies(manifest) {
            if ours.contains(&dependency) && !allowed.contains(&dependency) {
                let message = format!("{PAGE} does not let {name} know {dependency}");
                findings.push(Finding::new(manifest, line, message));
            }
        }
    }
    for (name, allowed) in &arrows {
        for unknown in std::iter::once(name).chain(allowed).filter(|name| !ours.contains(name)) {
            let message = format!("the table of arrows names {unknown}, which is no crate");
            findings.push(Finding::new(page, 0, message));
        }
    }
    findings
}

pub(crate) fn pure_crates_have_no_async_runtime(tree: &Tree) -> Vec<Finding> {
    let pure = manifest::crates(tree).filter(|(name, _)| PURE.contains(name));
    pure.flat_map(|(name, manifest)| {
        let dependencies = manifest::dependencies(manifest).into_iter();
        dependencies.filter(|(_, it)| RUNTIMES.contains(it)).map(move |(line, it)| {
            let message = format!("{name} has no async runtime by design, and {it} is part of one");
            Finding::new(manifest, line, message)
        })
    })
    .collect()
}

/// Every `a -> b c` line of the page's fenced blocks.
fn arrows(page: &str) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some((name, allowed)) = line.split_once("->").filter(|_| fenced) {
            let name = name.trim();
            if is_name(name) {
                let words = allowed.split([' ', ',']).filter(|word| !word.is_empty());
                // The line ends at the first word that is no name, so that a remark may follow.
                arrows.insert(name, words.take_while(|word| is_name(word)).collect());
            }
        }
    }
    arrows
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARROWS: &str = "# Map\n\na -> b outside of a block\n\n```text\n\
                          store   -> model\nmodel   ->\n```\n";

    fn findings(page: &str, store: &str, model: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (PAGE, page),
            ("crates/store/Cargo.toml", store),
            ("crates/model/Cargo.toml", model),
        ]);
        crates_depend_as_documented(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_that_is_in_the_table_is_fine() {
        let store = "[dependencies]\nmodel.workspace = true\nserde = \"1\"\n";
        assert_eq!(findings(ARROWS, store, ""), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        let model = "[dependencies]\nstore.workspace = true\n";
        let expected = "crates/model/Cargo.toml:2: ARCHITECTURE.md does not let model know store";
        assert_eq!(findings(ARROWS, "", model), [expected]);
        let for_tests = "[dev-dependencies]\nstore.workspace = true\n";
        assert_eq!(findings(ARROWS, "", for_tests), [""; 0]);
    }

    #[test]
    fn crates_and_the_table_name_each_other() {
        let found = findings("```\nstore -> gone\n```\n", "", "");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("crate model has no line"), "{found:?}");
        assert!(found[1].contains("names gone, which is no crate"), "{found:?}");
        assert_eq!(findings("no block", "", "").len(), 1);
        assert_eq!(crates_depend_as_documented(&Tree::default()).len(), 1);
    }

    #[test]
    fn an_async_runtime_in_a_pure_crate_is_found() {
        let text = "[dependencies]\ntokio = \"1\"\n[dev-dependencies]\nfutures = \"1\"\n";
        let tree =
            Tree::of(&[("crates/sandbox/Cargo.toml", text), ("crates/wire/Cargo.toml", text)]);
        let found = pure_crates_have_no_async_runtime(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("crates/sandbox/Cargo.toml:2: "), "{found:?}");
    }
}
