//! The nouns and the rules of Lambent, and nothing that touches the world.
//!
//! Read in the order of an event's life: who and what is named ([`name`], [`id`]), what a user
//! uploaded ([`function`]), what happened ([`event`]), whether a rule picks it up ([`pattern`]) and
//! how it hands it on ([`delivery`]), the work that follows and its states ([`invocation`]), whether
//! to try again ([`retry`]), and how an attempt can go wrong ([`fault`]). [`limits`] holds every
//! number with its reason, [`clock`] the one door to time and chance.
//!
//! Invariants: no I/O, no clock, no async, no serialisation of its own types (the JSON names are
//! `wire`'s, the columns are `store`'s). Everything here can run in a simulation as it is.

pub mod clock;
pub mod delivery;
pub mod digest;
pub mod event;
pub mod fault;
pub mod function;
pub mod id;
pub mod invocation;
pub mod limits;
pub mod name;
pub mod pattern;
pub mod retry;
pub mod schedule;
pub mod transform;

pub use clock::{Clock, Timestamp};
pub use delivery::Delivery;
pub use digest::Digest;
pub use event::Event;
pub use fault::{Blame, Fault};
pub use function::{Config, Function, Version};
pub use id::{EventId, FunctionId, InvocationId, MessageId, ReplayId, SourceId, WorkerId};
pub use name::{
    FunctionName, Handler, Invalid, KeyName, Project, RuntimeName, SourceName, TriggerName,
};
pub use pattern::Pattern;
pub use schedule::Schedule;
pub use transform::Transform;
