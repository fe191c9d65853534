//! One account of a fleet: its settings over those of all, with their templates rendered, and its variables.

use std::rc::Rc;

use minijinja::Value as Tpl;
use serde_json::{Map, Value, json};

use crate::{
    content::template::{Engine, Library},
    diag::{
        Diagnostic, Diagnostics,
        source::{SourceMap, Span},
    },
    limits,
    locale::say,
    plan::{
        self,
        yaml::{Document, Entry},
    },
    resolve::{
        Project,
        account::{Chosen, Layer},
        failure_diagnostic,
    },
};

/// What a fleet's file says.
pub struct Fleet {
    pub(super) document: Rc<Document>,
    /// Where the accounts stand, at `/accounts`: the fleet's file, or a table.
    pub(super) accounts: Rc<Document>,
    pub(super) defaults: Map<String, Value>,
    /// Whether nothing is wrong with these.
    pub(super) sound: bool,
    /// The path of the plan, relative to the fleet's file, and where that says so.
    pub(crate) plan: Option<(String, Span)>,
    /// So many accounts that failed are too many.
    pub(crate) stop: Option<usize>,
    /// How many waves there are.
    pub(crate) waves: usize,
    /// The folder of the fleet's file, absolute.
    pub(super) folder: String,
    /// The accounts, by name.
    pub(crate) members: Vec<Member>,
}

/// An account of a fleet.
#[derive(Debug, Clone)]
pub struct Member {
    /// By which it is known.
    pub name: String,
    pub(crate) appid: String,
    pub(crate) labels: Vec<String>,
    /// From 1.
    pub(crate) wave: usize,
    /// Its number in the file.
    pub(super) index: usize,
    pub(crate) place: Place,
}

/// Where a file says something.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) span: Span,
}

/// What says how the token is had: who has one of these has none of the others from the defaults.
const CREDENTIALS: [&str; 3] = ["secret", "access_token", "component"];
/// What is no setting of an account.
const VARIABLES: [&str; 2] = ["vars", "vars_file"];

impl Fleet {
    /// The accounts that have all of some labels, in the order in which they send.
    pub fn chosen(&self, labels: &[String], wave: Option<usize>) -> Vec<&Member> {
        let has = |member: &&Member| {
            labels.iter().all(|label| member.labels.contains(label)) && wave.is_none_or(|wave| member.wave == wave)
        };
        let mut members: Vec<&Member> = self.members.iter().filter(has).collect();
        members.sort_by_key(|member| member.wave);
        members
    }

    /// The account as a plan takes it, with its variables.
    pub fn account(
        &self,
        member: &Member,
        project: &dyn Project,
        sources: &mut SourceMap,
        diagnostics: &mut Diagnostics,
    ) -> Chosen {
        let unreadable = || Chosen::Unreadable { name: Some(member.name.clone()), labels: member.labels.clone() };
        if !self.sound {
            return unreadable();
        }
        let mut found = Diagnostics::default();
        let chosen = self.settings(member, project, sources, &mut found);
        let wrong = found.errors() > 0;
        // What is wrong for all is said of the first.
        for diagnostic in found.into_vec() {
            let own = diagnostic.primary.as_ref().is_some_and(|label| self.is_of(member, &label.span));
            let named = || say!("for the account `{name}`", name = member.name.as_str());
            diagnostics.push(if own { diagnostic } else { diagnostic.related(member.place.span.clone(), named()) });
        }
        chosen.filter(|_| !wrong).unwrap_or_else(unreadable)
    }

    /// Where a setting of an account stands: with itself, or in the defaults; none if nowhere.
    pub fn place_of(&self, member: &Member, key: &str) -> Option<Span> {
        let own = format!("/accounts/{}/{key}", member.index);
        if self.accounts.value.pointer(&own).is_some() {
            return Some(self.accounts.span(&own));
        }
        let shared = format!("/defaults/{key}");
        self.document.value.pointer(&shared).is_some().then(|| self.document.span(&shared))
    }

    /// Where it names the plan.
    pub fn place_of_plan(&self) -> Span {
        self.document.span("/plan")
    }

    fn is_of(&self, member: &Member, span: &Span) -> bool {
        let own = self.accounts.span(&format!("/accounts/{}", member.index));
        own.file == span.file && own.start <= span.start && span.end <= own.end
    }

