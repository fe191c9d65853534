//! `qunfa doctor`: is the account ready for a plan? Reads only: nothing is sent, nothing is changed at WeChat or here.

use std::cell::Cell;

use super::{
    Common, Format, FormatArg, fail,
    load::load,
    sandbox, session,
    world::{self, RealClock, RehearsalClock, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::{Clock, shanghai},
    diag::{Severity, any_error},
    ledger::{
        LedgerError, Scope, open,
        store::{Store, Tokens},
    },
    limits,
    plan::model::TokenEndpoint,
    redact::{Redactor, Secret},
    render::RenderedPlan,
    report::{
        AccountRef, PlanRef,
        checkup::{self, CHECKUP_SCHEMA, Check, CheckId, CheckState, Checkup},
    },
    run::{
        self,
        doctor::{self, Books, TokenWay},
    },
    wechat::{
        client::Client,
        http::{ApiBase, Http},
        token::{Keeper, Token, TokenError, TokenSource, TokenStore},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan that is to run; `-` is standard input
    plan: String,
    /// Asks an embedded WeChat server: no account, no secret, nothing leaves this machine
    #[arg(long, env = "QUNFA_SANDBOX", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    sandbox: bool,
    #[command(flatten)]
    faults: sandbox::FaultArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    match examine(args, common, terminal) {
        Ok(code) | Err(code) => code,
    }
}

fn examine(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    if !args.sandbox && !args.faults.is_empty() {
        let help = "add --sandbox, or start `qunfa sandbox --fault ...` and give --api-base";
        return Err(fail(terminal, ExitCode::Usage, "--fault is for the sandbox only", &[help.into()]));
    }
    let base = if args.sandbox { None } else { Some(session::api_base(common, terminal)?) };
    let platform = base.as_ref().map_or("sandbox", session::platform);
    // Without a plan that is right there is nothing to look at: its errors are said as `validate` says them.
    let ledgered = base.is_some() || common.state.is_some();
    let loaded = load(&args.plan, common, ledgered.then_some(platform));
    if any_error(&loaded.diagnostics) {
        return Err(loaded.refuse(&args.plan, &args.format, terminal));
    }
    let warnings = loaded.diagnostics.iter().filter(|d| d.severity() == Severity::Warning).count();
    let Some(mut plan) = loaded.plan else { return Err(ExitCode::Internal) };
    world::catch_signals();
    let real = RealClock::at(common.now);
    let mut checks = vec![plan_check(&plan, warnings)];
    // A rehearsal has a state of its own, unless one is named.
    let folder = tempfile::tempdir().map_err(|error| {
        fail(terminal, ExitCode::MissingInput, &format!("no temporary folder can be made: {error}"), &[])
    })?;
    let state =
        if ledgered { session::state(common, &loaded.project, terminal)? } else { open::of_rehearsal(folder.path()) };
    let scope = session::scope(&plan, platform);
    let mut redactor = Redactor::default();
    let sandbox_secret = || TokenSource::Endpoint {
        endpoint: TokenEndpoint::Stable,
        appid: plan.appid.clone(),
        secret: Secret::new("sandbox-secret".into()),
    };
    let source =
        if args.sandbox { Ok(sandbox_secret()) } else { session::token_source(&plan, &args.plan, &mut redactor) };
    checks.push(secret_check(&plan, args.sandbox, source.as_ref().err()));
    let (of_state, usable) = state_checks(&*state, &plan, ledgered);
    checks.extend(of_state);
    let real_limits = base.as_ref().is_some_and(|base| !base.loopback);
    let books = match usable {
        true => books(&mut plan, &*state, folder.path(), &scope, &real, real_limits),
        false => Books::closed("the state store cannot be used"),
    };
    let api_base = base.as_ref().map(|base| base.as_str().to_owned());
    let asked = match source.map(|source| (source, redactor)) {
        Err(_) => Asked { checks: doctor::silent(&plan, "there is no secret to ask for a token with"), told: None },
        Ok(source) => match base {
            Some(base) => ask(&plan, &books, &*state, source, Server { base: &base, clock: &real, sandbox: false }),
            None => {
                let clock = RehearsalClock::new(real.now());
                let server = sandbox::embedded(&plan, clock.clone(), &args.faults).map_err(|error| {
                    fail(terminal, ExitCode::Internal, &format!("the sandbox cannot be started: {error}"), &[])
                })?;
                let base = ApiBase::parse(&server.base_url())
                    .map_err(|message| fail(terminal, ExitCode::Internal, &message, &[]))?;
                ask(&plan, &books, &*state, source, Server { base: &base, clock: &clock, sandbox: true })
            }
        },
    };
    checks.extend(books.checks);
    let mut of_wechat = asked.checks;
    // After token and address, which come first.
    of_wechat.insert(2.min(of_wechat.len()), doctor::clock(RealClock::default().now(), asked.told));
    checks.extend(of_wechat);
    let code = checks.iter().find(|check| check.state == CheckState::Error).map_or(ExitCode::Done, code_of);
    let checkup = Checkup {
        schema: CHECKUP_SCHEMA,
        exit_code: code as u8,
        plan: PlanRef { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest().to_owned() },
        account: AccountRef { appid: plan.appid.clone(), kind: plan.account.kind.name().into() },
        occurrence: plan.occurrence.clone(),
        platform: platform.to_owned(),
        api_base,
        verdict: checks.iter().map(|check| check.state).max().unwrap_or(CheckState::Ok).max(CheckState::Ok),
        checks,
    };
    terminal.out(&match args.format.format {
        Format::Json => checkup::json(&checkup),
        Format::Human => checkup::human(&checkup),
    });
    Ok(code)
}

/// The code with which a run would end.
fn code_of(check: &Check) -> ExitCode {
    match check.id {
        CheckId::Plan => ExitCode::Invalid,
        CheckId::Secret | CheckId::State | CheckId::Disk => ExitCode::MissingInput,
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

fn plan_check(plan: &RenderedPlan, warnings: usize) -> Check {
    let words = crate::text::plural;
    let text = format!("valid, {}, {}", words(plan.steps.len(), "step"), words(plan.calls().count(), "request"));
    let check = match warnings {
        0 => Check::ok(CheckId::Plan, text),
        count => Check::warning(CheckId::Plan, format!("{text}, {}", words(count, "warning")))
            .help(format!("qunfa validate {} says which", plan.path)),
    };
    check.fact("warnings", warnings)
}

fn secret_check(plan: &RenderedPlan, sandbox: bool, problem: Option<&String>) -> Check {
    let id = CheckId::Secret;
    if sandbox {
        return Check::ok(id, "the sandbox takes any, so none is read");
    }
    match problem {
        None if plan.account.access_token.is_some() => Check::ok(id, "an access token is where the plan says"),
        None => Check::ok(id, "it is where the plan says"),
        Some(problem) => {
            let source = plan.account.access_token.as_ref().or(plan.account.secret.as_ref());
            let help = match source {
                Some(source) => match (&source.env, &source.file) {
                    (Some(name), _) => {
                        format!("set the environment variable `{name}`; in CI, from a secret of the repository")
                    }
                    (_, Some(path)) => {
                        format!("write it into `{path}`, readable by you alone, and keep that out of git")
                    }
                    _ => "run the command of the plan by hand to see what it prints".into(),
                },
                None => "write `secret: { env: NAME }` into the account".into(),
            };
            Check::error(id, problem.clone()).help(help)
        }
    }
}

/// The lines about the state here, and whether the ledger can be looked at.
fn state_checks(state: &dyn Store, plan: &RenderedPlan, ledgered: bool) -> (Vec<Check>, bool) {
    let name = state.name();
    let (store, usable) = store_check(state, &name, ledgered);
    let disk = match state.free_bytes() {
        None => Check::not_checked(CheckId::Disk, "this system does not say how much is free"),
        Some(bytes) if bytes < limits::DISK_FREE_BYTES => {
            Check::warning(CheckId::Disk, format!("only {} MiB are free where the state is", bytes >> 20))
                .help("make room: a run stops before the next send when the ledger cannot be written")
                .fact("free_bytes", bytes)
        }
        Some(bytes) => {
            let least = limits::DISK_FREE_BYTES >> 20;
            Check::ok(CheckId::Disk, format!("more than {least} MiB are free where the state is"))
                .fact("free_bytes", bytes)
        }
    };
    let lock = match state.holder(&plan.appid) {
        Err(error) => Check::not_checked(CheckId::Lock, run::chain(&error)),
        Ok(None) => Check::ok(CheckId::Lock, "no run of the account is under way"),
        Ok(Some(owner)) => {
            let who = owner.map_or_else(String::new, |owner| {
                let since = shanghai(owner.since).strftime("%Y-%m-%d %H:%M:%S");
                format!(": process {} on {} since {since} ({})", owner.pid, owner.host, owner.plan)
            });
            Check::error(CheckId::Lock, format!("a run of the account is under way{who}"))
                .help("wait until it has ended; its lock dies with its process")
        }
    };
    (vec![store, disk, lock], usable)
}

fn store_check(state: &dyn Store, name: &str, ledgered: bool) -> (Check, bool) {
    let id = CheckId::State;
    let health = match state.examine() {
        Ok(Some(health)) => health,
        Ok(None) if !ledgered => return (Check::ok(id, "a rehearsal has one of its own"), true),
        Ok(None) => {
            return (
                Check::ok(id, format!("{name} is not there yet; the first run makes it")).fact("exists", false),
                true,
            );
        }
        Err(error) => {
            let help = match &error {
                LedgerError::Newer { .. } => "use the newer qunfa",
                LedgerError::Damaged { .. } | LedgerError::Unreadable { .. } => {
                    "restore it from a copy; without it nobody knows what was sent"
                }
                LedgerError::Conflict { .. } => "look again",
                LedgerError::Store { .. } => "check its path, its rights and the space on the disk",
            };
            return (Check::error(id, run::chain(&error)).help(help), false);
        }
    };
    let facts = |check: Check| {
        let integrity = if health.damage.is_empty() { "ok" } else { "damaged" };
        check.fact("exists", true).fact("format", health.format).fact("integrity", integrity)
    };
    if let Some(first) = health.damage.first() {
        let check = Check::error(id, format!("{name} is damaged: {first}"))
            .help("restore it from a copy; without it nobody knows what was sent");
        return (facts(check), false);
    }
    if health.format < health.newest {
        let (has, ours) = (health.format, health.newest);
        let text = format!("{name} is sound; it has format {has}, and the next run brings it to format {ours}");
        return (facts(Check::warning(id, text).help("`qunfa status PLAN` does it too")), false);
    }
    if let Some(warning) = health.warnings.first() {
        return (facts(Check::problem(id, CheckState::Warning, warning.clone())), true);
    }
    (facts(Check::ok(id, format!("{name} is sound (format {}) and private", health.format))), true)
}

/// What the ledger says; one that is not there yet is empty.
fn books(
    plan: &mut RenderedPlan,
    state: &dyn Store,
    folder: &std::path::Path,
    scope: &Scope,
    clock: &dyn Clock,
    real: bool,
) -> Books {
    let ledger = match state.read() {
        Ok(Some(ledger)) => Ok(ledger),
        Ok(None) => open::of_rehearsal(folder).write(&scope.platform, &scope.appid, &session::owner(plan, clock)),
        Err(error) => Err(error.into()),
    };
    match ledger {
        Ok(ledger) => doctor::books(plan, &*ledger, scope, clock.now(), real),
        Err(error) => Books::closed(&run::chain(&error)),
    }
}

/// Whom it asks: WeChat, or the sandbox, which has a time of its own.
struct Server<'a> {
    base: &'a ApiBase,
    clock: &'a dyn Clock,
    sandbox: bool,
}

/// What WeChat said, and the time that it told last.
struct Asked {
    checks: Vec<Check>,
    told: Option<jiff::Timestamp>,
}

fn ask(
    plan: &RenderedPlan,
    books: &Books,
    state: &dyn Store,
    (source, redactor): (TokenSource, Redactor),
    server: Server<'_>,
) -> Asked {
    let Server { base, clock, sandbox } = server;
    let way = match source {
        _ if sandbox => TokenWay::Sandbox,
        TokenSource::Given(_) => TokenWay::Given,
        TokenSource::Endpoint { endpoint: TokenEndpoint::Stable, .. } => TokenWay::Stable,
        TokenSource::Endpoint { endpoint: TokenEndpoint::Classic, .. } => TokenWay::Cached,
    };
    let tokens = Peek { tokens: session::tokens(state, plan, base), way, now: clock.now(), given: Cell::new(false) };
    let (timeout, pause) = session::patience(plan);
    let mut http = Http::new(base.clone(), world::abandoned);
    let mut client = Client::new(&mut http, Keeper::new(source, &tokens, timeout, pause), clock, redactor);
    let checks = doctor::ask(plan, books.wanted.as_ref(), way, &mut client);
    drop(client);
    Asked { checks, told: http.told() }
}

/// The cached token, looked at and left alone.
struct Peek {
    tokens: Box<dyn Tokens>,
    way: TokenWay,
    now: jiff::Timestamp,
    /// The cached token was given out: who asks again was refused with it.
    given: Cell<bool>,
}

impl TokenStore for Peek {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        if self.way != TokenWay::Cached {
            return fetch(None);
        }
        // A new token of the classic endpoint ends the one before, which somebody may be using.
        let saved = self.tokens.saved().map_err(TokenError::Source)?.filter(|token| token.is_fresh(self.now));
        let rejected = self.given.replace(true);
        let why = if rejected { "WeChat rejects the cached token" } else { "no token is cached" };
        saved.filter(|_| !rejected).ok_or_else(|| {
            TokenError::Source(format!("{why}, and fetching one with `token: classic` would end the one before; `qunfa token refresh PLAN` does it, and so does a run"))
        })
    }
}
