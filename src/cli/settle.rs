//! `qunfa settle`: a person says what became of a call.

use serde_json::{Value, json};

use super::{
    clock::RealClock,
    failure::Failure,
    load::open_session,
    options::{BadValue, Common, Format, FormatArg, number},
    process,
    subject::{Subject, plan_and_step},
    terminal::Terminal,
};
use crate::{
    clock::Clock as _,
    ledger::{CallId, CallRecord, Event, EventKind, FrozenCall, Ledger, LedgerError, Scope, Status},
    locale::{Argument, Phrase, list, say},
    payload::{self, Effect},
    problem::{ExitCode, Refusal},
    render::RenderedPlan,
    run::editions,
    text::one_of,
};

#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true).args(["sent", "not_sent", "give_up"])))]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// The step: an id, or an instance such as 'city[北京]'
    #[arg(required_unless_present_any = ["give_up", "fleet"])]
    step: Option<String>,
    /// It was sent, with this WeChat job id (0 if unknown; you can add it later); of a publication, its publish_id or article_id
    #[arg(long, value_name = "MSG_ID", env = "QUNFA_SENT", hide_env_values = true, value_parser = Sent::parse)]
    sent: Option<Sent>,
    /// It was not sent; the next run sends it
    #[arg(long, env = "QUNFA_NOT_SENT", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    not_sent: bool,
    /// It was not sent and will not be; also for the rest of a step that has begun (without STEP, of all steps)
    #[arg(long, env = "QUNFA_GIVE_UP", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    give_up: bool,
    /// The occurrence (edition), if it is not the one in the plan
    #[arg(long, value_name = "NAME", env = "QUNFA_OCCURRENCE", hide_env_values = true)]
    occurrence: Option<String>,
    /// Number of the call, if several calls of the step are meant
    #[arg(long, value_name = "N", env = "QUNFA_CHUNK", hide_env_values = true, value_parser = number::<u32>)]
    chunk: Option<u32>,
    /// Who decided this and why; recorded in the ledger
    #[arg(long, value_name = "TEXT", env = "QUNFA_REASON", hide_env_values = true)]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// As what something was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    /// A number: the job of a send, or a `publish_id`; 0 if it is not known.
    Number(u64),
    /// Another id: an `article_id`.
    Name(String),
}

impl Sent {
    fn parse(text: &str) -> Result<Self, BadValue> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match number::<u64>(text) {
            Err(_) if !digits && payload::is_value(text) && text.len() >= ARTICLE_ID_MIN => {
                Ok(Self::Name(text.to_owned()))
            }
            read => read.map(Self::Number),
        }
    }

    /// Whether it is an id, and not only that it was sent.
    fn is_known(&self) -> bool {
        *self != Self::Number(0)
    }
}

/// What is shorter is mistyped, and no `article_id`.
const ARTICLE_ID_MIN: usize = 16;

