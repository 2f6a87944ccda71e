//! Other programs that the tasks call: cargo first of all, from the repository's root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Attempting, Failure, Outcome};
use crate::json::{self, Value};

/// The repository's root: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate is a folder of the workspace").to_owned()
}

/// A cargo command: the cargo that runs us, at the root, reading nothing from the terminal.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(arguments);
    // Set for us by the cargo that started this program; a nested one is to find its own.
    for inherited in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        cargo.env_remove(inherited);
    }
    cargo
}

/// Any other program, likewise.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs it to its end; its output goes where ours goes.
pub(crate) fn succeed(command: &mut Command) -> Outcome {
    let line = words(command);
    let status = command.status().attempting(|| format!("run `{line}`"))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("`{line}` did not succeed ({status})"))),
    }
}

/// What it prints, if it can be run and succeeds.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Whether the program is there.
pub(crate) fn exists(program: &str) -> bool {
    answer(command(program).arg("--version")).is_some()
}

/// The command as somebody would type it.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Builds the `lambent` program and says where it is.
pub(crate) fn build_lambent(release: bool) -> Outcome<PathBuf> {
    let mut cargo = cargo(&["build", "--package", "lambent", "--locked"]);
    cargo.arg("--message-format=json-render-diagnostics");
    if release {
        cargo.arg("--release");
    }
    // A bar for people; three hundred lines of "Compiling" for nobody.
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        cargo.arg("--quiet");
    }
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.attempting(|| "run cargo to build lambent".to_owned())?;
    if !output.status.success() {
        return Err(Failure::new("cannot build lambent: cargo says why above"));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| Failure::new("cargo built lambent and did not say where it is"))
}

/// The program that cargo's messages, one JSON object a line, tell of.
fn executable(messages: &str) -> Option<PathBuf> {
    let mut built = messages.lines().rev().filter_map(|line| json::parse(line).ok());
    built.find_map(|message| message.get("executable").and_then(Value::text).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_the_workspace_is() {
        assert!(root().join("Cargo.toml").exists());
    }

    #[test]
    fn the_executable_is_the_last_that_cargo_tells_of() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/lambent\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/lambent")));
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let failure = succeed(command("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(failure.contains("`sh -c exit 3`") && failure.contains('3'), "{failure}");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_exist() {
        assert!(!exists("no-such-program-as-this"));
    }
}
