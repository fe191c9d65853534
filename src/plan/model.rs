//! The plan as its author writes it, typed. Doc comments here are what editors show.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};

use super::{
    account::AccountField,
    action::{ACTIONS, Action, Spec},
    notify::Notice,
    value::{Condition, Length, Template},
};
use crate::{
    content::{hosts::Hosts, words},
    limits,
};

/// A campaign for a WeChat Official Account: mass messages, in sending order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "qunfa plan")]
pub struct Head {
    /// Version of the plan format.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// Name of the campaign. Part of every idempotency key, so a renamed campaign is a new one, unless `was` says what it was called.
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9-]{0,62}$", "x-form" = "at most 63 lower-case letters, digits and -, starting with a letter or digit", "examples" = ["spring-tea"]))]
    pub name: String,
    /// Former name of the campaign: what was sent under it counts as sent.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9-]{0,62}$", "x-form" = "at most 63 lower-case letters, digits and -, starting with a letter or digit", "examples" = ["spring"]))]
    pub was: Option<String>,
    /// Description for readers; not sent.
    #[serde(default)]
    pub description: Option<String>,
    /// The sending Official Account: a mapping, or the path of a YAML file with it. --account FILE overrides it.
    #[serde(default)]
    pub account: Option<AccountField>,
    /// Edition of the campaign, for example "2026-03"; may be a template. A new value sends everything again.
    #[serde(default)]
    #[schemars(extend("default" = "once", "examples" = ["once", "2026-03"]))]
    pub occurrence: Option<Template>,
    /// Variables for templates, used as `vars.NAME`; --var and --vars-file override them.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// Environment variables that templates can read as `env.NAME`. All others are hidden.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "x-form": "the name of an environment variable" }))]
    pub env: Vec<String>,
    /// Default settings for all steps.
    #[serde(default)]
    pub defaults: Defaults,
    /// Conditions that must hold, otherwise nothing is sent.
    #[serde(default)]
    pub guards: Guards,
    /// Extra checks on rendered text.
    #[serde(default)]
    pub lint: Lint,
    /// Whom to tell how a run ended: robots of group chats, or any webhook.
    #[serde(default)]
    #[schemars(extend("maxItems" = limits::NOTICES_MAX))]
    pub notify: Vec<Notice>,
    /// The steps, in execution order.
    #[schemars(with = "Steps")]
    pub steps: Vec<Value>,
}

impl Head {
    /// Whether a text can be the name of a plan.
    pub(crate) fn is_name(text: &str) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (1..=63).contains(&text.len()) && text.bytes().all(|b| plain(b) || b == b'-') && !text.starts_with('-')
    }
}

/// Default settings for all steps.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Retry settings.
    #[serde(default)]
    pub retry: Retry,
    /// Timeout of one request.
    #[serde(default)]
    #[schemars(extend("default" = "30s"))]
    pub timeout: Option<Length>,
    /// Rate of mass calls.
    #[serde(default)]
    pub pace: Pace,
}

/// Retry settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Maximum number of attempts, including the first.
    #[serde(default)]
    #[schemars(extend("minimum" = 1, "maximum" = 20, "default" = 4))]
    pub(crate) attempts: Option<u32>,
    /// First pause; doubles each time.
    #[serde(default)]
    #[schemars(extend("default" = "1s"))]
    pub(crate) backoff: Option<Length>,
    /// Maximum pause.
    #[serde(default)]
    #[schemars(extend("default" = "60s"))]
    pub(crate) max_backoff: Option<Length>,
    /// Pause before repeating a send with an unknown outcome, with the same `clientmsgid`; at least 60s against WeChat.
    #[serde(default)]
    #[schemars(extend("default" = "60s"))]
    pub(crate) resend_after: Option<Length>,
}

/// Rate of mass calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Mass calls per minute; at most 60 against WeChat.
    #[serde(default)]
    #[schemars(extend("minimum" = 1, "maximum" = 100_000, "default" = 60))]
    pub(crate) per_minute: Option<u32>,
}

