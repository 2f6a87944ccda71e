//! wire
pub mod client;
pub mod cloudevents;
pub mod http;
pub mod json;
pub mod runtime;
pub mod worker;
