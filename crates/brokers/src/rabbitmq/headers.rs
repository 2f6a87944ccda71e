//! AMQP's table of headers, and plain pairs of text. Text, numbers, flags and times have a plain
//! text; bytes have one if they are UTF-8; tables and lists have none and are left out, except
//! `x-death`, whose newest entry becomes `x-death-reason`, `x-death-queue` and `x-death-count`.

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::settings::NAME_BYTES;

/// Where RabbitMQ tells which queues a message has died in, the newest first.
const DEATHS: &str = "x-death";

pub(super) fn flatten(table: &FieldTable) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(table.inner().len());
    for (name, value) in table.inner() {
        if let Some(text) = text(value) {
            pairs.push((name.to_string(), text));
        } else if name.as_str() == DEATHS
            && let AMQPValue::FieldArray(deaths) = value
            && let Some(AMQPValue::FieldTable(death)) = deaths.as_slice().first()
        {
            for part in ["reason", "queue", "count"] {
                let text = death.inner().get(part).and_then(text);
                pairs.extend(text.map(|text| (format!("{DEATHS}-{part}"), text)));
            }
        }
    }
    pairs
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::Boolean(it) => Some(it.to_string()),
        AMQPValue::ShortShortInt(it) => Some(it.to_string()),
        AMQPValue::ShortShortUInt(it) => Some(it.to_string()),
        AMQPValue::ShortInt(it) => Some(it.to_string()),
        AMQPValue::ShortUInt(it) => Some(it.to_string()),
        AMQPValue::LongInt(it) => Some(it.to_string()),
        AMQPValue::LongUInt(it) => Some(it.to_string()),
        AMQPValue::LongLongInt(it) => Some(it.to_string()),
        AMQPValue::Float(it) => Some(it.to_string()),
        AMQPValue::Double(it) => Some(it.to_string()),
        AMQPValue::Timestamp(it) => Some(it.to_string()),
        AMQPValue::ShortString(it) => Some(it.to_string()),
        AMQPValue::LongString(it) => utf8(it.as_bytes()),
        AMQPValue::ByteArray(it) => utf8(it.as_slice()),
        AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::Void => None,
    }
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// As a table; of a name that repeats, the last counts. An error says what AMQP cannot say.
pub(super) fn table(pairs: &[(String, String)]) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        let name = short("header name", name)?;
        table.insert(name, AMQPValue::LongString(LongString::from(value.as_bytes())));
    }
    Ok(table)
}

/// Texts that AMQP stores with a length of one byte.
pub(super) fn short(what: &str, text: &str) -> Result<ShortString, String> {
    let bytes = text.len();
    ShortString::try_new(text)
        .map_err(|_length| format!("the {what} has {bytes} bytes, AMQP allows {NAME_BYTES}"))
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    #[test]
    fn what_has_a_plain_text_is_kept() {
        let mut death = FieldTable::default();
        death.insert("reason".into(), AMQPValue::LongString("expired".into()));
        death.insert("count".into(), AMQPValue::LongLongInt(2));
        death.insert("time".into(), AMQPValue::Timestamp(1));
        let mut headers = FieldTable::default();
        headers.insert("cloudEvents:type".into(), AMQPValue::LongString("a.b".into()));
        headers.insert("count".into(), AMQPValue::LongInt(-3));
        headers.insert("flag".into(), AMQPValue::Boolean(true));
        headers.insert("raw".into(), AMQPValue::LongString(vec![0xff_u8].into()));
        headers.insert("nested".into(), AMQPValue::FieldTable(FieldTable::default()));
        let deaths = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
        headers.insert(DEATHS.into(), AMQPValue::FieldArray(deaths));
        let pairs = flatten(&headers);
        let shown: Vec<_> = pairs.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(
            shown,
            [
                "cloudEvents:type=a.b",
                "count=-3",
                "flag=true",
                "x-death-reason=expired",
                "x-death-count=2",
            ]
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_an_error_and_no_panic() {
        let pairs = [("x".repeat(256), String::new())];
        assert!(table(&pairs).unwrap_err().contains("256 bytes"));
    }
}
