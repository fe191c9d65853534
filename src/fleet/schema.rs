//! The JSON Schema of a fleet, generated from the types. An account of a fleet is an account as a plan takes it, of which the
//! defaults may say all but who it is, and whose texts may be templates.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

use super::model::{Head, own};
use crate::plan::{account::Account, schema};

/// Generates the schema of a fleet from the types.
pub fn generate() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let entry = settings(&mut generator, true);
    // What an account's settings are made of; nothing else has been generated yet.
    generator.definitions_mut().values_mut().for_each(templates);
    generator.definitions_mut().insert("entry".to_owned(), entry);
    schema::generate_read::<Head>("urn:qunfa:fleet:1", generator)
}

/// Settings of every account.
pub(super) enum Defaults {}

impl JsonSchema for Defaults {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Defaults".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings = settings(generator, false);
        Schema::try_from(settings).unwrap_or_else(|_| json_schema!({ "type": "object" }))
    }
}

/// Those of one account, or of all.
fn settings(generator: &mut SchemaGenerator, one: bool) -> Value {
    let account = Account::json_schema(generator).to_value();
    let mut properties = account["properties"].as_object().cloned().unwrap_or_default();
    // A list says who it is; there is nothing to look up.
    properties.remove("appid");
    let (name, labels) = (properties.remove("name"), properties.remove("labels"));
    properties.values_mut().for_each(templates);
    properties.extend(own().as_object().cloned().unwrap_or_default());
    if !one {
        return json!({ "type": "object", "properties": properties, "additionalProperties": false });
    }
    let mut all = serde_json::Map::new();
    all.insert("name".into(), name.unwrap_or_default());
    all["name"]["description"] = "Name of the account, by which commands and templates know it; unique.".into();
    all.insert(
        "appid".into(),
        json!({
            "type": "string", "pattern": "^wx[0-9a-f]{16}$", "x-form": "`wx` and 16 lower-case hexadecimal digits",
            "description": "The AppID; unique.", "examples": ["wx0123456789abcdef"],
        }),
    );
    all.insert("labels".into(), labels.unwrap_or_default());
    all["labels"]["description"] =
        "Labels, for templates (`account.labels`) and for `qunfa fleet list --labels`.".into();
    all.extend(properties);
    json!({
        "type": "object", "properties": all, "required": ["name", "appid"], "additionalProperties": false,
        "description": "An account of a fleet. What it does not say is as in `defaults`.",
    })
}

/// A text of a form may be a template too.
fn templates(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(pattern)) = members.get_mut("pattern") {
                *pattern = format!(r"{pattern}|\{{\{{.*\}}\}}");
            }
            members.values_mut().for_each(templates);
        }
        Value::Array(items) => items.iter_mut().for_each(templates),
        _ => {}
    }
}
