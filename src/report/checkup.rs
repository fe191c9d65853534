//! What `qunfa doctor` found: is the account ready for a plan? The lines, and how people and programs read them.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::{AccountRef, PlanRef, human, words};
use crate::{
    locale::{Count, Phrase, say},
    problem::Problem,
    text,
};

/// Version of the shape.
pub const CHECKUP_SCHEMA: u32 = 1;

/// Whether the account is ready for a plan.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Checkup {
    /// Version of this format.
    pub(crate) schema: u32,
    /// Exit code of the process: that of the first error, or 0.
    pub(crate) exit_code: u8,
    /// The plan to run.
    pub(crate) plan: PlanRef,
    /// The account to send from.
    pub(crate) account: AccountRef,
    /// Edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Destination of the calls: `wechat`, `loopback` (a server on this machine) or `sandbox` (embedded).
    pub(crate) platform: String,
    /// API address; null for the embedded sandbox.
    pub(crate) api_base: Option<String>,
    /// The worst status of all lines: `error`, `warning` or `ok`.
    pub(crate) verdict: CheckState,
    /// One entry per line, in the order of a run. All lines are present, even if earlier ones failed.
    pub(crate) checks: Vec<Check>,
}

/// One line of the result.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Check {
    /// What was checked.
    pub(crate) id: CheckId,
    /// Which one, if there are several: the path of a call, or the purpose of a permission.
    pub(crate) subject: Option<Phrase>,
    /// Status.
    pub(crate) state: CheckState,
    /// What was found.
    pub(crate) message: Phrase,
    /// What to do, one entry per sentence.
    pub(crate) help: Vec<Phrase>,
    /// WeChat's error code, if a reply is the cause.
    pub(crate) errcode: Option<i64>,
    /// The result as data: `ip`, `daily_limit`, `used`, `remain`, `wanted`, `skew_seconds`, ...
    pub(crate) facts: BTreeMap<String, Value>,
}

/// A check of `doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckId {
    /// The plan and its warnings.
    Plan,
    /// The secret, or an access token from elsewhere.
    Secret,
    /// The secrets of the callback URL, if the account has one.
    Callback,
    /// The state store: whether it opens, its format, permissions and integrity.
    State,
    /// Free disk space for the state store.
    Disk,
    /// Whether another run of the account is in progress.
    Lock,
    /// The plan compared with what was already sent.
    Ledger,
    /// The plan's guards, at this time.
    Guards,
    /// qunfa's quota forecast, based on the ledger.
    Forecast,
    /// Whether an access token can be obtained.
    Token,
    /// The account's IP allow-list.
    IpAllowList,
    /// This machine's clock compared with WeChat's.
    Clock,
    /// The account type compared with the plan.
    Account,
    /// Whether the account may make the plan's calls.
    Permission,
    /// The mass-send agreement.
    Agreement,
    /// Protection of mass sending (API 群发保护).
    Protection,
    /// Remaining calls today, as counted by WeChat.
    Quota,
}

impl CheckId {
    fn label(self) -> Phrase {
        match self {
            Self::Plan => say!("plan"),
            Self::Secret => say!("secret"),
            Self::Callback => say!("callback"),
            Self::State => say!("state store"),
            Self::Disk => say!("disk"),
            Self::Lock => say!("lock"),
            Self::Ledger => say!("ledger"),
            Self::Guards => say!("guards"),
            Self::Forecast => say!("forecast"),
            Self::Token => say!("token"),
            Self::IpAllowList => say!("IP allow-list"),
            Self::Clock => say!("clock"),
            Self::Account => say!("account"),
            Self::Permission => say!("permission"),
            Self::Agreement => say!("agreement"),
            Self::Protection => say!("protection"),
            Self::Quota => say!("quota"),
        }
    }
}

/// Status of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Could not be checked, or only a send would show it.
    NotChecked,
    /// No problem.
    Ok,
    /// A run continues, but someone should check it.
    Warning,
    /// A run would fail or be refused.
    Error,
}

impl CheckState {
    fn label(self) -> Phrase {
        match self {
            Self::Ok => say!("ok"),
            Self::Warning => say!("warning"),
            Self::Error => say!("error"),
            Self::NotChecked => say!("not checked"),
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Error => AnsiColor::Red.on_default().bold(),
            Self::NotChecked => human::DIM,
        }
    }
}