    fn settings(
        &self,
        member: &Member,
        project: &dyn Project,
        sources: &mut SourceMap,
        diagnostics: &mut Diagnostics,
    ) -> Option<Chosen> {
        let seen = json!({ "account": { "name": member.name, "appid": member.appid, "labels": member.labels } });
        let pointer = format!("/accounts/{}", member.index);
        let mut reader = Reader {
            engine: &Engine::new(Library::new()),
            context: Tpl::from(minijinja::value::Serde(&seen)),
            project,
            sources,
            diagnostics,
        };
        let own = self.accounts.value.pointer(&pointer)?.as_object()?;
        let has_credential = CREDENTIALS.iter().any(|key| own.contains_key(*key));
        let (mut values, mut entry) = (Map::new(), Entry::new(None, member.place.span.clone()));
        let overridden = |key: &str| own.contains_key(key) || (has_credential && CREDENTIALS.contains(&key));
        let defaults = self.defaults.iter().filter(|(key, _)| !overridden(key));
        let all = defaults.map(|(key, value)| (&self.document, "/defaults", key, value));
        let all = all.chain(own.iter().map(|(key, value)| (&self.accounts, pointer.as_str(), key, value)));
        for (document, owner, key, value) in all.filter(|(_, _, key, _)| !VARIABLES.contains(&key.as_str())) {
            let at = format!("{owner}/{}", plan::yaml::escape(key));
            let rendered = reader.rendered(document, &at, value)?;
            entry.take(document, &at);
            values.insert(key.clone(), rendered);
        }
        let document = Document::of_value(member.place.span.file, Value::Object(values), entry);
        let account = plan::account_in(&document, reader.sources, reader.diagnostics);
        let mut layers = Vec::new();
        let owners = [(&self.document, "/defaults", &self.defaults), (&self.accounts, pointer.as_str(), own)];
        for (document, owner, settings) in owners {
            if let Some(path) = settings.get("vars_file").and_then(Value::as_str) {
                layers.push(reader.file(document, &format!("{owner}/vars_file"), path)?);
            }
            if let Some(values) = settings.get("vars").and_then(Value::as_object) {
                let numbers = document.numbers(reader.sources, &format!("{owner}/vars"));
                let numbers = numbers.into_iter().map(|(_, written, _)| written.to_owned()).collect();
                layers.push(Layer::Values(values.clone(), numbers));
            }
        }
        Some(Chosen::Member { account: Box::new(account?), folder: self.folder.clone(), layers })
    }
}

struct Reader<'a> {
    engine: &'a Engine,
    context: Tpl,
    project: &'a dyn Project,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// The value with the templates in it rendered.
    fn rendered(&mut self, document: &Document, pointer: &str, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) => self.text(document, pointer, text)?.into(),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(at, item)| self.rendered(document, &format!("{pointer}/{at}"), item))
                    .collect::<Option<_>>()?
            }
            Value::Object(members) => {
                let mut rendered = Map::new();
                for (key, member) in members {
                    let at = format!("{pointer}/{}", plan::yaml::escape(key));
                    rendered.insert(key.clone(), self.rendered(document, &at, member)?);
                }
                Value::Object(rendered)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn text(&mut self, document: &Document, pointer: &str, text: &str) -> Option<String> {
        if !text.contains('{') {
            return Some(text.to_owned());
        }
        let failures = match self.engine.render(text, &self.context) {
            Ok(text) => return Some(text),
            Err(failures) => failures,
        };
        for failure in failures {
            let sources = &*self.sources;
            let diagnostic = failure_diagnostic(failure, |range| match range {
                Some(range) => document.span_in(sources, pointer, range),
                None => document.span(pointer),
            });
            self.diagnostics.push(diagnostic);
        }
        None
    }

    /// A file with variables.
    fn file(&mut self, document: &Document, pointer: &str, path: &str) -> Option<Layer> {
        let path = self.text(document, pointer, path)?;
        match self.project.read(&path, limits::DATA_BYTES_MAX) {
            Ok((name, bytes)) => Some(Layer::File(name, bytes)),
            Err(error) => {
                let (code, message) = error.problem(&path, limits::DATA_BYTES_MAX);
                let diagnostic = Diagnostic::new(code, document.span(pointer), message);
                let near = self.project.near(&path).filter(|near| *near != path);
                self.diagnostics.push(match near {
                    Some(near) => diagnostic.help(say!("did you mean `{near}`?", near)),
                    None => diagnostic.help(say!("paths are relative to the file that names them")),
                });
                None
            }
        }
    }
}
