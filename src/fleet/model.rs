//! A fleet as its author writes it, typed. Doc comments here are what editors show.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use crate::limits;

/// A fleet: one plan, and the Official Accounts that run it.
#[derive(Debug, JsonSchema)]
#[schemars(title = "qunfa fleet", deny_unknown_fields)]
#[expect(dead_code, reason = "for the schema; what it says is read part by part, so that each problem has its place")]
pub(super) struct Head {
    /// Version of the fleet format.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// Path of the plan that every account runs; relative to this file.
    #[schemars(extend("minLength" = 1, "examples" = ["plan.yaml"]))]
    plan: String,
    /// Settings of every account; an account's own override them. In texts, templates may use `account.name`, `account.appid` and `account.labels`.
    #[schemars(with = "Option<super::schema::Defaults>")]
    defaults: Value,
    /// The accounts: a list, or { file: accounts.csv } (also .jsonl).
    #[schemars(with = "Accounts")]
    accounts: Value,
    /// Who sends first: each entry is { accounts: [names] }, a share of the accounts ("10%") or a number of them. A wave begins after all accounts of the earlier ones succeeded.
    #[schemars(with = "Option<Vec<Wave>>", extend("minItems" = 1, "examples" = [[{ "accounts": ["beijing"] }, "10%", "100%"]]))]
    waves: Value,
    /// When no more accounts begin.
    #[schemars(with = "Option<Stop>")]
    stop: Value,
}

/// The accounts of a fleet.
enum Accounts {}

impl JsonSchema for Accounts {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Accounts".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["array", "object"],
            "items": { "$ref": "#/$defs/entry" },
            "minItems": 1,
            "maxItems": limits::FLEET_MAX,
            "properties": { "file": { "type": "string", "pattern": r"\.(csv|jsonl)$", "x-form": "the path of a .csv or .jsonl file", "description": "A .csv file with a header line (columns such as `name`, `appid`, `labels`, `vars.city`, `secret.env`), or a .jsonl file with one account per line." } },
            "required": ["file"],
            "additionalProperties": false,
            "examples": [[{ "name": "beijing", "appid": "wx0123456789abcdef" }], { "file": "accounts.csv" }],
        })
    }
}

/// Accounts that send at the same stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wave {
    Names(Vec<String>),
    /// Percent of all accounts.
    Share(usize),
    Number(usize),
}

const SHARE: &str = "^([1-9][0-9]?|100)%$";

fn share(text: &str) -> Option<usize> {
    let percent = text.strip_suffix('%')?.parse().ok()?;
    (1..=100).contains(&percent).then_some(percent)
}

impl<'de> Deserialize<'de> for Wave {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Names {
            accounts: Vec<String>,
        }
        let value = Value::deserialize(deserializer)?;
        let odd = || de::Error::custom("expected names, a share or a number");
        match &value {
            Value::Number(number) => {
                let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
                number.map(Wave::Number).ok_or_else(odd)
            }
            Value::String(text) => share(text).map(Wave::Share).ok_or_else(odd),
            _ => Names::deserialize(value).map(|names| Wave::Names(names.accounts)).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for Wave {
    fn schema_name() -> Cow<'static, str> {
        "Wave".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Accounts that send at the same stage: { accounts: [names] }, a share of all accounts (\"10%\", of which the first by name) or a number of them.",
            "type": ["object", "string", "integer"],
            "properties": { "accounts": { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "description": "Names of the accounts." } },
            "required": ["accounts"],
            "additionalProperties": false,
            "pattern": SHARE,
            "x-form": "{ accounts: [names] }, a share such as `10%`, or a number",
            "minimum": 1,
        })
    }
}

/// When no more accounts begin (exit code 9); those that are running finish.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// So many failed or unknown accounts, or such a share of all ("5%"), are too many.
    #[serde(default)]
    pub(super) max_failed: Option<Most>,
}

/// A number of accounts, or a share of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Most {
    Number(usize),
    Share(usize),
}

impl Most {
    /// Of so many.
    pub(super) fn of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Share(percent) => (all * percent / 100).max(1),
        }
    }
}

impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let odd = || de::Error::custom("expected a number or a share");
        match Value::deserialize(deserializer)? {
            Value::String(text) => share(&text).map(Most::Share).ok_or_else(odd),
            value => value.as_u64().and_then(|number| usize::try_from(number).ok()).map(Most::Number).ok_or_else(odd),
        }
    }
}

impl JsonSchema for Most {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Most".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "pattern": SHARE,
            "x-form": "a number, or a share such as `5%`",
            "examples": [20, "5%"],
        })
    }
}

/// What an account of a fleet has beside the settings of an account.
pub(super) fn own() -> Value {
    json!({
        "vars_file": {
            "type": "string", "minLength": 1, "examples": ["vars/{{ account.name }}.yaml"],
            "description": "YAML file with variables; overrides the plan's `vars`. Relative to the fleet file; may be a template.",
        },
        "vars": {
            "type": "object", "examples": [{ "city": "北京" }],
            "description": "Variables; override the plan's `vars` and those of `vars_file`.",
        },
    })
}
