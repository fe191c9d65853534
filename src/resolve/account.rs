//! The account of a plan: its own, from a file that it names, or one that the command names in its place.

use serde_json::{Map, Value, json};

use super::Reader;
use crate::{
    diag::{
        Code, Diagnostic,
        source::{BadText, Span},
    },
    limits,
    locale::say,
    plan::{
        self,
        account::{Account, AccountField, AccountKind, AppId, LinkPolicy, SecretSource, TokenEndpoint},
        model::Step,
    },
};

/// The account that a command names.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// In a file.
    File {
        /// Its path, as users know it.
        path: String,
        bytes: Vec<u8>,
        /// The folder in which it is, absolute.
        folder: String,
    },
    /// One of a fleet.
    Member {
        account: Box<Account>,
        /// The folder that its files are relative to, absolute.
        folder: String,
        /// Its variables, those that override others last.
        layers: Vec<Layer>,
    },
    /// Something is wrong with it, which was said; what is known of it.
    Unreadable { name: Option<String>, labels: Vec<String> },
}

/// Variables that override those of the plan.
#[derive(Debug, Clone)]
pub enum Layer {
    /// A file: its path, as users know it, and what is in it.
    File(String, Vec<u8>),
    /// Values, and the numbers among them as they are written.
    Values(Map<String, Value>, Vec<String>),
}

/// What is known of the account.
pub(super) struct Found {
    /// None if something is wrong with it, which was said.
    pub(super) account: Option<Account>,
    /// See [`super::ResolvedPlan::account_folder`].
    pub(super) folder: String,
    pub(super) places: Places,
}

/// Where it says what.
pub(super) struct Places {
    pub(super) appid: Option<Span>,
    pub(super) kind: Option<Span>,
}

/// What a plan is looked at with whose account is not known.
pub(super) fn stand_in(chosen: Option<&Chosen>) -> Account {
    let known = match chosen {
        Some(Chosen::Unreadable { name, labels }) => name.clone().map(|name| (name, labels.clone())),
        _ => None,
    };
    let (name, labels) = known.unwrap_or_else(|| (NAMELESS.to_owned(), Vec::new()));
    Account {
        kind: AccountKind::Service,
        appid: AppId::Literal(UNKNOWN.into()),
        access_token: None,
        secret: None,
        token: TokenEndpoint::default(),
        links: LinkPolicy::default(),
        component: None,
        proxy: None,
        callback: None,
        name: Some(name),
        labels,
    }
}

const UNKNOWN: &str = "wx0000000000000000";
const NAMELESS: &str = "?";

/// Whether a text was made with what stands for an account that is not known.
pub(super) fn is_stand_in(text: &str) -> bool {
    text.contains(NAMELESS) || text.contains(UNKNOWN)
}

/// What templates see of an account.
pub(super) fn seen(account: &Account, appid: &str) -> Value {
    let mut seen = json!({ "appid": appid, "kind": account.kind.name(), "labels": account.labels });
    if let Some(name) = &account.name {
        seen["name"] = name.as_str().into();
    }
    seen
}

