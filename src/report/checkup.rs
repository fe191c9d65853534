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

/// Is the account ready for a plan?
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Checkup {
    /// Version of this shape.
    pub(crate) schema: u32,
    /// The exit code of the process: that of the first error, or 0.
    pub(crate) exit_code: u8,
    /// The plan that is to run.
    pub(crate) plan: PlanRef,
    /// The account that is to send.
    pub(crate) account: AccountRef,
    /// The edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Where the calls would go: `wechat`, `loopback` (a server on this machine) or `sandbox` (embedded).
    pub(crate) platform: String,
    /// Address of the API; null for the embedded sandbox.
    pub(crate) api_base: Option<String>,
    /// The worst of the lines: `error`, `warning` or `ok`.
    pub(crate) verdict: CheckState,
    /// One entry a line, in the order in which a run would meet them. All are there, whatever failed.
    pub(crate) checks: Vec<Check>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Check {
    /// What was looked at.
    pub(crate) id: CheckId,
    /// Which one, where there are several: the path of a call, or what a permission is for.
    pub(crate) subject: Option<String>,
    /// How it stands.
    pub(crate) state: CheckState,
    /// What was seen.
    pub(crate) message: Phrase,
    /// What to do, one entry a sentence.
    pub(crate) help: Vec<Phrase>,
    /// WeChat's code, where the cause is a reply.
    pub(crate) errcode: Option<i64>,
    /// What was seen, as data: `ip`, `daily_limit`, `used`, `remain`, `wanted`, `skew_seconds`, ...
    pub(crate) facts: BTreeMap<String, Value>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckId {
    /// The plan and its warnings.
    Plan,
    /// The secret, or the access token that somebody else keeps.
    Secret,
    /// The state store: whether it opens, its format, its mode, its integrity.
    State,
    /// Free space where the state store is.
    Disk,
    /// Whether a run of the account is under way.
    Lock,
    /// The plan against what was already sent.
    Ledger,
    /// The guards of the plan, at this time.
    Guards,
    /// Our own forecast of the quotas that the ledger knows.
    Forecast,
    /// Whether an access token can be had.
    Token,
    /// The IP allow-list of the account.
    IpAllowList,
    /// This machine's clock against WeChat's.
    Clock,
    /// The kind of the account against that of the plan.
    Account,
    /// Whether the account may make the calls of the plan.
    Permission,
    /// The agreement on mass sending.
    Agreement,
    /// The protection of mass sending.
    Protection,
    /// What is left of a call today, as WeChat counts.
    Quota,
}

impl CheckId {
    fn label(self) -> Phrase {
        match self {
            Self::Plan => say!("plan"),
            Self::Secret => say!("secret"),
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

/// How a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It could not be looked at, or only a send would show it.
    NotChecked,
    /// Nothing stands in the way.
    Ok,
    /// A run goes ahead, and somebody should look.
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

    /// Nothing stands in the way.
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

    pub fn of(mut self, subject: impl Into<String>) -> Self {
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