impl Check {
    pub fn new(id: CheckId, state: CheckState, message: impl Into<Phrase>) -> Self {
        let message = message.into();
        Self { id, subject: None, state, message, help: Vec::new(), errcode: None, facts: BTreeMap::new() }
    }

    /// No problem.
    pub fn ok(id: CheckId, message: impl Into<Phrase>) -> Self {
        Self::new(id, CheckState::Ok, message)
    }

    /// Somebody should look.
    pub fn warning(id: CheckId, message: impl Into<Phrase>) -> Self {
        Self::new(id, CheckState::Warning, message)
    }

    /// A run would fail.
    pub fn error(id: CheckId, message: impl Into<Phrase>) -> Self {
        Self::new(id, CheckState::Error, message)
    }

    /// It could not be looked at, and why.
    pub fn not_checked(id: CheckId, why: impl Into<Phrase>) -> Self {
        Self::new(id, CheckState::NotChecked, why)
    }

    /// What a problem says.
    pub fn problem(id: CheckId, state: CheckState, problem: Problem) -> Self {
        let Problem { message, help, errcode } = problem;
        Self { help, errcode, ..Self::new(id, state, message) }
    }

    pub fn of(mut self, subject: impl Into<Phrase>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn help(mut self, text: impl Into<Phrase>) -> Self {
        self.help.push(text.into());
        self
    }

    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// The lines for a terminal of 80 columns, with ANSI styles that the caller strips where they are not wanted.
pub fn human(checkup: &Checkup) -> String {
    let Checkup { plan, account, occurrence, .. } = checkup;
    let place = match &checkup.api_base {
        Some(address) => Phrase::verbatim(address),
        None => say!("the embedded sandbox"),
    };
    let mut out = String::new();
    let head = say!(
        "{plan} (occurrence {occurrence}), {kind} account {appid} at {place}",
        plan = &plan.name,
        occurrence,
        kind = words::account_kind(&account.kind),
        appid = &account.appid,
        place
    );
    human::paragraph(&mut out, 0, human::BOLD, "", &head.to_string());
    human::line(&mut out, "");
    let states = [CheckState::Ok, CheckState::Warning, CheckState::Error, CheckState::NotChecked];
    let width = states.map(|state| state.label().to_string().width()).into_iter().max().unwrap_or(0);
    for check in &checkup.checks {
        let label = text::pad(&check.state.label().to_string(), width);
        let (what, message) = (check.id.label(), &check.message);
        let text = match &check.subject {
            Some(subject) => say!("{what} {subject}: {message}", what, subject, message),
            None => say!("{what}: {message}", what, message),
        };
        human::paragraph(&mut out, 0, check.state.style(), &label, &text.to_string());
        let problem = Problem { message: Phrase::default(), help: check.help.clone(), errcode: None };
        human::help(&mut out, width + 1, &problem);
    }
    human::line(&mut out, "");
    let count = |state| checkup.checks.iter().filter(|check| check.state == state).count();
    let verdict = human::paint(
        checkup.verdict.style(),
        &verdict(count(CheckState::Error), count(CheckState::Warning)).to_string(),
    );
    let end = match count(CheckState::NotChecked) {
        0 => verdict,
        unseen => say!("{verdict}; {unseen} not checked", verdict, unseen = Count::from(unseen)).to_string(),
    };
    human::line(&mut out, &end);
    out
}

fn verdict(errors: usize, warnings: usize) -> Phrase {
    let of_errors = say!("{errors} error" | "{errors} errors", errors);
    let of_warnings = say!("{warnings} warning" | "{warnings} warnings", warnings);
    match (errors, warnings) {
        (0, 0) => say!("ready"),
        (0, _) => say!("ready, with {warnings}", warnings = of_warnings),
        (_, 0) => say!("not ready: {errors}", errors = of_errors),
        _ => say!("not ready: {errors} and {warnings}", errors = of_errors, warnings = of_warnings),
    }
}

pub fn json(checkup: &Checkup) -> String {
    format!("{}\n", serde_json::to_string_pretty(checkup).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_are_counted() {
        let _heard = crate::locale::tests::heard("report-checkup-errors_and_warnings_are_counted");
        assert_eq!(verdict(0, 0), "ready");
        assert_eq!(verdict(0, 2), "ready, with 2 warnings");
        assert_eq!(verdict(1, 0), "not ready: 1 error");
        assert!(!verdict(2, 1).is_empty());
    }
}