/// Conditions that must hold, otherwise nothing is sent (exit code 9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// Maximum recipients of one run: openids, plus followers of tags if their number is known.
    #[serde(default)]
    #[schemars(extend("minimum" = 1))]
    pub(crate) max_recipients: Option<u64>,
    /// Maximum change of an audience compared with the previous edition, in percent.
    #[serde(default)]
    #[schemars(extend("minimum" = 0))]
    pub(crate) max_change_percent: Option<u64>,
    /// Daily window in which sending is allowed (Asia/Shanghai): "09:00-21:00".
    #[serde(default)]
    pub(crate) send_window: Option<SendWindow>,
    /// Send nothing before this time (RFC 3339, with an offset).
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time", "x-form" = "a time such as `2026-03-01T09:00:00+08:00`", "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})$"))]
    pub(crate) not_before: Option<jiff::Timestamp>,
    /// Send nothing after this time (RFC 3339, with an offset).
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time", "x-form" = "a time such as `2026-03-01T09:00:00+08:00`", "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})$"))]
    pub(crate) not_after: Option<jiff::Timestamp>,
    /// Require that every message was previewed in this occurrence, by this run or an earlier one.
    #[serde(default)]
    pub(crate) require_preview: bool,
}

/// Extra checks on rendered text, in addition to those that always run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lint {
    /// Hosts that must never appear in links, such as `test.example.com`, including their subdomains.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("maxItems" = limits::STAGING_HOSTS_MAX, "items" = { "type": "string", "pattern": "^[^\\s/:@]+$", "x-form": "a host name such as `test.example.com`" }))]
    pub(crate) staging_hosts: Hosts,
    /// Words that must never reach followers, such as those that the advertising law forbids.
    #[serde(default)]
    #[schemars(extend("maxItems" = limits::LINT_WORDS_MAX, "items" = { "type": "string", "minLength": 1 }, "examples" = [["最", "第一", "国家级"]]))]
    pub(crate) forbidden: Vec<String>,
    /// Phrases that contain a forbidden word and are right.
    #[serde(default)]
    #[schemars(extend("maxItems" = limits::LINT_WORDS_MAX, "items" = { "type": "string", "minLength": 1 }, "examples" = [["最近", "第一次"]]))]
    pub(crate) allow: Vec<String>,
}

impl Lint {
    /// What words are compared with, beside names that templates know.
    pub(crate) fn words(&self, names: Vec<String>) -> words::Lint {
        let Self { staging_hosts, forbidden, allow } = self.clone();
        words::Lint { forbidden, allow, names, staging: staging_hosts, braces: false }
    }
}

/// Times of day in Asia/Shanghai; the end is not included. An end before the beginning is on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SendWindow {
    /// Minute of the day at which it opens.
    pub(crate) from: u16,
    /// Minute of the day at which it closes; 1440 is midnight.
    pub(crate) to: u16,
}

impl SendWindow {
    const PATTERN: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";

    fn parse(text: &str) -> Option<Self> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 60 + minute)
        };
        let (from, to) = text.split_once('-')?;
        let window = Self { from: minute(from)?, to: minute(to)? };
        (window.from != window.to).then_some(window)
    }

    /// Whether a minute of the day lies inside.
    pub(crate) fn contains(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl<'de> Deserialize<'de> for SendWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SendWindow::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a time range")))
    }
}

impl JsonSchema for SendWindow {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "SendWindow".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": SendWindow::PATTERN,
            "x-form": "a time range such as `09:00-21:00`", "examples": ["09:00-21:00"],
        })
    }
}

/// What all steps share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Common {
    /// Id of the step; part of its idempotency key.
    #[schemars(extend("pattern" = "^[a-z][a-z0-9_-]{0,62}$", "x-form" = "at most 63 lower-case letters, digits, _ and -, starting with a letter", "examples" = ["announce"]))]
    pub id: String,
    /// The step's action.
    #[cfg_attr(not(test), expect(dead_code, reason = "the schema and the reader know it; the action itself is used"))]
    pub(crate) action: String,
    /// Description for readers; not sent.
    #[serde(default)]
    pub description: Option<String>,
    /// Template expression; if false, the step is skipped.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Runs the step once per row, available as `row`: a list of mappings, or { file: data.csv } (also .jsonl). Requires `key`.
    #[serde(default)]
    pub foreach: Option<Foreach>,
    /// Names each instance of a `foreach` (a template such as "{{ row.city }}"); part of the idempotency key.
    #[serde(default)]
    pub key: Option<Template>,
    /// Retry settings of this step.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Timeout of one request.
    #[serde(default)]
    pub timeout: Option<Length>,
    /// If this step fails, continue with steps that do not need its outputs.
    #[serde(default)]
    pub continue_on_error: bool,
}

/// The rows of a step.
#[derive(Debug, Clone)]
pub(crate) enum Foreach {
    /// Written in the plan.
    Rows(Vec<Map<String, Value>>),
    /// A CSV or JSONL file.
    File(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromFile {
    file: String,
}

impl<'de> Deserialize<'de> for Foreach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_array() {
            serde_json::from_value(value).map(Foreach::Rows).map_err(de::Error::custom)
        } else {
            serde_json::from_value(value).map(|FromFile { file }| Foreach::File(file)).map_err(de::Error::custom)
        }
    }
}

