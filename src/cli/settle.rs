//! `qunfa settle`: a person says what became of a call.

use serde_json::json;

use super::{
    clock::RealClock,
    failure::Failure,
    load::open_session,
    options::{Common, Format, FormatArg},
    process,
    terminal::Terminal,
};
use crate::{
    clock::Clock as _,
    ledger::{CallRecord, Event, EventKind},
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true).args(["sent", "not_sent"])))]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// The step, or an instance such as city[北京]
    step: String,
    /// It was sent, as this job of WeChat (0 if the job is not known)
    #[arg(long, value_name = "MSG_ID", env = "QUNFA_SENT", hide_env_values = true)]
    sent: Option<u64>,
    /// It was not sent: the next run sends it
    #[arg(long, env = "QUNFA_NOT_SENT", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    not_sent: bool,
    /// Which call of the step, where several are unknown
    #[arg(long, value_name = "N", env = "QUNFA_CHUNK", hide_env_values = true)]
    chunk: Option<u32>,
    /// Who says so, and why; kept in the ledger
    #[arg(long, value_name = "TEXT", env = "QUNFA_REASON", hide_env_values = true)]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = open_session(&args.plan, common, terminal)?;
    let clock = RealClock::at(common.now);
    let mut ledger = session.write(clock.now())?;
    let scope = &session.scope;
    let records = ledger.calls(scope)?;
    let id = &in_doubt(&records, args)?.frozen.id;
    let (host, _) = process::identity();
    let kind = if args.sent.is_some() { EventKind::ResolvedSent } else { EventKind::ResolvedNotSent };
    let mut event = Event::new(kind, clock.now(), "by hand");
    event.msg_id = args.sent.filter(|id| *id > 0);
    let who = process::env("USER").unwrap_or_else(|| "somebody".into());
    event.note = Some(format!("{who} on {host}: {}", args.reason.as_deref().unwrap_or("no reason given")));
    ledger.append(scope, id, &event)?;
    if args.format.format == Format::Json {
        let members = json!({
            "plan": scope.plan, "occurrence": scope.occurrence, "platform": scope.platform.name(), "step": id.step, "key": id.key, "chunk": id.chunk,
            "settled_as": if args.sent.is_some() { "sent" } else { "not_sent" }, "msg_id": event.msg_id, "note": event.note,
        });
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    let word = if args.sent.is_some() { "sent" } else { "not sent: the next run sends it" };
    terminal.out(&format!("{} call {} is settled as {word}\n", args.step, id.chunk));
    Ok(ExitCode::Done)
}

/// The one call that is meant.
fn in_doubt<'r>(records: &'r [CallRecord], args: &Args) -> Result<&'r CallRecord, Refusal> {
    let Args { step, chunk, .. } = args;
    let unknown = || records.iter().filter(|record| record.status.in_doubt());
    let meant = |record: &&CallRecord| {
        record.frozen.id.name() == *step && chunk.is_none_or(|chunk| chunk == record.frozen.id.chunk)
    };
    let open: Vec<&CallRecord> = unknown().filter(meant).collect();
    match open.as_slice() {
        [one] => Ok(one),
        [] => {
            let others: Vec<String> = unknown().map(|record| record.frozen.id.name()).collect();
            let help = if others.is_empty() {
                "no call of this plan is unknown".to_owned()
            } else {
                format!("unknown are {}", others.join(", "))
            };
            Err(Refusal::usage(format!("no call of `{step}` is unknown")).help(help))
        }
        several => {
            let chunks: Vec<String> = several.iter().map(|record| record.frozen.id.chunk.to_string()).collect();
            let message = format!("several calls of `{step}` are unknown: {}", chunks.join(", "));
            Err(Refusal::usage(message).help("name one with --chunk N"))
        }
    }
}
