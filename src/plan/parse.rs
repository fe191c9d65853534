//! YAML to typed plan, through the schema.

use serde_json::{Map, Value, json};

use super::{
    account::{Account, AppId, check_credential},
    action::ACTIONS,
    check::{Part, check, is_secret_like, write},
    model::{Common, Head, Step},
    slips,
    yaml::{self, Document},
};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics, hidden,
        source::{FileId, SourceMap, Span},
    },
    limits,
    locale::say,
    text::{characters, nearest, one_of},
};

/// A plan whose form is right.
#[derive(Debug)]
pub struct ParsedPlan {
    /// Its text and places.
    pub document: Document,
    /// All but the steps.
    pub head: Head,
    /// The steps whose form is right.
    pub steps: Vec<Step>,
    /// Id and position of every step that has one, right or wrong.
    pub(super) ids: Vec<(String, usize)>,
    pub(super) diagnostics: Diagnostics,
}

/// Reads a plan; an error if nothing can be made of it.
pub fn parse(file: FileId, sources: &mut SourceMap) -> Result<ParsedPlan, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    match read(file, sources, &mut diagnostics) {
        Some((document, head, steps, ids)) => Ok(ParsedPlan { document, head, steps, ids, diagnostics }),
        None => Err(diagnostics),
    }
}

type Parts = (Document, Head, Vec<Step>, Vec<(String, usize)>);

