//! The platform's protocol: what a reply says (of publications, `publication`), the table of error codes, one request at a time, the one token (`token`: what it
//! is; `keeper`: where it comes from, also by way of a third-party platform, `component`), and the client that puts them
//! together.

pub mod client;
pub mod component;
pub mod errcode;
mod fetch;
pub(crate) mod http;
pub mod keeper;
pub(crate) mod pictures;
pub(crate) mod publication;
mod reply;
pub(crate) mod seal;
pub mod token;
pub mod transport;

pub(crate) use reply::bounded;
pub use reply::{Reply, Unreadable, decode};
