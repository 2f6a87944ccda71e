//! A crate's manifest, as far as the checks need it: what it depends on.
//!
//! Reads lines, not TOML: `[dependencies]`, `[target.….dependencies]` and tables such as
//! `[dependencies.serde]`. Development and build dependencies are no arrows.

use super::tree::{File, Tree};

/// The crate that a manifest in `crates/` describes, by its folder's name.
pub(crate) fn crates(tree: &Tree) -> impl Iterator<Item = (&str, &File)> {
    tree.files.iter().filter_map(|file| {
        let name = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        (!name.contains('/')).then_some((name, file))
    })
}

/// What it depends on, with the line that says so.
pub(crate) fn dependencies(manifest: &File) -> Vec<(usize, &str)> {
    let mut within = false;
    let mut found = Vec::new();
    for (number, line) in manifest.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(|c| c != ']').trim_end_matches(']');
            within = section == "dependencies"
                || section.starts_with("target.") && section.ends_with(".dependencies");
            found.extend(section.strip_prefix("dependencies.").map(|name| (number, name)));
        } else if within && !line.starts_with('#') {
            let end = line.find(['=', '.', ' ']).unwrap_or(0);
            if end > 0 {
                found.push((number, line[..end].trim_matches('"')));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_dependencies_count() {
        let text = "[package]\nname = \"x\"\n[dependencies]\n# a = 1\nmodel.workspace = true\n\
                    serde = { version = \"1\",\n  features = [] }\n[dev-dependencies]\nb = \"1\"\n\
                    [target.'cfg(unix)'.dependencies] # here\nlibc = \"0\"\n[dependencies.toml]\n\
                    version = \"1\"\n";
        let tree = Tree::of(&[("crates/x/Cargo.toml", text)]);
        let (name, manifest) = crates(&tree).next().unwrap();
        let names: Vec<_> = dependencies(manifest).into_iter().map(|(_, name)| name).collect();
        assert_eq!((name, names), ("x", vec!["model", "serde", "features", "libc", "toml"]));
    }
}
