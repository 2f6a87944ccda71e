//! Deploy: what a user uploads becomes a version that can run.
//!
//! The upload is read in full before anything is kept: a package that a worker could not unpack,
//! or settings outside of their limits, are refused here, with the entry or the field named. The
//! code goes to the blobs first, then the version to the store, then the catalogue learns of it:
//! a crash in between leaves at most a blob that nobody refers to, which a reconciler removes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::function::{Code as PackageCode, Digest, Trigger};
use model::name::Invalid;
use model::{
    Config, Delivery, FunctionId, FunctionName, Handler, Pattern, Project, RuntimeName,
    TriggerName, limits,
};
use package::Summary;
use store::Deploy;
use wire::http::problem::{Code, Problem};

use crate::call::no_function;
use crate::catalogue::Entry;
use crate::{Control, settle};

/// A deploy, as it comes in: what is `None` keeps the value of the version before, or gets its
/// default.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// The code, and the file name that it had. Without it, the code of the version before.
    pub code: Option<(Bytes, String)>,
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub description: Option<String>,
    pub memory_mib: Option<u32>,
    pub timeout_s: Option<u32>,
    pub env: Option<BTreeMap<String, String>>,
    pub retries: Option<u32>,
    pub backoff_s: Option<u32>,
    pub event_age_s: Option<u32>,
    /// `Some(None)` takes the limit away.
    pub concurrency: Option<Option<u32>>,
}

impl Control {
    /// Creates a function, or the next version of one. True if it is new.
    pub async fn deploy(
        &self,
        project: &Project,
        name: &FunctionName,
        upload: Upload,
    ) -> Result<(Arc<Entry>, bool), Problem> {
        self.accepts_work()?;
        let before = self.catalogue.get(project, name);
        let (code, summary) = match upload.code.clone() {
            Some((bytes, file_name)) => {
                let (code, summary) = self.keep_code(bytes, file_name).await?;
                (code, Some(summary))
            }
            None => match &before {
                Some(entry) => (entry.function.latest.code.clone(), None),
                None => {
                    let detail = "a new function needs the part \"code\": a .py file or a zip";
                    return Err(Problem::new(Code::InvalidUpload, detail).field("code"));
                }
            },
        };
        let old = before.as_ref().map(|entry| &entry.function.latest.config);
        let config = self.config(old, upload, &code, summary.as_ref())?;
        let deploy = Deploy {
            id: FunctionId::new(&*self.clock),
            project: project.clone(),
            name: name.clone(),
            code,
            config,
            now: self.clock.now(),
        };
        let function = self.stored(self.store.deploy(deploy).await)?;
        let entry = self.catalogue.put_function(function);
        self.worker.forget(entry.function.id, Some(entry.spec.version));
        self.worker.prepare(entry.spec.clone());
        tracing::info!(%project, function = %name, version = entry.spec.version, "deployed");
        Ok((entry, before.is_none()))
    }

    /// Reads the package through and keeps it. CPU and disk, so not on the runtime's threads.
    async fn keep_code(
        &self,
        bytes: Bytes,
        file_name: String,
    ) -> Result<(PackageCode, Summary), Problem> {
        let blobs = self.blobs.clone();
        let task = tokio::task::spawn_blocking(move || {
            let limits = package::Limits::default();
            let summary = package::inspect(&bytes, Some(&file_name), &limits).map_err(refused)?;
            let digest = blobs.put(&bytes).map_err(|error| crate::problem_of(&error))?;
            let code = PackageCode { digest, size_bytes: bytes.len() as u64, file_name };
            Ok::<_, Problem>((code, summary))
        });
        match task.await {
            Ok(kept) => kept.inspect_err(|problem| {
                if problem.code == Code::StorageFull.as_str() {
                    tracing::error!("an upload was refused: the disk is full");
                }
            }),
            Err(error) => {
                tracing::error!(%error, "reading an upload panicked");
                Err(Problem::new(Code::Internal, "the upload could not be read; see the log"))
            }
        }
    }

    /// The settings of the new version.
    fn config(
        &self,
        old: Option<&Config>,
        upload: Upload,
        code: &PackageCode,
        summary: Option<&Summary>,
    ) -> Result<Config, Problem> {
        let offered = self.worker.capacity().runtimes;
        let runtime = match (&upload.runtime, old) {
            (Some(name), _) => RuntimeName::parse(name)?,
            (None, Some(old)) => old.runtime.clone(),
            (None, None) => newest_python(&offered).ok_or_else(no_python)?,
        };
        if !offered.contains(&runtime) {
            return Err(unknown_runtime(&runtime, &offered));
        }
        let handler = match (&upload.handler, old, summary) {
            (Some(handler), _, _) => Handler::parse(handler)?,
            (None, Some(old), None) => old.handler.clone(),
            (None, Some(old), Some(summary)) if fits(&old.handler, summary) => old.handler.clone(),
            (None, _, Some(summary)) => guess_handler(summary)?,
            (None, None, None) => Handler::parse("handler.handler")?,
        };
        if let Some(summary) = summary
            && !fits(&handler, summary)
        {
            let why = format!("the code {:?} has no module of that name", code.file_name);
            return Err(Invalid::new("handler", &handler, why).into());
        }
        let mut config =
            old.cloned().unwrap_or_else(|| Config::new(runtime.clone(), handler.clone()));
        config.runtime = runtime;
        config.handler = handler;
        set(&mut config.description, upload.description);
        set(&mut config.memory_mib, upload.memory_mib);
        set(&mut config.timeout_s, upload.timeout_s);
        set(&mut config.env, upload.env);
        set(&mut config.retries, upload.retries);
        set(&mut config.backoff_s, upload.backoff_s);
        set(&mut config.event_age_s, upload.event_age_s);
        set(&mut config.concurrency, upload.concurrency);
        config.check()?;
        Ok(config)
    }

