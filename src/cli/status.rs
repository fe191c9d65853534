//! `qunfa status`: what the ledger knows of a plan's steps.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::{
    clock::RealClock,
    failure::Failure,
    load::open_session,
    options::{Common, Format, FormatArg},
    session::Session,
    subject::{ShardArgs, Subject},
    target::Target,
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::{CallRecord, LedgerError, Status},
    locale::{Phrase, list, say},
    payload::Effect,
    platform::Platform,
    problem::{ExitCode, Problem, Refusal},
    render::{RenderedPlan, RenderedStep},
    report::Delivery,
    run::{
        self,
        deleted::{Deletion, deletions},
        doubt,
        editions::{self, OtherEdition},
        policy,
        reconcile::{Verdict, has_versions, is_current, latest, reconcile},
    },
    text::pad,
    wechat::{
        client::Outcome,
        transport::{Body, Method},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// Queries WeChat for the status of each job (requires the secret)
    #[arg(long, env = "QUNFA_REFRESH", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    refresh: bool,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// Where a step stands.
#[derive(Clone, Copy)]
enum State {
    Skipped,
    Open,
    /// Some calls are accepted, and none is in doubt.
    Part,
    /// All calls, or the one that matters most.
    All(Status),
}

impl State {
    /// The word in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped by `when`",
            Self::Open => "open",
            Self::Part => "partly accepted",
            Self::All(status) => status.word(),
        }
    }

    fn shown(self) -> Phrase {
        match self {
            Self::Skipped => say!("skipped by `when`"),
            Self::Open => say!("open"),
            Self::Part => say!("partly accepted"),
            Self::All(Status::Planned) => say!("planned"),
            Self::All(Status::InFlight { .. } | Status::Unknown) => say!("unknown"),
            Self::All(Status::Accepted) => say!("accepted"),
            Self::All(Status::Refused) => say!("refused"),
            Self::All(Status::NotSent) => say!("not sent"),
            Self::All(Status::GivenUp) => say!("given up"),
        }
    }
}

/// What is known of one step.
struct Row {
    name: String,
    action: &'static str,
    state: State,
    accepted: usize,
    calls: usize,
    last: Option<jiff::Timestamp>,
    msg_ids: Vec<u64>,
    changed: Vec<Phrase>,
    /// What to do, if nobody knows whether it was sent.
    doubt: Vec<Phrase>,
    wechat: Vec<String>,
    /// What became of its jobs.
    delivery: Vec<Delivery>,
    /// Its jobs that were deleted, and by whom.
    deleted: Vec<Deletion>,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let subject = Subject::of(args.plan.as_deref(), &args.shard, common, terminal)?;
    subject.each(terminal, |target| status(args, target, common, terminal))
}

fn status(args: &Args, target: Target<'_>, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = open_session(target, common, terminal)?;
    let (plan, platform) = (&session.plan, session.scope.platform);
    let ledger = session.store.read()?;
    let records =
        ledger.as_ref().map_or_else(|| Ok(Vec::new()), |ledger| run::history(plan, &**ledger, &session.scope))?;
    let others = match &ledger {
        Some(ledger) => editions::others(&**ledger, &session.scope)?,
        None => Vec::new(),
    };
    let mut rows = plan.steps.iter().map(|step| row(step, plan, &records)).collect::<Result<Vec<Row>, _>>()?;
    if let Some(ledger) = &ledger {
        for (row, _) in rows.iter_mut().zip(&plan.steps).filter(|(_, step)| step.spec.effect == Effect::Mass) {
            row.delivery = run::delivery::deliveries(&**ledger, platform.name(), &plan.appid, &row.msg_ids)?;
        }
    }
    if args.refresh {
        refresh(&session, &mut rows, &RealClock::at(common.now), terminal)?;
    }
    if args.format.format == Format::Json {
        let steps: Vec<Value> = plan.steps.iter().zip(&rows).map(|(step, row)| {
            json!({ "id": step.id, "key": step.key, "action": row.action, "state": row.state.word(), "accepted_calls": row.accepted, "calls": row.calls,
                    "last_event_at": row.last, "msg_ids": row.msg_ids, "changed": row.changed, "msg_status": row.wechat, "deleted": row.deleted.iter().map(deleted_in_json).collect::<Vec<_>>(), "delivery": row.delivery })
        }).collect();
        let forgotten: Vec<Value> = run::forgotten(plan, &records)
            .map(|record| json!({ "id": record.frozen.id.step, "key": record.frozen.id.key, "chunk": record.frozen.id.chunk, "state": "unknown" }))
            .collect();
        let members = json!({ "plan": plan.name, "digest": plan.digest(), "occurrence": plan.occurrence, "platform": platform.name(), "steps": steps,
                              "no_longer_in_the_plan": forgotten, "other_editions": others.iter().map(in_json).collect::<Vec<_>>() });
        terminal.document(ExitCode::Done, members);
    } else {
        let mut text = human(plan, platform, &rows);
        for record in run::forgotten(plan, &records) {
            let name = record.frozen.id.name();
            let settle = doubt::settle(plan, &name, None);
            let told = say!(
                "{step}  unknown, no longer in the plan; run: {settle} --sent MSG_ID, or --not-sent",
                step = name,
                settle
            );
            text.push_str(&format!("  {told}\n"));
        }
        text.push_str(&other_editions(&others, plan));
        terminal.out(&text);
    }
    Ok(ExitCode::Done)
}

