//! `check`: asks for the status of a send until it is there.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_massmsgget>

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Calls, Fields, Kind, Poll, Spec, number};
use crate::payload::Effect;
use crate::{
    payload,
    plan::value::{Number, Span},
};

/// Fields of the action: exactly one of `of` and `msg_id`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The send step of this plan that is checked; all of its calls.
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    of: Option<String>,
    /// The job of a send.
    #[serde(default)]
    msg_id: Option<Number<1, { u64::MAX }>>,
    /// The status that is waited for. SEND_FAIL fails the step at once, and so does DELETE where it is not waited for.
    #[serde(default)]
    until: Until,
    /// The pause between two questions.
    #[serde(default)]
    #[schemars(extend("default" = "30s"))]
    every: Option<Span>,
    /// How long it is waited at most.
    #[serde(default)]
    #[schemars(extend("default" = "30m"))]
    timeout: Option<Span>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
enum Until {
    /// The message was sent.
    #[default]
    SendSuccess,
    /// The message was deleted.
    Delete,
}

impl Kind for Check {
    const SPEC: Spec = Spec {
        name: "check",
        summary: "Asks for the status of a send until it has the one that is waited for.",
        path: "/cgi-bin/message/mass/get",
        effect: Effect::Read,
        outputs: &["status"],
        exactly_one: &["of", "msg_id"],
        only: None,
    };

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        // `mass/get` documents the id as a string.
        let (ids, audience): (Vec<Value>, String) = match (&self.of, &self.msg_id) {
            (Some(of), _) => {
                let slots = fields.jobs(of)?;
                (slots.iter().map(|slot| payload::slot(slot).into()).collect(), format!("of {of}"))
            }
            (None, Some(id)) => {
                let id = number(fields, "/msg_id", id)?;
                let text = id.as_str().map_or_else(|| id.to_string(), |slot| slot.replace('#', ""));
                let words = format!("msg_id {}", payload::shown(&text));
                (vec![text.into()], words)
            }
            (None, None) => return None,
        };
        let calls = ids.into_iter().map(|id| Call::new(json!({ "msg_id": id }))).collect();
        Some(Calls { calls, audience: Some(audience), message: None, listed: None })
    }

    fn target(&self) -> Option<&str> {
        self.of.as_deref()
    }

    fn poll(&self) -> Option<Poll> {
        let or = |span: Option<Span>, seconds| span.map_or(Duration::from_secs(seconds), |span| span.0);
        let until = match self.until {
            Until::SendSuccess => "SEND_SUCCESS",
            Until::Delete => "DELETE",
        };
        Some(Poll { until, every: or(self.every, 30), timeout: or(self.timeout, 30 * 60) })
    }
}
