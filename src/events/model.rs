//! What WeChat says of a job, typed. Field names and values are those of the
//! [mass guide](https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html), section 4, and of the
//! [publish guide](https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md). Numbers may be texts, and a list may
//! be one item, a list, or blank.

use serde_json::Value;

use crate::locale::{Phrase, say};

/// `MASSSENDJOBFINISH`: how a mass send went. Sent when the job is nearly finished, so that its numbers may be off a little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MassResult {
    pub msg_id: u64,
    pub status: JobStatus,
    /// Followers of the tag, or openids of the call (`TotalCount`).
    pub total: Option<u64>,
    /// Those left after filters (`FilterCount`).
    pub left: Option<u64>,
    pub sent: Option<u64>,
    pub failed: Option<u64>,
    /// Of the check of all articles; 0 where nothing was checked.
    pub check_state: Option<u64>,
    pub verdicts: Vec<Verdict>,
    /// Number of the article, from 1, and its permanent link.
    pub links: Vec<(u64, String)>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    Success,
    Fail,
    /// `err(N)`
    Refused(u64),
    /// A text that no page has.
    Other(String),
}

/// What the check for original content said of an article.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// From 1.
    pub article: u64,
    /// What its author declared: 0 nothing, 1 original, 2 a reprint.
    pub declared: Option<u64>,
    /// 0 not checked yet, 1 is being checked, 11 passed; others did not pass.
    pub audit: Option<u64>,
    /// The original that it was found to be like.
    pub original: Option<String>,
    /// 1 original, 2 not original, 3 news, 4 barred.
    pub original_type: Option<u64>,
    pub can_reprint: Option<bool>,
    pub replaces_content: Option<bool>,
    pub shows_source: Option<bool>,
}

/// `PUBLISHJOBFINISH`: how a publication went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishResult {
    pub publish_id: String,
    /// 0 success, 1 running, 2 to 6 failures.
    pub status: Option<u64>,
    pub article_id: Option<String>,
    /// Number of the article, from 1, and its permanent link.
    pub links: Vec<(u64, String)>,
    /// The articles that failed, from 1.
    pub failed: Vec<u64>,
}

impl JobStatus {
    fn of(text: &str) -> Self {
        let text = text.trim();
        let number = || text.strip_prefix("err(")?.strip_suffix(')')?.trim().parse().ok();
        match text {
            "send success" | "sendsuccess" => Self::Success,
            "send fail" | "sendfail" => Self::Fail,
            _ => number().map_or_else(|| Self::Other(text.chars().take(80).collect()), Self::Refused),
        }
    }

    /// As WeChat writes it.
    pub fn text(&self) -> String {
        match self {
            Self::Success => "send success".to_owned(),
            Self::Fail => "send fail".to_owned(),
            Self::Refused(number) => format!("err({number})"),
            Self::Other(text) => text.clone(),
        }
    }

    /// In words.
    pub fn words(&self) -> Phrase {
        match self {
            Self::Success => say!("sent"),
            Self::Fail => say!("failed, without a reason"),
            Self::Refused(number) => refusal(*number),
            Self::Other(text) => say!("a status that no page documents: {text}", text),
        }
    }
}

/// What `err(N)` means.
fn refusal(number: u64) -> Phrase {
    match number {
        10001 => say!("refused: suspected advertising"),
        20001 => say!("refused: suspected politics"),
        20002 => say!("refused: suspected pornography"),
        20004 => say!("refused: suspected social issue"),
        20006 => say!("refused: suspected crime"),
        20008 => say!("refused: suspected fraud"),
        20013 => say!("refused: suspected copyright violation"),
        21000 => say!("refused: suspected for another reason"),
        22000 => say!("refused: suspected mutual promotion of accounts"),
        30001 => {
            say!("stopped: the check for original content had a system error, and `send_ignore_reprint` is not set")
        }
        30002 => say!("stopped: the check for original content does not allow this article to be sent"),
        30003 => say!("stopped: an article was judged a reprint, and `send_ignore_reprint` is not set"),
        40001 => say!("stopped: the administrator refused it (API mass-send protection)"),
        40002 => say!("stopped: the administrator did not confirm it within 30 minutes (API mass-send protection)"),
        _ => say!("refused by the content review (undocumented reason)"),
    }
}

impl MassResult {
    /// Whether it was sent, and reached somebody or may have.
    pub fn failure(&self) -> Option<Phrase> {
        match &self.status {
            JobStatus::Success if self.reached_nobody() => Some(say!(
                "WeChat says `send success`, but nobody got it: every recipient was filtered out (monthly limit of four messages, or blocked)"
            )),
            JobStatus::Success => None,
            status => Some(status.words()),
        }
    }

    /// It counts as sent, and there was nobody to send it to.
    pub fn reached_nobody(&self) -> bool {
        self.sent == Some(0) || (self.sent.is_none() && self.left == Some(0))
    }

