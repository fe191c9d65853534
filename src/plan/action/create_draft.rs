//! `create_draft`: articles into the draft box, with the uploads that they need, and read back.
//! <https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add>

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Calls, Content, Draft, Fields, Gives, Kind, MediaCall, Spec};
use crate::{
    diag::Code,
    payload::{self, Effect, Payload, Target},
    plan::{message::MessageView, value::Template},
    slot::Output,
};

/// Fields of the action.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDraft {
    /// One to eight articles.
    #[schemars(extend("minItems" = 1, "maxItems" = 8))]
    articles: Vec<Article>,
}

/// An article: a file with front matter, or content in the plan. What stands here overrides the front matter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exactly-one" = ["file", "content"]))]
pub struct Article {
    /// `news` (an article) or `newspic` (pictures with a text).
    #[serde(default, rename = "type")]
    pub kind: ArticleKind,
    /// A Markdown (`.md`) or HTML (`.html`) file, which may begin with front matter.
    #[serde(default)]
    pub file: Option<Template>,
    /// Markdown, instead of a file; the plain text of a `newspic`.
    #[serde(default)]
    pub content: Option<Template>,
    /// Title, at most 32 characters.
    #[serde(default)]
    pub title: Option<Template>,
    /// Author, at most 16 characters.
    #[serde(default)]
    pub author: Option<Template>,
    /// Digest, at most 120 characters; only for a single article.
    #[serde(default)]
    pub digest: Option<Template>,
    /// The cover of a `news`: a picture, relative to the file that names it, or a `media_id` of an earlier step.
    #[serde(default)]
    pub cover: Option<Template>,
    /// The pictures of a `newspic`, at most 20; the first is the cover.
    #[serde(default)]
    #[schemars(extend("minItems" = 1, "maxItems" = 20))]
    pub images: Option<Vec<Template>>,
    /// A built-in theme (`plain`, `jade`), or a CSS file, relative to the file that names it.
    #[serde(default)]
    pub theme: Option<Template>,
    /// Where "read more" leads.
    #[serde(default)]
    pub source_url: Option<Template>,
    /// Whether readers can comment.
    #[serde(default)]
    pub need_open_comment: Option<bool>,
    /// Whether only followers can comment.
    #[serde(default)]
    pub only_fans_can_comment: Option<bool>,
    /// The part of the cover that is shown at 2.35:1, as X1_Y1_X2_Y2 of 0 to 1.
    #[serde(default)]
    pub pic_crop_235_1: Option<Template>,
    /// The part of the cover that is shown at 1:1.
    #[serde(default)]
    pub pic_crop_1_1: Option<Template>,
    /// Converts webp pictures and makes larger ones smaller, instead of refusing them.
    #[serde(default)]
    pub optimize: Option<bool>,
}

/// The kinds of articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ArticleKind {
    /// An article.
    #[default]
    News,
    /// Pictures with a text.
    Newspic,
}

impl Kind for CreateDraft {
    const SPEC: Spec = Spec {
        name: "create_draft",
        summary: "Makes a draft of articles, with the uploads that they need; gives its media_id.",
        path: "/cgi-bin/draft/add",
        effect: Effect::Media,
        outputs: &[Output::MediaId],
        exactly_one: &[],
        only: None,
    };

    fn articles(&self) -> &[Article] {
        &self.articles
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
                fields.problem("/articles", Code::UnknownOutput, unknown.to_string(), "write {{ steps.ID.OUTPUT }}");
                return None;
            }
        };
        let draft = json!({ "articles": articles });
        let gives = Some(Gives { slot: slot.clone(), member: Output::MediaId, known: None });
        let add = MediaCall { gives, adds: Some(Arc::clone(&each)), ..MediaCall::default() };
        calls.push(Call { media: Some((Self::SPEC.path, add)), ..Call::new(draft, Target::Nobody) });
        let back = MediaCall { verify: Some(each), ..MediaCall::default() };
        let id: Value = payload::stand_in(&slot).into();
        calls.push(Call {
            media: Some(("/cgi-bin/draft/get", back)),
            ..Call::new(json!({ "media_id": id }), Target::Nobody)
        });
        let count = crate::text::plural;
        let audience = format!("{}, {}", count(titles.len(), "article"), count(pictures, "picture"));
        let content = Content::Draft(MessageView { kind: "draft".into(), content: titles.join("\n") });
        Some(Calls { calls, audience: Some(audience), content, listed: None })
    }
}
