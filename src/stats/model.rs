//! Readers as every format tells them.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Readers of the articles of an edition, as far as the state store has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readers {
    /// Articles, in the order in which they were sent.
    pub articles: Vec<Article>,
    /// New and lost followers of the account on the days on which articles were sent.
    pub followers: Vec<Followers>,
    /// Steps that sent articles of which the state store has no statistics.
    pub missing: Vec<String>,
}

/// An article, and who has read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// WeChat's id in its statistics: `msg_data_id`, `_` and the number of the article in the message, starting at 1.
    pub msgid: String,
    /// Steps that sent it.
    pub steps: Vec<String>,
    /// Title, as WeChat gives it.
    pub title: String,
    /// Link, as WeChat gives it.
    pub url: String,
    /// Date of the send (Asia/Shanghai).
    #[schemars(with = "String")]
    pub date: Date,
    /// Whether followers were notified; false for a publication.
    pub notified: bool,
    /// How it was recognised: `id` or `title` (by date and title, if the `msg_data_id` is unknown).
    pub matched_by: MatchedBy,
    /// Recipients of the sends, if known.
    pub recipients: Option<u64>,
    /// When the newest numbers were received.
    #[schemars(with = "String")]
    pub received_at: Timestamp,
    /// One entry per day, cumulative.
    pub days: Vec<Day>,
}

/// How an article was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// By the `msg_data_id` of the send.
    Id,
    /// By date and title.
    Title,
}

/// An article up to the end of a day. A number that WeChat does not give is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// The day (Asia/Shanghai).
    #[schemars(with = "String")]
    pub date: Date,
    /// Readers.
    pub readers: Option<u64>,
    /// Readers by where they opened the article, in WeChat's words, without the total (全部).
    pub scenes: BTreeMap<String, u64>,
    /// Users who shared it.
    pub shares: Option<u64>,
    /// Users who tapped 在看.
    pub zaikan: Option<u64>,
    /// Users who liked it.
    pub likes: Option<u64>,
    /// Comments.
    pub comments: Option<u64>,
    /// Users who added it to their favourites.
    pub favourites: Option<u64>,
    /// Appreciation money (赞赏) in fen.
    pub praise_fen: Option<u64>,
    /// Users who followed the account after reading.
    pub follows: Option<u64>,
    /// Share of those notified who read it, as WeChat gives it.
    pub delivery_rate: Option<f64>,
    /// Share of readers who read it to the end, as WeChat gives it.
    pub finish_rate: Option<f64>,
    /// Average reading time, as WeChat gives it.
    pub average_time: Option<f64>,
    /// Where readers stopped reading.
    pub stops: Vec<Stop>,
}

/// Where readers stopped reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Position in the article, as WeChat gives it.
    pub position: f64,
    /// Share of readers, as WeChat gives it.
    pub rate: f64,
}

/// Followers of the account on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Followers {
    /// The day (Asia/Shanghai).
    #[schemars(with = "String")]
    pub date: Date,
    /// New followers.
    pub new: u64,
    /// Lost followers.
    pub lost: u64,
}

impl Readers {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.articles.is_empty() && self.missing.is_empty()
    }
}

impl Article {
    /// The newest numbers.
    pub fn last(&self) -> Option<&Day> {
        self.days.last()
    }
}
