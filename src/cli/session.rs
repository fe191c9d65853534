//! What commands that reach the state or WeChat share: address, state, lock, token source.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Common, fail,
    state::{Lock, LockError, Owner, State},
    world::{self, DiskProject, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::{Clock, shanghai},
    ledger::{LedgerError, Scope, sqlite::Sqlite},
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

pub(super) fn state(common: &Common, project: &DiskProject, terminal: &Terminal) -> Result<State, ExitCode> {
    State::locate(common.state.as_deref(), project.root())
        .map_err(|message| fail(terminal, ExitCode::Usage, &message, &[]))
}

pub(super) fn scope(plan: &RenderedPlan, platform: &str) -> Scope {
    Scope {
        platform: platform.into(),
        appid: plan.appid.clone(),
        plan: plan.name.clone(),
        occurrence: plan.occurrence.clone(),
    }
}

/// The lock of an account, or 8 with who holds it.
pub(super) fn lock(
    state: &State,
    plan: &RenderedPlan,
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<Lock, (ExitCode, String)> {
    let (host, pid) = world::identity();
    let owner = Owner { pid, host, since: clock.now(), plan: plan.path.clone() };
    state.lock(&plan.appid, &owner).map_err(|error| match error {
        LockError::Held(owner) => {
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
            (ExitCode::Conflict, message)
        }
        LockError::Failed(message) => {
            fail(terminal, ExitCode::MissingInput, &message, &["choose another place with --state sqlite:PATH".into()]);
            (ExitCode::MissingInput, message)
        }
    })
}

pub(super) fn open(state: &State, terminal: &Terminal) -> Result<Sqlite, ExitCode> {
    Sqlite::open(&state.path).map_err(|error| store_failed(&error, terminal))
}

pub(super) fn store_failed(error: &LedgerError, terminal: &Terminal) -> ExitCode {
    let problem = store_problem(error);
    fail(terminal, ExitCode::MissingInput, &problem.message, &problem.help)
}

/// What is wrong with the store, and what to do.
pub(super) fn store_problem(error: &LedgerError) -> Problem {
    let help = match error {
        LedgerError::Newer { .. } => "use the newer qunfa",
        LedgerError::Damaged { .. } => "restore it from a copy; without it nobody knows what was sent",
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
