//! `lambent completion SHELL`.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Failure;
use crate::cli::Cli;

#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "For bash: source <(lambent completion bash)")]
pub struct Completion {
    /// The shell to make the script for
    pub shell: Shell,
}

impl Completion {
    pub fn run(self) -> Result<(), Failure> {
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lambent", &mut script);
        let mut out = std::io::stdout().lock();
        Ok(out.write_all(&script).and_then(|()| out.flush())?)
    }
}
