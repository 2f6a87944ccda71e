//! `cargo xtask docs`: the pages of `docs/reference` that are made from the program itself.
//!
//! The program prints each page (`lambent __docs NAME`), from the same tables that it runs by, and
//! this task writes it to its place. `--check` writes nothing and tells which page is stale; a test
//! below does the same wherever a page and a fresh program are at hand.

use std::path::Path;
use std::process::Command;

use crate::failure::{Attempting, Failure, Outcome};
use crate::tools;

struct Page {
    /// What the program calls it.
    name: &'static str,
    path: &'static str,
}

const PAGES: [Page; 4] = [
    Page { name: "openapi", path: "docs/reference/openapi.json" },
    Page { name: "errors", path: "docs/reference/errors.md" },
    Page { name: "cli", path: "docs/reference/cli.md" },
    Page { name: "limits", path: "docs/reference/limits.md" },
];

pub(crate) fn write() -> Outcome {
    let program = tools::build_lambent(false)?;
    for Page { name, path } in PAGES {
        let text = print(&program, name)?;
        let file = tools::root().join(path);
        let folder = file.parent().expect("every page lies in a folder");
        std::fs::create_dir_all(folder).attempting(|| format!("make {}", folder.display()))?;
        std::fs::write(&file, text).attempting(|| format!("write {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

pub(crate) fn check() -> Outcome {
    let program = tools::build_lambent(false)?;
    let stale = stale(&tools::root(), |name| print(&program, name))?;
    match stale.as_slice() {
        [] => Ok(()),
        paths => Err(Failure::new(format!(
            "stale: {}; `cargo xtask docs` writes them anew",
            paths.join(", ")
        ))),
    }
}

fn print(program: &Path, page: &str) -> Outcome<String> {
    let output = Command::new(program).args(["__docs", page]).output();
    let output = output.attempting(|| format!("run {} __docs {page}", program.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`lambent __docs {page}` did not succeed: {error}")));
    }
    String::from_utf8(output.stdout).attempting(|| format!("read the page {page}"))
}

/// Pages that exist and do not say what the program says.
fn stale(root: &Path, print: impl Fn(&str) -> Outcome<String>) -> Outcome<Vec<&'static str>> {
    let mut stale = Vec::new();
    for Page { name, path } in PAGES {
        let Ok(found) = std::fs::read_to_string(root.join(path)) else { continue };
        if found != print(name)? {
            stale.push(path);
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::SystemTime;

    use super::*;

    fn changed(path: &Path) -> Option<SystemTime> {
        std::fs::metadata(path).ok()?.modified().ok()
    }

    /// The newest change of any file beneath a folder.
    fn newest(folder: &Path) -> Option<SystemTime> {
        let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
        let paths = entries.map(|entry| entry.path());
        paths.filter_map(|path| if path.is_dir() { newest(&path) } else { changed(&path) }).max()
    }

    /// The program that was built with this test, unless a crate has changed since.
    fn program() -> Option<PathBuf> {
        let test = std::env::current_exe().ok()?;
        let program = test.parent()?.parent()?.join("lambent");
        let crates = std::fs::read_dir(tools::root().join("crates")).ok()?;
        let sources = crates.filter_map(|entry| newest(&entry.ok()?.path().join("src"))).max()?;
        (changed(&program)? >= sources).then_some(program)
    }

    #[test]
    fn generated_pages_are_fresh() {
        let root = tools::root();
        if !PAGES.iter().any(|page| root.join(page.path).exists()) {
            println!("skipped: generated_pages_are_fresh: no page has been generated yet");
            return;
        }
        let Some(program) = program() else {
            println!(
                "skipped: generated_pages_are_fresh: lambent is not built, or older than its sources"
            );
            return;
        };
        let stale = stale(&root, |name| print(&program, name)).unwrap();
        assert!(stale.is_empty(), "{stale:?} are stale; `cargo xtask docs` writes them anew");
    }

    #[test]
    fn a_page_that_says_something_else_is_stale() {
        let root = std::env::temp_dir().join(format!("lambent-docs-{}", std::process::id()));
        std::fs::create_dir_all(root.join("docs/reference")).unwrap();
        std::fs::write(root.join("docs/reference/errors.md"), "old").unwrap();
        std::fs::write(root.join("docs/reference/limits.md"), "new").unwrap();
        let found = stale(&root, |_page| Ok("new".to_owned())).unwrap();
        std::fs::remove_dir_all(root).unwrap();
        assert_eq!(found, ["docs/reference/errors.md"]);
    }
}
