//! A run that did not end (its process was killed, or the machine stopped): what the ledger has of it, as the events that
//! it would have emitted. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    attempt::outcome_of,
    outputs::{named, outputs},
    views::views,
};
use crate::{
    ledger::{CallRecord, EventKind, RunRecord, Status},
    locale::{Count, Phrase, say},
    problem::{ExitCode, Problem},
    render::{RenderedPlan, RenderedStep},
    report::{AccountRef, CallOutcome, CallReport, PlanRef, RunEvent, RunOutcome, StepOutcome, StepView},
    wechat::errcode,
};

/// The calls of one step.
type Calls<'a> = Vec<&'a CallRecord>;

/// Emits what is known of a run. `records` are the calls of its scope; steps that the plan no longer has come last.
pub(crate) fn replay(plan: &RenderedPlan, run: &RunRecord, records: &[CallRecord], emit: &mut dyn FnMut(RunEvent)) {
    let mut by_step: BTreeMap<(&str, Option<&str>), Calls<'_>> = BTreeMap::new();
    for record in records {
        by_step.entry((&record.frozen.id.step, record.frozen.id.key.as_deref())).or_default().push(record);
    }
    let mut known: Vec<(StepView, Option<&RenderedStep>, Calls<'_>)> = Vec::new();
    for (step, view) in plan.steps.iter().zip(views(plan)) {
        let calls = by_step.remove(&(step.id.as_str(), step.key.as_deref())).unwrap_or_default();
        known.push((view, Some(step), calls));
    }
    for ((id, key), calls) in by_step {
        let view = StepView {
            id: id.to_owned(),
            key: key.map(str::to_owned),
            action: calls.first().map(|call| call.frozen.action.clone()).unwrap_or_default(),
            description: None,
            line: 0,
            audience: None,
            message: None,
            calls: calls.len(),
        };
        known.push((view, None, calls));
    }
    emit(RunEvent::Started {
        run_id: run.run_id.clone(),
        plan: PlanRef { name: plan.name.clone(), path: run.path.clone(), digest: run.digest.clone() },
        account: AccountRef {
            appid: plan.appid.clone(),
            kind: plan.account.kind.name().into(),
            name: plan.account.name.clone(),
        },
        occurrence: run.occurrence.clone(),
        platform: run.platform.name().to_owned(),
        at: run.started_at,
        steps: known.iter().map(|(view, ..)| view.clone()).collect(),
    });
    let mut last = run.started_at;
    let mut unknown = false;
    for (index, (_, step, calls)) in known.iter().enumerate() {
        let (end, at) = one_step(index, *step, calls, run, emit);
        unknown |= end == StepOutcome::Unknown;
        last = last.max(at.unwrap_or(last));
    }
    let (outcome, exit_code) = if unknown {
        (RunOutcome::Unknown, ExitCode::Unknown)
    } else {
        (RunOutcome::Interrupted, ExitCode::Interrupted)
    };
    let error = Problem::new(say!(
        "the run did not finish: it was killed, the machine stopped, or it is still running; this is the ledger's record of it"
    ))
    .help(say!("run the plan again to continue"));
    emit(RunEvent::Finished { outcome, exit_code, token_fetches: 0, error: Some(error), at: last });
}

/// The record as it stood when the run was last heard of.
fn then(record: &CallRecord, run: &RunRecord) -> (CallRecord, bool) {
    let touched = record.events.iter().rposition(|event| event.run_id == run.run_id);
    let until = touched.map_or_else(
        || record.events.iter().position(|event| event.at >= run.started_at).unwrap_or(record.events.len()),
        |last| last + 1,
    );
    let events = record.events[..until].to_vec();
    // A prefix of a legal history is legal.
    let past = CallRecord::new(record.frozen.clone(), events).unwrap_or_else(|_| record.clone());
    (past, touched.is_some())
}

fn one_step(
    index: usize,
    step: Option<&RenderedStep>,
    calls: &[&CallRecord],
    run: &RunRecord,
    emit: &mut dyn FnMut(RunEvent),
) -> (StepOutcome, Option<Timestamp>) {
    let mut calls: Vec<(CallRecord, bool)> = calls.iter().map(|record| then(record, run)).collect();
    calls.sort_by_key(|(record, _)| record.frozen.id.chunk);
    let touched = || calls.iter().filter(|(_, touched)| *touched).map(|(record, _)| record);
    let mine = || touched().flat_map(|record| &record.events).filter(|event| event.run_id == run.run_id);
    let (began, ended) = (mine().map(|event| event.at).min(), mine().map(|event| event.at).max());
    if let Some(at) = began {
        emit(RunEvent::StepStarted { step: index, at });
    }
    for record in touched() {
        emit(RunEvent::CallFinished { step: index, call: call(record, run) });
    }
    let accepted = calls.iter().filter(|(record, _)| record.status == Status::Accepted).count();
    let all = !calls.is_empty() && accepted == calls.len();
    let outcome = match (all, touched().next_back().map(|record| record.status)) {
        (true, Some(_)) => StepOutcome::Succeeded,
        (true, None) => StepOutcome::AlreadyDone,
        (false, Some(status)) if status.in_doubt() => StepOutcome::Unknown,
        (false, Some(Status::Refused)) => StepOutcome::Failed,
        (false, _) => StepOutcome::NotRun,
    };
    let error = match outcome {
        StepOutcome::Unknown => Some(Problem::new(say!("the run ended during a call, so its outcome is unknown"))),
        StepOutcome::NotRun if accepted > 0 => {
            let (accepted, all) = (Count::from(accepted), Count::from(calls.len()));
            Some(Problem::new(say!("the run ended after {accepted} of {all} calls", accepted, all)))
        }
        StepOutcome::NotRun => Some(Problem::new(say!("the run ended before this step"))),
        _ => None,
    };
    let outputs = match step {
        Some(step) if all => named(&outputs(step, calls.iter().filter_map(|(record, _)| record.acceptance()))),
        _ => BTreeMap::new(),
    };
    emit(RunEvent::StepFinished { step: index, outcome, outputs, error, at: ended.unwrap_or(run.started_at) });
    (outcome, ended)
}

fn call(record: &CallRecord, run: &RunRecord) -> CallReport {
    let mine = || record.events.iter().filter(|event| event.run_id == run.run_id);
    let attempts = mine().filter(|event| event.kind == EventKind::Attempted).count();
    let last = mine().next_back();
    let facts = last.filter(|event| event.kind != EventKind::Attempted);
    let outcome = match last.map(|event| event.kind) {
        Some(EventKind::Adopted) => CallOutcome::Adopted,
        _ => outcome_of(record.status),
    };
    CallReport {
        chunk: record.frozen.id.chunk,
        path: record.frozen.path.clone(),
        clientmsgid: record.frozen.is_mass().then(|| record.frozen.idempotency_key.clone()),
        recipients: record.frozen.recipients,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        outcome,
        errcode: facts.and_then(|event| event.errcode),
        errmsg: facts.and_then(|event| event.note.as_deref()).map(|note| Phrase::noted(note).to_string()),
        rid: facts.and_then(|event| errcode::rid(event.note.as_deref()?)).map(str::to_owned),
        msg_id: facts.and_then(|event| event.msg_id),
        msg_data_id: facts.and_then(|event| event.msg_data_id),
    }
}
