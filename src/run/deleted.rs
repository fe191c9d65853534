//! Messages that were taken back, as the ledger has it: by a step of the plan, or by hand. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    ledger::{CallRecord, Event, EventKind, Status},
    locale::{Phrase, say},
    payload::Effect,
    report::{CallOutcome, CallReport, StepOutcome, StepReport},
};

/// What the id of a step begins with that no plan has: it stands for what a person did.
const BY_HAND: &str = "@delete ";

/// The id under which the ledger keeps that a send, or one of its articles, was deleted by hand.
pub(crate) fn step_id(send: &str, article: Option<u64>) -> String {
    match article {
        None => format!("{BY_HAND}{send}"),
        Some(article) => format!("{BY_HAND}{send} {article}"),
    }
}

/// A message that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// Its `msg_id`.
    pub(crate) job: u64,
    /// The article, from 1; none: all of them.
    pub(crate) article: Option<u64>,
    pub(crate) at: Timestamp,
    /// The step that did it; of a deletion by hand, what stands for one.
    pub(crate) step: String,
    /// Who did it by hand, and why; none if a step of the plan did it.
    pub(crate) by: Option<String>,
}

impl Deletion {
    /// Whether nobody can open the article any more (none: any of the articles).
    pub(crate) fn covers(&self, job: u64, article: Option<u64>) -> bool {
        self.job == job && (self.article.is_none() || self.article == article)
    }

    /// `deleted by hand on 2026-03-01 10:00:00 (li on host: wrong price)`.
    pub(crate) fn words(&self) -> Phrase {
        let at = crate::clock::shanghai(self.at).strftime("%Y-%m-%d %H:%M:%S").to_string();
        match (&self.by, self.article) {
            (Some(by), None) => say!("deleted by hand at {at} ({by})", at, by),
            (Some(by), Some(article)) => say!("article {article} deleted by hand at {at} ({by})", article, at, by),
            (None, None) => say!("deleted by the step `{step}` at {at}", step = &self.step, at),
            (None, Some(article)) => {
                say!("article {article} deleted by the step `{step}` at {at}", article, step = &self.step, at)
            }
        }
    }
}

/// Which message a body of `mass/delete` is about; none if it names a link.
pub(crate) fn asked(body: &str) -> Option<(u64, Option<u64>)> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some((body.get("msg_id")?.as_u64()?, body.get("article_idx").and_then(Value::as_u64).filter(|index| *index > 0)))
}

fn is_deletion(record: &&CallRecord) -> bool {
    record.frozen.effect == Effect::Delete && record.status == Status::Accepted
}

/// The attempt that did it.
fn attempt(record: &CallRecord) -> Option<&Event> {
    record.events.iter().rev().find(|event| event.kind == EventKind::Attempted)
}

fn by_hand(record: &CallRecord) -> bool {
    record.frozen.id.step.starts_with(BY_HAND)
}

/// All that the ledger has of an edition.
pub(crate) fn deletions(records: &[CallRecord]) -> impl Iterator<Item = Deletion> {
    records.iter().filter(is_deletion).filter_map(|record| {
        let (attempt, fact) = (attempt(record)?, record.acceptance()?);
        let (job, article) = asked(attempt.body.as_deref()?)?;
        let by = by_hand(record).then(|| attempt.note.clone().unwrap_or_default());
        Some(Deletion { job, article, at: fact.at, step: record.frozen.id.name(), by })
    })
}

/// What a run says of messages that were deleted by hand: none of them is sent again.
pub(super) fn notes(records: &[CallRecord]) -> Vec<Phrase> {
    let mut notes: Vec<Phrase> = Vec::new();
    for deletion in deletions(records).filter(|deletion| deletion.by.is_some()) {
        let send = deletion.step.trim_start_matches(BY_HAND);
        let note = say!("`{send}` is not sent again: {deleted}", send, deleted = deletion.words());
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// What was deleted by hand, as reports show a step.
pub(crate) fn steps(records: &[CallRecord]) -> Vec<StepReport> {
    let mut steps: BTreeMap<String, StepReport> = BTreeMap::new();
    for record in records.iter().filter(is_deletion).filter(|record| by_hand(record)) {
        let (Some(attempt), Some(fact)) = (attempt(record), record.acceptance()) else { continue };
        let id = &record.frozen.id;
        let step = steps.entry(id.name()).or_insert_with(|| StepReport {
            id: id.step.clone(),
            key: id.key.clone(),
            action: record.frozen.action.clone(),
            description: attempt.note.clone(),
            line: 0,
            audience: None,
            message: None,
            outcome: StepOutcome::Succeeded,
            started_at: Some(attempt.at),
            duration_ms: 0,
            outputs: BTreeMap::new(),
            calls: Vec::new(),
            delivery: Vec::new(),
            error: None,
        });
        let attempts = record.events.iter().filter(|event| event.kind == EventKind::Attempted).count();
        step.calls.push(CallReport {
            chunk: id.chunk,
            path: record.frozen.path.clone(),
            clientmsgid: None,
            recipients: None,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            outcome: CallOutcome::Accepted,
            errcode: fact.errcode,
            errmsg: fact.note.as_deref().map(|note| Phrase::noted(note).to_string()),
            rid: None,
            msg_id: attempt.body.as_deref().and_then(asked).map(|(job, _)| job),
            msg_data_id: None,
        });
    }
    steps.into_values().collect()
}
