//! Which names an entry may have. What passes here is a relative path of plain components, and is
//! used as it is: nothing is cleaned, joined or guessed, so two names cannot become one.

use crate::{EntryName, Limits, Refused};

/// The entry's path without the slash that marks folders, and whether it is one.
pub(super) fn check<'a>(raw: &'a [u8], limits: &Limits) -> Result<(&'a str, bool), Refused> {
    let shown = || EntryName::new(raw);
    let outside = |why| Err(Refused::PathOutside { entry: shown(), why });
    let bad = |why| Err(Refused::BadName { entry: shown(), why });

    if raw.len() > limits.path_bytes {
        return Err(Refused::PathTooLong {
            entry: shown(),
            bytes: raw.len(),
            limit: limits.path_bytes,
        });
    }
    // Both the flag for UTF-8 and its absence are often wrong; the bytes are what counts.
    let Ok(name) = str::from_utf8(raw) else {
        return bad("it is not UTF-8; rename it, or pack it with a newer program");
    };
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.chars().any(char::is_control) {
        return bad("it has a control character, such as NUL or a line break");
    }
    // Windows' separators too: other readers of the same archive obey them.
    if name.starts_with(['/', '\\']) {
        return outside("it is an absolute path");
    }
    if let [drive, b':', ..] = raw
        && drive.is_ascii_alphabetic()
    {
        return outside("it begins with a drive");
    }
    if name.split(['/', '\\']).any(|component| component == "..") {
        return outside("it has a '..' component");
    }
    if name.contains('\\') {
        return bad("it has a backslash; separate folders with '/'");
    }

    let (path, is_folder) = match name.strip_suffix('/') {
        Some(path) => (path, true),
        None => (name, false),
    };
    let mut depth = 0;
    for component in path.split('/') {
        depth += 1;
        match component {
            "" => return bad("it has an empty component ('//')"),
            "." => return bad("it has a '.' component"),
            _ if component.len() > limits.name_bytes => {
                return Err(Refused::NameTooLong {
                    entry: shown(),
                    bytes: component.len(),
                    limit: limits.name_bytes,
                });
            }
            _ => {}
        }
    }
    if depth > limits.depth {
        return Err(Refused::TooDeep { entry: shown(), depth, limit: limits.depth });
    }
    Ok((path, is_folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &[u8]) -> Result<(String, bool), &'static str> {
        check(name, &Limits::default())
            .map(|(path, is_folder)| (path.to_owned(), is_folder))
            .map_err(|refused| refused.code())
    }

    #[test]
    fn ordinary_names_are_kept_as_they_are() {
        for (name, path, is_folder) in [
            ("handler.py", "handler.py", false),
            ("pkg/", "pkg", true),
            ("pkg/a b/..hidden/...", "pkg/a b/..hidden/...", false),
            ("größe/日本/😀.py", "größe/日本/😀.py", false),
        ] {
            assert_eq!(outcome(name.as_bytes()), Ok((path.to_owned(), is_folder)), "{name}");
        }
    }

    #[test]
    fn names_that_lead_outside_are_refused_in_every_spelling() {
        for name in [
            "..",
            "../x",
            "a/../x",
            "a/..",
            "a/../",
            "/etc/passwd",
            "/",
            "//x",
            r"\x",
            r"..\x",
            r"a\..\x",
            r"a/..\x",
            "C:x",
            r"C:\x",
            "c:/x",
            r"\\server\share\x",
        ] {
            assert_eq!(outcome(name.as_bytes()), Err("package.path_outside"), "{name:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_stored_or_shown_are_refused() {
        for name in [
            &b""[..],
            b"a\0b",
            b"a\nb",
            b"a\rb",
            b"a\x1b[31m",
            b"a\x7f",
            b"\xff.py",
            b"a\xc0\xaf",
            "a\u{85}b".as_bytes(),
            b"a//b",
            b"a//",
            b"./a",
            b"a/./b",
            b".",
            b"a\\b",
        ] {
            assert_eq!(outcome(name), Err("package.bad_name"), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn lengths_are_accepted_up_to_their_limit() {
        let limits = Limits::default();
        let component = |bytes| "x".repeat(bytes);
        let nested = |depth: usize| vec!["d"; depth].join("/");
        let long = |bytes: usize| {
            let mut path = format!("{}/", component(99)).repeat(bytes / 100);
            path.push_str(&component(bytes % 100));
            path
        };
        assert!(outcome(component(limits.name_bytes).as_bytes()).is_ok());
        assert_eq!(
            outcome(component(limits.name_bytes + 1).as_bytes()),
            Err("package.name_too_long")
        );
        assert!(outcome(nested(limits.depth).as_bytes()).is_ok());
        assert_eq!(outcome(nested(limits.depth + 1).as_bytes()), Err("package.too_deep"));
        assert!(outcome(long(limits.path_bytes).as_bytes()).is_ok());
        assert_eq!(outcome(long(limits.path_bytes + 1).as_bytes()), Err("package.name_too_long"));
    }
}
