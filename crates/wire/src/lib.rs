//! wire
pub mod batch;
pub mod client;
pub mod cloudevents;
pub mod http;
pub mod json;
pub mod message;
pub mod runtime;
pub mod signature;
pub mod worker;
