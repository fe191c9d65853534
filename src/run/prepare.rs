//! Before a run: what is to be done, according to plan, selection, ledger and guards. Sends nothing, changes nothing.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    drafts,
    followers::with_new,
    frozen, guard,
    outputs::{outputs, slots_of},
    reconcile::{Plan, has_versions, is_current, latest, reconcile},
    refusal::Refusal,
    work::{Freeze, Todo, TodoCall},
};
use crate::{
    diag::{did_you_mean, one_of},
    ledger::{CallRecord, Ledger, LedgerError, Scope, Status},
    openids::Openids,
    payload::Effect,
    problem::Problem,
    render::{PlannedCall, RenderedPlan, RenderedStep},
    slot::Slot,
};

/// Which steps are run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These alone: ids, or instances such as `city[北京]`.
    pub only: Vec<String>,
    /// From this one on.
    pub from: Option<String>,
}

/// What is to be done.
#[derive(Debug)]
pub struct Prepared {
    /// One entry a step instance.
    pub todo: Vec<Todo>,
    /// Values of slots that the ledger knows.
    pub slots: HashMap<Slot, Value>,
    /// Ids of steps that are not selected, whose outputs the ledger knows.
    pub available: HashSet<String>,
    /// Digests of messages that were previewed in this occurrence.
    pub previewed: HashSet<String>,
    /// What is to be said before anything is done.
    pub notes: Vec<String>,
}

/// Compares the plan with the ledger.
pub fn prepare(
    plan: &RenderedPlan,
    ledger: &dyn Ledger,
    scope: &Scope,
    selection: &Selection,
    now: Timestamp,
) -> Result<Prepared, Refusal> {
    let selected = select(plan, selection).map_err(Refusal::Selection)?;
    let records = ledger.calls(scope).map_err(Refusal::Store)?;
    let mut by_step: HashMap<(&str, Option<&str>), Vec<&CallRecord>> = HashMap::new();
    for record in &records {
        by_step.entry((&record.frozen.id.step, record.frozen.id.key.as_deref())).or_default().push(record);
    }
    for list in by_step.values_mut() {
        list.sort_by_key(|record| record.frozen.id.chunk);
    }
    let previews =
        records.iter().filter(|record| record.frozen.effect == Effect::Preview && record.status == Status::Accepted);
    let mut prepared = Prepared {
        todo: Vec::new(),
        slots: HashMap::new(),
        available: HashSet::new(),
        previewed: previews.filter_map(|record| record.frozen.message_digest.clone()).collect(),
        notes: forgotten(plan, &records)
            .map(|record| {
                let name = record.frozen.id.name();
                format!("whether `{name}` was sent by an earlier run is not known, and the plan no longer has it: qunfa resolve {} {name}", plan.path)
            })
            .collect(),
    };
    let mut conflicts = Vec::new();
    for (step, selected) in plan.steps.iter().zip(&selected) {
        let known = by_step.get(&(step.id.as_str(), step.key.as_deref())).map(Vec::as_slice).unwrap_or_default();
        let todo = if *selected {
            todo(plan, step, known, &records, &mut conflicts)
        } else {
            unselected(step, known, &mut prepared)
        };
        let todo = todo.map_err(Refusal::Store)?;
        prepared.todo.push(todo);
    }
    if !conflicts.is_empty() {
        return Err(Refusal::Changed(changed(plan, &conflicts)));
    }
    missing_outputs(plan, &selected, &prepared).map_err(Refusal::MissingOutputs)?;
    guards(plan, &prepared, ledger, scope, now)?;
    Ok(prepared)
}

/// Sends in doubt whose step the plan no longer has.
pub fn forgotten<'r>(plan: &RenderedPlan, records: &'r [CallRecord]) -> impl Iterator<Item = &'r CallRecord> {
    let known: HashSet<(&str, Option<&str>)> =
        plan.steps.iter().map(|step| (step.id.as_str(), step.key.as_deref())).collect();
    records.iter().filter(move |record| {
        let id = &record.frozen.id;
        record.frozen.is_mass() && record.status.in_doubt() && !known.contains(&(id.step.as_str(), id.key.as_deref()))
    })
}

