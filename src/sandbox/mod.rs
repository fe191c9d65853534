//! The sandbox: a WeChat Official Account, made up, behind a real HTTP server on this machine.
//!
//! It exists so that a plan can be rehearsed, and the client tested, without an account and without readers. It is
//! strict on purpose: what WeChat is known to refuse is refused here with the same error code, and the rules that depend
//! on time (token life, quotas of a minute, a day and a month, the memory for `clientmsgid`) follow [`Config::now`].
//! Where the documents leave a choice, the stricter reading is taken.
//!
//! It shares no code with the client: a misunderstanding should show up as a failing test, not cancel itself out.
//!
//! # A request's way
//!
//! 1. `server` reads the request from the connection, and hands it to the state machine under one lock.
//! 2. `routes` looks up the route, then checks token, method, body and daily quota, and calls the route's handler.
//! 3. The handlers live by concept: `token`, `component` (third-party platforms), `mass` (send and preview), `job` (what became of a send), `upload` (files),
//!    `push` (events of jobs that are over), `draft` (articles, which lose what `editor` does not keep), `publish` (articles without a message), `comment` (of sent articles), `audience` (tags and followers), `datacube` (statistics), `quota`.
//! 4. `server` records the [`Call`] and writes the reply.
//!
//! Step 2 and 3 are pure: no input or output, and the time is an argument.
//!
//! # Sources
//!
//! * [Mass sending, service accounts](https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html),
//!   [subscription accounts](https://developers.weixin.qq.com/doc/subscription/guide/product/message/Batch_Sends.html)
//! * [sendall](https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall),
//!   [send](https://developers.weixin.qq.com/doc/service/api/notify/message/api_masssend.html),
//!   [preview](https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview),
//!   [get](https://developers.weixin.qq.com/doc/service/api/notify/message/api_massmsgget),
//!   [delete](https://developers.weixin.qq.com/doc/service/api/notify/message/api_deletemassmsg)
//! * [uploadimg](https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage),
//!   [add_material](https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial),
//!   [upload](https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia),
//!   [draft/add](https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add)
//! * [Access token](https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken),
//!   [stable access token](https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken)
//! * [Call limits](https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html)
//! * [Return codes](https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html)

#![forbid(unsafe_code)]

use std::sync::Arc;

use jiff::Timestamp;

mod audience;
mod calendar;
mod comment;
mod comments;
mod component;
mod datacube;
mod draft;
mod editor;
mod errcode;
mod exchange;
mod fault;
mod idempotency;
mod issue;
mod job;
mod mass;
mod material;
mod media;
mod message;
mod multipart;
mod publications;
mod publish;
mod push;
mod quota;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod testkit;
mod token;
mod upload;
mod when;

pub use fault::Fault;
pub use push::{Attempt, OnPush, Push, PushFault, PushMode, is_aes_key};
pub use server::Sandbox;
pub use when::BadFault;

/// Where the sandbox takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Is called with each request answered.
pub type OnCall = Arc<dyn Fn(&Call) + Send + Sync>;

/// What kind of Official Account the sandbox plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A verified service account (服务号).
    Service,
    /// A verified subscription account (订阅号): one mass send a day, and none to a list of openids.
    Subscription,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The number the API knows it by.
    pub id: u64,
    /// The name shown in the console.
    pub name: String,
    /// How many followers carry it: the first so many.
    pub count: u64,
}

/// The only third-party platform accepted; what is not said here may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// Its AppID.
    pub appid: Option<String>,
    /// Its AppSecret.
    pub secret: Option<String>,
    /// The ticket that it was sent last.
    pub ticket: Option<String>,
    /// The refresh token that it got for the account.
    pub refresh_token: Option<String>,
}

