//! People who are known only now: followers whom WeChat lists, and those who are new since a send was accepted.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    reader::{AccountReader, Question},
    refusal::Refusal,
    work::{Left, StepCall, Write},
};
use crate::{
    ledger::{CallRecord, LedgerError, Status},
    locale::{Count, say},
    openids::Openids,
    payload::{People, Target},
    plan::action::send_by_openid::chunks,
    problem::Problem,
    render::{PlannedCall, RenderedPlan, RenderedStep, idempotency_key},
    slot::Slot,
    text::openid,
    wechat::transport::Method,
};

/// What is left when people may be new: what was begun goes on, and those who have not had it get calls of their
/// own. `records` are all accepted, or go on; `had` are their people.
pub(super) fn with_new<L>(
    plan: &RenderedPlan,
    step: &RenderedStep,
    records: Vec<CallRecord>,
    had: &Openids,
    people: Openids,
) -> Result<Left<L>, LedgerError> {
    let fresh = records.is_empty();
    let mut new = people;
    if !fresh {
        new.unique(had);
    }
    let mut notes = Vec::new();
    let lonely = !fresh && new.len() == 1;
    if lonely {
        notes.push(say!(
            "`{step}`: one new person; WeChat requires two, so the message waits for a second one",
            step = step.name()
        ));
    }
    let next = records.iter().map(|record| record.frozen.id.chunk).max().unwrap_or(0) + 1;
    let more = if new.len() < 2 { Vec::new() } else { calls(plan, step, &Arc::new(new), next) };
    if !fresh && more.is_empty() && records.iter().all(|record| record.status == Status::Accepted) {
        return Ok(Left::Done { records, notes });
    }
    if !fresh && !more.is_empty() {
        let count: u64 = more.iter().filter_map(|call| call.frozen.recipients).sum();
        notes.push(say!(
            "`{step}` was sent before; sending it to {count} new people",
            step = step.name(),
            count = Count(count)
        ));
    }
    let write = if fresh { Write::All } else { Write::New };
    let mut calls = records.iter().map(StepCall::begun).collect::<Result<Vec<_>, _>>()?;
    calls.extend(more);
    Ok(Left::Calls { calls, write, notes })
}

/// What is left of a send that stopped at a call which was refused for its people. `kept` are its calls that are accepted or in
/// doubt, `had` their people: none of them is sent to again. Those of the list who are not among them get calls of their own, in
/// place of those that were refused or never made.
pub(super) fn corrected<L>(
    plan: &RenderedPlan,
    step: &RenderedStep,
    kept: &[CallRecord],
    had: &Openids,
    mut people: Openids,
) -> Result<Left<L>, Refusal> {
    people.unique(had);
    let (name, rest) = (step.name(), people.len());
    if rest == 1 {
        let message = say!(
            "`{step}`: only one person on the current list has not received it, and WeChat requires two (40130)",
            step = name
        );
        let help = say!("add someone to the list, or remove the person and use a `preview` step for them");
        return Err(Refusal::Guard(Problem::new(message).help(help)));
    }
    let note = say!(
        "`{step}` continues from the current list, because WeChat refused a call for its people: {had} people have it or may have it, sending it to {rest} more",
        step = name,
        had = Count::from(had.len()),
        rest = Count::from(rest)
    );
    let next = kept.iter().map(|record| record.frozen.id.chunk).max().unwrap_or(0) + 1;
    let mut all = kept.iter().map(StepCall::begun).collect::<Result<Vec<_>, _>>()?;
    if rest > 0 {
        all.extend(calls(plan, step, &Arc::new(people), next));
    } else if kept.iter().all(|record| record.status == Status::Accepted) {
        return Ok(Left::Done { records: kept.to_vec(), notes: vec![note] });
    }
    let write = if rest > 0 { Write::All } else { Write::None };
    Ok(Left::Calls { calls: all, write, notes: vec![note] })
}

