//! People who are known only now: followers whom WeChat lists, and those who are new since a send was accepted.

use std::sync::Arc;

use super::{policy, tags, *};
use crate::{
    openids::Openids,
    payload,
    plan::action::{Listed, send_by_openid::chunks},
    render::idempotency_key,
    wechat::transport::{Body, Method},
};

/// Most pages of followers that are read of one list: fifty million people.
const PAGES_MAX: usize = 5_000;

/// Lists the people of every send whose people WeChat lists, before anything is sent. Reads only.
pub fn gather(
    plan: &RenderedPlan,
    prepared: &mut Prepared,
    client: &mut Client<'_>,
    clock: &dyn Clock,
) -> Result<(), Problem> {
    let mut reader = Reader { client, clock, retry: RetryPolicy::default(), timeout: Duration::from_secs(30) };
    let mut names: Option<Vec<tags::Tag>> = None;
    for (step, todo) in plan.steps.iter().zip(&mut prepared.todo) {
        let (Todo::Gather { records }, Some(list)) = (&mut *todo, &step.listed) else { continue };
        (reader.retry, reader.timeout) = (step.retry, step.timeout);
        let tag = match list {
            Listed::All => None,
            Listed::TagId(id) => Some(id.clone()),
            Listed::Tag(name) => {
                if names.is_none() {
                    names = Some(reader.tags()?);
                }
                Some(json!(tags::id_of(name, names.as_deref().unwrap_or_default())?))
            }
        };
        let mut people = reader.list(tag.as_ref()).map_err(|problem| Problem {
            message: format!("the people of `{}` cannot be listed: {}", step.name(), problem.message),
            ..problem
        })?;
        people.unique(&step.excluded);
        *todo = match with_new(plan, step, std::mem::take(records), people) {
            Todo::Run { calls, .. } if calls.is_empty() => {
                let message = format!(
                    "`{}`: {} are fewer than two people; WeChat takes at least two (40130)",
                    step.name(),
                    list.words()
                );
                return Err(Problem {
                    message,
                    help: vec!["show it to one person with `preview`".into()],
                    errcode: None,
                });
            }
            todo => todo,
        };
    }
    Ok(())
}

/// What is to be done when people may be new: what was begun goes on, and those who have not had it get calls of their
/// own. `records` are all accepted, or go on.
pub(super) fn with_new(plan: &RenderedPlan, step: &RenderedStep, records: Vec<CallRecord>, people: Openids) -> Todo {
    let fresh = records.is_empty();
    let had: Openids = {
        let known = crate::run::reconcile::people(records.iter().map(|record| record.frozen.payload.as_str()));
        known.iter().map(String::as_str).collect()
    };
    let mut new = people;
    if !fresh {
        new.unique(&had);
    }
    let mut notes = Vec::new();
    let lonely = !fresh && new.len() == 1;
    if lonely {
        notes.push(format!(
            "`{}`: one person is new; WeChat takes at least two, so the next new one is waited for",
            step.name()
        ));
    }
    let next = records.iter().map(|record| record.frozen.id.chunk).max().unwrap_or(0) + 1;
    let more = if new.len() < 2 { Vec::new() } else { frozen(plan, step, &Arc::new(new), next) };
    if !fresh && more.is_empty() && records.iter().all(|record| record.status == crate::ledger::Status::Accepted) {
        return Todo::Done { records, notes };
    }
    if !fresh && !more.is_empty() {
        let count: u64 = more.iter().filter_map(|call| call.recipients).sum();
        notes.push(format!("`{}` was sent before; it is now sent to {count} people who are new", step.name()));
    }
    let freeze = if fresh { Freeze::All } else { Freeze::New };
    let old =
        records.into_iter().map(|record| TodoCall { frozen: record.frozen.clone(), record: Some(record), media: None });
    let new = more.into_iter().map(|frozen| TodoCall { frozen, record: None, media: None });
    Todo::Run { calls: old.chain(new).collect(), freeze, notes }
}

/// Calls of a send to these people, numbered from `first`.
fn frozen(plan: &RenderedPlan, step: &RenderedStep, people: &Arc<Openids>, first: u32) -> Vec<FrozenCall> {
    let Some(model) = step.calls.first() else { return Vec::new() };
    let Ok(mut body) = serde_json::from_str::<Value>(model.payload.without_people()) else { return Vec::new() };
    body["touser"] = json!([]);
    let calls = chunks(people.len()).enumerate().map(|(number, range)| {
        let chunk = first.saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
        let key = idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &step.id, step.key.as_deref(), chunk);
        let mut body = body.clone();
        body["clientmsgid"] = key.clone().into();
        let recipients = Some(range.len() as u64);
        let payload = Payload::new(&body, Some((Arc::clone(people), range)));
        freeze(step, &crate::render::PlannedCall { chunk, key, path: step.spec.path, payload, recipients, media: None })
    });
    calls.collect()
}

