//! `unpublish`: deletes published articles, for good.
//! <https://developers.weixin.qq.com/doc/subscription/guide/product/publish.md>

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::spec::{Action, Asks, Spec, read};
use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload::{self, Effect, MediaId, Target},
    plan::{
        ask::{Call, Calls, Content, Fields},
        value::{Number, Template},
    },
    slot::Output,
};

pub(super) static SPEC: Spec = Spec {
    name: "unpublish",
    summary: "Deletes published articles: their links no longer open. It cannot be undone, and does not bring the draft back.",
    path: "/cgi-bin/freepublish/delete",
    effect: Effect::Unpublish,
    outputs: &[],
    exactly_one: &["of", "article_id"],
    only: None,
    own_timeout: false,
    schema: Unpublish::json_schema,
    read: read::<Unpublish>,
};

/// Exactly one of `of` and `article_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unpublish {
    /// Publish step whose articles to delete.
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    of: Option<String>,
    /// The article_id of a publication.
    #[serde(default)]
    article_id: Option<Template>,
    /// Article within the publication, starting at 1, or `all`. Required: without it WeChat would delete all articles.
    #[serde(default)]
    #[schemars(with = "Option<Number<1, 8>>", extend("pattern" = r"^all$|\{\{.*\}\}"), extend("x-form" = "the number of an article from 1 to 8, `all` or a template"))]
    article: Option<Number<1, 8>>,
}

impl Unpublish {
    /// `index` of the body: none for all articles.
    fn index(&self, fields: &mut dyn Fields) -> Option<Option<u64>> {
        let template = match &self.article {
            Some(Number::Literal(index)) => return Some(Some(*index)),
            Some(Number::Template(template)) => template,
            None => {
                let message = say!("without `article`, WeChat would delete all articles of the publication");
                let help = say!("write `article: 1` for the first one, or `article: all` if all are meant");
                fields.problem("", Code::MissingKey, message, help);
                return None;
            }
        };
        match fields.text("/article", template)?.trim() {
            "all" => Some(None),
            _ => fields.number("/article", template, 1, 8).map(Some),
        }
    }
}

impl Action for Unpublish {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let index = self.index(fields);
        let (ids, of): (Vec<String>, Phrase) = match (&self.of, &self.article_id) {
            (Some(of), _) => {
                let slots = fields.outputs_of(of, Output::ArticleId)?;
                (slots.iter().map(payload::stand_in).collect(), say!("of {step}", step = of))
            }
            (None, Some(id)) => {
                let id = fields.text("/article_id", id)?;
                if id.is_empty() || (!payload::has_slot(&id) && id.contains(char::is_whitespace)) {
                    let message = say!("this renders to `{id}`, but an id cannot be empty or contain spaces", id);
                    fields.problem("/article_id", Code::BadRendered, message, say!("write only the id"));
                    return None;
                }
                let shown = MediaId::new(id.clone()).to_string();
                (vec![id], Phrase::verbatim(shown))
            }
            (None, None) => return None,
        };
        let index = index?;
        let audience = match index {
            Some(index) => say!("article {index} {of}", index, of),
            None => say!("all articles {of}", of),
        };
        let calls = ids.into_iter().map(|id| {
            let mut body = json!({ "article_id": id });
            if let Some(index) = index {
                body["index"] = Value::from(index);
            }
            Call::new(body, Target::Nobody)
        });
        Some(Calls { calls: calls.collect(), audience: Some(audience), content: Content::Nothing, listed: None })
    }

    fn asks(&self) -> Asks<'_> {
        Asks::Unpublish { of: self.of.as_deref() }
    }
}