fn select(plan: &RenderedPlan, selection: &Selection) -> Result<Vec<bool>, Problem> {
    let matches = |step: &RenderedStep, name: &str| step.id == name || step.name() == name;
    for name in selection.only.iter().chain(&selection.from) {
        if !plan.steps.iter().any(|step| matches(step, name)) {
            let names: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
            let near = did_you_mean(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("the plan has {}", one_of(&names)));
            return Err(Problem { message: format!("no step has the id `{name}`"), help: vec![help], errcode: None });
        }
    }
    let from =
        selection.from.as_ref().and_then(|name| plan.steps.iter().position(|step| matches(step, name))).unwrap_or(0);
    let chosen =
        |step: &RenderedStep| selection.only.is_empty() || selection.only.iter().any(|name| matches(step, name));
    Ok(plan.steps.iter().enumerate().map(|(index, step)| index >= from && chosen(step)).collect())
}

/// A step that is not selected gives what the ledger has of it.
fn unselected(step: &RenderedStep, known: &[&CallRecord], prepared: &mut Prepared) -> Result<Todo, LedgerError> {
    // A draft that is not what the plan says any more was not looked at: it is not sent.
    let version = if has_versions(step) { latest(step, known) } else { known };
    let current = !has_versions(step) || is_current(step, version);
    if current && !version.is_empty() && version.iter().all(|record| record.status == Status::Accepted) {
        if step.spec.effect == Effect::Media {
            frozen::check_given(version)?;
        }
        let outputs = outputs(step, version.iter().filter_map(|record| record.acceptance()));
        prepared.slots.extend(slots_of(step, &outputs));
        prepared.available.insert(step.id.clone());
    }
    Ok(Todo::Skip)
}

fn todo<'p>(
    plan: &RenderedPlan,
    step: &'p RenderedStep,
    known: &[&CallRecord],
    all: &[CallRecord],
    conflicts: &mut Vec<(&'p RenderedStep, Vec<String>)>,
) -> Result<Todo, LedgerError> {
    if !step.may_run() {
        return Ok(Todo::Skip);
    }
    if step.spec.effect == Effect::Media {
        return Ok(drafts::todo(step, known, all)?.unwrap_or_else(|changed| {
            conflicts.push((step, changed));
            Todo::Skip
        }));
    }
    if step.spec.effect == Effect::Preview {
        return preview(step, known);
    }
    let records = || -> Vec<CallRecord> { known.iter().map(|record| (*record).clone()).collect() };
    if step.covers {
        return Ok(Todo::Cover { records: records() });
    }
    Ok(match reconcile(step, known)? {
        Plan::Done if step.sends_new && step.listed.is_some() => {
            Todo::Gather { records: records(), had: frozen::people(known.iter().map(|record| &record.frozen))? }
        }
        Plan::Done if step.sends_new => {
            let had = frozen::people(known.iter().map(|record| &record.frozen))?;
            with_new(plan, step, records(), &had, people(step))?
        }
        Plan::Done => Todo::Done { records: records(), notes: Vec::new() },
        Plan::Fresh if step.listed.is_some() => Todo::Gather { records: Vec::new(), had: Openids::default() },
        Plan::Fresh => {
            let calls = step.calls.iter().map(|call| TodoCall::planned(step, call.clone()));
            Todo::Run { calls: calls.collect(), freeze: Freeze::All, notes: Vec::new() }
        }
        Plan::Resume { changed } => {
            let calls = known.iter().map(|record| TodoCall::begun(record)).collect::<Result<Vec<_>, _>>()?;
            let done = known.iter().filter(|record| record.status == Status::Accepted).count();
            let mut notes = vec![format!(
                "`{}` was begun by an earlier run: {done} of {} calls are accepted, the rest goes on",
                step.name(),
                known.len()
            )];
            if !changed.is_empty() {
                notes.push(format!(
                    "`{}` goes on with the audience it began with, although the plan has changed: {}",
                    step.name(),
                    changed.join(", ")
                ));
            }
            Todo::Run { calls, freeze: Freeze::Nothing, notes }
        }
        Plan::Conflict { changed } => {
            conflicts.push((step, changed));
            Todo::Skip
        }
    })
}

