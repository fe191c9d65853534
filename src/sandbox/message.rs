//! The message of a send or preview: `msgtype` and the object that belongs to it.
//!
//! Source: the message objects of [sendall](https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall)
//! and [preview](https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview).

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::errcode::{
    CARD_UNSUPPORTED, CONTENT_TOO_LONG, EMPTY_CONTENT, Errcode, INVALID_ARGS, INVALID_IMAGE_COUNT, INVALID_MEDIA_ID,
    INVALID_MEDIA_TYPE, INVALID_MESSAGE_TYPE, MISSING_MEDIA_ID,
};
use super::media::Media;

/// No official number is known; the other text channels stop here.
const MAX_TEXT: usize = 2048;
/// Not stated for sends; the limit of picture drafts.
const MAX_IMAGES: usize = 20;
/// A text or article with one of these in it is accepted, and fails later; with the status that its event has.
const FAIL_MARKS: [(&str, &str); 8] = [
    ("[[sandbox:fail]]", "send fail"),
    ("[[sandbox:err(10001)]]", "err(10001)"),
    ("[[sandbox:err(20008)]]", "err(20008)"),
    ("[[sandbox:err(20431)]]", "err(20431)"),
    ("[[sandbox:err(30002)]]", "err(30002)"),
    ("[[sandbox:err(30003)]]", "err(30003)"),
    ("[[sandbox:err(40001)]]", "err(40001)"),
    ("[[sandbox:err(40002)]]", "err(40002)"),
];

/// Every object a message can be in. More than one of them in a body is a mistake.
const OBJECTS: [&str; 9] = ["text", "mpnews", "voice", "image", "images", "mpvideo", "video", "music", "wxcard"];

/// What a message is for: the rules for pictures differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `sendall` and `send`.
    Send,
    /// `preview`.
    Preview,
}

/// A message of correct form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(crate) msgtype: String,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Media(Vec<String>),
}

impl Message {
    /// Reads the message of a body.
    pub(super) fn parse(body: &Value, purpose: Purpose) -> Result<Self, Errcode> {
        let msgtype = body.get("msgtype").and_then(Value::as_str).ok_or(INVALID_MESSAGE_TYPE)?;
        let object = match (msgtype, purpose) {
            ("wxcard", _) => return Err(CARD_UNSUPPORTED),
            ("image", Purpose::Send) if body.get("images").is_some() => "images",
            ("music", Purpose::Send) => return Err(INVALID_MESSAGE_TYPE),
            ("text" | "mpnews" | "voice" | "image" | "mpvideo" | "music", _) => msgtype,
            _ => return Err(INVALID_MESSAGE_TYPE),
        };
        if OBJECTS.iter().any(|other| *other != object && body.get(other).is_some()) {
            return Err(INVALID_MESSAGE_TYPE);
        }
        let fields = body.get(object).and_then(Value::as_object).ok_or(INVALID_MESSAGE_TYPE)?;
        let content = match object {
            "text" => Content::Text(text(fields)?),
            "images" => Content::Media(images(fields)?),
            _ => Content::Media(vec![media_id(fields)?]),
        };
        optional_strings(fields, &["title", "description", "recommend"])?;
        optional_flag(body.get("send_ignore_reprint"))?;
        Ok(Message { msgtype: msgtype.to_owned(), content })
    }

    /// Whether all media of the message exist.
    pub(super) fn check_media(&self, media: &Media, now: Timestamp) -> Result<(), Errcode> {
        match &self.content {
            Content::Text(_) => Ok(()),
            Content::Media(ids) => ids.iter().try_for_each(|id| media.check(&self.msgtype, id, now)),
        }
    }

    /// The draft of an article.
    pub(super) fn draft(&self) -> Option<&str> {
        match &self.content {
            Content::Media(ids) if self.msgtype == "mpnews" => ids.first().map(String::as_str),
            _ => None,
        }
    }

    /// The text, or the media ids.
    pub(super) fn content(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Media(ids) => ids.join(","),
        }
    }

    /// With which status the job is to fail, if it is to.
    pub(super) fn failure(&self, media: &Media) -> Option<&'static str> {
        let holds =
            |mark| self.content().contains(mark) || self.draft().is_some_and(|draft| media.draft_holds(draft, mark));
        FAIL_MARKS.iter().find(|(mark, _)| holds(mark)).map(|(_, status)| *status)
    }
}

fn text(fields: &Map<String, Value>) -> Result<String, Errcode> {
    match fields.get("content") {
        None => Err(EMPTY_CONTENT),
        Some(Value::String(text)) if text.is_empty() => Err(EMPTY_CONTENT),
        Some(Value::String(text)) if text.chars().count() > MAX_TEXT => Err(CONTENT_TOO_LONG),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(INVALID_MESSAGE_TYPE),
    }
}

fn media_id(fields: &Map<String, Value>) -> Result<String, Errcode> {
    match fields.get("media_id") {
        None => Err(MISSING_MEDIA_ID),
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Array(_)) => Err(INVALID_MEDIA_TYPE),
        Some(_) => Err(INVALID_MEDIA_ID),
    }
}

fn images(fields: &Map<String, Value>) -> Result<Vec<String>, Errcode> {
    let ids = fields.get("media_ids").ok_or(MISSING_MEDIA_ID)?.as_array().ok_or(INVALID_MESSAGE_TYPE)?;
    if ids.is_empty() || ids.len() > MAX_IMAGES {
        return Err(INVALID_IMAGE_COUNT);
    }
    optional_flag(fields.get("need_open_comment"))?;
    optional_flag(fields.get("only_fans_can_comment"))?;
    ids.iter().map(|id| id.as_str().map(str::to_owned).ok_or(INVALID_MEDIA_ID)).collect()
}

