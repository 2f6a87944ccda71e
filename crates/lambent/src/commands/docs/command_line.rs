//! `docs/reference/cli.md`: every command with its arguments, and the exit codes.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::{cell, head};
use crate::cli::{Cli, Exit};

const INTRODUCTION: &str = "\
Data goes to the standard output, everything else to the standard error. Colours and progress bars
appear only on a terminal. `lambent COMMAND --help` says the same as this page.

";

/// Commands in commands; a third level would be a mistake.
const DEPTH: usize = 2;

pub(super) fn page() -> String {
    let mut page = head("Command line", "`crates/lambent/src/cli.rs`") + INTRODUCTION;
    let cli = Cli::command();
    page += "## Options of every command\n\n";
    let globals: Vec<_> = cli.get_arguments().filter(|arg| arg.is_global_set()).collect();
    arguments(&mut page, &globals);
    page += "\nA key is never an argument, since other users of a machine see those.\n\n";
    page += "## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for exit in Exit::ALL {
        line(&mut page, &format!("| {} | {} |", exit.code(), cell(exit.meaning())));
    }
    for command in visible(&cli) {
        section(&mut page, command, "lambent", DEPTH);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help")
}

fn section(page: &mut String, command: &Command, parent: &str, depth: usize) {
    let name = format!("{parent} {}", command.get_name());
    let inner: Vec<_> = visible(command).collect();
    let own: Vec<_> =
        command.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set()).collect();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    line(page, &format!("\n## `{name}`\n\n{about}."));
    if !own.is_empty() {
        page.push('\n');
        arguments(page, &own);
    }
    if let Some(after) = command.get_after_help() {
        line(page, &format!("\n{after}"));
    }
    for inner in inner.into_iter().filter(|_| depth > 1) {
        section(page, inner, &name, depth - 1);
    }
}

/// A row each: how it is typed, and what for.
fn arguments(page: &mut String, arguments: &[&Arg]) {
    page.push_str("| argument | meaning |\n|---|---|\n");
    for arg in arguments {
        line(page, &format!("| `{}` | {} |", cell(&typed(arg)), cell(&meaning(arg))));
    }
}

fn typed(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    if arg.is_positional() {
        return if arg.is_required_set() {
            value
        } else {
            format!("[{}]", value.trim_matches(['<', '>']))
        };
    }
    let mut text = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, long) => format!("--{}", long.unwrap_or_default()),
    };
    if takes_value {
        text = format!("{text} {value}");
    }
    text
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    text.push('.');
    let values: Vec<_> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        text = format!("{text} One of {}.", values.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        text = format!("{text} Environment: `{}`.", variable.to_string_lossy());
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        text = format!("{text} Default: `{}`.", defaults.join(" "));
    }
    if arg.is_required_set() && !arg.is_positional() {
        text.push_str(" Required.");
    }
    text
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a String takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_section_and_hidden_ones_have_none() {
        let page = page();
        for name in ["deploy", "event send", "dead-letters redrive", "config show", "key create"] {
            assert!(page.contains(&format!("\n## `lambent {name}`\n")), "{name}");
        }
        assert!(!page.contains("__"), "hidden commands are nobody's");
    }

    #[test]
    fn an_argument_is_told_as_it_is_typed_with_its_default_and_its_variable() {
        let page = page();
        for row in [
            "| `--url <URL>` | The service's address. Environment: `LAMBENT_URL`. Default: \
             `http://127.0.0.1:8080`. |",
            "| `-d, --data <JSON>` | The event's data: JSON, @FILE, or - for the standard input. |",
            "| `--type <TYPE>` | What happened, such as file.created. Required. |",
            "| `<PATH>` | A .py file, a .zip, or a folder, which is zipped. |",
            "| `-f, --follow` | Go on with what is written from now on, until interrupted. |",
        ] {
            assert!(page.contains(row), "{row} is not in {page}");
        }
    }
}