/// What a person says of calls, with the id that belongs to what they are.
fn identified(mut event: Event, sent: &Sent, settled: &[&CallRecord]) -> Result<Event, Refusal> {
    let publishes = settled.iter().any(|record| record.frozen.effect == Effect::Publish);
    match (sent, publishes) {
        (Sent::Number(0), _) => {}
        (Sent::Number(job), false) => event.msg_id = Some(*job),
        (Sent::Number(id), true) => event.result = Some(json!({ "publish_id": id.to_string() }).to_string()),
        (Sent::Name(id), true) => event.result = Some(json!({ "article_id": id }).to_string()),
        (Sent::Name(id), false) => {
            let message = say!("`{id}` is not the job of a send, which is a number", id = id.as_str());
            return Err(Refusal::usage(message).help(say!("write the msg_id, or 0 if it is not known")));
        }
    }
    Ok(event)
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, step) = plan_and_step(args.plan.as_deref(), args.step.as_deref(), common);
    if step.is_none() && !args.give_up {
        return Err(Refusal::usage(say!("no step given")).help(say!("name the step that is settled")).into());
    }
    let args = &Args { step: step.map(str::to_owned), ..args.clone() };
    let subject = Subject::one(plan, common, terminal)?;
    let session = open_session(subject.target(), common, terminal)?;
    let clock = RealClock::at(common.now);
    let mut ledger = session.write(&clock, terminal)?;
    let mut scope = session.scope.clone();
    if let Some(occurrence) = &args.occurrence {
        scope.occurrence.clone_from(occurrence);
    }
    let records = ledger.calls(&scope)?;
    if records.is_empty() && args.occurrence.is_some() {
        return Err(no_edition(&session.scope, &scope.occurrence, &*ledger)?.into());
    }
    let settled = if args.give_up { left(&session.plan, &records, args)? } else { vec![meant(&records, args)?] };
    // What was accepted gets the name of its job.
    let accepted = settled.iter().find(|record| record.status == Status::Accepted).and_then(|one| one.acceptance());
    let (kind, word) = match (&args.sent, args.give_up) {
        (Some(_), _) if accepted.is_some() => (EventKind::Named, "sent"),
        (Some(_), _) => (EventKind::ResolvedSent, "sent"),
        (None, true) => (EventKind::GivenUp, "given_up"),
        (None, false) => (EventKind::ResolvedNotSent, "not_sent"),
    };
    let (host, _) = process::identity();
    let mut event = Event::new(kind, clock.now(), "by hand");
    event.msg_data_id = accepted.and_then(|fact| fact.msg_data_id);
    let who = process::env("USER").map_or_else(|| say!("unknown user"), Phrase::verbatim);
    let reason = args.reason.as_deref().map_or_else(|| say!("no reason given"), Phrase::verbatim);
    event.note = Some(say!("{who} on {host}: {reason}", who, host, reason).to_string());
    if let Some(sent) = &args.sent {
        event = identified(event, sent, &settled)?;
    }
    for record in &settled {
        ledger.append(&scope, &record.frozen.id, &event)?;
    }
    if args.format.format == Format::Json {
        let call = |id: &CallId| json!({ "step": id.step, "key": id.key, "chunk": id.chunk });
        let mut calls = settled.iter().map(|record| call(&record.frozen.id));
        let mut members = if args.give_up {
            json!({ "calls": calls.collect::<Vec<Value>>() })
        } else {
            calls.next().unwrap_or_default()
        };
        for (name, value) in [
            ("plan", json!(scope.plan)),
            ("occurrence", json!(scope.occurrence)),
            ("platform", json!(scope.platform.name())),
            ("settled_as", json!(word)),
            ("msg_id", json!(event.msg_id)),
            ("note", json!(event.note)),
        ] {
            members[name] = value;
        }
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    for CallRecord { frozen, .. } in settled {
        let call = say!("{step} call {chunk}", step = frozen.id.name(), chunk = frozen.id.chunk);
        let told = match (kind, event.msg_id) {
            (EventKind::Named, Some(job)) => say!("{call}: sent as job {job}", call, job),
            (EventKind::ResolvedSent, _) => say!("{call}: recorded as sent", call),
            (EventKind::GivenUp, _) => say!("{call}: given up", call),
            _ => say!("{call}: recorded as not sent; the next run sends it", call),
        };
        terminal.out(&format!("{told}\n"));
    }
    Ok(ExitCode::Done)
}

/// That the ledger has no edition of a name.
pub(super) fn no_edition(own: &Scope, wanted: &str, ledger: &dyn Ledger) -> Result<Refusal, LedgerError> {
    let names: Vec<String> = editions::others(ledger, own)?.into_iter().map(|edition| edition.occurrence).collect();
    let help = match names.as_slice() {
        [] => say!("it has no other edition than the plan's own"),
        names => say!("it has {editions}", editions = one_of(names)),
    };
    Ok(Refusal::usage(say!("the ledger has no edition `{wanted}` of `{plan}`", wanted, plan = own.plan.as_str()))
        .help(help))
}

