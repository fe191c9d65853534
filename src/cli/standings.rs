//! Where the accounts of a fleet stand, asked of the state store that their runs share; and the guard that reads it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Once,
};

use super::{session::Session, target::OpenFleet, terminal::Terminal};
use crate::{
    fleet::{
        Member,
        standing::{HeldBack, standing},
    },
    ledger::{AccountRun, Ledger, LedgerError},
    limits,
    locale::{list, say},
    problem::{ExitCode, Refusal},
    report::fleet::Standing,
    text::quoted,
};

/// What the ledger knows of the accounts of an edition, by AppID.
pub(super) struct Known {
    pub(super) accounts: BTreeMap<String, AccountRun>,
    pub(super) standings: HashMap<String, Standing>,
}

impl Known {
    /// One question for all; only of runs that did not end it is asked whether they are in progress.
    pub(super) fn ask(ledger: Option<&dyn Ledger>, session: &Session) -> Result<Self, LedgerError> {
        let scope = &session.scope;
        let Some(ledger) = ledger else { return Ok(Self { accounts: BTreeMap::new(), standings: HashMap::new() }) };
        let ask = || ledger.accounts(scope.platform.name(), &scope.plan, &scope.occurrence);
        let mut accounts = ask()?;
        let is_open = |account: &AccountRun| account.run.as_ref().is_some_and(|run| run.ended.is_none());
        let mut held: HashMap<String, bool> = HashMap::new();
        for account in accounts.iter().filter(|account| is_open(account)) {
            held.insert(account.appid.clone(), session.store.holder(&account.appid)?.is_some());
        }
        // A run that ended between the two questions has no lock any more, and is told by the ledger.
        if held.values().any(|held| !held) {
            accounts = ask()?;
        }
        let mut standings = HashMap::new();
        for account in &accounts {
            // One that began since is in progress.
            let held = is_open(account) && held.get(&account.appid).copied().unwrap_or(true);
            standings.insert(account.appid.clone(), standing(Some(account), held));
        }
        let accounts = accounts.into_iter().map(|account| (account.appid.clone(), account)).collect();
        Ok(Self { accounts, standings })
    }
}

/// Refused if an account of a fleet may not begin yet.
pub(super) fn may_begin(
    fleet: &OpenFleet,
    member: &Member,
    ledger: &dyn Ledger,
    session: &Session,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    static SAID: Once = Once::new();
    if !fleet.fleet.is_guarded() {
        return Ok(());
    }
    if !session.is_kept() {
        let note = say!("note: without --state, a rehearsal checks neither waves nor `stop`");
        SAID.call_once(|| terminal.note(&format!("{note}\n")));
        return Ok(());
    }
    let known = Known::ask(Some(ledger), session)?;
    let Some(held) = fleet.fleet.held_back(member, &known.standings) else { return Ok(()) };
    let (HeldBack::Waves(names) | HeldBack::Stopped(names)) = &held;
    let shown = names.iter().take(limits::NAMES_SHOWN).map(|name| {
        let member = fleet.fleet.members.iter().find(|member| member.name == *name);
        let appid = member.map_or("", |member| member.appid.as_str());
        let standing = known.standings.get(appid).copied().unwrap_or(Standing::NotBegun);
        say!("{account} ({standing})", account = *name, standing = standing.label())
    });
    let accounts = list(shown);
    let message = match &held {
        HeldBack::Waves(names) => say!(
            "wave {wave} does not begin: {number} account of earlier waves has not succeeded: {accounts}"
                | "wave {wave} does not begin: {number} accounts of earlier waves have not succeeded: {accounts}",
            number = names.len(),
            wave = member.wave,
            accounts
        ),
        HeldBack::Stopped(names) => say!(
            "no more accounts begin: {number} account failed or is unknown: {accounts}"
                | "no more accounts begin: {number} accounts failed or are unknown: {accounts}",
            number = names.len(),
            accounts
        ),
    };
    let words = ["--fleet", &fleet.path, "--account", names[0]].into_iter();
    let words = words.chain(session.plan.options.iter().map(String::as_str)).map(quoted);
    let words = words.collect::<Vec<_>>().join(" ");
    let refusal = Refusal::new(ExitCode::Refused, message);
    Err(refusal
        .help(say!("run those first: qunfa run {words}", words))
        .help(say!("see `qunfa fleet status {fleet}`", fleet = quoted(&fleet.path).into_owned())))
}
