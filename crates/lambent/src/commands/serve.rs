//! The commands that run on the service's own machine: `dev`, `serve`, `key`, `config show`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::cli::{self, Global, Output};
use crate::config::{Config, File, Machine};
use crate::server::{self, Role, keys};

pub fn dev(dev: cli::Dev) -> Result<(), Failure> {
    let mut config = config(None, dev.listen, dev.data)?;
    // Whoever tries an endpoint has it on the same machine.
    config.destinations_private = true;
    Ok(server::run(Role::Dev, config)?)
}

pub fn serve(serve: cli::Serve) -> Result<(), Failure> {
    let config = config(serve.config.as_deref(), serve.listen, serve.data)?;
    Ok(server::run(Role::Serve, config)?)
}

/// Prints what would be in effect.
pub fn show(show: &cli::Config) -> Result<(), Failure> {
    let cli::Config::Show { config: file } = show;
    let config = config(file.as_deref(), None, None)?;
    write!(anstream::stdout(), "{}", config.to_toml())?;
    Ok(())
}

pub fn key(global: &Global, key: cli::Key) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    match key {
        cli::Key::Create { project, name, data } => {
            let key = keys::create(&folder(data), &project, &name)?;
            match global.output {
                Output::Text => writeln!(out, "{key}")?,
                Output::Json => {
                    let json = serde_json::json!({"project": project, "name": name, "key": key});
                    writeln!(out, "{json}")?;
                }
            }
        }
        cli::Key::Ls { data } => {
            let keys = keys::list(&folder(data))?;
            let rows = keys.iter().map(|key| {
                let created_at = wire::http::rfc3339(key.created_at);
                serde_json::json!({"project": key.project.as_str(), "name": key.name.as_str(),
                    "created_at": created_at})
            });
            match global.output {
                Output::Json => {
                    let items: Vec<_> = rows.collect();
                    writeln!(out, "{}", serde_json::json!({"items": items, "next": null}))?;
                }
                Output::Text => {
                    for key in &keys {
                        let created_at = wire::http::rfc3339(key.created_at);
                        writeln!(out, "{}  {}  {created_at}", key.project, key.name)?;
                    }
                }
            }
        }
        cli::Key::Rm { project, name, open, data } => {
            keys::remove(&folder(data), &project, &name, open)?;
        }
    }
    Ok(())
}

fn config(
    file: Option<&Path>,
    listen: Option<std::net::SocketAddr>,
    data: Option<PathBuf>,
) -> Result<Config, Failure> {
    let file =
        file.map(File::read).transpose().map_err(server::CannotServe::from)?.unwrap_or_default();
    Ok(file.check(listen, data, &Machine::this()).map_err(server::CannotServe::from)?)
}

fn folder(data: cli::DataDir) -> PathBuf {
    data.data.unwrap_or_else(|| Machine::this().data)
}
