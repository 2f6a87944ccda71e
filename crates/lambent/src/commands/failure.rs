//! What went wrong, told once, with the exit code that goes with it.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use wire::client::ClientError;
use wire::http::problem::Problem;

use super::screen::clean;
use crate::cli::Exit;
use crate::server;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line as a whole does not make sense, though each of its parts does.
    #[error("{0}")]
    Usage(String),
    #[error("{}", model)]
    Invalid { model: model::Invalid },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the standard input")]
    ReadInput { source: io::Error },
    #[error("cannot make a zip of {}", path.display())]
    Zip { path: PathBuf, source: zip::result::ZipError },
    #[error("cannot watch {}", path.display())]
    Watch { path: PathBuf, source: io::Error },
    #[error("{}", client_sentence(client))]
    Client {
        #[from]
        client: ClientError,
    },
    /// The function's own failure; `report` is printed as it is.
    #[error("{report}")]
    Function { report: String },
    /// The server did not start, or ended before it was asked to.
    #[error(transparent)]
    Server {
        #[from]
        server: Box<server::CannotServe>,
    },
    /// Some of many were done; each that was not has been told.
    #[error("{0}")]
    Partly(String),
    #[error("cannot start the event loop of this process")]
    Runtime { source: io::Error },
    #[error("cannot write to the standard output")]
    Output {
        #[from]
        source: io::Error,
    },
}

impl From<server::CannotServe> for Failure {
    fn from(server: server::CannotServe) -> Self {
        Self::Server { server: Box::new(server) }
    }
}

/// What somebody typed or wrote down is wrong, or the machine did not let us.
fn server_exit(error: &server::CannotServe) -> Exit {
    match error {
        server::CannotServe::Config(_)
        | server::CannotServe::Invalid(_)
        | server::CannotServe::NoKeys { .. } => Exit::Usage,
        server::CannotServe::Store(store::Error::Unsound { .. }) => Exit::Damaged,
        _ => Exit::Failed,
    }
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::Invalid { .. }
            | Self::Read { .. }
            | Self::ReadInput { .. }
            | Self::Zip { .. } => Exit::Usage,
            // A reader that has seen enough, such as `head`, is no failure.
            Self::Output { source } if source.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Self::Server { server } => server_exit(server),
            Self::Function { .. }
            | Self::Partly(_)
            | Self::Runtime { .. }
            | Self::Watch { .. }
            | Self::Output { .. } => Exit::Failed,
            Self::Client { client } => client_exit(client),
        }
    }

    /// Tells it on the standard error, and answers the exit code.
    pub fn report(&self) -> Exit {
        let exit = self.exit();
        if exit != Exit::Success {
            // Where the standard error is gone, too, there is nobody left to tell.
            drop(writeln!(anstream::stderr().lock(), "lambent: {}", self.sentence()));
        }
        exit
    }

    /// The whole chain in one sentence, and the API's code where it has one.
    fn sentence(&self) -> String {
        if let Self::Function { report } = self {
            return report.clone();
        }
        let mut text = self.to_string();
        // The layers of the HTTP library say nothing that the first and the last do not.
        let only_last = matches!(self, Self::Client { .. });
        let mut cause = match self {
            Self::Client { client } => client.source(),
            _ => self.source(),
        };
        while let Some(error) = cause {
            cause = error.source();
            let why = error.to_string();
            if !text.contains(&why) && (cause.is_none() || !only_last) {
                text = format!("{text}: {why}");
            }
        }
        clean(&text)
    }
}

fn client_sentence(client: &ClientError) -> String {
    let Some(problem) = client.problem() else { return client.to_string() };
    let Problem { detail, code, reason, retry_after_s, .. } = problem;
    let mut text = detail.clone();
    let hint = match retry_after_s {
        Some(seconds) => Some(format!("Try again in {seconds} s.")),
        None if code == "unauthorized" => {
            Some("Set LAMBENT_API_KEY, or give --key-file.".to_owned())
        }
        None => None,
    };
    if let Some(hint) = hint {
        let end = if text.ends_with('.') { "" } else { "." };
        text = format!("{text}{end} {hint}");
    }
    match reason {
        Some(reason) => format!("{text} [{code}: {reason}]"),
        None => format!("{text} [{code}]"),
    }
}

fn client_exit(client: &ClientError) -> Exit {
    match client {
        ClientError::BadUrl { .. } | ClientError::Https { .. } | ClientError::BadHeader { .. } => {
            Exit::Usage
        }
        ClientError::Connect { .. }
        | ClientError::NoAnswer { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Broken { .. } => Exit::Unreachable,
        ClientError::Problem { problem } => match problem.status {
            404 => Exit::NotFound,
            400..=499 => Exit::Refused,
            _ => Exit::ServiceFailed,
        },
        ClientError::Unexpected { .. }
        | ClientError::BadAnswer { .. }
        | ClientError::LineTooLong { .. } => Exit::ServiceFailed,
    }
}

impl From<model::Invalid> for Failure {
    fn from(model: model::Invalid) -> Self {
        Self::Invalid { model }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::http::problem::Code;

    #[track_caller]
    fn check(problem: Problem, exit: Exit, sentence: &str) {
        let failure = Failure::from(ClientError::Problem { problem: Box::new(problem) });
        assert_eq!((failure.exit(), failure.sentence().as_str()), (exit, sentence));
    }

    #[test]
    fn a_refusal_is_one_sentence_with_its_code_and_what_to_do() {
        check(
            Problem::new(Code::NotFound, "There is no function \"x\"."),
            Exit::NotFound,
            "There is no function \"x\". [not_found]",
        );
        check(
            Problem::new(Code::TooManyRequests, "Too many.").retry_after(2),
            Exit::Refused,
            "Too many. Try again in 2 s. [too_many_requests]",
        );
        check(
            Problem::new(Code::InvalidPackage, "Bad\u{1b}[2Jzip.").reason("package.empty"),
            Exit::Refused,
            "Bad\\u{1b}[2Jzip. [invalid_package: package.empty]",
        );
        check(
            Problem::new(Code::Unauthorized, "No key"),
            Exit::Refused,
            "No key. Set LAMBENT_API_KEY, or give --key-file. [unauthorized]",
        );
        check(Problem::new(Code::Draining, "Bye."), Exit::ServiceFailed, "Bye. [draining]");
    }

    #[test]
    fn causes_follow_the_sentence_and_a_closed_pipe_is_no_failure() {
        let source = io::Error::new(io::ErrorKind::NotFound, "gone");
        let failure = Failure::Read { path: "a.py".into(), source };
        assert_eq!(failure.sentence(), "cannot read a.py: gone");
        assert_eq!(failure.exit(), Exit::Usage);
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit(), Exit::Success);
    }
}
