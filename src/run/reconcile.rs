//! What the ledger says of a planned step, and what has changed since: pure.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    frozen::{self, Row},
    work::freeze,
};
use crate::{
    ledger::{CallRecord, EventKind, LedgerError, Status},
    locale::{Count, Phrase, say},
    payload::{self, Effect, People},
    render::RenderedStep,
    wechat::errcode,
};

/// What the ledger says of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing of it was ever attempted, or nothing that was has left a trace: send it as planned.
    Fresh,
    /// All of it was accepted.
    Done,
    /// Some calls were accepted or are in doubt: the frozen calls are sent on. What has changed since, in words.
    Resume {
        /// Differences between the plan and what is frozen; empty if there are none.
        changed: Vec<Phrase>,
    },
    /// Some calls were accepted or are in doubt, and the others stopped at one that was refused for its people. The list was
    /// corrected since: what is left is planned anew from it.
    Correct,
    /// It was sent, wholly or in part, and the plan now says something else.
    Conflict {
        /// What differs, in words.
        changed: Vec<Phrase>,
    },
}

/// Compares a step with its records.
pub(crate) fn reconcile(step: &RenderedStep, records: &[&CallRecord]) -> Result<Verdict, LedgerError> {
    let sent = records.iter().any(|record| record.status == Status::Accepted || record.status.in_doubt());
    if !sent {
        return Ok(Verdict::Fresh);
    }
    let same = || {
        records.len() == step.calls.len()
            && records.iter().zip(&step.calls).all(|(record, call)| record.frozen.digest == call.payload.digest())
    };
    let all_accepted = records.iter().all(|record| record.status == Status::Accepted);
    let mut adds = false;
    let mut changed = if step.listed.is_none() && same() {
        Vec::new()
    } else {
        let before = records.iter().map(|record| frozen::row(&record.frozen)).collect::<Result<Vec<_>, _>>()?;
        // Words are found by comparing rows: what the plan says now, as it would be frozen.
        let now = step.calls.iter().map(|call| frozen::row(&freeze(step, call))).collect::<Result<Vec<_>, _>>()?;
        adds = added(&openids(&before), &openids(&now)) > 0;
        differences(&before, &now)
    };
    let shown = records.first().and_then(|record| record.frozen.message_digest.as_ref());
    if changed.is_empty() && shown.is_some() && shown.map(String::as_str) != step.content.digest() {
        changed.push(Change::Body(say!("its content, created by an earlier step")));
    }
    if step.listed.is_some() {
        // Who they are now is not known before the run; they are those who were frozen.
        changed.retain(|change| !change.is_people());
    }
    // A half-sent message that changed would reach one half of the people in one form, the rest in another.
    let only_people = changed.iter().all(Change::is_people);
    let doubt = records.iter().any(|record| record.status.in_doubt());
    let refused = records.iter().any(|record| record.status == Status::Refused && was_refused_for_people(record));
    // Who is listed now is known only when they are listed, which is done when nothing is in doubt any more.
    let corrected = refused && if step.listed.is_some() { !doubt } else { !changed.is_empty() };
    // People whom a correction took out of the list may have it already.
    let less = !adds && records.iter().any(|record| was_refused_for_people(record));
    let changed: Vec<Phrase> = changed.into_iter().map(Change::words).collect();
    Ok(match (changed.is_empty(), all_accepted) {
        (true, true) => Verdict::Done,
        (_, false) if only_people && corrected => Verdict::Correct,
        (_, true) if only_people && less => Verdict::Done,
        (_, false) if only_people => Verdict::Resume { changed },
        (_, true) if only_people && step.sends_new => Verdict::Done,
        _ => Verdict::Conflict { changed },
    })
}

/// Whether a step that has changed is done anew, in calls with numbers after those before: what cannot reach followers
/// twice. Its calls fall into versions.
pub(crate) fn has_versions(step: &RenderedStep) -> bool {
    matches!(step.spec.effect, Effect::Media | Effect::Preview | Effect::Publish)
}

/// The records of the latest version: all of a version carry the same digest of what they make. A preview is one call.
pub(crate) fn latest<'a, 'r>(step: &RenderedStep, records: &'a [&'r CallRecord]) -> &'a [&'r CallRecord] {
    if step.spec.effect == Effect::Preview {
        return &records[records.len().saturating_sub(1)..];
    }
    let digest = records.last().map(|record| &record.frozen.message_digest);
    let before = records.iter().rposition(|record| Some(&record.frozen.message_digest) != digest);
    &records[before.map_or(0, |at| at + 1)..]
}

/// Whether a version is what the plan says now.
pub(crate) fn is_current(step: &RenderedStep, version: &[&CallRecord]) -> bool {
    let Some(first) = version.first() else { return false };
    let digest = &first.frozen.message_digest;
    // What a preview shows is its message; who sees it is in the body.
    let same_body = || step.calls.first().is_some_and(|call| call.payload.digest() == first.frozen.digest);
    let again = || *digest == anew(step, first.frozen.id.chunk);
    (digest.as_deref() == step.content.digest() || again()) && (step.spec.effect != Effect::Preview || same_body())
}

/// The digest of a version that makes the same once more, because what was made is gone.
pub(crate) fn anew(step: &RenderedStep, first: u32) -> Option<String> {
    step.content.digest().map(|digest| payload::digest(format!("{digest} anew at {first}").as_bytes()))
}

/// Whether an attempt at a call was refused for its people.
fn was_refused_for_people(record: &CallRecord) -> bool {
    let mut refusals = record.events.iter().filter(|event| event.kind == EventKind::Refused);
    refusals.any(|event| event.errcode.is_some_and(errcode::is_about_people))
}

