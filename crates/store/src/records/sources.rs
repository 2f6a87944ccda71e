//! Sources: what events come from by themselves, such as a queue that is read or a schedule.
//!
//! The store knows neither what the kinds are nor what their settings mean. It keeps a cursor for
//! each, how far the source has been read, and moves it in the same commit as the events that were
//! read ([`Store::append_from`](crate::Store::append_from)).

use bytes::Bytes;
use model::{Project, SourceId, SourceName, Timestamp};

/// A source as it is made, or as it is to be from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSource {
    /// The id if it is new, or of another kind than the one that had its name.
    pub id: SourceId,
    pub project: Project,
    pub name: SourceName,
    pub kind: String,
    /// JSON, without secrets.
    pub settings: String,
    /// The secrets, encrypted by whoever knows them.
    pub sealed: Option<Bytes>,
    pub enabled: bool,
    pub now: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    pub id: SourceId,
    pub project: Project,
    pub name: SourceName,
    pub kind: String,
    pub settings: String,
    pub sealed: Option<Bytes>,
    pub enabled: bool,
    pub created_at: Timestamp,
    /// When its settings changed last.
    pub updated_at: Timestamp,
    /// How far it has been read, in its kind's own words; none if nothing has been.
    pub cursor: Option<String>,
}
