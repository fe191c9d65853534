//! Media calls while the run goes on: what they give, uploads that were made before, drafts that are read back.

use serde_json::{Value, json};

use super::{attempt::CallRun, outputs::given, ready::Settings, steps::Runner};
use crate::{
    content::article::compare,
    ledger::{Event, EventKind, LedgerError},
    payload::Payload,
    problem::Problem,
    render::MediaCall,
    report::{CallOutcome, CallReport},
    slot::Output,
    wechat::client::Outcome,
};

impl Runner<'_, '_> {
    /// Fills the slot that an accepted call gives.
    pub(super) fn remember_given(&mut self, media: Option<&MediaCall>, fact: Option<&Event>) {
        let gives = media.and_then(|media| media.gives.as_ref());
        if let Some((gives, value)) = gives.and_then(|gives| Some((gives, given(fact?, gives.member)?))) {
            self.facts.slots.insert(gives.slot.clone(), value.into());
        }
    }

    /// Takes what an answer gives; an answer that is not what was asked for is a problem.
    pub(super) fn take(&self, media: &MediaCall, answer: &Outcome, event: &mut Event) -> Result<(), Problem> {
        let Outcome::Reply(reply) = answer else { return Ok(()) };
        let problem = |message: String, help: &str| Problem {
            message: message.into(),
            help: vec![help.to_owned().into()],
            errcode: None,
        };
        if let Some(gives) = &media.gives {
            let value = gives.known.clone().or_else(|| reply.text(gives.member.name()).map(str::to_owned));
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
            if let Some(url) = reply.text("url").filter(|_| gives.member != Output::Url) {
                result["url"] = url.replacen("http://", "https://", 1).into();
            }
            event.result = Some(result.to_string());
        }
        if let Some(articles) = &media.verify {
            let filled = |article: &Payload| article.filled(&|slot| self.facts.slots.get(slot).cloned());
            let wanted = articles.iter().map(filled).collect::<Result<Vec<_>, _>>();
            let wanted = wanted.map_err(|missing| problem(missing.to_string(), "run it again"))?;
            let got = reply.members.get("news_item").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let lost = losses(&wanted, got);
            if !lost.is_empty() {
                let message = crate::wechat::bounded(format!("the draft is not what was sent: {}", lost.join("; ")));
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
        self.note(Event::new(EventKind::Attempted, now, run_id))?;
        let note = Some("uploaded before".to_owned());
        let fact = Event { note, result: known.result, ..Event::new(EventKind::Accepted, now, run_id) };
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
