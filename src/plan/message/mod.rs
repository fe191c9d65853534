//! Message types: their form in a plan, and their bodies in sends and in previews.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value, json};

use crate::{
    diag::Code,
    limits,
    payload::{self, MediaId},
    plan::{
        action::Fields,
        value::{Template, one_or_many},
    },
};

mod lint;

/// A message as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageView {
    /// `text`, `mpnews`, `voice`, `image`, `mpvideo` or `wxcard`.
    pub kind: String,
    /// The text itself, or the ids of the media.
    pub content: String,
}

/// What is sent: exactly one of the message types.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// Words.
    Text(Text),
    /// An article: a draft.
    Mpnews(Media),
    /// A recording.
    Voice(Media),
    /// One picture or several.
    Image(Images),
    /// A video.
    Mpvideo(Video),
    /// A card; WeChat has discontinued them.
    Wxcard(Card),
}

/// Words, or the file that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Written in the plan.
    Inline(Template),
    /// In a file.
    File(Template),
}

/// A medium by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Id of a draft (`mpnews`) or of permanent material.
    pub media_id: Template,
    /// Where the id stands below the key: `/media_id` in the long form.
    place: &'static str,
}

/// Pictures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagesLong {
    media_ids: Vec<Template>,
    recommend: Option<Template>,
    title: Option<Template>,
    need_open_comment: Option<bool>,
    only_fans_can_comment: Option<bool>,
}

/// Pictures and what goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    long: ImagesLong,
    /// Where the ids stand below the key.
    form: ImagesForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImagesForm {
    One,
    List,
    Long,
}

/// A video and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    media: Media,
    title: Option<Template>,
    description: Option<Template>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    card_id: Template,
    place: &'static str,
    card_ext: Option<Value>,
}

/// The parts of a request body that a message gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// `msgtype` on the wire.
    pub msgtype: &'static str,
    /// The key of the object; differs from `msgtype` for pictures in sends.
    pub key: &'static str,
    /// The object.
    pub object: Value,
    /// The object as a send has it, where a preview has another: what is compared.
    pub as_sent: Option<Value>,
    /// The message as people read it.
    pub view: MessageView,
    /// The media in it, in order.
    pub media: Vec<MediaId>,
    /// The title of pictures or of a video.
    pub title: Option<String>,
    /// The words that go with them.
    pub words: Option<String>,
}

/// A message as it is sent or previewed: what is known of it without its body.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The message as people read it.
    pub view: MessageView,
    /// `sha256:` and the digest of what people see: that of a preview is that of its send.
    pub digest: String,
    /// The media in it, in order.
    pub media: Vec<MediaId>,
    /// The title of pictures or of a video.
    pub title: Option<String>,
    /// The words that go with them.
    pub words: Option<String>,
}

impl Body {
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

/// Names of the message types, as in the plan.
pub const KINDS: &[&str] = &["text", "mpnews", "voice", "image", "mpvideo", "wxcard"];

impl Message {
    /// The name in the plan.
    pub fn kind(&self) -> &'static str {
        match self {
            Message::Text(_) => "text",
            Message::Mpnews(_) => "mpnews",
            Message::Voice(_) => "voice",
            Message::Image(_) => "image",
            Message::Mpvideo(_) => "mpvideo",
            Message::Wxcard(_) => "wxcard",
        }
    }

    /// WeChat deletes only articles and videos after they were sent (wechat-api §2.8).
    pub fn can_be_deleted(&self) -> bool {
        matches!(self, Message::Mpnews(_) | Message::Mpvideo(_))
    }

    /// The file that the message reads.
    pub fn file(&self) -> Option<(&'static str, &Template)> {
        match self {
            Message::Text(Text::File(path)) => Some(("/message/text/file", path)),
            _ => None,
        }
    }

