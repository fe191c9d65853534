//! `delete`: takes a sent article or video back; the card stays in the chats.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_deletemassmsg>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::spec::{Action, Asks, Spec, read};
use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::{
        ask::{Call, Calls, Content, Fields, job, number},
        value::{Number, Template},
    },
};

pub(super) static SPEC: Spec = Spec {
    name: "delete",
    summary: "Deletes a sent article or video (not text, pictures or voice). The message card stays with those who got it; only the body can no longer be opened.",
    path: "/cgi-bin/message/mass/delete",
    effect: Effect::Delete,
    outputs: &[],
    exactly_one: &["of", "msg_id", "url"],
    only: None,
    own_timeout: false,
    schema: Delete::json_schema,
    read: read::<Delete>,
};

/// Exactly one of `of`, `msg_id` and `url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    /// Send step whose message to delete (all of its calls).
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    of: Option<String>,
    /// Job id of a send.
    #[serde(default)]
    msg_id: Option<Number<1, { u64::MAX }>>,
    /// Link of the article.
    #[serde(default)]
    url: Option<Template>,
    /// Article within the message, starting at 1; 0 or omitted: all articles. Not with `url`.
    #[serde(default)]
    article_idx: Option<Number<0, 8>>,
}

impl Action for Delete {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let article = match &self.article_idx {
            Some(index) => Some(number(fields, "/article_idx", index)?),
            None => None,
        };
        if let Some(url) = &self.url {
            if article.is_some() {
                let message = say!("`article_idx` has no effect with `url`, because a link names a single article");
                fields.problem("/article_idx", Code::IgnoredSetting, message, say!("leave it out"));
            }
            let url = fields.text("/url", url)?;
            let article =
                ["http://mp.weixin.qq.com/", "https://mp.weixin.qq.com/"].iter().any(|base| url.starts_with(base));
            if url.contains(char::is_whitespace) || (!article && !payload::has_slot(&url)) {
                let message = say!("`{url}` is not the link of an article", url);
                let help = say!("write the link that starts with https://mp.weixin.qq.com/");
                fields.problem("/url", Code::BadRendered, message, help);
                return None;
            }
            return Some(Calls { audience: Some(Phrase::verbatim(&*url)), ..Calls::one(json!({ "url": url })) });
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
        let calls = jobs.iter().map(|job| {
            let mut body = json!({ "msg_id": job.number() });
            if let Some(article) = article {
                body["article_idx"] = article.into();
            }
            Call::new(body, Target::Nobody)
        });
        Some(Calls { calls: calls.collect(), audience: Some(audience), content: Content::Nothing, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Delete { of: self.of.as_deref() }
    }
}
