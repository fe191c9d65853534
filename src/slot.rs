//! Values that only a run can give, and the text by which plans, dry runs and the ledger name them.
//!
//! The text of a slot is part of a body's digest, so it may never change.

use std::{fmt, str::FromStr};

use crate::locale::{Phrase, say};

/// What a step gives to those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// The job of the first call of a send.
    MsgId,
    /// The jobs of all calls of a send, in order.
    MsgIds,
    /// The article data of a send.
    MsgDataId,
    /// The status that a check saw.
    Status,
    /// Permanent material or a draft.
    MediaId,
    /// The address of a picture, or of the first article that was sent or published.
    Url,
    /// A publication, while it is on its way.
    PublishId,
    /// What was published.
    ArticleId,
    /// The addresses of all articles that were sent or published, in order.
    Urls,
}

impl Output {
    pub const ALL: [Self; 9] = [
        Self::MsgId,
        Self::MsgIds,
        Self::MsgDataId,
        Self::Status,
        Self::MediaId,
        Self::Url,
        Self::PublishId,
        Self::ArticleId,
        Self::Urls,
    ];

    /// The name in plans and reports; of `media_id`, `url`, `publish_id` and `article_id` also the member of WeChat's answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::MsgId => "msg_id",
            Self::MsgIds => "msg_ids",
            Self::MsgDataId => "msg_data_id",
            Self::Status => "status",
            Self::MediaId => "media_id",
            Self::Url => "url",
            Self::PublishId => "publish_id",
            Self::ArticleId => "article_id",
            Self::Urls => "urls",
        }
    }

    /// The output of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|output| output.name() == name)
    }
}

/// A tag of the account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tag {
    Id(u64),
    /// By its name, whose number WeChat says when the plan runs.
    Name(String),
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "tag {id}"),
            Self::Name(name) => write!(f, "tag {name}"),
        }
    }
}

/// Followers whom WeChat lists when the plan runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Followers {
    /// All of the account.
    All,
    /// Those with a tag.
    Of(Tag),
}

impl fmt::Display for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all followers, one by one"),
            Self::Of(tag) => write!(f, "the followers of {tag}"),
        }
    }
}

/// A value of a body that is known only when the plan runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    /// An output of an instance of a step; one of several, where there is an index.
    Output {
        /// `id` of the step.
        step: String,
        /// The `foreach` key.
        key: Option<String>,
        output: Output,
        /// Which of several, from 0.
        index: Option<usize>,
    },
    /// The number of the tag of that name.
    Tag(String),
    /// The `media_id` of the draft with that title.
    Draft(String),
    /// What the upload of a file gives: its `media_id` or its `url`.
    Upload {
        /// Which of the two.
        gives: Output,
        /// The file, as the plan names it.
        path: String,
    },
    /// The people whom WeChat lists.
    Followers(Followers),
    RunId,
    /// When the run began: `HH:MM` in Asia/Shanghai.
    RunTime,
}

impl Slot {
    /// Whether it is an output of an instance of a step.
    pub fn is_of(&self, id: &str, of: Option<&str>) -> bool {
        matches!(self, Self::Output { step, key, .. } if step == id && key.as_deref() == of)
    }

    /// An output of an instance of a step.
    pub fn output(step: &str, key: Option<&str>, output: Output) -> Self {
        Self::Output { step: step.to_owned(), key: key.map(str::to_owned), output, index: None }
    }

    /// The same output, another of several. What is no output stays as it is.
    #[must_use]
    pub fn at(mut self, to: usize) -> Self {
        if let Self::Output { index, .. } = &mut self {
            *index = Some(to);
        }
        self
    }

    /// Whether its value is the number of one job.
    pub fn is_job(&self) -> bool {
        matches!(
            self,
            Self::Output { output: Output::MsgId, index: None, .. }
                | Self::Output { output: Output::MsgIds, index: Some(_), .. }
        )
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { step, key, output, index } => {
                f.write_str("steps")?;
                f.write_str(&member(step))?;
                key.iter().try_for_each(|key| f.write_str(&member(key)))?;
                write!(f, ".{}", output.name())?;
                index.iter().try_for_each(|index| write!(f, "[{index}]"))
            }
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Draft(title) => write!(f, "draft {title}"),
            Self::Upload { gives, path } => write!(f, "{} of {path}", gives.name()),
            Self::Followers(followers) => followers.fmt(f),
            Self::RunId => f.write_str("run.id"),
            Self::RunTime => f.write_str("run.time"),
        }
    }
}

/// A text that names no slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSlot(pub String);

impl UnknownSlot {
    /// What is wrong with it.
    pub(crate) fn message(&self) -> Phrase {
        say!("`{value}` is not a run-time value", value = &self.0)
    }
}

impl fmt::Display for UnknownSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl FromStr for Slot {
    type Err = UnknownSlot;

