//! Who a send to openids goes to. Doc comments of fields are what editors show.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::{
    ask::{FileUse, Holds},
    value::{Number, Template, one_or_many},
};

/// People: written out, from files, or the followers (of a tag) as WeChat lists them when the plan runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend(
    "oneOf" = [{ "required": ["openids"] }, { "required": ["file"] }, { "required": ["tag"] }, { "required": ["tag_id"] }, { "required": ["followers"] }],
    "x-exactly-one" = ["openids", "file", "tag", "tag_id", "followers"],
    "examples" = [{ "file": "audience/vip.csv", "column": "openid" }],
))]
pub struct PeopleSource {
    /// List of openids.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub openids: Option<Vec<Template>>,
    /// A .txt file (one openid per line), .csv file (with a header line) or .jsonl file, optionally gzipped (.csv.gz); or a list of these.
    #[serde(default, deserialize_with = "many")]
    #[schemars(schema_with = "paths")]
    pub file: Vec<Template>,
    /// The column (or key) with the openids.
    #[serde(default)]
    #[schemars(extend("default" = "openid"))]
    pub column: Option<String>,
    /// Files of openids to exclude, in the same formats and with the same column name.
    #[serde(default, deserialize_with = "many")]
    #[schemars(schema_with = "paths")]
    pub exclude: Vec<Template>,
    /// Tag name; its followers are listed when the plan runs.
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    pub tag: Option<Template>,
    /// Tag number; its followers are listed when the plan runs.
    #[serde(default)]
    pub tag_id: Option<Number<0, { u64::MAX }>>,
    /// All followers, listed when the plan runs.
    #[serde(default)]
    #[schemars(extend("const" = true))]
    pub followers: Option<bool>,
}

impl PeopleSource {
    /// Whether the people are listed by WeChat when the plan runs.
    pub fn is_listed(&self) -> bool {
        self.tag.is_some() || self.tag_id.is_some() || self.followers.is_some()
    }

    pub(super) fn files(&self) -> Vec<FileUse> {
        let name = |field: &str, list: &[Template], holds| -> Vec<FileUse> {
            // A list of one is most often written as a plain string, whose place is the field itself.
            list.iter()
                .enumerate()
                .map(|(at, path)| FileUse { suffix: format!("/to/{field}/{at}"), path: path.clone(), holds })
                .collect()
        };
        let mut files = name("file", &self.file, Holds::Openids);
        files.extend(name("exclude", &self.exclude, Holds::Exclude));
        files
    }
}

fn many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Template>, D::Error> {
    one_or_many(deserializer)
}

fn paths(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "array"], "minLength": 1, "items": { "type": "string", "minLength": 1 }, "minItems": 1 })
}
