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
        Some(Finding::new(lock, number, format!("{name} is banned: {why}")))
    });
    banned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let text = "[[package]]\nname = \"ring\"\n\n[[package]]\nname = \"string\"\n\
                    dependencies = [\n \"paste\",\n]\n";
        let found = holds_no_banned_crate(&Tree::of(&[(PATH, text)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("Cargo.lock:2: ring is banned"), "{found:?}");
        assert_eq!(holds_no_banned_crate(&Tree::default()).len(), 1);
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
