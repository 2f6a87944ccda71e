//! `docs/reference/limits.md`: the limits that a user can meet, with the reason of each.
//!
//! The values are the program's own constants; the reasons are the comments beside them, read from
//! the source at build time, so that they are written once. A test holds that no constant of
//! `model::limits` is left out.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::limits as of;

use super::{cell, head};

const MODEL: &str = include_str!("../../../../model/src/limits.rs");
const PACKAGE: &str = include_str!("../../../../package/src/limits.rs");
const PATTERN: &str = include_str!("../../../../model/src/pattern/limits.rs");

const INTRODUCTION: &str = "\
A limit that is met is told in the error that it causes, with its value. What can be set for each
function is marked with the name of its setting; what an operator can set is in
[config.md](config.md).

";

/// What it bounds, the constant that does, and the value as people read it.
type Row = (&'static str, &'static str, String);

pub(super) fn page() -> String {
    let mut page = head("Limits", "`crates/model/src/limits.rs` and its kin") + INTRODUCTION;
    table(&mut page, "Requests", MODEL, &requests());
    table(&mut page, "Functions", MODEL, &functions());
    table(&mut page, "Delivery", MODEL, &delivery());
    table(&mut page, "Logs and results", MODEL, &logs());
    table(&mut page, "Packages", PACKAGE, &packages());
    table(&mut page, "Patterns", PATTERN, &patterns());
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn requests() -> Vec<Row> {
    vec![
        ("A call's body, and its answer", "CALL_BYTES", bytes(of::CALL_BYTES)),
        ("An event, or the body of an asynchronous call", "EVENT_BYTES", bytes(of::EVENT_BYTES)),
        ("Events in a batch", "EVENTS_PER_BATCH", number(of::EVENTS_PER_BATCH)),
        ("The body of a batch", "BATCH_BYTES", bytes(of::BATCH_BYTES)),
        ("Code, as uploaded", "CODE_BYTES", bytes(of::CODE_BYTES)),
        ("Nesting of JSON", "JSON_DEPTH", number(of::JSON_DEPTH)),
        ("An idempotency key, an event's `id`", "KEY_BYTES", bytes(of::KEY_BYTES)),
        ("Another attribute of an event", "ATTRIBUTE_BYTES", bytes(of::ATTRIBUTE_BYTES)),
        (
            "Extension attributes of an event",
            "EXTENSIONS_PER_EVENT",
            number(of::EXTENSIONS_PER_EVENT),
        ),
        (
            "Items of a page (`limit`)",
            "PAGE_ITEMS",
            range(&of::PAGE_ITEMS, of::PAGE_ITEMS_DEFAULT, ""),
        ),
    ]
}

fn functions() -> Vec<Row> {
    let memory = range(&of::MEMORY_MIB, of::MEMORY_MIB_DEFAULT, " MiB");
    let timeout = range(&of::TIMEOUT_S, of::TIMEOUT_S_DEFAULT, " s");
    vec![
        ("`memory_mib`", "MEMORY_MIB", memory),
        ("`timeout_s`", "TIMEOUT_S", timeout),
        ("Loading the code", "INIT_TIMEOUT", span(of::INIT_TIMEOUT)),
        ("`env`, names and values together", "ENV_BYTES", bytes(of::ENV_BYTES)),
        ("`description`", "DESCRIPTION_BYTES", bytes(of::DESCRIPTION_BYTES)),
        ("`/tmp`, at least", "TMP_BYTES_MIN", bytes(of::TMP_BYTES_MIN)),
        ("`concurrency`", "CONCURRENCY", format!("{}, default none", bare(&of::CONCURRENCY))),
        ("Attempts of a project at once", "PROJECT_CONCURRENCY", number(of::PROJECT_CONCURRENCY)),
        ("Triggers of a function", "TRIGGERS_PER_FUNCTION", number(of::TRIGGERS_PER_FUNCTION)),
    ]
}

fn delivery() -> Vec<Row> {
    let backoff = range(&of::BACKOFF_S, of::BACKOFF_S_DEFAULT, " s");
    let age = range(&of::EVENT_AGE_S, of::EVENT_AGE_S_DEFAULT, " s");
    vec![
        ("`retries`", "RETRIES", range(&of::RETRIES, of::RETRIES_DEFAULT, "")),
        ("`backoff_s`", "BACKOFF_S", backoff),
        ("The longest wait between attempts", "BACKOFF_MAX", span(of::BACKOFF_MAX)),
        ("`event_age_s`", "EVENT_AGE_S", age),
        ("`batch.size` of a trigger", "BATCH_SIZE", bare(&of::BATCH_SIZE)),
        ("`batch.window_s` of a trigger, at most", "BATCH_WINDOW_MAX", span(of::BATCH_WINDOW_MAX)),
        ("An ordering key", "ORDERING_KEY_BYTES", bytes(of::ORDERING_KEY_BYTES)),
        ("Duplicates are known for", "DEDUPE_WINDOW", span(of::DEDUPE_WINDOW)),
        ("Idempotency keys are known for", "IDEMPOTENCY_WINDOW", span(of::IDEMPOTENCY_WINDOW)),
        ("A lease", "LEASE", span(of::LEASE)),
        ("Events that an attempt sends", "EFFECTS", number(of::EFFECTS)),
        ("The same, all together", "EFFECTS_BYTES", bytes(of::EFFECTS_BYTES)),
        ("Events that lead to each other", "HOPS", number(of::HOPS as usize)),
        ("Sending to a destination", "MESSAGE_AGE", span(of::MESSAGE_AGE)),
    ]
}

fn logs() -> Vec<Row> {
    vec![
        ("Log of an attempt", "LOG_BYTES_PER_ATTEMPT", bytes(of::LOG_BYTES_PER_ATTEMPT)),
        ("A line of a log", "LOG_LINE_BYTES", bytes(of::LOG_LINE_BYTES)),
        ("A result that is kept", "RESULT_KEPT_BYTES", bytes(of::RESULT_KEPT_BYTES)),
        ("An error's message", "ERROR_MESSAGE_BYTES", bytes(of::ERROR_MESSAGE_BYTES)),
    ]
}

fn packages() -> Vec<Row> {
    let of = package::Limits::default();
    vec![
        ("The archive", "archive_bytes", bytes(of.archive_bytes)),
        ("All files together, unpacked", "unpacked_bytes", bytes(of.unpacked_bytes)),
        ("Files and folders", "entries", number(of.entries)),
        ("One part of a path", "name_bytes", bytes(of.name_bytes)),
        ("A whole path", "path_bytes", bytes(of.path_bytes)),
        ("Folders in folders", "depth", number(of.depth)),
        ("Bytes out for each byte in", "ratio", number(of.ratio)),
        ("One `.py` file, uploaded by itself", "source_bytes", bytes(of.source_bytes)),
    ]
}

fn patterns() -> Vec<Row> {
    use model::pattern::limits as of;
    vec![
        ("A pattern", "PATTERN_BYTES", bytes(of::PATTERN_BYTES)),
        ("Objects in objects", "PATTERN_DEPTH", number(of::PATTERN_DEPTH)),
        ("Combinations of `$or`", "OR_COMBINATIONS", number(of::OR_COMBINATIONS)),
        ("Fields of all combinations", "MULTIPLIED_FIELDS", number(of::MULTIPLIED_FIELDS)),
        ("Alternatives of a field", "ALTERNATIVES", number(of::ALTERNATIVES)),
        ("Stars in a `wildcard`", "WILDCARDS_PER_STRING", number(of::WILDCARDS_PER_STRING)),
    ]
}

fn table(page: &mut String, title: &str, source: &str, rows: &[Row]) {
    write!(page, "## {title}\n\n| what | limit | why |\n|---|---|---|\n").expect("a String");
    for (what, constant, value) in rows {
        let why = reason(source, constant);
        writeln!(page, "| {} | {value} | {} |", cell(what), cell(&why)).expect("a String");
    }
    page.push('\n');
}

/// The comment above a declaration, as one line.
fn reason(source: &str, name: &str) -> String {
    let mut comment = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
        } else if declared(line) == Some(name) {
            break;
        } else {
            comment.clear();
        }
    }
    // Links of rustdoc lead nowhere on a page of Markdown.
    let floor = bytes(package::Limits::RATIO_FLOOR);
    comment.join(" ").replace("[`Self::RATIO_FLOOR`]", &floor)
}

