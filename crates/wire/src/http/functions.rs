//! Functions and versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rfc3339;

/// A function with the settings of its newest version, or of the one that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Function {
    pub name: String,
    pub id: String,
    pub project: String,
    /// 1, 2, 3, …: every deploy makes one.
    pub version: u32,
    pub runtime: String,
    #[schema(example = "handler.handler")]
    pub handler: String,
    pub description: String,
    pub memory_mib: u32,
    pub timeout_s: u32,
    pub env: BTreeMap<String, String>,
    /// Retries of an event after its first attempt failed.
    pub retries: u32,
    /// Seconds before the first retry; doubled with each.
    pub backoff_s: u32,
    /// Seconds after which an event becomes a dead letter instead of another attempt.
    pub event_age_s: u32,
    /// Attempts at once; null is as many as the project may have.
    pub concurrency: Option<u32>,
    pub code: Code,
    pub created_at: String,
    /// When this version was deployed.
    pub updated_at: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Code {
    pub sha256: String,
    pub size_bytes: u64,
    pub file_name: String,
}

impl Function {
    pub fn new(function: &model::Function, version: &model::Version) -> Self {
        let config = &version.config;
        Self {
            name: function.name.to_string(),
            id: function.id.to_string(),
            project: function.project.to_string(),
            version: version.number,
            runtime: config.runtime.to_string(),
            handler: config.handler.to_string(),
            description: config.description.clone(),
            memory_mib: config.memory_mib,
            timeout_s: config.timeout_s,
            env: config.env.clone(),
            retries: config.retries,
            backoff_s: config.backoff_s,
            event_age_s: config.event_age_s,
            concurrency: config.concurrency,
            code: Code {
                sha256: version.code.digest.to_string(),
                size_bytes: version.code.size_bytes,
                file_name: version.code.file_name.clone(),
            },
            created_at: rfc3339(function.created_at),
            updated_at: rfc3339(version.created_at),
        }
    }
}

/// The multipart form of a deploy: one part `code`, the rest are settings. What is left out keeps
/// the value of the version before, or gets its default.
#[derive(Clone, Debug, Default, ToSchema)]
#[expect(dead_code, reason = "describes the form to OpenAPI; the parts are read one by one")]
pub struct DeployForm {
    /// A `.py` file or a zip.
    #[schema(value_type = String, format = Binary)]
    code: Vec<u8>,
    /// Such as `python3.11`; without it the newest Python that the service has.
    runtime: Option<String>,
    /// `module.function`; without it, found from the code (`handler.py` with `handler`, …).
    handler: Option<String>,
    description: Option<String>,
    memory_mib: Option<u32>,
    timeout_s: Option<u32>,
    /// A JSON object of strings; `env.NAME` parts set single variables.
    env: Option<String>,
    retries: Option<u32>,
    backoff_s: Option<u32>,
    event_age_s: Option<u32>,
    /// A number, or empty for no limit of its own.
    concurrency: Option<String>,
}
