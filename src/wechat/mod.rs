//! The platform's protocol: what a reply says, the table of error codes, one request at a time, the one token, and the client
//! that puts them together.

pub mod client;
pub mod errcode;
pub(crate) mod http;
mod reply;
pub mod token;
pub mod transport;

pub(crate) use reply::bounded;
pub use reply::{Reply, Unreadable, decode};