fn optional_strings(fields: &Map<String, Value>, names: &[&str]) -> Result<(), Errcode> {
    let mut present = names.iter().filter_map(|name| fields.get(*name));
    if present.all(Value::is_string) { Ok(()) } else { Err(INVALID_MESSAGE_TYPE) }
}

/// A switch, which WeChat writes as 0 or 1.
fn optional_flag(value: Option<&Value>) -> Result<(), Errcode> {
    match value.map(Value::as_u64) {
        None | Some(Some(0 | 1)) => Ok(()),
        Some(_) => Err(INVALID_ARGS),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, PREVIEW, SENDALL, to_tag, with};
    use serde_json::{Value, json};

    fn sent(changes: &Value) -> i64 {
        let body = with(with(to_tag(), &json!({"text": null})), changes);
        Bench::service().code(SENDALL, &body)
    }

    fn previewed(changes: &Value) -> i64 {
        Bench::service().code(PREVIEW, &with(json!({"touser": "oSandboxFollower000000000001"}), changes))
    }

    #[test]
    fn texts_are_neither_empty_nor_long() {
        let text = |text: &Value| sent(&json!({"text": text}));
        assert_eq!(text(&json!({"content": "字".repeat(2048)})), 0);
        assert_eq!(text(&json!({"content": "字".repeat(2049)})), 45002);
        assert_eq!(text(&json!({"content": ""})), 44004);
        assert_eq!(text(&json!({})), 44004);
        assert_eq!(text(&json!({"content": 1})), 40008);
        assert_eq!(text(&json!("content")), 40008);
    }

    #[test]
    fn type_and_object_belong_together() {
        assert_eq!(sent(&json!({"msgtype": null, "text": {"content": "x"}})), 40008);
        assert_eq!(sent(&json!({"msgtype": 1, "text": {"content": "x"}})), 40008);
        assert_eq!(sent(&json!({"msgtype": "mpnews", "text": {"content": "x"}})), 40008);
        assert_eq!(sent(&json!({"text": {"content": "x"}, "mpnews": {"media_id": "D"}})), 40008);
        assert_eq!(sent(&json!({"msgtype": "video", "mpvideo": {"media_id": "M"}})), 40008);
        assert_eq!(sent(&json!({"msgtype": "music", "music": {"media_id": "V"}})), 40008);
        assert_eq!(sent(&json!({"msgtype": "images", "images": {"media_ids": ["I"]}})), 40008);
        assert_eq!(sent(&json!({"msgtype": "wxcard", "wxcard": {"card_id": "C"}})), 45113);
        assert_eq!(previewed(&json!({"msgtype": "wxcard", "wxcard": {"card_id": "C"}})), 45113);
    }

    #[test]
    fn media_exist_and_are_of_the_kind() {
        for (msgtype, id, code) in [
            ("mpnews", "D", 0),
            ("voice", "V", 0),
            ("mpvideo", "M", 0),
            ("image", "I", 0),
            ("mpnews", "I", 40007),
            ("voice", "D", 40007),
            ("image", "T", 40007),
            ("mpvideo", "nothing", 40007),
        ] {
            let message = json!({"msgtype": msgtype, msgtype: {"media_id": id}});
            assert_eq!(sent(&message), code, "{message}");
            assert_eq!(previewed(&message), code, "{message}");
        }
        assert_eq!(previewed(&json!({"msgtype": "music", "music": {"media_id": "V"}})), 40007);
        assert_eq!(sent(&json!({"msgtype": "voice", "voice": {}})), 41006);
        assert_eq!(sent(&json!({"msgtype": "voice", "voice": {"media_id": ["V"]}})), 40004);
        assert_eq!(sent(&json!({"msgtype": "voice", "voice": {"media_id": 7}})), 40007);
    }

    #[test]
    fn sends_take_several_images_and_previews_one() {
        let images = |images: &Value| json!({"msgtype": "image", "images": images});
        let full = json!({
            "media_ids": ["I", "J"], "recommend": "看", "title": "图", "need_open_comment": 1, "only_fans_can_comment": 0,
        });
        assert_eq!(sent(&images(&full)), 0);
        assert_eq!(previewed(&images(&full)), 40008);
        assert_eq!(sent(&images(&json!({"media_ids": ["I", "V"]}))), 40007);
        assert_eq!(sent(&images(&json!({"media_ids": ["I", 1]}))), 40007);
        assert_eq!(sent(&images(&json!({"media_ids": []}))), 40215);
        assert_eq!(sent(&images(&json!({"media_ids": vec!["I"; 21]}))), 40215);
        assert_eq!(sent(&images(&json!({"media_ids": "I"}))), 40008);
        assert_eq!(sent(&images(&json!({"media_id": "I"}))), 41006);
        assert_eq!(sent(&images(&json!({"media_ids": ["I"], "title": 1}))), 40008);
        assert_eq!(sent(&images(&json!({"media_ids": ["I"], "need_open_comment": true}))), 40035);
        let both = json!({"msgtype": "image", "images": {"media_ids": ["I"]}, "image": {"media_id": "I"}});
        assert_eq!(sent(&both), 40008);
    }

    #[test]
    fn the_reprint_switch_is_zero_or_one() {
        for (value, code) in
            [(json!(0), 0), (json!(1), 0), (json!(2), 40035), (json!(true), 40035), (json!("1"), 40035)]
        {
            let body = json!({"msgtype": "mpnews", "mpnews": {"media_id": "D"}, "send_ignore_reprint": value});
            assert_eq!(sent(&body), code, "{body}");
        }
    }
}
