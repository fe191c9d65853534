//! An article of a draft, as a plan has it. Doc comments of fields are what editors show.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::Template;

/// An article: a file with front matter, or content in the plan. Values here override the front matter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exactly-one" = ["file", "content"]))]
pub struct Article {
    /// `news` (an article) or `newspic` (pictures with text).
    #[serde(default, rename = "type")]
    pub kind: ArticleKind,
    /// A Markdown (`.md`) or HTML (`.html`) file, which can start with front matter.
    #[serde(default)]
    pub file: Option<Template>,
    /// Markdown, instead of a file; for a `newspic`, plain text.
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
    /// Cover of a `news`: a picture, relative to the file that names it, `media_id:` and an id of the material library, or the `media_id` of an earlier step.
    #[serde(default)]
    pub cover: Option<Template>,
    /// Pictures of a `newspic`, at most 20; the first is the cover.
    #[serde(default)]
    #[schemars(extend("minItems" = 1, "maxItems" = 20))]
    pub images: Option<Vec<Template>>,
    /// A built-in theme (`plain`, `jade`, `none`), or a CSS file, relative to the file that names it.
    #[serde(default)]
    pub theme: Option<Template>,
    /// URL behind "Read more" (阅读原文).
    #[serde(default)]
    pub source_url: Option<Template>,
    /// Enable comments on the article.
    #[serde(default)]
    pub need_open_comment: Option<bool>,
    /// Allow only followers to comment on the article.
    #[serde(default)]
    pub only_fans_can_comment: Option<bool>,
    /// Visible part of the cover at 2.35:1, as X1_Y1_X2_Y2 from 0 to 1.
    #[serde(default)]
    pub pic_crop_235_1: Option<Template>,
    /// Visible part of the cover at 1:1.
    #[serde(default)]
    pub pic_crop_1_1: Option<Template>,
    /// Converts webp pictures and shrinks larger ones instead of refusing them.
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
    /// Pictures with text.
    Newspic,
}
