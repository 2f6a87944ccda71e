//! What can go wrong with a broker: a sentence, and a kind that says who can do something about it.
//!
//! The sentence carries the broker's own words and never a password.

use std::fmt;

/// What was attempted, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt}: {why}")]
#[expect(clippy::error_impl_error, reason = "callers say brokers::Error")]
pub struct Error {
    kind: Kind,
    attempt: String,
    why: String,
}

/// Who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// There is no broker at the address, or it is not ready: try again, it will come.
    Unreachable,
    /// The broker said no to what we are or to what we ask for: credentials, permissions, a queue
    /// that does not exist or is made differently. An operator must act, on either side; trying
    /// again is for afterwards.
    Refused,
    /// The connection or the subscription ended: connect again.
    Lost,
    /// The broker is there and cannot take anything now, being short of memory or disk, or its
    /// queue full: try again later.
    Busy,
}

impl Error {
    /// "cannot `attempt`: `why`"
    pub(crate) fn new(kind: Kind, attempt: impl Into<String>, why: impl fmt::Display) -> Error {
        Error { kind, attempt: attempt.into(), why: why.to_string() }
    }

    /// The same attempt, with more to say about why it failed.
    #[cfg(feature = "nats")]
    pub(crate) fn with(self, kind: Kind, more: &str) -> Error {
        Error { kind, why: format!("{} ({more})", self.why), ..self }
    }

    /// For brokers that a test makes up.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn made_up(attempt: &str, why: &str) -> Error {
        Error::new(Kind::Lost, attempt, why)
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Kind {
    /// Short and stable, for a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Refused => "refused",
            Kind::Lost => "lost",
            Kind::Busy => "busy",
        }
    }
}
