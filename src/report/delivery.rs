//! What became of a mass send after WeChat accepted it, as its event `MASSSENDJOBFINISH` says.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    events::model::{JobStatus, MassResult, checked},
    locale::{Count, Phrase, say},
    text::thousands,
};

/// What became of a mass send, by the event `MASSSENDJOBFINISH`. Sent when the job is nearly finished: the numbers may change a little afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// WeChat's job id.
    pub(crate) msg_id: u64,
    /// When the event was received.
    #[schemars(with = "String")]
    pub(crate) at: Timestamp,
    /// `Status` of the event: `send success`, `send fail` or `err(N)`.
    pub(crate) status: String,
    /// What that means.
    pub(crate) meaning: Phrase,
    /// Whether it was sent and reached somebody.
    pub(crate) delivered: bool,
    /// Followers of the tag, or openids of the call.
    pub(crate) total: Option<u64>,
    /// Recipients left out by WeChat's filters: region, blocked, four messages this month.
    pub(crate) filtered: Option<u64>,
    /// Recipients who got it.
    pub(crate) sent: Option<u64>,
    /// Recipients for whom sending failed.
    pub(crate) failed: Option<u64>,
    /// Result of the check for original content over all articles, if it found something.
    pub(crate) check: Option<Phrase>,
    /// The articles of which the event says something.
    pub(crate) articles: Vec<DeliveredArticle>,
}

/// An article of a send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveredArticle {
    /// Number of the article, starting at 1.
    pub(crate) article: u64,
    /// Permanent link.
    pub(crate) url: Option<String>,
    /// Result of the check for original content and reprints, if it found something.
    pub(crate) verdict: Option<Phrase>,
    /// The original article that it resembles.
    pub(crate) original: Option<String>,
}

impl Delivery {
    /// What an event says that was received at a time.
    pub fn new(mass: &MassResult, at: Timestamp) -> Self {
        let mut articles: Vec<DeliveredArticle> = Vec::new();
        for (number, url) in &mass.links {
            article(&mut articles, *number).url = Some(url.clone());
        }
        for verdict in &mass.verdicts {
            if let Some(words) = verdict.words() {
                let entry = article(&mut articles, verdict.article);
                (entry.verdict, entry.original) = (Some(words), verdict.original.clone());
            }
        }
        articles.sort_by_key(|entry| entry.article);
        let failure = mass.failure();
        Self {
            msg_id: mass.msg_id,
            at,
            status: mass.status.text(),
            delivered: failure.is_none(),
            meaning: failure.unwrap_or_else(|| JobStatus::Success.words()),
            total: mass.total,
            filtered: mass.filtered(),
            sent: mass.sent,
            failed: mass.failed,
            check: checked(mass.check_state),
            articles,
        }
    }

    /// Job and status, then the numbers.
    pub(crate) fn summary(&self) -> Phrase {
        let count = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), thousands);
        say!(
            "job {job}: {status}; total {total}, filtered out {filtered}, sent {sent}, failed {failed}",
            job = self.msg_id.to_string(),
            status = self.meaning.clone(),
            total = count(self.total),
            filtered = count(self.filtered),
            sent = count(self.sent),
            failed = count(self.failed)
        )
    }

    /// What the check found, and a line an article.
    pub(crate) fn details(&self) -> Vec<Phrase> {
        let check = self.check.iter().map(|found| say!("check for original content: {found}", found = found.clone()));
        let of = |entry: &DeliveredArticle| {
            let number = Count(entry.article);
            match (&entry.verdict, &entry.url) {
                (Some(verdict), Some(url)) => {
                    Some(say!("article {number}: {verdict}; {url}", number, verdict = verdict.clone(), url))
                }
                (Some(verdict), None) => Some(say!("article {number}: {verdict}", number, verdict = verdict.clone())),
                (None, Some(url)) => Some(say!("article {number}: {url}", number, url)),
                (None, None) => None,
            }
        };
        check.chain(self.articles.iter().filter_map(of)).collect()
    }
}

/// The entry of an article, which is made where there is none.
fn article(articles: &mut Vec<DeliveredArticle>, number: u64) -> &mut DeliveredArticle {
    let at = articles.iter().position(|known| known.article == number).unwrap_or(articles.len());
    if at == articles.len() {
        articles.push(DeliveredArticle { article: number, url: None, verdict: None, original: None });
    }
    &mut articles[at]
}
