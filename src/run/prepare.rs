//! Before a run: what is to be done, according to plan, selection, ledger and guards. Sends nothing, changes nothing.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    deleted, doubt, drafts, editions, existing,
    followers::{corrected, with_new},
    frozen, guard,
    outputs::{outputs, slots_of},
    published,
    reconcile::{Verdict, has_versions, is_current, latest, reconcile},
    refusal::{Refusal, in_a_row, numbered},
    renamed::{self, Outside},
    tamper,
    work::{Facts, Left, StepCall, StepState, Unlisted, Work, Write},
};
use crate::{
    ledger::{CallRecord, Ledger, LedgerError, Scope, Status},
    locale::{Count, Phrase, list, say},
    openids::Openids,
    payload::Effect,
    problem::Problem,
    render::{PlannedCall, RenderedPlan, RenderedStep},
    text::{nearest, one_of, quoted},
};

/// Which steps are run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These alone: ids, or instances such as `city[北京]`.
    pub(crate) only: Vec<String>,
    /// From this one on.
    pub(crate) from: Option<String>,
}

/// What is to be done, as far as plan and ledger know it.
#[derive(Debug)]
pub struct Prepared<'p> {
    pub(super) plan: &'p RenderedPlan,
    /// One entry a step instance.
    pub(super) work: Vec<Work<'p, Unlisted<'p>>>,
    pub(super) facts: Facts,
    /// What is to be said before anything is done.
    pub(super) notes: Vec<Phrase>,
    /// What the ledger has of this edition.
    pub(super) records: Vec<CallRecord>,
}

/// Compares the plan with the ledger, and asks the guards about what is known without a call.
pub fn prepare<'p>(
    plan: &'p RenderedPlan,
    ledger: &dyn Ledger,
    scope: &Scope,
    selection: &Selection,
    outside: Outside<'_>,
) -> Result<Prepared<'p>, Refusal> {
    let now = outside.now;
    let mut prepared = compare(plan, ledger, scope, selection, now)?;
    renamed::check(plan, &prepared.work, &prepared.records, (ledger, scope), outside)?;
    prepared.notes.extend(guard::rehearsed(plan, &prepared.work, scope, now));
    match guard::refusal(plan, &prepared.work, &prepared.facts, ledger, scope, now)? {
        Some(problem) => Err(Refusal::Guard(problem)),
        None => Ok(prepared),
    }
}

/// Compares the plan with the ledger alone: the guards are not asked.
pub(super) fn compare<'p>(
    plan: &'p RenderedPlan,
    ledger: &dyn Ledger,
    scope: &Scope,
    selection: &Selection,
    now: Timestamp,
) -> Result<Prepared<'p>, Refusal> {
    let selected = select(plan, selection).map_err(Refusal::Selection)?;
    let records = renamed::history(plan, ledger, scope)?;
    renamed::finished(plan, &records)?;
    let mut by_step: HashMap<(&str, Option<&str>), Vec<&CallRecord>> = HashMap::new();
    for record in &records {
        by_step.entry((&record.frozen.id.step, record.frozen.id.key.as_deref())).or_default().push(record);
    }
    for list in by_step.values_mut() {
        list.sort_by_key(|record| record.frozen.id.chunk);
    }
    let previews =
        records.iter().filter(|record| record.frozen.effect == Effect::Preview && record.status == Status::Accepted);
    let previewed = previews.filter_map(|record| record.frozen.message_digest.clone()).collect();
    let mut facts = Facts { slots: HashMap::new(), previewed };
    let mut work = Vec::with_capacity(plan.steps.len());
    let mut conflicts = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let known = by_step.get(&(step.id.as_str(), step.key.as_deref())).map(Vec::as_slice).unwrap_or_default();
        let (left, state) = if selected(index, step) {
            (left(plan, step, known, &records, &mut conflicts)?, StepState::Pending)
        } else {
            (Left::NotSelected, unselected(step, known, &mut facts)?)
        };
        if let Left::Calls { calls, .. } = &left {
            tamper::check(plan, step, calls)?;
        }
        work.push(Work { step, left, state });
    }
    for Work { step, .. } in work.iter().filter(|work| work.left.is_open()) {
        let draft = step.draft().and_then(|(draft, _)| published::draft_id(draft, &records));
        let published = draft.and_then(|draft| published::of_draft(&draft, &records));
        // Its own attempt is settled by the step itself.
        if let Some(record) = published.filter(|record| !is_of(record, step)) {
            let why = say!("its draft was already published by `{step}`", step = record.frozen.id.name());
            conflicts.push(Conflict { step, why: Why::Changed(vec![why]) });
        }
    }
    if !conflicts.is_empty() {
        return Err(refused(plan, &conflicts));
    }
    existing::reopen(&mut work, &records);
    missing_outputs(&work).map_err(Refusal::MissingOutputs)?;
    let forgotten = forgotten(plan, &records).map(|record| {
        let step = record.frozen.id.name();
        let command = doubt::settle(plan, &step, None);
        say!("an earlier run left the outcome of `{step}` unknown, and the step is no longer in the plan; run: {command}", step, command)
    });
    let by_hand = deleted::notes(&records);
    let notes = renamed::tonight(plan, &work, now).into_iter().chain(forgotten).chain(by_hand).collect();
    let begun = records.iter().any(renamed::was_sent);
    if !begun {
        editions::check(plan, &work, ledger, scope)?;
    }
    drop(by_step);
    Ok(Prepared { plan, work, facts, notes, records })
}

