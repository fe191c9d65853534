//! `qunfa resolve`: a person says what became of a call.

use serde_json::json;

use super::{
    Common, Format, FormatArg, document, fail,
    load::load_or_fail,
    session,
    world::{self, RealClock, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::Clock as _,
    ledger::{CallRecord, Event, Kind},
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

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    match settle(args, common, terminal) {
        Ok(code) | Err(code) => code,
    }
}

fn settle(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    let base = session::api_base(common, terminal)?;
    let platform = session::platform(&base);
    let (plan, project) = load_or_fail(&args.plan, common, &args.format, Some(platform), terminal)?;
    let state = session::state(common, &project, terminal)?;
    let clock = RealClock::at(common.now);
    let mut ledger = session::write(&*state, &plan, platform, &clock, terminal).map_err(|(code, _)| code)?;
    let scope = session::scope(&plan, platform);
    let records = ledger.calls(&scope).map_err(|error| session::store_failed(&error, terminal))?;
    let name = |record: &CallRecord| record.frozen.id.name();
    let open: Vec<&CallRecord> = (records.iter())
        .filter(|record| {
            record.status.in_doubt()
                && name(record) == args.step
                && args.chunk.is_none_or(|chunk| chunk == record.frozen.id.chunk)
        })
        .collect();
    let record = match open.as_slice() {
        [one] => *one,
        [] => {
            let others: Vec<String> = records.iter().filter(|record| record.status.in_doubt()).map(name).collect();
            let help = if others.is_empty() {
                "no call of this plan is unknown".to_owned()
            } else {
                format!("unknown are {}", others.join(", "))
            };
            return Err(fail(terminal, ExitCode::Usage, &format!("no call of `{}` is unknown", args.step), &[help]));
        }
        several => {
            let chunks: Vec<String> = several.iter().map(|record| record.frozen.id.chunk.to_string()).collect();
            return Err(fail(
                terminal,
                ExitCode::Usage,
                &format!("several calls of `{}` are unknown: {}", args.step, chunks.join(", ")),
                &["name one with --chunk N".into()],
            ));
        }
    };
    let (host, _) = world::identity();
    let kind = if args.sent.is_some() { Kind::ResolvedSent } else { Kind::ResolvedNotSent };
    let mut event = Event::new(kind, clock.now(), "by hand");
    event.msg_id = args.sent.filter(|id| *id > 0);
    let who = world::env("USER").unwrap_or_else(|| "somebody".into());
    event.note = Some(format!("{who} on {host}: {}", args.reason.as_deref().unwrap_or("no reason given")));
    ledger.append(&scope, &record.frozen.id, &event).map_err(|error| session::store_failed(&error, terminal))?;
    if args.format.format == Format::Json {
        let id = &record.frozen.id;
        let members = json!({
            "plan": plan.name, "occurrence": plan.occurrence, "platform": platform, "step": id.step, "key": id.key, "chunk": id.chunk,
            "settled_as": if args.sent.is_some() { "sent" } else { "not_sent" }, "msg_id": event.msg_id, "note": event.note,
        });
        document(terminal, ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    let word = if args.sent.is_some() { "sent" } else { "not sent: the next run sends it" };
    terminal.out(&format!("{} call {} is settled as {word}\n", args.step, record.frozen.id.chunk));
    Ok(ExitCode::Done)
}
