//! The server roles: everything in one process (`lambent dev`, `lambent serve`).
//!
//! [`run`] is the order of a start, and the order matters. As root: read the configuration, bind
//! the socket, find the interpreters, *execute* the launcher, which stays root and never meets the
//! network. Then give root up for good. Only then threads, the async runtime, the store, the
//! worker, the API. So the process that talks to the network is not root, and the process that is
//! root speaks a small typed protocol with one peer.
//!
//! The launcher's death is the end of this process by design: it could not make another one, so it
//! says why and exits, and whoever supervises it starts both again.

pub mod keys;
mod start;
mod telemetry;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use control::sources::secrets::Secrets;
use model::RuntimeName;
use sandbox::Launcher;

use crate::config::{self, Config};

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum CannotServe {
    #[error(transparent)]
    Config(#[from] config::BadConfig),
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot make the data folder {}: {source}", path.display())]
    Data { path: PathBuf, source: std::io::Error },
    #[error("cannot install the language runtimes: {0}")]
    Runtimes(#[from] worker::runtimes::Unusable),
    #[error("cannot start the launcher: {0}")]
    Launcher(#[source] sandbox::Error),
    #[error("cannot give up root: {0}")]
    Privileges(#[source] sandbox::Error),
    #[error("cannot start the async runtime: {0}")]
    Async(#[source] std::io::Error),
    #[error("{0}")]
    Store(#[from] store::Error),
    #[error("{0}")]
    Invalid(#[from] model::Invalid),
    #[error("project {project} has a key {name} already: choose another name, or remove that key")]
    KeyExists { project: model::Project, name: model::KeyName },
    #[error("project {project} has no key {name} in {}", data.display())]
    NoSuchKey { project: model::Project, name: model::KeyName, data: PathBuf },
    #[error(
        "{name} of project {project} is the last key: without any, the service answers everybody on \
         this machine, and whoever a proxy on it lets through. Make another key first, or add --open"
    )]
    LastKey { project: model::Project, name: model::KeyName },
    #[error(transparent)]
    Secrets(#[from] control::sources::secrets::SecretError),
    #[error("cannot start the worker: {0}")]
    Worker(#[from] worker::StartError),
    #[error(
        "{address} can be reached from other machines, and there is no API key: anybody could run \
         code here. Make a key with `lambent key create --name me --data {}`, or listen on 127.0.0.1",
        data.display()
    )]
    NoKeys { address: SocketAddr, data: PathBuf },
    #[error(
        "there are API keys for {projects} projects, and without root the functions of one could \
         reach those of another: run as root, or keep the keys of one project"
    )]
    ManyProjects { projects: usize },
    #[error("the launcher is gone ({why}), so no function can run: ending; start lambent again")]
    LauncherGone { why: String },
}

/// What the server was started as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// On a laptop: says what to type next.
    Dev,
    Serve,
}

/// What is left when root has been given up: everything that the rest of the process needs.
pub(crate) struct Started {
    config: Config,
    role: Role,
    listener: TcpListener,
    launcher: Launcher,
    runtimes: Vec<RuntimeName>,
    no_runtime: Option<String>,
    /// The data folder as this process sees it from now on.
    data: PathBuf,
    secrets: Secrets,
}

/// Runs the server until it is asked to stop.
pub fn run(role: Role, mut config: Config) -> Result<(), CannotServe> {
    telemetry::log();
    let listener = listen(config.listen)?;
    make_folder(&config.data)?;
    // The launcher works from another folder than the one that a relative path was meant in.
    config.data = whole(&config.data)?;
    let shim = worker::runtimes::install(&config.data)?;
    let (runtimes, no_runtime) = match worker::runtimes::find(&shim) {
        Ok(found) => (found, None),
        // The service is of use without: it tells every deploy what is missing.
        Err(error) => (Default::default(), Some(error.to_string())),
    };
    let names = runtimes.keys().cloned().collect();
    let launcher = launch(&config, runtimes)?;
    // A key that the operator keeps elsewhere may be root's.
    let given = config.secret_key.as_deref().map(Secrets::with_key_of).transpose()?;
    let data =
        sandbox::give_up_root(&config.data, config.uid_base).map_err(CannotServe::Privileges)?;
    let secrets = given.unwrap_or_else(|| Secrets::in_folder(&data));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CannotServe::Async)?;
    let runtimes = names;
    let started = Started { config, role, listener, launcher, runtimes, no_runtime, data, secrets };
    runtime.block_on(start::serve(started))
}

fn listen(address: SocketAddr) -> Result<TcpListener, CannotServe> {
    let failed = |source| CannotServe::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another process has it: stop that one, or choose another with --listen"
        }
        _ => "",
    }
}

/// The data folder is its owner's alone: it holds everybody's code and payloads.
fn make_folder(path: &Path) -> Result<(), CannotServe> {
    use std::os::unix::fs::DirBuilderExt;
    let failed = |source| CannotServe::Data { path: path.into(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    std::fs::create_dir_all(path.join(start::CODE_CACHE)).map_err(failed)
}

fn whole(path: &Path) -> Result<PathBuf, CannotServe> {
    path.canonicalize().map_err(|source| CannotServe::Data { path: path.into(), source })
}

fn launch(
    config: &Config,
    runtimes: std::collections::BTreeMap<RuntimeName, sandbox::Runtime>,
) -> Result<Launcher, CannotServe> {
    let options = sandbox::Options {
        instance: std::process::id().to_string(),
        code_root: config.data.join(start::CODE_CACHE),
        runtimes: runtimes.into_iter().map(|(name, it)| (name.to_string(), it)).collect(),
        // The first id is the server's own.
        uid_base: config.uid_base + 1,
        max_sandboxes: config.max_sandboxes,
    };
    Launcher::execute(&options).map_err(CannotServe::Launcher)
}
