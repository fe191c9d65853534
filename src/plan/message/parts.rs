//! What several message types are made of.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::lint;
use crate::{
    diag::Code,
    locale::say,
    message::MessageKind,
    payload,
    plan::{ask::Fields, value::Template},
};

/// A medium by its id.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) media_id: Template,
    /// Where the id stands below the key: `/media_id` in the long form.
    pub(super) place: &'static str,
}

impl Media {
    pub(super) fn render(&self, fields: &mut dyn Fields, kind: MessageKind) -> Option<String> {
        id(fields, &format!("/message/{}{}", kind.name(), self.place), &self.media_id)
    }

    /// The schema of a message that is a medium and nothing else.
    pub(super) fn schema(what: &str, example: &str) -> Value {
        json!({
            "description": what, "type": ["string", "object"], "minLength": 1,
            "properties": { "media_id": { "type": "string", "minLength": 1, "description": "The media_id; may be a template." } },
            "required": ["media_id"], "additionalProperties": false, "examples": [example],
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

/// The long form of a message: a mapping.
pub(super) fn long<'de, T: de::DeserializeOwned, D: Deserializer<'de>>(value: Value) -> Result<T, D::Error> {
    serde_json::from_value(value).map_err(de::Error::custom)
}

/// An id: one word, of no blanks.
pub(super) fn id(fields: &mut dyn Fields, suffix: &str, template: &Template) -> Option<String> {
    let id = fields.text(suffix, template)?;
    if id.is_empty() || (!payload::has_slot(&id) && id.contains(char::is_whitespace)) {
        let message = say!("this renders to `{id}`, but an id cannot be empty or contain spaces", id);
        fields.problem(suffix, Code::BadRendered, message, say!("write only the id"));
        return None;
    }
    Some(id)
}

/// Words that followers read.
pub(super) fn words(fields: &mut dyn Fields, suffix: &str, template: &Template) -> Option<String> {
    let text = fields.text(suffix, template)?;
    lint::text(fields, suffix, &text);
    Some(text)
}

pub(super) fn words_schema(what: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": what })
}
