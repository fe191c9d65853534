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
    ledger::{CallRecord, Event, EventKind, Status},
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true).args(["sent", "not_sent"])))]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// The step, or an instance such as city[北京]
    step: String,
    /// It was sent, as this job of WeChat (0 if the job is not known; it may be told later)
    #[arg(long, value_name = "MSG_ID", env = "QUNFA_SENT", hide_env_values = true)]
    sent: Option<u64>,
    /// It was not sent: the next run sends it
    #[arg(long, env = "QUNFA_NOT_SENT", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    not_sent: bool,
    /// Which call of the step, where several are meant
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
    let record = meant(&records, args)?;
    let id = &record.frozen.id;
    let (host, _) = process::identity();
    let kind = match args.sent {
        // What was accepted gets the name of its job.
        Some(_) if record.status == Status::Accepted => EventKind::Named,
        Some(_) => EventKind::ResolvedSent,
        None => EventKind::ResolvedNotSent,
    };
    let mut event = Event::new(kind, clock.now(), "by hand");
    event.msg_id = args.sent.filter(|id| *id > 0);
    if kind == EventKind::Named {
        event.msg_data_id = record.acceptance().and_then(|fact| fact.msg_data_id);
    }
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
    let words = match (kind, event.msg_id) {
        (EventKind::Named, Some(job)) => format!("was sent as job {job}"),
        (EventKind::ResolvedSent, _) => "is settled as sent".into(),
        _ => "is settled as not sent: the next run sends it".into(),
    };
    terminal.out(&format!("{} call {} {words}\n", args.step, id.chunk));
    Ok(ExitCode::Done)
}

/// The one call that is meant: of unknown outcome, or else, if its job is told, one that was sent as a job that is not known.
fn meant<'r>(records: &'r [CallRecord], args: &Args) -> Result<&'r CallRecord, Refusal> {
    let Args { step, chunk, .. } = args;
    let of_step = || {
        records.iter().filter(|record| {
            record.frozen.id.name() == *step && chunk.is_none_or(|chunk| chunk == record.frozen.id.chunk)
        })
    };
    let sent =
        || of_step().filter(|record| record.frozen.is_mass()).filter_map(|record| Some((record, record.acceptance()?)));
    let mut open: Vec<&CallRecord> = of_step().filter(|record| record.status.in_doubt()).collect();
    let mut word = "are unknown";
    if open.is_empty() && args.sent.is_some_and(|job| job > 0) {
        word = "were sent as a job that is not known";
        open = sent().filter(|(_, fact)| fact.msg_id.is_none()).map(|(record, _)| record).collect();
    }
    match open.as_slice() {
        [one] => Ok(one),
        [] => {
            let mut others: Vec<String> = records
                .iter()
                .filter(|record| record.status.in_doubt())
                .map(|record| record.frozen.id.name())
                .collect();
            others.dedup();
            let help = if others.is_empty() {
                "no call of this plan is unknown".to_owned()
            } else {
                format!("unknown are {}", others.join(", "))
            };
            let refusal = Refusal::usage(format!("no call of `{step}` is unknown")).help(help);
            let jobs: Vec<String> = sent().filter_map(|(_, fact)| Some(fact.msg_id?.to_string())).collect();
            Err(match jobs.is_empty() {
                true => refusal,
                false => refusal.help(format!("it was sent as {}, which is not changed", jobs.join(", "))),
            })
        }
        several => {
            let chunks: Vec<String> = several.iter().map(|record| record.frozen.id.chunk.to_string()).collect();
            let message = format!("several calls of `{step}` {word}: {}", chunks.join(", "));
            Err(Refusal::usage(message).help("name one with --chunk N"))
        }
    }
}
