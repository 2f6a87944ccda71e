//! A batch, as a handler gets it, and how its answer tells which of it failed.
//!
//! The handler's event is `{"records": […]}`, and each record is
//! `{"id": …, "event_id": …, "attempt": …, "event": …}`. The `id` is the invocation's: the events'
//! own ids need not differ within a batch, since senders choose them and a replay brings them again.
//!
//! The answer is that of AWS Lambda's partial batch responses: `{"batchItemFailures":
//! [{"itemIdentifier": "…"}]}` names what failed. [`failures`] reads it and is as strict as AWS: an
//! answer that might have meant something else is no answer. What it does not do: it does not know
//! what was in the batch, and so not whether a name in the answer is one of it.

use std::fmt;

use bytes::Bytes;
use model::{EventId, InvocationId};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Failures that an answer may name, some of them twice: ten times the largest batch.
const FAILURES: usize = 10_000;

/// Bytes that a record has beside its event, at most: two ids of 36 characters, a number and the
/// members' names.
const RECORD_BYTES: usize = 160;

const OPEN: &[u8] = br#"{"records":["#;
const CLOSE: &[u8] = b"]}";

/// One record, as JSON, around an event that is JSON.
pub fn record(id: InvocationId, event_id: EventId, attempt: u32, event: &[u8]) -> Bytes {
    let head = format!(r#"{{"id":"{id}","event_id":"{event_id}","attempt":{attempt},"event":"#);
    let mut record = Vec::with_capacity(event.len() + RECORD_BYTES);
    record.extend_from_slice(head.as_bytes());
    record.extend_from_slice(event);
    record.push(b'}');
    record.into()
}

/// What the handler gets: all the records.
pub fn event<'r>(records: impl Iterator<Item = &'r Bytes> + Clone) -> Bytes {
    let mut event = Vec::with_capacity(event_bytes(records.clone().map(Bytes::len)));
    event.extend_from_slice(OPEN);
    for (index, record) in records.enumerate() {
        if index > 0 {
            event.push(b',');
        }
        event.extend_from_slice(record);
    }
    event.extend_from_slice(CLOSE);
    event.into()
}

/// How many bytes [`event`] has for records of these lengths, give or take one.
pub fn event_bytes(records: impl Iterator<Item = usize>) -> usize {
    records.map(|record| record + 1).sum::<usize>() + OPEN.len() + CLOSE.len()
}

/// The ids that the answer names as failed. An error is the reason, as the end of a sentence, why
/// it cannot be told which they are.
pub fn failures(answer: &[u8]) -> Result<Vec<String>, String> {
    // A derived reader would take a list for an object, member by member.
    let found = serde_json::from_slice::<Option<Answer>>(answer).map_err(|error| error.to_string());
    Ok(found?.unwrap_or_default().0)
}

/// An object, perhaps with a list of failures.
#[derive(Default)]
struct Answer(Vec<String>);

/// A list of objects that name one failure each; or null.
#[derive(Default)]
struct Failures(Vec<String>);

