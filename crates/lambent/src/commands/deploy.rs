//! `lambent deploy PATH`: one command from a file to a function that answers.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::FunctionName;
use model::limits::CODE_BYTES;
use serde_json::value::RawValue;
use wire::client::Deploy as Upload;
use wire::http::functions::Function;
use wire::http::list::PageQuery;
use wire::http::triggers::TriggerBody;

use super::pages::collect;
use super::screen::stderr_is_terminal;
use super::session::note;
use super::{Failure, Session, pattern, values};

mod folder;

/// Uploads below this are over before a bar could be read.
const PROGRESS_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug, Args)]
pub struct Deploy {
    /// A .py file, a .zip, or a folder, which is zipped
    pub path: PathBuf,
    /// The function's name; without it, that of the file or folder
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Such as python3.11; without it, the newest Python that the service has
    #[arg(long, value_name = "RUNTIME")]
    pub runtime: Option<String>,
    /// What to call, as module.function; without it, found in the code
    #[arg(long, value_name = "HANDLER")]
    pub handler: Option<String>,
    /// Memory of a sandbox, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// How long an attempt may run, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// A variable of the function's environment; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::assignment)]
    pub env: Vec<(String, String)>,
    /// Retries of an event after its first attempt failed
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Seconds before the first retry; doubled with each
    #[arg(long, value_name = "SECONDS")]
    pub backoff: Option<u32>,
    /// Seconds after which an event becomes a dead letter instead of another attempt
    #[arg(long, value_name = "SECONDS")]
    pub event_age: Option<u32>,
    /// Attempts at once, at most
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// A line for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// A trigger: 'type=file.created,source=S1|S2,data.kind=pho*', or a pattern in JSON; may be
    /// given more than once. Together they replace those of an earlier deploy
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub on: Vec<String>,
}

impl Deploy {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let name = self.function_name()?;
        let patterns =
            self.on.iter().map(|text| pattern::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let (file_name, code) = package(&self.path)?;
        let bar = progress(code.len());
        let progress = bar.clone().map(|bar| {
            Box::new(move |sent, total| {
                bar.set_length(total);
                bar.set_position(sent);
            }) as Box<dyn FnMut(u64, u64) + Send>
        });
        let upload = Upload { file_name, code, fields: self.fields() };
        let deployed = session.client.deploy(name.as_str(), upload, progress).await;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let deployed = deployed?;
        self.set_triggers(session, &name, patterns).await?;
        session.answer(&deployed, summary)
    }

    fn function_name(&self) -> Result<FunctionName, Failure> {
        if let Some(name) = &self.name {
            return Ok(FunctionName::parse(name)?);
        }
        // `.` and `..` have no name of their own.
        let path = &self.path;
        let read = |source| Failure::Read { path: path.clone(), source };
        let whole = path.canonicalize().map_err(read)?;
        // A link's own name is what the user sees.
        let named = path.file_name().map_or(whole.as_path(), Path::new);
        let part = if whole.is_dir() { named.file_name() } else { named.file_stem() };
        let part = part.unwrap_or_default().to_string_lossy().into_owned();
        FunctionName::parse(&part).map_err(|invalid| {
            Failure::Usage(format!("{invalid}; give the function another name with --name"))
        })
    }

    /// The form's fields. What is not given is not sent, and keeps its value.
    fn fields(&self) -> Vec<(String, String)> {
        let number = |value: Option<u32>| value.map(|number| number.to_string());
        let fields = [
            ("runtime", self.runtime.clone()),
            ("handler", self.handler.clone()),
            ("description", self.description.clone()),
            ("memory_mib", number(self.memory)),
            ("timeout_s", number(self.timeout)),
            ("retries", number(self.retries)),
            ("backoff_s", number(self.backoff)),
            ("event_age_s", number(self.event_age)),
            ("concurrency", number(self.concurrency)),
        ];
        let set = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let env = self.env.iter().map(|(name, value)| (format!("env.{name}"), value.clone()));
        set.chain(env).collect()
    }