fn deleted_in_json(deletion: &Deletion) -> Value {
    json!({ "msg_id": deletion.job, "article": deletion.article, "at": deletion.at, "by_hand": deletion.by.is_some(), "note": deletion.by })
}

/// Calls that reach many people.
fn in_json(other: &OtherEdition) -> Value {
    json!({ "occurrence": other.occurrence, "accepted_calls": other.accepted, "open_calls": other.open.len(),
            "calls_in_doubt": other.doubtful.len(), "calls_given_up": other.given_up, "finished": other.is_finished(), "last_event_at": other.last })
}

/// Finished editions that are listed for people.
const EDITIONS_SHOWN: usize = 5;

fn other_editions(others: &[OtherEdition], plan: &RenderedPlan) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", say!("other editions:"));
    let (mut finished, mut more) = (0_usize, 0_usize);
    for other in others {
        finished += usize::from(other.is_finished());
        if other.is_finished() && finished > EDITIONS_SHOWN {
            more += 1;
            continue;
        }
        text.push_str(&format!("  {}  {}\n", other.occurrence, other.words()));
        if !other.is_finished() {
            text.push_str(&format!("    {}\n", say!("not finished: {steps}", steps = list(other.unfinished()))));
            other.help(plan).iter().for_each(|help| text.push_str(&format!("    {help}\n")));
        }
    }
    if more > 0 {
        let finished = say!("and {editions} finished edition" | "and {editions} finished editions", editions = more);
        text.push_str(&format!("  {finished}\n"));
    }
    text
}

fn row(step: &RenderedStep, plan: &RenderedPlan, records: &[CallRecord]) -> Result<Row, LedgerError> {
    let mut own: Vec<&CallRecord> =
        records.iter().filter(|record| record.frozen.id.step == step.id && record.frozen.id.key == step.key).collect();
    own.sort_by_key(|record| record.frozen.id.chunk);
    let mut conflicts = false;
    let changed = if has_versions(step) {
        own = latest(step, &own).to_vec();
        let changed = !own.is_empty() && !is_current(step, &own);
        conflicts = changed && step.spec.effect == Effect::Publish && own.iter().any(|record| record.status.in_doubt());
        if changed && step.spec.effect == Effect::Publish {
            vec![say!("the draft that it publishes")]
        } else if changed {
            vec![say!("the next run creates it again")]
        } else {
            Vec::new()
        }
    } else {
        match reconcile(step, &own)? {
            Verdict::Resume { changed } => changed,
            Verdict::Correct => vec![say!("the next run plans the rest from the corrected list")],
            Verdict::Conflict { changed } => {
                conflicts = true;
                changed
            }
            Verdict::Fresh | Verdict::Done => Vec::new(),
        }
    };
    let accepted = own.iter().filter(|record| record.status == Status::Accepted).count();
    let state = match own.iter().find(|record| record.status != Status::Accepted) {
        _ if own.is_empty() && !step.may_run() => State::Skipped,
        _ if own.is_empty() => State::Open,
        None => State::All(Status::Accepted),
        Some(_) if own.iter().any(|record| record.status.in_doubt()) => State::All(Status::Unknown),
        Some(_) if own.iter().any(|record| record.status == Status::GivenUp) => State::All(Status::GivenUp),
        Some(_) if accepted > 0 => State::Part,
        Some(record) => State::All(record.status),
    };
    let settle = doubt::settle(plan, &step.name(), None);
    let doubt =
        own.iter().find(|record| record.status.in_doubt()).map(|record| match (policy::foreign(record), conflicts) {
            (Some(_), _) => {
                let Problem { message, help, .. } = doubt::problem(plan, record, Problem::new(Phrase::verbatim("")));
                std::iter::once(message).chain(help).collect()
            }
            (None, false) if record.frozen.effect == Effect::Publish => {
                vec![say!(
                    "run the plan again (it asks WeChat first), or run: {settle} --sent ARTICLE_ID, or --not-sent",
                    settle = settle.as_str()
                )]
            }
            (None, true) if record.frozen.effect == Effect::Publish => {
                vec![say!("settle it first; run: {settle} --sent ARTICLE_ID, or --not-sent", settle = settle.as_str())]
            }
            (None, false) => {
                vec![say!(
                    "run the plan again within 24 hours, or run: {settle} --sent MSG_ID, or --not-sent",
                    settle = settle.as_str()
                )]
            }
            (None, true) => {
                vec![say!("settle it first; run: {settle} --sent MSG_ID, or --not-sent", settle = settle.as_str())]
            }
        });
    let msg_ids: Vec<u64> = own.iter().filter_map(|record| record.acceptance()?.msg_id).collect();
    let sends = step.spec.effect == Effect::Mass;
    let deleted = deletions(records).filter(|deletion| sends && msg_ids.contains(&deletion.job)).collect();
    Ok(Row {
        deleted,
        name: step.name(),
        action: step.spec.name,
        state,
        accepted,
        calls: if own.is_empty() { step.calls.len() } else { own.len() },
        last: own.iter().flat_map(|record| &record.events).map(|event| event.at).max(),
        msg_ids,
        changed,
        doubt: doubt.unwrap_or_default(),
        wechat: Vec::new(),
        delivery: Vec::new(),
    })
}

