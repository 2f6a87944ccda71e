//! How a function sees that an event is replayed: its record has the extension attribute
//! `lambentreplay`, the replay's id. The stored event stays as it is.

use bytes::Bytes;
use model::ReplayId;
use serde_json::Value;

/// The name of a CloudEvents extension attribute: lower-case letters and digits.
pub(crate) const ATTRIBUTE: &str = "lambentreplay";

/// How the records begin that this service writes. What begins otherwise is no record, but the body
/// of a call.
const RECORD: &[u8] = br#"{"specversion":"1.0","#;

/// The record with the attribute.
pub(crate) fn marked(record: &Bytes, replay: ReplayId) -> Bytes {
    let Some(rest) = record.strip_prefix(RECORD) else { return record.clone() };
    let named = format!("{ATTRIBUTE:?}");
    if record.windows(named.len()).any(|found| found == named.as_bytes()) {
        // A sender gave it, perhaps: an event is not marked twice.
        let Ok(Value::Object(mut members)) = serde_json::from_slice(record) else {
            return record.clone();
        };
        members.insert(ATTRIBUTE.into(), replay.to_string().into());
        return Value::Object(members).to_string().into();
    }
    let mark = format!("{named}:\"{replay}\",");
    [RECORD, mark.as_bytes(), rest].concat().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(record: &str, expect: Value) {
        let marked = marked(&record.to_owned().into(), ReplayId::from_bytes([7; 16]));
        assert_eq!(serde_json::from_slice::<Value>(&marked).unwrap(), expect, "{record}");
        let attributes = marked.windows(ATTRIBUTE.len()).filter(|it| *it == ATTRIBUTE.as_bytes());
        assert!(attributes.count() <= 2, "it is there once, and perhaps in the data");
    }

    #[test]
    fn a_record_has_the_replay_as_an_attribute_and_a_body_stays_as_it_is() {
        let id = ReplayId::from_bytes([7; 16]).to_string();
        check(
            r#"{"specversion":"1.0","id":"1","data":{"a":1}}"#,
            json!({"specversion": "1.0", "lambentreplay": id, "id": "1", "data": {"a": 1}}),
        );
        check(
            r#"{"specversion":"1.0","id":"1","lambentreplay":"sender"}"#,
            json!({"specversion": "1.0", "id": "1", "lambentreplay": id}),
        );
        check(
            r#"{"specversion":"1.0","data":{"lambentreplay":"data"}}"#,
            json!({"specversion": "1.0", "lambentreplay": id, "data": {"lambentreplay": "data"}}),
        );
        for body in [r#"{"a":1}"#, "[1]", "null", "{}"] {
            check(body, serde_json::from_str(body).unwrap());
        }
    }
}
