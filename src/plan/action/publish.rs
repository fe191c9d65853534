//! `publish`: makes the articles of a draft public, of which nobody is told.
//! <https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    diag::Code,
    limits,
    locale::say,
    payload::{self, Effect, MediaId, Target},
    plan::{
        ask::{Call, Calls, Content, Fields, Gives, MediaCall, Poll},
        value::{Length, Template},
    },
    slot::Output,
};

pub(crate) const SUBMIT: &str = "/cgi-bin/freepublish/submit";
/// How a publication stands.
pub(crate) const GET: &str = "/cgi-bin/freepublish/get";
/// The articles of a publication.
pub(crate) const GETARTICLE: &str = "/cgi-bin/freepublish/getarticle";
/// All that was published, newest first.
pub(crate) const BATCHGET: &str = "/cgi-bin/freepublish/batchget";

pub(super) static SPEC: Spec = Spec {
    name: "publish",
    summary: "Publishes a draft: its articles get permanent links, nobody is notified, no mass allowance is used, and the draft is used up. Waits until it is public; outputs `publish_id`, `article_id`, `url`, `urls`.",
    path: SUBMIT,
    effect: Effect::Publish,
    outputs: &[Output::PublishId, Output::ArticleId, Output::Url, Output::Urls],
    exactly_one: &[],
    only: None,
    own_timeout: true,
    schema: Publish::json_schema,
    read: read::<Publish>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Publish {
    /// Draft to publish: its media_id, usually `{{ steps.ID.media_id }}` of a `create_draft` step.
    media_id: Template,
    /// Polling interval.
    #[serde(default)]
    #[schemars(extend("default" = "10s"))]
    every: Option<Length>,
    /// Maximum wait until the publication ended.
    #[serde(default)]
    #[schemars(extend("default" = "30m"))]
    timeout: Option<Length>,
}

impl Action for Publish {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let id = fields.text("/media_id", &self.media_id)?;
        if id.is_empty() || (!payload::has_slot(&id) && id.contains(char::is_whitespace)) {
            let message = say!("this renders to `{id}`, but an id cannot be empty or contain spaces", id);
            fields.problem("/media_id", Code::BadRendered, message, say!("write only the id"));
            return None;
        }
        let draft = MediaId::new(id);
        let slot = fields.own(Output::PublishId);
        let ask = json!({ "publish_id": payload::stand_in(&slot) });
        let gives =
            MediaCall { gives: Some(Gives { slot, member: Output::PublishId, known: None }), ..MediaCall::default() };
        let submit = json!({ "media_id": draft.text() });
        let calls = vec![
            Call { media: Some((SUBMIT, gives)), ..Call::new(submit, Target::Nobody) },
            Call {
                media: Some((GET, MediaCall::default())),
                effect: Some(Effect::Read),
                ..Call::new(ask, Target::Nobody)
            },
        ];
        let audience = Some(say!("nobody is notified"));
        Some(Calls { calls, audience, content: Content::Nothing, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        let or = |length: Option<Length>, ours| length.map_or(ours, |length| length.0);
        Asks::Publish(Poll {
            until: "SEND_SUCCESS",
            every: or(self.every, limits::PUBLISH_POLL_EVERY),
            timeout: or(self.timeout, limits::POLL_TIMEOUT),
        })
    }
}
