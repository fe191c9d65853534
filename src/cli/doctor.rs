//! `qunfa doctor`: is the account ready for a plan? Reads only: nothing is sent, nothing is changed at WeChat or here, but that
//! tokens by way of a third-party platform are cached.

use std::{cell::Cell, collections::BTreeMap};

use super::{
    callback,
    clock::RealClock,
    failure::Failure,
    load::{Loaded, load},
    options::{Common, Format, FormatArg},
    process,
    sandbox::{self, Stage},
    secrets::origin,
    session::{self, Address, Credential, Session, temporary_folder},
    subject::{ShardArgs, Subject},
    target::Target,
    terminal::Terminal,
};
use crate::{
    clock::Clock,
    diag::Severity,
    events::crypt::AesKey,
    ledger::{
        Scope, open,
        store::{Tokens, WriteError},
    },
    limits,
    locale::{Count, Phrase, say},
    plan::account::{Callback, SecretSource, TokenEndpoint},
    platform::Platform,
    problem::{ExitCode, Refusal},
    render::RenderedPlan,
    report::{
        AccountRef, PlanRef,
        checkup::{self, CHECKUP_SCHEMA, Check, CheckId, CheckState, Checkup},
    },
    run::doctor::{self, LedgerChecks, TokenWay},
    wechat::{
        http::Proxy,
        keeper::TokenSource,
        token::{Token, TokenError, TokenStore},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan to check; `-` reads standard input
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// Checks against the embedded WeChat server; needs no account or secret
    #[arg(long, env = "QUNFA_SANDBOX", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    sandbox: bool,
    #[command(flatten)]
    faults: sandbox::FaultArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    args.faults.only_of(args.sandbox)?;
    let subject = Subject::of(args.plan.as_deref(), &args.shard, common, terminal)?;
    subject.each(terminal, |target| check(args, target, common, terminal))
}

fn check(args: &Args, target: Target<'_>, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let address = Address::unless(args.sandbox, common)?;
    let platform = address.as_ref().map_or(Platform::Sandbox, |address| address.platform);
    // Without a plan that is right there is nothing to look at: its errors are said as `validate` says them.
    let kept = platform != Platform::Sandbox || common.state.is_some();
    let mut loaded = load(target, common, kept.then_some(platform), terminal);
    let Some(plan) = loaded.plan.take() else {
        return Err(loaded.refuse(&target.shown(), Some(&say!("nothing was sent"))));
    };
    let valid = plan_check(&loaded, &plan);
    process::catch_signals();
    let stage = Stage::set(address, &plan, &args.faults, common.now)?;
    let session = Session::new(target.path, plan, loaded.project, stage.address, common, terminal)?;
    let checks = examine(&session, valid, &*stage.clock, terminal)?;
    let (code, checkup) = checkup(&session, checks);
    match args.format.format {
        Format::Json => terminal.out_json(&checkup::json(&checkup)),
        Format::Human => terminal.out_in_colour(&checkup::human(&checkup)),
    }
    Ok(code)
}

/// Everything that is looked at, in the order in which it is shown.
fn examine(session: &Session, valid: Check, clock: &dyn Clock, terminal: &Terminal) -> Result<Vec<Check>, Refusal> {
    let sandbox = session.scope.platform == Platform::Sandbox;
    let mut checks = vec![valid];
    let credential = match sandbox {
        true => Ok(session.sandbox_credential(TokenEndpoint::Stable, terminal)),
        false => session.credential(terminal),
    };
    checks.extend(secret_checks(session, sandbox, credential.as_ref().err()));
    checks.extend(notice_checks(session, sandbox));
    checks.extend(callback_checks(session).into_iter().filter(|_| !sandbox));
    let (of_state, usable) = state_checks(session);
    checks.extend(of_state);
    checks.extend(store_clock(session).filter(|_| usable));
    let of_ledger = match usable {
        true => ledger_checks(session, clock)?,
        false => LedgerChecks::none(&say!("the state store cannot be used")),
    };
    let asked = match credential {
        Ok(credential) => ask(session, of_ledger.wanted.as_ref(), credential, clock, terminal)?,
        Err(_) => {
            let why = say!("a token cannot be requested without the secret");
            Asked { checks: doctor::silent(&session.plan, &why), server_time: None }
        }
    };
    checks.extend(of_ledger.checks);
    let mut of_wechat = asked.checks;
    // After token and address, which come first.
    let after = of_wechat.iter().rposition(|check| check.id == CheckId::IpAllowList).map_or(0, |last| last + 1);
    of_wechat.insert(after, doctor::clock(RealClock::default().now(), asked.server_time));
    checks.extend(of_wechat);
    Ok(checks)
}

fn checkup(session: &Session, checks: Vec<Check>) -> (ExitCode, Checkup) {
    let Session { plan, scope, base, .. } = session;
    // The embedded sandbox has an address that is gone with it.
    let api_base = (scope.platform != Platform::Sandbox).then(|| base.as_str().to_owned());
    let code = checks.iter().find(|check| check.state == CheckState::Error).map_or(ExitCode::Done, code_of);
    let checkup = Checkup {
        schema: CHECKUP_SCHEMA,
        exit_code: code as u8,
        plan: PlanRef { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest().to_owned() },
        account: AccountRef {
            appid: plan.appid.clone(),
            kind: plan.account.kind.name().into(),
            name: plan.account.name.clone(),
        },
        occurrence: plan.occurrence.clone(),
        platform: scope.platform.name().to_owned(),
        api_base,
        verdict: checks.iter().map(|check| check.state).max().unwrap_or(CheckState::Ok).max(CheckState::Ok),
        checks,
    };
    (code, checkup)
}

/// The code with which a run would end.
fn code_of(check: &Check) -> ExitCode {
    match check.id {
        CheckId::Plan => ExitCode::Invalid,
        CheckId::Secret | CheckId::Callback | CheckId::State | CheckId::Disk => ExitCode::MissingInput,
        CheckId::Lock | CheckId::Ledger => ExitCode::Conflict,
        CheckId::Guards | CheckId::Forecast | CheckId::Quota => ExitCode::Refused,
        CheckId::Token
        | CheckId::IpAllowList
        | CheckId::Clock
        | CheckId::Account
        | CheckId::Permission
        | CheckId::Agreement
        | CheckId::Protection => ExitCode::Failed,
    }
}

fn plan_check(loaded: &Loaded, plan: &RenderedPlan) -> Check {
    let (id, text) = (CheckId::Plan, loaded.valid(plan));
    let warnings = loaded.diagnostics.iter().filter(|d| d.severity() == Severity::Warning).count();
    let check = match warnings {
        0 => Check::ok(id, text),
        _ => Check::warning(id, text)
            .help(say!("to list the warnings, run: {command}", command = plan.command("validate", &[]))),
    };
    check.fact("warnings", warnings)
}

fn secret_checks(session: &Session, sandbox: bool, problem: Option<&Phrase>) -> Vec<Check> {
    let (id, account) = (CheckId::Secret, &session.plan.account);
    if sandbox {
        return vec![Check::ok(id, say!("not needed: the sandbox accepts any secret"))];
    }
    if let Some(component) = &account.component {
        let check = |(key, source): (&'static str, &SecretSource)| {
            let check = match session.read(source) {
                Ok(_) => Check::ok(id, say!("found in {source}", source = origin(source))),
                Err(why) => Check::error(id, why).help(how_to_give(source)),
            };
            check.of(Phrase::verbatim(key.replace('/', ".")))
        };
        let mut checks: Vec<Check> = component.sources().into_iter().map(check).collect();
        // What is wrong beside the secrets, such as the variable of an AppID.
        if let Some(problem) = problem.filter(|_| checks.iter().all(|check| check.state == CheckState::Ok)) {
            checks.push(Check::error(id, problem.clone()).of(Phrase::verbatim("component.appid")));
        }
        return checks;
    }
    let (token, secret) = (account.access_token.as_ref(), account.secret.as_ref());
    let check = match (problem, token.or(secret)) {
        (None, Some(source)) if token.is_some() => {
            Check::ok(id, say!("access token found in {source}", source = origin(source)))
        }
        (None, Some(source)) => Check::ok(id, say!("found in {source}", source = origin(source))),
        (None, None) => Check::ok(id, say!("not needed")),
        (Some(problem), source) => Check::error(id, problem.clone())
            .help(source.map_or_else(|| say!("add `secret: {{ env: NAME }}` to the account"), how_to_give)),
    };
    vec![check]
}

/// Whether those who are told how a run ends can be: their secrets are there. Nobody is told anything now, and without them a
/// run does all the same what it is to do.
fn notice_checks(session: &Session, sandbox: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, notice) in session.plan.notify.iter().enumerate().filter(|_| !sandbox) {
        for (key, source) in notice.sources() {
            let check = match session.read_of_plan(source) {
                Ok(_) => Check::ok(CheckId::Secret, say!("found in {source}", source = origin(source))),
                Err(why) => Check::warning(CheckId::Secret, why).help(how_to_give(source)),
            };
            checks.push(check.of(Phrase::verbatim(format!("notify[{index}].{}", key.replace('/', ".")))));
        }
    }
    checks
}

