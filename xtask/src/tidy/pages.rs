//! Pages that must keep up: the README's two commands, the list of examples, and the files that the
//! guides send a reader to.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{File, Tree};

const README: &str = "README.md";
const EXAMPLES: &str = "examples/README.md";
/// Functions that misbehave for tests: no lessons, so not in the list.
const HOSTILE: &str = "hostile";
/// Under which heading the README has which command, as somebody would copy it.
const COMMANDS: [(&str, &str); 2] =
    [("Try it", "cargo xtask demo"), ("Test it", "cargo xtask test")];

/// Pages that name source files in backticks, by a path or by its end.
const GUIDES: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

pub(crate) fn readme_has_two_commands(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.file(README) else {
        return vec![Finding::missing(README, "it is the first thing that anybody reads")];
    };
    let mut findings = Vec::new();
    for (heading, command) in COMMANDS {
        if !shell_lines(readme, heading).contains(&command) {
            let message = format!("has no ```sh block with `{command}` under {heading:?}");
            findings.push(Finding::new(readme, 0, message));
        }
    }
    findings
}

/// Lines of the `sh` blocks beneath a heading of any level, up to the next heading.
fn shell_lines<'a>(page: &'a File, heading: &str) -> Vec<&'a str> {
    let (mut here, mut block) = (false, None);
    let mut found = Vec::new();
    for (_, line) in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim()) };
        } else if block.is_none() && line.starts_with('#') {
            here = line.trim_matches(['#', ' ']) == heading;
        } else if here && block == Some("sh") {
            found.push(line.trim());
        }
    }
    found
}

pub(crate) fn examples_are_listed(tree: &Tree) -> Vec<Finding> {
    let folders: BTreeSet<&str> = tree
        .beneath("examples/")
        .filter_map(|file| file.path["examples/".len()..].split_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| *folder != HOSTILE)
        .collect();
    let Some(list) = tree.file(EXAMPLES) else {
        return vec![Finding::missing(EXAMPLES, "it lists the examples")];
    };
    let mut findings = Vec::new();
    for folder in folders {
        let page = format!("examples/{folder}/README.md");
        if tree.file(&page).is_none() {
            findings.push(Finding::missing(&page, "every example says what it teaches"));
        }
        if !list.text.contains(&format!("({folder}/"))
            && !list.text.contains(&format!("`{folder}`"))
        {
            findings.push(Finding::new(list, 0, format!("does not list the example {folder:?}")));
        }
    }
    findings
}

pub(crate) fn guides_name_files_that_exist(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for guide in GUIDES.into_iter().filter_map(|path| tree.file(path)) {
        for (number, line) in guide.lines() {
            let quoted = line.split('`').skip(1).step_by(2);
            for path in quoted.filter(|path| is_source(path)) {
                let ending = format!("/{path}");
                let exists = |file: &File| file.path == path || file.path.ends_with(&ending);
                if !tree.files.iter().any(exists) {
                    let message = format!("names {path}, which does not exist");
                    findings.push(Finding::new(guide, number, message));
                }
            }
        }
    }
    findings
}

/// A path with a folder, to a file that somebody wrote: no placeholder, no pattern.
fn is_source(path: &str) -> bool {
    let is_plain =
        path.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c));
    is_plain
        && path.contains('/')
        && [".rs", ".py", ".toml", ".sql"].iter().any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_stand_under_their_headings() {
        let good = "# L\n\n## Try it\n```sh\n# comment\ncargo xtask demo\n```\n## Test it\n\
                    ```sh\ncargo xtask test\n```\n";
        let bad =
            "## Try it\n```sh\ncargo xtask test\n```\n## Test it\n```\ncargo xtask test\n```\n";
        assert_eq!(readme_has_two_commands(&Tree::of(&[(README, good)])), []);
        assert_eq!(readme_has_two_commands(&Tree::of(&[(README, bad)])).len(), 2);
        assert_eq!(readme_has_two_commands(&Tree::default()).len(), 1);
    }

    #[test]
    fn an_example_that_is_not_listed_is_found() {
        let tree = Tree::of(&[
            (EXAMPLES, "- [hello](hello/README.md)\n- `csv`\n"),
            ("examples/hello/hello.py", ""),
            ("examples/hello/README.md", ""),
            ("examples/csv/csv.py", ""),
            ("examples/echo/README.md", ""),
            ("examples/hostile/bomb.py", ""),
        ]);
        let found: Vec<_> = examples_are_listed(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("examples/csv/README.md: is missing"), "{found:?}");
        assert!(found[1].ends_with("does not list the example \"echo\""), "{found:?}");
    }

    #[test]
    fn a_guide_that_sends_readers_nowhere_is_found() {
        let page =
            "See `control/src/route.rs`, `xtask/src/main.rs`, `gone/src/lib.rs`, `NAME/a.rs`.\n";
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", page),
            ("crates/control/src/route.rs", ""),
            ("xtask/src/main.rs", ""),
        ]);
        let found = guides_name_files_that_exist(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().ends_with("names gone/src/lib.rs, which does not exist"));
    }
}
