//! The file of a fleet, and the accounts that it lists: read strictly, with all problems at once.

use std::{collections::HashMap, rc::Rc};

use serde_json::{Map, Value};

use super::{
    member::{Fleet, Member, Place},
    model::{Most, Stop, Wave},
    waves,
};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics, hidden,
        source::{FileId, SourceMap, Span},
    },
    limits,
    locale::{list, say},
    plan::{
        self,
        check::{Part, check},
        yaml::{self, Document, Entry},
    },
    resolve::{Project, data},
    text::nearest,
};

/// Reads a fleet; none if nothing can be made of it. `project` knows the files beside it, and `folder` is where it is, absolute.
pub fn read(
    file: FileId,
    project: &dyn Project,
    folder: String,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Fleet> {
    plan::mask_secrets(file, sources);
    let before = diagnostics.raised();
    let Some(document) = yaml::parse(file, sources, diagnostics) else {
        if diagnostics.raised() == before {
            let empty = Diagnostic::new(Code::EmptyPlan, Span::new(file, 0..0), say!("the fleet file is empty"));
            diagnostics.push(empty.help(say!("it needs `version`, `plan` and `accounts`")));
        }
        return None;
    };
    if !document.value.is_object() {
        let message = say!("a fleet must be a mapping");
        let diagnostic = Diagnostic::new(Code::WrongType, document.span(""), message);
        diagnostics.push(diagnostic.help(say!("it needs `version`, `plan` and `accounts`")));
        return None;
    }
    if document.value.get("steps").is_some() {
        let message = say!("this is a plan, not a fleet file");
        let help = say!("name it in a fleet file: `plan: {path}`", path = file_name(&sources.file(file).path));
        diagnostics.push(Diagnostic::new(Code::UnknownKey, document.key_span("/steps"), message).help(help));
        return None;
    }
    hidden::look(file, hidden::Text::Data, sources, diagnostics);
    diagnostics.extend(document.cut_short(sources, "", false));
    let listed = document.value.get("accounts").and_then(Value::as_array).map_or(0, Vec::len);
    let owners = (0..listed).map(|at| format!("/accounts/{at}")).chain(["/defaults".to_owned()]);
    let mut wrong: Vec<String> = Vec::new();
    for owner in owners {
        wrong.extend(plan::refuse_secrets(&document, &owner, sources, diagnostics));
    }
    let found = check(&document, sources, "", &document.value, Part::Fleet, diagnostics);
    diagnostics.retain(|found| !(found.code == Code::WrongType && says_secret(found, &document, &wrong)));
    wrong.extend(found);
    let of = |key: &str| {
        let pointer = format!("/{key}");
        let bad = wrong.iter().any(|at| *at == pointer || at.starts_with(&format!("{pointer}/")));
        document.value.get(key).filter(|_| !bad).cloned()
    };
    let plan = of("plan").and_then(|path| Some((path.as_str()?.to_owned(), document.span("/plan"))));
    let waves = of("waves");
    let sound = !wrong.iter().any(|at| at.starts_with("/defaults"));
    let defaults = document.value.get("defaults").and_then(Value::as_object).cloned();
    let stop: Option<Most> =
        of("stop").and_then(|stop| serde_json::from_value::<Stop>(stop).ok()).and_then(|stop| stop.max_failed);
    let table_of = document.value.pointer("/accounts/file").and_then(Value::as_str).map(str::to_owned);
    let table_of = table_of.filter(|_| !wrong.iter().any(|at| at.starts_with("/accounts")));
    let document = Rc::new(document);
    let (accounts, bad) = match table_of {
        Some(path) => {
            let place = document.span("/accounts/file");
            let accounts = table(&path, &place, project, sources, diagnostics)?;
            let bad = check_rows(&accounts, sources, diagnostics);
            (Rc::new(accounts), bad)
        }
        None => (Rc::clone(&document), wrong),
    };
    let members = members(&accounts, &bad, sources, diagnostics);
    let mut fleet = Fleet {
        document,
        accounts,
        defaults: defaults.filter(|_| sound).unwrap_or_default(),
        sound,
        plan,
        stop: None,
        waves: 1,
        folder,
        members,
    };
    fleet.stop = stop.map(|most| most.of(fleet.members.len()));
    if let Some(waves) = waves {
        into_waves(&mut fleet, &waves, diagnostics);
    }
    Some(fleet)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A literal secret is of the wrong type too; that is said once.
fn says_secret(found: &Diagnostic, document: &Document, wrong: &[String]) -> bool {
    let place = found.primary.as_ref().map(|label| &label.span);
    wrong.iter().any(|at| Some(&document.span(at)) == place)
}

/// The accounts in a table, as if they stood in the fleet's file.
fn table(
    path: &str,
    place: &Span,
    project: &dyn Project,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<Document> {
    let rows = data::file(path, place, project, sources, diagnostics)?;
    let file = rows.first().map(|row| row.place.file)?;
    plan::mask_secrets(file, sources);
    let csv = !path.ends_with(".jsonl");
    let text = sources.file(file).text.clone();
    let columns = if csv { data::columns(&text) } else { Vec::new() };
    let cells = data::cells(&text);
    let (mut values, mut places, mut hide) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let mut entry = Entry::new(None, row.place.clone());
        if !csv {
            // Of what stands in a line its place is that of the line.
            entry.fill(&row.values);
            values.push(Value::Object(row.values));
            places.push(entry);
            continue;
        }
        let mut members = Map::new();
        let range = row.place.start..row.place.end;
        for ((name, header), cell) in columns.iter().zip(cells(range)) {
            let value = row.values.get(name).and_then(Value::as_str).unwrap_or_default().trim();
            if value.is_empty() {
                continue;
            }
            let cell = Span::new(file, cell);
            let private = ["secret", "token", "password"].iter().any(|word| name.to_lowercase().contains(word));
            if private && !name.contains('.') {
                hide.push(cell.clone());
            }
            let key = Span::new(file, header.clone());
            let typed = match name.as_str() {
                "labels" => value.split([' ', ';', '；', '|']).filter(|one| !one.is_empty()).map(Value::from).collect(),
                _ if name.ends_with(".command") => value.split(' ').filter(|one| !one.is_empty()).collect(),
                _ => Value::from(value),
            };
            entry.put(&mut members, name, typed, &key, &cell);
        }
        values.push(Value::Object(members));
        places.push(entry);
    }
    hide.iter().for_each(|cell| sources.mask(cell));
    Some(Document::of_items(file, "accounts", values, places))
}

/// Checks each account of a table; gives the pointers of all errors.
fn check_rows(accounts: &Document, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = accounts.value["accounts"].as_array().map_or(&[][..], Vec::as_slice);
    for (at, row) in rows.iter().enumerate() {
        let pointer = format!("/accounts/{at}");
        let secrets = plan::refuse_secrets(accounts, &pointer, sources, diagnostics);
        wrong.extend(check(accounts, sources, &pointer, row, Part::Entry, diagnostics));
        if !secrets.is_empty() {
            diagnostics.retain(|found| !(found.code == Code::WrongType && says_secret(found, accounts, &secrets)));
        }
        wrong.extend(secrets);
    }
    wrong
}

/// The accounts whose form is right, by name; two of one name or AppID are a problem.
fn members(accounts: &Document, wrong: &[String], sources: &SourceMap, diagnostics: &mut Diagnostics) -> Vec<Member> {
    let bad: std::collections::HashSet<&str> =
        wrong.iter().filter_map(|at| at.strip_prefix("/accounts/")?.split('/').next()).collect();
    let (mut members, mut seen) = (Vec::new(), HashMap::new());
    for (index, account) in accounts.value["accounts"].as_array().into_iter().flatten().enumerate() {
        let text = |key: &str| account.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = |key: &str| accounts.span(&format!("/accounts/{index}/{key}"));
        let (name, appid) = (text("name"), text("appid"));
        for (key, value) in [("name", &name), ("appid", &appid)] {
            let Some(first) = seen.insert((key, value.clone()), index).filter(|_| !value.is_empty()) else { continue };
            let message = match key {
                "name" => say!("the name `{name}` is already used", name = value.as_str()),
                _ => say!("the AppID `{appid}` is already used", appid = value.as_str()),
            };
            let there = accounts.span(&format!("/accounts/{first}/{key}"));
            diagnostics.push(
                Diagnostic::new(Code::DuplicateAccount, place(key), message)
                    .related(there, say!("first here"))
                    .help(say!("each account of a fleet has its own name and AppID")),
            );
        }
        if bad.contains(index.to_string().as_str()) {
            continue;
        }
        let labels = account.get("labels").and_then(Value::as_array).into_iter().flatten();
        let labels = labels.filter_map(|label| label.as_str().map(str::to_owned)).collect();
        let span = place("name");
        let position = sources.position(&span);
        let place =
            Place { file: sources.file(span.file).path.clone(), line: position.line, column: position.column, span };
        members.push(Member { name, appid, labels, wave: 1, index, place });
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members
}

/// Gives each account its wave. Each is in exactly one.
fn into_waves(fleet: &mut Fleet, waves: &Value, diagnostics: &mut Diagnostics) {
    let Ok(waves) = serde_json::from_value::<Vec<Wave>>(waves.clone()) else { return };
    let known: HashMap<String, usize> = fleet.accounts.value["accounts"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(at, account)| Some((account.get("name")?.as_str()?.to_owned(), at)))
        .collect();
    let mut named: HashMap<&str, Span> = HashMap::new();
    for (at, wave) in waves.iter().enumerate() {
        let Wave::Names(names) = wave else { continue };
        for (number, name) in names.iter().enumerate() {
            let place = fleet.document.span(&format!("/waves/{at}/accounts/{number}"));
            if !known.contains_key(name) {
                let message = say!("the fleet has no account `{name}`", name = name.as_str());
                let help = nearest(name, known.keys().map(String::as_str));
                let help = help.unwrap_or_else(|| say!("write the name of an account"));
                diagnostics.push(Diagnostic::new(Code::UnknownAccount, place.clone(), message).help(help));
            }
            if let Some(first) = named.insert(name, place.clone()) {
                let message = say!("the account `{name}` is already in a wave", name = name.as_str());
                let diagnostic = Diagnostic::new(Code::WaveOfAccount, place, message);
                diagnostics.push(diagnostic.related(first, say!("first here")).help(say!("remove one of the two")));
            }
        }
    }
    let names: Vec<&str> = fleet.members.iter().map(|member| member.name.as_str()).collect();
    let found = waves::of(&names, &waves);
    let left: Vec<&str> = names.iter().zip(&found).filter(|(_, wave)| wave.is_none()).map(|(name, _)| *name).collect();
    if !left.is_empty() {
        let some = list(left.iter().take(limits::NAMES_SHOWN).copied());
        let message = say!(
            "{accounts} account is in no wave: {some}" | "{accounts} accounts are in no wave: {some}",
            accounts = left.len(),
            some
        );
        let place = fleet.document.key_span("/waves");
        let diagnostic = Diagnostic::new(Code::WaveOfAccount, place, message);
        diagnostics.push(diagnostic.help(say!("end the list with the rest: `100%`")));
    }
    fleet.waves = waves.len();
    for (member, wave) in fleet.members.iter_mut().zip(found) {
        member.wave = wave.unwrap_or(waves.len());
    }
}
