//! The check of a plan against its schema: every error at once, each with its place and what to write instead.
//!
//! Our schema uses few keywords, and a plan must be checked within milliseconds: a general validator took most of the time
//! of a run of `validate` to compile. It is the oracle of the tests instead.

use std::{collections::HashMap, sync::OnceLock};

use regex_lite::Regex;
use serde_json::{Value, json};

use super::{
    hint,
    schema::{FLEET, PLAN},
    slips,
    yaml::{Document, escape},
};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics,
        source::{SourceMap, Span},
    },
    limits,
    locale::{Argument, Fixed, Phrase, list, say},
    text::{characters, did_you_mean, nearest, one_of},
};

/// What part of a plan is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// The whole plan but its steps.
    Head,
    /// One step, by its action.
    Step(&'a str),
    /// An account in a file of its own.
    Account,
    /// A whole fleet.
    Fleet,
    /// An account of a fleet that stands in a table.
    Entry,
}

/// The schema, parsed once a process.
struct Parsed {
    root: Value,
    /// The plan without its steps, which are checked one by one, each against the branch of its action.
    head: Value,
    patterns: HashMap<String, Regex>,
}

impl Parsed {
    fn of(text: &str) -> Self {
        let root: Value = serde_json::from_str(text).expect("the committed schema is JSON, which a test checks");
        let mut patterns = HashMap::new();
        collect_patterns(&root, &mut patterns);
        Parsed { head: root.clone(), root, patterns }
    }
}

fn parsed() -> &'static Parsed {
    static PARSED: OnceLock<Parsed> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut parsed = Parsed::of(PLAN);
        parsed.head["properties"]["steps"] = json!({ "type": "array", "minItems": 1, "maxItems": limits::STEPS_MAX });
        parsed
    })
}

/// The schema of a fleet.
fn of_fleet() -> &'static Parsed {
    static PARSED: OnceLock<Parsed> = OnceLock::new();
    PARSED.get_or_init(|| Parsed::of(FLEET))
}

/// The schema of a plan.
pub(super) fn schema() -> &'static Value {
    &parsed().root
}

/// The schema that a reference leads to; any other is itself.
pub(super) fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str().and_then(|reference| parsed().root.pointer(reference.trim_start_matches('#'))) {
        Some(target) => resolved(target),
        None => schema,
    }
}

fn collect_patterns(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(pattern)) = map.get("pattern")
                && !patterns.contains_key(pattern)
            {
                let regex = Regex::new(pattern).expect("the patterns of the schema are valid, which a test checks");
                patterns.insert(pattern.clone(), regex);
            }
            map.values().for_each(|value| collect_patterns(value, patterns));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_patterns(value, patterns)),
        _ => {}
    }
}

/// Checks a value, found at `pointer` of a document, against a part of the schema; gives the pointers of all errors.
pub(crate) fn check(
    document: &Document,
    sources: &SourceMap,
    pointer: &str,
    value: &Value,
    part: Part<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut wrong = errors(value, part);
    let misspelt: Vec<(String, &str)> = wrong.iter().take(limits::DIAGNOSTICS_KEPT).filter_map(misspelt).collect();
    // A misspelt key is missing too; that is said once.
    wrong.retain(|wrong| match wrong.keyword {
        Keyword::Required(key) => !misspelt.contains(&(wrong.at.clone(), key)),
        Keyword::ExactlyOne => !misspelt.iter().any(|(at, _)| *at == wrong.at),
        _ => true,
    });
    let mut pointers = Vec::new();
    let action = if let Part::Step(name) = part { name } else { "" };
    for mut wrong in wrong {
        wrong.at = format!("{pointer}{}", wrong.at);
        if !diagnostics.is_full() {
            diagnostics.push(explain(document, sources, &wrong, action));
        }
        pointers.push(wrong.at);
    }
    pointers
}

/// An error: where, what stands there, which keyword of which schema it breaks.
struct Wrong<'v> {
    at: String,
    instance: &'v Value,
    keyword: Keyword<'v>,
    schema: &'static Value,
}

