//! `preview`: shows a message to one person; uses no mass quota.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview>

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::{
        ask::{Call, Calls, Content, Fields},
        message::Message,
        value::Template,
    },
    text::openid,
};

pub(super) static SPEC: Spec = Spec {
    name: "preview",
    summary: "Previews a message, exactly as it will be sent, to one person.",
    path: "/cgi-bin/message/mass/preview",
    effect: Effect::Preview,
    outputs: &[],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: Preview::json_schema,
    read: read::<Preview>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Preview {
    /// Recipient: { wxname: NAME } or { openid: OPENID }.
    to: To,
    /// Message to show.
    message: Message,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    Wxname(Template),
    Openid(Template),
}

impl JsonSchema for To {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ToOne".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "wxname": { "type": "string", "minLength": 1, "description": "WeChat id (微信号) of a follower." },
                "openid": { "type": "string", "minLength": 1, "description": "Openid of a follower." },
            },
            "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "examples": [{ "wxname": "tea-editor" }],
        })
    }
}

impl Action for Preview {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let (key, suffix, template) = match &self.to {
            To::Wxname(name) => ("towxname", "/to/wxname", name),
            To::Openid(openid) => ("touser", "/to/openid", openid),
        };
        let to = fields.text(suffix, template);
        let message = self.message.for_preview(fields);
        let (to, message) = (to?, message?);
        let slot = payload::has_slot(&to);
        if key == "touser" && !openid::may_be(to.as_bytes()) {
            let (message, help) = openid::wrong(&to);
            fields.problem(suffix, Code::BadOpenid, message, help);
            return None;
        }
        if to.is_empty() || slot || !openid::is_plain(to.as_bytes()) {
            let message = say!("this renders to `{to}`, which is not a WeChat id", to = payload::shown(&to));
            let help = say!("write the WeChat id (微信号): letters, digits, `_` and `-`");
            fields.problem(suffix, Code::BadRendered, message, help);
            return None;
        }
        if key == "towxname" && !openid::is_wxname(&to) {
            let message = say!("`{to}` is unlikely to be a WeChat id", to = to.as_str());
            let help = say!("a WeChat id has 6 to 20 letters, digits, `_` and `-`, and begins with a letter");
            fields.problem(suffix, Code::UnlikelyWxname, message, help);
        }
        let audience = Phrase::verbatim(&*to);
        let mut body = json!({ key: to });
        let message = message.put(&mut body);
        Some(Calls {
            calls: vec![Call::new(body, Target::Person)],
            audience: Some(audience),
            content: Content::Message(message),
            listed: None,
        })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Preview(&self.message)
    }
}
