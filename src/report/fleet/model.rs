//! The accounts of a fleet, as every format tells of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    locale::{Count, Phrase, say},
    problem::ExitCode,
    report::Again,
};

/// Version of the shape.
pub const FLEET_SCHEMA: u32 = 1;

/// Where the accounts of a fleet stand in an edition, by the state store that their runs share.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FleetReport {
    /// Version of this format.
    pub(crate) schema: u32,
    /// Exit code of the process: 7 if an account is unknown, else that of the worst run, or 0.
    pub(crate) exit_code: u8,
    /// Path of the fleet, as given.
    pub(crate) fleet: String,
    /// Name of the plan.
    pub(crate) plan: String,
    /// Edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Destination of the calls: `wechat`, `loopback` (a server on this machine) or `sandbox`.
    pub(crate) platform: String,
    /// How many accounts stand where.
    pub(crate) totals: Standings,
    /// One entry per account, by wave, then by name.
    pub(crate) accounts: Vec<AccountReport>,
}

/// How many accounts stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Standings {
    /// Number of accounts.
    pub(crate) accounts: u64,
    /// Accounts whose last run succeeded.
    pub(crate) succeeded: u64,
    /// Accounts whose last run failed or did not finish.
    pub(crate) failed: u64,
    /// Accounts with a send whose outcome is unknown.
    pub(crate) unknown: u64,
    /// Accounts of which a run is in progress.
    pub(crate) running: u64,
    /// Accounts that have not begun.
    pub(crate) not_begun: u64,
}

/// An account of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AccountReport {
    /// Name of the account.
    pub(crate) name: String,
    /// Its AppID.
    pub(crate) appid: String,
    /// Its wave, from 1.
    pub(crate) wave: usize,
    /// Where it stands.
    pub(crate) standing: Standing,
    /// Id of its last run; null if none has begun.
    pub(crate) run_id: Option<String>,
    /// Start of its last run.
    #[schemars(with = "Option<String>")]
    pub(crate) started_at: Option<Timestamp>,
    /// Exit code of its last run; null if it has not ended.
    pub(crate) exit_code: Option<u8>,
    /// Calls that WeChat accepted.
    pub(crate) accepted: u64,
    /// Calls whose outcome is unknown.
    pub(crate) in_doubt: u64,
    /// Calls that were not sent yet.
    pub(crate) open: u64,
    /// Whether running it again helps: `now`, `later` or `never`.
    pub(crate) again: Again,
    /// Why.
    pub(crate) again_reason: Phrase,
    /// Commands for this account, if something is to be done.
    pub(crate) commands: Vec<String>,
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its last run succeeded.
    Succeeded,
    /// No run has begun.
    NotBegun,
    /// A run is in progress.
    Running,
    /// Its last run failed or did not finish; nothing is in doubt.
    Failed,
    /// It is unknown whether something was sent.
    Unknown,
}

impl Standing {
    /// All, those first that somebody should look at.
    pub(crate) const ALL: [Self; 5] = [Self::Unknown, Self::Failed, Self::Running, Self::NotBegun, Self::Succeeded];

    /// The word in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::NotBegun => "not_begun",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn label(self) -> Phrase {
        match self {
            Self::Succeeded => say!("succeeded"),
            Self::NotBegun => say!("not begun"),
            Self::Running => say!("running"),
            Self::Failed => say!("failed"),
            Self::Unknown => say!("unknown"),
        }
    }

    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Succeeded => "✓",
            Self::NotBegun => "·",
            Self::Running => "…",
            Self::Failed => "✗",
            Self::Unknown => "?",
        }
    }

    /// Whether somebody should look at it.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown)
    }
}

impl Standings {
    /// Counts the accounts.
    pub fn of(accounts: &[AccountReport]) -> Self {
        let count = |standing| accounts.iter().filter(|account| account.standing == standing).count() as u64;
        Self {
            accounts: accounts.len() as u64,
            succeeded: count(Standing::Succeeded),
            failed: count(Standing::Failed),
            unknown: count(Standing::Unknown),
            running: count(Standing::Running),
            not_begun: count(Standing::NotBegun),
        }
    }

    fn get(self, standing: Standing) -> u64 {
        match standing {
            Standing::Succeeded => self.succeeded,
            Standing::NotBegun => self.not_begun,
            Standing::Running => self.running,
            Standing::Failed => self.failed,
            Standing::Unknown => self.unknown,
        }
    }

    /// "4 accounts: 1 unknown, 3 succeeded".
    pub(super) fn words(self) -> Phrase {
        let some = Standing::ALL.into_iter().filter(|standing| self.get(*standing) > 0);
        let some = some.map(|standing| {
            say!("{accounts} {standing}", accounts = Count(self.get(standing)), standing = standing.label())
        });
        let all = say!("{accounts} account" | "{accounts} accounts", accounts = Count(self.accounts));
        say!("{all}: {some}", all, some = crate::locale::list(some))
    }
}

impl FleetReport {
    /// The worst exit code: that of an account in doubt, else that of the worst run.
    pub fn code(accounts: &[AccountReport]) -> ExitCode {
        let of = |account: &AccountReport| match account.standing {
            Standing::Unknown => ExitCode::Unknown,
            Standing::Failed if account.accepted > 0 => ExitCode::PartlyFailed,
            Standing::Failed => ExitCode::Failed,
            Standing::Succeeded | Standing::NotBegun | Standing::Running => ExitCode::Done,
        };
        accounts.iter().map(of).fold(ExitCode::Done, ExitCode::or_worse)
    }

    /// Those that somebody should look at, the worst first.
    pub(super) fn bad(&self) -> impl Iterator<Item = &AccountReport> {
        let of = |standing| self.accounts.iter().filter(move |account| account.standing == standing);
        of(Standing::Unknown).chain(of(Standing::Failed))
    }

    pub(super) fn title(&self) -> Phrase {
        let (plan, occurrence) = (self.plan.as_str(), self.occurrence.as_str());
        say!("{plan} (occurrence {occurrence}), fleet {fleet}", plan, occurrence, fleet = self.fleet.as_str())
    }
}

impl AccountReport {
    /// What is known of its calls, and what follows.
    pub(super) fn words(&self) -> Phrase {
        let calls = match (self.in_doubt, self.accepted) {
            (0, 0) => say!("nothing sent"),
            (0, accepted) => say!("{accepted} call accepted" | "{accepted} calls accepted", accepted = Count(accepted)),
            (doubt, accepted) => {
                say!("{doubt} in doubt, {accepted} accepted", doubt = Count(doubt), accepted = Count(accepted))
            }
        };
        match self.exit_code.filter(|code| *code > 0) {
            Some(code) => say!("exit code {code}; {calls}", code, calls),
            None => calls,
        }
    }
}