/// Whether the secrets of the callback URL are there, and look like what the console shows.
fn callback_checks(session: &Session) -> Vec<Check> {
    let id = CheckId::Callback;
    let sources = session.plan.account.callback.iter().flat_map(Callback::sources);
    let check = |(key, source): (&'static str, &SecretSource)| {
        let found = || say!("found in {source}", source = origin(source));
        let check = match session.read(source) {
            Err(why) => Check::error(id, why).help(how_to_give(source)),
            Ok(key_of) if key.ends_with("aes_key") && AesKey::parse(&key_of).is_none() => {
                Check::error(id, callback::not_a_key(source)).help(callback::whole_key())
            }
            Ok(_) => Check::ok(id, found()),
        };
        check.of(Phrase::verbatim(key.replace('/', ".")))
    };
    sources.map(check).collect()
}

/// What to do about a secret that is not there.
fn how_to_give(source: &SecretSource) -> Phrase {
    match (&source.env, &source.file) {
        (Some(name), _) => say!("set the environment variable `{name}`; in CI, use a repository secret", name),
        (_, Some(path)) => {
            say!("write the secret to `{path}`, readable only by you, and keep the file out of git", path)
        }
        _ => say!("run the plan's command by hand to see its output"),
    }
}

/// Whether the disk of the state has room.
fn disk_check(free: Option<u64>) -> Check {
    match free {
        None => Check::not_checked(CheckId::Disk, say!("this system does not report free space")),
        Some(bytes) if bytes < limits::DISK_FREE_BYTES => {
            let free = Count(bytes >> 20);
            Check::warning(CheckId::Disk, say!("only {free} MiB free on the disk of the state store", free))
                .help(say!("free up space: a run stops before the next send if it cannot write the ledger"))
                .fact("free_bytes", bytes)
        }
        Some(bytes) => {
            let least = Count(limits::DISK_FREE_BYTES >> 20);
            Check::ok(CheckId::Disk, say!("more than {least} MiB free", least)).fact("free_bytes", bytes)
        }
    }
}

