//! What a run did, as every format tells it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{message::MessageView, problem::Problem};

/// Version of the report's shape; a reader refuses what it does not know.
pub const REPORT_SCHEMA: u32 = 1;

/// What a run did. The JSON form is the public one, described by `schemas/report.schema.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this shape.
    pub(crate) schema: u32,
    /// Identifies the run in the state store.
    pub run_id: String,
    /// The plan that ran.
    pub(crate) plan: PlanRef,
    /// The account that sent.
    pub(crate) account: AccountRef,
    /// The edition of the campaign, rendered.
    pub(crate) occurrence: String,
    /// Where the calls went: `wechat`, `loopback` (a server on this machine) or `sandbox` (embedded in the run).
    pub(crate) platform: String,
    /// When the run began.
    #[schemars(with = "String")]
    pub(crate) started_at: Timestamp,
    /// When the run ended.
    #[schemars(with = "String")]
    pub(crate) finished_at: Timestamp,
    /// The verdict.
    pub outcome: RunOutcome,
    /// The exit code of the process.
    pub(crate) exit_code: u8,
    /// How often an access token was fetched.
    pub(crate) token_fetches: u32,
    /// Sums over the steps.
    pub(crate) totals: Totals,
    /// One entry a step instance, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// Why the run as a whole was refused or stopped, where no step says it.
    pub(crate) error: Option<Problem>,
}

/// The plan of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRef {
    /// `name` of the plan.
    pub name: String,
    /// The path as it was given on the command line.
    pub path: String,
    /// Digest of everything that decides what is sent: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// The account of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRef {
    /// The AppID.
    pub appid: String,
    /// `service` or `subscription`.
    pub kind: String,
}

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step succeeded, was done already, or was skipped on purpose.
    Succeeded,
    /// A step failed.
    Failed,
    /// The outcome of a send is unknown.
    Unknown,
    /// A guard, a confirmation, the lock or the ledger refused the run before anything was sent.
    Refused,
    /// Ctrl-C or SIGTERM: the call in flight was finished and recorded.
    Interrupted,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it says.
    Succeeded,
    /// It was refused or gave up.
    Failed,
    /// Its `when` is false, or it was not selected.
    Skipped,
    /// The ledger knows it as accepted by an earlier run: nothing was sent.
    AlreadyDone,
    /// Whether it was sent is not known.
    Unknown,
    /// Something that it needs did not succeed, or the run stopped before it.
    NotRun,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// `errcode` 0 (or a reply without one).
    Accepted,
    /// 45065: WeChat had it already, its job was adopted.
    Adopted,
    /// WeChat said no.
    Refused,
    /// It provably never left.
    NotSent,
    /// It may or may not have been carried out.
    Unknown,
}

/// Sums over the steps of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Step instances of the plan.
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
    /// Calls made in this run (attempts not counted).
    pub(crate) calls: u32,
    /// Openids in calls of this run that WeChat accepted, and followers of a tag where their number is known.
    pub(crate) recipients: u64,
}

/// One step instance of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepReport {
    /// `id` of the step.
    pub id: String,
    /// The `foreach` key of this instance.
    pub key: Option<String>,
    /// The action.
    pub action: String,
    /// What the plan says of it.
    pub description: Option<String>,
    /// Line of the step in the plan, from 1.
    pub line: u32,
    /// Who it is for, in words: `tag 2`, `12 openids`, `all followers`.
    pub audience: Option<String>,
    /// The rendered message.
    pub message: Option<MessageView>,
    /// What became of it.
    pub outcome: StepOutcome,
    /// When its first call began; null if none was made.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// From the beginning of the step to its end, in milliseconds.
    pub duration_ms: u64,
    /// What later steps can refer to as `steps.<id>.<output>`.
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// The calls of this run, in order.
    pub calls: Vec<CallReport>,
    /// Why it failed, is unknown or was not run.
    pub error: Option<Problem>,
}

/// One call of a step: a chunk of a send, a preview, a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallReport {
    /// Number of the call in its step, from 1.
    pub chunk: u32,
    /// The path of the API.
    pub path: String,
    /// The idempotency key that the call carried; null for calls that have none.
    pub clientmsgid: Option<String>,
    /// Openids in the call, or followers of the tag where known.
    pub recipients: Option<u64>,
    /// How often it was made in this run.
    pub attempts: u32,
    /// What became of it.
    pub outcome: CallOutcome,
    /// WeChat's code; null if no reply could be read.
    pub errcode: Option<i64>,
    /// WeChat's words, as they came.
    pub errmsg: Option<String>,
    /// WeChat's id of the request, good for 7 days.
    pub rid: Option<String>,
    /// The job that WeChat made.
    pub msg_id: Option<u64>,
    /// The article data id, where the reply had one.
    pub msg_data_id: Option<u64>,
}
