//! The JSON Schema of a plan: generated from the types, and the check of a plan against it.
//!
//! A step is one branch per action, chosen by `action` (`if`/`then`), so that no error speaks of another action.

use std::{borrow::Cow, sync::OnceLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use super::{
    model::{Account, Common, Head},
    yaml::{Document, escape},
};
use crate::{
    action,
    diag::{Code, Diagnostic, did_you_mean, one_of},
    limits,
};

/// The committed schema of a plan.
pub const PLAN: &str = include_str!("../../schemas/plan.schema.json");
/// The committed schema of a report.
pub const REPORT: &str = include_str!("../../schemas/report.schema.json");

/// The list of steps, for the schema.
#[derive(Debug)]
pub enum Steps {}

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
        for (spec, own) in action::schemas(generator) {
            let branch = branch(spec, &common, own);
            generator.definitions_mut().insert(spec.name.to_owned(), branch);
            branches.push(json!({
                "if": { "properties": { "action": { "const": spec.name } }, "required": ["action"] },
                "then": { "$ref": format!("#/$defs/{}", spec.name) },
            }));
        }
        let mut properties = common.as_value()["properties"].clone();
        properties["action"]["enum"] = action::SPECS.iter().map(|spec| spec.name).collect();
        let step = json!({
            "type": "object", "description": "One step of the campaign.",
            "properties": properties, "required": ["id", "action"], "allOf": branches,
        });
        generator.definitions_mut().insert("step".to_owned(), step);
        json_schema!({ "type": "array", "minItems": 1, "maxItems": limits::STEPS_MAX, "items": { "$ref": "#/$defs/step" } })
    }
}

/// The schema of a step with one action: what all share, and its own fields.
fn branch(spec: &action::Spec, common: &Schema, own: Schema) -> Value {
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

/// Generates the schema of a plan from the types.
pub fn generate_plan() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    // An account in a file of its own is checked against this definition.
    let account = Account::json_schema(&mut generator);
    generator.definitions_mut().insert("account".to_owned(), account.to_value());
    let mut schema = generator.into_root_schema_for::<Head>().to_value();
    tidy(&mut schema);
    headed("urn:qunfa:plan:1", schema)
}

/// Generates the schema of a report from the types.
pub fn generate_report() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<crate::report::Report>().to_value();
    choices(&mut schema);
    headed("urn:qunfa:report:1", schema)
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

struct Compiled {
    schema: Value,
    head: Validator,
    steps: Vec<(&'static str, Validator)>,
    account: Validator,
}

/// What part of a plan is checked.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The whole plan but its steps.
    Head,
    /// One step, by its action.
    Step(&'a str),
    /// An account in a file of its own.
    Account,
}

/// Compiled once a process; the steps apart, so that each is checked against its own branch only.
fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let schema: Value = serde_json::from_str(PLAN).expect("the committed schema is JSON, which a test checks");
        let build = |root: Value| {
            jsonschema::validator_for(&root).expect("the committed schema is a schema, which a test checks")
        };
        let of = |name: &str| {
            let mut root = Map::new();
            root.insert("$ref".into(), format!("#/$defs/{name}").into());
            root.insert("$defs".into(), schema["$defs"].clone());
            Value::Object(root)
        };
        let mut head = schema.clone();
        head["properties"]["steps"] = json!({ "type": "array", "minItems": 1, "maxItems": limits::STEPS_MAX });
        let steps = action::SPECS.iter().map(|spec| (spec.name, build(of(spec.name)))).collect();
        Compiled { head: build(head), steps, account: build(of("account")), schema }
    })
}

/// Checks a value, found at `pointer` of a document, against a part of the schema; gives the pointers of all errors.
pub fn check(
    document: &Document,
    pointer: &str,
    value: &Value,
    part: Part<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let compiled = compiled();
    let validator = match part {
        Part::Head => &compiled.head,
        Part::Account => &compiled.account,
        Part::Step(name) => match compiled.steps.iter().find(|(known, _)| *known == name) {
            Some((_, validator)) => validator,
            None => return Vec::new(),
        },
    };
    let mut wrong = Vec::new();
    for error in validator.iter_errors(value) {
        let at = format!("{pointer}{}", error.instance_path().as_str());
        let schema = compiled.parent(error.schema_path().as_str());
        explain(document, &at, error.instance(), error.kind(), schema, diagnostics);
        wrong.push(at);
    }
    wrong
}

impl Compiled {
    /// The schema that holds the keyword of a schema path.
    fn parent(&self, path: &str) -> &Value {
        let parent = &path[..path.rfind('/').unwrap_or(0)];
        self.schema.pointer(parent).unwrap_or(&Value::Null)
    }
}

