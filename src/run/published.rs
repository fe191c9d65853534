//! Publishing: what the ledger says of a draft that was submitted, and what a draft holds, by which it is known again. Pure.

use serde_json::{Value, json};

use super::{
    frozen,
    reconcile::{anew, is_current, latest},
    work::{Left, StepCall, Write},
};
use crate::{
    content::article::compare,
    ledger::{CallRecord, Event, LedgerError, Status},
    locale::{Count, Phrase, say},
    payload::{self, Effect},
    render::{PlannedCall, RenderedStep},
    slot::Output,
    wechat::publication::Stand,
};

/// Why a publish step cannot go on from what the ledger has of it.
pub(super) enum Blocked {
    /// The draft is public, and the plan says something else now.
    Changed(Vec<Phrase>),
    /// Nobody knows whether it is public, by the number of the call, and the plan says something else now.
    Doubtful(u32, Vec<Phrase>),
    /// A person gave it up, by the number of the call.
    GivenUp(u32),
}

/// What is left of a publish step.
pub(super) fn left<L>(step: &RenderedStep, known: &[&CallRecord]) -> Result<Result<Left<L>, Blocked>, LedgerError> {
    frozen::check_given(known)?;
    let version = latest(step, known);
    let current = is_current(step, version);
    let submit = version.iter().find(|record| record.frozen.effect == Effect::Publish);
    let changed = || vec![say!("the draft that it publishes")];
    let mut notes = Vec::new();
    let mut resumes = current;
    if let Some(submit) = submit {
        let call = submit.frozen.id.chunk;
        match submit.status {
            Status::GivenUp => return Ok(Err(Blocked::GivenUp(call))),
            status if status.in_doubt() && !current => return Ok(Err(Blocked::Doubtful(call, changed()))),
            Status::Accepted => match failure(version) {
                Some(_) => {
                    notes.push(say!("an earlier publication of `{step}` failed; publishing again", step = step.name()));
                    resumes = false;
                }
                None if !current => return Ok(Err(Blocked::Changed(changed()))),
                None if version.iter().all(|record| record.status == Status::Accepted) => {
                    let records = version.iter().map(|record| (*record).clone()).collect();
                    return Ok(Ok(Left::Done { records, notes }));
                }
                None => {
                    let (done, calls) = (Count(1), Count::from(version.len()));
                    let step = step.name();
                    notes.push(say!("resuming `{step}`: {done} of {calls} calls already accepted", step, done, calls));
                }
            },
            _ => {}
        }
    }
    let first = match version.first() {
        Some(record) if resumes => record.frozen.id.chunk,
        _ => known.last().map_or(1, |record| record.frozen.id.chunk + 1),
    };
    let digest = match version.first() {
        Some(record) if resumes => record.frozen.message_digest.clone(),
        Some(_) if current => anew(step, first),
        _ => step.content.digest().map(str::to_owned),
    };
    let calls = step.calls.iter().zip(first..).map(|(call, chunk)| {
        let mut planned = StepCall::planned(step, PlannedCall { chunk, ..call.clone() });
        planned.media = call.media.clone();
        planned.frozen.message_digest.clone_from(&digest);
        let record = version.iter().filter(|_| resumes).find(|record| record.frozen.id.chunk == chunk);
        planned.record = record.map(|record| (*record).clone());
        planned
    });
    Ok(Ok(Left::Calls { calls: calls.collect(), write: Write::New, notes }))
}

/// How the publication of these calls failed, if it did.
fn failure(calls: &[&CallRecord]) -> Option<Stand> {
    let facts = calls.iter().filter(|record| record.frozen.effect == Effect::Read);
    let mut stands = facts.filter_map(|record| Stand::from_name(frozen::status(record.acceptance()?)?.as_str()));
    stands.find(|stand| stand.is_failure())
}