/// Calls of a send to these people, numbered from `first`.
fn calls(plan: &RenderedPlan, step: &RenderedStep, people: &Arc<Openids>, first: u32) -> Vec<StepCall> {
    let model = step.calls.first().expect("a send has a call, if only one that stands for all");
    let calls = chunks(people.len()).enumerate().map(|(number, range)| {
        let chunk = first.saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
        let key = idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &step.id, step.key.as_deref(), chunk);
        let people = People { openids: Arc::clone(people), range };
        let payload = model.payload.to(&people, &key);
        let target = Target::People(people);
        StepCall::planned(
            step,
            PlannedCall { chunk, key, path: step.spec.path, effect: step.spec.effect, payload, target, media: None },
        )
    });
    calls.collect()
}

/// The calls of a check or deletion that covers a send of as many calls as it turned out to have. Which call is of which
/// job is decided by its body: numbers of calls go on where they were.
pub(super) fn covering(
    plan: &RenderedPlan,
    step: &RenderedStep,
    records: &[CallRecord],
    slots: &HashMap<Slot, Value>,
) -> Result<Vec<StepCall>, LedgerError> {
    let mut next = records.iter().map(|record| record.frozen.id.chunk).max().unwrap_or(0);
    let mut calls = Vec::new();
    for call in &step.calls {
        let jobs = call.payload.slots().find_map(|slot| match slot {
            Slot::Output { step, key, output, index: Some(_) } => {
                slots.get(&Slot::output(step, key.as_deref(), *output))?.as_array()
            }
            _ => None,
        });
        let count = jobs.map_or(1, Vec::len).max(1);
        for index in 0..count {
            let payload = call.payload.at(index);
            if let Some(record) = records.iter().find(|record| record.frozen.digest == payload.digest()) {
                calls.push(StepCall::begun(record)?);
                continue;
            }
            next += 1;
            let key = idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &step.id, step.key.as_deref(), next);
            let (path, target) = (step.spec.path, Target::Nobody);
            calls.push(StepCall::planned(
                step,
                PlannedCall { chunk: next, key, path, effect: step.spec.effect, payload, target, media: None },
            ));
        }
    }
    Ok(calls)
}

/// All followers, or those of a tag.
/// <https://developers.weixin.qq.com/doc/service/api/usermanage/userinfo/api_getfans.html>,
/// <https://developers.weixin.qq.com/doc/service/api/usermanage/tagmng/api_gettagfans.html>
pub(super) fn list(
    reader: &mut AccountReader<'_, '_>,
    question: Question<'_>,
    tag: Option<u64>,
) -> Result<Openids, Refusal> {
    let mut people = Openids::default();
    let mut next = String::new();
    for _ in 0..crate::limits::FOLLOWER_PAGES_MAX {
        let reply = match tag {
            Some(tag) => {
                let body = json!({ "tagid": tag, "next_openid": next }).to_string();
                reader.read(question, Method::Post, "/cgi-bin/user/tag/get", &body)?
            }
            None if next.is_empty() => reader.read(question, Method::Get, "/cgi-bin/user/get", "")?,
            None => reader.read(question, Method::Get, &format!("/cgi-bin/user/get?next_openid={next}"), "")?,
        };
        let page = reply.members.get("data").and_then(|data| data["openid"].as_array()).cloned().unwrap_or_default();
        for openid in page.iter().filter_map(Value::as_str) {
            if !openid::is_plain(openid.as_bytes()) {
                return Err(question.failed(Problem::new(say!("WeChat answered with an invalid openid"))));
            }
            people
                .push(openid)
                .map_err(|_| question.failed(Problem::new(say!("WeChat answered with too many people"))))?;
        }
        // The last page is empty, or names nobody to go on from.
        let from = reply.members.get("next_openid").and_then(Value::as_str).unwrap_or_default();
        if page.is_empty() || from.is_empty() {
            return Ok(people);
        }
        if from == next || !openid::is_plain(from.as_bytes()) {
            return Err(question.failed(Problem::new(say!("WeChat answered with an invalid next page"))));
        }
        next = from.to_owned();
    }
    Err(question.failed(Problem::new(say!("WeChat answered with too many pages"))))
}