fn explain(
    document: &Document,
    at: &str,
    instance: &Value,
    kind: &ValidationErrorKind,
    schema: &Value,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let name = at.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let here = |code, message: String| Diagnostic::new(code, document.span(at), message);
    let form = schema["x-form"].as_str();
    let diagnostic = match kind {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known: Vec<&str> = schema["properties"]
                .as_object()
                .map(|map| map.keys().map(String::as_str).collect())
                .unwrap_or_default();
            for key in unexpected {
                let place = document.key_span(&format!("{at}/{}", escape(key)));
                let diagnostic = Diagnostic::new(Code::UnknownKey, place, format!("unknown key `{key}`"));
                diagnostics.push(match did_you_mean(key, known.iter().copied()) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic.help(format!("allowed here: {}", one_of(&known))),
                });
            }
            return;
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let owner = if at.is_empty() {
                "the plan".to_owned()
            } else if at.starts_with("/steps/") && at.matches('/').count() == 2 {
                "the step".to_owned()
            } else {
                format!("`{name}`")
            };
            let what = schema["properties"][property]["description"].as_str().map(str::to_owned);
            let diagnostic = here(Code::MissingKey, format!("{owner} has no `{property}`"));
            let mut help = format!("add `{property}:`");
            if property == "key" {
                help = "add `key:` to name each row, for example `key: \"{{ row.city }}\"`".into();
            } else if property == "foreach" {
                help = "add `foreach:`, or remove `key`".into();
            } else if let Some(what) = what {
                help.push_str(&format!(": {}", what.trim_end_matches('.')));
            }
            diagnostic.help(help)
        }
        ValidationErrorKind::Type { .. } => {
            let wanted: Vec<&str> = match &schema["type"] {
                Value::String(one) => vec![one],
                Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            let words: Vec<&str> = wanted.iter().map(|kind| type_words(kind)).collect();
            let have = shown(instance);
            let diagnostic = here(Code::WrongType, format!("`{name}` is {}, and this is {have}", words.join(" or ")));
            match (form, wanted.as_slice(), instance) {
                (Some(form), ..) => diagnostic.help(format!("write {form}")),
                (None, kinds, Value::Number(_) | Value::Bool(_)) if kinds.contains(&"string") => {
                    diagnostic.help(format!("put it in quotes: \"{instance}\""))
                }
                (None, kinds, Value::Null) if kinds == ["object"] || kinds == ["array"] => {
                    diagnostic.help("give it a value, or remove the key")
                }
                (None, ["boolean"], Value::String(word)) if matches!(word.as_str(), "yes" | "no" | "on" | "off") => {
                    diagnostic.help("write `true` or `false`: other words are plain text in YAML 1.2")
                }
                _ => diagnostic,
            }
        }
        ValidationErrorKind::Enum { options } => not_allowed(
            here(Code::NotAllowed, String::new()),
            &name,
            instance,
            options.as_array().map(Vec::as_slice).unwrap_or_default(),
        ),
        ValidationErrorKind::Constant { expected_value } => {
            not_allowed(here(Code::NotAllowed, String::new()), &name, instance, std::slice::from_ref(&**expected_value))
        }
        ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => {
            let diagnostic = here(Code::BadFormat, format!("`{name}` cannot be {}", shown(instance)));
            diagnostic.help(format!("write {}", form.unwrap_or("it in the form that the schema asks for")))
        }
        ValidationErrorKind::Minimum { limit } => {
            here(Code::OutOfRange, format!("`{name}` is {instance}; the least is {limit}"))
        }
        ValidationErrorKind::Maximum { limit } => {
            here(Code::OutOfRange, format!("`{name}` is {instance}; the most is {limit}"))
        }
        ValidationErrorKind::MinLength { .. } => {
            let diagnostic = here(Code::OutOfRange, format!("`{name}` is empty"));
            diagnostic.help(form.map_or("give it a value".to_owned(), |form| format!("write {form}")))
        }
        ValidationErrorKind::MinItems { limit } => {
            here(Code::OutOfRange, format!("`{name}` has too few entries; at least {limit}"))
        }
        ValidationErrorKind::MaxItems { limit } => {
            here(Code::OutOfRange, format!("`{name}` has too many entries; at most {limit}"))
        }
        ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } => {
            let names: Vec<&String> =
                schema["properties"].as_object().map(|map| map.keys().collect()).unwrap_or_default();
            exactly_one(here(Code::ExactlyOne, String::new()), &name, instance, &names)
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            let names: Vec<String> = schema["x-exactly-one"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let owner = if name.parse::<usize>().is_ok() { "the step".into() } else { name };
            exactly_one(here(Code::ExactlyOne, String::new()), &owner, instance, &names)
        }
        other => here(Code::BadFormat, format!("`{name}` does not fit the schema (`{}`)", other.keyword())),
    };
    diagnostics.push(diagnostic);
}

fn not_allowed(diagnostic: Diagnostic, name: &str, instance: &Value, allowed: &[Value]) -> Diagnostic {
    let words: Vec<String> =
        allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    let near = instance.as_str().and_then(|wrong| did_you_mean(wrong, words.iter().map(String::as_str)));
    let diagnostic = Diagnostic { message: format!("`{name}` cannot be {}", shown(instance)), ..diagnostic };
    match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("write {}", one_of(&words))),
    }
}

fn exactly_one<S: AsRef<str>>(diagnostic: Diagnostic, owner: &str, instance: &Value, names: &[S]) -> Diagnostic {
    let given: Vec<&str> = names.iter().map(AsRef::as_ref).filter(|name| instance.get(*name).is_some()).collect();
    let owner = if owner == "the step" { owner.to_owned() } else { format!("`{owner}`") };
    let message = match given.as_slice() {
        [] => format!("{owner} needs one of {}", one_of(names)),
        given => format!(
            "{owner} has {} at once",
            given.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
        ),
    };
    Diagnostic { message, ..diagnostic }.help(format!("give exactly one of {}", one_of(names)))
}

fn type_words(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "empty",
    }
}

/// What stands there, in words; long text is cut.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.is_empty() => "empty text".into(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("the text `{}...`", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}
