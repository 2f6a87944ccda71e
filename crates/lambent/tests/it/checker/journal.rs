//! The journal: what was sent, and what was promised in answer, one JSON object a line.
//!
//! An intent is written before a request goes out; a promise after its answer has come, and is
//! fsynced before the sender does anything else. So whatever dies, the journal never claims a
//! promise that was not made, and lacks at most those whose answer was still on its way.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Entry {
    /// About to be sent: an event, or a call, under the sender's own id.
    Intent {
        id: String,
        project: String,
        sent: Sent,
        hash: String,
    },
    /// 202 for an event: its id there, and what it started.
    Accepted {
        id: String,
        event: String,
        duplicate: bool,
        invocations: Vec<String>,
    },
    /// 202 for a call that is to run later.
    CallAccepted {
        id: String,
        invocation: String,
    },
    /// 200 for a call with an idempotency key.
    Answered {
        id: String,
        body: String,
    },
    Redriving {
        invocation: String,
    },
    Redriven {
        invocation: String,
    },
    /// An answer that the load does not expect.
    Odd {
        id: String,
        status: u16,
        body: String,
    },
}

/// What was sent. Each kind of event meets the triggers of functions of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// One function, which succeeds.
    Ok,
    /// Two functions.
    Fan,
    /// Fails, fails, succeeds.
    Flaky,
    /// Fails always.
    Doomed,
    /// Takes long enough to be killed in the middle.
    Slow,
    /// No function.
    Nobody,
    CallLater,
    /// A synchronous call with an idempotency key.
    Call,
}

impl Sent {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok | Self::CallLater | Self::Call => "ok",
            Self::Fan => "fan",
            Self::Flaky => "flaky",
            Self::Doomed => "doomed",
            Self::Slow => "slow",
            Self::Nobody => "nobody",
        }
    }

    /// How many invocations it starts.
    pub fn starts(self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::Fan => 2,
            _ => 1,
        }
    }
}

impl Entry {
    pub fn is_promise(&self) -> bool {
        !matches!(self, Self::Intent { .. } | Self::Redriving { .. } | Self::Odd { .. })
    }
}

pub struct Journal(Mutex<File>);

impl Journal {
    pub fn open(folder: &Path) -> Self {
        let path = folder.join("journal");
        Self(Mutex::new(OpenOptions::new().append(true).create(true).open(path).unwrap()))
    }

    pub fn note(&self, entry: &Entry) {
        let line = serde_json::to_string(entry).unwrap() + "\n";
        let mut file = self.0.lock().unwrap();
        file.write_all(line.as_bytes()).unwrap();
        if entry.is_promise() {
            file.sync_data().unwrap();
        }
    }

    /// Everything up to the last whole line.
    pub fn read(folder: &Path) -> Vec<Entry> {
        let text = std::fs::read_to_string(folder.join("journal")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