/// Sends in doubt whose step the plan no longer has.
pub fn forgotten<'r>(plan: &RenderedPlan, records: &'r [CallRecord]) -> impl Iterator<Item = &'r CallRecord> {
    let known: HashSet<(&str, Option<&str>)> =
        plan.steps.iter().map(|step| (step.id.as_str(), step.key.as_deref())).collect();
    records.iter().filter(move |record| {
        let id = &record.frozen.id;
        record.frozen.is_once() && record.status.in_doubt() && !known.contains(&(id.step.as_str(), id.key.as_deref()))
    })
}

/// Whether a call is one of a step.
fn is_of(record: &CallRecord, step: &RenderedStep) -> bool {
    record.frozen.id.step == step.id && record.frozen.id.key == step.key
}

/// Whether a step, by its number in the plan from 0, is to be run.
fn select<'s>(
    plan: &RenderedPlan,
    selection: &'s Selection,
) -> Result<impl Fn(usize, &RenderedStep) -> bool + use<'s>, Problem> {
    let matches = |step: &RenderedStep, name: &str| step.id == name || step.name() == name;
    for name in selection.only.iter().chain(&selection.from) {
        if !plan.steps.iter().any(|step| matches(step, name)) {
            let names: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
            let near = nearest(name, names.iter().copied());
            let help = near.unwrap_or_else(|| say!("the plan has {steps}", steps = one_of(&names)));
            return Err(Problem::new(say!("no step has the id `{name}`", name)).help(help));
        }
    }
    let from =
        selection.from.as_ref().and_then(|name| plan.steps.iter().position(|step| matches(step, name))).unwrap_or(0);
    let only = &selection.only;
    let chosen = move |step: &RenderedStep| only.is_empty() || only.iter().any(|name| matches(step, name));
    Ok(move |index, step: &RenderedStep| index >= from && chosen(step))
}

/// A step that is not selected gives what the ledger has of it.
fn unselected(step: &RenderedStep, known: &[&CallRecord], facts: &mut Facts) -> Result<StepState, LedgerError> {
    // A draft that is not what the plan says any more was not looked at: it is not sent.
    let version = if has_versions(step) { latest(step, known) } else { known };
    let current = !has_versions(step) || is_current(step, version);
    if current && !version.is_empty() && version.iter().all(|record| record.status == Status::Accepted) {
        if step.spec.effect == Effect::Media {
            frozen::check_given(version)?;
        }
        let outputs = outputs(step, version.iter().filter_map(|record| record.acceptance()));
        facts.slots.extend(slots_of(step, &outputs));
        return Ok(StepState::Available);
    }
    Ok(StepState::Pending)
}

