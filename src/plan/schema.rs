//! JSON Schemas, generated from the types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{account::Account, model::Head};
use crate::locale::{Language, translation};

/// The committed schema of a plan.
pub const PLAN: &str = include_str!("../../schemas/plan.schema.json");

/// The committed schema of a fleet.
pub const FLEET: &str = include_str!("../../schemas/fleet.schema.json");

/// Generates the schema of a plan from the types.
pub fn generate_plan() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    // An account in a file of its own is checked against this definition.
    let account = Account::json_schema(&mut generator);
    generator.definitions_mut().insert("account".to_owned(), account.to_value());
    generate_read::<Head>("urn:qunfa:plan:1", generator)
}

/// The schema of a file that people write, from its type and what was generated before.
pub(crate) fn generate_read<T: JsonSchema>(id: &str, generator: SchemaGenerator) -> Value {
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    headed(id, schema)
}

/// The schema of a document that the program prints, from its type.
pub fn generate_printed<T: JsonSchema>(id: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    choices(&mut schema);
    headed(id, schema)
}

/// Takes every text of a schema that people read: what a key is for, the form of a value, what a choice means.
pub fn texts(schema: &mut Value, take: &mut impl FnMut(&mut String)) {
    match schema {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| match (name.as_str(), value) {
            ("description" | "x-form", Value::String(text)) => take(text),
            ("markdownEnumDescriptions", Value::Array(meanings)) => {
                for meaning in meanings {
                    if let Value::String(text) = meaning {
                        take(text);
                    }
                }
            }
            (_, value) => texts(value, take),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, take)),
        _ => {}
    }
}

/// A schema with its texts in a language.
pub fn in_words(mut schema: Value, language: Language) -> Value {
    texts(&mut schema, &mut |text| {
        if let Some(words) = translation(language, text) {
            words.clone_into(text);
        }
    });
    schema
}

/// What a schema is comes first in the file.
fn headed(id: &str, schema: Value) -> Value {
    let mut headed = Map::new();
    headed.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    headed.insert("$id".into(), id.into());
    headed.extend(
        schema.as_object().cloned().unwrap_or_default().into_iter().filter(|(key, _)| key != "$schema" && key != "$id"),
    );
    Value::Object(headed)
}

/// Words to choose from are an `enum`, whose error can name them; what each means goes with it for editors.
fn choices(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let words: Option<Vec<(Value, Value)>> = map.get("oneOf").and_then(Value::as_array).and_then(|choices| {
                choices
                    .iter()
                    .map(|choice| {
                        Some((choice.get("const")?.clone(), choice.get("description").cloned().unwrap_or_default()))
                    })
                    .collect()
            });
            if let Some(words) = words.filter(|words| !words.is_empty()) {
                map.remove("oneOf");
                map.insert("type".into(), "string".into());
                map.insert("enum".into(), words.iter().map(|(word, _)| word.clone()).collect());
                map.insert("markdownEnumDescriptions".into(), words.into_iter().map(|(_, meaning)| meaning).collect());
            }
            map.values_mut().for_each(choices);
        }
        Value::Array(items) => items.iter_mut().for_each(choices),
        _ => {}
    }
}

/// Optional keys of a plan are left out, never null; numbers carry no Rust formats.
fn tidy(schema: &mut Value) {
    choices(schema);
    strip_nulls(schema);
}

fn strip_nulls(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [one] = kinds.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            let alternatives = map.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_default();
            if let [only, null] = alternatives.as_slice()
                && *null == json!({ "type": "null" })
            {
                map.remove("anyOf");
                for (key, value) in only.as_object().cloned().unwrap_or_default() {
                    map.entry(key).or_insert(value);
                }
            }
            if map.get("default") == Some(&Value::Null) {
                map.remove("default");
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if map.get("format").is_some_and(|format| format.as_str().is_some_and(|format| format.starts_with("uint")))
            {
                map.remove("format");
            }
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}
