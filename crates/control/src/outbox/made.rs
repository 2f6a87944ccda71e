//! Events that Lambent makes: what a message holds. Pure.
//!
//! Every message is a CloudEvent, wherever it goes: inside, it is stored as one; outside, its data is
//! the body, and its attributes are headers, as the binary mode of HTTP and of AMQP has them. Each
//! counts in `lambenthops` how many of ours led to it, so that a circle of functions ends: whoever
//! feeds it back into Lambent, over a broker or over HTTP, brings the count along.

use model::{Event, Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wire::cloudevents::{self, Malformed};
use wire::http::rfc3339;

/// The attribute that counts.
pub(crate) const HOPS: &str = "lambenthops";

/// An event that is being made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) id: &'a str,
    pub(crate) source: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) at: Timestamp,
    pub(crate) hops: u32,
    pub(crate) data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Record<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'static str>,
    lambenthops: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

impl Draft<'_> {
    /// Held to all that an event from outside is held to.
    pub(crate) fn finish(&self) -> Result<Event, Malformed> {
        let record = Record {
            specversion: "1.0",
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: rfc3339(self.at),
            datacontenttype: self.data.map(|_| "application/json"),
            lambenthops: self.hops,
            data: self.data,
        };
        let record = serde_json::to_vec(&record).expect("strings and JSON are JSON");
        cloudevents::structured(&record, None)
    }
}

/// How many of ours led to an event, by its record. An asynchronous call's body is no record, and
/// none led to it.
pub(crate) fn hops(record: &[u8]) -> u32 {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(default, rename = "lambenthops")]
        hops: u32,
    }
    serde_json::from_slice::<Counted>(record).map_or(0, |counted| counted.hops)
}

/// Why an event goes no further, if it has come far enough.
pub(crate) fn too_far(record: &[u8]) -> Option<String> {
    let hops = hops(record);
    (hops > limits::HOPS).then(|| {
        format!(
            "LoopDetected: {} events that Lambent made led to this one, each to the next, and there \
             may be {}: functions send to each other in a circle",
            hops - 1,
            limits::HOPS
        )
    })
}

/// A record as it leaves: what is body, and what is headers.
#[derive(Debug, Deserialize)]
pub(crate) struct Leaving<'a> {
    pub(crate) id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: Option<String>,
    time: String,
    lambenthops: u32,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
}

impl<'a> Leaving<'a> {
    pub(crate) fn read(record: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(record)
            .map_err(|error| format!("the message in the outbox cannot be read: {error}"))
    }

    /// Its attributes by their names.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("specversion", "1.0".to_owned()),
            ("id", self.id.clone()),
            ("source", self.source.clone()),
            ("type", self.kind.clone()),
            ("time", self.time.clone()),
            (HOPS, self.lambenthops.to_string()),
        ];
        all.extend(self.subject.clone().map(|subject| ("subject", subject)));
        all
    }

    pub(crate) fn body(&self) -> &'a str {
        self.data.map_or("null", RawValue::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(hops: u32) -> Draft<'static> {
        let (id, source, kind) = ("1", "lambent:function/f", "t");
        let at = Timestamp::from_millis(1_000);
        Draft { id, source, kind, subject: Some("s"), at, hops, data: None }
    }

    #[test]
    fn hops_are_counted_in_the_record_and_end_a_chain_after_the_sixteenth() {
        let record = |hops| draft(hops).finish().unwrap().record;
        assert_eq!(hops(record(7).as_bytes()), 7);
        assert_eq!(too_far(record(16).as_bytes()), None);
        let why = too_far(record(17).as_bytes()).unwrap();
        assert!(why.starts_with("LoopDetected: 16 events"), "{why}");
    }

    #[test]
    fn what_does_not_count_hops_has_none() {
        for record in ["{}", "null", "[]", "7", "\"x\"", r#"{"lambenthops": "many"}"#] {
            assert_eq!(hops(record.as_bytes()), 0, "{record}");
        }
        assert_eq!(hops(br#"{"lambenthops": -1}"#), 0);
    }

    #[test]
    fn what_leaves_has_its_attributes_apart_from_its_data_byte_for_byte() {
        let data = RawValue::from_string(r#"{"n":1.50}"#.into()).unwrap();
        let event = Draft { data: Some(&data), ..draft(2) }.finish().unwrap();
        let leaving = Leaving::read(event.record.as_bytes()).unwrap();
        assert_eq!(leaving.body(), r#"{"n":1.50}"#);
        let attributes = leaving.attributes();
        for (name, value) in [("type", "t"), ("subject", "s"), (HOPS, "2"), ("id", "1")] {
            assert!(attributes.contains(&(name, value.to_owned())), "{attributes:?}");
        }
        assert_eq!(
            Leaving::read(draft(1).finish().unwrap().record.as_bytes()).unwrap().body(),
            "null"
        );
    }
}
