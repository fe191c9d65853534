//! Steps that add to the account's library: uploads that are made once, drafts that are updated and read back.
//!
//! What such a step makes has versions: all of its calls carry the digest of the whole. The latest version that the ledger
//! has is compared with the plan; a new one gets calls of its own, with numbers after those before.

use serde_json::json;

use super::{
    frozen,
    outputs::given,
    published,
    reconcile::{anew, is_current, latest},
    work::{Left, StepCall, Write},
};
use crate::{
    ledger::{CallRecord, EventKind, LedgerError, Status},
    locale::{Phrase, say},
    payload::Payload,
    plan::action::create_draft::{ADD, GET, UPDATE},
    render::{Gives, MediaCall, PlannedCall, RenderedStep},
    slot::Output,
};

/// What is left of a media step; what has changed, if that may not be changed any more.
pub(super) fn left<L>(
    step: &RenderedStep,
    known: &[&CallRecord],
    all: &[CallRecord],
) -> Result<Result<Left<L>, Vec<Phrase>>, LedgerError> {
    frozen::check_given(known)?;
    let version = latest(step, known);
    let gone = version.iter().any(|record| is_gone(record));
    let current = !gone && is_current(step, version);
    let earlier = if current { &known[..known.len() - version.len()] } else { known };
    let draft = latest_draft(earlier)?;
    if current {
        if version.iter().all(|record| record.status == Status::Accepted) {
            let records = version.iter().map(|record| (*record).clone()).collect();
            return Ok(Ok(Left::Done { records, notes: Vec::new() }));
        }
        let updates = version.iter().any(|record| record.frozen.path == UPDATE);
        let fresh = version[0].frozen.message_digest.as_deref() != step.content.digest();
        let mut resumed = calls(step, draft.filter(|_| updates), version[0].frozen.id.chunk, fresh);
        for call in &mut resumed {
            let record = version.iter().find(|record| record.frozen.id == call.frozen.id);
            call.record = record.map(|record| (*record).clone());
        }
        return Ok(Ok(Left::Calls { calls: resumed, write: Write::New, notes: Vec::new() }));
    }
    let mut notes = Vec::new();
    let mut base = None;
    if let Some((id, count)) = draft {
        let sent = all.iter().any(|record| {
            record.frozen.is_mass()
                && (record.status == Status::Accepted || record.status.in_doubt())
                && record.sent_body().is_some_and(|body| body.contains(&id))
        });
        if sent {
            return Ok(Err(vec![say!("the article was already sent")]));
        }
        if let Some(record) = published::of_draft(&id, all) {
            let step = record.frozen.id.name();
            return Ok(Err(vec![say!("the article was already published by `{step}`", step)]));
        }
        if gone {
            notes.push(say!("the draft or pictures of `{step}` are missing; creating them again", step = step.name()));
        } else if count == step.articles.len() {
            notes.push(say!("`{step}` has changed; updating its unsent draft", step = step.name()));
            base = Some((id, count));
        } else {
            notes.push(say!(
                "`{step}` has a different number of articles; adding a new draft, {id} stays in the draft box",
                step = step.name(),
                id
            ));
        }
    }
    let first = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
    Ok(Ok(Left::Calls { calls: calls(step, base, first, gone), write: Write::New, notes }))
}

/// The draft that was made or changed last, and how many articles it has.
fn latest_draft(records: &[&CallRecord]) -> Result<Option<(String, usize)>, LedgerError> {
    for record in records.iter().rev() {
        let Some(fact) = record.acceptance() else { continue };
        let count = frozen::articles(&record.frozen)?;
        if let (Some(id), Some(count)) = (given(fact, Output::MediaId), count) {
            return Ok(Some((id, count)));
        }
    }
    Ok(None)
}

/// Whether what a call stands on is not there any more: somebody deleted the draft or a picture, or sent the draft.
pub(super) fn is_gone(record: &CallRecord) -> bool {
    let refused =
        record.events.last().is_some_and(|event| event.kind == EventKind::Refused && event.errcode == Some(40007));
    refused && matches!(record.frozen.path.as_str(), ADD | UPDATE | GET)
}

/// The calls of a version: as planned, or with updates of a draft in place of adding one. What is made anew uploads
/// anew.
fn calls(step: &RenderedStep, base: Option<(String, usize)>, first: u32, fresh: bool) -> Vec<StepCall> {
    let mut planned: Vec<(PlannedCall, MediaCall)> = Vec::new();
    for call in &step.calls {
        let media = MediaCall { fresh, ..call.media.clone().unwrap_or_default() };
        match (&base, &media.adds) {
            (Some((id, _)), Some(articles)) => {
                for (index, article) in articles.iter().enumerate() {
                    let update = json!({ "media_id": id, "index": index });
                    let payload = Payload::plain(&update).with("articles", article);
                    let gives = media.gives.clone().map(|gives| Gives { known: Some(id.clone()), ..gives });
                    let update = PlannedCall { path: UPDATE, payload, ..call.clone() };
                    planned.push((update, MediaCall { gives, ..MediaCall::default() }));
                }
            }
            _ => planned.push((call.clone(), media)),
        }
    }
    let numbered = planned.into_iter().zip(first..).map(|((call, media), chunk)| {
        let mut call = StepCall::planned(step, PlannedCall { chunk, ..call });
        call.media = Some(media);
        if fresh {
            call.frozen.message_digest = anew(step, first);
        }
        call
    });
    numbered.collect()
}
