//! `qunfa token`: the cached token's state, never its value.

use clap::Subcommand;
use serde_json::json;

use super::{
    clock::RealClock,
    failure::Failure,
    load::{Strict, load_plan},
    options::{Common, Format, FormatArg},
    place,
    project::DiskProject,
    session::{self, Address, Session},
    subject::Subject,
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::store::{SavedToken, Tokens},
    locale::{Phrase, say},
    problem::{ExitCode, Refusal},
    run::policy,
    wechat::{keeper::TokenSource, token::Token},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows when the cached token expires
    Show(Which),
    /// Fetches a new token if the cached one has expired
    Refresh(Which),
    /// Deletes the cached token
    Clear(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Plan of the account [default: all accounts in the state store; required for `refresh`]
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

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (Action::Show(which) | Action::Refresh(which) | Action::Clear(which)) = &args.action;
    let address = Address::of(common)?;
    if which.plan.is_none() && common.fleet.is_none() {
        return without_plan(&args.action, which, common, terminal);
    }
    let subject = Subject::one(which.plan.as_deref(), common, terminal)?;
    let target = subject.target();
    let (plan, loaded) = load_plan(target, common, None, Strict::default(), terminal)?;
    let session = Session::new(target.path, plan, loaded.project, address, common, terminal)?;
    let (appid, base) = (&session.plan.appid, session.base.as_str());
    let tokens = session.tokens(terminal);
    let component = session.component_tokens(terminal);
    let clock = RealClock::at(common.now);
    let mut fetched = 0;
    match &args.action {
        Action::Show(_) => {}
        Action::Clear(_) => {
            for tokens in std::iter::once(&tokens).chain(component.iter().map(|(_, tokens)| tokens)) {
                tokens.forget().map_err(|error| Refusal::missing_input(error.words()))?;
            }
        }
        Action::Refresh(_) => fetched = refresh(&session, &clock, terminal)?,
    }
    let saved = |tokens: &dyn Tokens| tokens.saved().map_err(Refusal::missing_input);
    let (own, of_component) =
        (saved(&*tokens)?, component.map(|(appid, tokens)| Ok::<_, Refusal>((appid, saved(&*tokens)?))).transpose()?);
    let good = |token: &Option<Token>| token.as_ref().is_some_and(|token| token.is_fresh(clock.now()));
    let ends = |token: &Option<Token>| token.as_ref().map(|token| token.good_until);
    if which.format.format == Format::Json {
        let component = of_component.map(|(appid, token)| {
            let (cached, good) = (token.is_some(), good(&token));
            json!({ "appid": appid, "cached": cached, "good": good, "good_until": ends(&token) })
        });
        let mut members = json!({ "appid": appid, "api_base": base, "cached": own.is_some(), "good": good(&own), "good_until": ends(&own), "fetched": fetched });
        if let Some(component) = component {
            members["component"] = component;
        }
        terminal.document(ExitCode::Done, members);
    } else {
        let state =
            |token: &Option<Token>| ends(token).map_or_else(|| say!("no cached token"), |at| state(at, good(token)));
        terminal.out(&format!("{}\n", say!("{appid} at {base}: {state}", appid, base, state = state(&own))));
        if let Some((appid, token)) = of_component {
            let state = state(&token);
            terminal.out(&format!("{}\n", say!("third-party platform {appid}: {state}", appid, state)));
        }
    }
    Ok(ExitCode::Done)
}

/// What a cached token is good for.
fn state(good_until: jiff::Timestamp, good: bool) -> Phrase {
    let time = shanghai(good_until).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    if good { say!("cached token, valid until {time}", time) } else { say!("cached token, expired at {time}", time) }
}

/// How often a token was fetched for it.
fn refresh(session: &Session, clock: &dyn Clock, terminal: &Terminal) -> Result<u32, Refusal> {
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    if matches!(credential.source, TokenSource::Given(_)) {
        let message = say!("an external token store maintains the account's `access_token`; qunfa cannot refresh it");
        return Err(Refusal::usage(message).help(say!("refresh it in that store")));
    }
    let mut connection = session.connect(session.tokens(terminal))?;
    let mut client = connection.client(credential, clock);
    match client.ready() {
        Ok(()) => Ok(client.token_fetches()),
        Err(error) => Err(Refusal { code: ExitCode::Failed, problem: policy::token_advice(&error) }),
    }
}

/// Every token of the state store.
fn without_plan(action: &Action, which: &Which, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let project = DiskProject::new(std::path::Path::new("."));
    let store = place::of_project(common, &project)?;
    match action {
        Action::Show(_) => {}
        Action::Clear(_) => {
            let queue = session::TokenQueue::new("", terminal);
            store.forget_all_tokens(&queue).map_err(|error| Refusal::missing_input(error.words()))?;
        }
        Action::Refresh(_) => {
            return Err(Refusal::usage(say!("no account given"))
                .help(say!("name its plan: qunfa token refresh PLAN"))
                .into());
        }
    }
    let now = RealClock::at(common.now).now();
    let all = store.all_tokens().map_err(Refusal::missing_input)?;
    if which.format.format == Format::Json {
        let entry = |SavedToken { appid, base, good_until }: &SavedToken| json!({ "appid": appid, "api_base": base, "good": now < *good_until, "good_until": good_until });
        let members = json!({ "tokens": all.iter().map(entry).collect::<Vec<_>>() });
        terminal.document(ExitCode::Done, members);
    } else if all.is_empty() {
        terminal.out(&format!("{}\n", say!("no cached token")));
    } else {
        for SavedToken { appid, base, good_until: until } in all {
            let state = state(until, now < until);
            terminal.out(&format!("{}\n", say!("{appid} at {base}: {state}", appid, base, state)));
        }
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_or_over() {
        let _heard = crate::locale::tests::heard("cli-token-a_token_is_good_or_over");
        let of = |good| state(jiff::Timestamp::UNIX_EPOCH, good);
        assert_eq!(of(true), "cached token, valid until 1970-01-01 08:00:00 +08:00");
        assert_eq!(of(false), "cached token, expired at 1970-01-01 08:00:00 +08:00");
    }
}
