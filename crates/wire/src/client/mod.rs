//! A typed client of the native HTTP API.
//!
//! One use, from its beginning to its end: [`Client::new`] takes the address of a service and,
//! where there is one, an API key; an operation such as [`Client::function`] sends one request and
//! gives an [`Answer`], which is the JSON as it came together with the typed value, or a
//! [`ClientError`], which is a sentence for a person and has the service's [`Problem`] where the
//! service refused. [`Client::deploy`] tells how far an upload is, [`Client::follow`] gives the
//! lines of a log as they are written.
//!
//! [`Problem`]: crate::http::problem::Problem
//!
//! What it does not do: it never tries a request again (only its caller knows whether that is
//! safe), it follows no redirects, it obeys no proxy settings, and it speaks no TLS: a service
//! beyond this machine is to be reached through a tunnel or a proxy that does.

mod address;
mod answer;
mod error;
mod lines;
mod multipart;
mod operations;
mod outgoing;
#[cfg(test)]
mod tests;
mod transport;

pub use answer::{Answer, Items};
pub use error::ClientError;
pub use lines::LogStream;
pub use operations::{Call, Called, Deploy};
pub use transport::{Client, Credentials};
