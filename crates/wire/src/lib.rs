//! wire
pub mod client;
pub mod runtime;
pub mod worker;
pub mod http;
pub mod cloudevents;
pub mod json;
