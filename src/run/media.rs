//! Media calls while the run goes on: what they give, uploads that were made before, drafts that are read back.

use serde_json::{Value, json};

use super::{
    attempt::{CallRun, noted},
    existing,
    outputs::given,
    ready::Settings,
    refusal::in_a_row,
    steps::Runner,
};
use crate::{
    content::article::compare,
    ledger::{Event, EventKind, LedgerError},
    locale::{Count, Phrase, say},
    payload::Payload,
    problem::Problem,
    render::MediaCall,
    report::{CallOutcome, CallReport},
    slot::Output,
    wechat::{client::Outcome, publication},
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
    ///
    /// `sent` is the body of the call.
    pub(super) fn take(
        &self,
        media: &MediaCall,
        sent: &str,
        answer: &Outcome,
        event: &mut Event,
    ) -> Result<(), Problem> {
        let Outcome::Reply(reply) = answer else { return Ok(()) };
        let used = media.uses.as_ref().map(|_| existing::asked(sent).unwrap_or_default());
        if let Some(uses) = &media.uses {
            existing::compare(self.plan, uses, reply, self.settings.scope.platform.is_rehearsal())?;
        }
        if let Some(gives) = &media.gives {
            let told = || match gives.member {
                Output::PublishId => publication::publish_id(reply),
                member => reply.text(member.name()).map(str::to_owned),
            };
            let value = gives.known.clone().or(used).or_else(told);
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                let output = gives.member.name();
                return Err(Problem::new(say!("WeChat accepted the call but returned no `{output}`", output))
                    .help(say!("run it again; if it persists, contact WeChat with the rid")));
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
            let wanted = wanted.map_err(|missing| Problem::new(missing.message()).help(say!("run it again")))?;
            let got = reply.members.get("news_item").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let lost = losses(&wanted, got);
            if !lost.is_empty() {
                let why = in_a_row(lost).with_texts(&|text| crate::wechat::bounded(text.to_owned()));
                return Err(Problem::new(say!("WeChat changed the draft: {why}", why))
                    .help(say!("nothing was previewed or sent; check the draft in the console and fix the article")));
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
        let before = say!("uploaded before");
        let note = Some(noted(&before));
        let fact = Event { note, result: known.result, ..Event::new(EventKind::Accepted, now, run_id) };
        self.note(fact.clone())?;
        let report = self.report(CallOutcome::Accepted, None);
        self.say(CallReport { errmsg: Some(before.to_string()), ..report });
        Ok(Some(fact))
    }
}

/// What a draft that was read back has lost, in words.
fn losses(wanted: &[Value], got: &[Value]) -> Vec<Phrase> {
    if wanted.len() != got.len() {
        return vec![say!(
            "sent {sent} article, found {found}" | "sent {sent} articles, found {found}",
            sent = wanted.len(),
            found = Count::from(got.len())
        )];
    }
    let mut lost = Vec::new();
    for (number, (wanted, got)) in wanted.iter().zip(got).enumerate() {
        let text = |article: &Value, name: &str| article[name].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<Phrase> = Vec::new();
        for name in ["title", "author", "digest"] {
            let (wanted, got) = (text(wanted, name), text(got, name));
            // WeChat makes a digest where none was given.
            if !wanted.is_empty() && !compare::same_text(&wanted, &got) {
                found.push(say!("`{name}` is `{got}`, expected `{wanted}`", name, got, wanted));
            }
        }
        let (url, kept) = (text(wanted, "content_source_url"), text(got, "content_source_url"));
        if !url.is_empty() && plain_url(&url) != plain_url(&kept) {
            found.push(say!(
                "`{name}` is `{got}`, expected `{wanted}`",
                name = "content_source_url",
                got = kept,
                wanted = url
            ));
        }
        let switch = |article: &Value, name: &str| match &article[name] {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Bool(value) => Some(u64::from(*value)),
            _ => None,
        };
        for name in ["need_open_comment", "only_fans_can_comment"] {
            // One that is off may be left out.
            if let Some(wanted) = switch(wanted, name).filter(|wanted| *wanted != switch(got, name).unwrap_or(0)) {
                let got = switch(got, name).unwrap_or(0);
                found.push(say!("`{name}` is `{got}`, expected `{wanted}`", name, got, wanted));
            }
        }
        let html = text(wanted, "article_type") != "newspic";
        found.extend(compare::losses(&text(wanted, "content"), &text(got, "content"), html));
        lost.extend(found.into_iter().map(|what| say!("article {number}: {what}", number = number + 1, what)));
    }
    lost
}

/// An address as it can be compared: WeChat escapes `&`, and may write another scheme.
fn plain_url(url: &str) -> String {
    let url = url.replace("&amp;", "&");
    let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_draft_lost_besides_its_text() {
        let _heard = crate::locale::tests::heard("run-media-what_a_draft_lost_besides_its_text");
        let wanted = json!({
            "title": "春茶", "content": "<p>好茶</p>", "content_source_url": "https://a.cn/?a=1&b=2",
            "need_open_comment": 1, "only_fans_can_comment": 0,
        });
        let lost = |name: &str, value: Value| -> Vec<String> {
            let mut got = wanted.clone();
            got[name] = value;
            losses(std::slice::from_ref(&wanted), &[got]).iter().map(ToString::to_string).collect()
        };
        for (name, value) in [
            ("content_source_url", json!("http://a.cn/?a=1&amp;b=2")),
            ("need_open_comment", json!("1")),
            ("only_fans_can_comment", Value::Null),
        ] {
            assert_eq!(lost(name, value), Vec::<String>::new(), "{name}");
        }
        assert_eq!(losses(std::slice::from_ref(&wanted), &[]), ["sent 1 article, found 0"]);
        assert_eq!(lost("content_source_url", json!("")).len(), 1);
        assert_eq!(lost("content_source_url", json!("https://a.cn/?a=1")).len(), 1);
        assert_eq!(lost("need_open_comment", json!(0)).len(), 1);
        assert_eq!(lost("need_open_comment", Value::Null).len(), 1);
        assert_eq!(lost("only_fans_can_comment", json!(1)).len(), 1);
    }
}
