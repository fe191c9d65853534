//! `wxcard`: a card. WeChat has discontinued sending them.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{
    parts::{id, long},
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{
    diag::Code,
    limits,
    locale::{Count, say},
    message::MessageKind,
    plan::{ask::Fields, value::Template},
};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Wxcard, is_article: false, can_be_deleted: false, schema, read: read::<Card> };

#[derive(Debug)]
struct Card {
    card_id: Template,
    /// Where the id stands below the key: `/card_id` in the long form.
    place: &'static str,
    /// With how many bytes it has as JSON: it is the same for each row.
    card_ext: Option<(Value, usize)>,
}

impl MessageFields for Card {
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let message = say!("WeChat has discontinued sending cards; it will most likely refuse the call (45113)");
        let help = say!("send an article, or a text with a link");
        fields.problem("/message/wxcard", Code::DiscontinuedCard, message, help);
        let id = id(fields, &format!("/message/wxcard{}", self.place), &self.card_id)?;
        let mut object = json!({ "card_id": id });
        if let Some((ext, bytes)) = &self.card_ext {
            let (bytes, most) = (*bytes, limits::CARD_EXT_BYTES_MAX);
            if bytes > most {
                let message = say!(
                    "`card_ext` has {bytes} byte; the maximum is {limit}"
                        | "`card_ext` has {bytes} bytes; the maximum is {limit}",
                    bytes,
                    limit = Count::from(most)
                );
                let help = say!("write `code`, `openid`, `timestamp` and `signature` only");
                fields.problem("/message/wxcard/card_ext", Code::TextTooLong, message, help);
                return None;
            }
            object["card_ext"] = ext.clone();
        }
        Some(Body::new(MessageKind::Wxcard, object, id))
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
                let card_ext = card_ext.map(|ext| {
                    let bytes = ext.to_string().len();
                    (ext, bytes)
                });
                Card { card_id, place: "/card_id", card_ext }
            }
        })
    }
}

fn schema() -> Value {
    json!({
        "description": "A card. WeChat has discontinued sending cards (45113).", "type": ["string", "object"], "minLength": 1,
        "properties": {
            "card_id": { "type": "string", "minLength": 1, "description": "The card's id." },
            "card_ext": { "type": ["string", "object"], "description": "`code`, `openid`, `timestamp` and `signature`; only for a preview." },
        },
        "required": ["card_id"], "additionalProperties": false,
    })
}
