//! Bytes in, a JSON value out, and back: what a message is on either side. Pure.
//!
//! Zaqar carries JSON values. One that is a text stands for the bytes of that text, whatever they
//! mean; every other one is taken as it is written, without a digit or a space changed.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::http::cut;

/// A sentence is enough, and what we add should seldom make a message too large for Zaqar.
const REASON_BYTES: usize = 2_048;
const JSON: &str = "application/json";

/// A body as it came, and its content type if it says one by itself.
pub(super) fn read(value: &RawValue) -> (Bytes, Option<String>) {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => (text.into(), None),
        Err(_) => (value.get().to_owned().into(), Some(JSON.to_owned())),
    }
}

/// A body to be sent: JSON as it is, if that is what it says to be, and every other text as a text.
pub(super) fn write(body: &[u8], content_type: Option<&str>) -> Result<Box<RawValue>, String> {
    if content_type.is_some_and(is_json) {
        // A JSON text would come back as its own content, which nobody would take for JSON.
        let text = body.trim_ascii_start().starts_with(b"\"");
        if let Ok(value) = serde_json::from_slice::<Box<RawValue>>(body)
            && !text
        {
            return Ok(value);
        }
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("Zaqar takes text, and the body is none: {error}"))?;
    Ok(raw(&text))
}

/// "application/json; charset=utf-8" and "application/cloudevents+json", too.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == JSON || essence.ends_with("+json")
}

/// A message that was refused, with the reason: an object around what came.
pub(super) fn letter(came: &RawValue, id: &str, queue: &str, reason: &str) -> Box<RawValue> {
    #[derive(serde::Serialize)]
    struct Letter<'a> {
        #[serde(rename = "lambent-reason")]
        reason: &'a str,
        #[serde(rename = "lambent-queue")]
        queue: &'a str,
        #[serde(rename = "lambent-message-id")]
        id: &'a str,
        body: &'a RawValue,
    }
    raw(&Letter { reason: cut(reason, REASON_BYTES), queue, id, body: came })
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a text or a struct of texts is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(json: &str) -> (String, Option<String>) {
        let (body, content_type) = read(&RawValue::from_string(json.to_owned()).unwrap());
        (String::from_utf8(body.to_vec()).unwrap(), content_type)
    }

    #[test]
    fn a_text_is_its_content_and_everything_else_is_as_written() {
        assert_eq!(came(r#""plain \"text\"""#), ("plain \"text\"".to_owned(), None));
        for json in ["{\"a\" : 1.0}", "[1e400]", "null", "12345678901234567890123"] {
            assert_eq!(came(json), (json.to_owned(), Some(JSON.to_owned())));
        }
    }

    #[test]
    fn what_is_sent_comes_back_as_the_same_bytes() {
        for (body, content_type) in [
            ("{\"a\" : 1.0}", Some("application/json; charset=utf-8")),
            ("{\"a\" : 1.0}", Some("application/cloudevents+json")),
            ("{\"a\" : 1.0}", None),
            ("\"a JSON text\"", Some("application/json")),
            (" \"a JSON text\"", Some("application/json")),
            ("{ no JSON", Some("application/json")),
            ("", None),
        ] {
            let sent = write(body.as_bytes(), content_type).unwrap();
            assert_eq!(came(sent.get()).0, body, "{}", sent.get());
        }
        assert!(write(b"\xff", None).unwrap_err().contains("none"));
    }

    #[test]
    fn a_letter_holds_what_came() {
        let came = RawValue::from_string("{\"n\":1.00}".to_owned()).unwrap();
        let letter = letter(&came, "m-1", "orders", &"é".repeat(2_000));
        let expected = format!(
            "{{\"lambent-reason\":\"{}\",\"lambent-queue\":\"orders\",\
             \"lambent-message-id\":\"m-1\",\"body\":{{\"n\":1.00}}}}",
            "é".repeat(1_024)
        );
        assert_eq!(letter.get(), expected);
    }
}