/// An object that names a failure.
struct Failure(String);

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Answer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"null or an object such as {"batchItemFailures": []}"#)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
                let found = member(&mut map, "batchItemFailures")?;
                Ok(Answer(found.map_or_else(Vec::new, |Failures(ids)| ids)))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for Failures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Failures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a list such as [{"itemIdentifier": "…"}]"#)
            }

            fn visit_unit<E: Error>(self) -> Result<Failures, E> {
                Ok(Failures::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Failures, A::Error> {
                let mut ids = Vec::new();
                while let Some(Failure(id)) = seq.next_element()? {
                    if ids.len() == FAILURES {
                        let why = format!("it names more than {FAILURES} failures");
                        return Err(Error::custom(why));
                    }
                    ids.push(id);
                }
                Ok(Failures(ids))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Failure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"an object such as {"itemIdentifier": "…"}"#)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Failure, A::Error> {
                match member(&mut map, "itemIdentifier")? {
                    Some(id) => Ok(Failure(id)),
                    None => Err(Error::missing_field("itemIdentifier")),
                }
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The member of this name; the others may be anything, and are not kept.
fn member<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    name: &'static str,
) -> Result<Option<T>, A::Error> {
    let mut found = None;
    while let Some(key) = map.next_key::<String>()? {
        if key != name {
            map.next_value::<IgnoredAny>()?;
        } else if found.replace(map.next_value()?).is_some() {
            return Err(Error::duplicate_field(name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_what_failed_or_nothing() {
        for (answer, expect) in [
            ("null", &[][..]),
            ("{}", &[]),
            (r#"{"batchItemFailures":null}"#, &[]),
            (r#"{"batchItemFailures":[]}"#, &[]),
            (r#"{"done":7,"batchItemFailures":[]}"#, &[]),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#, &["a"]),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"a","x":[1]},{"itemIdentifier":"b"}]}"#,
                &["a", "b"],
            ),
            // Whether there is such a one is not asked here.
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, &[""]),
        ] {
            let expect: Vec<_> = expect.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(failures(answer.as_bytes()), Ok(expect), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_may_mean_something_else_is_none() {
        for (answer, why) in [
            (r#""""#, "expected null or an object"),
            ("true", "expected null or an object"),
            ("7", "expected null or an object"),
            ("[]", "expected null or an object"),
            (r#"[[{"itemIdentifier":"a"}]]"#, "expected null or an object"),
            (r#"{"batchItemFailures":"a"}"#, "expected a list"),
            (r#"{"batchItemFailures":{}}"#, "expected a list"),
            (r#"{"batchItemFailures":["a"]}"#, "expected an object"),
            (r#"{"batchItemFailures":[null]}"#, "expected an object"),
            (r#"{"batchItemFailures":[["a"]]}"#, "expected an object"),
            (r#"{"batchItemFailures":[{}]}"#, "missing field `itemIdentifier`"),
            (r#"{"batchItemFailures":[{"id":"a"}]}"#, "missing field `itemIdentifier`"),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, "expected a string"),
            (r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#, "expected a string"),
            (r#"{"batchItemFailures":[],"batchItemFailures":[]}"#, "duplicate field"),
            (r#"{"batchItemFailures":["#, "EOF"),
            ("", "EOF"),
        ] {
            let told = failures(answer.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{answer}: {told}");
        }
        let item = r#"{"itemIdentifier":"a"},"#.repeat(FAILURES);
        let most = format!(r#"{{"batchItemFailures":[{}]}}"#, item.trim_end_matches(','));
        assert_eq!(failures(most.as_bytes()).map(|ids| ids.len()), Ok(FAILURES));
        let more = format!(r#"{{"batchItemFailures":[{item}{{"itemIdentifier":"a"}}]}}"#);
        assert!(failures(more.as_bytes()).unwrap_err().contains("more than 10000"));
    }

    #[test]
    fn a_batch_has_its_events_as_they_are_with_what_tells_them_apart() {
        let (id, event_id) = (InvocationId::from_bytes([1; 16]), EventId::from_bytes([2; 16]));
        let records =
            [br#"{"n":1e400}"#.as_slice(), b"\"text\""].map(|event| record(id, event_id, 3, event));
        let whole = event(records.iter());
        let expect = format!(
            r#"{{"records":[{{"id":"{id}","event_id":"{event_id}","attempt":3,"event":{{"n":1e400}}}},"#
        ) + &format!(
            r#"{{"id":"{id}","event_id":"{event_id}","attempt":3,"event":"text"}}]}}"#
        );
        assert_eq!(std::str::from_utf8(&whole), Ok(&*expect));
        let counted = event_bytes(records.iter().map(Bytes::len));
        assert!((whole.len()..=whole.len() + 1).contains(&counted));
        assert!(record(id, event_id, u32::MAX, b"").len() <= RECORD_BYTES);
    }
}
