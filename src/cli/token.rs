//! `qunfa token`: the cached token's state, never its value.

use clap::Subcommand;
use serde_json::json;

use super::{
    Common, Format, FormatArg, document, fail,
    load::load_or_fail,
    session,
    world::{self, RealClock, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::{Clock as _, shanghai},
    ledger::store::SavedToken,
    redact::Redactor,
    run::policy,
    wechat::{
        http::Http,
        token::{Keeper, TokenSource},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows when the cached token ends
    #[command(after_help = "Example: qunfa token show plan.yaml")]
    Show(Which),
    /// Fetches a token now, if the cached one is not good any more
    #[command(after_help = "Example: qunfa token refresh plan.yaml")]
    Refresh(Which),
    /// Forgets the cached token
    #[command(after_help = "Example: qunfa token clear plan.yaml")]
    Clear(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The plan whose account it is [default: every account of the state store; `refresh` needs a plan]
    plan: Option<String>,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub(super) fn format(&self) -> &FormatArg {
        let (Action::Show(which) | Action::Refresh(which) | Action::Clear(which)) = &self.action;
        &which.format
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    match token(args, common, terminal) {
        Ok(code) | Err(code) => code,
    }
}

fn token(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    let (Action::Show(which) | Action::Refresh(which) | Action::Clear(which)) = &args.action;
    let base = session::api_base(common, terminal)?;
    let Some(path) = &which.plan else { return without_plan(&args.action, which, common, terminal) };
    let (plan, project) = load_or_fail(path, common, &which.format, None, terminal)?;
    let state = session::state(common, &project, terminal)?;
    let tokens = session::tokens(&*state, &plan, &base);
    let clock = RealClock::at(common.now);
    let failed = |message: String| fail(terminal, ExitCode::MissingInput, &message, &[]);
    let mut fetched = 0;
    match &args.action {
        Action::Show(_) => {}
        Action::Clear(_) => {
            tokens.forget().map_err(failed)?;
        }
        Action::Refresh(_) => {
            let mut redactor = Redactor::default();
            let source = session::token_source(&plan, path, &mut redactor).map_err(failed)?;
            if matches!(source, TokenSource::Given(_)) {
                let message = "the account's `access_token` is kept by somebody else; qunfa cannot refresh it";
                return Err(fail(terminal, ExitCode::Usage, message, &["refresh it where it is kept".into()]));
            }
            let mut http = Http::new(base.clone(), world::abandoned);
            let (timeout, pause) = session::patience(&plan);
            let mut keeper = Keeper::new(source, &*tokens, timeout, pause);
            let result = keeper.get(&mut http, &clock);
            fetched = keeper.fetches;
            if let Err(error) = result {
                let (message, help, _) = policy::token_advice(&error);
                return Err(fail(terminal, ExitCode::Failed, &redactor.clean(&message), &help));
            }
        }
    }
    let saved = tokens.saved().map_err(failed)?;
    let good = saved.as_ref().is_some_and(|token| token.is_fresh(clock.now()));
    let ends = saved.map(|token| token.good_until);
    if which.format.format == Format::Json {
        let members = json!({ "appid": plan.appid, "api_base": base.as_str(), "cached": ends.is_some(), "good": good, "good_until": ends, "fetched": fetched });
        document(terminal, ExitCode::Done, members);
    } else {
        let words = match ends {
            None => "no token is cached".to_owned(),
            Some(at) if good => {
                format!("a token is cached, good until {}", shanghai(at).strftime("%Y-%m-%d %H:%M:%S %:z"))
            }
            Some(at) => format!("a token is cached, which ended at {}", shanghai(at).strftime("%Y-%m-%d %H:%M:%S %:z")),
        };
        terminal.out(&format!("{} at {}: {words}\n", plan.appid, base.as_str()));
    }
    Ok(ExitCode::Done)
}

/// Every token of the state store.
fn without_plan(action: &Action, which: &Which, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    let project = world::DiskProject::new(std::path::Path::new("."));
    let state = session::state(common, &project, terminal)?;
    let failed = |message: String| fail(terminal, ExitCode::MissingInput, &message, &[]);
    match action {
        Action::Show(_) => {}
        Action::Clear(_) => state.forget_all_tokens().map_err(failed)?,
        Action::Refresh(_) => {
            let help = "write: qunfa token refresh PLAN";
            return Err(fail(terminal, ExitCode::Usage, "which account's token is not said", &[help.into()]));
        }
    }
    let now = RealClock::at(common.now).now();
    let all = state.all_tokens().map_err(failed)?;
    if which.format.format == Format::Json {
        let entry = |SavedToken { appid, base, good_until }: &SavedToken| json!({ "appid": appid, "api_base": base, "good": now < *good_until, "good_until": good_until });
        let members = json!({ "tokens": all.iter().map(entry).collect::<Vec<_>>() });
        document(terminal, ExitCode::Done, members);
    } else if all.is_empty() {
        terminal.out("no token is cached\n");
    } else {
        for SavedToken { appid, base, good_until: until } in all {
            let word = if now < until { "good until" } else { "ended at" };
            terminal.out(&format!("{appid} at {base}: {word} {}\n", shanghai(until).strftime("%Y-%m-%d %H:%M:%S %:z")));
        }
    }
    Ok(ExitCode::Done)
}
