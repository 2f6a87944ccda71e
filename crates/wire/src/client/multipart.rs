//! `multipart/form-data` (RFC 7578), as much of it as an upload needs.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use bytes::Bytes;

/// A form: its content type, and its pieces in order. The file's bytes are not copied.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) content_type: String,
    pub(super) pieces: Vec<Bytes>,
}

/// A form of text fields and one file.
pub(super) fn form(
    fields: &[(String, String)],
    file_field: &str,
    file_name: &str,
    file: Bytes,
) -> Form {
    let boundary = boundary();
    let mut head = String::new();
    for (name, value) in fields {
        let name = quoted(name);
        write!(
            head,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
        .expect("a String takes every write");
    }
    let (field, file_name) = (quoted(file_field), quoted(file_name));
    write!(
        head,
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; \
         filename=\"{file_name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    .expect("a String takes every write");
    let tail = format!("\r\n--{boundary}--\r\n");
    Form {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        pieces: vec![Bytes::from(head), file, Bytes::from(tail)],
    }
}

/// 128 bits that nobody could have put into a file beforehand.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("lambent-{:016x}{:016x}", random(), random())
}

/// A name in a quoted parameter: the three characters that would end it or the line are
/// percent-encoded, as browsers do.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_fields_and_its_file_between_boundaries() {
        let fields = [("runtime".to_owned(), "python3.11".to_owned())];
        let form = form(&fields, "code", "a\"\r\nb.py", Bytes::from_static(b"x = 1\n"));
        let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8(form.pieces.concat()).unwrap().replace(boundary, "B");
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"runtime\"\r\n\r\npython3.11\r\n\
             --B\r\nContent-Disposition: form-data; name=\"code\"; filename=\"a%22%0D%0Ab.py\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nx = 1\n\r\n--B--\r\n"
        );
    }

    #[test]
    fn no_two_forms_have_the_same_boundary() {
        assert_ne!(boundary(), boundary());
    }
}
