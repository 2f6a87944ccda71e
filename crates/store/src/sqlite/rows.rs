//! How the model's values look in columns.
//!
//! Ids are their 16 bytes, times are microseconds, enumerations are small numbers that are never
//! reused. What no query looks into is JSON text: objects, such as a version's settings, but arrays
//! without names where there is one per invocation ([`attempts`]) or per line of a log.

mod attempts;
mod delivery;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use model::function::{Code, Digest};
use model::invocation::{LogLine, Origin, Status, Stream};
use model::name::Invalid;
use model::{Config, Handler, RuntimeName, Timestamp, TriggerName, Version};
use serde::{Deserialize, Serialize};

pub(super) use self::attempts::*;
pub(super) use self::delivery::*;
use super::ledger::Fail;

/// A name or a value from a row, which was checked when it was written.
pub(super) fn trusted<T>(table: &'static str, parsed: Result<T, Invalid>) -> Result<T, Fail> {
    parsed.map_err(|invalid| Fail::Row { table, why: invalid.to_string() })
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// For a LIMIT.
pub(super) fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// SQLite has no unsigned numbers; none of ours comes near the difference.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The function's plain lane has no name.
pub(super) fn lane_text(lane: Option<&TriggerName>) -> &str {
    lane.map_or("", TriggerName::as_str)
}

pub(super) fn lane(text: &str) -> Result<Option<TriggerName>, Fail> {
    let lane = (!text.is_empty()).then(|| TriggerName::parse(text)).transpose();
    trusted("invocations", lane)
}

// ---- enumerations ----

pub(super) fn status_of(number: u8) -> Result<Status, Fail> {
    let found = Status::ALL.into_iter().find(|status| crate::status_number(*status) == number);
    found.ok_or_else(|| unknown("invocations", "status", number))
}

pub(super) fn origin_number(origin: Origin) -> u8 {
    match origin {
        Origin::Call => 0,
        Origin::AsyncCall => 1,
        Origin::Event => 2,
    }
}

pub(super) fn origin_of(number: u8) -> Result<Origin, Fail> {
    match number {
        0 => Ok(Origin::Call),
        1 => Ok(Origin::AsyncCall),
        2 => Ok(Origin::Event),
        other => Err(unknown("invocations", "origin", other)),
    }
}

fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
        Stream::Platform => 3,
    }
}

fn stream_of(number: u8) -> Result<Stream, Fail> {
    match number {
        1 => Ok(Stream::Stdout),
        2 => Ok(Stream::Stderr),
        3 => Ok(Stream::Platform),
        other => Err(unknown("log", "stream", other)),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn unknown(table: &'static str, what: &str, number: u8) -> Fail {
    Fail::Row { table, why: format!("{number} is no {what}") }
}

// ---- log lines ----

/// Time, stream, text.
#[derive(Serialize, Deserialize)]
struct LineRow<'a>(i64, u8, Cow<'a, str>);

pub(super) fn lines_text(lines: &[LogLine]) -> Result<String, Fail> {
    let row = |line: &LogLine| (line.at.micros(), stream_number(line.stream));
    let rows: Vec<_> = lines
        .iter()
        .map(|line| LineRow(row(line).0, row(line).1, Cow::Borrowed(&line.text)))
        .collect();
    json("log", &rows)
}

pub(super) fn lines(text: &str) -> Result<Vec<LogLine>, Fail> {
    let rows: Vec<LineRow<'_>> = parse("log", text)?;
    rows.into_iter()
        .map(|LineRow(at, stream, text)| {
            Ok(LogLine { at: time(at), stream: stream_of(stream)?, text: text.into_owned() })
        })
        .collect()
}

// ---- versions ----

#[derive(Serialize, Deserialize)]
struct ConfigRow<'a> {
    runtime: Cow<'a, str>,
    handler: Cow<'a, str>,
    description: Cow<'a, str>,
    memory_mib: u32,
    timeout_s: u32,
    env: Cow<'a, BTreeMap<String, String>>,
    retries: u32,
    backoff_s: u32,
    event_age_s: u32,
    concurrency: Option<u32>,
}

pub(super) fn config_text(config: &Config) -> Result<String, Fail> {
    json(
        "versions",
        &ConfigRow {
            runtime: config.runtime.as_str().into(),
            handler: config.handler.as_str().into(),
            description: (&*config.description).into(),
            memory_mib: config.memory_mib,
            timeout_s: config.timeout_s,
            env: Cow::Borrowed(&config.env),
            retries: config.retries,
            backoff_s: config.backoff_s,
            event_age_s: config.event_age_s,
            concurrency: config.concurrency,
        },
    )
}

fn config(text: &str) -> Result<Config, Fail> {
    let row: ConfigRow<'_> = parse("versions", text)?;
    Ok(Config {
        runtime: trusted("versions", RuntimeName::parse(&row.runtime))?,
        handler: trusted("versions", Handler::parse(&row.handler))?,
        description: row.description.into_owned(),
        memory_mib: row.memory_mib,
        timeout_s: row.timeout_s,
        env: row.env.into_owned(),
        retries: row.retries,
        backoff_s: row.backoff_s,
        event_age_s: row.event_age_s,
        concurrency: row.concurrency,
    })
}

/// The columns that [`version`] reads, of the table `versions` as `v`.
pub(super) const VERSION: &str =
    "v.number, v.created_at, v.digest, v.size_bytes, v.file_name, v.config";

/// A version from those columns, which start at `first`.
pub(super) fn version(row: &rusqlite::Row<'_>, first: usize) -> Result<Version, Fail> {
    Ok(Version {
        number: row.get(first)?,
        created_at: time(row.get(first + 1)?),
        code: Code {
            digest: Digest(row.get(first + 2)?),
            size_bytes: unsigned(row.get(first + 3)?),
            file_name: row.get(first + 4)?,
        },
        config: config(row.get_ref(first + 5)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}

fn json(table: &'static str, value: &impl Serialize) -> Result<String, Fail> {
    serde_json::to_string(value).map_err(|error| Fail::Row { table, why: error.to_string() })
}

fn parse<'a, T: Deserialize<'a>>(table: &'static str, text: &'a str) -> Result<T, Fail> {
    serde_json::from_str(text).map_err(|error| Fail::Row { table, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_number() {
        for status in Status::ALL {
            assert_eq!(status_of(crate::status_number(status)).unwrap(), status);
        }
        assert!(status_of(6).is_err());
    }
}