fn left<'p>(
    plan: &RenderedPlan,
    step: &'p RenderedStep,
    known: &[&CallRecord],
    all: &[CallRecord],
    conflicts: &mut Vec<Conflict<'p>>,
) -> Result<Left<Unlisted<'p>>, Refusal> {
    if !step.may_run() {
        let doubtful = known.iter().find(|record| record.frozen.is_once() && record.status.in_doubt());
        return Ok(doubtful.map_or(Left::Never, |record| Left::Doubtful { record: Box::new((*record).clone()) }));
    }
    let mut conflict = |why| {
        conflicts.push(Conflict { step, why });
        // With a conflict nothing is run at all: nothing is left of the step.
        Left::Never
    };
    if existing::uses(step).is_some() {
        return Ok(existing::left(step, known)?);
    }
    if step.spec.effect == Effect::Media {
        return Ok(drafts::left(step, known, all)?.unwrap_or_else(|changed| conflict(Why::Changed(changed))));
    }
    if step.spec.effect == Effect::Preview {
        return Ok(preview(step, known)?);
    }
    if step.spec.effect == Effect::Publish {
        return Ok(published::left(step, known)?.unwrap_or_else(|blocked| conflict(Why::of(blocked))));
    }
    let records = || -> Vec<CallRecord> { known.iter().map(|record| (*record).clone()).collect() };
    if step.covers {
        return Ok(Left::Cover { records: records() });
    }
    let given_up = chunks(known, |status| status == Status::GivenUp);
    if !given_up.is_empty() {
        return Ok(conflict(Why::GivenUp(given_up)));
    }
    Ok(match (reconcile(step, known)?, &step.listed) {
        (Verdict::Done, followers) if step.sends_new => {
            let (records, had) = (records(), frozen::people(known.iter().map(|record| &record.frozen))?);
            match followers {
                Some(followers) => Left::List(Unlisted { followers, records, had, refused: false }),
                None => with_new(plan, step, records, &had, people(step))?,
            }
        }
        (Verdict::Done, _) => Left::Done { records: records(), notes: Vec::new() },
        (Verdict::Fresh, Some(followers)) => {
            Left::List(Unlisted { followers, records: Vec::new(), had: Openids::default(), refused: false })
        }
        (Verdict::Fresh, None) => {
            let calls = step.calls.iter().map(|call| StepCall::planned(step, call.clone()));
            Left::Calls { calls: calls.collect(), write: Write::All, notes: Vec::new() }
        }
        (Verdict::Resume { changed }, _) => {
            let calls = known.iter().map(|record| StepCall::begun(record)).collect::<Result<Vec<_>, _>>()?;
            let done = known.iter().filter(|record| record.status == Status::Accepted).count();
            let mut notes = vec![say!(
                "resuming `{step}`: {done} of {calls} calls already accepted",
                step = step.name(),
                done = Count::from(done),
                calls = Count::from(known.len())
            )];
            if !changed.is_empty() {
                notes.push(say!(
                    "`{step}` continues with its original audience, although the plan has changed: {changes}",
                    step = step.name(),
                    changes = list(changed)
                ));
            }
            Left::Calls { calls, write: Write::None, notes }
        }
        (Verdict::Correct, followers) => {
            let stays = |record: &&CallRecord| record.status == Status::Accepted || record.status.in_doubt();
            let kept: Vec<CallRecord> = records().into_iter().filter(|record| stays(&record)).collect();
            let had = frozen::people(kept.iter().map(|record| &record.frozen))?;
            match followers {
                Some(followers) => Left::List(Unlisted { followers, records: kept, had, refused: true }),
                None => corrected(plan, step, &kept, &had, people(step))?,
            }
        }
        (Verdict::Conflict { changed }, _) => {
            let doubtful = chunks(known, Status::in_doubt);
            let doubtful = if step.spec.effect == Effect::Mass { doubtful } else { Vec::new() };
            conflict(if doubtful.is_empty() { Why::Changed(changed) } else { Why::Doubtful(doubtful, changed) })
        }
    })
}

/// A step that cannot go on from what the ledger has of it.
struct Conflict<'p> {
    step: &'p RenderedStep,
    why: Why,
}

enum Why {
    /// It was sent, and what differs now, in words.
    Changed(Vec<Phrase>),
    /// Numbers of the calls of which nobody knows whether they were sent, and what differs now.
    Doubtful(Vec<u32>, Vec<Phrase>),
    /// Numbers of the calls that a person gave up.
    GivenUp(Vec<u32>),
}

impl Why {
    fn of(blocked: published::Blocked) -> Self {
        match blocked {
            published::Blocked::Changed(changed) => Self::Changed(changed),
            published::Blocked::Doubtful(call, changed) => Self::Doubtful(vec![call], changed),
            published::Blocked::GivenUp(call) => Self::GivenUp(vec![call]),
        }
    }
}

/// The numbers of calls that stand so.
fn chunks(known: &[&CallRecord], stands: impl Fn(Status) -> bool) -> Vec<u32> {
    known.iter().filter(|record| stands(record.status)).map(|record| record.frozen.id.chunk).collect()
}

