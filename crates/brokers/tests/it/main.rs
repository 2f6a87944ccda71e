//! The crate against real brokers. Tests that leave a node as it was share one, under queues of their
//! own; those that stop it have their own. Zaqar and Keystone are played by `zaqar::cloud`, and Kafka
//! by its client library's own stand-in.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as a test may")]

mod consuming;
mod harness;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod outages;
mod publishing;
mod topology;
mod zaqar;
