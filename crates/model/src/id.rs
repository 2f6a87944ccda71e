//! Typed ids: UUID version 7 (RFC 9562), so that they sort by the time they were made.
//!
//! An id is made from a [`Clock`], never from the machine directly, and each kind of thing has its
//! own type: an invocation's id does not fit where a function's is wanted.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::clock::Clock;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id for this moment.
            pub fn new(clock: &dyn Clock) -> Self {
                Self(uuid_v7(clock))
            }

            /// The 16 bytes, as a database keeps them; they sort by time.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, " {}"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // Only the form that we print: an id has one spelling.
                match Uuid::try_parse(text) {
                    Ok(id) if text.len() == 36 => Ok(Self(id)),
                    _ => Err(NotAnId { what: $what, text: text.chars().take(64).collect() }),
                }
            }
        }
    )*};
}

ids! {
    /// A function, whatever it is called: a name may be reused after a delete, the id is not.
    FunctionId, "function";
    /// An event as we keep it. (The sender's own id is an attribute of the event.)
    EventId, "event";
    /// One event, or one direct call, times one function.
    InvocationId, "invocation";
    /// One order to run stored events again.
    ReplayId, "replay";
    /// Something that events come from by themselves: a queue that is read, a schedule.
    SourceId, "source";
    /// What is sent when an invocation has ended.
    MessageId, "message";
    /// A process that runs attempts; new at each start.
    WorkerId, "worker";
}

/// The text is not an id of this kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the id of an {what}: expected a UUID such as 01940000-0000-7000-8000-000000000000"
)]
pub struct NotAnId {
    what: &'static str,
    text: String,
}

fn uuid_v7(clock: &dyn Clock) -> Uuid {
    let millis = u64::try_from(clock.now().millis()).unwrap_or(0);
    let entropy = clock.entropy().to_le_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&entropy[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
