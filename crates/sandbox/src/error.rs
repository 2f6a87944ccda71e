//! What can go wrong between the server and its launcher, one variant per thing attempted.
//!
//! What goes wrong *inside* a launcher (a mount that is refused, say) is not an error of the
//! conversation: it arrives as [`Message::Failed`](crate::Message::Failed).

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(clippy::error_impl_error, reason = "sandbox::Error says it; SandboxError would stutter")]
pub enum Error {
    #[error("cannot make a socket to speak to the launcher")]
    Socket(#[source] io::Error),
    #[error("cannot execute the launcher from /proc/self/exe; is /proc mounted?")]
    Execute(#[source] io::Error),
    #[error("cannot send the launcher a message of {bytes} bytes; at most {limit} are possible")]
    MessageTooLong { bytes: usize, limit: usize },
    #[error("cannot send to the launcher")]
    Send(#[source] io::Error),
    #[error("cannot receive from the launcher")]
    Receive(#[source] io::Error),
    #[error("cannot understand the launcher's message: {what}")]
    Protocol { what: String },
    #[error(
        "the launcher is gone ({}), and every sandbox with it; this process cannot start another \
         and should end, so that its service manager starts both again",
        match status { Some(status) => status.to_string(), None => "still exiting".to_owned() }
    )]
    LauncherGone { status: Option<ExitStatus> },
    #[error("the launcher cannot start: {0}")]
    Unable(String),
    #[error("cannot {attempt} {} to give up root", path.display())]
    GiveUpRoot {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {attempt} to give up root (user {uid})")]
    BecomeUser {
        attempt: &'static str,
        uid: u32,
        #[source]
        source: io::Error,
    },
}
