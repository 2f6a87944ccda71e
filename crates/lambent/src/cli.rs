//! The command line: what can be typed, and what the process's exit says.
//!
//! Names and options are a contract with scripts that other people wrote. Each command of a client
//! has its arguments in its own module beneath [`crate::commands`]; those of the server roles are
//! here, since more than one module reads them. `--help` is made from the comments.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Functions on your own machines: deploy one, call it, send it events, see what became of them.
#[derive(Debug, Parser)]
#[command(name = "lambent", version, max_term_width = 100, after_help = exit_codes())]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command that talks to a service.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The service's address
    #[arg(long, global = true, env = "LAMBENT_URL", default_value = DEFAULT_URL, value_name = "URL")]
    #[arg(help_heading = "Service and output")]
    pub url: String,
    /// A file that holds the API key; without it the key is taken from $LAMBENT_API_KEY
    #[arg(long, global = true, value_name = "FILE", help_heading = "Service and output")]
    pub key_file: Option<PathBuf>,
    /// The project to work in, where the service asks for no key (a key belongs to a project)
    #[arg(long, global = true, env = "LAMBENT_PROJECT", value_name = "NAME")]
    #[arg(help_heading = "Service and output")]
    pub project: Option<String>,
    /// For people, or the API's own JSON for programs
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    #[arg(help_heading = "Service and output")]
    pub output: Output,
}

pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The form of what goes to the standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine, with settings for a laptop
    Dev(Dev),
    /// Run everything on this machine, as a service
    Serve(Serve),
    /// Upload a function: a .py file, a zip, or a folder
    Deploy(commands::deploy::Deploy),
    /// Call a function and print its answer
    Invoke(commands::invoke::Invoke),
    /// Send events, or try what they would do
    #[command(subcommand)]
    Event(commands::event::Event),
    /// List functions
    Ls(commands::functions::Ls),
    /// Show a function with its settings
    Show(commands::functions::Show),
    /// List a function's versions, the newest first
    Versions(commands::functions::Versions),
    /// Remove a function with its versions and triggers
    Rm(commands::functions::Rm),
    /// List, set and remove triggers: the rules that send events to a function
    #[command(subcommand)]
    Trigger(commands::trigger::Trigger),
    /// Set, show and remove destinations: where a function's outcomes are sent to
    #[command(subcommand)]
    Destination(commands::destination::Destination),
    /// Run a function by the clock
    #[command(subcommand)]
    Schedule(commands::schedule::Schedule),
    /// Add, list, show and remove sources: queues that are read, schedules, webhooks
    #[command(subcommand)]
    Source(commands::source::Source),
    /// Print the log of a function, or of one invocation
    Logs(commands::logs::Logs),
    /// List invocations, the newest first
    Invocations(commands::invocations::Invocations),
    /// Tell what happened to an invocation, where its time went, and why
    Explain(commands::explain::Explain),
    /// Run stored events again
    Replay(commands::replay::Replay),
    /// List dead letters: events that ran out of attempts or of time; give them another round
    DeadLetters(commands::dead_letters::DeadLetters),
    /// List the workers that run functions
    Workers(commands::workers::Workers),
    /// Send an event for every file that is created, modified or deleted in a folder
    Watch(commands::watch::Watch),
    /// Make, list and remove API keys, in the data folder of a service on this machine
    #[command(subcommand)]
    Key(Key),
    /// Show the configuration that is in effect
    #[command(subcommand)]
    Config(Config),
    /// Print a script that completes commands in a shell
    Completion(commands::completion::Completion),
    /// Print a page of the project's own reference
    #[command(name = "__docs", hide = true)]
    Docs(commands::docs::Docs),
}

/// Arguments of `lambent dev`.
#[derive(Clone, Debug, Args)]
pub struct Dev {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The folder that holds everything that must survive
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Arguments of `lambent serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The folder that holds everything that must survive
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A configuration file in TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Key {
    /// Make a key and print it; it is shown this once
    Create {
        /// The project that the key opens
        #[arg(long, value_name = "NAME", default_value = "default")]
        project: String,
        /// What to call the key in lists
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        data: DataDir,
    },
    /// List keys by project and name
    Ls {
        #[command(flatten)]
        data: DataDir,
    },
    /// Remove a key: it opens nothing from then on
    Rm {
        /// The project that the key opens
        #[arg(long, value_name = "NAME", default_value = "default")]
        project: String,
        /// The key's name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Remove the last key, too: from then on the service answers everybody on this machine
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        data: DataDir,
    },
}

#[derive(Clone, Debug, Args)]
pub struct DataDir {
    /// The data folder of the service
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Config {
    /// Print the configuration of `lambent serve` as it would be, with every default
    Show {
        /// A configuration file in TOML
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

macro_rules! exits {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        /// What the process's exit says. The numbers are a contract.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)*
        }

        impl Exit {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }

            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

// Few, since a script can only do six things with a failure: look at the function's error, correct the
// command, wait or start the service, make the missing thing, call the operator, or, if it is a service
// manager, not start the service again. Finer codes
// are in the sentence on the standard error, as the API's own. An interrupted command ends by the
// signal, which shells show as 130.
exits! {
    Success = 0, "it was done";
    Failed = 1, "the function failed, or the command could not do its own work on this machine";
    Usage = 2, "the command line, or a file that it names, cannot be used; nothing was sent";
    Unreachable = 3, "the service could not be reached, or went away before it answered";
    Refused = 4, "the service refused: not allowed, not valid, or too much at the moment (4xx)";
    ServiceFailed = 5, "the service failed (5xx), or what answered is not a Lambent service";
    NotFound = 6, "the service has nothing of this name or id (404)";
    Damaged = 7, "the service's data is damaged: starting it again does not help";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes:");
    for exit in Exit::ALL {
        write!(text, "\n  {}  {}", exit.code(), exit.meaning())
            .expect("a String takes every write");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::try_parse_from(["lambent", "ls", "--output", "json", "--url", "http://h:1"])
            .unwrap();
        assert_eq!((cli.global.output, cli.global.url.as_str()), (Output::Json, "http://h:1"));
    }

    #[test]
    fn the_project_of_a_key_is_the_one_that_was_typed_on_either_side_of_the_command() {
        for line in [
            ["lambent", "key", "create", "--name", "n", "--project", "blue"],
            ["lambent", "--project", "blue", "key", "create", "--name", "n"],
        ] {
            match Cli::try_parse_from(line).unwrap().command {
                Command::Key(Key::Create { project, .. }) => assert_eq!(project, "blue"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = Cli::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("  {}  {}", exit.code(), exit.meaning())), "{exit:?}");
        }
    }
}