/// The lines about the state here, and whether the ledger can be looked at.
fn state_checks(session: &Session) -> (Vec<Check>, bool) {
    let (store, usable) = store_check(session);
    let disk = match session.store.is_shared() {
        true => Check::not_checked(CheckId::Disk, say!("it is the server's")),
        false => disk_check(session.store.free_bytes()),
    };
    let lock = match session.store.holder(&session.plan.appid) {
        Err(error) => Check::not_checked(CheckId::Lock, error.words()),
        Ok(None) => Check::ok(CheckId::Lock, say!("no other run of this account")),
        Ok(Some(owner)) => {
            let message = match owner.as_ref().map(session::holder) {
                Some(who) => say!("another run of this account is in progress: {who}", who),
                None => say!("another run of this account is in progress"),
            };
            Check::error(CheckId::Lock, message).help(say!("wait until it ends; the lock is released with its process"))
        }
    };
    (vec![store, disk, lock], usable)
}

/// Whether this machine agrees with the clock of the state store, which runs go by.
fn store_clock(session: &Session) -> Option<Check> {
    if !session.store.is_shared() {
        return None;
    }
    let ledger = session.store.read().ok()??;
    let told = ledger.time().ok()??;
    Some(doctor::clock(RealClock::default().now(), Some(told)).of(say!("state store")))
}

fn store_check(session: &Session) -> (Check, bool) {
    let name = session.store.name();
    let id = CheckId::State;
    let health = match session.store.examine() {
        Ok(Some(health)) => health,
        Ok(None) if !session.is_kept() => return (Check::ok(id, say!("a rehearsal uses its own")), true),
        Ok(None) => {
            return (
                Check::ok(id, say!("{name} does not exist yet; the first run creates it", name)).fact("exists", false),
                true,
            );
        }
        Err(error) => {
            let Refusal { problem, .. } = error.into();
            return (Check::problem(id, CheckState::Error, problem), false);
        }
    };
    let facts = |check: Check| {
        let integrity = if health.damage.is_empty() { "ok" } else { "damaged" };
        check.fact("exists", true).fact("format", health.format).fact("integrity", integrity)
    };
    if let Some(first) = health.damage.first() {
        let check = Check::error(id, say!("{name} is damaged: {why}", name, why = first))
            .help(say!("restore it from a backup; without it, qunfa cannot know what was sent"));
        return (facts(check), false);
    }
    if health.format < health.newest {
        let (has, ours) = (health.format, health.newest);
        let text = say!("{name} is intact; the next run upgrades it from format {has} to {ours}", name, has, ours);
        let help = say!("`{command}` upgrades it too", command = session.plan.command("status", &[]));
        return (facts(Check::warning(id, text).help(help)), false);
    }
    if let Some(warning) = health.warnings.first() {
        let others = health.warnings[1..]
            .iter()
            .flat_map(|other| std::iter::once(other.message.clone()).chain(other.help.iter().cloned()));
        let check = others.fold(Check::problem(id, CheckState::Warning, warning.clone()), Check::help);
        return (facts(check), true);
    }
    let format = health.format;
    let text = match health.about {
        Some(about) => say!("{name} is ready (format {format}; {about})", name, format, about),
        None => say!("{name} is intact (format {format}) and private", name, format),
    };
    (facts(Check::ok(id, text)), true)
}

