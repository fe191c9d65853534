//! `set_speed`: how fast WeChat delivers mass messages.
//! <https://developers.weixin.qq.com/doc/subscription/api/notify/message/api_setspeed>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    locale::say,
    payload::Effect,
    plan::{
        ask::{Calls, Fields, number},
        value::Number,
    },
};

pub(super) static SPEC: Spec = Spec {
    name: "set_speed",
    summary: "Sets WeChat's delivery speed for mass messages, for the whole account.",
    path: "/cgi-bin/message/mass/speed/set",
    effect: Effect::Setting,
    outputs: &[],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: SetSpeed::json_schema,
    read: read::<SetSpeed>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetSpeed {
    /// Recipients per minute: 0 = 800,000, 1 = 600,000, 2 = 450,000, 3 = 300,000, 4 = 100,000.
    speed: Number<0, 4>,
}

impl Action for SetSpeed {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let speed = number(fields, "/speed", &self.speed)?;
        Some(Calls { audience: Some(say!("speed {speed}", speed)), ..Calls::one(json!({ "speed": speed })) })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Setting
    }
}