/// Whether the publication of a call failed, by what the ledger has of its step.
fn has_failed(submit: &CallRecord, all: &[CallRecord]) -> bool {
    let id = &submit.frozen.id;
    let asked = all.iter().filter(|record| {
        let other = &record.frozen.id;
        other.step == id.step && other.key == id.key && other.chunk == id.chunk + 1
    });
    failure(&asked.collect::<Vec<_>>()).is_some()
}

/// The call by which a draft was published, or may have been.
pub(super) fn of_draft<'r>(draft: &str, all: &'r [CallRecord]) -> Option<&'r CallRecord> {
    let mut submits = all.iter().filter(|record| {
        record.frozen.effect == Effect::Publish && (record.status == Status::Accepted || record.status.in_doubt())
    });
    submits.find(|record| submitted(record).as_deref() == Some(draft) && !has_failed(record, all))
}

/// The id of a draft that a body names, where the ledger has what stands for it.
pub(super) fn draft_id(named: String, all: &[CallRecord]) -> Option<String> {
    if !payload::has_slot(&named) {
        return Some(named);
    }
    let slot = payload::only_slot(&named)?;
    let of_slot = all.iter().rev().filter(|record| slot.is_of(&record.frozen.id.step, record.frozen.id.key.as_deref()));
    of_slot.filter_map(CallRecord::acceptance).find_map(|fact| frozen::given(fact, Output::MediaId).ok().flatten())
}

/// The draft that a call submitted.
fn submitted(record: &CallRecord) -> Option<String> {
    record.events.iter().rev().find_map(|event| submitted_in(event.body.as_deref()?))
}

/// The draft of the body of a submission.
pub(super) fn submitted_in(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    body["media_id"].as_str().map(str::to_owned)
}

/// By what articles are known again: the title of each, and the digest of the text that it shows. Blanks, addresses and markup
/// do not count, which WeChat changes; everything that is read does.
pub(super) fn marks(articles: &[Value]) -> Value {
    let mark = |article: &Value| {
        let text = |name: &str| article[name].as_str().unwrap_or_default();
        let shown = compare::text(text("content"));
        json!({ "title": text("title").trim(), "text": payload::digest(shown.as_bytes()) })
    };
    articles.iter().map(mark).collect::<Vec<_>>().into()
}

/// The marks that an attempt noted of its draft.
pub(super) fn noted_marks(attempt: &Event) -> Option<Value> {
    let noted: Value = serde_json::from_str(attempt.result.as_deref()?).ok()?;
    noted.get("articles").filter(|list| list.as_array().is_some_and(|list| !list.is_empty())).cloned()
}

/// The ids that calls of the ledger have as theirs.
pub(super) fn article_ids(all: &[CallRecord]) -> Vec<String> {
    let given = |record: &CallRecord| frozen::given(record.acceptance()?, Output::ArticleId).ok().flatten();
    all.iter().filter_map(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_known_again_by_what_they_show() {
        let article = |title: &str, content: &str| json!({ "title": title, "content": content, "url": "https://x" });
        let draft = marks(&[article("春茶", "<p style=\"color:red\">头采 好茶<img src=\"https://a/0\"></p>")]);
        let public = marks(&[article(" 春茶", "<section><p>头采好\n茶<img data-src=\"http://b/1\"/></p></section>")]);
        assert_eq!(draft, public);
        for other in [article("夏茶", "<p>头采好茶</p>"), article("春茶", "<p>头采好</p>"), json!({})] {
            assert_ne!(draft, marks(&[other]));
        }
        assert_ne!(draft, marks(&[]));
        let noted = |result: &str| {
            let event = Event::new(crate::ledger::EventKind::Attempted, jiff::Timestamp::UNIX_EPOCH, "r");
            noted_marks(&Event { result: Some(result.to_owned()), ..event })
        };
        assert_eq!(noted(&json!({ "articles": draft }).to_string()), Some(draft));
        for nothing in ["", "{}", "{\"articles\":[]}", "{\"articles\":1}"] {
            assert_eq!(noted(nothing), None, "{nothing}");
        }
    }
}