/// What the ledger says; one that is not there yet is empty.
fn ledger_checks(session: &Session, clock: &dyn Clock) -> Result<LedgerChecks, Refusal> {
    let folder = temporary_folder()?;
    let ledger = match session.store.read() {
        Ok(Some(ledger)) => Ok(ledger),
        Ok(None) => {
            let Scope { platform, appid, .. } = &session.scope;
            open::of_rehearsal(folder.path()).write(platform.name(), appid, &session.owner(clock.now()))
        }
        Err(error) => Err(WriteError::from(error)),
    };
    Ok(match ledger {
        Ok(ledger) => doctor::ledger_checks(&session.plan, &*ledger, &session.scope, session.outside(clock.now())),
        Err(error) => LedgerChecks::none(&error.words()),
    })
}

/// What WeChat said, and what time it is there.
struct Asked {
    checks: Vec<Check>,
    server_time: Option<jiff::Timestamp>,
}

fn ask(
    session: &Session,
    wanted: Option<&BTreeMap<String, u64>>,
    credential: Credential,
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<Asked, Refusal> {
    let way = match credential.source {
        TokenSource::Component(_) => TokenWay::Component,
        _ if session.scope.platform == Platform::Sandbox => TokenWay::Sandbox,
        TokenSource::Given(_) => TokenWay::Given,
        TokenSource::Endpoint { endpoint: TokenEndpoint::Stable, .. } => TokenWay::Stable,
        TokenSource::Endpoint { endpoint: TokenEndpoint::Classic, .. } => TokenWay::Cached,
    };
    let refresh = session.plan.command("token refresh", &[]);
    let tokens = Peek { tokens: session.tokens(terminal), way, now: clock.now(), refresh, given: Cell::new(false) };
    let mut connection = session.connect(Box::new(tokens))?;
    let proxy = connection.proxy.clone();
    let mut client = connection.client(credential, clock);
    let mut checks = doctor::ask(&session.plan, wanted, way, &mut client);
    let server_time = client.server_time();
    if let Some(Proxy { name, .. }) = &proxy {
        for check in checks.iter_mut().filter(|check| matches!(check.id, CheckId::IpAllowList)) {
            let said = check.message.clone();
            check.message =
                say!("{said}; calls go through the proxy {name}, so WeChat sees the proxy's address", said, name);
            check.facts.insert("proxy".into(), name.clone().into());
        }
    }
    Ok(Asked { checks, server_time })
}

/// The cached token, looked at and left alone.
struct Peek<'t> {
    tokens: Box<dyn Tokens + 't>,
    way: TokenWay,
    now: jiff::Timestamp,
    /// The command that fetches a new one.
    refresh: String,
    /// The cached token was given out: who asks again was refused with it.
    given: Cell<bool>,
}

impl TokenStore for Peek<'_> {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        match self.way {
            // A token by way of a platform may come with another refresh token, which must not get lost.
            TokenWay::Component => return self.tokens.exclusively(fetch),
            TokenWay::Stable | TokenWay::Given | TokenWay::Sandbox => return fetch(None),
            TokenWay::Cached => {}
        }
        // A new token of the classic endpoint ends the one before, which somebody may be using.
        let saved = self.tokens.saved().map_err(TokenError::Source)?.filter(|token| token.is_fresh(self.now));
        let rejected = self.given.replace(true);
        let why = if rejected { say!("WeChat rejects the cached token") } else { say!("no token is cached") };
        saved.filter(|_| !rejected).ok_or_else(|| {
            TokenError::Source(say!("{why}; with `token: classic`, a new token would invalidate the previous one. Run `{command}` to fetch it, or let a run do so", why, command = self.refresh.as_str()))
        })
    }
    fn kept(&self) -> Result<Option<String>, TokenError> {
        self.tokens.kept()
    }

    fn keep(&self, text: &str) -> Result<(), TokenError> {
        self.tokens.keep(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_almost_full_is_a_warning() {
        let _heard = crate::locale::tests::heard("cli-doctor-a_disk_that_is_almost_full_is_a_warning");
        let said = |free| serde_json::to_value(disk_check(free)).expect("JSON")["state"].clone();
        assert_eq!([None, Some(1 << 20), Some(1 << 40)].map(said), ["not_checked", "warning", "ok"]);
    }
}
