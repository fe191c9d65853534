//! `check`: asks for the status of a send until it is there.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_massmsgget>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    publish,
    spec::{Action, Asks, Spec, read},
};
use crate::{
    diag::Code,
    limits,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::{
        ask::{Call, Calls, Content, Fields, MediaCall, Poll, job},
        value::{Length, Number, Template},
    },
    slot::Output,
};

pub(super) static SPEC: Spec = Spec {
    name: "check",
    summary: "Polls a send or a publication until it reaches a status, or its event is received.",
    path: "/cgi-bin/message/mass/get",
    effect: Effect::Read,
    outputs: &[Output::Status, Output::ArticleId, Output::Url, Output::Urls],
    exactly_one: &["of", "msg_id", "publish_id"],
    only: None,
    own_timeout: true,
    schema: Check::json_schema,
    read: read::<Check>,
};

/// Exactly one of `of`, `msg_id` and `publish_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// Send or publish step to check (all of its calls).
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    of: Option<String>,
    /// Job id of a send.
    #[serde(default)]
    msg_id: Option<Number<1, { u64::MAX }>>,
    /// Id of a publication that is on its way.
    #[serde(default)]
    publish_id: Option<Template>,
    /// Status to wait for; for a publication SEND_SUCCESS means that it is public. SEND_FAIL (for a publication: any failure) fails the step immediately, and so does DELETE unless it is the awaited status.
    #[serde(default)]
    until: Until,
    /// Polling interval.
    #[serde(default)]
    #[schemars(extend("default" = "30s"))]
    every: Option<Length>,
    /// Maximum wait.
    #[serde(default)]
    #[schemars(extend("default" = "30m"))]
    timeout: Option<Length>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
enum Until {
    /// The message was sent, or the draft published.
    #[default]
    SendSuccess,
    /// The message or the publication was deleted.
    Delete,
}

impl Action for Check {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let publications = match (&self.of, &self.publish_id) {
            (Some(of), _) if fields.effect_of(of) == Some(Effect::Publish) => {
                let slots = fields.outputs_of(of, Output::PublishId)?;
                Some((slots.iter().map(payload::stand_in).collect(), say!("of {step}", step = of)))
            }
            (None, Some(id)) => {
                let id = fields.text("/publish_id", id)?;
                if id.is_empty() || (!payload::has_slot(&id) && id.contains(char::is_whitespace)) {
                    let message = say!("this renders to `{id}`, but an id cannot be empty or contain spaces", id);
                    fields.problem("/publish_id", Code::BadRendered, message, say!("write only the id"));
                    return None;
                }
                let shown = say!("publish_id {id}", id = payload::shown(&id));
                Some((vec![id], shown))
            }
            _ => None,
        };
        if let Some((ids, audience)) = publications {
            let ids: Vec<String> = ids;
            let call = |id: &String| Call {
                media: Some((publish::GET, MediaCall::default())),
                ..Call::new(json!({ "publish_id": id }), Target::Nobody)
            };
            let calls = ids.iter().map(call).collect();
            return Some(Calls { calls, audience: Some(audience), content: Content::Nothing, listed: None });
        }
        let (jobs, audience) = match (&self.of, &self.msg_id) {
            (Some(of), _) => (fields.jobs(of)?, say!("of {step}", step = of)),
            (None, Some(id)) => {
                let job = job(fields, id)?;
                let words = Phrase::verbatim(job.to_string());
                (vec![job], words)
            }
            (None, None) => return None,
        };
        // `mass/get` documents the id as a string.
        let calls = jobs.iter().map(|job| Call::new(json!({ "msg_id": job.text() }), Target::Nobody)).collect();
        Some(Calls { calls, audience: Some(audience), content: Content::Nothing, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        let or = |length: Option<Length>, ours| length.map_or(ours, |length| length.0);
        let until = match self.until {
            Until::SendSuccess => "SEND_SUCCESS",
            Until::Delete => "DELETE",
        };
        let poll =
            Poll { until, every: or(self.every, limits::POLL_EVERY), timeout: or(self.timeout, limits::POLL_TIMEOUT) };
        Asks::Check { of: self.of.as_deref(), poll }
    }
}
