//! `qunfa audience`: who a send goes to, and how that differs from whom it went to.

use serde_json::{Value, json};

use super::{
    failure::Failure,
    load::open_session,
    options::{Common, Format, FormatArg},
    subject::{Subject, plan_and_step},
    terminal::Terminal,
};
use crate::{
    ledger::{CallRecord, LedgerError, Status},
    locale::{Count, Phrase, say},
    openids::Openids,
    payload,
    problem::{ExitCode, Refusal},
    render::{RenderedPlan, RenderedStep},
    run::frozen,
    text::{nearest, one_of, pad},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// The send step: an id, or an instance such as 'city[北京]'
    #[arg(required_unless_present = "fleet")]
    step: Option<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// What is known of the people of one send.
struct Facts {
    name: String,
    id: String,
    key: Option<String>,
    listed: Option<String>,
    duplicates: usize,
    excluded: usize,
    people: Option<usize>,
    calls: usize,
    fingerprint: Option<String>,
    sent: Option<Sent>,
}

/// Who had it so far, and how that differs.
struct Sent {
    people: usize,
    calls: usize,
    new: Option<usize>,
    gone: Option<usize>,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, step) = plan_and_step(args.plan.as_deref(), args.step.as_deref(), common);
    let subject = Subject::one(plan, common, terminal)?;
    let session = open_session(subject.target(), common, terminal)?;
    let plan = &session.plan;
    let sends = chosen(plan, step.unwrap_or_default())?;
    let records = session.records()?;
    let facts = sends.into_iter().map(|step| facts(step, &records)).collect::<Result<Vec<Facts>, _>>()?;
    if args.format.format == Format::Json {
        let sends: Vec<Value> = facts.iter().map(as_json).collect();
        let platform = session.scope.platform.name();
        let members = json!({ "plan": plan.name, "digest": plan.digest(), "occurrence": plan.occurrence, "platform": platform, "sends": sends });
        terminal.document(ExitCode::Done, members);
    } else {
        terminal.out(&facts.iter().map(human).collect::<Vec<_>>().join("\n"));
    }
    Ok(ExitCode::Done)
}

/// The sends to openids that a name means.
fn chosen<'p>(plan: &'p RenderedPlan, name: &str) -> Result<Vec<&'p RenderedStep>, Refusal> {
    let sends = || plan.steps.iter().filter(|step| step.people.is_some() || step.listed.is_some());
    let chosen: Vec<&RenderedStep> = sends().filter(|step| step.id == name || step.name() == name).collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let names: Vec<String> = sends().map(RenderedStep::name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => near,
        None if names.is_empty() => say!("the plan has no sends to lists of people; a send to a tag has no list"),
        None => say!("the plan has {names}", names = one_of(&names)),
    };
    Err(Refusal::usage(say!("no `send_by_openid` step has the id `{name}`", name)).help(help))
}

fn facts(step: &RenderedStep, records: &[CallRecord]) -> Result<Facts, LedgerError> {
    let own = records.iter().filter(|record| record.frozen.id.step == step.id && record.frozen.id.key == step.key);
    let sent: Vec<&CallRecord> =
        own.filter(|record| record.status == Status::Accepted || record.status.in_doubt()).collect();
    let had = frozen::people(sent.iter().map(|record| &record.frozen))?;
    let now = step.people.as_ref().map(|audience| &*audience.openids);
    // How many of the first are not among the second.
    let without = |these: &Openids, those: &Openids| {
        let mut rest = these.clone();
        rest.unique(those);
        rest.len()
    };
    let fingerprint = |people: &Openids| {
        let mut text = String::new();
        people.iter().for_each(|openid| text.extend([openid, "\n"]));
        payload::digest(text.as_bytes())
    };
    Ok(Facts {
        name: step.name(),
        id: step.id.clone(),
        key: step.key.clone(),
        listed: step.listed.as_ref().map(|list| list.to_string()),
        duplicates: step.people.as_ref().map_or(0, |audience| audience.duplicates),
        excluded: step.people.as_ref().map_or(step.excluded.len(), |audience| audience.excluded),
        people: now.map(Openids::len),
        calls: step.calls.len(),
        fingerprint: now.map(fingerprint),
        sent: (!sent.is_empty()).then(|| Sent {
            people: had.len(),
            calls: sent.len(),
            new: now.map(|now| without(now, &had)),
            gone: now.map(|now| without(&had, now)),
        }),
    })
}

fn as_json(facts: &Facts) -> Value {
    let sent = facts
        .sent
        .as_ref()
        .map(|sent| json!({ "people": sent.people, "calls": sent.calls, "new": sent.new, "gone": sent.gone }));
    json!({
        "id": facts.id, "key": facts.key, "listed": facts.listed, "people": facts.people, "duplicates": facts.duplicates,
        "excluded": facts.excluded, "calls": facts.people.map(|_| facts.calls), "fingerprint": facts.fingerprint, "sent": sent,
    })
}

fn human(facts: &Facts) -> String {
    let mut text = format!("{}\n", facts.name);
    let mut row = |name: Phrase, value: Phrase| text.push_str(&format!("  {} {value}\n", pad(&name.to_string(), 12)));
    let count = |number: usize| say!("{number}", number = Count(number as u64));
    match (facts.people, &facts.listed) {
        (Some(people), _) => {
            row(say!("listed"), count(people + facts.duplicates + facts.excluded));
            row(say!("duplicates"), count(facts.duplicates));
            row(say!("excluded"), count(facts.excluded));
            row(say!("people"), count(people));
            row(say!("calls"), count(facts.calls));
        }
        (None, list) => {
            let list = list.as_deref().unwrap_or_default();
            row(say!("people"), say!("{list} (listed when the plan runs)", list));
            row(say!("excluded"), say!("up to {number}", number = Count(facts.excluded as u64)));
        }
    }
    if let Some(fingerprint) = &facts.fingerprint {
        row(say!("fingerprint"), Phrase::verbatim(fingerprint));
    }
    row(say!("sent to"), facts.sent.as_ref().map_or_else(|| say!("nobody yet"), had));
    text
}

/// Who had it so far.
fn had(sent: &Sent) -> Phrase {
    let people = say!("{people} person" | "{people} people", people = sent.people);
    let calls = say!("{calls} call" | "{calls} calls", calls = sent.calls);
    match (sent.new, sent.gone) {
        (Some(0), Some(0)) => say!("{people} in {calls}; nothing has changed", people, calls),
        (Some(new), Some(gone)) => {
            let (new, gone) = (Count(new as u64), Count(gone as u64));
            say!("{people} in {calls}; {new} new, {gone} gone since", people, calls, new, gone)
        }
        _ => say!("{people} in {calls}", people, calls),
    }
}
