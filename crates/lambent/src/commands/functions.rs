//! `lambent ls`, `show`, `versions` and `rm`.

use std::fmt::Write as _;

use clap::Args;
use wire::client::Answer;
use wire::http::functions::Function;
use wire::http::list::PageQuery;

use super::pages::collect;
use super::screen::{Colour, Paint, clean};
use super::session::note;
use super::table::Table;
use super::time::{size, to_the_second};
use super::{Failure, Session};

#[derive(Clone, Copy, Debug, Args)]
pub struct Ls {}

#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The function
    pub name: String,
    /// The version to show instead of the latest
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub struct Versions {
    /// The function
    pub name: String,
}

#[derive(Clone, Debug, Args)]
pub struct Rm {
    /// The function
    pub name: String,
}

impl Ls {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let client = session.client.clone();
        let functions = collect(None, async |page| client.functions(&page).await).await?;
        session.items(&functions, functions_table)
    }
}

impl Show {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let function = session.client.function(&self.name, self.version).await?;
        if session.is_json() {
            return session.json(&function.json);
        }
        let client = session.client.clone();
        let triggers =
            collect(None, async |page: PageQuery| client.triggers(&self.name, &page).await).await?;
        let mut text = settings(&function.value, session.paint);
        for trigger in &triggers.items {
            let (name, pattern) = (&trigger.value.name, trigger.value.pattern.get());
            setting(&mut text, session.paint, "trigger", &format!("{name}  {pattern}"));
        }
        session.text(&text)
    }
}

impl Versions {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let client = session.client.clone();
        let versions =
            collect(None, async |page: PageQuery| client.versions(&self.name, &page).await).await?;
        session.items(&versions, versions_table)
    }
}

impl Rm {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let json = session.client.delete_function(&self.name).await?;
        if session.is_json() {
            return session.json(&json);
        }
        note(&format!("removed {}", self.name));
        Ok(())
    }
}

fn functions_table(functions: &[Answer<Function>], paint: Paint) -> Table {
    let mut table = Table::new(
        paint,
        &["NAME", "VERSION", "RUNTIME", "HANDLER", "MEMORY_MIB", "TIMEOUT_S", "UPDATED"],
    );
    for Answer { value: it, .. } in functions {
        table.row([
            it.name.clone(),
            it.version.to_string(),
            it.runtime.clone(),
            it.handler.clone(),
            it.memory_mib.to_string(),
            it.timeout_s.to_string(),
            to_the_second(&it.updated_at),
        ]);
    }
    table
}

fn versions_table(versions: &[Answer<Function>], paint: Paint) -> Table {
    let header = ["VERSION", "RUNTIME", "HANDLER", "CODE", "SHA256", "DEPLOYED"];
    let mut table = Table::new(paint, &header);
    for Answer { value: it, .. } in versions {
        table.row([
            it.version.to_string(),
            it.runtime.clone(),
            it.handler.clone(),
            size(it.code.size_bytes),
            it.code.sha256.chars().take(12).collect(),
            to_the_second(&it.updated_at),
        ]);
    }
    table
}

fn settings(it: &Function, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| setting(&mut text, paint, name, value);
    line("name", &it.name);
    line("version", &it.version.to_string());
    line("project", &it.project);
    if !it.description.is_empty() {
        line("description", &it.description);
    }
    line("runtime", &it.runtime);
    line("handler", &it.handler);
    line("memory", &format!("{} MiB", it.memory_mib));
    line("timeout", &format!("{} s", it.timeout_s));
    line("retries", &format!("{}, the first after {} s", it.retries, it.backoff_s));
    line("event age", &format!("{} s at most", it.event_age_s));
    let concurrency = it.concurrency.map_or("as the project's".into(), |most| most.to_string());
    line("concurrency", &concurrency);
    let code =
        format!("{}, {}, sha256 {}", it.code.file_name, size(it.code.size_bytes), it.code.sha256);
    line("code", &code);
    line("created", &it.created_at);
    line("deployed", &it.updated_at);
    for (name, value) in &it.env {
        line("env", &format!("{name}={value}"));
    }
    text
}

fn setting(text: &mut String, paint: Paint, name: &str, value: &str) {
    let name = paint.paint(Colour::Dim, format!("{name:<11}"));
    writeln!(text, "{name}  {}", clean(value)).expect("a String takes every write");
}
