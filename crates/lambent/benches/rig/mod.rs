//! What a measurement stands on: a server of its own, the machine's name, and a bare server to
//! compare with.

pub(crate) mod bare;
pub(crate) mod machine;
mod server;

pub(crate) use server::Server;

/// A benchmark ends at the first thing that goes wrong, and says what that was.
pub(crate) type Outcome<T = ()> = Result<T, String>;
