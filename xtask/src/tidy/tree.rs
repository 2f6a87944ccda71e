//! The repository's text files, read once, as the checks see them.
//!
//! All files beneath the root that are not build output: whether git knows them does not matter,
//! since what is written today is committed tomorrow.

use std::fs;
use std::path::Path;

use crate::failure::{Attempting, Outcome};

/// Folders that hold nothing of ours, wherever they are.
const NOT_OURS: [&str; 5] = [".git", "target", ".lambent", "__pycache__", "node_modules"];
/// A larger file is data.
const TEXT_BYTES: u64 = 1024 * 1024;

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }

    /// Lines, numbered from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(position, line)| (position + 1, line))
    }
}

/// The files, sorted by path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Outcome<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files whose path begins with `folder`.
    pub(crate) fn beneath<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Outcome {
        let attempt = || format!("read {}", folder.display());
        for entry in fs::read_dir(folder).attempting(attempt)? {
            let entry = entry.attempting(attempt)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = format!("{prefix}{name}");
            // Of the entry itself: a link may lead anywhere.
            let metadata = entry.metadata().attempting(|| format!("look at {path}"))?;
            if metadata.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if metadata.is_file() && metadata.len() <= TEXT_BYTES {
                let bytes = fs::read(entry.path()).attempting(|| format!("read {path}"))?;
                // What is not UTF-8 is data.
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.push(File { path, text });
                }
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self { files: files.iter().map(file).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_and_data_are_not_read() {
        let root = std::env::temp_dir().join(format!("lambent-tree-{}", std::process::id()));
        for folder in ["a/target", "a/b"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("a/target/x.rs"), "x").unwrap();
        fs::write(root.join("a/b/y.rs"), "y").unwrap();
        fs::write(root.join("z"), [0xff]).unwrap();
        let tree = Tree::read(&root).unwrap();
        fs::remove_dir_all(root).unwrap();
        let paths: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/b/y.rs"]);
    }
}
