//! Words that the repository never says: where and by whom it is worked on is not a part of it,
//! and what is unfinished is said to users in plain words or finished.
//!
//! The words are spelled in two halves here, since this file is in the repository, too.

use super::Finding;
use super::tree::Tree;

struct Word {
    halves: (&'static str, &'static str),
    /// Followed and preceded by no letter, digit or underscore.
    whole: bool,
    why: &'static str,
}

const PLACE: &str = "a path of one machine means nothing on another";
const HOST: &str = "cargo and pip know their registries; naming one breaks whoever has a mirror";
const WORK: &str = "how the work is organised is not a part of the product";
const UNFINISHED: &str = "finish it, or tell users plainly what is not there yet";

const WORDS: &[Word] = &[
    Word { halves: ("/wor", "k/"), whole: false, why: PLACE },
    Word { halves: ("/far", "m/"), whole: false, why: PLACE },
    Word { halves: ("crates", ".io"), whole: true, why: HOST },
    Word { halves: ("pypi", ".org"), whole: true, why: HOST },
    Word { halves: ("npmjs", ".com"), whole: true, why: HOST },
    Word { halves: ("npmjs", ".org"), whole: true, why: HOST },
    Word { halves: ("debian", ".org"), whole: true, why: HOST },
    Word { halves: ("nodesource", ".com"), whole: true, why: HOST },
    Word { halves: ("this ", "session"), whole: true, why: WORK },
    Word { halves: ("last ", "session"), whole: true, why: WORK },
    Word { halves: ("next ", "session"), whole: true, why: WORK },
    Word { halves: ("previous ", "session"), whole: true, why: WORK },
    Word { halves: ("issue ", "#"), whole: false, why: WORK },
    Word { halves: ("CE", "O"), whole: true, why: WORK },
    Word { halves: ("steering ", "repo"), whole: false, why: WORK },
    Word { halves: ("TO", "DO"), whole: true, why: UNFINISHED },
    Word { halves: ("FIX", "ME"), whole: true, why: UNFINISHED },
    Word { halves: ("XX", "X"), whole: true, why: UNFINISHED },
];

/// Written by tools, with addresses that are theirs.
const WRITTEN_BY_TOOLS: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub(crate) fn are_ours(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = tree.files.iter().filter(|file| !WRITTEN_BY_TOOLS.contains(&file.name()));
    for file in files {
        for word in WORDS {
            let text = [word.halves.0, word.halves.1].concat();
            // Most files hold none of them.
            if !file.text.contains(&text) {
                continue;
            }
            let lines = file.lines().filter(|(_, line)| says(line, &text, word.whole));
            findings.extend(lines.map(|(number, _)| {
                Finding::new(file, number, format!("says {text:?}: {}", word.why))
            }));
        }
    }
    findings
}

fn says(line: &str, word: &str, whole: bool) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        // An absolute path begins where no other path does: `/a/x/` is not `/x/`.
        let continues =
            word.starts_with('/') && before.is_some_and(|c| is_part(c) || ".-/~}$".contains(c));
        !continues && !(whole && (before.is_some_and(is_part) || after.is_some_and(is_part)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, found: usize) {
        let line = line.replace('~', "");
        let findings = are_ours(&Tree::of(&[("docs/a.md", &line)]));
        assert_eq!(findings.len(), found, "{line}: {findings:?}");
    }

    #[test]
    fn each_word_is_found() {
        for word in WORDS {
            check(&format!("a {}{} b", word.halves.0, word.halves.1), 1);
        }
    }

    // Tildes keep the words out of this file.
    #[test]
    fn parts_of_other_words_are_fine() {
        check("mktemp lambent-XX~XXXX", 0);
        check("setsid begins a session", 0);
        check("data/wor~k/file", 0);
        check("cd /wor~k/main", 1);
        check("`TO~DO`: later", 1);
    }

    #[test]
    fn lock_files_may_name_a_registry() {
        let text = ["crates", ".io"].concat();
        assert!(are_ours(&Tree::of(&[("Cargo.lock", &text)])).is_empty());
    }
}
