//! What is inside a package, as far as the control plane wants to know.

use std::collections::BTreeSet;

use crate::Kind;
use crate::archive::{Archive, EntryKind};
use crate::kind::is_identifier;

/// What a checked package holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub kind: Kind,
    /// Entries of the archive; 1 for a source file.
    pub entries: usize,
    pub unpacked_bytes: u64,
    /// Names of the files and folders at the top, sorted, folders with a trailing slash; the first
    /// [`Summary::TOP_LEVEL_SHOWN`] of them, for messages such as "there is no handler.py among …".
    pub top_level: Vec<String>,
    /// How many there are at the top in all.
    pub top_level_count: usize,
    likely_module: Option<String>,
    /// Dotted names of everything Python could import. Its bytes all stand in the archive, so it is
    /// no larger than that.
    modules: BTreeSet<String>,
}

impl Summary {
    pub const TOP_LEVEL_SHOWN: usize = 20;

    /// Whether `import MODULE` (a dotted name) would find something in the package.
    pub fn has_python_module(&self, module: &str) -> bool {
        self.modules.contains(module)
    }

    /// The module that most probably has the handler, for a deploy that does not say: `handler`,
    /// `main` or `lambda_function`, else the only `.py` file at the top.
    pub fn likely_module(&self) -> Option<&str> {
        self.likely_module.as_deref()
    }

    pub(crate) fn of_source(module_file: &str, bytes: &[u8]) -> Self {
        Self::of_files(Kind::PythonSource, 1, bytes.len() as u64, [(module_file, false)])
    }

    pub(crate) fn of_archive(archive: &Archive<'_>) -> Self {
        let entries = archive.entries();
        let unpacked_bytes = entries.iter().map(|entry| entry.unpacked_bytes).sum();
        let paths = entries.iter().map(|entry| (entry.path, entry.kind == EntryKind::Folder));
        Self::of_files(Kind::Zip, entries.len(), unpacked_bytes, paths)
    }

    fn of_files<'a>(
        kind: Kind,
        entries: usize,
        unpacked_bytes: u64,
        paths: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Self {
        let mut top = BTreeSet::new();
        let mut top_sources = BTreeSet::new();
        let mut modules = BTreeSet::new();
        for (path, is_folder) in paths {
            let first = path.split('/').next().unwrap_or(path);
            top.insert((first, is_folder || first.len() < path.len()));
            if is_folder {
                continue;
            }
            let Some(module) = module_of(path) else { continue };
            if first == path && path.ends_with(".py") {
                top_sources.insert(module.clone());
            }
            modules.insert(module);
        }
        let likely_module = ["handler", "main", "lambda_function"]
            .into_iter()
            .find(|name| modules.contains(*name))
            .map(str::to_owned)
            .or_else(|| top_sources.pop_first().filter(|_| top_sources.is_empty()));
        Self {
            kind,
            entries,
            unpacked_bytes,
            top_level: top
                .iter()
                .take(Self::TOP_LEVEL_SHOWN)
                .map(|(name, is_folder)| format!("{name}{}", if *is_folder { "/" } else { "" }))
                .collect(),
            top_level_count: top.len(),
            likely_module,
            modules,
        }
    }
}

/// The dotted name under which Python imports a file: source, compiled source, or a native module
/// (`x.so`, `x.cpython-311-x86_64-linux-gnu.so`).
fn module_of(path: &str) -> Option<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = if file.ends_with(".so") {
        file.split('.').next()?
    } else {
        file.strip_suffix(".py").or_else(|| file.strip_suffix(".pyc"))?
    };
    let mut components: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    if stem != "__init__" || components.is_empty() {
        components.push(stem);
    }
    components.iter().all(|name| is_identifier(name)).then(|| components.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary_of(paths: &[&str]) -> Summary {
        let files = paths.iter().map(|path| (path.trim_end_matches('/'), path.ends_with('/')));
        Summary::of_files(Kind::Zip, paths.len(), 0, files)
    }

    #[test]
    fn modules_are_found_in_each_form_that_python_imports() {
        let summary = summary_of(&[
            "handler.py",
            "pkg/__init__.py",
            "pkg/deep/mod.py",
            "old.pyc",
            "fast.cpython-311-x86_64-linux-gnu.so",
            "not-a-module.py",
            "data/table.csv",
        ]);
        for module in ["handler", "pkg", "pkg.deep.mod", "old", "fast"] {
            assert!(summary.has_python_module(module), "{module}");
        }
        for module in ["pkg.__init__", "not-a-module", "data", "data.table", "", "pkg/deep/mod"] {
            assert!(!summary.has_python_module(module), "{module}");
        }
    }

    #[test]
    fn likely_module_is_a_customary_one_or_else_the_only_one() {
        assert_eq!(summary_of(&["main.py", "handler.py"]).likely_module(), Some("handler"));
        assert_eq!(
            summary_of(&["a.py", "lambda_function.py"]).likely_module(),
            Some("lambda_function")
        );
        assert_eq!(summary_of(&["thumbs.py", "pkg/x.py"]).likely_module(), Some("thumbs"));
        assert_eq!(summary_of(&["a.py", "b.py"]).likely_module(), None);
        assert_eq!(summary_of(&["project/handler.py"]).likely_module(), None);
    }

    #[test]
    fn top_level_names_are_bounded_and_counted() {
        let many: Vec<String> = (0..100).map(|n| format!("f{n:03}.txt")).collect();
        let mut paths: Vec<&str> = many.iter().map(String::as_str).collect();
        paths.extend(["a/", "a/x", "a/y"]);
        let summary = summary_of(&paths);
        assert_eq!(summary.top_level.len(), Summary::TOP_LEVEL_SHOWN);
        assert_eq!(summary.top_level_count, 101);
        assert_eq!(summary.top_level[..2], ["a/", "f000.txt"]);
    }
}
