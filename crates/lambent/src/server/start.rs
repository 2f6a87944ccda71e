//! The part of a start that needs no root: store, worker, control, API; and the end of all four.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use control::auth::{Auth, Keyless};
use control::http::{Api, server};
use control::{Control, Settings};
use model::function::Digest;
use store::Store;
use store::blobs::Blobs;
use store::sqlite::Sqlite;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use worker::{CodeSource, LocalWorker};

use super::{CannotServe, Role, Started, telemetry};
use crate::clock::SystemClock;

/// Where the worker unpacks code, beneath the data folder.
pub(super) const CODE_CACHE: &str = "cache/code";

/// Serves until a signal asks to stop, then lets what runs end.
pub(super) async fn serve(started: Started) -> Result<(), CannotServe> {
    let Started { config, role, listener, launcher, runtimes, no_runtime, data, secrets } = started;
    let address = listener.local_addr().unwrap_or(config.listen);
    let metrics = telemetry::metrics();
    let isolation = launcher.isolation().clone();
    let clock = Arc::new(SystemClock);
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(&data).map_err(|error| error.about_folder(&config.data))?);
    let blobs = Arc::new(Blobs::open(&data)?);
    let auth = Arc::new(authentication(&*store, &config, address, isolation.root).await?);
    let worker = {
        let code = Arc::new(FromBlobs(blobs.clone()));
        let cache = data.join(CODE_CACHE);
        let mut settings = worker::Config::new(
            runtimes.clone(),
            config.memory_mib,
            config.max_sandboxes,
            code,
            cache,
        );
        settings.pool_target = config.pool;
        settings.idle_expiry = config.keep_alive;
        LocalWorker::start(settings, launcher, clock.clone())?
    };
    let settings = Settings {
        project_concurrency: config.project_concurrency,
        project_weights: config.project_weights.clone(),
        retention: config.retention,
        shared_sources: config.shared_sources,
        destinations_private: config.destinations_private,
    };
    let control = Control::start(store, blobs, worker.clone(), clock, settings, secrets).await?;
    control.follow_keys(auth.clone());
    let api = Api::new(control.clone(), auth, metrics);
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|source| CannotServe::Listen { address, source })?;
    // Before anybody can know that we are here, and ask.
    let mut asked = asked_to_stop();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(listener, api.router(), stop.clone()));
    for missing in &isolation.missing {
        tracing::warn!("isolation: {missing}");
    }
    if let Some(no_runtime) = no_runtime {
        tracing::error!("{no_runtime}");
    }
    greet(role, address, &config.data, &runtimes);

    tokio::select! {
        _ = asked.recv() => {}
        why = worker.fatal() => return Err(CannotServe::LauncherGone { why }),
    }
    tracing::info!("stopping: attempts that run are given {} s to end", config.drain.as_secs());
    control.begin_drain();
    stop.cancel();
    let drained = async {
        let _ended = serving.await;
        control.drain().await;
    };
    tokio::select! {
        () = drained => tracing::info!("stopped; nothing was left running"),
        _ = asked.recv() => tracing::warn!("asked again: what runs now will be made again"),
        () = tokio::time::sleep(config.drain) => {
            tracing::warn!("some attempts did not end in time: they will be made again");
        }
        why = worker.fatal() => return Err(CannotServe::LauncherGone { why }),
    }
    Ok(())
}

/// Who may use the service: whoever has a key; everybody, while there is none and only this machine
/// can connect.
async fn authentication(
    store: &dyn Store,
    config: &crate::config::Config,
    address: std::net::SocketAddr,
    isolated: bool,
) -> Result<Auth, CannotServe> {
    let keys = store.keys().await?;
    let loopback = address.ip().is_loopback();
    if keys.is_empty() && !loopback {
        return Err(CannotServe::NoKeys { address, data: config.data.clone() });
    }
    let projects: std::collections::BTreeSet<_> = keys.iter().map(|key| &key.project).collect();
    if !isolated && projects.len() > 1 {
        return Err(CannotServe::ManyProjects { projects: projects.len() });
    }
    let single_project = !isolated;
    let keyless = if loopback { Keyless::Serve { single_project } } else { Keyless::Refuse };
    Ok(Auth::new(keyless, keys))
}

/// Says where it is, in a form that scripts may wait for.
fn greet(
    role: Role,
    address: std::net::SocketAddr,
    data: &std::path::Path,
    runtimes: &[model::RuntimeName],
) {
    let runtimes: Vec<_> = runtimes.iter().map(|it| it.as_str()).collect();
    let mut text = format!(
        "lambent listens on http://{address}\n  data      {}\n  runtimes  {}\n",
        data.display(),
        if runtimes.is_empty() { "none".into() } else { runtimes.join(", ") },
    );
    if role == Role::Dev {
        let dev = format!(
            "  deploy    curl -X PUT http://{address}/v1/functions/hello -F code=@hello.py\n  \
             call      curl http://{address}/v1/functions/hello/invoke -d '{{\"name\": \"world\"}}'\n  \
             read      http://{address}/docs\n"
        );
        text.push_str(&dev);
    }
    // Whoever closed our standard error does not want to hear this.
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Hears SIGTERM and SIGINT, each time.
fn asked_to_stop() -> tokio::sync::mpsc::Receiver<()> {
    // Two: the first asks, the second insists.
    let (tell, asked) = tokio::sync::mpsc::channel(2);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let tell = tell.clone();
        match signal(kind) {
            Ok(mut signals) => {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        if tell.send(()).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "cannot listen for a signal; stop me by SIGKILL"),
        }
    }
    asked
}

/// The worker of this process reads code where the store keeps it.
#[derive(Debug)]
struct FromBlobs(Arc<Blobs>);

impl CodeSource for FromBlobs {
    fn read(&self, digest: &Digest) -> io::Result<Bytes> {
        self.0.read(digest).map(Bytes::from).map_err(io::Error::other)
    }
}