/// Whether a call is one of those that are named.
fn is_named(record: &CallRecord, args: &Args) -> bool {
    let id = &record.frozen.id;
    args.step.as_ref().is_none_or(|step| id.name() == *step) && args.chunk.is_none_or(|chunk| chunk == id.chunk)
}

/// The calls that are left to do of sends that were begun; none of them may be in doubt.
fn left<'r>(plan: &RenderedPlan, records: &'r [CallRecord], args: &Args) -> Result<Vec<&'r CallRecord>, Refusal> {
    let mass = || records.iter().filter(|record| record.frozen.is_once());
    if let Some(record) = mass().find(|record| is_named(record, args) && record.status.in_doubt()) {
        let FrozenCall { id, .. } = &record.frozen;
        let message = say!(
            "call {chunk} of `{step}` may have been sent, so it cannot be given up",
            chunk = id.chunk,
            step = id.name()
        );
        return Err(Refusal::usage(message).help(say!("settle it first, with --sent MSG_ID or --not-sent")));
    }
    let begun = |id: &CallId| {
        let of_step = |other: &&CallRecord| other.frozen.id.step == id.step && other.frozen.id.key == id.key;
        mass().filter(of_step).any(|record| record.status == Status::Accepted || record.status.in_doubt())
    };
    let left: Vec<&CallRecord> =
        mass().filter(|record| record.status.is_open() && is_named(record, args) && begun(&record.frozen.id)).collect();
    if left.is_empty() {
        let message = match &args.step {
            Some(step) => say!("nothing of `{step}` is left to give up: it is not sent in part", step = step.as_str()),
            None => say!("nothing of this edition is left to give up: no step is sent in part"),
        };
        return Err(Refusal::usage(message).help(say!("see `{command}`", command = plan.command("status", &[]))));
    }
    Ok(left)
}

/// The one call that is meant: of unknown outcome, or else one that was given up and is taken up again, or, if its job is
/// told, one that was sent as a job that is not known.
fn meant<'r>(records: &'r [CallRecord], args: &Args) -> Result<&'r CallRecord, Refusal> {
    let step = args.step.as_deref().unwrap_or_default();
    let of_step = || records.iter().filter(|record| is_named(record, args));
    let sent =
        || of_step().filter(|record| record.frozen.is_once()).filter_map(|record| Some((record, record.acceptance()?)));
    let mut open: Vec<&CallRecord> = of_step().filter(|record| record.status.in_doubt()).collect();
    let mut several: fn(Argument, Argument) -> Phrase =
        |step, chunks| say!("several calls of `{step}` have an unknown outcome: {chunks}", step, chunks);
    if open.is_empty() && args.not_sent {
        several = |step, chunks| say!("several calls of `{step}` were given up: {chunks}", step, chunks);
        open = of_step().filter(|record| record.status == Status::GivenUp).collect();
    }
    if open.is_empty() && args.sent.as_ref().is_some_and(Sent::is_known) {
        several =
            |step, chunks| say!("several calls of `{step}` were sent without a known job: {chunks}", step, chunks);
        open = sent()
            .filter(|(_, fact)| fact.msg_id.is_none() && fact.result.is_none())
            .map(|(record, _)| record)
            .collect();
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
                say!("this plan has no call with an unknown outcome")
            } else {
                say!("calls with unknown outcome: {steps}", steps = list(others))
            };
            let refusal = Refusal::usage(say!("`{step}` has no call with an unknown outcome", step)).help(help);
            let jobs: Vec<String> = sent().filter_map(|(_, fact)| Some(fact.msg_id?.to_string())).collect();
            Err(match jobs.is_empty() {
                true => refusal,
                false => refusal.help(say!("it was sent as {jobs}; a known job is never changed", jobs = list(jobs))),
            })
        }
        calls => {
            let chunks = list(calls.iter().map(|record| record.frozen.id.chunk));
            Err(Refusal::usage(several(step.into(), chunks)).help(say!("choose one with --chunk N")))
        }
    }
}
