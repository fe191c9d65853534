//! `send_by_tag`: to the followers of a tag, or to all of them.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall>

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::spec::{Action, Asks, Spec, put_reprint, read};
use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::{
        ask::{Call, Calls, Content, Fields, number},
        message::Message,
        value::{Number, Template},
    },
    slot::{Output, Slot, Tag},
};

pub(super) static SPEC: Spec = Spec {
    name: "send_by_tag",
    summary: "Sends a message to the followers with a tag, or to all.",
    path: "/cgi-bin/message/mass/sendall",
    effect: Effect::Mass,
    outputs: &[Output::MsgId, Output::MsgIds, Output::MsgDataId],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: SendByTag::json_schema,
    read: read::<SendByTag>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SendByTag {
    /// Audience: { tag_id: 2 }, { tag: VIP } (looked up by name), or `all`.
    to: To,
    /// Message to send.
    message: Message,
    /// Former id of the step (or ID[KEY]; may be a template): what was sent under it counts as sent by this step.
    #[serde(default)]
    #[schemars(extend("examples" = ["announce"]))]
    was: Option<Template>,
    /// Send articles that WeChat considers reprints anyway, if the owner allows it.
    #[serde(default)]
    send_ignore_reprint: Option<bool>,
}

/// There is no default audience: everybody is reached by the word `all` alone.
#[derive(Debug, Clone)]
enum To {
    All,
    TagId(Number<0, { u64::MAX }>),
    Tag(Template),
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Tagged {
            TagId(Number<0, { u64::MAX }>),
            Tag(Template),
        }
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(To::All),
            Value::String(word) => Err(de::Error::custom(format!("`{word}` is not `all`"))),
            value => Ok(match serde_json::from_value(value).map_err(de::Error::custom)? {
                Tagged::TagId(id) => To::TagId(id),
                Tagged::Tag(name) => To::Tag(name),
            }),
        }
    }
}

impl JsonSchema for To {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ToTag".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut tag_id = <Number<0, { u64::MAX }>>::json_schema(generator);
        tag_id.insert("description".into(), "Tag number.".into());
        json_schema!({
            "type": ["object", "string"],
            "pattern": "^all$",
            "x-form": "`all`, { tag_id: NUMBER } or { tag: NAME }",
            "properties": {
                "tag_id": tag_id,
                "tag": { "type": "string", "minLength": 1, "description": "Tag name; looked up once before sending." },
            },
            "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "examples": [{ "tag_id": 2 }, { "tag": "VIP" }, "all"],
        })
    }
}

impl Action for SendByTag {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        // Both are rendered before either failure counts, so that all problems are reported.
        let filter = self.filter(fields);
        let message = self.message.for_send(fields);
        let (target, filter, audience) = filter?;
        let message = message?;
        let mut body = json!({ "filter": filter });
        let message = message.put(&mut body);
        put_reprint(&mut body, fields, self.send_ignore_reprint, &self.message);
        Some(Calls {
            calls: vec![Call::new(body, target)],
            audience: Some(audience),
            content: Content::Message(message),
            listed: None,
        })
    }

    fn was(&self) -> Option<&Template> {
        self.was.as_ref()
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Send(&self.message)
    }
}

/// The name of a tag, as `to.tag` gives it.
pub(super) fn tag_name(fields: &mut dyn Fields, name: &Template) -> Option<String> {
    let name = fields.text("/to/tag", name)?;
    if payload::has_slot(&name) || name.trim() != name || name.is_empty() {
        let message = say!("a tag name must be plain text, but this renders to `{name}`", name = payload::shown(&name));
        fields.problem("/to/tag", Code::BadRendered, message, say!("write the name as the console shows it"));
        return None;
    }
    Some(name)
}

/// A tag in words.
pub(super) fn tag_words(tag: &Tag) -> Phrase {
    match tag {
        Tag::Id(id) => say!("tag {tag}", tag = *id),
        Tag::Name(name) => say!("tag {tag}", tag = name),
    }
}

impl SendByTag {
    /// Whom it reaches, the same as WeChat is told, and in words.
    fn filter(&self, fields: &mut dyn Fields) -> Option<(Target, Value, Phrase)> {
        let tag = match &self.to {
            To::All => return Some((Target::Everyone, json!({ "is_to_all": true }), say!("all followers"))),
            To::TagId(id) => Tag::Id(number(fields, "/to/tag_id", id)?),
            To::Tag(name) => Tag::Name(tag_name(fields, name)?),
        };
        let id: Value = match &tag {
            Tag::Id(id) => (*id).into(),
            Tag::Name(name) => payload::number_stand_in(&Slot::Tag(name.clone())).into(),
        };
        let words = tag_words(&tag);
        Some((Target::Tag(tag), json!({ "is_to_all": false, "tag_id": id }), words))
    }
}