fn read(file: FileId, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Option<Parts> {
    let document = document(file, sources, diagnostics)?;
    let plan = document.value.as_object()?;
    let has = |key: &str| plan.contains_key(key);
    if has("appid") && has("kind") && !has("steps") {
        mask_account(&document, "", &[], sources);
        let message = say!("this is an account file, not a plan");
        let help = say!(
            "name it in a plan: `account: {path}`",
            path = sources.file(file).path.rsplit('/').next().unwrap_or_default()
        );
        diagnostics.push(Diagnostic::new(Code::MissingKey, document.key_span("/appid"), message).help(help));
        return None;
    }
    if has("plan") && has("accounts") && !has("steps") {
        let message = say!("this is a fleet file, not a plan");
        let help = say!("check it with `qunfa fleet check`, or name it with --fleet");
        diagnostics.push(Diagnostic::new(Code::MissingKey, document.key_span("/accounts"), message).help(help));
        return None;
    }
    hidden::look(file, hidden::Text::Data, sources, diagnostics);
    diagnostics.extend(document.cut_short(sources, "", false));
    let account = plan.get("account").cloned().unwrap_or_default();
    let literal = literal_secrets(&document, "/account", &account, diagnostics);
    let mut wrong = check(&document, sources, "", &document.value, Part::Head, diagnostics);
    say_once(&document, &literal, diagnostics);
    let of_notices = literal_notices(&document, diagnostics);
    wrong
        .iter()
        .filter(|at| at.starts_with("/notify/"))
        .chain(&of_notices)
        .for_each(|at| sources.mask(&document.span(at)));
    wrong.extend(of_notices);
    if let Some(wrong) = account.as_str().and_then(|text| no_path(&document, sources, text)) {
        diagnostics.push(wrong);
        return None;
    }
    let (steps, ids) = steps(&document, sources, plan, diagnostics);
    // What values there are cannot be told any more: looking further would only find what is not wrong.
    if wrong.iter().any(|pointer| ["/vars", "/env"].iter().any(|of| pointer.starts_with(of))) {
        return None;
    }
    wrong.extend(literal);
    mask_account(&document, "/account", &wrong, sources);
    check_credential(&document, "/account", !wrong.iter().any(|at| at.starts_with("/account")), diagnostics);
    let head = head(&document, plan, &wrong, diagnostics)?;
    Some((document, head, steps, ids))
}

/// The mapping that a plan is, whatever stands in it. From here on no output shows a literal secret of it.
pub(super) fn document(file: FileId, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Option<Document> {
    mask_secrets(file, sources);
    let text = &sources.file(file).text;
    let only_comments =
        text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---");
    if only_comments {
        let empty = Diagnostic::new(Code::EmptyPlan, Span::new(file, 0..0), say!("the plan is empty"));
        diagnostics.push(empty.help(say!("run `qunfa schema plan` for the format of a plan")));
        return None;
    }
    let document = yaml::parse(file, sources, diagnostics)?;
    if !document.value.is_object() {
        let diagnostic = Diagnostic::new(Code::WrongType, document.span(""), say!("a plan must be a mapping"));
        diagnostics.push(diagnostic.help(say!("start with `version: 1`, `name:`, `account:` and `steps:`")));
        return None;
    }
    Some(document)
}

/// The typed head; parts that are wrong (and said so) are replaced by their defaults, so that the rest is looked at.
fn head(
    document: &Document,
    plan: &Map<String, Value>,
    wrong: &[String],
    diagnostics: &mut Diagnostics,
) -> Option<Head> {
    let stand_in = json!({
        "version": 1, "name": "unnamed", "steps": [],
        "account": { "kind": "service", "appid": "wx0000000000000000", "secret": { "env": "NONE" } },
    });
    let mut clean = stand_in.as_object().cloned().unwrap_or_default();
    if !plan.contains_key("account") {
        clean.remove("account");
    }
    let known = [
        "version",
        "name",
        "was",
        "description",
        "account",
        "occurrence",
        "vars",
        "env",
        "defaults",
        "guards",
        "lint",
        "notify",
    ];
    for (key, value) in plan.iter().filter(|(key, _)| known.contains(&key.as_str())) {
        let pointer = format!("/{key}");
        if !wrong.iter().any(|at| at == &pointer || at.starts_with(&format!("{pointer}/"))) {
            clean.insert(key.clone(), value.clone());
        }
    }
    match serde_path_to_error::deserialize(Value::Object(clean)) {
        Ok(head) => Some(head),
        Err(error) => {
            diagnostics.push(typed(document, "", &error));
            None
        }
    }
}

/// A value that the schema lets through and the type does not: a text of the right form that stands for nothing.
fn typed(document: &Document, pointer: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Diagnostic {
    use serde_path_to_error::Segment;
    let path = error.path().iter().fold(pointer.to_owned(), |path, segment| match segment {
        Segment::Seq { index } => format!("{path}/{index}"),
        Segment::Map { key } => format!("{path}/{}", yaml::escape(key)),
        Segment::Enum { variant } => format!("{path}/{}", yaml::escape(variant)),
        Segment::Unknown => path,
    });
    let text = document.value.pointer(&path).and_then(Value::as_str).unwrap_or_default();
    let message = match path.rsplit('/').next().unwrap_or_default() {
        "send_window" => say!("`{text}` starts and ends at the same time", text),
        "not_before" | "not_after" => say!("`{text}` is not a date and time that exists", text),
        _ => say!("`{text}` is not a duration of up to 24h such as `30s`, `5m` or `1h30m`", text),
    };
    Diagnostic::new(Code::BadFormat, document.span(&path), message)
}

fn steps(
    document: &Document,
    sources: &SourceMap,
    plan: &Map<String, Value>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Step>, Vec<(String, usize)>) {
    let Some(values) = plan.get("steps").and_then(Value::as_array) else { return (Vec::new(), Vec::new()) };
    let mut steps = Vec::new();
    let mut ids = Vec::new();
    for (index, value) in values.iter().enumerate().take(limits::STEPS_MAX) {
        if diagnostics.is_full() {
            break;
        }
        if let Some(id) = value.get("id").and_then(Value::as_str) {
            ids.push((id.to_owned(), index));
        }
        steps.extend(step(document, sources, index, value, diagnostics));
    }
    (steps, ids)
}

/// The keys of the part that all steps share.
const SHARED: &[&str] =
    &["id", "action", "description", "when", "foreach", "key", "retry", "timeout", "continue_on_error"];

fn step(
    document: &Document,
    sources: &SourceMap,
    index: usize,
    value: &Value,
    diagnostics: &mut Diagnostics,
) -> Option<Step> {
    let pointer = format!("/steps/{index}");
    let names: Vec<&str> = ACTIONS.iter().map(|spec| spec.name).collect();
    let Some(fields) = value.as_object() else {
        let diagnostic = Diagnostic::new(Code::WrongType, document.span(&pointer), say!("a step must be a mapping"));
        diagnostics.push(diagnostic.help(say!("start it with `- id:` and `action:`")));
        return None;
    };
    let Some(action) = fields.get("action").and_then(Value::as_str) else {
        diagnostics.push(
            match fields.get("action") {
                None if let Some(found) = odd_action(document, &pointer, fields) => found,
                None => {
                    let message = say!("the step has no `{key}`", key = "action");
                    Diagnostic::new(Code::MissingKey, document.span(&pointer), message)
                }
                Some(_) => {
                    let place = document.span(&format!("{pointer}/action"));
                    Diagnostic::new(Code::WrongType, place, say!("`action` must be text"))
                }
            }
            .help(write(one_of(&names))),
        );
        return None;
    };
    let Some(spec) = ACTIONS.iter().find(|spec| spec.name == action) else {
        diagnostics.push(no_action(document, sources, &format!("{pointer}/action"), action, &names));
        return None;
    };
    if !check(document, sources, &pointer, value, Part::Step(action), diagnostics).is_empty() {
        return None;
    }
    let (common, own): (Map<String, Value>, Map<String, Value>) = fields
        .clone()
        .into_iter()
        .partition(|(key, _)| SHARED.contains(&key.as_str()) && !(spec.own_timeout && key == "timeout"));
    let common: Result<Common, _> = serde_path_to_error::deserialize(Value::Object(common));
    let own = (spec.read)(Value::Object(own));
    match (common, own) {
        (Ok(common), Ok(action)) => Some(Step { index, common, action }),
        (common, own) => {
            diagnostics
                .extend(common.err().iter().chain(own.err().iter()).map(|error| typed(document, &pointer, error)));
            None
        }
    }
}

/// The key of a step that was meant to be `action`.
fn odd_action(document: &Document, pointer: &str, fields: &Map<String, Value>) -> Option<Diagnostic> {
    let key = fields.keys().find(|key| slips::meant_key(key, &["action"]).is_some())?;
    let mut place = document.key_span(&format!("{pointer}/{}", yaml::escape(key)));
    let message = match characters::hidden(key) {
        Some((at, c, name)) => {
            // In quotes an escape may stand for it.
            if place.end - place.start == key.len() {
                place = Span::new(place.file, place.start + at..place.start + at + c.len_utf8());
            }
            say!(
                "unknown key: there is a {name} ({code}) in `{key}`",
                name,
                code = characters::code_of(c),
                key = "action"
            )
        }
        None => say!("unknown key `{key}`", key),
    };
    Some(Diagnostic::new(Code::UnknownKey, place, message).help(say!("write `{line}`", line = "action:")))
}

/// "There is no action of this name": what was meant.
fn no_action(document: &Document, sources: &SourceMap, pointer: &str, action: &str, names: &[&str]) -> Diagnostic {
    if let Some((at, c, name)) = characters::hidden(action) {
        let place = document.span_in(sources, pointer, at..at + c.len_utf8());
        let code = characters::code_of(c);
        let message =
            say!("invalid `{name}`: there is a {character} ({code})", name = "action", character = name, code);
        return Diagnostic::new(Code::NotAllowed, place, message).help(say!("delete it"));
    }
    let meant = slips::meant_word(action, names).map(|name| say!("write `{line}`", line = format!("action: {name}")));
    let help = meant.or_else(|| nearest(action, names.iter().copied())).unwrap_or_else(|| write(one_of(names)));
    let message = say!("there is no action `{action}`", action);
    Diagnostic::new(Code::NotAllowed, document.span(pointer), message).help(help)
}

/// Reads an account in a file of its own.
pub fn account_file(
    file: FileId,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<(Document, Account)> {
    mask_secrets(file, sources);
    let before = diagnostics.raised();
    let Some(document) = yaml::parse(file, sources, diagnostics) else {
        if diagnostics.raised() == before {
            let empty = Diagnostic::new(Code::EmptyPlan, Span::new(file, 0..0), say!("the account file is empty"));
            diagnostics.push(empty.help(say!("it needs `kind`, `appid` and `secret`")));
        }
        return None;
    };
    if document.value.get("steps").is_some() {
        let message = say!("this is a plan, not an account file");
        let help = say!("name a file with `kind`, `appid` and `secret`");
        diagnostics.push(Diagnostic::new(Code::UnknownKey, document.key_span("/steps"), message).help(help));
        return None;
    }
    if diagnostics.raised() > before {
        return None;
    }
    account_in(&document, sources, diagnostics).map(|account| (document, account))
}

/// The account that a document is; none if something is wrong with it.
pub(crate) fn account_in(
    document: &Document,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Account> {
    let before = diagnostics.raised();
    let literal = literal_secrets(document, "", &document.value, diagnostics);
    let mut wrong = check(document, sources, "", &document.value, Part::Account, diagnostics);
    say_once(document, &literal, diagnostics);
    wrong.extend(literal);
    mask_account(document, "", &wrong, sources);
    check_credential(document, "", wrong.is_empty(), diagnostics);
    if diagnostics.raised() > before {
        return None;
    }
    match serde_path_to_error::deserialize::<_, Account>(document.value.clone()) {
        Ok(account) => Some(account),
        Err(error) => {
            diagnostics.push(typed(document, "", &error));
            None
        }
    }
}

/// Says which secrets stand themselves in the settings of an account, and hides them; gives where.
pub(crate) fn refuse_secrets(
    document: &Document,
    pointer: &str,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let Some(settings) = document.value.pointer(pointer) else { return Vec::new() };
    let wrong = literal_secrets(document, pointer, settings, diagnostics);
    wrong.iter().for_each(|at| sources.mask(&document.span(at)));
    wrong
}

/// Says which of an account's secrets stand there themselves, also as the name of a variable or of a file, and where.
fn literal_secrets(document: &Document, pointer: &str, account: &Value, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut literal = Vec::new();
    for (path, variable) in [
        ("access_token", "WECHAT_ACCESS_TOKEN"),
        ("secret", "WECHAT_SECRET"),
        ("component/secret", "COMPONENT_SECRET"),
        ("component/ticket", "COMPONENT_TICKET"),
        ("component/refresh_token", "WECHAT_REFRESH_TOKEN"),
        ("proxy", "WECHAT_PROXY"),
        ("callback/token", "WECHAT_CALLBACK_TOKEN"),
        ("callback/aes_key", "WECHAT_AES_KEY"),
        ("callback/previous_token", "WECHAT_PREVIOUS_TOKEN"),
        ("callback/previous_aes_key", "WECHAT_PREVIOUS_AES_KEY"),
    ] {
        let (key, at) = (path.rsplit('/').next().unwrap_or(path), format!("{pointer}/{path}"));
        let Some(value) = account.pointer(&format!("/{path}")) else { continue };
        let name = |form: &str| value.get(form).and_then(Value::as_str);
        if let Some(name) = value.as_str().and_then(slips::meant_variable) {
            let message = say!("`{key}` takes no template: it names where the secret is", key);
            let help = say!("write `{line}`", line = format!("{key}: {{ env: {name} }}"));
            diagnostics.push(Diagnostic::new(Code::WrongType, document.key_span(&at), message).help(help));
            literal.push(at);
            continue;
        }
        // The address of a proxy is no secret; what stands before its `@` is.
        let itself = if key == "proxy" { in_proxy(Some(value)) } else { value.is_string() || value.is_number() };
        if itself || ["env", "file"].into_iter().filter_map(name).any(is_secret_like) {
            let message = say!("`{key}` contains the secret itself", key);
            let diagnostic = Diagnostic::new(Code::LiteralSecret, document.span(&at), message);
            let help = say!(
                "write `{key}: {{ env: {variable} }}`, or {{ file: PATH }} or {{ command: [argv...] }}",
                key,
                variable
            );
            let reset = say!("if it was ever committed, reset the secret in the console");
            diagnostics.push(diagnostic.help(help).help(reset));
            literal.push(at);
        }
    }
    literal
}

/// Says which addresses and secrets of notices stand there themselves, and where: an address holds the key of its robot.
fn literal_notices(document: &Document, diagnostics: &mut Diagnostics) -> Vec<String> {
    let notices = document.value.get("notify").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found: Vec<(String, &Value, &str, &str)> = Vec::new();
    for (index, notice) in notices.iter().enumerate().take(limits::NOTICES_MAX) {
        for (kind, variable) in [
            ("wecom", "WECOM_ROBOT"),
            ("dingtalk", "DINGTALK_ROBOT"),
            ("feishu", "FEISHU_ROBOT"),
            ("webhook", "WEBHOOK"),
        ] {
            let Some(of) = notice.get(kind) else { continue };
            let at = format!("/notify/{index}/{kind}");
            if !of.is_object() {
                found.push((at, of, kind, variable));
                continue;
            }
            for (key, variable) in [("url", variable), ("secret", "ROBOT_SECRET")] {
                found.extend(of.get(key).map(|value| (format!("{at}/{key}"), value, key, variable)));
            }
            for (number, header) in of.get("headers").and_then(Value::as_array).into_iter().flatten().enumerate() {
                let value = header.get("value");
                found.extend(
                    value.map(|value| (format!("{at}/headers/{number}/value"), value, "value", "WEBHOOK_TOKEN")),
                );
            }
        }
    }
    let name = |value: &Value, form: &str| {
        value.get(form).and_then(Value::as_str).is_some_and(|name| name.contains("://") || is_secret_like(name))
    };
    found.retain(|(_, value, ..)| !value.is_object() || ["env", "file"].iter().any(|form| name(value, form)));
    let spans: Vec<Span> = found.iter().map(|(at, ..)| document.span(at)).collect();
    // What is of the wrong type or form for it is said once.
    diagnostics.retain(|d| {
        let place = d.primary.as_ref().map(|label| &label.span);
        !matches!(d.code, Code::WrongType | Code::BadFormat | Code::NotAllowed)
            || !place.is_some_and(|place| spans.iter().any(|span| span.start <= place.start && place.end <= span.end))
    });
    for ((_, _, key, variable), place) in found.iter().zip(spans) {
        let message = say!("`{key}` contains the secret itself", key = *key);
        let line = match *key {
            "url" | "secret" | "value" => format!("{key}: {{ env: {variable} }}"),
            kind => format!("{kind}: {{ url: {{ env: {variable} }} }}"),
        };
        let help = say!("write `{line}`", line);
        diagnostics.push(Diagnostic::new(Code::LiteralSecret, place, message).help(help));
    }
    found.into_iter().map(|(at, ..)| at).collect()
}

/// A literal secret is of the wrong type or form too, which need not be said.
fn say_once(document: &Document, literal: &[String], diagnostics: &mut Diagnostics) {
    let spans: Vec<Span> = literal.iter().map(|pointer| document.span(pointer)).collect();
    diagnostics.retain(|d| {
        !matches!(d.code, Code::WrongType | Code::BadFormat)
            || !d.primary.as_ref().is_some_and(|label| spans.contains(&label.span))
    });
}

/// Why the text of `account` is not the path of a file: it is an AppID, or a mapping whose colons are none.
fn no_path(document: &Document, sources: &SourceMap, text: &str) -> Option<Diagnostic> {
    let place = document.span("/account");
    let slip = text
        .find('：')
        .or_else(|| text.starts_with("kind:").then_some(4))
        .or_else(|| text.starts_with("appid:").then_some(5));
    if let Some(at) = slip {
        let c = text[at..].chars().next()?;
        let place = document.span_in(sources, "/account", at..at + c.len_utf8());
        let why = if c == ':' {
            say!("a space is missing after the colon")
        } else {
            say!("there is a full-width colon (`：`)")
        };
        let message = say!("invalid YAML: {why}", why);
        let raw = document.span("/account");
        let line = sources.file(raw.file).text[raw.start..raw.end].lines().next().unwrap_or_default();
        let line = line.replacen('：', ": ", 1).replacen(":  ", ": ", 1);
        let line = if c == ':' { line.replacen(':', ": ", 1) } else { line };
        let private = ["secret", "token"].iter().any(|word| line.to_ascii_lowercase().contains(word));
        let help = if private { say!("write a space after `:`") } else { say!("write `{line}`", line) };
        return Some(Diagnostic::new(Code::YamlSyntax, place, message).help(help));
    }
    AppId::is_well_formed(text).then(|| {
        let message = say!("`account` must be a mapping or the path of a file, not an AppID");
        let line = format!("account: {{ kind: service, appid: {text}, secret: {{ env: WECHAT_SECRET }} }}");
        Diagnostic::new(Code::WrongType, place, message).help(say!("write `{line}`", line))
    })
}

/// Whether a text has the place of a name and a password.
fn in_proxy(url: Option<&Value>) -> bool {
    url.and_then(Value::as_str).is_some_and(|url| url.contains('@'))
}

/// Hides what may be a secret in the wrong place: what is wrong about an account, and what a key holds that is none of its own.
fn mask_account(document: &Document, pointer: &str, wrong: &[String], sources: &mut SourceMap) {
    const HARMLESS: [&str; 4] = ["kind", "links", "name", "labels"];
    const OWN: [&str; 7] = ["secret", "access_token", "appid", "token", "component", "proxy", "callback"];
    // An AppID is no secret, unless a secret stands in its place; nor is the address of a proxy without a password.
    let appid = |at: &str| {
        let harmless = ["appid", "component/appid"].iter().any(|path| at == format!("{pointer}/{path}"))
            || (at == format!("{pointer}/proxy") && !in_proxy(document.value.pointer(at)));
        harmless && !document.value.pointer(at).and_then(Value::as_str).is_some_and(is_secret_like)
    };
    // Of a mapping that lacks a key nothing is to be hidden.
    let whole = |at: &str| {
        ["component", "callback"].iter().any(|key| at == format!("{pointer}/{key}"))
            && document.value.pointer(at).is_some_and(Value::is_object)
    };
    let own = |at: &&String| OWN.iter().any(|own| at.starts_with(&format!("{pointer}/{own}"))) && !whole(at);
    for at in wrong.iter().filter(own).filter(|at| !appid(at)) {
        sources.mask(&document.span(at));
    }
    let account = document.value.pointer(pointer).and_then(Value::as_object);
    let known = |key: &&String| HARMLESS.contains(&key.as_str()) || OWN.contains(&key.as_str());
    let unknown = || account.into_iter().flat_map(Map::keys).filter(|key| !known(key));
    // To find a key takes as long as there are keys.
    if unknown().nth(limits::NAMES_SHOWN).is_some() {
        sources.mask(&document.span(pointer));
        return;
    }
    for key in unknown() {
        sources.mask(&document.span(&format!("{pointer}/{}", yaml::escape(key))));
    }
}

/// Where what belongs to the line of `at`, which ends at `line_end`, ends: everything indented deeper, up to a mapping of one of the
/// three forms of a secret.
fn deeper(text: &str, at: usize, line_end: usize) -> usize {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let own = indent(&text[own..at]);
    let mut end = line_end;
    for line in text[(end + 1).min(text.len())..].split_inclusive('\n') {
        let body = line.trim_start();
        let source = ["env:", "file:", "command:", "- ", "{"].iter().any(|form| body.starts_with(form));
        if source || (!body.is_empty() && indent(line) <= own) {
            break;
        }
        end += line.len();
    }
    end.min(text.len())
}

/// Whether the key that begins here is a `ticket`, and no longer word.
fn is_ticket(text: &str, at: usize) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let named = text[..at].trim_end_matches("verify_").trim_end_matches("component_");
    !named.ends_with(letter) && !text[at + "ticket".len()..].starts_with(letter)
}

/// What stands where an account's platform or proxy is named, and is a secret or may hold one.
fn in_place_of_secrets(file: FileId, text: &str, lower: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    // A text in the place of a platform's secrets.
    for (at, _) in lower.match_indices("component") {
        let rest = text[at + "component".len()..].trim_start_matches(['"', '\'']);
        let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix([':', '：']) else { continue };
        let line = value.lines().next().unwrap_or_default();
        if !line.trim().is_empty() && !line.trim_start().starts_with(['{', '#', '&', '*']) {
            let start = text.len() - value.len();
            spans.push(Span::new(file, start..start + line.len()));
        }
    }
    // The address of a robot holds its key.
    for (at, _) in lower.match_indices("://") {
        let line = text[at + 3..].lines().next().unwrap_or_default();
        if ["/robot/send?", "/webhook/send?", "/bot/v2/hook/", "/bot/hook/"].iter().any(|path| line.contains(path)) {
            spans.push(Span::new(file, at + 3..at + 3 + line.len()));
        }
    }
    // A password in the address of a proxy.
    for (at, _) in lower.match_indices("proxy") {
        let line = text[at..].lines().next().unwrap_or_default();
        if let Some((start, end)) = line.find("://").zip(line.rfind('@')).filter(|(start, end)| start < end) {
            spans.push(Span::new(file, at + start + "://".len()..at + end));
        }
    }
    spans
}

/// Hides what stands behind `secret:`, `token:`, `password:` and keys that look like them from all output, whether or not the
/// YAML can be read: anything but a mapping there is a literal secret.
pub fn mask_secrets(file: FileId, sources: &mut SourceMap) {
    let text = &sources.file(file).text;
    let lower = text.to_ascii_lowercase();
    let mut spans = Vec::new();
    for word in ["secret", "token", "password", "aes_key", "aeskey", "ticket"] {
        // A line can hold many of them: where it ends, and where the lines below it that belong to it, is looked for once.
        // What lies in what belongs to an earlier one is hidden with that.
        let (mut seen, mut hidden, mut line_end, mut below) = (0, 0, 0, None);
        for (at, _) in lower.match_indices(word) {
            if at < hidden {
                continue;
            }
            let letters = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            let rest = text[at + word.len()..].trim_start_matches(letters);
            // A `ticket` is one of these by its whole name alone: `ticket_price` is not.
            if word == "ticket" && !is_ticket(text, at) {
                continue;
            }
            hidden = text.len() - rest.len();
            let rest = rest.trim_start_matches(['"', '\'']);
            let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix([':', '：']) else { continue };
            seen += 1;
            if seen > limits::SECRET_WORDS_MAX {
                spans.push(Span::new(file, at..text.len()));
                break;
            }
            let start = text.len() - value.trim_start_matches([' ', '\t']).len();
            if start > line_end || line_end == 0 {
                line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
            }
            let line = &text[start..line_end];
            let multi_line = line.is_empty() || line.starts_with(['|', '>', '#', '&', '!']);
            let quoted = line.starts_with(['"', '\'']);
            let word_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let long = line.len() > limits::LINE_SHOWN;
            let lost = long || line.split(|c| !word_of(c)).any(is_secret_like);
            let names_a_source = !long && ["env", "file", "command"].iter().any(|form| line.contains(form));
            let which = line.trim_start_matches(['"', '\'']).split(|c: char| !c.is_alphanumeric()).next();
            if line.starts_with('*')
                || (word == "token" && matches!(which, Some("stable" | "classic")))
                || (line.starts_with('{') && names_a_source && !lost)
            {
                continue;
            }
            // A value on lines of its own: everything indented deeper, unless it is a mapping of the three forms.
            let end = if multi_line || quoted {
                match below {
                    Some((of, end)) if of == line_end => end,
                    _ => deeper(text, at, line_end),
                }
            } else {
                line_end
            };
            if multi_line || quoted {
                below = Some((line_end, end));
                hidden = if quoted { hidden } else { hidden.max(end) };
            }
            spans.push(Span::new(file, start..end));
        }
    }
    spans.extend(in_place_of_secrets(file, text, &lower));
    // A secret that was given as the name of the variable or of the file that holds it, on a line of its own.
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let name = ["env:", "file:"].iter().find_map(|form| line.trim_start().strip_prefix(form));
        if name.is_some_and(|name| is_secret_like(name.trim().trim_matches(['"', '\'']))) {
            let value = start + line.find(':').map_or(0, |colon| colon + 1);
            spans.push(Span::new(file, value..start + line.trim_end().len()));
        }
        start += line.len();
    }
    for span in spans.into_iter().filter(|span| span.start < span.end) {
        sources.mask(&span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut sources = SourceMap::default();
        let file = sources.add("p", text.to_owned());
        mask_secrets(file, &mut sources);
        sources.file(file).shown_text().into_owned()
    }

    #[test]
    fn an_action_says_of_itself_what_it_is() {
        let mut seen = std::collections::HashSet::new();
        for text in [
            include_str!("../../tests/plans/ok/every-action.yaml"),
            include_str!("../../tests/plans/ok/media.yaml"),
            include_str!("../../tests/plans/ok/use-draft.yaml"),
        ] {
            let mut sources = SourceMap::default();
            let file = sources.add("p", text.to_owned());
            let plan = parse(file, &mut sources).expect("a plan");
            assert_eq!(plan.diagnostics[..], []);
            for step in plan.steps {
                let spec = step.action.spec();
                assert_eq!(spec.name, step.common.action);
                assert_eq!(spec.effect, step.action.asks().effect(), "{}", spec.name);
                seen.insert(spec.name);
            }
        }
        for spec in ACTIONS {
            assert!(seen.contains(spec.name), "no step is a `{}`", spec.name);
        }
    }

    #[test]
    fn no_action_has_a_shared_key_but_an_own_timeout() {
        for spec in ACTIONS {
            let fields = (spec.schema)(&mut schemars::SchemaGenerator::default()).to_value();
            let fields = fields["properties"].as_object().expect("a mapping");
            let shared: Vec<&str> = SHARED.iter().copied().filter(|key| fields.contains_key(*key)).collect();
            assert_eq!(shared, if spec.own_timeout { &["timeout"][..] } else { &[] }, "{}", spec.name);
        }
        let common =
            <Common as schemars::JsonSchema>::json_schema(&mut schemars::SchemaGenerator::default()).to_value();
        assert!(common["properties"].as_object().expect("a mapping").keys().eq(SHARED));
    }

    #[test]
    fn literal_secrets_are_hidden_however_they_are_written() {
        for text in [
            "account:\n  secret: hunter22\n  kind: service",
            "account: {secret: \"hunter22\", kind: service}",
            "account:\n  secret: 'hunter22",
            "account:\n  \"secret\" : hunter22",
            "account:\n  secret: |\n    hunter22\n  kind: service",
            "account:\n  secret:\n    hunter22\n  kind: service",
            "account:\n  access_token: hunter22",
            "account:\n  secret: &a hunter22",
            "account:\n  secret: [hunter22",
            "account:\n  secret: {value: hunter22}",
            "account:\n  token: hunter22",
            "account:\n  token: 'hunter22'",
            "account:\n  refresh_token: hunter22",
            "account:\n  password: hunter22",
            "account:\n  encodingAESKey: hunter22",
            "account:\n  secret：hunter22",
            "account: {kind: service, secret：hunter22}",
        ] {
            assert!(!masked(text).contains("hunter22"), "{text:?} shows as {:?}", masked(text));
        }
        assert_eq!(masked("  secret: { env: WECHAT_SECRET }\n"), "  secret: { env: WECHAT_SECRET }\n");
        assert_eq!(masked("  token: classic\n"), "  token: classic\n");
        assert_eq!(masked("  secret:\n    env: WECHAT_SECRET\n"), "  secret:\n    env: WECHAT_SECRET\n");
    }
}
