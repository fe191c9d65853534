//! What replies say of publications; no IO.
//! <https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md>

use serde_json::{Map, Value, json};

use super::Reply;
use crate::{limits, payload};

/// Where a publication stands: `publish_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Published,
    Publishing,
    /// The check of originality refused it.
    OriginalFail,
    Fail,
    /// The platform's review refused it.
    ReviewFail,
    /// It was public, and somebody deleted it.
    Deleted,
    /// It was public, and the platform took it away.
    Banned,
}

impl Stand {
    const ALL: [Self; 7] = [
        Self::Published,
        Self::Publishing,
        Self::OriginalFail,
        Self::Fail,
        Self::ReviewFail,
        Self::Deleted,
        Self::Banned,
    ];

    fn of(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The name in reports; WeChat has numbers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Published => "PUBLISHED",
            Self::Publishing => "PUBLISHING",
            Self::OriginalFail => "ORIGINAL_FAIL",
            Self::Fail => "FAIL",
            Self::ReviewFail => "REVIEW_FAIL",
            Self::Deleted => "DELETE",
            Self::Banned => "BANNED",
        }
    }

    /// The stand of a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stand| stand.name() == name)
    }

    /// Whether nothing became public: it ended, and it may be tried again.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::OriginalFail | Self::Fail | Self::ReviewFail)
    }
}

/// What a reply says of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) stand: Stand,
    pub(crate) publish_id: Option<String>,
    pub(crate) article_id: Option<String>,
    /// The links of its articles, in order, as far as they were told.
    pub(crate) urls: Vec<String>,
    /// Numbers of the articles by which it failed, from 1.
    pub(crate) failed: Vec<u64>,
}

impl Publication {
    /// Its facts as the ledger keeps them.
    pub(crate) fn kept(&self) -> Value {
        let mut facts = json!({ "status": self.stand.name() });
        for (name, value) in [("publish_id", &self.publish_id), ("article_id", &self.article_id)] {
            if let Some(value) = value {
                facts[name] = value.as_str().into();
            }
        }
        if let Some(first) = self.urls.first() {
            facts["url"] = first.as_str().into();
            facts["urls"] = json!(self.urls);
        }
        if !self.failed.is_empty() {
            facts["failed"] = json!(self.failed);
        }
        facts
    }
}

/// An id that can be put into a body: WeChat writes texts, and numbers mean the same.
fn id(members: &Map<String, Value>, name: &str) -> Option<String> {
    let id = match members.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    (payload::is_value(&id) && id.len() <= limits::KEPT_BYTES).then_some(id)
}

/// The link of an article; WeChat writes it with http, and serves it with https.
fn link(item: &Value, name: &str) -> Option<String> {
    let url = item[name].as_str().filter(|url| payload::is_value(url) && url.len() <= limits::KEPT_BYTES)?;
    Some(url.strip_prefix("http://").map_or_else(|| url.to_owned(), |rest| format!("https://{rest}")))
}

fn list<'m>(members: &'m Map<String, Value>, name: &str) -> &'m [Value] {
    members.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The `publish_id` of a reply to a submission.
pub(crate) fn publish_id(reply: &Reply) -> Option<String> {
    id(&reply.members, "publish_id").filter(|id| !id.is_empty() && id != "0")
}

/// A reply of `freepublish/get`; none if it does not say how the publication stands.
pub(crate) fn stands(reply: &Reply) -> Option<Publication> {
    let members = &reply.members;
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let stand = Stand::of(members.get("publish_status").and_then(number)?)?;
    let mut items: Vec<(u64, String)> = members
        .get("article_detail")
        .map_or(&[][..], |detail| detail["item"].as_array().map_or(&[], Vec::as_slice))
        .iter()
        .filter_map(|item| Some((number(&item["idx"])?, link(item, "article_url")?)))
        .collect();
    items.sort_by_key(|(index, _)| *index);
    Some(Publication {
        stand,
        publish_id: id(members, "publish_id"),
        article_id: id(members, "article_id"),
        urls: items.into_iter().map(|(_, url)| url).collect(),
        failed: list(members, "fail_idx").iter().filter_map(number).collect(),
    })
}

/// A reply of `freepublish/getarticle`: it is public as long as one of its articles is.
pub(crate) fn public(article_id: &str, reply: &Reply) -> Option<Publication> {
    let articles = list(&reply.members, "news_item");
    let gone = |article: &&Value| article["is_deleted"].as_bool().unwrap_or(false) || article["is_deleted"] == 1;
    let stand = if articles.iter().all(|article| gone(&article)) { Stand::Deleted } else { Stand::Published };
    (!articles.is_empty()).then(|| Publication { stand, ..found(article_id, articles) })
}

/// Whether an article (from 1), or each if there is no number, is deleted, by a reply of `freepublish/getarticle`; none if that
/// is not said.
pub(crate) fn is_deleted(reply: &Reply, index: Option<u64>) -> Option<bool> {
    let articles = list(&reply.members, "news_item");
    let gone = |article: &Value| match &article["is_deleted"] {
        Value::Bool(gone) => Some(*gone),
        Value::Number(gone) => gone.as_u64().map(|gone| gone == 1),
        _ => None,
    };
    match index {
        Some(index) => gone(articles.get(usize::try_from(index).ok()?.checked_sub(1)?)?),
        None if articles.is_empty() => None,
        None => articles.iter().map(gone).collect::<Option<Vec<bool>>>().map(|gone| gone.iter().all(|gone| *gone)),
    }
}

fn found(article_id: &str, articles: &[Value]) -> Publication {
    let urls: Vec<String> = articles.iter().filter_map(|article| link(article, "url")).collect();
    let urls = if urls.len() == articles.len() { urls } else { Vec::new() };
    let article_id = Some(article_id.to_owned());
    Publication { stand: Stand::Published, publish_id: None, article_id, urls, failed: Vec::new() }
}

/// One of a page of `freepublish/batchget`.
#[derive(Debug)]
pub(crate) struct Listed<'r> {
    pub(crate) publication: Publication,
    /// In seconds.
    pub(crate) update_time: i64,
    pub(crate) articles: &'r [Value],
}

/// A page of `freepublish/batchget` and how many there are in all; none if one of it cannot be read: what is looked for may
/// be that one.
pub(crate) fn page(reply: &Reply) -> Option<(Vec<Listed<'_>>, u64)> {
    let total = reply.members.get("total_count")?.as_u64()?;
    // Where there is none the list may be missing.
    let items = match reply.members.get("item") {
        Some(items) => items.as_array()?.as_slice(),
        None if total == 0 => &[],
        None => return None,
    };
    Some((items.iter().map(read).collect::<Option<Vec<_>>>()?, total))
}

fn read(item: &Value) -> Option<Listed<'_>> {
    let articles = item["content"]["news_item"].as_array()?;
    let article_id = id(item.as_object()?, "article_id")?;
    let update_time = item["update_time"].as_i64()?;
    Some(Listed { publication: found(&article_id, articles), update_time, articles })
}