    /// The body in a send (wechat-api §2.3).
    pub fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        match self {
            Message::Image(images) => images.for_send(fields),
            other => other.shared(fields),
        }
    }

    /// The body in a preview (wechat-api §2.6): one picture, as `image`.
    pub fn for_preview(&self, fields: &mut dyn Fields) -> Option<Body> {
        match self {
            Message::Image(images) => images.for_preview(fields),
            other => other.shared(fields),
        }
    }

    fn shared(&self, fields: &mut dyn Fields) -> Option<Body> {
        let kind = self.kind();
        let (object, content) = match self {
            Message::Text(text) => {
                let content = text.render(fields)?;
                (json!({ "content": content }), content)
            }
            Message::Mpnews(media) | Message::Voice(media) => {
                let id = media.render(fields, kind)?;
                (json!({ "media_id": id }), id)
            }
            Message::Mpvideo(video) => video.render(fields)?,
            Message::Wxcard(card) => card.render(fields)?,
            Message::Image(_) => return None,
        };
        let media = match self {
            Message::Text(_) | Message::Wxcard(_) | Message::Image(_) => Vec::new(),
            Message::Mpnews(_) | Message::Voice(_) | Message::Mpvideo(_) => vec![MediaId::new(content.clone())],
        };
        let words = |name: &str| object[name].as_str().filter(|_| kind == "mpvideo").map(str::to_owned);
        let (title, words) = (words("title"), words("description"));
        let view = MessageView { kind: kind.into(), content };
        Some(Body { msgtype: kind, key: kind, object, as_sent: None, view, media, title, words })
    }
}

impl Text {
    fn render(&self, fields: &mut dyn Fields) -> Option<String> {
        let (suffix, content) = match self {
            Text::Inline(template) => ("/message/text", fields.text("/message/text", template)?),
            Text::File(_) => ("/message/text/file", fields.file("/message/text/file")?),
        };
        let (bytes, chars) = (content.len(), content.chars().count());
        if content.trim().is_empty() {
            fields.problem(
                suffix,
                Code::EmptyText,
                "the rendered text is empty".into(),
                "write what followers should read",
            );
            return None;
        }
        if bytes > limits::TEXT_BYTES_MAX {
            let message =
                format!("the rendered text is {bytes} bytes long; qunfa sends at most {}", limits::TEXT_BYTES_MAX);
            fields.problem(suffix, Code::TextTooLong, message, "shorten it, or send an article (`mpnews`)");
            return None;
        }
        if chars >= limits::TEXT_CHARS_WARN || bytes > limits::TEXT_BYTES_WARN {
            let message =
                format!("the rendered text has {chars} characters ({bytes} bytes); WeChat may refuse it (45002)");
            fields.problem(suffix, Code::LongText, message, "shorten it, and try it with a `preview` step first");
        }
        lint::text(fields, suffix, &content);
        Some(content)
    }
}

impl Media {
    fn render(&self, fields: &mut dyn Fields, kind: &str) -> Option<String> {
        id(fields, &format!("/message/{kind}{}", self.place), &self.media_id)
    }
}

/// Words that followers read.
fn words(fields: &mut dyn Fields, suffix: &str, template: &Template) -> Option<String> {
    let text = fields.text(suffix, template)?;
    lint::text(fields, suffix, &text);
    Some(text)
}

/// An id: one word, of no blanks.
fn id(fields: &mut dyn Fields, suffix: &str, template: &Template) -> Option<String> {
    let id = fields.text(suffix, template)?;
    if id.is_empty() || (!payload::has_slot(&id) && id.contains(char::is_whitespace)) {
        let message = format!("an id has no blanks and is not empty, and this renders to `{id}`");
        fields.problem(suffix, Code::BadRendered, message, "write the id alone");
        return None;
    }
    Some(id)
}

impl Images {
    fn suffix(&self, index: usize) -> String {
        match self.form {
            ImagesForm::One => "/message/image".into(),
            ImagesForm::List => format!("/message/image/{index}"),
            ImagesForm::Long => format!("/message/image/media_ids/{index}"),
        }
    }

