//! The one binary of Lambent: the server roles, and the command line that talks to them.
//!
//! The first line of `main` is the launcher's: the process that is root and makes sandboxes is this
//! same file, executed anew with a hidden argument, before anything else of it has run.

#![expect(unreachable_pub, reason = "a binary has no users: pub means what other modules use")]

mod cli;
mod clock;
mod commands;
mod config;
mod server;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Exit};

fn main() -> ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let Cli { global, command } = Cli::parse();
    match commands::run(&global, command) {
        Ok(()) => Exit::Success.into(),
        Err(failure) => failure.report().into(),
    }
}
