//! Whose pushes are taken: the account of a plan, of a file of its own, or those of a fleet; their keys, and where what they say is
//! kept.

use std::path::{Path, PathBuf};

use super::{
    failure::Failure,
    load,
    options::Common,
    place,
    project::DiskProject,
    secrets::{origin, read_secret},
    session::{Address, appid_of},
    subject::{self, Subject},
    terminal::Terminal,
};
use crate::{
    diag::source::SourceMap,
    events::crypt::{AesKey, Keys},
    ledger::store::{Store, WriteError},
    limits,
    locale::{Phrase, say},
    plan::{self, account::Account, account::SecretSource},
    platform::Platform,
    problem::{ExitCode, Refusal},
    resolve::account::Chosen,
};

/// An account whose pushes are taken.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) appid: String,
    pub(super) keys: Keys,
}

/// All whose pushes are taken, and where these are kept.
pub(super) struct Receivers {
    pub(super) accounts: Vec<Receiver>,
    pub(super) store: Box<dyn Store>,
    pub(super) platform: Platform,
}

/// An account, and the folder that its files are relative to.
type Found = (Account, String, PathBuf);

/// Who is named: by a plan, by `--account FILE`, or by `--fleet`. Who hands on bodies may have no keys.
pub(super) fn open(
    plan: Option<&str>,
    needs_keys: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<Receivers, Failure> {
    let Address { platform, .. } = Address::of(common)?;
    let (found, store): (Vec<Found>, Box<dyn Store>) = match (&common.fleet, plan, &common.account) {
        (Some(_), Some(_), _) => {
            Subject::one(plan, common, terminal)?;
            return Err(Failure::Fault);
        }
        (Some(fleet), None, _) => of_fleet(fleet, common, terminal)?,
        (None, Some(path), _) => {
            let session = load::open_session(path.into(), common, terminal)?;
            let folder = session.folder().to_owned();
            (vec![(session.plan.account.clone(), session.plan.appid.clone(), folder)], session.store)
        }
        (None, None, Some(path)) => {
            let store = place::of_project(common, &DiskProject::new(Path::new(".")))?;
            (vec![of_file(path)?], store)
        }
        (None, None, None) => {
            return Err(Refusal::usage(say!("no account given"))
                .help(say!("name its plan, its file with --account FILE, or a fleet with --fleet FILE"))
                .into());
        }
    };
    let receiver = |(account, appid, folder): Found| {
        Ok::<_, Refusal>(Receiver { keys: keys(&account, &appid, &folder, needs_keys)?, appid })
    };
    let accounts = found.into_iter().map(receiver).collect::<Result<Vec<_>, _>>()?;
    Ok(Receivers { accounts, store, platform })
}

/// The account in a file.
fn of_file(path: &str) -> Result<Found, Failure> {
    let (mut loaded, file) = load::open(path, SourceMap::default());
    let read = file.and_then(|file| plan::account_file(file, &mut loaded.sources, &mut loaded.diagnostics));
    let Some((_, account)) = read else { return Err(loaded.refuse(path, None)) };
    let appid = appid_of(&account.appid).map_err(Refusal::missing_input)?;
    Ok((account, appid, Path::new(path).parent().unwrap_or(Path::new("")).to_owned()))
}

/// All accounts of a fleet, or the one that is named.
fn of_fleet(path: &str, common: &Common, terminal: &Terminal) -> Result<(Vec<Found>, Box<dyn Store>), Failure> {
    let (mut loaded, fleet) = subject::read(path, terminal);
    let Some(fleet) = fleet.filter(|_| loaded.diagnostics.errors() == 0) else { return Err(loaded.refuse(path, None)) };
    let named = |name: &String| common.account.as_ref().is_none_or(|wanted| wanted == name);
    let mut found = Vec::new();
    for member in fleet.members.iter().filter(|member| named(&member.name)) {
        let load::Loaded { sources, diagnostics, project, .. } = &mut loaded;
        if let Chosen::Member { account, folder, .. } = fleet.account(member, project, sources, diagnostics) {
            found.push((*account, member.appid.clone(), PathBuf::from(folder)));
        }
    }
    if loaded.diagnostics.errors() > 0 {
        return Err(loaded.refuse(path, None));
    }
    if let Some(name) = common.account.as_deref().filter(|_| found.is_empty()) {
        return Err(subject::unknown(name, &fleet).into());
    }
    let store = place::of_project(common, &loaded.project)?;
    Ok((found, store))
}

/// Token and key, as the account's `callback` says.
fn keys(account: &Account, appid: &str, folder: &Path, needed: bool) -> Result<Keys, Refusal> {
    let Some(callback) = &account.callback else {
        if needed {
            let message = say!("the account {appid} has no `callback`, so no push can be checked", appid);
            return Err(Refusal::missing_input(message).help(say!(
                "add what the console shows (消息与事件推送): `callback: {{ token: {{ env: WECHAT_CALLBACK_TOKEN }}, aes_key: {{ env: WECHAT_AES_KEY }} }}`"
            )));
        }
        return Ok(Keys { tokens: Vec::new(), aes: Vec::new() });
    };
    let read = |source: &SecretSource| read_secret(source, folder).map_err(Refusal::missing_input);
    let key = |source: &SecretSource| {
        AesKey::parse(&read(source)?).ok_or_else(|| Refusal::missing_input(not_a_key(source)).help(whole_key()))
    };
    let tokens = std::iter::once(&callback.token).chain(&callback.previous_token);
    let aes = callback.aes_key.iter().chain(&callback.previous_aes_key);
    Ok(Keys { tokens: tokens.map(read).collect::<Result<_, _>>()?, aes: aes.map(key).collect::<Result<_, _>>()? })
}

/// That a secret is not what it should be.
pub(super) fn not_a_key(source: &SecretSource) -> Phrase {
    say!("{source} is not an EncodingAESKey", source = origin(source))
}

/// What to do about that.
pub(super) fn whole_key() -> Phrase {
    say!("copy all {characters} characters from the console (消息与事件推送)", characters = limits::AES_KEY_CHARS)
}

/// Why nothing can be kept.
pub(super) fn not_kept(error: WriteError) -> Refusal {
    match error {
        WriteError::Ledger(error) => error.into(),
        WriteError::Lock(why) => Refusal::missing_input(why),
        error => Refusal::new(ExitCode::Conflict, error.words()),
    }
}