    /// `--on` is the whole list: triggers of an earlier, longer list go.
    async fn set_triggers(
        &self,
        session: &Session,
        function: &FunctionName,
        patterns: Vec<Box<RawValue>>,
    ) -> Result<(), Failure> {
        if patterns.is_empty() {
            return Ok(());
        }
        let (client, function) = (&session.client, function.as_str());
        let wanted = patterns.len();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let body = TriggerBody::plain(pattern);
            client.put_trigger(function, &format!("on-{}", index + 1), &body).await?;
        }
        let ask = async |page: PageQuery| client.triggers(function, &page).await;
        for trigger in collect(None, ask).await?.items {
            let name = trigger.value.name;
            let number = name.strip_prefix("on-").and_then(|number| number.parse::<usize>().ok());
            if number.is_some_and(|number| number > wanted) {
                client.delete_trigger(function, &name).await?;
                note(&format!("removed trigger {name}, which is not among --on any more"));
            }
        }
        Ok(())
    }
}

/// The bytes to upload and what to call them.
fn package(path: &Path) -> Result<(String, Bytes), Failure> {
    let read = |source| Failure::Read { path: path.into(), source };
    let about = std::fs::metadata(path).map_err(read)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if about.is_dir() {
        let name = if name.is_empty() { "package".into() } else { name };
        let zipped = folder::zip(path)?;
        check_size(path, zipped.len() as u64)?;
        return Ok((format!("{name}.zip"), zipped.into()));
    }
    check_size(path, about.len())?;
    Ok((name, std::fs::read(path).map_err(read)?.into()))
}

/// Checked here, too: a service that refuses in the middle of an upload can only hang up.
fn check_size(path: &Path, bytes: u64) -> Result<(), Failure> {
    if bytes <= CODE_BYTES as u64 {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} has {bytes} bytes as it would be uploaded, and may have {CODE_BYTES}",
        path.display()
    )))
}

fn progress(bytes: usize) -> Option<ProgressBar> {
    if bytes < PROGRESS_BYTES || !stderr_is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(Some(bytes as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("uploading {bar:40} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.expect("the template is a constant, and a test makes it"));
    Some(bar)
}

fn summary(it: &Function) -> String {
    format!("{} version {}  {}  {}\n", it.name, it.version, it.runtime, it.handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn deploy(arguments: &[&str]) -> Deploy {
        let line = ["lambent", "deploy"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Deploy(deploy) => deploy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_given_is_sent() {
        assert_eq!(deploy(&["a.py"]).fields(), []);
        let fields = deploy(&[
            "a.py",
            "--memory",
            "256",
            "--env",
            "A=1",
            "--env",
            "B=x=y",
            "--event-age",
            "60",
        ]);
        let fields = fields.fields();
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expect =
            [("memory_mib", "256"), ("event_age_s", "60"), ("env.A", "1"), ("env.B", "x=y")];
        assert_eq!(fields, expect);
    }

    #[test]
    fn a_function_is_called_as_its_file_or_folder_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("hello.py"), "").unwrap();
        std::fs::write(path("my.func.zip"), "").unwrap();
        std::fs::create_dir(path("thumbs.v")).unwrap();
        std::fs::create_dir(path("thumbs")).unwrap();
        let name = |arguments: &[&str]| deploy(arguments).function_name();
        assert_eq!(name(&[&path("hello.py")]).unwrap().as_str(), "hello");
        assert_eq!(name(&[&path("thumbs")]).unwrap().as_str(), "thumbs");
        assert_eq!(name(&[&path("thumbs/")]).unwrap().as_str(), "thumbs");
        assert_eq!(name(&[&path("thumbs/.")]).unwrap().as_str(), "thumbs");
        assert_eq!(name(&[&path("none.py"), "--name", "x"]).unwrap().as_str(), "x");
        let error = name(&[&path("my.func.zip")]).unwrap_err().to_string();
        assert!(error.ends_with("; give the function another name with --name"), "{error}");
        assert!(matches!(name(&[&path("none.py")]), Err(Failure::Read { .. })));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_read() {
        let file = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
        file.as_file().set_len(CODE_BYTES as u64 + 1).unwrap();
        let error = package(file.path()).unwrap_err();
        assert!(error.to_string().contains("and may have 52428800"), "{error}");
        assert_eq!(error.exit(), crate::cli::Exit::Usage);
    }

    #[test]
    fn the_bar_has_a_template_that_works() {
        assert!(
            ProgressStyle::with_template("uploading {bar:40} {bytes}/{total_bytes} {eta}").is_ok()
        );
    }
}
