//! Everything the account remembers: a part a concept, each in the file of its rules.

use super::audience::Directory;
use super::comments::Comments;
use super::component::Components;
use super::editor::Loss;
use super::idempotency::ClientIds;
use super::job::Jobs;
use super::media::Media;
use super::publications::Publications;
use super::push::Outbox;
use super::quota::Quotas;
use super::token::Tokens;
use super::{AccountKind, Config, Delivery};
use hyper::body::Bytes;
use std::collections::HashMap;

pub(super) struct State {
    /// What kind of account it is.
    pub(crate) kind: AccountKind,
    pub(crate) tokens: Tokens,
    pub(crate) components: Components,
    pub(crate) directory: Directory,
    pub(crate) media: Media,
    pub(crate) publications: Publications,
    pub(crate) comments: Comments,
    /// Use of the limits, by AppID: all accounts have the same followers and media, and limits of their own.
    quotas: HashMap<String, Quotas>,
    daily_mass_calls: u64,
    /// See [`Config::statistics_days`].
    pub(crate) statistics_days: u32,
    /// The account that calls; none where a token is asked for.
    pub(crate) caller: String,
    /// The `clientmsgid`s of the last day.
    pub(crate) client_ids: ClientIds,
    pub(crate) jobs: Jobs,
    /// What readers saw.
    pub(crate) deliveries: Vec<Delivery>,
    /// Events that are to be pushed.
    pub(crate) outbox: Outbox,
    /// What the draft that the next request writes is to lose.
    pub loss: Option<Loss>,
    /// The file that the reply to the request is, and its format, if it is one.
    pub(crate) file: Option<(Bytes, &'static str)>,
    /// Requests refused so far: each has a `rid` of its own.
    pub errors: u32,
}

impl State {
    /// A new account. `seed` tells its tokens from those of another.
    pub(super) fn new(config: &Config, seed: u64) -> Self {
        State {
            kind: config.kind,
            tokens: Tokens::new(config.appid.clone(), config.secret.clone(), seed),
            components: Components::new(config.component.clone()),
            directory: Directory::new(&config.tags, config.followers),
            media: Media::new(&config.media, &config.drafts),
            publications: Publications::default(),
            comments: Comments::default(),
            quotas: HashMap::new(),
            daily_mass_calls: config.daily_mass_calls,
            statistics_days: config.statistics_days,
            caller: String::new(),
            client_ids: ClientIds::default(),
            jobs: Jobs::new(config.sending),
            deliveries: Vec::new(),
            outbox: Outbox::new(config.push.clone(), config.fault_seed),
            loss: None,
            file: None,
            errors: 0,
        }
    }

    /// Use of the limits by the account that calls.
    pub(super) fn quotas(&mut self) -> &mut Quotas {
        let daily_mass_calls = self.daily_mass_calls;
        self.quotas.entry(self.caller.clone()).or_insert_with(|| Quotas::new(daily_mass_calls))
    }
}
