//! What commands that reach the state or WeChat share: address, state, lock, token source.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Common, fail,
    world::{self, DiskProject, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::{Clock, shanghai},
    ledger::{
        Ledger, LedgerError, Scope, open,
        store::{Owner, Store, TokenKey, Tokens, WriteError},
    },
    plan::model::{SecretSource, TokenEndpoint},
    problem::Problem,
    redact::Redactor,
    render::RenderedPlan,
    run,
    wechat::{
        http::{ApiBase, WECHAT},
        token::TokenSource,
    },
};

/// The address of the API, or wrong usage.
pub(super) fn api_base(common: &Common, terminal: &Terminal) -> Result<ApiBase, ExitCode> {
    let text = common.api_base.as_deref().filter(|text| !text.is_empty()).unwrap_or(WECHAT);
    let base = ApiBase::parse(text).map_err(|message| {
        fail(terminal, ExitCode::Usage, &message, &["write --api-base https://..., or http://127.0.0.1:PORT".into()])
    })?;
    if common.now.is_some() && !base.loopback {
        return Err(fail(
            terminal,
            ExitCode::Usage,
            "--now is for rehearsals: it is not taken against WeChat",
            &["use --sandbox, or --api-base http://127.0.0.1:PORT".into()],
        ));
    }
    Ok(base)
}

/// A rehearsal on this machine never counts as the real thing.
pub(super) fn platform(base: &ApiBase) -> &'static str {
    if base.loopback { "loopback" } else { "wechat" }
}

/// Where the state is: as `--state` says, or in the project.
pub(super) fn store(common: &Common, project: &DiskProject) -> Result<Box<dyn Store>, String> {
    common.state.as_deref().map_or_else(|| Ok(open::of_project(project.root())), open::named)
}

pub(super) fn state(common: &Common, project: &DiskProject, terminal: &Terminal) -> Result<Box<dyn Store>, ExitCode> {
    store(common, project).map_err(|message| fail(terminal, ExitCode::Usage, &message, &[]))
}

/// Where the token of a plan's account is kept.
pub(super) fn tokens(state: &dyn Store, plan: &RenderedPlan, base: &ApiBase) -> Box<dyn Tokens> {
    let endpoint = endpoint_name(plan.account.token);
    state.tokens(TokenKey { appid: &plan.appid, base: base.as_str(), endpoint })
}

pub(super) fn scope(plan: &RenderedPlan, platform: &str) -> Scope {
    Scope {
        platform: platform.into(),
        appid: plan.appid.clone(),
        plan: plan.name.clone(),
        occurrence: plan.occurrence.clone(),
    }
}

/// This process, as others are told that it holds the lock.
pub(super) fn owner(plan: &RenderedPlan, clock: &dyn Clock) -> Owner {
    let (host, pid) = world::identity();
    Owner { pid, host, since: clock.now(), plan: plan.path.clone() }
}

/// The ledger with the lock of the account, or 8 with who holds it. What is wrong is said here.
pub(super) fn write(
    state: &dyn Store,
    plan: &RenderedPlan,
    platform: &str,
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<Box<dyn Ledger>, (ExitCode, Problem)> {
    let problem = |message: String| Problem { message, help: Vec::new(), errcode: None };
    state.write(platform, &plan.appid, &owner(plan, clock)).map_err(|error| match error {
        WriteError::Held(owner) => {
            let who = owner.map_or_else(String::new, |owner| {
                format!(
                    ": process {} on {} since {} ({})",
                    owner.pid,
                    owner.host,
                    shanghai(owner.since).strftime("%Y-%m-%d %H:%M:%S"),
                    owner.plan
                )
            });
            let message = format!("another run of the account {} is under way{who}", plan.appid);
            fail(
                terminal,
                ExitCode::Conflict,
                &message,
                &["wait until it has ended; its lock dies with its process".into()],
            );
            (ExitCode::Conflict, problem(message))
        }
        WriteError::Lock(message) => {
            fail(terminal, ExitCode::MissingInput, &message, &["choose another place with --state sqlite:PATH".into()]);
            (ExitCode::MissingInput, problem(message))
        }
        WriteError::Ledger(error) => (store_failed(&error, terminal), store_problem(&error)),
    })
}

pub(super) fn store_failed(error: &LedgerError, terminal: &Terminal) -> ExitCode {
    let problem = store_problem(error);
    fail(terminal, ExitCode::MissingInput, &problem.message, &problem.help)
}

/// What is wrong with the store, and what to do.
pub(super) fn store_problem(error: &LedgerError) -> Problem {
    let help = match error {
        LedgerError::Newer { .. } => "use the newer qunfa",
        LedgerError::Damaged { .. } | LedgerError::Unreadable { .. } => {
            "restore it from a copy; without it nobody knows what was sent"
        }
        LedgerError::Conflict { .. } => "run it again; what was sent meanwhile is in the state store",
        LedgerError::Store { .. } => "check its path, its rights and the space on the disk",
    };
    Problem { message: run::chain(error), help: vec![help.into()], errcode: None }
}

/// The credential of a plan's account.
pub(super) fn token_source(
    plan: &RenderedPlan,
    plan_path: &str,
    redactor: &mut Redactor,
) -> Result<TokenSource, String> {
    // Relative to the file that names it: the account's own file, or the plan.
    let base = if plan_path == "-" { Path::new("") } else { Path::new(plan_path).parent().unwrap_or(Path::new("")) };
    let folder: PathBuf = match &plan.account_path {
        Some(account) => base.join(account).parent().map(Path::to_owned).unwrap_or_default(),
        None => base.to_owned(),
    };
    if let Some(source) = &plan.account.access_token {
        let source: SecretSource = source.clone();
        redactor.learn(&world::read_secret(&source, &folder)?);
        return Ok(TokenSource::Given(Box::new(move || world::read_secret(&source, &folder))));
    }
    let source = plan.account.secret.as_ref().ok_or("the account has neither `secret` nor `access_token`")?;
    let secret = world::read_secret(source, &folder)?;
    redactor.learn(&secret);
    Ok(TokenSource::Endpoint { endpoint: plan.account.token, appid: plan.appid.clone(), secret })
}

pub(super) fn endpoint_name(endpoint: TokenEndpoint) -> &'static str {
    match endpoint {
        TokenEndpoint::Stable => "stable",
        TokenEndpoint::Classic => "classic",
    }
}

/// How long a token is waited for, and the pause before it is asked for again.
pub(super) fn patience(plan: &RenderedPlan) -> (Duration, Duration) {
    let first = plan.steps.first();
    let timeout = first.map_or(Duration::from_secs(30), |step| step.timeout);
    (timeout, first.map_or(Duration::from_secs(1), |step| step.retry.backoff))
}
