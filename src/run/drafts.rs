//! Steps that add to the account's library: uploads that are made once, drafts that are updated and read back.
//!
//! What such a step makes has versions: all of its calls carry the digest of the whole. The latest version that the ledger
//! has is compared with the plan; a new one gets calls of its own, with numbers after those before.

use super::{attempt::CallRun, *};
use crate::{
    content::article::compare,
    render::{Gives, PlannedCall},
    run::reconcile::{anew, is_current, latest},
};

const ADD: &str = "/cgi-bin/draft/add";
const UPDATE: &str = "/cgi-bin/draft/update";
const GET: &str = "/cgi-bin/draft/get";

/// What a fact gives under a name.
pub(super) fn given(fact: &Event, name: &str) -> Option<Value> {
    serde_json::from_str::<Value>(fact.result.as_deref()?).ok()?.get(name).cloned()
}

/// What is to be done with a media step; what has changed, if that may not be changed any more.
pub(super) fn todo(step: &RenderedStep, known: &[&CallRecord], all: &[CallRecord]) -> Result<Todo, Vec<String>> {
    let version = latest(step, known);
    let gone = version.iter().any(|record| is_gone(record));
    let current = !gone && is_current(step, version);
    let earlier = if current { &known[..known.len() - version.len()] } else { known };
    let draft = earlier.iter().rev().find_map(|record| {
        let id = given(record.acceptance()?, "media_id")?;
        Some((id.as_str()?.to_owned(), articles(record)?))
    });
    if current {
        if version.iter().all(|record| record.status == Status::Accepted) {
            let records = version.iter().map(|record| (*record).clone()).collect();
            return Ok(Todo::Done { records, notes: Vec::new() });
        }
        let updates = version.iter().any(|record| record.frozen.path == UPDATE);
        let fresh = version[0].frozen.message_digest != step.message_digest;
        let planned = calls(step, draft.filter(|_| updates), version[0].frozen.id.chunk, fresh);
        let resumed = planned.into_iter().map(|(frozen, media)| {
            let record = version.iter().find(|record| record.frozen.id == frozen.id).map(|record| (*record).clone());
            TodoCall { frozen, record, media: Some(media) }
        });
        return Ok(Todo::Run { calls: resumed.collect(), freeze: Freeze::New, notes: Vec::new() });
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
            return Err(vec!["the article, which was sent".into()]);
        }
        if gone {
            notes.push(format!("`{}` found its draft or its pictures gone: all of it is made anew", step.name()));
        } else if count == step.calls.iter().filter_map(|call| articles_of(&call.payload.raw())).sum::<usize>() {
            notes.push(format!("`{}` has changed: the draft that was not sent yet is updated", step.name()));
            base = Some((id, count));
        } else {
            let count = format!("`{}` has another number of articles: a new draft is added", step.name());
            notes.push(format!("{count}, and {id} stays in the draft box"));
        }
    }
    let first = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
    let new = calls(step, base, first, gone).into_iter();
    let new = new.map(|(frozen, media)| TodoCall { frozen, record: None, media: Some(media) });
    Ok(Todo::Run { calls: new.collect(), freeze: Freeze::New, notes })
}

/// Whether what a call stands on is not there any more: somebody deleted the draft or a picture, or sent the draft.
fn is_gone(record: &CallRecord) -> bool {
    let refused = record.events.last().is_some_and(|event| event.kind == Kind::Refused && event.errcode == Some(40007));
    refused && matches!(record.frozen.path.as_str(), ADD | UPDATE | GET)
}

/// How many articles a record adds or knows of; none if it is no draft.
fn articles(record: &CallRecord) -> Option<usize> {
    match record.frozen.path.as_str() {
        ADD => articles_of(&record.frozen.payload),
        // The last article of the draft.
        UPDATE => {
            let body: Value = serde_json::from_str(&record.frozen.payload).ok()?;
            Some(usize::try_from(body.get("index")?.as_u64()?).ok()? + 1)
        }
        _ => None,
    }
}

fn articles_of(payload: &str) -> Option<usize> {
    serde_json::from_str::<Value>(payload).ok()?.get("articles")?.as_array().map(Vec::len)
}

/// The calls of a version: as planned, or with updates of a draft in place of adding one. What is made anew uploads
/// anew.
fn calls(step: &RenderedStep, base: Option<(String, usize)>, first: u32, fresh: bool) -> Vec<(FrozenCall, MediaCall)> {
    let mut planned: Vec<(PlannedCall, MediaCall)> = Vec::new();
    for call in &step.calls {
        let media = MediaCall { fresh, ..call.media.clone().unwrap_or_default() };
        match (&base, call.path) {
            (Some((id, _)), ADD) => {
                let body: Value = serde_json::from_str(&call.payload.raw()).unwrap_or_default();
                let articles = body["articles"].as_array().cloned().unwrap_or_default();
                for (index, article) in articles.into_iter().enumerate() {
                    let body = json!({ "media_id": id, "index": index, "articles": article });
                    let gives = media.gives.clone().map(|gives| Gives { known: Some(id.clone()), ..gives });
                    let update = PlannedCall { path: UPDATE, payload: Payload::new(&body, None), ..call.clone() };
                    planned.push((update, MediaCall { gives, ..MediaCall::default() }));
                }
            }
            _ => planned.push((call.clone(), media)),
        }
    }
    let numbered = planned.into_iter().zip(first..).map(|((call, media), chunk)| {
        let frozen = freeze(step, &PlannedCall { chunk, ..call });
        let message_digest = if fresh { anew(step, first) } else { frozen.message_digest };
        (FrozenCall { message_digest, ..frozen }, media)
    });
    numbered.collect()
}

