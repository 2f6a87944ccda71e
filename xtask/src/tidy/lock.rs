//! Crates that must not be in Cargo.lock, whoever asks for them.

use super::Finding;
use super::tree::Tree;

const PATH: &str = "Cargo.lock";

/// Each with its reason; deny.toml bans the same.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one cryptography provider in the whole graph, and this is not it"),
    ("openssl-sys", "links a C library that a machine may not have"),
    ("native-tls", "another TLS on every platform"),
    ("bincode", "is no longer maintained"),
    ("rkyv", "reads bytes as memory; what we read comes from outside"),
    ("serde_yaml", "is no longer maintained"),
    ("async-std", "is no longer maintained, and a second async runtime"),
    ("atty", "is no longer maintained; std::io::IsTerminal does it"),
    ("instant", "is no longer maintained; std::time does it"),
    ("paste", "is no longer maintained"),
];

/// Crates that Cargo.lock lists for one that can use them, whether it does or not: a feature of the
/// form `other?/feature` is enough. They are banned as soon as anybody else asks for them, and whoever
/// switches them on does: rustls asks for ring itself if it is to use it.
const LISTED_FOR: &[(&str, &str)] = &[("ring", "rustls-webpki")];

pub(crate) fn holds_no_banned_crate(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file(PATH) else {
        return vec![Finding::missing(
            PATH,
            "the versions that were tested are part of the source",
        )];
    };
    let names = lock.lines().filter_map(|(number, line)| {
        Some((number, line.strip_prefix("name = \"")?.strip_suffix('"')?))
    });
    let banned = names.filter_map(|(number, name)| {
        let (_, why) = BANNED.iter().find(|(banned, _)| *banned == name)?;
        let listed_for = LISTED_FOR.iter().find(|(listed, _)| *listed == name);
        if listed_for.is_some_and(|(_, by)| askers(&lock.text, name).all(|asker| asker == *by)) {
            return None;
        }
        Some(Finding::new(lock, number, format!("{name} is banned: {why}")))
    });
    banned.collect()
}

/// The packages that name it among their dependencies; with a version behind it, if there are two.
fn askers<'a>(lock: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let wanted = [format!("\"{name}\""), format!("\"{name} ")];
    let names = move |line: &str| wanted.iter().any(|it| line.trim_start().starts_with(it));
    lock.split("[[package]]")
        .filter(move |package| package.lines().any(&names))
        .filter_map(|package| package.trim_start().strip_prefix("name = \"")?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let text = "[[package]]\nname = \"atty\"\n\n[[package]]\nname = \"string\"\n\
                    dependencies = [\n \"paste\",\n]\n";
        let found = holds_no_banned_crate(&Tree::of(&[(PATH, text)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("Cargo.lock:2: atty is banned"), "{found:?}");
        assert_eq!(holds_no_banned_crate(&Tree::default()).len(), 1);
    }

    #[test]
    fn a_crate_that_is_only_listed_is_banned_once_somebody_else_asks() {
        let package = |name: &str, dependency: &str| {
            format!("[[package]]\nname = \"{name}\"\ndependencies = [\n \"{dependency}\",\n]\n\n")
        };
        let ring = "[[package]]\nname = \"ring\"\n\n".to_owned();
        let found = |text: String| holds_no_banned_crate(&Tree::of(&[(PATH, &text)])).len();
        let listed = ring + &package("rustls-webpki", "ring") + &package("a", "ring-buffer");
        assert_eq!(found(listed.clone()), 0);
        assert_eq!(found(listed.clone() + &package("rustls", "ring")), 1);
        assert_eq!(found(listed + &package("b", "ring 0.17.14")), 1);
    }

    #[test]
    fn deny_toml_bans_the_same() {
        let path = crate::tools::root().join("deny.toml");
        let deny = std::fs::read_to_string(path).unwrap();
        for (name, _) in BANNED {
            assert!(deny.contains(&format!("name = \"{name}\"")), "{name} is not in deny.toml");
        }
    }
}
