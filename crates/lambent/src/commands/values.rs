//! Values that are typed on the command line: `-d`, `--env`.

use std::io::Read as _;
use std::path::Path;

use serde_json::value::RawValue;

use super::Failure;

/// What `-d` says: JSON itself, `@FILE`, or `-` for the standard input. Read no further than one
/// byte beyond `most`, so that an endless pipe ends in a sentence.
pub(super) fn data(text: &str, most: usize) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(most).map_or(u64::MAX, |most| most.saturating_add(1));
    let mut bytes = Vec::new();
    if text == "-" {
        let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
        read.map_err(|source| Failure::ReadInput { source })?;
    } else if let Some(path) = text.strip_prefix('@') {
        let path = Path::new(path);
        let read =
            std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.map_err(|source| Failure::Read { path: path.into(), source })?;
    } else {
        bytes = text.as_bytes().to_vec();
    }
    if bytes.len() > most {
        return Err(Failure::Usage(format!("the data has more than the {most} bytes that it may")));
    }
    Ok(bytes)
}

/// The same, as one JSON document.
pub(super) fn json(text: &str, most: usize) -> Result<Box<RawValue>, Failure> {
    let bytes = data(text, most)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::Usage(format!(
            "the data is not one JSON document: {error}; text needs quotes of its own, as in -d \
             '\"hello\"'"
        ))
    })
}

/// `NAME=VALUE`, for clap.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("give it as NAME=VALUE, as in --env LEVEL=debug".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_split_at_its_first_sign_of_equality() {
        assert_eq!(assignment("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(assignment("A="), Ok(("A".into(), String::new())));
        assert!(assignment("=b").is_err());
        assert!(assignment("A").is_err());
    }

    #[test]
    fn data_is_taken_from_the_line_or_from_a_file_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        std::fs::write(&path, b"{\"a\": 1.0}").unwrap();
        let at = format!("@{}", path.display());
        assert_eq!(json(&at, 10).unwrap().get(), "{\"a\": 1.0}");
        assert!(json(&at, 9).unwrap_err().to_string().contains("more than the 9 bytes"));
        assert_eq!(json("1e999", 10).unwrap().get(), "1e999");
        let error = json("hello", 10).unwrap_err().to_string();
        assert!(error.starts_with("the data is not one JSON document: "), "{error}");
        assert!(matches!(data("@/no/such/file", 1), Err(Failure::Read { .. })));
    }
}
