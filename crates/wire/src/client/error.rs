//! What can go wrong between a client and a service, in sentences.

use std::time::Duration;

use crate::http::problem::Problem;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{url:?} is not the address of a service: {why}")]
    BadUrl { url: String, why: String },
    #[error(
        "cannot use {url}: this client does not speak TLS yet; give an http:// address, through \
         a tunnel or a proxy where the service is not on this machine"
    )]
    Https { url: String },
    /// Neither the value nor a part of it is told: it may be a secret.
    #[error("the {what} cannot be sent as a header: it has characters other than visible ASCII")]
    BadHeader { what: &'static str },
    #[error(
        "cannot connect to {url} ({}); is `lambent dev` running? If the service is elsewhere, set \
         LAMBENT_URL",
        root(source)
    )]
    Connect { url: String, source: hyper_util::client::legacy::Error },
    #[error("{request} was sent to {url}, and the connection ended before the answer")]
    NoAnswer { request: String, url: String, source: hyper_util::client::legacy::Error },
    #[error("{request} was not answered by {url} within {} s", within.as_secs())]
    TimedOut { request: String, url: String, within: Duration },
    #[error("the answer to {request} could not be read to its end")]
    Broken { request: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The service refused or failed, and said so.
    #[error("{}", problem.detail)]
    Problem { problem: Box<Problem> },
    #[error(
        "{url} answered {request} with status {status} and {excerpt:?}, which is not Lambent's \
         way; is it a Lambent service?"
    )]
    Unexpected { request: String, url: String, status: u16, excerpt: String },
    #[error("{url} answered {request} with something that is not what this client knows")]
    BadAnswer { request: String, url: String, source: serde_json::Error },
    #[error("a line of the answer to {request} is longer than {most} bytes")]
    LineTooLong { request: String, most: usize },
}

/// The cause that has no other: what the operating system said, beneath the library's layers.
fn root<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root
}

impl ClientError {
    /// What the service said, where it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem } => Some(problem),
            _ => None,
        }
    }

    /// The status that was answered, where one was.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { problem } => Some(problem.status),
            Self::Unexpected { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may be answered better later: nobody was there, or somebody who
    /// said that now is not the time.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::NoAnswer { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => true,
            Self::Problem { .. } | Self::Unexpected { .. } => {
                self.status().is_some_and(|status| matches!(status, 408 | 429 | 500..))
            }
            Self::BadUrl { .. }
            | Self::Https { .. }
            | Self::BadHeader { .. }
            | Self::BadAnswer { .. }
            | Self::LineTooLong { .. } => false,
        }
    }
}
