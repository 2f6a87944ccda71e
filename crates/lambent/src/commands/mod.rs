//! The commands of a client, one module each, and what they share.
//!
//! A command's arguments are a struct, and its work is one method on it that takes a [`Session`]:
//! the service to talk to and where to print. Data goes to the standard output and everything else
//! to the standard error. What goes wrong is a [`Failure`], which is told once, in `main`.

pub mod completion;
pub mod dead_letters;
pub mod deploy;
pub mod destination;
pub mod docs;
pub mod event;
pub mod explain;
mod failure;
pub mod functions;
pub mod invocations;
pub mod invoke;
pub mod logs;
mod pages;
mod pattern;
pub mod replay;
pub mod schedule;
mod screen;
mod serve;
mod session;
pub mod source;
mod table;
mod time;
pub mod trigger;
mod values;
pub mod watch;
pub mod workers;

pub use failure::Failure;
pub use session::Session;

use crate::cli::{Command, Global};

/// Runs a command.
pub fn run(global: &Global, command: Command) -> Result<(), Failure> {
    // What needs no service to talk to. The server gives up root before it has a runtime.
    let command = match command {
        Command::Dev(it) => return serve::dev(it),
        Command::Serve(it) => return serve::serve(it),
        Command::Key(it) => return serve::key(global, it),
        Command::Config(it) => return serve::show(&it),
        Command::Completion(it) => return it.run(),
        Command::Docs(it) => return it.run(),
        other => other,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Runtime { source })?;
    let mut session = Session::new(global)?;
    runtime.block_on(dispatch(&mut session, command))?;
    session.finish()
}

async fn dispatch(session: &mut Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Deploy(it) => Box::pin(it.run(session)).await,
        Command::Invoke(it) => it.run(session).await,
        Command::Event(it) => it.run(session).await,
        Command::Ls(it) => it.run(session).await,
        Command::Show(it) => it.run(session).await,
        Command::Versions(it) => it.run(session).await,
        Command::Rm(it) => it.run(session).await,
        Command::Trigger(it) => it.run(session).await,
        Command::Destination(it) => it.run(session).await,
        Command::Schedule(it) => Box::pin(it.run(session)).await,
        Command::Source(it) => Box::pin(it.run(session)).await,
        Command::Logs(it) => it.run(session).await,
        Command::Invocations(it) => it.run(session).await,
        Command::Explain(it) => it.run(session).await,
        Command::Replay(it) => it.run(session).await,
        Command::DeadLetters(it) => it.run(session).await,
        Command::Workers(it) => it.run(session).await,
        Command::Watch(it) => Box::pin(it.run(session)).await,
        Command::Completion(_)
        | Command::Docs(_)
        | Command::Dev(_)
        | Command::Serve(_)
        | Command::Key(_)
        | Command::Config(_) => unreachable!("`run` has run these without a session"),
    }
}
