//! Message types: one file each, and the one list of them. Each knows its form in a plan, and its bodies in sends and in
//! previews.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::ask::{Fields, FileUse, Holds};
use crate::message::MessageKind;
use spec::{Body, MessageFields, MessageType};

mod image;
mod lint;
mod mpnews;
mod mpvideo;
mod parts;
mod spec;
mod text;
mod voice;
mod wxcard;

/// THE list of message types.
pub(crate) const TYPES: &[&MessageType] =
    &[&text::TYPE, &mpnews::TYPE, &voice::TYPE, &image::TYPE, &mpvideo::TYPE, &wxcard::TYPE];

/// What can be sent, in the order of the schema.
pub fn kinds() -> impl Iterator<Item = MessageKind> {
    TYPES.iter().map(|of| of.kind)
}

/// Message to send: exactly one of these types.
#[derive(Debug)]
pub struct Message {
    pub of: &'static MessageType,
    content: Box<dyn MessageFields>,
}

impl Message {
    /// The body in a send.
    pub fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        self.content.for_send(fields)
    }

    /// The body in a preview.
    pub fn for_preview(&self, fields: &mut dyn Fields) -> Option<Body> {
        self.content.for_preview(fields)
    }

    /// The file that it reads.
    pub fn file(&self) -> Option<FileUse> {
        let (suffix, path) = self.content.file()?;
        Some(FileUse { suffix: suffix.into(), path: path.clone(), holds: Holds::Text })
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        let mut members = members.into_iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return Err(de::Error::custom("expected exactly one of the message types"));
        };
        let of = TYPES.iter().find(|of| of.kind.name() == name);
        let of = of.ok_or_else(|| de::Error::custom(format!("there is no message type `{name}`")))?;
        Ok(Message { of, content: (of.read)(value).map_err(de::Error::custom)? })
    }
}

impl JsonSchema for Message {
    fn schema_name() -> Cow<'static, str> {
        "message".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let types: Map<String, Value> = TYPES.iter().map(|of| (of.kind.name().into(), (of.schema)())).collect();
        json_schema!({
            "description": "Message to send: exactly one of these types.",
            "type": "object",
            "properties": types,
            "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_of_exactly_one_type_in_its_short_or_its_long_form() {
        let read = serde_json::from_value::<Message>;
        for of in TYPES {
            let message = read(json!({ of.kind.name(): "a" })).expect("every type has a short form");
            assert_eq!(message.of.kind, of.kind);
        }
        let long = read(json!({ "mpnews": { "media_id": "a" } })).expect("valid");
        assert_eq!(long.of.kind, MessageKind::Mpnews);
        for wrong in [
            json!({ "text": "a", "voice": "b" }),
            json!({}),
            json!({ "voice": { "media": "b" } }),
            json!({ "draft": "a" }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