/// Asks `mass/get` for every job: reads only.
fn refresh(session: &Session, rows: &mut [Row], clock: &dyn Clock, terminal: &Terminal) -> Result<(), Refusal> {
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    let mut connection = session.connect(session.tokens(terminal))?;
    let timeout = connection.timeout;
    let mut client = connection.client(credential, clock);
    for (row, _) in rows.iter_mut().zip(&session.plan.steps).filter(|(_, step)| step.spec.effect == Effect::Mass) {
        for id in &row.msg_ids {
            let body = json!({ "msg_id": id.to_string() }).to_string();
            let word = match client.call(Method::Post, "/cgi-bin/message/mass/get", Body::Json(&body), timeout) {
                Outcome::Reply(reply) if reply.errcode == 0 => reply.msg_status().unwrap_or("not said").to_owned(),
                outcome => {
                    let mut problem = run::policy::advice(&outcome);
                    problem.message =
                        say!("cannot query the status of msg_id {job}: {why}", job = *id, why = &problem.message);
                    return Err(Refusal { code: ExitCode::Failed, problem });
                }
            };
            row.wechat.push(word);
        }
    }
    Ok(())
}

fn human(plan: &RenderedPlan, platform: Platform, rows: &[Row]) -> String {
    let (name, occurrence, appid) = (plan.name.as_str(), plan.occurrence.as_str(), plan.appid.as_str());
    let head = match platform {
        Platform::Loopback => {
            say!("{name} (occurrence {occurrence}), account {appid} (server on this machine)", name, occurrence, appid)
        }
        Platform::Wechat | Platform::Sandbox => {
            say!("{name} (occurrence {occurrence}), account {appid}", name, occurrence, appid)
        }
    };
    let mut text = format!("{head}\n\n");
    let shown: Vec<String> = rows.iter().map(|row| row.state.shown().to_string()).collect();
    let width = |pick: fn(&Row) -> &str| rows.iter().map(|row| pick(row).width()).max().unwrap_or(0);
    let (names, actions) = (width(|row| &row.name), width(|row| row.action));
    let states = shown.iter().map(|state| state.width()).max().unwrap_or(0);
    for (row, state) in rows.iter().zip(&shown) {
        let mut line = format!("  {}  {}  {}", pad(&row.name, names), pad(row.action, actions), pad(state, states));
        if row.calls > 0 {
            let calls = say!("{accepted}/{calls} calls", accepted = row.accepted, calls = row.calls);
            line.push_str(&format!("  {calls}"));
        }
        if let Some(last) = row.last {
            line.push_str(&format!("  {}", shanghai(last).strftime("%Y-%m-%d %H:%M:%S")));
        }
        if !row.msg_ids.is_empty() {
            let ids: Vec<String> = row.msg_ids.iter().map(u64::to_string).collect();
            line.push_str(&format!("  msg_id {}", ids.join(", ")));
        }
        if !row.wechat.is_empty() {
            line.push_str(&format!("  {}", row.wechat.join(", ")));
        }
        text.push_str(line.trim_end());
        text.push('\n');
        if !row.changed.is_empty() {
            let changed = say!("changed in the plan since: {changes}", changes = list(row.changed.iter().cloned()));
            text.push_str(&format!("    {changed}\n"));
        }
        for job in &row.delivery {
            text.push_str(&format!("    {}\n", job.summary()));
            job.details().iter().for_each(|detail| text.push_str(&format!("      {detail}\n")));
        }
        // What is true of all calls alike is said once.
        let mut told: Vec<String> = row.deleted.iter().map(|deletion| deletion.words().to_string()).collect();
        told.dedup();
        told.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        row.doubt.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}
