//! Steps that add to the account's library: uploads that are made once, drafts that are updated and read back.
//!
//! What such a step makes has versions: all of its calls carry the digest of the whole. The latest version that the ledger
//! has is compared with the plan; a new one gets calls of its own, with numbers after those before.

use super::{attempt::CallRun, *};
use crate::{
    content::article::compare,
    payload::Payload,
    plan::action::create_draft::{ADD, GET, UPDATE},
    render::Gives,
    run::reconcile::{anew, is_current, latest},
};

/// What is to be done with a media step; what has changed, if that may not be changed any more.
pub(super) fn todo(
    step: &RenderedStep,
    known: &[&CallRecord],
    all: &[CallRecord],
) -> Result<Result<Todo, Vec<String>>, LedgerError> {
    frozen::check_given(known)?;
    let version = latest(step, known);
    let gone = version.iter().any(|record| is_gone(record));
    let current = !gone && is_current(step, version);
    let earlier = if current { &known[..known.len() - version.len()] } else { known };
    let draft = latest_draft(earlier)?;
    if current {
        if version.iter().all(|record| record.status == Status::Accepted) {
            let records = version.iter().map(|record| (*record).clone()).collect();
            return Ok(Ok(Todo::Done { records, notes: Vec::new() }));
        }
        let updates = version.iter().any(|record| record.frozen.path == UPDATE);
        let fresh = version[0].frozen.message_digest.as_deref() != step.content.digest();
        let mut resumed = calls(step, draft.filter(|_| updates), version[0].frozen.id.chunk, fresh);
        for call in &mut resumed {
            let record = version.iter().find(|record| record.frozen.id == call.frozen.id);
            call.record = record.map(|record| (*record).clone());
        }
        return Ok(Ok(Todo::Run { calls: resumed, freeze: Freeze::New, notes: Vec::new() }));
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
            return Ok(Err(vec!["the article, which was sent".into()]));
        }
        if gone {
            notes.push(format!("`{}` found its draft or its pictures gone: all of it is made anew", step.name()));
        } else if count == step.articles.len() {
            notes.push(format!("`{}` has changed: the draft that was not sent yet is updated", step.name()));
            base = Some((id, count));
        } else {
            let count = format!("`{}` has another number of articles: a new draft is added", step.name());
            notes.push(format!("{count}, and {id} stays in the draft box"));
        }
    }
    let first = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
    Ok(Ok(Todo::Run { calls: calls(step, base, first, gone), freeze: Freeze::New, notes }))
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

/// What a fact gives. What cannot be read was refused before the run ([`frozen::check_given`]); of an upload of another
/// plan it is a value that is not known, with which nothing is sent.
pub(super) fn given(fact: &Event, output: Output) -> Option<String> {
    frozen::given(fact, output).ok().flatten()
}

/// Whether what a call stands on is not there any more: somebody deleted the draft or a picture, or sent the draft.
fn is_gone(record: &CallRecord) -> bool {
    let refused = record.events.last().is_some_and(|event| event.kind == Kind::Refused && event.errcode == Some(40007));
    refused && matches!(record.frozen.path.as_str(), ADD | UPDATE | GET)
}

/// The calls of a version: as planned, or with updates of a draft in place of adding one. What is made anew uploads
/// anew.
fn calls(step: &RenderedStep, base: Option<(String, usize)>, first: u32, fresh: bool) -> Vec<TodoCall> {
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
        let mut call = TodoCall::planned(step, PlannedCall { chunk, ..call });
        call.media = Some(media);
        if fresh {
            call.frozen.message_digest = anew(step, first);
        }
        call
    });
    numbered.collect()
}

impl Runner<'_, '_> {
    /// Fills the slot that an accepted call gives.
    pub(super) fn remember_given(&mut self, media: Option<&MediaCall>, fact: Option<&Event>) {
        let gives = media.and_then(|media| media.gives.as_ref());
        if let Some((gives, value)) = gives.and_then(|gives| Some((gives, given(fact?, gives.member)?))) {
            self.slots.insert(gives.slot.clone(), value.into());
        }
    }

    /// Takes what an answer gives; an answer that is not what was asked for is a problem.
    pub(super) fn take(&self, media: &MediaCall, answer: &Outcome, event: &mut Event) -> Result<(), Problem> {
        let Outcome::Reply(reply) = answer else { return Ok(()) };
        let problem = |message: String, help: &str| Problem { message, help: vec![help.to_owned()], errcode: None };
        if let Some(gives) = &media.gives {
            let value =
                gives.known.clone().or_else(|| reply.members.get(gives.member.name())?.as_str().map(str::to_owned));
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                let message = format!("WeChat took the call and gave no `{}`", gives.member.name());
                return Err(problem(message, "run it again; if it stays so, ask WeChat with the rid"));
            };
            // WeChat gives addresses of its pictures with http, and serves them with https.
            let value = match value.strip_prefix("http://") {
                Some(rest) if gives.member == Output::Url => format!("https://{rest}"),
                _ => value,
            };
            let mut result = json!({ gives.member.name(): value });
            if let Some(url) = reply.members.get("url").and_then(Value::as_str).filter(|_| gives.member != Output::Url)
            {
                result["url"] = url.replacen("http://", "https://", 1).into();
            }
            event.result = Some(result.to_string());
        }
        if let Some(articles) = &media.verify {
            let filled = |article: &Payload| article.filled(&|slot| self.slots.get(slot).cloned());
            let wanted = articles.iter().map(filled).collect::<Result<Vec<_>, _>>();
            let wanted = wanted.map_err(|missing| problem(missing.to_string(), "run it again"))?;
            let got = reply.members.get("news_item").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let lost = losses(&wanted, got);
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
        let known = self.runner.ledger.uploaded(scope.platform.name(), &scope.appid, &upload.key())?;
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
fn losses(wanted: &[Value], got: &[Value]) -> Vec<String> {
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
