//! What a user uploaded: a function, and its versions, which never change.
//!
//! Every deploy makes a version; the newest is what an event or a call runs, unless one is named.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::delivery::Delivery;
pub use crate::digest::Digest;
use crate::id::FunctionId;
use crate::limits;
use crate::name::{FunctionName, Handler, Invalid, Project, RuntimeName, TriggerName};
use crate::pattern::Pattern;

/// A function as it stands: its name and its newest version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    pub id: FunctionId,
    pub project: Project,
    pub name: FunctionName,
    pub created_at: Timestamp,
    pub latest: Version,
}

/// An immutable snapshot: this code with these settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// 1, 2, 3, … per function.
    pub number: u32,
    pub created_at: Timestamp,
    pub code: Code,
    pub config: Config,
}

/// Where the code is: a blob named by its own hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    pub digest: Digest,
    pub size_bytes: u64,
    /// The upload's file name, which tells a lone source file from a zip.
    pub file_name: String,
}

/// Settings of a version, all within their limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub runtime: RuntimeName,
    pub handler: Handler,
    pub description: String,
    pub memory_mib: u32,
    pub timeout_s: u32,
    pub env: BTreeMap<String, String>,
    /// Retries of an event after the first attempt failed.
    pub retries: u32,
    /// Wait before the first retry, doubled with each.
    pub backoff_s: u32,
    /// An event older than this becomes a dead letter instead of another attempt.
    pub event_age_s: u32,
    /// Attempts at once; none is as many as the project may have.
    pub concurrency: Option<u32>,
}

impl Config {
    /// The defaults, for a runtime and a handler.
    pub fn new(runtime: RuntimeName, handler: Handler) -> Self {
        Self {
            runtime,
            handler,
            description: String::new(),
            memory_mib: limits::MEMORY_MIB_DEFAULT,
            timeout_s: limits::TIMEOUT_S_DEFAULT,
            env: BTreeMap::new(),
            retries: limits::RETRIES_DEFAULT,
            backoff_s: limits::BACKOFF_S_DEFAULT,
            event_age_s: limits::EVENT_AGE_S_DEFAULT,
            concurrency: None,
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    pub fn event_age(&self) -> Duration {
        Duration::from_secs(self.event_age_s.into())
    }

    /// Every setting against its limit; the first that does not fit is told.
    pub fn check(&self) -> Result<(), Invalid> {
        within("memory_mib", self.memory_mib, &limits::MEMORY_MIB, "MiB")?;
        within("timeout_s", self.timeout_s, &limits::TIMEOUT_S, "seconds")?;
        within("retries", self.retries, &limits::RETRIES, "retries")?;
        within("backoff_s", self.backoff_s, &limits::BACKOFF_S, "seconds")?;
        within("event_age_s", self.event_age_s, &limits::EVENT_AGE_S, "seconds")?;
        if let Some(concurrency) = self.concurrency {
            within("concurrency", concurrency, &limits::CONCURRENCY, "attempts at once")?;
        }
        if self.description.len() > limits::DESCRIPTION_BYTES {
            let most = limits::DESCRIPTION_BYTES;
            let why = format!("it has {} bytes, and may have {most}", self.description.len());
            return Err(Invalid::new("description", &self.description, why));
        }
        check_env(&self.env)
    }
}

fn within(
    field: &'static str,
    value: u32,
    range: &std::ops::RangeInclusive<u32>,
    unit: &str,
) -> Result<(), Invalid> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        value,
        format!("it must be {} to {} {unit}", range.start(), range.end()),
    ))
}

/// Names that we set ourselves, or that would change what runs before the user's code does.
const RESERVED_ENV: [&str; 9] = [
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "_HANDLER",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
];
const RESERVED_ENV_PREFIXES: [&str; 2] = ["AWS_LAMBDA_", "LAMBENT_"];

fn check_env(env: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let mut bytes = 0;
    for (name, value) in env {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(fits)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            let why = "a variable's name has letters, digits and _, and no digit first";
            return Err(Invalid::new("env", name, why));
        }
        let reserved = RESERVED_ENV.contains(&name.as_str())
            || RESERVED_ENV_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if reserved {
            return Err(Invalid::new("env", name, "this name is reserved for the platform"));
        }
        if value.contains('\0') {
            return Err(Invalid::new("env", name, "its value holds a NUL character"));
        }
        bytes += name.len() + value.len();
    }
    if bytes > limits::ENV_BYTES {
        let why =
            format!("names and values have {bytes} bytes, and may have {}", limits::ENV_BYTES);
        return Err(Invalid::new("env", format!("{} variables", env.len()), why));
    }
    Ok(())
}

/// The rule that sends matching events to a function.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub function: FunctionId,
    pub name: TriggerName,
    pub pattern: Pattern,
    pub delivery: Delivery,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let runtime = RuntimeName::parse("python3.11").unwrap();
        Config::new(runtime, Handler::parse("handler.handler").unwrap())
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Config), expect: &str) {
        let mut config = config();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), expect);
    }

    #[test]
    fn settings_outside_their_limits_are_refused_with_the_limit() {
        assert_eq!(config().check(), Ok(()));
        refused(
            |c| c.memory_mib = 63,
            r#"memory_mib "63" is not valid: it must be 64 to 10240 MiB"#,
        );
        refused(
            |c| c.timeout_s = 901,
            r#"timeout_s "901" is not valid: it must be 1 to 900 seconds"#,
        );
        refused(
            |c| drop(c.env.insert("LD_PRELOAD".into(), "x".into())),
            r#"env "LD_PRELOAD" is not valid: this name is reserved for the platform"#,
        );
        refused(
            |c| drop(c.env.insert("A".into(), "x".repeat(5_000))),
            r#"env "1 variables" is not valid: names and values have 5001 bytes, and may have 4096"#,
        );
    }
}
