//! A message as people read it: in dry runs, reports and pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::payload::MediaId;

/// What a message is. All but the last are types of messages that are sent: one file of `plan/message` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Words.
    Text,
    /// An article: a draft that is sent.
    Mpnews,
    /// A recording.
    Voice,
    /// One picture or several.
    Image,
    /// A video.
    Mpvideo,
    /// A card; WeChat has discontinued them.
    Wxcard,
    /// Articles of which a draft is made; nothing is sent.
    Draft,
}

impl MessageKind {
    /// As in plans, bodies and reports.
    pub fn name(self) -> &'static str {
        match self {
            MessageKind::Text => "text",
            MessageKind::Mpnews => "mpnews",
            MessageKind::Voice => "voice",
            MessageKind::Image => "image",
            MessageKind::Mpvideo => "mpvideo",
            MessageKind::Wxcard => "wxcard",
            MessageKind::Draft => "draft",
        }
    }
}

/// A message in readable form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageView {
    /// `text`, `mpnews`, `voice`, `image`, `mpvideo` or `wxcard`.
    #[schemars(with = "String")]
    pub(crate) kind: MessageKind,
    /// The text, or the ids of the media.
    pub(crate) content: String,
}

/// A message as it is sent or previewed: what is known of it without its body.
#[derive(Debug, Clone)]
pub struct Shown {
    pub view: MessageView,
    /// `sha256:` and the digest of what people see: that of a preview is that of its send.
    pub(crate) digest: String,
    /// The media in it, in order.
    pub media: Vec<MediaId>,
    /// The title of pictures or of a video.
    pub title: Option<String>,
    /// The words that go with them.
    pub words: Option<String>,
}
