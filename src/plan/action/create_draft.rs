//! `create_draft`: articles into the draft box, with the uploads that they need, and read back.
//! <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::spec::{Action, Asks, Spec, read};
use crate::{
    diag::Code,
    locale::{Phrase, list, say},
    message::{MessageKind, MessageView},
    payload::{self, Effect, Payload, Target},
    plan::{
        article::Article,
        ask::{Call, Calls, Content, Draft, Fields, Gives, MediaCall},
    },
    slot::Output,
};

pub(crate) const ADD: &str = "/cgi-bin/draft/add";
/// In place of adding a draft, where that of an earlier run was not sent yet; one call an article.
pub(crate) const UPDATE: &str = "/cgi-bin/draft/update";
/// What was made is read back.
pub(crate) const GET: &str = "/cgi-bin/draft/get";

pub(super) static SPEC: Spec = Spec {
    name: "create_draft",
    summary: "Creates a draft with articles and uploads their files; outputs `media_id`.",
    path: ADD,
    effect: Effect::Media,
    outputs: &[Output::MediaId],
    exactly_one: &[],
    only: None,
    own_timeout: false,
    schema: CreateDraft::json_schema,
    read: read::<CreateDraft>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateDraft {
    /// One to eight articles.
    #[schemars(extend("minItems" = 1, "maxItems" = 8))]
    articles: Vec<Article>,
}

impl Action for CreateDraft {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let Draft { articles, uploads, slot } = fields.draft()?;
        let titles: Vec<String> =
            articles.iter().map(|article| article["title"].as_str().unwrap_or_default().to_owned()).collect();
        let mut calls: Vec<Call> = Vec::new();
        let pictures = uploads.len();
        for file in uploads {
            let gives = Gives { slot: file.slot(), member: file.target.gives(), known: None };
            let path = file.target.path();
            let media = MediaCall { gives: Some(gives), upload: Some(file.clone()), ..MediaCall::default() };
            calls.push(Call { media: Some((path, media)), ..Call::new(file.shown(), Target::Nobody) });
        }
        let each = articles.iter().map(|article| Payload::new(article, None)).collect::<Result<Vec<_>, _>>();
        let each = match each {
            Ok(each) => Arc::new(each),
            Err(unknown) => {
                let message = Phrase::verbatim(unknown.to_string());
                fields.problem("/articles", Code::UnknownOutput, message, say!("write {{{{ steps.ID.OUTPUT }}}}"));
                return None;
            }
        };
        let draft = json!({ "articles": articles });
        let gives = Some(Gives { slot: slot.clone(), member: Output::MediaId, known: None });
        let add = MediaCall { gives, adds: Some(Arc::clone(&each)), ..MediaCall::default() };
        calls.push(Call { media: Some((ADD, add)), ..Call::new(draft, Target::Nobody) });
        let back = MediaCall { verify: Some(each), ..MediaCall::default() };
        let id: Value = payload::stand_in(&slot).into();
        calls.push(Call { media: Some((GET, back)), ..Call::new(json!({ "media_id": id }), Target::Nobody) });
        let audience = list([
            say!("{articles} article" | "{articles} articles", articles = titles.len()),
            say!("{pictures} picture" | "{pictures} pictures", pictures),
        ]);
        let audience = say!("{parts}", parts = audience);
        let content = Content::Draft(MessageView { kind: MessageKind::Draft, content: titles.join("\n") });
        Some(Calls { calls, audience: Some(audience), content, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Draft(&self.articles)
    }
}
