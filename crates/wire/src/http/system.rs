//! The service itself: workers and keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A machine's agent, as it stands now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    pub id: String,
    pub runtimes: Vec<String>,
    pub memory_total_mib: u64,
    pub memory_reserved_mib: u64,
    pub sandboxes_idle: u32,
    pub sandboxes_busy: u32,
    /// Made ahead, waiting for code.
    pub sandboxes_pooled: u32,
    /// Attempts that wait for a sandbox.
    pub waiting: u32,
    pub draining: bool,
    /// What isolation lacks on this machine, in sentences.
    pub isolation_missing: Vec<String>,
}

impl Worker {
    pub fn new(id: String, capacity: &crate::worker::Capacity) -> Self {
        Self {
            id,
            runtimes: capacity.runtimes.iter().map(ToString::to_string).collect(),
            memory_total_mib: capacity.memory_total_mib,
            memory_reserved_mib: capacity.memory_reserved_mib,
            sandboxes_idle: capacity.sandboxes_idle,
            sandboxes_busy: capacity.sandboxes_busy,
            sandboxes_pooled: capacity.sandboxes_pooled,
            waiting: capacity.waiting,
            draining: capacity.draining,
            isolation_missing: capacity.isolation_missing.clone(),
        }
    }
}

/// Health: `ok`, or what is not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    pub status: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reasons: Vec<String>,
}
