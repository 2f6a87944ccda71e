//! SPECIFICATION.md: every promise names the test or the benchmark that holds it, or says that it
//! is pending; and what is named exists.
//!
//! Promises are the rows of the tables whose last column is headed `proof` (or with a word of
//! [`HEADINGS`]). In that cell, names in backticks are tests (`expired_lease_is_requeued_once`, or
//! with a path, `store::contract`) or benchmarks (`bench warm`); `pending` may stand instead.

use super::Finding;
use super::tree::{File, Tree};

const PAGE: &str = "SPECIFICATION.md";
const HEADINGS: [&str; 4] = ["proof", "test", "bench", "held by"];

pub(crate) fn have_proofs(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::missing(PAGE, "it lists what is promised, with the proof of each")];
    };
    let promises = promises(page);
    if promises.is_empty() {
        let message = "has no table whose last column is headed \"proof\"";
        return vec![Finding::new(page, 0, message)];
    }
    let mut findings = Vec::new();
    for (line, proof) in promises {
        let names = names(proof);
        if names.is_empty() && !proof.to_lowercase().contains("pending") {
            let message = "this promise names no test, and does not say that it is pending";
            findings.push(Finding::new(page, line, message));
        }
        for name in names.into_iter().filter(|name| !exists(tree, name)) {
            let message = format!("there is no test or benchmark {name:?}");
            findings.push(Finding::new(page, line, message));
        }
    }
    findings
}

/// The last cell of each row of the tables of promises, with its line.
fn promises(page: &File) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut table, mut promises) = (false, false);
    for (number, line) in page.lines() {
        let Some(row) = line.trim().strip_prefix('|') else {
            table = false;
            continue;
        };
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        if !table {
            let heading = last.to_lowercase();
            promises = HEADINGS.iter().any(|word| heading.contains(word));
            table = true;
        } else if promises && !is_rule(last) {
            found.push((number, last));
        }
    }
    found
}

/// The line between a table's head and its rows.
fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| "-: ".contains(c))
}

/// What stands in backticks, as far as it can be a name of ours.
fn names(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split(' ').rfind(|word| is_name(word))).collect()
}

fn is_name(word: &str) -> bool {
    let parts = word.strip_suffix(".py").unwrap_or(word);
    parts.chars().any(|c| c.is_ascii_lowercase())
        && parts.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A function of this name (Rust or Python), a test of a runner of ours, a module or a benchmark.
fn exists(tree: &Tree, name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name);
    let declared = ["fn ", "def "].map(|keyword| format!("{keyword}{name}"));
    let quoted = format!("\"{name}\"");
    let is_code = |file: &&File| file.is("rs") || file.is("py");
    tree.files.iter().filter(is_code).any(|file| {
        let stem = file.name().split('.').next().unwrap_or_default();
        let bench = file.path.contains("/benches/") && stem == name;
        let runner = file.path.contains("/tests/") && file.text.contains(&quoted);
        bench || runner || declared.iter().any(|text| declares(&file.text, text))
    })
}

fn declares(text: &str, declared: &str) -> bool {
    text.match_indices(declared).any(|(at, _)| text[at + declared.len()..].starts_with(['(', '<']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(rows: &str) -> Vec<String> {
        let page = format!("# S\n\n| Promise | Proof |\n|---|---|\n{rows}\n");
        let tree = Tree::of(&[
            (PAGE, &page),
            ("crates/a/src/b.rs", "fn lease_is_kept() {}\n"),
            ("crates/a/tests/it/c.rs", "runner.root(\"bomb_is_contained\", || {});\n"),
            ("crates/a/benches/warm.rs", "//! Warm.\n"),
        ]);
        have_proofs(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_promise_with_a_proof_is_fine() {
        let rows = "| a | `a::b::lease_is_kept` |\n| b | `bomb_is_contained`, `cargo xtask bench warm` |\n\
                    | c | pending: needs two machines |";
        assert_eq!(findings(rows), [""; 0]);
    }

    #[test]
    fn a_promise_without_a_proof_is_found() {
        let found = findings("| a | see the code |\n| b | |");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("SPECIFICATION.md:5: this promise names no test"),
            "{found:?}"
        );
    }

    #[test]
    fn a_proof_that_does_not_exist_is_found() {
        let found = findings("| a | `lease_is` |\n| b | `gone` |");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn other_tables_promise_nothing() {
        let tree = Tree::of(&[(PAGE, "| Machine | Cores |\n|---|---|\n| a | 2 |\n")]);
        let found = have_proofs(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("has no table"), "{found:?}");
    }
}
