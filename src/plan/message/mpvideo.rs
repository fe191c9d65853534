//! `mpvideo`: a video and its words.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{
    parts::{Media, long, words, words_schema},
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{
    message::MessageKind,
    plan::{ask::Fields, value::Template},
};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Mpvideo, is_article: false, can_be_deleted: true, schema, read: read::<Video> };

#[derive(Debug)]
struct Video {
    media: Media,
    title: Option<Template>,
    description: Option<Template>,
}

impl MessageFields for Video {
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let id = self.media.render(fields, MessageKind::Mpvideo);
        let mut object = Map::new();
        object.insert("media_id".into(), json!(id));
        for (name, value) in [("title", &self.title), ("description", &self.description)] {
            if let Some(template) = value {
                object.insert(name.into(), words(fields, &format!("/message/mpvideo/{name}"), template)?.into());
            }
        }
        let put = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let (title, words) = (put("title"), put("description"));
        id.map(|id| Body { title, words, ..Body::of_media(MessageKind::Mpvideo, object.into(), vec![id]) })
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

fn schema() -> Value {
    json!({
        "description": "A video: its media_id, or the long form.", "type": ["string", "object"], "minLength": 1,
        "properties": {
            "media_id": { "type": "string", "minLength": 1, "description": "The video's media_id; may be a template." },
            "title": words_schema("The title."), "description": words_schema("The description."),
        },
        "required": ["media_id"], "additionalProperties": false,
    })
}
