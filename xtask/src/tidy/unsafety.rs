//! `unsafe` stands in one file, and one module declaration lets it.

use super::Finding;
use super::rust::{code, lines_with};
use super::tree::{File, Tree};

const HOME: &str = "crates/sandbox/src/sys.rs";
/// Where [`HOME`] is declared: the only place that may lift the lint, for that module.
const DOOR: &str = "crates/sandbox/src/lib.rs";

pub(crate) fn unsafe_is_in_one_file(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is("rs")) {
        let code = code(&file.text);
        if file.path != HOME {
            let message = format!("unsafe code belongs in {HOME}, behind a safe function");
            let lines = lines_with(&code, "unsafe").into_iter();
            findings.extend(lines.map(|line| Finding::new(file, line, message.clone())));
        }
        findings.extend(lifted(file, &code));
    }
    findings
}

/// Attributes that lift the lint anywhere but at the door.
fn lifted(file: &File, code: &str) -> Vec<Finding> {
    let lines: Vec<&str> = code.lines().collect();
    let is_lifted =
        |line: &str| ["expect(unsafe_code", "allow(unsafe_code"].iter().any(|it| line.contains(it));
    let is_door = |at: usize| {
        let declared = lines[at + 1..].iter().map(|line| line.trim());
        let mut declared =
            declared.skip_while(|line| line.is_empty() || line.starts_with(['#', ')']));
        file.path == DOOR && declared.next() == Some("mod sys;")
    };
    let found = (0..lines.len()).filter(|at| is_lifted(lines[*at]) && !is_door(*at));
    let message = format!("only `mod sys` in {DOOR} may lift the lint against unsafe code");
    found.map(|at| Finding::new(file, at + 1, message.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, lines: &[usize]) {
        let found = unsafe_is_in_one_file(&Tree::of(&[(path, text)]));
        assert_eq!(found.iter().map(|it| it.line).collect::<Vec<_>>(), lines, "{found:?}");
    }

    #[test]
    fn unsafe_outside_of_its_home_is_found() {
        check("crates/wire/src/lib.rs", "fn f() {\n    unsafe { g() }\n}\n", &[2]);
        check("crates/sandbox/tests/it/main.rs", "unsafe fn f() {}\n", &[1]);
        check("crates/store/src/lib.rs", "unsafe impl Send for X {}\n", &[1]);
        check(HOME, "unsafe { g() }\n", &[]);
    }

    #[test]
    fn prose_about_it_is_fine() {
        check(
            "crates/wire/src/lib.rs",
            "//! Has no unsafe.\n#![deny(unsafe_code)]\nf(\"unsafe\");\n",
            &[],
        );
    }

    #[test]
    fn the_lint_is_lifted_for_one_module_only() {
        let lift = "#[expect(unsafe_code, reason = \"x\")]\n";
        check(DOOR, &format!("{lift}mod sys;\n"), &[]);
        check(DOOR, &format!("{lift}mod other;\n"), &[1]);
        check(HOME, &format!("{lift}mod sys;\n"), &[1]);
        check(DOOR, "#![allow(unsafe_code)]\n", &[1]);
    }
}