impl Runner<'_, '_> {
    /// Fills the slot that an accepted call gives.
    pub(super) fn remember_given(&mut self, media: Option<&MediaCall>, fact: Option<&Event>) {
        let gives = media.and_then(|media| media.gives.as_ref());
        if let Some((gives, value)) = gives.and_then(|gives| Some((gives, given(fact?, gives.member)?))) {
            self.slots.insert(gives.slot.clone(), value);
        }
    }

    /// Takes what an answer gives; an answer that is not what was asked for is a problem.
    pub(super) fn take(&self, media: &MediaCall, answer: &Outcome, event: &mut Event) -> Result<(), Problem> {
        let Outcome::Reply(reply) = answer else { return Ok(()) };
        let problem = |message: String, help: &str| Problem { message, help: vec![help.to_owned()], errcode: None };
        if let Some(gives) = &media.gives {
            let value = gives.known.clone().or_else(|| reply.members.get(gives.member)?.as_str().map(str::to_owned));
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                let message = format!("WeChat took the call and gave no `{}`", gives.member);
                return Err(problem(message, "run it again; if it stays so, ask WeChat with the rid"));
            };
            // WeChat gives addresses of its pictures with http, and serves them with https.
            let value = match value.strip_prefix("http://") {
                Some(rest) if gives.member == "url" => format!("https://{rest}"),
                _ => value,
            };
            let mut result = json!({ gives.member: value });
            if let Some(url) = reply.members.get("url").and_then(Value::as_str).filter(|_| gives.member != "url") {
                result["url"] = url.replacen("http://", "https://", 1).into();
            }
            event.result = Some(result.to_string());
        }
        if let Some(wanted) = &media.verify {
            let wanted = Payload::from_raw(wanted.to_string()).fill(&|name| self.slots.get(name).cloned());
            let wanted: Value = wanted.ok().and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default();
            let lost = losses(&wanted, &reply.members.get("news_item").cloned().unwrap_or_default());
            if !lost.is_empty() {
                let message = format!("the draft is not what was sent: {}", lost.join("; "));
                let help = "nothing was previewed or sent; look at the draft in the console, and mend the article";
                return Err(problem(message, help));
            }
        }
        Ok(())
    }
}

impl CallRun<'_, '_, '_> {
    /// An upload that was made before needs no call: what it gave is noted for this step too.
    pub(super) fn uploaded(&mut self) -> Result<Option<Event>, LedgerError> {
        let media = self.media.as_ref().filter(|media| !media.fresh);
        let Some(upload) = media.and_then(|media| media.upload.as_ref()) else { return Ok(None) };
        let Settings { scope, run_id, .. } = self.runner.settings;
        let known = self.runner.ledger.uploaded(&scope.platform, &scope.appid, &upload.key())?;
        let Some(known) = known else { return Ok(None) };
        let now = self.runner.clock.now();
        self.note(Event::new(Kind::Attempted, now, run_id))?;
        let note = Some("uploaded before".to_owned());
        let fact = Event { note, result: known.result, ..Event::new(Kind::Accepted, now, run_id) };
        self.note(fact.clone())?;
        let report = self.report(CallOutcome::Accepted, None);
        self.say(CallReport { errmsg: fact.note.clone(), ..report });
        Ok(Some(fact))
    }
}

/// What a draft that was read back has lost, in words.
fn losses(wanted: &Value, got: &Value) -> Vec<String> {
    let none = Vec::new();
    let (wanted, got) = (wanted["articles"].as_array().unwrap_or(&none), got.as_array().unwrap_or(&none));
    if wanted.len() != got.len() {
        return vec![format!("{} articles were sent, and {} are there", wanted.len(), got.len())];
    }
    let mut lost = Vec::new();
    for (number, (wanted, got)) in wanted.iter().zip(got).enumerate() {
        let text = |article: &Value, name: &str| article[name].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<String> = Vec::new();
        for name in ["title", "author", "digest"] {
            let (wanted, got) = (text(wanted, name), text(got, name));
            // WeChat makes a digest where none was given.
            if !wanted.is_empty() && !compare::same_text(&wanted, &got) {
                found.push(format!("`{name}` is `{got}`, and `{wanted}` was sent"));
            }
        }
        let html = text(wanted, "article_type") != "newspic";
        found.extend(compare::losses(&text(wanted, "content"), &text(got, "content"), html));
        lost.extend(found.into_iter().map(|what| format!("article {}: {what}", number + 1)));
    }
    lost
}