impl Reader<'_> {
    /// The account that the command names, else the one that the plan names.
    pub(super) fn account(&mut self, field: Option<&AccountField>) -> Found {
        let document = self.document;
        let of = |document: &plan::yaml::Document, pointer: &str| Places {
            appid: Some(document.span(&format!("{pointer}/appid"))),
            kind: Some(document.span(&format!("{pointer}/kind"))),
        };
        match (self.inputs.account, field) {
            (Some(Chosen::File { path, bytes, folder }), _) => {
                let text = self.account_text(path, bytes.clone());
                let (account, places) = self.account_file(path.clone(), text);
                Found { account, folder: folder.clone(), places }
            }
            (Some(Chosen::Member { account, folder, .. }), _) => Found {
                account: Some((**account).clone()),
                folder: folder.clone(),
                places: Places { appid: None, kind: None },
            },
            (Some(Chosen::Unreadable { .. }), _) => {
                Found { account: None, folder: String::new(), places: Places { appid: None, kind: None } }
            }
            (None, Some(AccountField::Inline(account))) => {
                Found { account: Some((**account).clone()), folder: String::new(), places: of(document, "/account") }
            }
            (None, Some(AccountField::File(path))) => {
                let folder = path.rfind(['/', '\\']).map(|end| path[..=end].to_owned()).unwrap_or_default();
                let place = document.span("/account");
                let read = self.text_bytes(path, &place, limits::DATA_BYTES_MAX);
                let (account, places) = match read {
                    Some((name, bytes)) => {
                        let text = self.decode(&name, bytes, &place);
                        self.account_file(name, text)
                    }
                    None => (None, Places { appid: None, kind: None }),
                };
                Found { account, folder, places }
            }
            (None, None) => {
                let message = say!("the plan has no `{key}`", key = "account");
                let help = say!("add `account:`, or name the file of an account in the command: --account FILE");
                self.push(Diagnostic::new(Code::MissingKey, document.span(""), message).help(help));
                Found { account: None, folder: String::new(), places: Places { appid: None, kind: None } }
            }
        }
    }

    fn account_file(&mut self, name: String, text: Option<String>) -> (Option<Account>, Places) {
        let read = text.and_then(|text| {
            let file = self.sources.add(name, text);
            plan::account_file(file, self.sources, self.diagnostics)
        });
        let place = |key: &str| read.as_ref().map(|(document, _)| document.span(key));
        let places = Places { appid: place("/appid"), kind: place("/kind") };
        (read.map(|(_, account)| account), places)
    }

    /// The text of a file that no place names.
    fn account_text(&mut self, name: &str, bytes: Vec<u8>) -> Option<String> {
        let (bad, shown) = match crate::diag::source::decode(bytes.clone()) {
            Ok(text) => return Some(text),
            Err(bad) => (bad, crate::diag::source::without_controls(&bytes)),
        };
        let file = self.sources.add(name, shown);
        plan::mask_secrets(file, self.sources);
        let (BadText::NotUtf8(at) | BadText::Control(at, _)) = bad;
        let text = &self.sources.file(file).text;
        let at = text.floor_char_boundary(at.min(text.len()));
        let problem = super::undecodable(name, bad, &Span::new(file, at..at));
        self.push(problem);
        None
    }

    /// What the account's secrets are read from is no content. Paths are relative to the file that names them.
    pub(super) fn withhold(&self, account: Option<&Account>, folder: &str) {
        self.withhold_files(account.into_iter().flat_map(Account::sources).map(|(_, source)| source), folder);
    }

    /// No template and no message reads what a secret is read from.
    pub(super) fn withhold_files<'s>(&self, sources: impl Iterator<Item = &'s SecretSource>, folder: &str) {
        for source in sources {
            for path in source.file.iter().chain(source.command.iter().flatten()) {
                let absolute = std::path::Path::new(path).is_absolute();
                self.inputs.project.withhold(&if absolute { path.clone() } else { format!("{folder}{path}") });
            }
        }
    }

    /// The AppID, or one that stands for it.
    pub(super) fn appid(&mut self, appid: &AppId, place: Option<Span>) -> String {
        let name = match appid {
            AppId::Literal(appid) => return appid.clone(),
            AppId::Env(name) => name,
        };
        let problem = match (self.inputs.env)(name) {
            Some(value) if AppId::is_well_formed(value.trim()) => return value.trim().to_owned(),
            Some(_) => {
                let message = say!("the variable `{name}` does not contain an AppID", name);
                at(Code::BadFormat, place, message).help(say!("an AppID is `wx` and 16 hexadecimal digits"))
            }
            None => {
                let message = say!("the environment variable `{name}` is not set", name);
                at(Code::EnvMissing, place, message).help(say!("set it: export {name}=wx...", name))
            }
        };
        self.push(problem);
        UNKNOWN.to_owned()
    }

    pub(super) fn wrong_account(&mut self, step: &Step, account: &Account, there: Option<&Span>) {
        let spec = step.action.spec();
        let action = spec.name;
        let message = match account.kind {
            AccountKind::Subscription => {
                say!("`{action}` requires a service account, but this is a subscription account", action)
            }
            AccountKind::Service => {
                say!("`{action}` requires a subscription account, but this is a service account", action)
            }
        };
        let mut diagnostic = Diagnostic::new(Code::AccountKind, self.document.span(&step.pointer("/action")), message);
        if let Some(there) = there {
            diagnostic = diagnostic.related(there.clone(), say!("the account"));
        }
        self.push(diagnostic.help(say!("send to a tag instead: `action: send_by_tag`")));
    }
}

fn at(code: Code, place: Option<Span>, message: crate::locale::Phrase) -> Diagnostic {
    match place {
        Some(place) => Diagnostic::new(code, place, message),
        None => Diagnostic::nowhere(code, message),
    }
}