    fn from_str(text: &str) -> Result<Self, UnknownSlot> {
        let found = match text {
            "run.id" => Some(Self::RunId),
            "run.time" => Some(Self::RunTime),
            "all followers, one by one" => Some(Self::Followers(Followers::All)),
            _ => None,
        };
        let upload = || {
            [Output::MediaId, Output::Url].into_iter().find_map(|gives| {
                let path = text.strip_prefix(gives.name())?.strip_prefix(" of ")?;
                Some(Self::Upload { gives, path: path.to_owned() })
            })
        };
        let followers = || {
            let tag = text.strip_prefix("the followers of tag ")?;
            let tag = tag.parse().map_or_else(|_| Tag::Name(tag.to_owned()), Tag::Id);
            Some(Self::Followers(Followers::Of(tag)))
        };
        found
            .or_else(|| text.strip_prefix("tag ").map(|name| Self::Tag(name.to_owned())))
            .or_else(|| text.strip_prefix("draft ").map(|title| Self::Draft(title.to_owned())))
            .or_else(|| output(text.strip_prefix("steps")?))
            .or_else(upload)
            .or_else(followers)
            .ok_or_else(|| UnknownSlot(text.to_owned()))
    }
}

/// The output that these members of `steps` name: the step, the key if there is one, the output, the index if there is one.
fn output(mut text: &str) -> Option<Slot> {
    let mut path = Vec::new();
    while !text.is_empty() {
        let (part, rest) = part(text)?;
        path.push(part);
        text = rest;
    }
    let last = path.pop()?;
    let (output, index) = match Output::from_name(last) {
        Some(output) => (output, None),
        None => (Output::from_name(path.pop()?)?, Some(index(last)?)),
    };
    match path.as_slice() {
        [step] => Some((step, None)),
        [step, key] => Some((step, Some((*key).to_owned()))),
        _ => None,
    }
    .map(|(step, key)| Slot::Output { step: (*step).to_owned(), key, output, index })
}

/// A number as it is written in a slot: `7`, never `07`.
pub fn index(text: &str) -> Option<usize> {
    text.parse().ok().filter(|index: &usize| index.to_string() == text)
}

/// `.name`, `["name"]` or `[0]` at the beginning of a text, and what follows.
fn part(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        return Some(rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())));
    }
    let rest = text.strip_prefix('[')?;
    match rest.strip_prefix('"') {
        Some(rest) => rest.split_once("\"]"),
        None => rest.split_once(']'),
    }
}

/// A member as a template writes it: `.name`, `["北京"]`, `[0]`.
pub fn member(name: &str) -> String {
    if name.parse::<usize>().is_ok() {
        format!("[{name}]")
    } else if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        format!(".{name}")
    } else {
        format!("[\"{name}\"]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_every_slot_is_read_back() {
        let output = |key: Option<&str>, output, index| Slot::Output {
            step: "a".into(),
            key: key.map(str::to_owned),
            output,
            index,
        };
        let slots = [
            (output(None, Output::MsgId, None), "steps.a.msg_id"),
            (output(None, Output::MsgIds, Some(12)), "steps.a.msg_ids[12]"),
            (output(Some("msg_ids"), Output::MsgIds, Some(0)), "steps.a.msg_ids.msg_ids[0]"),
            (output(Some("北京"), Output::Url, None), "steps.a[\"北京\"].url"),
            (output(Some("'a.b'\\"), Output::Status, None), "steps.a[\"'a.b'\\\"].status"),
            (output(Some("7"), Output::MsgDataId, None), "steps.a[7].msg_data_id"),
            (output(Some("+07"), Output::MediaId, None), "steps.a[+07].media_id"),
            (Slot::output("a-b", None, Output::MsgId), "steps[\"a-b\"].msg_id"),
            (Slot::Tag("#茶 \"新\"".into()), "tag #茶 \"新\""),
            (Slot::Draft("春茶 of a.png".into()), "draft 春茶 of a.png"),
            (Slot::Upload { gives: Output::MediaId, path: "steps.a.png".into() }, "media_id of steps.a.png"),
            (Slot::Upload { gives: Output::Url, path: "图/a b.png".into() }, "url of 图/a b.png"),
            (Slot::Followers(Followers::All), "all followers, one by one"),
            (Slot::Followers(Followers::Of(Tag::Id(2))), "the followers of tag 2"),
            (Slot::Followers(Followers::Of(Tag::Name("VIP".into()))), "the followers of tag VIP"),
            (Slot::RunId, "run.id"),
            (Slot::RunTime, "run.time"),
        ];
        for (slot, text) in slots {
            assert_eq!((slot.to_string().as_str(), text.parse()), (text, Ok(slot)));
        }
    }

    #[test]
    fn what_names_no_slot_is_refused() {
        let _heard = crate::locale::tests::heard("slot-what_names_no_slot_is_refused");
        assert_eq!(UnknownSlot("run.date".into()).message(), "`run.date` is not a run-time value");
        for text in [
            "",
            "steps",
            "steps.a",
            "steps.a.msg_ids[x]",
            "steps.a.msg_ids[07]",
            "steps.a.b.c.msg_id",
            "steps.a.colour",
            "run.date",
            "steps.a[\"b",
        ] {
            assert_eq!(text.parse::<Slot>(), Err(UnknownSlot(text.into())));
        }
    }

    #[test]
    fn jobs_are_told_by_what_the_slot_is() {
        let is_job = |text: &str| text.parse::<Slot>().expect("a slot").is_job();
        assert!(is_job("steps.a.msg_id") && is_job("steps.a.msg_ids[3]"));
        assert!(!is_job("steps.a.msg_data_id") && !is_job("steps.a.msg_ids") && !is_job("tag x.msg_id"));
    }
}