/// The made-up account, and the rules it plays by.
#[derive(Clone)]
pub struct Config {
    pub kind: AccountKind,
    /// The only AppID accepted; without it any well-formed one (`wx` and 16 hexadecimal digits).
    pub appid: Option<String>,
    /// The only AppSecret accepted; without it any that is not empty.
    pub secret: Option<String>,
    /// The third-party platform that the account has authorised.
    pub component: Component,
    /// Tags beside the default one, 2 = 星标组.
    pub tags: Vec<Tag>,
    /// Media that exist, as (kind, `media_id`); kind is `mpnews` (a draft), `image`, `voice`, `mpvideo` or `thumb`, or
    /// `url` with the address of a picture of an article.
    pub media: Vec<(String, String)>,
    /// Titles of drafts that somebody made in the console, each of one article.
    pub drafts: Vec<String>,
    /// How many followers the account has.
    pub followers: u64,
    /// Mass calls a service account may make a day, openid and tag sends together.
    pub daily_mass_calls: u64,
    /// How many seconds a job is on its way (`SENDING`).
    pub sending: i64,
    /// By so many days the statistics are ahead of the time: a rehearsal has readers at once.
    pub statistics_days: u32,
    pub now: Clock,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Which of the faults by chance happen; the same number gives the same ones.
    pub fault_seed: u64,
    /// Where events are pushed; nowhere without it.
    pub push: Option<Push>,
    /// Is called with each request answered, before the reply is on its way.
    pub on_call: Option<OnCall>,
}

#[expect(clippy::disallowed_methods, reason = "a server that stands alone lives in real time")]
impl Default for Config {
    /// A service account with no media, no tags of its own, 1000 followers, and the time of this machine.
    fn default() -> Self {
        Config {
            kind: AccountKind::Service,
            appid: None,
            secret: None,
            component: Component::default(),
            tags: Vec::new(),
            media: Vec::new(),
            drafts: Vec::new(),
            followers: 1000,
            daily_mass_calls: 100,
            sending: 20,
            statistics_days: 0,
            now: Arc::new(Timestamp::now),
            faults: Vec::new(),
            fault_seed: 1,
            push: None,
            on_call: None,
        }
    }
}

/// A request the sandbox answered.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Timestamp,
    pub(crate) method: String,
    /// The path without the query, hence without token and secret.
    pub path: String,
    /// The exact bytes of the body; for a token endpoint the secret is replaced by `***`. For an upload, what its form
    /// holds, as JSON: of a file its `filename`, `content_type`, `bytes` (how many) and `sha256`.
    pub(crate) body: Vec<u8>,
    /// The `Content-Type` of the request.
    pub content_type: Option<String>,
    /// The `errcode` of the reply, 0 for success; the HTTP status where the reply was not an API reply (404, 413).
    pub(crate) errcode: i64,
    /// The body of the reply; the value of a token is replaced by `***`.
    pub(crate) reply: String,
    /// The fault that hit it, as `--fault` names it; `errcode` and `reply` are then what it would have been told.
    pub(crate) fault: Option<String>,
}

/// What happened to readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A mass send reached them.
    Mass,
    /// A preview reached one of them.
    Preview,
    /// A message sent earlier was withdrawn.
    Deleted,
    /// Articles have a page each, of which nobody was told.
    Published,
    /// Such pages were taken away.
    Unpublished,
}

/// Who was written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    All,
    /// The followers with a tag.
    Tag {
        id: u64,
        name: String,
    },
    /// A list of openids, as asked for, without duplicates.
    Openids(Vec<String>),
    /// One person by WeChat id (微信号).
    Wxname(String),
}

/// One thing that readers saw happen.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When the call was accepted.
    pub at: Timestamp,
    pub kind: DeliveryKind,
    pub msg_id: Option<u64>,
    /// Whom it was meant for.
    pub audience: Audience,
    /// How many it reached, after those who had their four messages this month were left out.
    pub recipients: u64,
    pub(crate) msgtype: String,
    /// The text; for other messages the media ids, joined by `,`.
    pub content: String,
    /// The titles of the articles, if it is a draft.
    pub(crate) titles: Vec<String>,
    /// The caller's id, if one was given.
    pub clientmsgid: Option<String>,
    /// Permanent links of the articles or the video; `mass/delete` accepts them.
    pub(crate) urls: Vec<String>,
}