/// The calls of a check or deletion that covers a send of as many calls as it turned out to have. Which call is of which
/// job is decided by its body: numbers of calls go on where they were.
pub(super) fn covering(
    plan: &RenderedPlan,
    step: &RenderedStep,
    records: &[CallRecord],
    slots: &HashMap<String, Value>,
) -> Vec<TodoCall> {
    let mut next = records.iter().map(|record| record.frozen.id.chunk).max().unwrap_or(0);
    let mut calls = Vec::new();
    for call in &step.calls {
        let raw = call.payload.raw();
        let Some(list) = call.payload.slots().find_map(|slot| slot.strip_suffix("[0]").map(str::to_owned)) else {
            continue;
        };
        let count = slots.get(&list).and_then(Value::as_array).map_or(1, Vec::len).max(1);
        for index in 0..count {
            let name = payload::escaped(&list);
            let text = raw.replace(&format!("{name}[0]"), &format!("{name}[{index}]"));
            let digest = payload::digest(text.as_bytes());
            if let Some(record) = records.iter().find(|record| record.frozen.digest == digest) {
                calls.push(TodoCall { frozen: record.frozen.clone(), record: Some(record.clone()), media: None });
                continue;
            }
            next += 1;
            let key = idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &step.id, step.key.as_deref(), next);
            let payload = Payload::from_raw(text);
            let planned = crate::render::PlannedCall {
                chunk: next,
                key,
                path: step.spec.path,
                payload,
                recipients: None,
                media: None,
            };
            calls.push(TodoCall { frozen: freeze(step, &planned), record: None, media: None });
        }
    }
    calls
}

/// Reads lists, page by page.
pub(super) struct Reader<'a, 'c> {
    pub(super) client: &'a mut Client<'c>,
    pub(super) clock: &'a dyn Clock,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
}

impl Reader<'_, '_> {
    /// All followers, or those of a tag.
    /// <https://developers.weixin.qq.com/doc/service/api/usermanage/userinfo/api_getfans.html>,
    /// <https://developers.weixin.qq.com/doc/service/api/usermanage/tagmng/api_gettagfans.html>
    fn list(&mut self, tag: Option<&Value>) -> Result<Openids, Problem> {
        let mut people = Openids::default();
        let mut next = String::new();
        for _ in 0..PAGES_MAX {
            let reply = match tag {
                Some(tag) => {
                    let body = json!({ "tagid": tag, "next_openid": next }).to_string();
                    self.read(Method::Post, "/cgi-bin/user/tag/get", &body)?
                }
                None if next.is_empty() => self.read(Method::Get, "/cgi-bin/user/get", "")?,
                None => self.read(Method::Get, &format!("/cgi-bin/user/get?next_openid={next}"), "")?,
            };
            let page =
                reply.members.get("data").and_then(|data| data["openid"].as_array()).cloned().unwrap_or_default();
            for openid in page.iter().filter_map(Value::as_str) {
                if !crate::resolve::audience::is_openid(openid) {
                    return Err(strange("a follower that is no openid"));
                }
                people.push(openid).map_err(|_| strange("more people than can be held"))?;
            }
            // The last page is empty, or names nobody to go on from.
            let from = reply.members.get("next_openid").and_then(Value::as_str).unwrap_or_default();
            if page.is_empty() || from.is_empty() {
                return Ok(people);
            }
            if from == next || !crate::resolve::audience::is_openid(from) {
                return Err(strange("a page that leads nowhere"));
            }
            next = from.to_owned();
        }
        Err(strange("more pages than any account has"))
    }

    /// A call that only reads, repeated as the plan says.
    pub(super) fn read(&mut self, method: Method, path: &str, body: &str) -> Result<crate::wechat::Reply, Problem> {
        let mut retry = self.retry.retry();
        loop {
            let outcome = self.client.call(method, path, Body::Json(body), self.timeout);
            if let Outcome::Reply(reply) = &outcome
                && reply.errcode == 0
            {
                return Ok(reply.clone());
            }
            let again = policy::judge(Effect::Read, &outcome).1 == policy::Next::Again;
            let pause = retry.next().filter(|_| again);
            if !pause.is_some_and(|pause| self.clock.sleep(pause)) {
                let (message, help, errcode) = policy::advice(&outcome);
                return Err(Problem { message, help, errcode });
            }
        }
    }
}

fn strange(what: &str) -> Problem {
    Problem { message: format!("WeChat answered with {what}"), help: Vec::new(), errcode: None }
}
