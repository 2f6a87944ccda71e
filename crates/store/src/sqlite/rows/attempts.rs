//! Rows of attempts and of their faults. An attempt is an array:
//!
//! ```text
//! [number, version, started, ended, start, queued, placed, sandbox, init, run, memory peak,
//!  log dropped, fault, batch if it has one]
//! ```

use std::borrow::Cow;
use std::time::Duration;

use model::invocation::{Attempt, BatchPart, Start, Timing};
use model::{Blame, Fault, InvocationId};
use serde::{Deserialize, Serialize};

use super::{json, micros, parse, time, unknown};
use crate::sqlite::ledger::Fail;

fn start_number(start: Start) -> u8 {
    match start {
        Start::Warm => 1,
        Start::Pool => 2,
        Start::Fresh => 3,
    }
}

fn start_of(number: u8) -> Result<Option<Start>, Fail> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(Start::Warm)),
        2 => Ok(Some(Start::Pool)),
        3 => Ok(Some(Start::Fresh)),
        other => Err(unknown("attempts", "start", other)),
    }
}

#[derive(Serialize, Deserialize)]
struct FaultRow<'a> {
    blame: u8,
    code: Cow<'a, str>,
    message: Cow<'a, str>,
    trace: Cow<'a, [String]>,
}

impl<'a> FaultRow<'a> {
    fn of(fault: &'a Fault) -> Self {
        Self {
            blame: match fault.blame {
                Blame::Function => 1,
                Blame::Platform => 2,
            },
            code: (&*fault.code).into(),
            message: (&*fault.message).into(),
            trace: (&*fault.trace).into(),
        }
    }

    fn fault(self) -> Result<Fault, Fail> {
        let blame = match self.blame {
            1 => Blame::Function,
            2 => Blame::Platform,
            other => return Err(unknown("invocations", "blame", other)),
        };
        let (code, message) = (self.code.into_owned(), self.message.into_owned());
        Ok(Fault { blame, code, message, trace: self.trace.into_owned() })
    }
}

pub(in crate::sqlite) fn fault_text(fault: &Fault) -> Result<String, Fail> {
    json("invocations", &FaultRow::of(fault))
}

pub(in crate::sqlite) fn fault(text: &str) -> Result<Fault, Fail> {
    parse::<FaultRow<'_>>("invocations", text)?.fault()
}

#[derive(Serialize, Deserialize)]
struct AttemptRow<'a>(
    u32,
    u32,
    i64,
    i64,
    u8,
    u64,
    u64,
    u64,
    u64,
    u64,
    Option<u64>,
    u64,
    #[serde(borrow)] Option<FaultRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<BatchPartRow>,
);

/// The first invocation, and the size.
#[derive(Serialize, Deserialize)]
struct BatchPartRow(String, u32);

impl BatchPartRow {
    fn part(self) -> Result<BatchPart, Fail> {
        let id = self.0.parse::<InvocationId>();
        let id = id.map_err(|error| Fail::Row { table: "attempts", why: error.to_string() })?;
        Ok(BatchPart { id, size: self.1 })
    }
}

pub(in crate::sqlite) fn attempt_text(attempt: &Attempt) -> Result<String, Fail> {
    let Timing { queued, placed, sandbox, init, run } = attempt.timing;
    json(
        "attempts",
        &AttemptRow(
            attempt.number,
            attempt.version,
            attempt.started_at.micros(),
            attempt.ended_at.micros(),
            attempt.start.map_or(0, start_number),
            micros(queued),
            micros(placed),
            micros(sandbox),
            micros(init),
            micros(run),
            attempt.memory_peak_bytes,
            attempt.log_dropped_bytes,
            attempt.fault.as_ref().map(FaultRow::of),
            attempt.batch.map(|part| BatchPartRow(part.id.to_string(), part.size)),
        ),
    )
}

pub(in crate::sqlite) fn attempt(text: &str) -> Result<Attempt, Fail> {
    let row: AttemptRow<'_> = parse("attempts", text)?;
    let span = Duration::from_micros;
    Ok(Attempt {
        number: row.0,
        version: row.1,
        started_at: time(row.2),
        ended_at: time(row.3),
        start: start_of(row.4)?,
        timing: Timing {
            queued: span(row.5),
            placed: span(row.6),
            sandbox: span(row.7),
            init: span(row.8),
            run: span(row.9),
        },
        memory_peak_bytes: row.10,
        log_dropped_bytes: row.11,
        fault: row.12.map(FaultRow::fault).transpose()?,
        batch: row.13.map(BatchPartRow::part).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_survives_its_row() {
        let mut fault = Fault::function("ValueError", "a \"quote\"\nand\u{1}");
        fault.trace = vec!["File \"x.py\", line 1".into()];
        let written = Attempt {
            number: 3,
            version: 2,
            started_at: time(1),
            ended_at: time(-2),
            start: Some(Start::Pool),
            timing: Timing { run: Duration::from_micros(7), ..Timing::default() },
            memory_peak_bytes: Some(1 << 40),
            fault: Some(fault),
            log_dropped_bytes: 9,
            batch: None,
        };
        assert_eq!(attempt(&attempt_text(&written).unwrap()).unwrap(), written);
        let part = BatchPart { id: InvocationId::from_bytes([7; 16]), size: 42 };
        let written = Attempt { batch: Some(part), ..written };
        assert_eq!(attempt(&attempt_text(&written).unwrap()).unwrap(), written);
    }
}
