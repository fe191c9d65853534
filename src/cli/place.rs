//! Where the state of a plan is: where `--state` says, else in the folder `.qunfa` of its project. The root of a project moves
//! (a repository is made above it, it is copied without its `.git`, it has a second work tree); what was sent was sent, and is
//! looked for wherever it may have been written down. There is never a second ledger beside one that knows the plan.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use jiff::Timestamp;

use super::{options::Common, process, project::DiskProject, secrets::read_secret};
use crate::{
    ledger::{LedgerError, Scope, name::is_address, open, store::Store},
    locale::{Phrase, say},
    plan::account::SecretSource,
    problem::{ExitCode, Refusal},
    redact::Secret,
    text::quoted,
};

/// The store of a project, whichever plan of it is meant.
pub(super) fn of_project(common: &Common, project: &DiskProject) -> Result<Box<dyn Store>, Refusal> {
    match &common.state {
        Some(name) => named_by(name).map_err(Refusal::usage),
        None => Ok(open::of_project(project.root())),
    }
}

/// The store that somebody named.
pub(super) fn named_by(name: &str) -> Result<Box<dyn Store>, Phrase> {
    open::named(name, Rc::new(password))
}

/// The password of a store that is a server, from where the environment says that it is.
fn password() -> Result<Option<Secret>, Phrase> {
    let set = |name: &str| process::env(name).filter(|value| !value.is_empty());
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let source = SecretSource {
        env: set("QUNFA_STATE_PASSWORD").map(|_| "QUNFA_STATE_PASSWORD".to_owned()),
        file: set("QUNFA_STATE_PASSWORD_FILE"),
        command: set("QUNFA_STATE_PASSWORD_COMMAND").map(words),
    };
    let is_set = source.env.is_some() || source.file.is_some() || source.command.is_some();
    is_set.then(|| read_secret(&source, Path::new(""))).transpose()
}

/// The store of a plan, and what is to be said if that is not where it would be made; if more than one may be meant, none is (8).
pub(super) fn of_plan(
    common: &Common,
    project: &DiskProject,
    scope: &Scope,
) -> Result<(Box<dyn Store>, Option<Phrase>), Refusal> {
    let own = project.root();
    let others = if common.state.is_some() { Vec::new() } else { project.other_states() };
    if others.is_empty() {
        let store = of_project(common, project)?;
        let note = store.note();
        return Ok((store, note));
    }
    let mut known = Vec::new();
    for folder in std::iter::once(own).chain(others.iter().map(PathBuf::as_path)) {
        let knows = knows(&*open::of_project(folder), scope).map_err(|error| unreadable(&error, own))?;
        known.push((folder, knows));
    }
    let most = known.iter().map(|(_, knows)| *knows).max().unwrap_or(Knows::Nothing);
    known.retain(|(_, knows)| *knows == most);
    let used = match (most, known.as_slice()) {
        (Knows::Nothing, _) => own,
        (_, [(folder, _)]) => folder,
        (Knows::Account, _) if known.iter().any(|(folder, _)| *folder == own) => own,
        _ => return Err(several(&known, scope)),
    };
    let note = (used != own).then(|| {
        let (store, root) = (open::of_project(used).name(), own.display().to_string());
        say!("the state store is {store}, because it has earlier sends; the project's root is now {root}", store, root)
    });
    Ok((open::of_project(used), note))
}

/// What a ledger has of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Knows {
    Nothing,
    /// Sends of other plans of the account.
    Account,
    /// Sends of the plan.
    Plan,
}

fn knows(store: &dyn Store, scope: &Scope) -> Result<Knows, LedgerError> {
    let Some(ledger) = store.read()? else { return Ok(Knows::Nothing) };
    let of_plan =
        !ledger.other_editions(scope)?.is_empty() || ledger.calls(scope)?.iter().any(|record| record.frozen.is_mass());
    if of_plan {
        return Ok(Knows::Plan);
    }
    let attempts = ledger.mass_attempts(scope.platform.name(), &scope.appid, Timestamp::UNIX_EPOCH)?;
    Ok(if attempts.is_empty() { Knows::Nothing } else { Knows::Account })
}

fn unreadable(error: &LedgerError, own: &Path) -> Refusal {
    let message = say!("it is not known whether the plan was sent before: {why}", why = error.words());
    let store = open::of_project(own).name();
    Refusal::new(ExitCode::Conflict, message)
        .help(say!("to use another state store, name it: --state {store}", store = named(&store)))
}

fn several(known: &[(&Path, Knows)], scope: &Scope) -> Refusal {
    let stores = || known.iter().map(|(folder, _)| open::of_project(folder).name());
    let plan = &scope.plan;
    let list = crate::locale::list(stores());
    let message: Phrase = say!("more than one state store has earlier sends of `{plan}`: {list}", plan, list);
    let name = stores().next().unwrap_or_default();
    Refusal::new(ExitCode::Conflict, message)
        .help(say!("name the one that is right, for example: --state {store}", store = named(&name)))
        .help(say!("or remove the folder `.qunfa` that is no longer needed; what only it knows would be sent again"))
}

/// As `--state` takes it.
pub(super) fn named(store: &str) -> String {
    match is_address(store) {
        true => quoted(store).into_owned(),
        false => quoted(&format!("sqlite:{store}")).into_owned(),
    }
}
