//! What each message type declares.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    message::{MessageKind, MessageView, Shown},
    payload::{self, MediaId},
    plan::{ask::Fields, value::Template},
};

/// What is known of a message type without a message.
#[derive(Debug)]
pub struct MessageType {
    pub(crate) kind: MessageKind,
    /// Whether it is checked for originality.
    pub is_article: bool,
    /// Whether WeChat deletes it after it was sent: only articles and videos (wechat-api §2.8).
    pub can_be_deleted: bool,
    /// Of its short and its long form in one: keywords for mappings say nothing of a string, so that no error speaks of a
    /// form that the author did not choose.
    pub(super) schema: fn() -> Value,
    pub(super) read: fn(Value) -> Result<Box<dyn MessageFields>, serde_json::Error>,
}

/// What a message of one type holds, as it stands in the plan.
pub(super) trait MessageFields: Debug {
    /// The body in a send (wechat-api §2.3).
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body>;

    /// The body in a preview (wechat-api §2.6).
    fn for_preview(&self, fields: &mut dyn Fields) -> Option<Body> {
        self.for_send(fields)
    }

    /// The file that the message reads: the field that names it, as a pointer below the step, and its path.
    fn file(&self) -> Option<(&'static str, &Template)> {
        None
    }
}

/// Reads what a message of one type holds.
pub(super) fn read<C: MessageFields + DeserializeOwned + 'static>(
    value: Value,
) -> Result<Box<dyn MessageFields>, serde_json::Error> {
    serde_json::from_value::<C>(value).map(|content| Box::new(content) as Box<dyn MessageFields>)
}

/// The parts of a request body that a message gives.
#[derive(Debug)]
pub struct Body {
    /// `msgtype` on the wire.
    pub(crate) msgtype: &'static str,
    /// The key of the object; differs from `msgtype` for pictures in sends.
    pub(crate) key: &'static str,
    pub(crate) object: Value,
    /// The object as a send has it, where a preview has another: what is compared.
    pub(crate) as_sent: Option<Value>,
    pub(crate) view: MessageView,
    /// The media in it, in order.
    pub(crate) media: Vec<MediaId>,
    /// The title of pictures or of a video.
    pub(crate) title: Option<String>,
    /// The words that go with them.
    pub(crate) words: Option<String>,
}

impl Body {
    /// A message without media. `content` is what people read of it: the text itself, or an id.
    pub(super) fn new(kind: MessageKind, object: Value, content: String) -> Self {
        let view = MessageView { kind, content };
        let (msgtype, key) = (kind.name(), kind.name());
        Self { msgtype, key, object, as_sent: None, view, media: Vec::new(), title: None, words: None }
    }

    /// A message of media; people read their ids.
    pub(super) fn of_media(kind: MessageKind, object: Value, ids: Vec<String>) -> Self {
        let content = ids.join("\n");
        Self { media: ids.into_iter().map(MediaId::new).collect(), ..Self::new(kind, object, content) }
    }

    /// Puts it into the body of a request.
    pub fn put(self, body: &mut Value) -> Shown {
        let seen = json!([self.msgtype, self.as_sent.as_ref().unwrap_or(&self.object)]);
        body["msgtype"] = self.msgtype.into();
        body[self.key] = self.object;
        let shown = |text: Option<String>| text.map(|text| payload::shown(&text));
        Shown {
            digest: payload::digest(seen.to_string().as_bytes()),
            view: MessageView { content: payload::shown(&self.view.content), ..self.view },
            media: self.media,
            title: shown(self.title),
            words: shown(self.words),
        }
    }
}
