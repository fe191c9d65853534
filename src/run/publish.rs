//! A publication on its way. There is no key by which WeChat would know a repetition: what an attempt of unknown outcome came to
//! is found by asking whether the draft is still there and whether its articles are public. It is repeated only if the draft is
//! provably there; if neither is found, a person decides.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    attempt::{CallRun, noted},
    frozen,
    outputs::given,
    policy::{self, Next},
    published,
    refusal::in_a_row,
    steps::StepEnd,
};
use crate::{
    ledger::{Event, EventKind},
    limits,
    locale::{Phrase, list, say},
    payload::{Effect, Payload},
    plan::{action::create_draft, action::publish as action, ask::Poll},
    problem::Problem,
    report::{CallOutcome, CallReport, RunEvent, StepOutcome},
    slot::{Output, Slot},
    wechat::{
        Reply,
        client::Outcome,
        publication::{self, Publication, Stand},
        transport::{Body, Method},
    },
};

/// WeChat's code for a draft that is not in the draft box.
const NO_DRAFT: i64 = 40007;

/// WeChat's code for an article that is not public.
const NO_ARTICLE: i64 = 53600;

/// What is asked about a send or a publication, and until when.
pub(super) struct Question {
    pub(super) path: String,
    pub(super) body: String,
    /// The status that is waited for.
    pub(super) until: &'static str,
    /// It is about a publication.
    pub(super) publication: bool,
    /// The article that is asked about where the publication has no other name.
    article_id: Option<String>,
}

/// A status that was told.
pub(super) enum Seen {
    /// Of a send: `msg_status`.
    Job(String),
    Publication(Publication),
}

impl Seen {
    pub(super) fn status(&self) -> &str {
        match self {
            Self::Job(status) => status,
            Self::Publication(publication) => publication.stand.name(),
        }
    }

    /// What the ledger keeps of it.
    pub(super) fn kept(&self) -> String {
        match self {
            Self::Job(status) => status.clone(),
            Self::Publication(publication) => publication.kept().to_string(),
        }
    }

    /// Whether no other status follows.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Job(status) => matches!(status.as_str(), "SEND_FAIL" | "DELETE"),
            Self::Publication(publication) => !matches!(publication.stand, Stand::Published | Stand::Publishing),
        }
    }
}

impl Question {
    pub(super) fn seen(&self, answer: &Outcome) -> Option<Seen> {
        let Outcome::Reply(reply) = answer else { return None };
        match (&self.article_id, self.publication) {
            (Some(id), _) => publication::public(id, reply).map(Seen::Publication),
            (None, true) => publication::stands(reply).map(Seen::Publication),
            (None, false) => reply.msg_status().map(|status| Seen::Job(status.to_owned())),
        }
    }
}

/// Where a draft is that may have been published.
enum Trace {
    /// Its articles are public.
    Public(Publication),
    /// It is in the draft box, and its articles are not public.
    There,
    /// It is gone, and its articles are not public.
    Gone,
    /// It is in the draft box, and its articles are public all the same.
    Both,
}

