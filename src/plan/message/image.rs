//! `image`: one picture or several.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use super::{
    parts::{id, long, words, words_schema},
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{
    diag::Code,
    limits,
    locale::say,
    message::MessageKind,
    plan::{
        ask::Fields,
        value::{Template, one_or_many},
    },
};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Image, is_article: false, can_be_deleted: false, schema, read: read::<Images> };

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    media_ids: Vec<Template>,
    recommend: Option<Template>,
    title: Option<Template>,
    need_open_comment: Option<bool>,
    only_fans_can_comment: Option<bool>,
}

#[derive(Debug)]
struct Images {
    long: Long,
    /// Where the ids stand below the key.
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    One,
    List,
    Long,
}

impl MessageFields for Images {
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
        let put = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let (title, words) = (put("title"), put("recommend"));
        Some(Body { key: "images", title, words, ..Body::of_media(MessageKind::Image, object.into(), ids?) })
    }

    /// One picture, as `image`.
    fn for_preview(&self, fields: &mut dyn Fields) -> Option<Body> {
        let ids = self.ids(fields)?;
        let [id] = ids.as_slice() else {
            let message = say!("a preview can have one picture, not {pictures}", pictures = ids.len());
            fields.problem("/message/image", Code::TooManyImages, message, say!("preview each picture separately"));
            return None;
        };
        for (name, set) in [
            ("recommend", self.long.recommend.is_some()),
            ("title", self.long.title.is_some()),
            ("need_open_comment", self.long.need_open_comment.is_some()),
            ("only_fans_can_comment", self.long.only_fans_can_comment.is_some()),
        ] {
            if set {
                let message = say!("`{name}` has no effect in a preview; WeChat accepts only the picture", name);
                let place = format!("/message/image/{name}");
                fields.problem(&place, Code::IgnoredSetting, message, say!("leave it out here"));
            }
        }
        let as_sent = Some(json!({ "media_ids": [id] }));
        Some(Body { as_sent, ..Body::of_media(MessageKind::Image, json!({ "media_id": id }), vec![id.clone()]) })
    }
}

impl Images {
    fn suffix(&self, index: usize) -> String {
        match self.form {
            Form::One => "/message/image".into(),
            Form::List => format!("/message/image/{index}"),
            Form::Long => format!("/message/image/media_ids/{index}"),
        }
    }

    fn ids(&self, fields: &mut dyn Fields) -> Option<Vec<String>> {
        // All are rendered before any failure counts, so that all problems are reported.
        let ids: Vec<Option<String>> = (self.long.media_ids.iter().enumerate())
            .map(|(at, template)| id(fields, &self.suffix(at), template))
            .collect();
        ids.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let form = match &value {
            Value::String(_) => Form::One,
            Value::Array(_) => Form::List,
            _ => return Ok(Images { long: long::<Long, D>(value)?, form: Form::Long }),
        };
        let media_ids = one_or_many(value).map_err(de::Error::custom)?;
        let long =
            Long { media_ids, recommend: None, title: None, need_open_comment: None, only_fans_can_comment: None };
        Ok(Images { long, form })
    }
}

fn schema() -> Value {
    let flag = |what: &str| json!({ "type": "boolean", "description": what });
    json!({
        "description": "One or more pictures: a media_id, a list of them, or the long form.",
        "type": ["string", "array", "object"], "minLength": 1,
        "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": limits::IMAGES_MAX,
        "properties": {
            "media_ids": { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": limits::IMAGES_MAX, "description": "The pictures, in order." },
            "recommend": words_schema("Recommendation text."),
            "title": words_schema("The title."),
            "need_open_comment": flag("Enable comments."),
            "only_fans_can_comment": flag("Allow only followers to comment."),
        },
        "required": ["media_ids"], "additionalProperties": false,
        "examples": ["MEDIA_ID", ["MEDIA_ID_1", "MEDIA_ID_2"]],
    })
}
