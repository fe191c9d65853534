//! What a run did, as every format tells it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Delivery;
use crate::{locale::Phrase, message::MessageView, problem::Problem, stats::model::Readers};

/// Version of the report's shape; a reader refuses what it does not know.
pub const REPORT_SCHEMA: u32 = 1;

/// Report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this format.
    pub(crate) schema: u32,
    /// Id of the run in the state store.
    pub run_id: String,
    /// The executed plan.
    pub(crate) plan: PlanRef,
    /// The sending account.
    pub(crate) account: AccountRef,
    /// Edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Destination of the calls: `wechat`, `loopback` (a server on this machine) or `sandbox` (embedded in the run).
    pub(crate) platform: String,
    /// Start of the run.
    #[schemars(with = "String")]
    pub(crate) started_at: Timestamp,
    /// End of the run.
    #[schemars(with = "String")]
    pub(crate) finished_at: Timestamp,
    /// Outcome of the run.
    pub outcome: RunOutcome,
    /// Exit code of the process.
    pub(crate) exit_code: u8,
    /// Number of access tokens fetched.
    pub(crate) token_fetches: u32,
    /// Totals over all steps.
    pub(crate) totals: Totals,
    /// One entry per step instance, in plan order.
    pub steps: Vec<StepReport>,
    /// Why the run as a whole was refused or stopped, if no step shows it.
    pub(crate) error: Option<Problem>,
    /// Whether running the same command again helps; null in reports of older versions.
    #[serde(default)]
    pub(crate) again: Option<Again>,
    /// Why.
    #[serde(default)]
    pub(crate) again_reason: Option<Phrase>,
    /// Readers of the articles, as far as `stats` has asked for them; `report` alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<Readers>,
}

/// Whether running the same command again helps. It never sends anything twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// At once: it continues where the run stopped.
    Now,
    /// After some time, or after somebody has acted.
    Later,
    /// It ends in the same way: everything is done, or the command, the plan or the approval must change first.
    Never,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRef {
    /// The plan's `name`.
    pub name: String,
    /// Path as given on the command line.
    pub path: String,
    /// Digest of everything that determines the messages: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRef {
    /// The AppID.
    pub appid: String,
    /// `service` or `subscription`.
    pub kind: String,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step succeeded, was already done, or was skipped on purpose.
    Succeeded,
    /// A step failed.
    Failed,
    /// The outcome of a send is unknown.
    Unknown,
    /// A guard, the confirmation, the lock or the ledger refused the run before anything was sent.
    Refused,
    /// Ctrl-C or SIGTERM: the call in progress was finished and recorded.
    Interrupted,
}

impl RunOutcome {
    /// The word in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The step was done.
    Succeeded,
    /// The step was refused or gave up.
    Failed,
    /// `when` is false, or the step was not selected.
    Skipped,
    /// Accepted in an earlier run, by the ledger; nothing was sent.
    AlreadyDone,
    /// Unknown whether the message was sent.
    Unknown,
    /// A step it depends on did not succeed, or the run stopped earlier.
    NotRun,
}

/// Outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// `errcode` 0 (or a reply without one).
    Accepted,
    /// 45065: WeChat had already accepted the send; its job was adopted.
    Adopted,
    /// WeChat refused the call.
    Refused,
    /// The call certainly never left this machine.
    NotSent,
    /// The call may or may not have been performed.
    Unknown,
}

/// Totals of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Number of step instances in the plan.
    pub(crate) steps: u32,
    /// Steps with outcome `succeeded`.
    pub(crate) succeeded: u32,
    /// Steps with outcome `failed`.
    pub(crate) failed: u32,
    /// Steps with outcome `skipped`.
    pub(crate) skipped: u32,
    /// Steps with outcome `already_done`.
    pub(crate) already_done: u32,
    /// Steps with outcome `unknown`.
    pub(crate) unknown: u32,
    /// Steps with outcome `not_run`.
    pub(crate) not_run: u32,
    /// Calls made in this run, without repeated attempts.
    pub(crate) calls: u32,
    /// Openids in calls of this run that WeChat accepted, plus followers of tags if their number is known.
    pub(crate) recipients: u64,
}

/// A step instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    /// The step's `id`; `@delete STEP` for a deletion by hand.
    pub id: String,
    /// The `foreach` key of this instance.
    pub key: Option<String>,
    /// The action.
    pub action: String,
    /// The step's `description` in the plan; for a deletion by hand, who did it and why.
    pub description: Option<String>,
    /// Line of the step in the plan, starting at 1; 0 for what the plan does not contain, such as a deletion by hand.
    pub line: u32,
    /// Audience in words, such as `tag 2`, `12 openids` or `all followers`.
    pub audience: Option<String>,
    /// The rendered message.
    pub message: Option<MessageView>,
    /// Its outcome.
    pub outcome: StepOutcome,
    /// Start of its first call; null if there was none.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// Duration of the step in milliseconds.
    pub duration_ms: u64,
    /// Outputs that later steps can use as `steps.<id>.<output>`.
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// Calls of this run, in order.
    pub calls: Vec<CallReport>,
    /// What became of its jobs, as far as events were received (`qunfa listen`, `qunfa event`); read from the ledger when the report is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) delivery: Vec<Delivery>,
    /// Why the step failed, is unknown or was not run.
    pub error: Option<Problem>,
}

impl StepReport {
    /// Links of the articles that it published.
    pub(crate) fn links(&self) -> impl Iterator<Item = &str> {
        let urls = self.outputs.get("urls").filter(|_| self.action == "publish");
        urls.and_then(serde_json::Value::as_array).into_iter().flatten().filter_map(serde_json::Value::as_str)
    }
}

/// A call of a step: a chunk of a send, a preview, a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallReport {
    /// Number of the call within its step, starting at 1.
    pub chunk: u32,
    /// API path.
    pub path: String,
    /// The call's idempotency key; null if it has none.
    pub clientmsgid: Option<String>,
    /// Openids in the call, or followers of the tag if known.
    pub recipients: Option<u64>,
    /// Attempts in this run.
    pub attempts: u32,
    /// Its outcome.
    pub outcome: CallOutcome,
    /// WeChat's error code; null if no reply could be read.
    pub errcode: Option<i64>,
    /// WeChat's message, unchanged.
    pub errmsg: Option<String>,
    /// WeChat's id of the request (rid), valid for 7 days.
    pub rid: Option<String>,
    /// WeChat's job id.
    pub msg_id: Option<u64>,
    /// The article's data id (`msg_data_id`), if the reply contains one.
    pub msg_data_id: Option<u64>,
}