/// A preview that has changed is shown again.
fn preview<L>(step: &RenderedStep, known: &[&CallRecord]) -> Result<Left<L>, LedgerError> {
    let shown = known.iter().find(|record| is_current(step, &[record]));
    Ok(match shown {
        Some(record) if record.status == Status::Accepted => {
            Left::Done { records: vec![(*record).clone()], notes: Vec::new() }
        }
        Some(record) => Left::Calls { calls: vec![StepCall::begun(record)?], write: Write::None, notes: Vec::new() },
        None => {
            let first = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
            let numbered = step.calls.iter().zip(first..);
            let calls = numbered.map(|(call, chunk)| StepCall::planned(step, PlannedCall { chunk, ..call.clone() }));
            let again = known.iter().any(|record| record.status == Status::Accepted);
            let note = say!("`{step}` has changed since its preview; previewing it again", step = step.name());
            Left::Calls {
                calls: calls.collect(),
                write: Write::New,
                notes: again.then_some(note).into_iter().collect(),
            }
        }
    })
}

/// The people of a send whose people are known before the run.
fn people(step: &RenderedStep) -> Openids {
    step.people.as_ref().map(|audience| Openids::clone(&audience.openids)).unwrap_or_default()
}

/// What is in doubt comes first: as long as it is not settled, nobody can say whether the step may be changed.
fn refused(plan: &RenderedPlan, conflicts: &[Conflict<'_>]) -> Refusal {
    let place = |step: &RenderedStep| {
        say!("`{step}` ({place})", step = step.name(), place = format!("{}:{}", plan.path, step.line))
    };
    let (mut doubtful, mut changed, mut help) = (Vec::new(), Vec::new(), Vec::new());
    for Conflict { step, why } in conflicts {
        let settle = doubt::settle(plan, &step.name(), None);
        match why {
            Why::Doubtful(calls, changes) => {
                doubtful.push(say!(
                    "{place}, {calls}: {changes}",
                    place = place(step),
                    calls = numbered(calls),
                    changes = list(changes.iter().cloned())
                ));
                let command = if calls.len() > 1 { format!("{settle} --chunk N") } else { settle };
                help.push(say!(
                    "check the console (群发记录), then report what you saw: {command} --sent MSG_ID, or --not-sent",
                    command
                ));
            }
            Why::Changed(changes) => {
                changed.push(say!("{place}: {changes}", place = place(step), changes = list(changes.iter().cloned())));
            }
            Why::GivenUp(calls) => {
                changed.push(say!("{place}: given up: {calls}", place = place(step), calls = numbered(calls)));
                help.push(say!("or take it up again: {command} --not-sent", command = settle));
            }
        }
    }
    if doubtful.is_empty() {
        let undo = conflicts.iter().any(|conflict| matches!(conflict.why, Why::Changed(_)));
        help.insert(
            0,
            if undo {
                say!("to send again, change the plan's `occurrence` or the step's `id`; otherwise undo the change")
            } else {
                say!("to send again, change the plan's `occurrence` or the step's `id`")
            },
        );
        let message = say!("the plan no longer matches the messages already sent: {why}", why = in_a_row(changed));
        return Refusal::Changed(said(message, help));
    }
    help.push(say!("or undo the change and run it again within 24 hours to repeat the send with the same clientmsgid"));
    let message = say!(
        "unknown whether it was sent, and the plan has changed since: {why}",
        why = in_a_row(doubtful.into_iter().chain(changed))
    );
    Refusal::InDoubt(said(message, help))
}

fn said(message: Phrase, help: Vec<Phrase>) -> Problem {
    help.into_iter().fold(Problem::new(message), Problem::help)
}

fn missing_outputs<L>(work: &[Work<'_, L>]) -> Result<(), Problem> {
    for Work { step, .. } in work.iter().filter(|work| work.left.is_open()) {
        for need in &step.needs {
            let mut given = work.iter().filter(|other| other.step.id == *need);
            let to_come = |other: &Work<'_, L>| !matches!(other.left, Left::NotSelected);
            if !given.any(|other| to_come(other) || other.state == StepState::Available) {
                let message = say!(
                    "`{step}` needs the outputs of `{need}`, which is not selected and has no current result in the ledger",
                    step = step.name(),
                    need
                );
                let help = say!(
                    "run `{need}` too: --only {need} --only {step}",
                    need = &*quoted(need),
                    step = &*quoted(&step.id)
                );
                return Err(Problem::new(message).help(help));
            }
        }
    }
    Ok(())
}