/// What differs between what was planned then and now, in words.
#[derive(Debug)]
enum Change {
    /// Who receives it.
    People(Phrase),
    /// What they receive.
    Body(Phrase),
}

impl Change {
    fn is_people(&self) -> bool {
        matches!(self, Self::People(_))
    }

    fn words(self) -> Phrase {
        match self {
            Self::People(words) | Self::Body(words) => words,
        }
    }
}

fn openids(rows: &[Row]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.people.as_ref()).flat_map(People::iter).collect()
}

/// How many of the new are not among the old.
fn added(old: &[&str], new: &[&str]) -> usize {
    let old: HashSet<&str> = old.iter().copied().collect();
    new.iter().filter(|openid| !old.contains(*openid)).count()
}

/// What differs between what was planned then and now.
fn differences(before: &[Row], now: &[Row]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (old, new) = (openids(before), openids(now));
    if old != new {
        let (old_set, new_set): (HashSet<&str>, HashSet<&str>) =
            (old.iter().copied().collect(), new.iter().copied().collect());
        let (added, gone) = (new_set.difference(&old_set).count(), old_set.difference(&new_set).count());
        changes.push(Change::People(match (added, gone) {
            (0, 0) => say!("recipients in a different order"),
            (added, gone) => say!(
                "recipients +{added} −{gone} ({before} before, {now} now)",
                added = Count::from(added),
                gone = Count::from(gone),
                before = Count::from(old.len()),
                now = Count::from(new.len())
            ),
        }));
    }
    let rest = |rows: &[Row]| -> Vec<Map<String, Value>> {
        let mut rest: Vec<_> = rows.iter().map(|row| row.rest.clone()).collect();
        rest.dedup();
        rest
    };
    let (old, new) = (rest(before), rest(now));
    if old != new {
        match (old.as_slice(), new.as_slice()) {
            ([old], [new]) => changes.extend(fields(old, new).into_iter().map(Change::Body)),
            _ => changes.push(Change::Body(say!(
                "{before} call before, {now} now" | "{before} calls before, {now} now",
                before = before.len(),
                now = Count::from(now.len())
            ))),
        }
    }
    changes
}

/// The members that differ, by name, with short values shown.
fn fields(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Phrase> {
    let names: Vec<&String> = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).collect();
    let short = |value: Option<&Value>| {
        let value = value?;
        let text = payload::shown(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let cut: String = text.chars().take(40).collect();
        Some(if cut.len() < text.len() { format!("{cut}...") } else { cut })
    };
    let mut changes = Vec::new();
    for name in names {
        if old.get(name) == new.get(name) {
            continue;
        }
        // One level down it is easier to see: `text.content` rather than `text`.
        let inner = |members: &serde_json::Map<String, Value>| {
            members
                .get(name)
                .filter(|value| value.as_object().is_some_and(|o| o.len() == 1))
                .and_then(|value| value.as_object()?.values().next().cloned())
        };
        let (before, after) =
            (inner(old).or_else(|| old.get(name).cloned()), inner(new).or_else(|| new.get(name).cloned()));
        changes.push(match (short(before.as_ref()), short(after.as_ref())) {
            (Some(before), Some(now)) => say!("{name}: `{before}` before, `{now}` now", name, before, now),
            (None, Some(now)) => say!("{name}: nothing before, `{now}` now", name, now),
            (before, _) => say!("{name}: `{before}` before, nothing now", name, before = before.unwrap_or_default()),
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::locale::Language;
    use serde_json::json;

    fn both(phrase: &Phrase) -> [String; 2] {
        [Language::En, Language::Zh].map(|language| phrase.in_language(language))
    }

    #[test]
    fn changes_are_said_in_words() {
        let row = |people: &[&str], rest: Value| {
            let (openids, range) = (Arc::new(people.iter().copied().collect()), 0..people.len());
            Row { people: Some(People { openids, range }), rest: rest.as_object().cloned().expect("an object") }
        };
        let send = |people: &[&str], text: &str| row(people, json!({ "msgtype": "text", "text": { "content": text } }));
        let speed = |speed: u8| [row(&[], json!({ "speed": speed }))];
        let old = [send(&["a", "b", "c"], "旧")];
        let differences = |old: &[Row], new: &[Row]| -> Vec<String> {
            let changes = super::differences(old, new).into_iter();
            changes.flat_map(|change| both(&change.words())).collect()
        };
        assert_eq!(
            differences(&old, &[send(&["a", "b", "d", "e"], "旧")]),
            ["recipients +2 −1 (3 before, 4 now)", "群发对象 +2 −1（原 3 人，现 4 人）"]
        );
        assert_eq!(
            differences(&old, &[send(&["c", "b", "a"], "旧")]),
            ["recipients in a different order", "群发对象顺序不同"]
        );
        assert_eq!(
            differences(&old, &[send(&["a", "b", "c"], "新")]),
            ["text: `旧` before, `新` now", "text：原为 `旧`，现为 `新`"]
        );
        assert_eq!(differences(&speed(1), &speed(2)), ["speed: `1` before, `2` now", "speed：原为 `1`，现为 `2`"]);
        let _heard = crate::locale::tests::heard("run-reconcile-changes_are_said_in_words");
        let none = [row(&[], json!({}))];
        assert_eq!(differences(&speed(1), &none), ["speed: `1` before, nothing now", "speed：原为 `1`，现在没有"]);
        assert_eq!(differences(&none, &speed(2)), ["speed: nothing before, `2` now", "speed：原来没有，现为 `2`"]);
        let two = [send(&["a"], "一"), send(&["b"], "二")];
        assert_eq!(differences(&old, &two)[2..], ["1 call before, 2 now", "原 1 次调用，现 2 次"]);
    }
}