    /// People left out by filters before it was sent: region, blocked, four messages this month.
    pub fn filtered(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.left?))
    }

    pub(super) fn of(fields: &Fields<'_>) -> Option<Self> {
        let check = fields.inner(&["CopyrightCheckResult"]);
        let verdicts = check.map(|check| check.list(&["ResultList"])).unwrap_or_default();
        let links = fields.inner(&["ArticleUrlResult"]).map(|result| result.list(&["ResultList"])).unwrap_or_default();
        Some(Self {
            msg_id: fields.number(MSG_ID)?,
            status: JobStatus::of(&fields.text(&["Status"]).unwrap_or_default()),
            total: fields.number(&["TotalCount"]),
            left: fields.number(&["FilterCount"]),
            sent: fields.number(&["SentCount"]),
            failed: fields.number(&["ErrorCount"]),
            check_state: check.and_then(|check| check.number(&["CheckState"])),
            verdicts: verdicts.iter().filter_map(Verdict::of).collect(),
            links: links.iter().filter_map(|item| link(item, "ArticleIdx", "ArticleUrl")).collect(),
        })
    }
}

/// The job's number, in the two ways in which it is written.
pub(super) const MSG_ID: &[&str] = &["MsgID", "MsgId"];

fn link(item: &Fields<'_>, number: &str, url: &str) -> Option<(u64, String)> {
    let url = item.text(&[url]).filter(|url| url.starts_with("http://") || url.starts_with("https://"))?;
    Some((item.number(&[number])?, url))
}

impl Verdict {
    fn of(item: &Fields<'_>) -> Option<Self> {
        let yes = |name: &str| item.number(&[name]).map(|number| number != 0);
        Some(Self {
            article: item.number(&["ArticleIdx"])?,
            declared: item.number(&["UserDeclareState"]),
            audit: item.number(&["AuditState"]),
            original: item.text(&["OriginalArticleUrl"]).filter(|url| !url.is_empty()),
            original_type: item.number(&["OriginalArticleType"]),
            can_reprint: yes("CanReprint"),
            replaces_content: yes("NeedReplaceContent"),
            shows_source: yes("NeedShowReprintSource"),
        })
    }

    /// In words; none if nothing was found and nothing is open.
    pub fn words(&self) -> Option<Phrase> {
        let like = self.original.as_deref();
        let found = match (like, self.can_reprint) {
            (Some(url), Some(false)) => say!("a reprint of {url}, which may not be reprinted", url),
            (Some(url), _) if self.replaces_content == Some(true) => {
                say!("a reprint of {url}; WeChat shows the original's content", url)
            }
            (Some(url), _) if self.shows_source == Some(true) => {
                say!("a reprint of {url}; WeChat names the source", url)
            }
            (Some(url), _) => say!("like {url}", url),
            (None, _) => match self.audit? {
                0 => return None,
                1 => say!("its check for original content is not finished"),
                11 if self.declared == Some(1) => say!("original content"),
                11 => return None,
                number => say!("its check for original content was not passed (AuditState {number})", number),
            },
        };
        Some(found)
    }
}

/// What the check for original content said of all articles together; none if there was none, or nothing was found.
pub fn checked(state: Option<u64>) -> Option<Phrase> {
    match state? {
        2 => Some(say!("judged a reprint, and sent")),
        3 => Some(say!("judged a reprint that may not be sent")),
        _ => None,
    }
}

impl PublishResult {
    pub(super) fn of(fields: &Fields<'_>) -> Option<Self> {
        let info = fields.inner(&["PublishEventInfo"])?;
        let detail = info.inner(&["article_detail"]).map(|detail| detail.list(&["item"])).unwrap_or_default();
        let failed = info.values("fail_idx");
        Some(Self {
            publish_id: info.text(&["publish_id"]).filter(|id| !id.is_empty())?,
            status: info.number(&["publish_status"]),
            article_id: info.text(&["article_id"]).filter(|id| !id.is_empty()),
            links: detail.iter().filter_map(|item| link(item, "idx", "article_url")).collect(),
            failed: failed.into_iter().filter_map(number).collect(),
        })
    }
}

/// The members of an element.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v>(pub(super) &'v Value);

impl<'v> Fields<'v> {
    fn get(self, names: &[&str]) -> Option<&'v Value> {
        names.iter().find_map(|name| self.0.get(name))
    }

    pub(super) fn inner(self, names: &[&str]) -> Option<Self> {
        self.get(names).filter(|value| value.is_object()).map(Self)
    }

    /// A text, or a number as it is written.
    pub(super) fn text(self, names: &[&str]) -> Option<String> {
        match self.get(names)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn number(self, names: &[&str]) -> Option<u64> {
        number(self.get(names)?)
    }

    /// One item, a list of them, or such in an `item`; blank is none.
    pub(super) fn list(self, names: &[&str]) -> Vec<Self> {
        let Some(value) = self.get(names) else { return Vec::new() };
        let value = value.get("item").unwrap_or(value);
        let items = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        items.iter().filter(|item| item.is_object()).map(Self).collect()
    }

    /// The values of a member that may be repeated.
    fn values(self, name: &str) -> Vec<&'v Value> {
        match self.0.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
        }
    }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
