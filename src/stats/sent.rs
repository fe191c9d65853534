//! Which articles an edition has sent, as the ledger has it.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::Value;

use crate::{
    clock::shanghai,
    ledger::{CallRecord, EventKind, Status},
    payload::{Effect, only_slot},
    plan::action::create_draft::{ADD, UPDATE},
    slot::{Output, Slot},
};

/// Publishes a draft without a message.
const PUBLISH: &str = "/cgi-bin/freepublish/submit";

/// An accepted call that made articles public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The step, as reports name it.
    pub step: String,
    /// On which day, in Asia/Shanghai: two if it was under way at midnight or is known from a later answer.
    pub days: BTreeSet<Date>,
    /// None if WeChat did not say it: of a send that it had already (45065), and of a publication.
    pub data_id: Option<u64>,
    /// Titles of the articles, in order; none if the draft is not one of the plan.
    pub titles: Vec<String>,
    pub recipients: Option<u64>,
    /// Whether followers were notified.
    pub notified: bool,
}

/// The articles of an edition, in the order of its calls.
pub fn sent(records: &[CallRecord]) -> Vec<Sent> {
    records
        .iter()
        .filter(|record| record.status == Status::Accepted)
        .filter_map(|record| one(record, records))
        .collect()
}

fn one(record: &CallRecord, records: &[CallRecord]) -> Option<Sent> {
    let body: Value = serde_json::from_str(&record.frozen.payload).ok()?;
    let draft = if record.frozen.path == PUBLISH {
        body.get("media_id")?
    } else if record.frozen.effect == Effect::Mass && body.get("msgtype")? == "mpnews" {
        body.get("mpnews")?.get("media_id")?
    } else {
        return None;
    };
    let titles = draft.as_str().and_then(only_slot).map(|slot| titles(&slot, records)).unwrap_or_default();
    Some(Sent {
        step: record.frozen.id.name(),
        days: days(record),
        data_id: record.events.iter().rev().find_map(|event| event.msg_data_id),
        titles,
        recipients: record.frozen.recipients,
        notified: record.frozen.path != PUBLISH,
    })
}

/// When it may have been public first.
fn days(record: &CallRecord) -> BTreeSet<Date> {
    let mut days = BTreeSet::new();
    for (attempt, outcome) in record.unsettled() {
        days.insert(shanghai(attempt.at).date());
        days.extend(outcome.filter(|event| event.kind == EventKind::Accepted).map(|event| shanghai(event.at).date()));
    }
    days
}

/// The titles of a draft that the plan has made.
fn titles(slot: &Slot, records: &[CallRecord]) -> Vec<String> {
    let Slot::Output { step, key, output: Output::MediaId, .. } = slot else { return Vec::new() };
    let of_step = |record: &&CallRecord| {
        record.frozen.id.step == *step && record.frozen.id.key == *key && record.status == Status::Accepted
    };
    let title = |article: &Value| article.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut titles: Vec<String> = Vec::new();
    for record in records.iter().filter(of_step) {
        let Ok(body) = serde_json::from_str::<Value>(&record.frozen.payload) else { continue };
        match (record.frozen.path.as_str(), body.get("articles")) {
            (ADD, Some(Value::Array(articles))) => titles = articles.iter().map(title).collect(),
            (UPDATE, Some(article @ Value::Object(_))) => {
                let index = body.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
                // No draft has more than eight.
                if let Some(index) = index.filter(|index| *index < 8) {
                    titles.resize(titles.len().max(index + 1), String::new());
                    titles[index] = title(article);
                }
            }
            _ => {}
        }
    }
    titles
}

#[cfg(test)]
impl Sent {
    /// A send of a day, of which nothing else matters.
    pub(super) fn of_day(day: Date) -> Self {
        Self {
            step: "s".into(),
            days: [day].into(),
            data_id: None,
            titles: Vec::new(),
            recipients: None,
            notified: true,
        }
    }
}
