//! Readers of articles: what WeChat's statistics say, joined with what the ledger has of the sends. Pure.
//!
//! [`sent()`] says which articles a plan has sent, [`days`] which days are worth asking for, [`answer`] what an answer says, and
//! [`joined`] puts the sends and all that was kept together. Whatever is kept is kept as it came
//! ([`ARTICLES`], [`FOLLOWERS`]) and read again here.
//!
//! Sources: [getarticletotaldetail](https://developers.weixin.qq.com/doc/service/api/wedata/news/api_getarticletotaldetail.html),
//! [getusersummary](https://developers.weixin.qq.com/doc/service/api/wedata/user/api_getusersummary.html).

pub mod answer;
pub mod days;
mod join;
pub mod model;
mod sent;

pub use join::{joined, subjects};
pub use sent::{Sent, sent};

/// The API of articles, and the kind under which its rows are kept: a row under its `msgid`.
pub const ARTICLES: &str = "getarticletotaldetail";
/// The API of followers, and the kind under which its rows are kept: those of a day under its date.
pub const FOLLOWERS: &str = "getusersummary";