    fn ids(&self, fields: &mut dyn Fields) -> Option<Vec<String>> {
        // All are rendered before any failure counts, so that all problems are reported.
        let ids: Vec<Option<String>> = (self.long.media_ids.iter().enumerate())
            .map(|(at, template)| id(fields, &self.suffix(at), template))
            .collect();
        ids.into_iter().collect()
    }

    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let ids = self.ids(fields);
        let mut object = Map::new();
        object.insert("media_ids".into(), json!(ids));
        for (name, value) in [("recommend", &self.long.recommend), ("title", &self.long.title)] {
            if let Some(template) = value {
                object.insert(name.into(), words(fields, &format!("/message/image/{name}"), template)?.into());
            }
        }
        for (name, value) in [
            ("need_open_comment", self.long.need_open_comment),
            ("only_fans_can_comment", self.long.only_fans_can_comment),
        ] {
            if let Some(value) = value {
                object.insert(name.into(), u8::from(value).into());
            }
        }
        let ids = ids?;
        let view = MessageView { kind: "image".into(), content: ids.join("\n") };
        let words = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Body {
            msgtype: "image",
            key: "images",
            as_sent: None,
            view,
            media: ids.into_iter().map(MediaId::new).collect(),
            title: words("title"),
            words: words("recommend"),
            object: object.into(),
        })
    }

    fn for_preview(&self, fields: &mut dyn Fields) -> Option<Body> {
        let ids = self.ids(fields)?;
        let [id] = ids.as_slice() else {
            let message = format!("a preview takes one picture, and there are {}", ids.len());
            fields.problem("/message/image", Code::TooManyImages, message, "preview them one by one");
            return None;
        };
        for (name, set) in [
            ("recommend", self.long.recommend.is_some()),
            ("title", self.long.title.is_some()),
            ("need_open_comment", self.long.need_open_comment.is_some()),
            ("only_fans_can_comment", self.long.only_fans_can_comment.is_some()),
        ] {
            if set {
                let message = format!("`{name}` has no effect in a preview: WeChat takes only the picture");
                fields.problem(&format!("/message/image/{name}"), Code::IgnoredSetting, message, "leave it out here");
            }
        }
        let view = MessageView { kind: "image".into(), content: id.clone() };
        Some(Body {
            msgtype: "image",
            key: "image",
            object: json!({ "media_id": id }),
            as_sent: Some(json!({ "media_ids": [id] })),
            view,
            media: vec![MediaId::new(id.clone())],
            title: None,
            words: None,
        })
    }
}

impl Video {
    fn render(&self, fields: &mut dyn Fields) -> Option<(Value, String)> {
        let id = self.media.render(fields, "mpvideo");
        let mut object = Map::new();
        object.insert("media_id".into(), json!(id));
        for (name, value) in [("title", &self.title), ("description", &self.description)] {
            if let Some(template) = value {
                object.insert(name.into(), words(fields, &format!("/message/mpvideo/{name}"), template)?.into());
            }
        }
        id.map(|id| (object.into(), id))
    }
}

impl Card {
    fn render(&self, fields: &mut dyn Fields) -> Option<(Value, String)> {
        let message = "WeChat has discontinued sending cards; the call will most likely be refused (45113)";
        fields.problem(
            "/message/wxcard",
            Code::DiscontinuedCard,
            message.into(),
            "send an article or a text with a link",
        );
        let id = id(fields, &format!("/message/wxcard{}", self.place), &self.card_id)?;
        let mut object = json!({ "card_id": id });
        if let Some(ext) = &self.card_ext {
            object["card_ext"] = ext.clone();
        }
        Some((object, id))
    }
}

// The forms in YAML: short (a string) and long (a mapping).

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            file: Template,
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Text::Inline(Template(text)),
            value => Text::File(long::<Long, D>(value)?.file),
        })
    }
}

impl<'de> Deserialize<'de> for Media {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            media_id: Template,
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::String(id) => Media { media_id: Template(id), place: "" },
            value => Media { media_id: long::<Long, D>(value)?.media_id, place: "/media_id" },
        })
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let form = match &value {
            Value::String(_) => ImagesForm::One,
            Value::Array(_) => ImagesForm::List,
            _ => return Ok(Images { long: long::<ImagesLong, D>(value)?, form: ImagesForm::Long }),
        };
        let media_ids = one_or_many(value).map_err(de::Error::custom)?;
        let long = ImagesLong {
            media_ids,
            recommend: None,
            title: None,
            need_open_comment: None,
            only_fans_can_comment: None,
        };
        Ok(Images { long, form })
    }
}

impl<'de> Deserialize<'de> for Video {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            media_id: Template,
            title: Option<Template>,
            description: Option<Template>,
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::String(id) => {
                Video { media: Media { media_id: Template(id), place: "" }, title: None, description: None }
            }
            value => {
                let Long { media_id, title, description } = long::<Long, D>(value)?;
                Video { media: Media { media_id, place: "/media_id" }, title, description }
            }
        })
    }
}

