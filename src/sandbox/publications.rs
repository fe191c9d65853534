//! What was published, and how it stands; the calls are in `publish`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::calendar::{day, within};
use super::issue::Issue;
use super::media::{Draft, Media};
use super::{Audience, Delivery, DeliveryKind};

/// Path that publishes.
pub(super) const SUBMIT: &str = "/cgi-bin/freepublish/submit";
pub(super) const GET: &str = "/cgi-bin/freepublish/get";
pub(super) const DELETE: &str = "/cgi-bin/freepublish/delete";
pub(super) const GETARTICLE: &str = "/cgi-bin/freepublish/getarticle";
pub(super) const BATCHGET: &str = "/cgi-bin/freepublish/batchget";

/// How long a publication takes.
pub(super) const PUBLISHING: i64 = 10;

/// Added to a `publish_id` it is the `msg_data_id`, beyond those of drafts that are sent.
const FIRST_DATA_ID: u64 = 2_300_000_000;

pub(super) const PUBLISHED: u64 = 0;
pub(super) const RUNNING: u64 = 1;
pub(super) const DELETED: u64 = 5;

pub(super) struct Publication {
    pub(crate) publish_id: String,
    pub(crate) article_id: String,
    /// The draft that it was.
    pub(crate) draft: String,
    pub(crate) submitted: Timestamp,
    /// 0, or how it fails.
    pub(crate) outcome: u64,
    /// Articles by which it fails, from 1.
    pub(crate) failed: Vec<usize>,
    /// Its articles, as they were submitted.
    pub(crate) articles: Draft,
    /// Articles that were deleted, from 1.
    pub(crate) gone: BTreeSet<usize>,
    /// Its end was looked at: a failure has given the draft back.
    pub(crate) ended: bool,
}

impl Publication {
    pub(super) fn status(&self, now: Timestamp) -> u64 {
        match self.outcome {
            _ if within(PUBLISHING, self.submitted, now) => RUNNING,
            PUBLISHED if self.gone.len() == self.articles.articles.len() => DELETED,
            outcome => outcome,
        }
    }

    /// The link of an article, by its number from 1.
    pub(super) fn url(&self, index: usize) -> String {
        let digest = Sha256::digest(format!("{}/{index}", self.article_id));
        let name: String = digest.iter().take(11).map(|byte| format!("{byte:02x}")).collect();
        format!("http://mp.weixin.qq.com/s/{name}")
    }

    pub(super) fn urls(&self) -> Vec<String> {
        (1..=self.articles.articles.len()).map(|index| self.url(index)).collect()
    }

    pub(super) fn delivery(&self, at: Timestamp, kind: DeliveryKind, numbers: &BTreeSet<usize>) -> Delivery {
        let title =
            |number: &usize| self.articles.articles[number - 1]["title"].as_str().unwrap_or_default().to_owned();
        Delivery {
            at,
            kind,
            msg_id: None,
            audience: Audience::Openids(Vec::new()),
            recipients: 0,
            msgtype: "mpnews".to_owned(),
            content: self.draft.clone(),
            titles: numbers.iter().map(title).collect(),
            clientmsgid: None,
            urls: numbers.iter().map(|number| self.url(*number)).collect(),
        }
    }
}

/// All publications of the account, in the order in which they were submitted.
#[derive(Default)]
pub(super) struct Publications(pub(crate) Vec<Publication>);

impl Publications {
    /// What time alone brings about: a draft whose publication failed is in the draft box again.
    pub(super) fn ripen(&mut self, now: Timestamp, media: &mut Media) {
        for one in self.0.iter_mut().filter(|one| !one.ended && one.status(now) != RUNNING) {
            one.ended = true;
            if one.outcome != PUBLISHED {
                media.give_back(&one.draft);
            }
        }
    }

    /// What can be read of: it succeeded, and something of it is left.
    pub(super) fn public(&self, now: Timestamp) -> impl Iterator<Item = &Publication> {
        self.0.iter().rev().filter(move |one| one.status(now) == PUBLISHED)
    }
    /// What was published on a day, whatever became of it later.
    pub(super) fn issues(&self, on: Date) -> impl Iterator<Item = Issue> {
        let published = move |one: &&Publication| one.outcome == PUBLISHED && day(one.submitted) == on;
        self.0.iter().filter(published).map(|one| {
            let title = |article: &Value| article["title"].as_str().unwrap_or_default().to_owned();
            Issue {
                data_id: one.publish_id.parse::<u64>().unwrap_or_default() + FIRST_DATA_ID,
                recipients: 0,
                is_pushed: false,
                titles: one.articles.articles.iter().map(title).collect(),
                urls: one.urls(),
            }
        })
    }
}
