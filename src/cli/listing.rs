//! What the commands share that list what an account has: whose account it is, how it is asked, how a list is shown.

use serde_json::Value;

use super::{
    clock::RealClock,
    failure::Failure,
    load::{open_session, open_without_plan},
    options::{BadValue, Common, Format, FormatArg, number},
    process,
    session::Session,
    subject::Subject,
    terminal::Terminal,
};
use crate::{
    clock::shanghai,
    limits,
    locale::{Count, Phrase, say},
    platform::Platform,
    problem::Refusal,
    render::RetryPolicy,
    run::asker::{self, Asker, Listed},
};

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The plan whose account is meant; not needed with --account FILE
    plan: Option<String>,
    /// Lists at most N
    #[arg(long, value_name = "N", default_value = "100", env = "QUNFA_LIMIT", hide_env_values = true, value_parser = limit)]
    pub(super) limit: usize,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

fn limit(text: &str) -> Result<usize, BadValue> {
    let found = number::<usize>(text)?;
    Some(found)
        .filter(|number| (1..=limits::LIST_ITEMS_MAX).contains(number))
        .ok_or_else(|| BadValue(say!("write a number from 1 to {most}", most = Count::from(limits::LIST_ITEMS_MAX))))
}

impl ListArgs {
    pub(super) fn wants_json(&self) -> bool {
        self.format.format == Format::Json
    }

    pub(super) fn open(&self, common: &Common, terminal: &Terminal) -> Result<Session, Failure> {
        open_account(self.plan.as_deref(), common, terminal)
    }
}

/// Opens a command about an account: that of a plan, that of a fleet, or one in a file of its own (`--account`).
pub(super) fn open_account(plan: Option<&str>, common: &Common, terminal: &Terminal) -> Result<Session, Failure> {
    match &common.account {
        _ if plan.is_some() || common.fleet.is_some() => {
            open_session(Subject::one(plan, common, terminal)?.target(), common, terminal)
        }
        Some(account) => open_without_plan(account, common, terminal),
        None => {
            let refusal = Refusal::usage(say!("no account is named"));
            Err(refusal.help(say!("name a plan, or the file of an account: --account account.yaml")).into())
        }
    }
}

/// Asks WeChat about the account of a session.
pub(super) fn asking<T>(
    session: &Session,
    common: &Common,
    terminal: &Terminal,
    ask: impl FnOnce(&mut Asker<'_, '_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    process::catch_signals();
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    let mut connection = session.connect(session.tokens(terminal))?;
    let (timeout, clock) = (connection.timeout, RealClock::at(common.now));
    let retry = session.plan.steps.first().map_or_else(RetryPolicy::default, |step| step.retry);
    let mut client = connection.client(credential, &clock);
    ask(&mut Asker { client: &mut client, clock: &clock, timeout, retry, interrupted: &process::interrupted })
}

/// `drafts` of an account: how many there are, and how many of them are shown.
pub(super) fn head(session: &Session, what: &Phrase, listed: &Listed) -> String {
    let appid = session.plan.appid.as_str();
    let (shown, total) = (Count::from(listed.items.len()), Count(listed.total));
    let of = match session.scope.platform {
        Platform::Loopback => say!("account {appid} (server on this machine), {what}", appid, what),
        Platform::Wechat | Platform::Sandbox => say!("account {appid}, {what}", appid, what),
    };
    match (listed.items.len() as u64) < listed.total {
        true => format!("{}\n", say!("{of}: {shown} of {total}", of, shown, total)),
        false => format!("{}\n", say!("{of}: {total}", of, total)),
    }
}

/// That a list may lack something.
pub(super) fn doubt(listed: &Listed) -> String {
    match listed.partial {
        true => format!("  {}\n", say!("the list changed while it was read; run it again")),
        false => String::new(),
    }
}

/// When something was changed; none if WeChat does not say.
pub(super) fn updated(item: &Value) -> Option<jiff::Timestamp> {
    let seconds = asker::number(item.get("update_time")?).filter(|seconds| *seconds > 0)?;
    jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// The same for people.
pub(super) fn time(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(String::new, |at| shanghai(at).strftime("%Y-%m-%d %H:%M").to_string())
}

/// A text of an item; empty if there is none.
pub(super) fn text<'v>(item: &'v Value, name: &str) -> &'v str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The articles of a draft or of a publication.
pub(super) fn articles(item: &Value) -> &[Value] {
    item["content"]["news_item"].as_array().map_or(&[], Vec::as_slice)
}