    /// Removes a function with its versions and triggers. What still waits for it becomes a dead
    /// letter; what runs may end.
    pub async fn delete(&self, project: &Project, name: &FunctionName) -> Result<(), Problem> {
        let entry = self.entry(project, name)?;
        let (id, now) = (entry.function.id, self.clock.now());
        let deleted = self.stored(self.store.delete_function(id, &settle::deleted(), now).await)?;
        self.catalogue.remove_function(id);
        self.worker.forget(id, None);
        if deleted { Ok(()) } else { Err(no_function(name)) }
    }

    /// Creates or replaces a trigger. True if it is new.
    pub async fn put_trigger(
        &self,
        project: &Project,
        function: &FunctionName,
        name: &TriggerName,
        pattern: &str,
        delivery: Delivery,
    ) -> Result<(Arc<Trigger>, bool), Problem> {
        self.accepts_work()?;
        let entry = self.entry(project, function)?;
        let pattern = Pattern::parse(pattern).map_err(|invalid| {
            Problem::new(Code::InvalidPattern, invalid.to_string())
                .field("pattern")
                .reason(invalid.code())
        })?;
        let old = entry.triggers.iter().find(|other| other.name == *name);
        if old.is_none() && entry.triggers.len() >= limits::TRIGGERS_PER_FUNCTION {
            let most = limits::TRIGGERS_PER_FUNCTION;
            let detail =
                format!("function {:?} has {most} triggers, which is its limit", function.as_str());
            return Err(Problem::new(Code::TooManyTriggers, detail));
        }
        let created_at = old.map_or_else(|| self.clock.now(), |old| old.created_at);
        let name = name.clone();
        let trigger = Trigger { function: entry.function.id, name, pattern, delivery, created_at };
        if !self.stored(self.store.put_trigger(&trigger).await)? {
            return Err(no_function(function));
        }
        self.catalogue.put_trigger(trigger.clone());
        Ok((Arc::new(trigger), old.is_none()))
    }

    pub async fn delete_trigger(
        &self,
        project: &Project,
        function: &FunctionName,
        name: &TriggerName,
    ) -> Result<(), Problem> {
        let entry = self.entry(project, function)?;
        let deleted = self.stored(self.store.delete_trigger(entry.function.id, name).await)?;
        self.catalogue.remove_trigger(entry.function.id, name);
        if deleted {
            return Ok(());
        }
        let detail = format!("function {:?} has no trigger {:?}", function.as_str(), name.as_str());
        Err(Problem::new(Code::NotFound, detail))
    }

    /// Code that no version refers to any more.
    pub(crate) async fn code_in_use(&self) -> Result<Vec<Digest>, store::Error> {
        self.store.code_in_use().await
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn refused(refused: package::Refused) -> Problem {
    let code = if refused.code() == "package.too_large" {
        Code::BodyTooLarge
    } else {
        Code::InvalidPackage
    };
    Problem::new(code, format!("{refused}")).field("code").reason(refused.code())
}

/// The module that a handler names is in the package.
fn fits(handler: &Handler, summary: &Summary) -> bool {
    let module = handler.as_str().rsplit_once('.').map_or("", |(module, _)| module);
    summary.has_python_module(module)
}

/// A package that nobody configured: `handler.handler` for handler.py or the only module there is,
/// AWS's own default for lambda_function.py.
fn guess_handler(summary: &Summary) -> Result<Handler, Problem> {
    let Some(module) = summary.likely_module() else {
        let detail = "the code has no handler.py, main.py or lambda_function.py: say which function \
                      to call with \"handler\", such as app.run";
        return Err(Problem::new(Code::InvalidValue, detail).field("handler"));
    };
    let function = if module == "lambda_function" { "lambda_handler" } else { "handler" };
    Ok(Handler::parse(&format!("{module}.{function}"))?)
}

fn newest_python(offered: &[RuntimeName]) -> Option<RuntimeName> {
    let minor = |name: &RuntimeName| name.as_str().strip_prefix("python3.")?.parse::<u32>().ok();
    offered.iter().filter(|name| minor(name).is_some()).max_by_key(|name| minor(name)).cloned()
}

fn no_python() -> Problem {
    let detail = "this machine has no python3 of version 3.9 or newer: install one (Debian: apt-get \
                  install python3) and start lambent again";
    Problem::new(Code::UnknownRuntime, detail).field("runtime")
}

fn unknown_runtime(runtime: &RuntimeName, offered: &[RuntimeName]) -> Problem {
    let offered: Vec<_> = offered.iter().map(RuntimeName::as_str).collect();
    let offered = if offered.is_empty() { "none".into() } else { offered.join(", ") };
    let detail = format!("there is no runtime {:?} here; there is: {offered}", runtime.as_str());
    Problem::new(Code::UnknownRuntime, detail).field("runtime")
}
