//! One sandbox, from the order to make it until its shim waits for code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::{Limits, SandboxId};
use wire::runtime::FromShim;

use crate::agent::Shared;
use crate::launcher::{self, Created, Exit, Failure, Reply};
use crate::live::{Broken, Live};
use crate::logs::Log;
use crate::pool::RuntimeIndex;
use crate::with_causes;

/// An interpreter is up in some milliseconds; on a machine that swaps it takes seconds. After this
/// something is wrong with it.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long to wait for the launcher's word on how a sandbox ended whose channel is closed.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

/// What an interpreter said before it died, as far as a message quotes it.
const QUOTED_CHARS: usize = 400;

/// Makes the sandbox and tells the pool how it went.
pub(crate) async fn sandbox(shared: Arc<Shared>, id: SandboxId, runtime: RuntimeIndex) {
    let begun = Instant::now();
    let made = tokio::time::timeout(START_LIMIT, make(&shared, id, runtime)).await;
    let (why, gone) = match made {
        Ok(Ok(live)) => {
            shared.metrics.sandbox_started(begun.elapsed());
            let late = shared.with_pool(|state, now| {
                state.parked.insert(id, Box::new(live));
                state.pool.started(id, now);
                if state.pool.knows(id) { None } else { state.parked.remove(&id) }
            });
            drop(late); // outside of the lock
            return;
        }
        Ok(Err(Failed { why, gone })) => (why, gone),
        Err(_elapsed) => {
            let seconds = START_LIMIT.as_secs();
            (format!("the sandbox's runtime was not up within {seconds} s"), false)
        }
    };
    tracing::error!(sandbox = id, %why, "a sandbox could not be started");
    shared.with_pool(|state, now| state.pool.start_failed(id, &why, gone, now));
}

struct Failed {
    why: String,
    /// Nothing is left of it.
    gone: bool,
}

async fn make(shared: &Shared, id: SandboxId, runtime: RuntimeIndex) -> Result<Live, Failed> {
    let name = shared.runtimes.get(runtime).map_or("", |name| name.as_str());
    let created = launcher::answer(shared.launcher.create(id, name, Limits::default())).await;
    let created = match created {
        Ok(Reply::Created(created)) => created,
        Ok(reply) => return Err(Failed { why: format!("unexpected: {reply:?}"), gone: false }),
        Err(failure) => {
            let gone = matches!(failure, Failure::Step { .. });
            return Err(Failed { why: failure.to_string(), gone });
        }
    };
    tracing::debug!(sandbox = id, setup = ?created.setup, "a sandbox is made");
    greet(shared, id, name, created).await.map_err(|why| Failed { why, gone: false })
}

/// Waits for the shim's first word.
async fn greet(
    shared: &Shared,
    id: SandboxId,
    runtime: &str,
    created: Created,
) -> Result<Live, String> {
    let mut live = Live::new(id, created)
        .map_err(|error| format!("cannot listen to the sandbox: {}", with_causes(&error)))?;
    match live.receive().await {
        Ok(FromShim::Hello(hello)) if hello.runtime == runtime => Ok(live),
        Ok(frame) => {
            Err(format!("{runtime} should have said HELLO and its name, and said {frame:?}"))
        }
        Err(Broken::Garbage(why)) => Err(format!("the runtime does not speak our protocol: {why}")),
        Err(Broken::Closed) => {
            let exit = live.end.within(EXIT_LIMIT).await;
            Err(died(&mut live, exit, shared))
        }
    }
}

/// Why a runtime ended before it was up, in its own words where there are any.
fn died(live: &mut Live, exit: Option<Exit>, shared: &Shared) -> String {
    let mut log = Log::default();
    let now = shared.clock.now();
    live.stderr.drain(&mut log, &mut live.buffer, now);
    live.stderr.finish(&mut log, now);
    let said: Vec<_> = log.take().into_iter().map(|line| line.text).collect();
    let said = said.join("; ");
    let from = said.char_indices().rev().nth(QUOTED_CHARS - 1).map_or(0, |(at, _)| at);
    let how = exit.map_or_else(|| "ended".to_owned(), |exit| crate::run::ended(exit.status));
    format!("the sandbox's runtime {how} before it was up: {}", &said[from..])
}
