//! Zip archive or Python source? The content decides; the file's name only where it does not.

use crate::{Limits, Refused};

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Zip,
    PythonSource,
}

/// What was found, with what is needed to go on.
#[derive(Debug)]
pub(crate) enum Content {
    Zip,
    Source { module_file: String },
}

/// The first bytes of an entry, and of an archive without any.
const ENTRY_MAGIC: &[u8] = b"PK\x03\x04";
const EMPTY_ARCHIVE_MAGIC: &[u8] = b"PK\x05\x06";

/// Used where the user's own name for the file is none that Python could import.
const DEFAULT_MODULE_FILE: &str = "handler.py";

pub(crate) fn decide(
    bytes: &[u8],
    file_name: Option<&str>,
    limits: &Limits,
) -> Result<Content, Refused> {
    let length = bytes.len() as u64;
    if length > limits.archive_bytes {
        return Err(Refused::TooLarge { bytes: length, limit: limits.archive_bytes });
    }
    if bytes.is_empty() {
        return Err(Refused::Empty);
    }
    if bytes.starts_with(ENTRY_MAGIC) || bytes.starts_with(EMPTY_ARCHIVE_MAGIC) {
        return Ok(Content::Zip);
    }
    let base = file_name.map(base_name).unwrap_or_default();
    match base.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()) {
        // Called a zip, and not one at its first byte: the archive reader knows what is wrong.
        Some(extension) if extension == "zip" => Ok(Content::Zip),
        Some(extension) if extension != "py" => {
            Err(Refused::UnknownKind { file_name: base.into() })
        }
        _ => {
            check_source(bytes, limits)?;
            Ok(Content::Source { module_file: module_file(base) })
        }
    }
}

/// Browsers and scripts send whole paths, of either system.
fn base_name(file_name: &str) -> &str {
    file_name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// CPython reads source as UTF-8 unless a comment declares otherwise, and stops at a NUL. We take
/// UTF-8 only, declared or not, so that the console can show every source file.
fn check_source(bytes: &[u8], limits: &Limits) -> Result<(), Refused> {
    let length = bytes.len() as u64;
    if length > limits.source_bytes {
        return Err(Refused::SourceTooLarge { bytes: length, limit: limits.source_bytes });
    }
    if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
        return Err(Refused::SourceHasNul { offset });
    }
    match str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::SourceNotUtf8 { offset: error.valid_up_to() }),
    }
}

/// The name that the source file gets in the package's folder.
fn module_file(base: &str) -> String {
    let importable = base.strip_suffix(".py").is_some_and(is_identifier);
    // NAME_MAX, as for entries of an archive.
    if importable && base.len() <= 255 { base.to_owned() } else { DEFAULT_MODULE_FILE.to_owned() }
}

/// Whether `import NAME` can work. ASCII only: Python normalises other identifiers before it looks
/// for a file, and the file would not be found.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module_of(file_name: Option<&str>) -> String {
        match decide(b"x = 1\n", file_name, &Limits::default()) {
            Ok(Content::Source { module_file }) => module_file,
            other => panic!("{file_name:?} gave {other:?}"),
        }
    }

    fn code_of(bytes: &[u8], file_name: Option<&str>) -> &'static str {
        decide(bytes, file_name, &Limits::default()).expect_err("must be refused").code()
    }

    #[test]
    fn source_keeps_an_importable_name_and_gets_the_default_for_any_other() {
        for (given, kept) in [
            (Some("hello.py"), "hello.py"),
            (Some("/home/me/hello.py"), "hello.py"),
            (Some(r"C:\work\_h2.py"), "_h2.py"),
            (Some("../../etc/cron.py"), "cron.py"),
            (Some("my-function.py"), "handler.py"),
            (Some("2fast.py"), "handler.py"),
            (Some("größe.py"), "handler.py"),
            (Some(".py"), "handler.py"),
            (Some("a.b.py"), "handler.py"),
            (Some("hello.PY"), "handler.py"),
            (Some("-"), "handler.py"),
            (Some(""), "handler.py"),
            (Some("dir/"), "handler.py"),
            (None, "handler.py"),
        ] {
            assert_eq!(module_of(given), kept, "{given:?}");
        }
        assert_eq!(module_of(Some(&format!("{}.py", "a".repeat(253)))), "handler.py");
    }

    #[test]
    fn content_decides_for_zip_whatever_the_name() {
        for name in [Some("x.py"), Some("x.zip"), Some("x.whl"), Some("x.tar.gz"), None] {
            assert!(matches!(decide(b"PK\x03\x04", name, &Limits::default()), Ok(Content::Zip)));
        }
    }

    #[test]
    fn files_of_other_kinds_are_refused_by_their_extension() {
        for name in ["x.js", "x.tar.gz", "x.7z", "x.pyc", "x.exe"] {
            assert_eq!(code_of(b"text", Some(name)), "package.unknown_kind", "{name}");
        }
    }

    #[test]
    fn source_must_be_text() {
        assert_eq!(code_of(b"x = '\xe9'", Some("x.py")), "package.source_not_utf8");
        assert_eq!(code_of(b"x = 1\0", Some("x.py")), "package.source_has_nul");
        assert_eq!(code_of(b"", Some("x.py")), "package.empty");
        let large = vec![b'#'; 5 * 1024 * 1024 + 1];
        assert_eq!(code_of(&large, Some("x.py")), "package.source_too_large");
    }

    #[test]
    fn one_byte_over_the_limit_is_too_large_and_the_limit_itself_is_not() {
        let limits = Limits { archive_bytes: 4, ..Limits::default() };
        assert!(decide(b"PK\x03\x04", None, &limits).is_ok());
        let refused = decide(b"PK\x03\x04x", None, &limits).expect_err("must be refused");
        assert_eq!(refused, Refused::TooLarge { bytes: 5, limit: 4 });
    }
}