/// A preview that has changed is shown again.
fn preview(step: &RenderedStep, known: &[&CallRecord]) -> Result<Todo, LedgerError> {
    let shown = known.iter().find(|record| is_current(step, &[record]));
    Ok(match shown {
        Some(record) if record.status == Status::Accepted => {
            Todo::Done { records: vec![(*record).clone()], notes: Vec::new() }
        }
        Some(record) => Todo::Run { calls: vec![TodoCall::begun(record)?], freeze: Freeze::Nothing, notes: Vec::new() },
        None => {
            let first = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
            let numbered = step.calls.iter().zip(first..);
            let calls = numbered.map(|(call, chunk)| TodoCall::planned(step, PlannedCall { chunk, ..call.clone() }));
            let again = known.iter().any(|record| record.status == Status::Accepted);
            let note = format!("`{}` has changed since it was previewed: it is previewed again", step.name());
            Todo::Run {
                calls: calls.collect(),
                freeze: Freeze::New,
                notes: again.then_some(note).into_iter().collect(),
            }
        }
    })
}

/// The people of a send whose people are known before the run.
fn people(step: &RenderedStep) -> Openids {
    step.people.as_ref().map(|audience| Openids::clone(&audience.openids)).unwrap_or_default()
}

fn changed(plan: &RenderedPlan, conflicts: &[(&RenderedStep, Vec<String>)]) -> Problem {
    let what: Vec<String> = conflicts
        .iter()
        .map(|(step, changed)| format!("`{}` ({}:{}): {}", step.name(), plan.path, step.line, changed.join(", ")))
        .collect();
    Problem {
        message: format!("the plan no longer matches what was already sent: {}", what.join("; ")),
        help: vec![
            "to send again, give the plan another `occurrence`, or the step another `id`; else undo the change".into(),
        ],
        errcode: None,
    }
}

fn missing_outputs(plan: &RenderedPlan, selected: &[bool], prepared: &Prepared) -> Result<(), Problem> {
    for (index, step) in plan.steps.iter().enumerate() {
        if !prepared.todo[index].is_open() {
            continue;
        }
        for need in &step.needs {
            let given = plan.steps.iter().zip(selected).any(|(other, selected)| other.id == *need && *selected);
            if !given && !prepared.available.contains(need) {
                let message = format!(
                    "`{}` needs the outputs of `{need}`, which is not selected, and the ledger has none of what the plan says now",
                    step.name()
                );
                return Err(Problem {
                    message,
                    help: vec![format!("run `{need}` too: --only {need} --only {}", step.id)],
                    errcode: None,
                });
            }
        }
    }
    Ok(())
}

/// Holds what is known against the guards: before the run, and again when people were listed.
pub fn guards(
    plan: &RenderedPlan,
    prepared: &Prepared,
    ledger: &dyn Ledger,
    scope: &Scope,
    now: Timestamp,
) -> Result<(), Refusal> {
    let mut recipients = 0;
    let mut previewed = prepared.previewed.clone();
    let mut any = false;
    let hit = |hit: guard::Hit| Err(Refusal::Guard(hit.problem(plan)));
    for (step, todo) in plan.steps.iter().zip(&prepared.todo).filter(|(_, todo)| todo.is_open()) {
        if step.spec.effect == Effect::Preview {
            previewed.extend(step.content.digest().map(str::to_owned));
        }
        if step.spec.effect != Effect::Mass {
            continue;
        }
        any = true;
        recipients += todo.open_calls().filter_map(|call| call.frozen.recipients).sum::<u64>();
        if let Some(problem) = guard::previewed(plan, step, &previewed) {
            return hit(problem);
        }
    }
    if !any {
        return Ok(());
    }
    let known = guard::time(&plan.guards, now).or_else(|| guard::recipients(&plan.guards, recipients));
    if let Some(problem) = known {
        return hit(problem);
    }
    guard::changed(plan, &prepared.todo, ledger, scope).map_err(Refusal::Store)?.map_or(Ok(()), hit)
}