impl<'de> Deserialize<'de> for Card {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            card_id: Template,
            card_ext: Option<Value>,
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::String(id) => Card { card_id: Template(id), place: "", card_ext: None },
            value => {
                let Long { card_id, card_ext } = long::<Long, D>(value)?;
                Card { card_id, place: "/card_id", card_ext }
            }
        })
    }
}

fn long<'de, T: de::DeserializeOwned, D: Deserializer<'de>>(value: Value) -> Result<T, D::Error> {
    serde_json::from_value(value).map_err(de::Error::custom)
}

impl JsonSchema for Message {
    fn schema_name() -> Cow<'static, str> {
        "message".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Flat schemas for short and long form: keywords for mappings say nothing of a string, so that no error
        // speaks of a form that the author did not choose.
        let media = |what: &str, example: &str| {
            json!({
                "description": what, "type": ["string", "object"], "minLength": 1,
                "properties": { "media_id": { "type": "string", "minLength": 1, "description": "Id of the medium; may be a template." } },
                "required": ["media_id"], "additionalProperties": false, "examples": [example],
            })
        };
        let words = |what: &str| json!({ "type": "string", "minLength": 1, "description": what });
        let flag = |what: &str| json!({ "type": "boolean", "description": what });
        json_schema!({
            "description": "What is sent: exactly one of the message types.",
            "type": "object",
            "properties": {
                "text": {
                    "description": "Words: a template, or { file: PATH }.", "type": ["string", "object"], "minLength": 1,
                    "properties": { "file": { "type": "string", "minLength": 1, "description": "Path of a UTF-8 text file; it may hold templates. Its last line end is not sent." } },
                    "required": ["file"], "additionalProperties": false,
                    "examples": ["{{ vars.product }}上新", { "file": "content/hello.txt" }],
                },
                "mpnews": media("An article: the media_id of a draft.", "{{ steps.article.media_id }}"),
                "voice": media("A recording: the media_id of permanent material.", "MEDIA_ID"),
                "image": {
                    "description": "One picture or several: a media_id, a list of them, or the long form.",
                    "type": ["string", "array", "object"], "minLength": 1,
                    "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": limits::IMAGES_MAX,
                    "properties": {
                        "media_ids": { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": limits::IMAGES_MAX, "description": "The pictures, in order." },
                        "recommend": words("The words that recommend the pictures."),
                        "title": words("The title."),
                        "need_open_comment": flag("Whether comments are open."),
                        "only_fans_can_comment": flag("Whether only followers may comment."),
                    },
                    "required": ["media_ids"], "additionalProperties": false,
                    "examples": ["MEDIA_ID", ["MEDIA_ID_1", "MEDIA_ID_2"]],
                },
                "mpvideo": {
                    "description": "A video: its media_id, or the long form.", "type": ["string", "object"], "minLength": 1,
                    "properties": {
                        "media_id": { "type": "string", "minLength": 1, "description": "Id of the video; may be a template." },
                        "title": words("The title."), "description": words("The description."),
                    },
                    "required": ["media_id"], "additionalProperties": false,
                },
                "wxcard": {
                    "description": "A card. WeChat has discontinued sending them (45113).", "type": ["string", "object"], "minLength": 1,
                    "properties": {
                        "card_id": { "type": "string", "minLength": 1, "description": "Id of the card." },
                        "card_ext": { "type": ["string", "object"], "description": "`code`, `openid`, `timestamp` and `signature`, for a preview." },
                    },
                    "required": ["card_id"], "additionalProperties": false,
                },
            },
            "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_forms_are_the_same() {
        let read = |value| serde_json::from_value::<Message>(value).expect("valid");
        assert_eq!(read(json!({ "text": "a" })), Message::Text(Text::Inline(Template("a".into()))));
        assert!(read(json!({ "mpnews": { "media_id": "a" } })).can_be_deleted());
        assert!(!read(json!({ "voice": "a" })).can_be_deleted());
        assert!(serde_json::from_value::<Message>(json!({ "text": "a", "voice": "b" })).is_err());
        assert!(serde_json::from_value::<Message>(json!({ "voice": { "media": "b" } })).is_err());
    }

    #[test]
    fn kinds_are_those_of_the_schema() {
        let schema = schemars::schema_for!(Message);
        let names: Vec<&String> = schema.as_value()["properties"].as_object().expect("an object").keys().collect();
        assert_eq!(names, KINDS);
    }
}