impl CallRun<'_, '_, '_> {
    /// What is to be asked of this call.
    pub(super) fn question(&self, poll: Poll) -> Result<Question, StepEnd> {
        let path = self.record.frozen.path.clone();
        if path != action::GET {
            let body = self.fill()?;
            return Ok(Question { path, body, until: poll.until, publication: false, article_id: None });
        }
        let until = if poll.until == "DELETE" { Stand::Deleted } else { Stand::Published }.name();
        let question = Question { path, body: String::new(), until, publication: true, article_id: None };
        match self.article_alone() {
            Some(id) => {
                let body = json!({ "article_id": id }).to_string();
                Ok(Question { path: action::GETARTICLE.to_owned(), body, article_id: Some(id), ..question })
            }
            None => Ok(Question { body: self.fill()?, ..question }),
        }
    }

    /// The article that a publication is known by, where nobody knows its `publish_id`.
    fn article_alone(&self) -> Option<String> {
        let payload: Payload = frozen::payload(&self.record.frozen).ok()?;
        let slots = &self.runner.facts.slots;
        let publish_id = payload.slots().find(|slot| !slots.contains_key(slot))?;
        let Slot::Output { step, key, output: Output::PublishId, index: None } = publish_id else { return None };
        let article = slots.get(&Slot::output(step, key.as_deref(), Output::ArticleId))?;
        article.as_str().map(str::to_owned)
    }

    /// What is known of a publication without being asked: it was found, or settled by hand. `submit` is the fact of its
    /// submission.
    pub(super) fn known(&mut self, submit: Option<&Event>) -> Result<Option<Event>, StepEnd> {
        let Some(submit) = submit.filter(|_| self.at.step.spec.effect == Effect::Publish) else { return Ok(None) };
        if given(submit, Output::PublishId).is_some() {
            return Ok(None);
        }
        let result = match given(submit, Output::ArticleId) {
            Some(id) if frozen::urls(submit).is_empty() => {
                match self.ask(action::GETARTICLE, &json!({ "article_id": id }))? {
                    Outcome::Reply(reply) if reply.errcode == 0 => {
                        publication::public(&id, &reply).map(|found| found.kept().to_string())
                    }
                    _ => None,
                }
            }
            _ => submit.result.clone(),
        };
        let before = match submit.kind {
            EventKind::Adopted => say!("found among the publications"),
            _ => say!("settled by hand"),
        };
        let (now, run_id) = (self.runner.clock.now(), &self.runner.settings.run_id);
        let intent = Event::new(EventKind::Attempted, now, run_id);
        let fact = Event { note: Some(noted(&before)), result, ..Event::new(EventKind::Accepted, now, run_id) };
        let written = self.note(intent).and_then(|()| self.note(fact.clone()));
        if let Err(error) = written {
            return Err(self.store_failed(self.record.status, &error));
        }
        let report = self.report(CallOutcome::Accepted, None);
        self.say(CallReport { errmsg: Some(before.to_string()), ..report });
        Ok(Some(fact))
    }

    /// Submits the draft, unless an earlier attempt did.
    pub(super) fn publish(&mut self) -> Result<Event, StepEnd> {
        let mut pause: Option<Duration> = None;
        loop {
            if self.in_doubt()
                && let Some(fact) = self.settle()?
            {
                return Ok(fact);
            }
            if let Some(pause) = pause
                && !self.runner.wait(self.at.index, self.pause(pause), say!("before another attempt"))
            {
                return Err(self.interrupted());
            }
            self.look()?;
            self.begin()?;
            let answer = self.send();
            if let Some(fact) = self.note_outcome(answer)? {
                return Ok(fact);
            }
            pause = self.retry.next();
            if pause.is_none() {
                if self.in_doubt()
                    && let Some(fact) = self.settle()?
                {
                    return Ok(fact);
                }
                return Err(self.give_up(Problem::new(say!(
                    "no conclusive answer after {attempts} attempt" | "no conclusive answer after {attempts} attempts",
                    attempts = self.attempts
                ))));
            }
        }
    }

    /// At least a minute, if WeChat said that it was too fast.
    fn pause(&self, pause: Duration) -> Duration {
        let real = self.runner.settings.scope.platform.is_real();
        let too_fast = real && self.last.as_ref().is_some_and(policy::is_rate_limit);
        pause.max(if too_fast { limits::MASS_CALLS_WINDOW } else { Duration::ZERO })
    }

    /// Asks; a question without an answer is repeated.
    fn ask(&mut self, path: &str, body: &Value) -> Result<Outcome, StepEnd> {
        let (body, mut retry) = (body.to_string(), self.at.step.retry.retry());
        loop {
            if (self.runner.settings.interrupted)() {
                return Err(self.interrupted());
            }
            let timeout = self.at.step.timeout;
            let answer = self.runner.client.call(Method::Post, path, Body::Json(&body), timeout);
            if !matches!(policy::judge(Effect::Read, false, &answer).1, Next::Again | Next::Doubt) {
                return Ok(answer);
            }
            let Some(pause) = retry.next() else { return Ok(answer) };
            if !self.runner.wait(self.at.index, pause, say!("before another attempt")) {
                return Err(self.interrupted());
            }
        }
    }

    /// Reads the draft before it is submitted, so that its articles are known again.
    fn look(&mut self) -> Result<(), StepEnd> {
        let body: Value = serde_json::from_str(&self.fill()?).unwrap_or_default();
        let answer = self.ask(create_draft::GET, &json!({ "media_id": body["media_id"] }))?;
        if let Some(articles) = articles(&answer) {
            self.marks = Some(json!({ "articles": published::marks(articles) }).to_string());
            return Ok(());
        }
        if self.attempts > 0 {
            let last = self.last.take();
            self.finish(CallOutcome::NotSent, last.as_ref());
        }
        let problem = match &answer {
            Outcome::Reply(reply) if reply.errcode == NO_DRAFT => {
                let draft = body["media_id"].as_str().unwrap_or_default();
                Problem::new(say!(
                    "the draft {draft} is not in the draft box: it was deleted, sent or published",
                    draft
                ))
                .help(say!(
                    "see the console (草稿箱, 发表记录); to create it again, change the `id` of its `create_draft` step"
                ))
                .errcode(NO_DRAFT)
            }
            Outcome::Reply(reply) if reply.errcode == 0 => {
                Problem::new(say!("WeChat returned no articles for the draft")).help(say!("run it again"))
            }
            answer => policy::advice(answer),
        };
        let stop = matches!(answer, Outcome::NoToken(_) | Outcome::Withheld);
        Err(StepEnd { error: Some(problem), stop, ..StepEnd::new(StepOutcome::Failed) })
    }

    /// What became of an attempt whose outcome is not known: the fact if the articles are public, none if they provably are
    /// not and will not be.
    fn settle(&mut self) -> Result<Option<Event>, StepEnd> {
        let attempt = self.record.unsettled().map(|(attempt, _)| attempt).next_back();
        let marks = attempt.and_then(published::noted_marks);
        let draft = attempt.and_then(|attempt| published::submitted_in(attempt.body.as_deref()?));
        let (Some(marks), Some(draft), Some((first, last))) = (marks, draft, self.record.in_doubt_since()) else {
            return Err(self.open(say!("the ledger does not record what the draft held")));
        };
        let asked = self.at.step.retry.resend_after;
        let real = self.runner.settings.scope.platform.is_real();
        let pause = if real { asked.max(limits::RESEND_AFTER_MIN) } else { asked };
        let since =
            first.saturating_sub(SignedDuration::try_from(limits::CLOCK_OFF).unwrap_or_default()).unwrap_or(first);
        let passed = self.times().latest().duration_since(last);
        let passed = Duration::try_from(passed).unwrap_or_default();
        let mut before = None;
        // What is on its way may be neither here nor there, so nothing is believed the first time but that it is public.
        for wait in [pause.saturating_sub(passed), pause] {
            if !self.runner.wait(self.at.index, wait, say!("before asking whether it was published")) {
                return Err(self.interrupted());
            }
            match (self.trace(&draft, &marks, since)?, before.take()) {
                (Err(why), _) => return Err(self.open(say!("cannot ask what became of it: {why}", why))),
                (Ok(Trace::Public(publication)), _) => return self.adopt(&publication).map(Some),
                (Ok(Trace::There), Some(Trace::There)) => return self.was_not_published().map(|()| None),
                (Ok(trace), None) => before = Some(trace),
                (Ok(Trace::Gone), Some(_)) => {
                    return Err(self.open(say!("the draft is gone, and its articles are not among the publications")));
                }
                (Ok(_), Some(_)) => {
                    return Err(self.open(say!("WeChat's answers about the draft and its publication do not agree")));
                }
            }
        }
        Err(self.open(say!("WeChat's answers about the draft and its publication do not agree")))
    }

    /// It stays unknown.
    fn open(&mut self, why: Phrase) -> StepEnd {
        let last = self.last.take();
        self.finish(CallOutcome::Unknown, last.as_ref());
        self.unknown(Problem::new(why))
    }

    /// Looks for a draft and for its articles; an inner error says why that cannot be told.
    fn trace(&mut self, draft: &str, marks: &Value, since: Timestamp) -> Result<Result<Trace, Phrase>, StepEnd> {
        let answer = self.ask(create_draft::GET, &json!({ "media_id": draft }))?;
        let there = match &answer {
            Outcome::Reply(reply) if reply.errcode == NO_DRAFT => false,
            answer if articles(answer).is_some() => true,
            Outcome::Reply(reply) if reply.errcode == 0 => {
                return Ok(Err(say!("WeChat returned no articles for the draft")));
            }
            answer => return Ok(Err(policy::advice(answer).message)),
        };
        let public = match self.find(marks, since)? {
            Ok(public) => public,
            Err(why) => return Ok(Err(why)),
        };
        Ok(Ok(match (public, there) {
            (Some(publication), false) => Trace::Public(publication),
            (Some(_), true) => Trace::Both,
            (None, true) => Trace::There,
            (None, false) => Trace::Gone,
        }))
    }

    /// The publication with these articles, of those since a time.
    fn find(&mut self, marks: &Value, since: Timestamp) -> Result<Result<Option<Publication>, Phrase>, StepEnd> {
        let others = match self.runner.ledger.calls(&self.runner.settings.scope) {
            Ok(all) => published::article_ids(&all),
            Err(error) => return Err(self.store_failed(self.record.status, &error)),
        };
        let mut offset = 0;
        for _ in 0..limits::PUBLISHED_PAGES {
            let body = json!({ "offset": offset, "count": limits::PUBLISHED_PAGE, "no_content": 0 });
            let answer = self.ask(action::BATCHGET, &body)?;
            let page = match &answer {
                Outcome::Reply(reply) if reply.errcode == 0 => publication::page(reply),
                answer => return Ok(Err(policy::advice(answer).message)),
            };
            let Some((listed, total)) = page else {
                return Ok(Err(say!("the list of publications cannot be read")));
            };
            let old = |time: i64| time < since.as_second();
            let count = listed.len();
            let all_old = listed.iter().all(|one| old(one.update_time));
            for one in listed.into_iter().filter(|one| !old(one.update_time)) {
                let known = one.publication.article_id.as_ref().is_some_and(|id| others.contains(id));
                if !known && published::marks(one.articles) == *marks {
                    return Ok(Ok(Some(one.publication)));
                }
            }
            offset += count;
            if all_old || u64::try_from(offset).is_ok_and(|offset| offset >= total) {
                return Ok(Ok(None));
            }
        }
        Ok(Err(say!("there are too many publications to look through")))
    }

    /// Its articles are public: the attempt was carried out.
    fn adopt(&mut self, publication: &Publication) -> Result<Event, StepEnd> {
        let fact = Event {
            note: Some(noted(&say!("found among the publications"))),
            result: Some(publication.kept().to_string()),
            ..Event::new(EventKind::Adopted, self.runner.clock.now(), &self.runner.settings.run_id)
        };
        let written = self.note(fact.clone());
        let last = self.last.take();
        self.finish(CallOutcome::Adopted, last.as_ref());
        match written {
            Ok(()) => Ok(fact),
            Err(error) => Err(self.store_failed(self.record.status, &error)),
        }
    }

    /// The draft is there, and its articles are not public, twice in a row: the attempt came to nothing.
    fn was_not_published(&mut self) -> Result<(), StepEnd> {
        let why = say!("the draft is still in the draft box, and its articles are not among the publications");
        let (now, run_id) = (self.runner.clock.now(), &self.runner.settings.run_id);
        let proof = Event { note: Some(noted(&why)), ..Event::new(EventKind::ResolvedNotSent, now, run_id) };
        if let Err(error) = self.note(proof) {
            return Err(self.store_failed(self.record.status, &error));
        }
        let text = say!("`{step}`: {why}; submitting it again", step = self.at.step.name(), why);
        (self.runner.emit)(RunEvent::Note { text });
        Ok(())
    }

    /// Deletes published articles. An attempt of unknown outcome is not repeated before it is known that its article is there:
    /// whether the numbers of the others change with it is not documented.
    pub(super) fn unpublish(&mut self) -> Result<Event, StepEnd> {
        let mut pause: Option<Duration> = None;
        loop {
            if let Some(pause) = pause
                && !self.runner.wait(self.at.index, self.pause(pause), say!("before another attempt"))
            {
                return Err(self.interrupted());
            }
            if self.record.status.in_doubt()
                && let Some(fact) = self.was_deleted()?
            {
                return Ok(fact);
            }
            self.begin()?;
            let answer = self.send();
            if let Some(fact) = self.note_outcome(answer)? {
                return Ok(fact);
            }
            pause = self.retry.next();
            if pause.is_none() {
                return Err(self.give_up(Problem::new(say!(
                    "no conclusive answer after {attempts} attempt" | "no conclusive answer after {attempts} attempts",
                    attempts = self.attempts
                ))));
            }
        }
    }

    /// Whether an attempt at a deletion was carried out: its fact if so, none if it was not.
    fn was_deleted(&mut self) -> Result<Option<Event>, StepEnd> {
        let body: Value = serde_json::from_str(self.record.sent_body().unwrap_or_default()).unwrap_or_default();
        let answer = self.ask(action::GETARTICLE, &json!({ "article_id": body["article_id"] }))?;
        let gone = match &answer {
            Outcome::Reply(reply) if reply.errcode == NO_ARTICLE => Some(true),
            Outcome::Reply(reply) if reply.errcode == 0 => publication::is_deleted(reply, body["index"].as_u64()),
            _ => None,
        };
        let (kind, why) = match gone {
            Some(true) => (EventKind::Adopted, say!("found deleted")),
            Some(false) => (EventKind::ResolvedNotSent, say!("found still published")),
            None => {
                let last = self.last.take();
                self.finish(CallOutcome::Unknown, last.as_ref());
                let why = match &answer {
                    Outcome::Reply(reply) if reply.errcode == 0 => {
                        say!("WeChat's answer about the article says nothing")
                    }
                    answer => policy::advice(answer).message,
                };
                let message = say!("unknown whether it was deleted: {why}", why);
                return Err(StepEnd::problem(
                    StepOutcome::Failed,
                    message,
                    vec![say!("see the console (发表记录), or run it again")],
                ));
            }
        };
        let (now, run_id) = (self.runner.clock.now(), &self.runner.settings.run_id);
        let fact = Event { note: Some(noted(&why)), ..Event::new(kind, now, run_id) };
        if let Err(error) = self.note(fact.clone()) {
            return Err(self.store_failed(self.record.status, &error));
        }
        if kind != EventKind::Adopted {
            return Ok(None);
        }
        let last = self.last.take();
        self.finish(CallOutcome::Adopted, last.as_ref());
        Ok(Some(fact))
    }

    /// A status that is not the one that is waited for, and the last. That a publication came to nothing is noted: the next run
    /// may publish again.
    pub(super) fn ended(&mut self, question: Question, answer: &Outcome, seen: &Seen) -> StepEnd {
        let until = question.until;
        let publication = match seen {
            Seen::Publication(publication) => publication,
            Seen::Job(status) => {
                let help = if status == "DELETE" {
                    say!(
                        "it was deleted, or every recipient was filtered out (monthly limit of four messages, or blocked)"
                    )
                } else {
                    say!("see the console (群发记录) or the event MASSSENDJOBFINISH for the reason")
                };
                let message = say!("the status is {status}, expected {until}", status = status.as_str(), until);
                return self.unseen(answer, message, help);
            }
        };
        let (message, help) = words(publication);
        if self.at.step.spec.effect == Effect::Publish && publication.stand.is_failure() {
            let facts = Event { result: Some(seen.kept()), ..self.runner.event(EventKind::Accepted, answer) };
            if let Err(end) = self.seen(question.body, Some(answer), facts) {
                return end;
            }
            return StepEnd::problem(StepOutcome::Failed, message, vec![help]);
        }
        self.unseen(answer, message, help)
    }

    /// WeChat does not say how it stands.
    pub(super) fn not_told(&mut self, question: &Question, answer: &Outcome, stop: bool) -> StepEnd {
        let strange = |reply: &Reply| matches!(reply.errcode, 40002 | 53502 | 53600);
        match answer {
            Outcome::Reply(reply) if question.publication && strange(reply) => {
                let body: Value = serde_json::from_str(&question.body).unwrap_or_default();
                let id = body["publish_id"].as_str().or_else(|| body["article_id"].as_str()).unwrap_or_default();
                let message = say!("WeChat does not know the publication {id} ({code})", id, code = reply.errcode);
                let help = say!("it is of another account, or was deleted: see the console (发表记录)");
                self.finish(CallOutcome::Refused, Some(answer));
                let problem = Problem::new(message).help(help).errcode(reply.errcode);
                StepEnd { error: Some(problem), stop, ..StepEnd::new(StepOutcome::Failed) }
            }
            answer => self.refused(answer, stop),
        }
    }
}