/// What a line declares: `pub const NAME: …` or `pub name: …`.
fn declared(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?;
    rest.strip_prefix("const ").unwrap_or(rest).split_once(": ").map(|(name, _)| name)
}

fn bytes(count: impl TryInto<u64>) -> String {
    const KIB: u64 = 1_024;
    const MIB: u64 = KIB * KIB;
    let count = count.try_into().unwrap_or(u64::MAX);
    match count {
        _ if count >= MIB && count % MIB == 0 => format!("{} MiB", count / MIB),
        _ if count >= KIB && count % KIB == 0 => format!("{} KiB", count / KIB),
        _ => format!("{} bytes", number(count)),
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds => format!("{seconds} s"),
    }
}

fn range<T: ToString>(allowed: &RangeInclusive<T>, default: T, unit: &str) -> String {
    format!("{}{unit}, default {}", bare(allowed), number(default))
}

fn bare<T: ToString>(allowed: &RangeInclusive<T>) -> String {
    format!("{} to {}", number(allowed.start().to_string()), number(allowed.end().to_string()))
}

/// With a comma between thousands.
fn number(value: impl ToString) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_left_out_and_each_has_a_reason() {
        let model = [requests(), functions(), delivery(), logs()].concat();
        let all = [(MODEL, model), (PACKAGE, packages()), (PATTERN, patterns())];
        for (source, rows) in all {
            for name in source.lines().map(str::trim).filter_map(declared) {
                // A default stands in the row of its limit; what `RATIO_FLOOR` says, `ratio` says.
                let told = name.trim_end_matches("_DEFAULT");
                let listed = rows.iter().any(|(_, constant, _)| *constant == told);
                assert!(listed || name == "RATIO_FLOOR", "{name} is not listed");
            }
            for (_, constant, _) in rows {
                assert!(!reason(source, constant).is_empty(), "{constant} has no reason");
            }
        }
    }

    #[test]
    fn values_are_told_as_people_read_them() {
        assert_eq!(bytes(6_usize * 1_024 * 1_024), "6 MiB");
        assert_eq!(bytes(3_840_u64), "3,840 bytes");
        assert_eq!(bytes(65_536_u64), "64 KiB");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(999), "999");
        assert_eq!(range(&of::MEMORY_MIB, 128, " MiB"), "64 to 10,240 MiB, default 128");
        assert_eq!(span(Duration::from_secs(86_400)), "24 h");
        assert_eq!(span(Duration::from_secs(30)), "30 s");
    }
}