/// The key that an unknown one was probably meant to be.
fn misspelt(wrong: &Wrong<'_>) -> Option<(String, &'static str)> {
    let Keyword::AdditionalProperties(key) = wrong.keyword else { return None };
    let known: Vec<&'static str> = wrong.schema["properties"].as_object()?.keys().map(String::as_str).collect();
    let meant = slips::meant_key(key, &known).map(|(name, _)| name);
    meant.or_else(|| did_you_mean(key, known)).map(|near| (wrong.at.clone(), near))
}

/// The keywords of our schema; the generator makes no others, which a test checks.
enum Keyword<'v> {
    AdditionalProperties(&'v str),
    Required(&'static str),
    Type,
    Enum,
    Const,
    Pattern,
    Minimum,
    Maximum,
    MinLength,
    MinItems,
    MaxItems,
    /// `minProperties`, `maxProperties`, `oneOf`.
    ExactlyOne,
}

fn errors<'v>(value: &'v Value, part: Part<'_>) -> Vec<Wrong<'v>> {
    let parsed = if matches!(part, Part::Fleet | Part::Entry) { of_fleet() } else { parsed() };
    let schema = match part {
        Part::Head | Part::Fleet => &parsed.head,
        Part::Account => &parsed.root["$defs"]["account"],
        Part::Entry => &parsed.root["$defs"]["entry"],
        Part::Step(name) => &parsed.root["$defs"][name],
    };
    let mut wrong = Vec::new();
    walk(parsed, schema, value, &mut String::new(), &mut wrong);
    wrong
}

fn walk<'v>(
    parsed: &'static Parsed,
    schema: &'static Value,
    value: &'v Value,
    at: &mut String,
    wrong: &mut Vec<Wrong<'v>>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = parsed.root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        walk(parsed, target, value, at, wrong);
    }
    if !has_type(&schema["type"], value) {
        // What is of another type breaks nothing else.
        wrong.push(Wrong { at: at.clone(), instance: value, keyword: Keyword::Type, schema });
        return;
    }
    let found = broken(parsed, schema, value);
    wrong.extend(found.into_iter().map(|keyword| Wrong { at: at.clone(), instance: value, keyword, schema }));
    let length = at.len();
    match value {
        Value::Array(items) if schema["items"].is_object() => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                walk(parsed, &schema["items"], item, at, wrong);
                at.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let Some(inner) = schema["properties"].get(key) else { continue };
                at.push('/');
                at.push_str(&escape(key));
                walk(parsed, inner, member, at, wrong);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// The keywords of a schema that a value of the right type breaks by itself, whatever its members are.
fn broken<'v>(parsed: &'static Parsed, schema: &'static Value, value: &'v Value) -> Vec<Keyword<'v>> {
    let mut found = Vec::new();
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        found.push(Keyword::Enum);
    }
    if schema.get("const").is_some_and(|word| !same(word, value)) {
        found.push(Keyword::Const);
    }
    match value {
        Value::String(text) => {
            if schema["minLength"].as_u64().is_some_and(|least| (text.chars().count() as u64) < least) {
                found.push(Keyword::MinLength);
            } else if schema["pattern"]
                .as_str()
                .and_then(|pattern| parsed.patterns.get(pattern))
                .is_some_and(|pattern| !pattern.is_match(text))
            {
                found.push(Keyword::Pattern);
            }
        }
        Value::Number(_) => {
            if below(value, &schema["minimum"]) {
                found.push(Keyword::Minimum);
            }
            if below(&schema["maximum"], value) {
                found.push(Keyword::Maximum);
            }
        }
        Value::Array(items) => {
            let count = items.len() as u64;
            if schema["minItems"].as_u64().is_some_and(|least| count < least) {
                found.push(Keyword::MinItems);
            }
            if schema["maxItems"].as_u64().is_some_and(|most| count > most) {
                found.push(Keyword::MaxItems);
            }
        }
        Value::Object(members) => {
            let count = members.len() as u64;
            let bounds = (schema["minProperties"].as_u64(), schema["maxProperties"].as_u64());
            let one_of = schema["oneOf"].as_array().map(|choices| {
                choices.iter().filter(|choice| required(choice).all(|key| members.contains_key(key))).count()
            });
            if bounds.0.is_some_and(|least| count < least)
                || bounds.1.is_some_and(|most| count > most)
                || one_of.is_some_and(|met| met != 1)
            {
                found.push(Keyword::ExactlyOne);
            }
            found.extend(required(schema).filter(|key| !members.contains_key(*key)).map(Keyword::Required));
            for (key, needs) in schema["dependentRequired"].as_object().into_iter().flatten() {
                let needs = needs.as_array().into_iter().flatten().filter_map(Value::as_str);
                found.extend(
                    needs
                        .filter(|need| members.contains_key(key) && !members.contains_key(*need))
                        .map(Keyword::Required),
                );
            }
            if schema["additionalProperties"] == false {
                let known = &schema["properties"];
                found.extend(
                    members
                        .keys()
                        .filter(|key| known.get(key.as_str()).is_none())
                        .map(|key| Keyword::AdditionalProperties(key)),
                );
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    found
}

fn required(schema: &'static Value) -> impl Iterator<Item = &'static str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn has_type(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        // A general validator takes 2.0 as well; whoever reads the typed plan does not.
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    match kinds {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// Numbers are the same whatever their form: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64())
}

fn below(a: &Value, b: &Value) -> bool {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a < b),
    }
}

fn is_step(at: &str) -> bool {
    at.starts_with("/steps/") && at.matches('/').count() == 2
}

/// Whether a text is more likely an AppSecret (32 hexadecimal digits) or a token (a hundred characters and more) than a name.
pub(super) fn is_secret_like(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits || (text.len() >= 100 && text.bytes().all(of_token))
}

fn is_private(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["secret", "token", "password", "aes"].iter().any(|word| lower.contains(word))
}

/// A key, without the value that stands in it behind a full-width colon and may be a secret.
fn shown_key(key: &str) -> &str {
    let name = key.split([':', '：']).next().unwrap_or(key);
    if is_private(name) { name } else { key }
}

/// What stands in place of a secret, or of the word that says which token, may be the secret itself. An AppID is no secret.
fn may_be_secret(at: &str, instance: &Value) -> bool {
    let at = at.to_ascii_lowercase();
    let words = ["/secret", "/access_token", "/token", "/ticket", "/refresh_token", "aes_key", "/previous_token"];
    let proxy = at.contains("/proxy") && instance.as_str().is_some_and(|url| url.contains('@'));
    let place =
        words.iter().any(|of| at.contains(of)) || at.ends_with("/component") || at.ends_with("/callback") || proxy;
    let appid = at.contains("/appid") && instance.as_str().is_some_and(is_secret_like);
    let notice = at.starts_with("/notify/") && !at.ends_with("/name") && !at.ends_with("/on") && !at.contains("/on/");
    appid || ((place || notice) && (instance.is_string() || instance.is_number()))
}

/// What a text in the wrong place holds that nobody sees, or that only looks like YAML: the finding says so at its own place.
fn hidden(document: &Document, sources: &SourceMap, wrong: &Wrong<'_>) -> Option<Diagnostic> {
    let (pointer, range, c, name) = match &wrong.keyword {
        Keyword::AdditionalProperties(key) if let Some((name, _)) = key.split_once('：') => {
            let place = document.key_span(&format!("{}/{}", wrong.at, escape(key)));
            let at = sources.file(place.file).text[place.start..place.end].find('：')? + place.start;
            let place = Span::new(place.file, at..at + '：'.len_utf8());
            let message = say!("unknown key `{key}`: there is a full-width colon (`：`) after it", key = name);
            return Some(Diagnostic::new(Code::UnknownKey, place, message));
        }
        Keyword::AdditionalProperties(key) => {
            let (at, c, name) = characters::hidden(key)?;
            let place = document.key_span(&format!("{}/{}", wrong.at, escape(key)));
            let text = &sources.file(place.file).text;
            let raw =
                text.get(place.start..place.end).filter(|raw| raw.get(at..).is_some_and(|rest| rest.starts_with(c)));
            let start = raw.map_or(place.start, |_| place.start + at);
            let end = raw.map_or(place.end, |_| start + c.len_utf8());
            let key = characters::half_width(key);
            let message = say!(
                "unknown key: there is a {name} ({code}) in `{key}`",
                name,
                code = characters::code_of(c),
                key = key.trim()
            );
            return Some(
                Diagnostic::new(Code::UnknownKey, Span::new(place.file, start..end), message).help(say!("delete it")),
            );
        }
        Keyword::Enum | Keyword::Const | Keyword::Pattern | Keyword::Type => {
            let (at, c, name) = characters::hidden(wrong.instance.as_str()?)?;
            (&wrong.at, at..at + c.len_utf8(), c, name)
        }
        _ => return None,
    };
    // Blanks inside are part of a text of several words.
    let text = wrong.instance.as_str()?;
    let at_end = range.start == 0 || range.end == text.len() || characters::invisible(c).is_some();
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let message = say!(
        "invalid `{name}`: there is a {character} ({code})",
        name = key,
        character = name,
        code = characters::code_of(c)
    );
    let code = if matches!(wrong.keyword, Keyword::Pattern) { Code::BadFormat } else { Code::NotAllowed };
    at_end.then(|| Diagnostic::new(code, document.span_in(sources, pointer, range), message).help(say!("delete it")))
}

/// A mapping that is a text, because its colons are none: `kind：service`, `kind:service`.
fn colon(document: &Document, sources: &SourceMap, wrong: &Wrong<'_>) -> Option<Diagnostic> {
    let keys = wrong.schema["properties"].as_object()?;
    wrong.instance.as_str()?;
    let place = document.span(&wrong.at);
    let raw = sources.file(place.file).text.get(place.start..place.end)?;
    let line = raw.lines().next()?;
    let at = line.find([':', '：'])?;
    let name = characters::half_width(&line[..at]);
    if !keys.contains_key(name.trim()) {
        return None;
    }
    let (c, value) = (line[at..].chars().next()?, line[at..].trim_start_matches([':', '：']).trim());
    let start = place.start + at;
    let message =
        if c == ':' { say!("a space is missing after the colon") } else { say!("there is a full-width colon (`：`)") };
    let message = say!("invalid YAML: {why}", why = message);
    let secret = ["secret", "token"].iter().any(|word| line.to_ascii_lowercase().contains(word));
    let help = if secret {
        say!("write a space after `:`")
    } else {
        say!("write `{line}`", line = format!("{}: {value}", name.trim()))
    };
    Some(Diagnostic::new(Code::YamlSyntax, Span::new(place.file, start..start + c.len_utf8()), message).help(help))
}

fn explain(document: &Document, sources: &SourceMap, wrong: &Wrong<'_>, action: &str) -> Diagnostic {
    let found = hidden(document, sources, wrong);
    if let Some(found) = found.as_ref().filter(|found| !found.help.is_empty()) {
        return found.clone();
    }
    if let Some(found) = colon(document, sources, wrong).filter(|_| matches!(wrong.keyword, Keyword::Type)) {
        return found;
    }
    let Wrong { at, instance, keyword, schema } = wrong;
    let schema: &'static Value = schema;
    let secret = may_be_secret(at, instance);
    let written = document.written(sources, at).filter(|_| !secret);
    let diagnostic = found.unwrap_or_else(|| plainly(document, wrong, written));
    let mut parts = at.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let key = if last.parse::<usize>().is_ok() { None } else { Some(last) };
    let meant = match keyword {
        Keyword::AdditionalProperties(key) => {
            let known: Vec<&str> =
                schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            // What is wrong in an account may be its secret.
            let account = at.ends_with("/account") || schema["properties"].get("appid").is_some() || is_private(key);
            let value = instance.get(*key).filter(|_| !account).unwrap_or(&Value::Null);
            let place = document.key_span(&format!("{at}/{}", escape(key)));
            let cut = hint::cut_number(&sources.file(place.file).text, place.start, key);
            cut.or_else(|| hint::key(shown_key(key), value, &known, action))
        }
        Keyword::Required(_) | Keyword::ExactlyOne => None,
        _ if secret => None,
        _ => hint::correct(&hint::Wrong { key, value: instance, written, schema, action }),
    };
    match meant {
        Some(meant) => Diagnostic { help: vec![meant], ..diagnostic },
        None if diagnostic.help.is_empty() && matches!(keyword, Keyword::AdditionalProperties(_)) => {
            diagnostic.help(say!("write a space after `:`"))
        }
        None => diagnostic,
    }
}

/// What is wrong, and the form that is wanted.
fn plainly(document: &Document, wrong: &Wrong<'_>, written: Option<&str>) -> Diagnostic {
    let Wrong { at, instance, keyword, schema } = wrong;
    let schema: &'static Value = schema;
    let mut parts = at.rsplit('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let last = parts.next().unwrap_or_default();
    // An entry of a list has no name of its own.
    let name = match last.parse::<usize>() {
        Ok(index) if !is_step(at) => format!("{}[{index}]", parts.next().unwrap_or_default()),
        _ => last,
    };
    let here = |code, message: Phrase| Diagnostic::new(code, document.span(at), message);
    let form = schema["x-form"].as_str();
    let hidden = Value::String("***".into());
    let instance = if may_be_secret(at, instance) { &hidden } else { *instance };
    let number = || written.map_or_else(|| instance.to_string(), str::to_owned);
    let limit = |keyword: &str| schema[keyword].to_string();
    match keyword {
        Keyword::AdditionalProperties(key) => {
            let known: Vec<&str> = schema["properties"]
                .as_object()
                .map(|map| map.keys().map(String::as_str).collect())
                .unwrap_or_default();
            let place = document.key_span(&format!("{at}/{}", escape(key)));
            let help = nearest(key, known.iter().copied());
            let help = help.unwrap_or_else(|| say!("allowed here: {keys}", keys = one_of(&known)));
            Diagnostic::new(Code::UnknownKey, place, say!("unknown key `{key}`", key = shown_key(key))).help(help)
        }
        Keyword::Required(key) => missing(here(Code::MissingKey, no_key(at, &name, key, schema)), key, schema),
        Keyword::Type => wrong_type(here(Code::WrongType, Phrase::default()), &name, instance, written, schema),
        Keyword::Enum => {
            let words = schema["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
            not_allowed(here(Code::NotAllowed, invalid(name, instance, written)), instance, words)
        }
        Keyword::Const => {
            let only = std::slice::from_ref(&schema["const"]);
            not_allowed(here(Code::NotAllowed, invalid(name, instance, written)), instance, only)
        }
        Keyword::Pattern => {
            let diagnostic = here(Code::BadFormat, invalid(name, instance, written));
            diagnostic.help(form.map_or_else(|| say!("write the required format"), |form| write(Fixed(form))))
        }
        Keyword::Minimum => {
            let (value, limit) = (number(), limit("minimum"));
            here(Code::OutOfRange, say!("`{name}` is {value}; the minimum is {limit}", name, value, limit))
        }
        Keyword::Maximum => {
            let (value, limit) = (number(), limit("maximum"));
            here(Code::OutOfRange, say!("`{name}` is {value}; the maximum is {limit}", name, value, limit))
        }
        Keyword::MinLength if instance.as_str() == Some("") => {
            let help = form.map_or_else(|| say!("write some text, or remove the key"), |form| write(Fixed(form)));
            here(Code::OutOfRange, say!("`{name}` is empty", name)).help(help)
        }
        Keyword::MinLength => {
            let help = form.map_or_else(|| say!("write more"), |form| write(Fixed(form)));
            here(Code::OutOfRange, say!("`{name}` is too short", name)).help(help)
        }
        Keyword::MinItems => {
            let limit = limit("minItems");
            here(Code::OutOfRange, say!("`{name}` has too few entries; the minimum is {limit}", name, limit))
        }
        Keyword::MaxItems => {
            let limit = limit("maxItems");
            here(Code::OutOfRange, say!("`{name}` has too many entries; the maximum is {limit}", name, limit))
        }
        Keyword::ExactlyOne => {
            let choices =
                schema["x-exactly-one"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
            let keys = || schema["properties"].as_object().map(|map| map.keys().map(String::as_str).collect());
            let names: Vec<&str> = choices.or_else(keys).unwrap_or_default();
            let owner = (!is_step(at)).then_some(name);
            here(Code::ExactlyOne, not_one(owner, instance, &names))
                .help(say!("use exactly one of {names}", names = one_of(&names)))
        }
    }
}

/// "Write what it can be."
pub(super) fn write(what: impl Into<Argument>) -> Phrase {
    say!("write {what}", what = what.into())
}

fn invalid(name: String, instance: &Value, written: Option<&str>) -> Phrase {
    say!("invalid `{name}`: {value}", name, value = shown(instance, written))
}

fn no_key(at: &str, name: &str, key: &str, schema: &Value) -> Phrase {
    if at.is_empty() && schema["title"] == "qunfa fleet" {
        say!("the fleet has no `{key}`", key)
    } else if at.is_empty() && schema["properties"].get("appid").is_some() {
        say!("the account has no `{key}`", key)
    } else if at.is_empty() {
        say!("the plan has no `{key}`", key)
    } else if is_step(at) {
        say!("the step has no `{key}`", key)
    } else {
        say!("`{name}` has no `{key}`", name, key)
    }
}

fn missing(diagnostic: Diagnostic, key: &str, schema: &'static Value) -> Diagnostic {
    diagnostic.help(match (key, schema["properties"][key]["description"].as_str()) {
        ("key", _) => say!("add `key:` to name each row, for example `key: \"{{{{ row.city }}}}\"`"),
        ("foreach", _) => say!("add `foreach:`, or remove `key`"),
        (_, Some(what)) => say!("add `{key}:`: {what}", key, what = Fixed(what)),
        (_, None) => say!("add `{key}:`", key),
    })
}

fn wrong_type(
    diagnostic: Diagnostic,
    name: &str,
    instance: &Value,
    written: Option<&str>,
    schema: &'static Value,
) -> Diagnostic {
    let wanted: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kinds = match wanted.as_slice() {
        [most @ .., last] if !most.is_empty() => {
            say!(
                "either {most} or {last}",
                most = list(most.iter().map(|kind| type_words(kind))),
                last = type_words(last)
            )
        }
        wanted => type_words(wanted.first().copied().unwrap_or_default()),
    };
    let message = say!("`{name}` must be {kinds}, not {value}", name, kinds, value = shown(instance, written));
    let diagnostic = Diagnostic { message, ..diagnostic };
    match (schema["x-form"].as_str(), wanted.as_slice(), instance) {
        (Some(form), ..) => diagnostic.help(write(Fixed(form))),
        (None, kinds, Value::Number(_) | Value::Bool(_)) if kinds.contains(&"string") => diagnostic.help(say!(
            "put it in quotes: \"{value}\"",
            value = written.map_or_else(|| instance.to_string(), str::to_owned)
        )),
        (None, kinds, Value::Null) if kinds == ["object"] || kinds == ["array"] => {
            diagnostic.help(say!("give it a value, or remove the key"))
        }
        (None, ["boolean"], Value::String(word)) if matches!(word.as_str(), "yes" | "no" | "on" | "off") => {
            diagnostic.help(say!("write `true` or `false`: other words are plain text in YAML 1.2"))
        }
        (None, ["integer"], Value::Number(_)) => diagnostic.help(say!("write it without a decimal point")),
        _ => diagnostic,
    }
}

fn not_allowed(diagnostic: Diagnostic, instance: &Value, allowed: &[Value]) -> Diagnostic {
    let words: Vec<String> =
        allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    let near = instance.as_str().and_then(|wrong| nearest(wrong, words.iter().map(String::as_str)));
    diagnostic.help(near.unwrap_or_else(|| write(one_of(&words))))
}

/// None or several of some keys, in the step or in the value of a name.
fn not_one(owner: Option<String>, instance: &Value, names: &[&str]) -> Phrase {
    let given: Vec<String> =
        names.iter().filter(|name| instance.get(**name).is_some()).map(|name| format!("`{name}`")).collect();
    match (owner, given.is_empty()) {
        (None, true) => say!("the step needs one of {names}", names = one_of(names)),
        (Some(owner), true) => say!("`{owner}` needs one of {names}", owner, names = one_of(names)),
        (None, false) => say!("the step has {given} at the same time", given = list(given)),
        (Some(owner), false) => say!("`{owner}` has {given} at the same time", owner, given = list(given)),
    }
}

fn type_words(kind: &str) -> Phrase {
    match kind {
        "string" => say!("text"),
        "integer" => say!("a whole number"),
        "number" => say!("a number"),
        "boolean" => say!("`true` or `false`"),
        "array" => say!("a list"),
        "object" => say!("a mapping"),
        _ => say!("empty"),
    }
}

/// What stands there, in words; long text is cut.
fn shown(value: &Value, written: Option<&str>) -> Phrase {
    match value {
        Value::Null => say!("empty"),
        Value::Bool(value) => {
            say!("the value `{value}`", value = written.map_or_else(|| value.to_string(), str::to_owned))
        }
        Value::Number(number) => {
            say!("the number {number}", number = written.map_or_else(|| number.to_string(), str::to_owned))
        }
        Value::String(text) if text.is_empty() => say!("empty text"),
        Value::String(text) if text.chars().count() > 40 => {
            say!("the text `{text}...`", text = text.chars().take(40).collect::<String>())
        }
        Value::String(text) => say!("the text `{text}`", text),
        Value::Array(_) => say!("a list"),
        Value::Object(_) => say!("a mapping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keywords that say nothing about validity, or that [`walk`] knows.
    const KNOWN: &[&str] = &[
        "$schema",
        "$id",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "examples",
        "markdownEnumDescriptions",
        "format",
        "x-form",
        "x-exactly-one",
        "type",
        "enum",
        "const",
        "pattern",
        "minLength",
        "minimum",
        "maximum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "maxProperties",
        "oneOf",
        "dependentRequired",
    ];

    fn keywords(schema: &Value, at: &str) {
        let Some(map) = schema.as_object() else { return };
        for (keyword, inner) in map {
            // The list of branches, which `check` chooses from by itself.
            let branches = at == "/$defs/step" && keyword == "allOf";
            assert!(
                branches || KNOWN.contains(&keyword.as_str()),
                "the check of plans does not know `{keyword}` at {at}"
            );
            match keyword.as_str() {
                "$defs" | "properties" => {
                    for (name, schema) in inner.as_object().expect("a mapping") {
                        keywords(schema, &format!("{at}/{keyword}/{name}"));
                    }
                }
                "items" => keywords(inner, &format!("{at}/items")),
                "additionalProperties" => assert!(inner.is_boolean(), "{at}"),
                "oneOf" => {
                    let choices = inner.as_array().expect("a list");
                    assert!(
                        choices.iter().all(|choice| choice.as_object().is_some_and(|map| map.keys().eq(["required"]))),
                        "{at}"
                    );
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_schema_uses_no_keyword_that_is_not_checked() {
        keywords(&parsed().root, "");
        keywords(&of_fleet().root, "");
    }

    /// A general validator says the same of every value: valid or not, and at which places.
    fn agree(sample: &Value, part: Part<'_>) {
        let mut root = match part {
            Part::Head => parsed().head.clone(),
            Part::Account => json!({ "$ref": "#/$defs/account" }),
            Part::Step(name) => json!({ "$ref": format!("#/$defs/{name}") }),
            Part::Fleet => of_fleet().head.clone(),
            Part::Entry => json!({ "$ref": "#/$defs/entry" }),
        };
        let of = if matches!(part, Part::Fleet | Part::Entry) { of_fleet() } else { parsed() };
        root["$defs"] = of.root["$defs"].clone();
        let oracle = jsonschema::validator_for(&root).expect("a schema");
        assert!(errors(sample, part).is_empty(), "{sample}");
        for value in mutants(sample) {
            let theirs = oracle.iter_errors(&value).map(|error| error.instance_path().as_str().to_owned());
            let theirs: std::collections::BTreeSet<String> = theirs.collect();
            let ours: std::collections::BTreeSet<String> =
                errors(&value, part).into_iter().map(|wrong| wrong.at).collect();
            assert_eq!(ours, theirs, "{value}");
        }
    }

    fn sample(action: &str) -> Value {
        let message = json!({ "text": "你好" });
        match action {
            "send_by_tag" => {
                json!({ "id": "a", "action": action, "to": { "tag_id": 2 }, "message": message, "send_ignore_reprint": true })
            }
            "send_by_openid" => {
                json!({ "id": "a", "action": action, "to": { "file": "a.csv", "column": "openid", "exclude": ["b.txt"] }, "message": message })
            }
            "preview" => {
                json!({ "id": "a", "action": action, "to": { "wxname": "x" }, "message": { "image": { "media_ids": ["m"], "title": "t" } } })
            }
            "delete" => json!({ "id": "a", "action": action, "of": "b", "article_idx": 1 }),
            "check" => {
                json!({ "id": "a", "action": action, "of": "b", "until": "SEND_SUCCESS", "every": "30s", "timeout": "30m" })
            }
            "publish" => {
                json!({ "id": "a", "action": action, "media_id": "{{ steps.b.media_id }}", "every": "10s", "timeout": "30m" })
            }
            "unpublish" => json!({ "id": "a", "action": action, "of": "b", "article": "all" }),
            "upload_image" => json!({ "id": "a", "action": action, "file": "a.png" }),
            "upload_material" => {
                json!({ "id": "a", "action": action, "type": "video", "file": "a.mp4", "title": "t", "introduction": "i" })
            }
            "create_draft" => {
                let news = json!({ "file": "a.md", "title": "t", "author": "a", "digest": "d", "cover": "c.png", "theme": "jade", "source_url": "https://example.com", "need_open_comment": true, "only_fans_can_comment": false, "pic_crop_235_1": "0_0_1_1", "pic_crop_1_1": "0_0_1_1" });
                json!({ "id": "a", "action": action, "articles": [news, { "type": "newspic", "content": "c", "title": "t", "images": ["a.png"] }] })
            }
            "use_draft" => json!({ "id": "a", "action": action, "title": "t", "digest": "sha256-0" }),
            _ => {
                json!({ "id": "a", "action": action, "speed": 1, "foreach": [{ "n": 1 }], "key": "{{ row.n }}", "retry": { "attempts": 2, "backoff": "1s" }, "when": "vars.x" })
            }
        }
    }

    /// The value with something put at each of its places, one at a time.
    fn mutants(value: &Value) -> Vec<Value> {
        let odd = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(99),
            json!(""),
            json!("x"),
            json!("{{ x }}"),
            json!("30s"),
            json!("all"),
            json!([]),
            json!([1]),
            json!({}),
            json!({ "x": 1 }),
        ];
        let mut all: Vec<Value> = odd.to_vec();
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    let with = |inner: Option<Value>| {
                        let mut members = members.clone();
                        match inner {
                            Some(inner) => members.insert(key.clone(), inner),
                            None => members.remove(key),
                        };
                        Value::Object(members)
                    };
                    all.push(with(None));
                    all.extend(mutants(member).into_iter().map(|inner| with(Some(inner))));
                }
                let mut more = members.clone();
                more.insert("surplus".into(), json!(1));
                all.push(Value::Object(more));
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    all.extend(mutants(item).into_iter().map(|inner| {
                        let mut items = items.clone();
                        items[index] = inner;
                        Value::Array(items)
                    }));
                }
            }
            _ => {}
        }
        all
    }

    #[test]
    fn a_general_validator_agrees() {
        for spec in crate::plan::action::ACTIONS {
            agree(&sample(spec.name), Part::Step(spec.name));
        }
        let account =
            json!({ "kind": "service", "appid": "wx0123456789abcdef", "secret": { "env": "X" }, "token": "classic" });
        agree(&account, Part::Account);
        let head = json!({
            "version": 1, "name": "a", "account": account, "occurrence": "once", "vars": { "a": 1 }, "env": ["A"], "steps": [{}],
            "defaults": { "retry": { "attempts": 1 }, "timeout": "30s", "pace": { "per_minute": 60 } },
            "guards": { "max_recipients": 1, "send_window": "09:00-21:00", "not_before": "2026-03-01T09:00:00+08:00", "require_preview": true },
        });
        agree(&head, Part::Head);
        let one = json!({ "name": "a", "appid": "wx0123456789abcdef", "labels": ["b"], "kind": "service", "vars": { "c": 1 }, "vars_file": "d" });
        agree(&one, Part::Entry);
        let fleet = json!({
            "version": 1, "plan": "plan.yaml", "accounts": [one], "waves": [{ "accounts": ["a"] }, "10%", 3], "stop": { "max_failed": "5%" },
            "defaults": { "kind": "service", "secret": { "env": "X_{{ account.name }}" }, "links": "keep" },
        });
        agree(&fleet, Part::Fleet);
    }
}