/// The articles of a draft, if it is there.
fn articles(answer: &Outcome) -> Option<&[Value]> {
    let Outcome::Reply(reply) = answer else { return None };
    let articles = reply.members.get("news_item").filter(|_| reply.errcode == 0)?.as_array()?;
    (!articles.is_empty()).then_some(articles.as_slice())
}

/// What a publication came to, and what to do.
fn words(publication: &Publication) -> (Phrase, Phrase) {
    let again = || say!("the console (发表记录) says why; correct the article, then run it again to publish it");
    let (message, help) = match publication.stand {
        Stand::OriginalFail => (say!("not published: the originality check refused it (publish_status 2)"), again()),
        Stand::Fail => (say!("not published: the publication failed (publish_status 3)"), again()),
        Stand::ReviewFail => (say!("not published: the platform's review refused it (publish_status 4)"), again()),
        Stand::Deleted => (
            say!("it was published, and deleted afterwards (publish_status 5)"),
            say!("it is not published again; to do that, change the `id` of the steps that create and publish it"),
        ),
        Stand::Banned => (
            say!("it was published, and the platform banned it afterwards (publish_status 6)"),
            say!("see the notices in the console for the reason"),
        ),
        Stand::Published | Stand::Publishing => {
            (say!("the status is {status}", status = publication.stand.name()), again())
        }
    };
    if publication.failed.is_empty() {
        return (message, help);
    }
    let articles = list(publication.failed.iter().map(ToString::to_string));
    (in_a_row([message, say!("articles concerned: {articles}", articles)]), help)
}