impl JsonSchema for Foreach {
    fn schema_name() -> Cow<'static, str> {
        "Foreach".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Rows: a list of mappings, or { file: data.csv } (also .jsonl).",
            "type": ["array", "object"],
            "items": { "type": "object", "minProperties": 1 },
            "minItems": 1,
            "maxItems": limits::FOREACH_MAX,
            "properties": { "file": { "type": "string", "pattern": r"(\.(csv|jsonl)|\{\{.*\}\})$", "x-form": "the path of a .csv or .jsonl file", "description": "A .csv file with a header line, or a .jsonl file with one object per line." } },
            "required": ["file"],
            "additionalProperties": false,
            "examples": [[{ "city": "北京", "tag": 101 }], { "file": "data/cities.csv" }],
        })
    }
}

/// A step: what all share, and what its action adds.
#[derive(Debug)]
pub struct Step {
    /// Position in the plan, from 0; its places are under `/steps/INDEX`.
    pub index: usize,
    /// What all steps share.
    pub(crate) common: Common,
    /// What it does.
    pub(crate) action: Box<dyn Action>,
}

impl Step {
    /// The pointer of a field of this step (`suffix` begins with a slash, or is empty).
    pub fn pointer(&self, suffix: &str) -> String {
        format!("/steps/{}{suffix}", self.index)
    }
}

/// The schema of the list of steps. A step is one branch per action, chosen by `action` (`if`/`then`), so that no error
/// speaks of another action.
enum Steps {}

impl JsonSchema for Steps {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "steps".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let common = Common::json_schema(generator);
        let mut branches = Vec::new();
        // All of them first: the definitions that they share come before those of the actions.
        let own: Vec<(&Spec, Schema)> = ACTIONS.iter().map(|spec| (*spec, (spec.schema)(generator))).collect();
        for (spec, own) in own {
            let branch = branch(spec, &common, own);
            generator.definitions_mut().insert(spec.name.to_owned(), branch);
            branches.push(json!({
                "if": { "properties": { "action": { "const": spec.name } }, "required": ["action"] },
                "then": { "$ref": format!("#/$defs/{}", spec.name) },
            }));
        }
        let mut properties = common.as_value()["properties"].clone();
        properties["action"]["enum"] = ACTIONS.iter().map(|spec| spec.name).collect();
        let step = json!({
            "type": "object", "description": "One step of the campaign.",
            "properties": properties, "required": ["id", "action"], "allOf": branches,
        });
        generator.definitions_mut().insert("step".to_owned(), step);
        json_schema!({ "type": "array", "minItems": 1, "maxItems": limits::STEPS_MAX, "items": { "$ref": "#/$defs/step" } })
    }
}

/// The schema of a step with one action: what all share, and its own fields.
fn branch(spec: &Spec, common: &Schema, own: Schema) -> Value {
    let mut branch = own.to_value();
    let mut properties = common.as_value()["properties"].as_object().cloned().unwrap_or_default();
    properties["action"]["const"] = spec.name.into();
    if let Some(own) = branch["properties"].as_object() {
        properties.extend(own.clone());
    }
    let mut required = vec![json!("id"), json!("action")];
    required.extend(branch["required"].as_array().cloned().unwrap_or_default());
    branch["description"] = spec.summary.into();
    branch["properties"] = properties.into();
    branch["required"] = required.into();
    branch["additionalProperties"] = false.into();
    branch["dependentRequired"] = json!({ "foreach": ["key"], "key": ["foreach"] });
    if !spec.exactly_one.is_empty() {
        branch["oneOf"] = spec.exactly_one.iter().map(|name| json!({ "required": [name] })).collect();
        branch["x-exactly-one"] = json!(spec.exactly_one);
    }
    branch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_windows() {
        let day = SendWindow::parse("09:00-21:00").expect("valid");
        assert!(day.contains(540) && day.contains(1259) && !day.contains(1260) && !day.contains(539));
        let night = SendWindow::parse("22:00-06:00").expect("valid");
        assert!(night.contains(0) && night.contains(1439) && !night.contains(360));
        assert!(SendWindow::parse("09:00-09:00").is_none() && SendWindow::parse("9-21").is_none());
        assert!(SendWindow::parse("18:00-24:00").expect("valid").contains(1439));
    }
}
