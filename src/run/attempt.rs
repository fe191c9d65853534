//! The calls of a step: intent, call, outcome, and again if the outcome asks for it.

use std::{borrow::Cow, cell::RefCell, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    deleted, delivery, doubt, frozen,
    outputs::outputs,
    policy::{self, Next, Times},
    steps::{At, Runner, StepEnd},
    work::{StepCall, Write},
};
use crate::{
    events::{self, model::MassResult},
    ledger::{CallRecord, Event, EventKind, FrozenCall, LedgerError, Scope, Status, next_status},
    limits,
    locale::{Count, Language, Phrase, say},
    payload::{Effect, MissingValue},
    plan::ask::Poll,
    problem::Problem,
    render::{MediaCall, PlannedCall},
    report::{CallOutcome, CallReport, RunEvent, StepOutcome},
    retry::Retry,
    slot::{Output, Slot},
    text::step_name,
    wechat::{
        client::Outcome,
        errcode,
        token::TokenError,
        transport::{Body, Method},
    },
};

/// The status that a send is waited for with.
const SENT: &str = "SEND_SUCCESS";

/// Why an event of a call can follow what is known of it: another would be a fault of this program.
const LEGAL: &str = "an attempt is followed by its outcome, and what was accepted is not attempted";

/// Calls that are written to the ledger with the first attempt among them.
pub(super) struct Unwritten {
    write: Write,
    /// The numbers of those that the ledger has.
    kept: Vec<u32>,
    calls: Vec<FrozenCall>,
}

impl Unwritten {
    fn new(write: Write, calls: &[StepCall]) -> Self {
        let new = calls.iter().filter(|call| write != Write::None && call.record.is_none());
        let kept = calls.iter().filter(|call| call.record.is_some()).map(|call| call.frozen.id.chunk);
        Self { write, kept: kept.collect(), calls: new.map(|call| call.frozen.clone()).collect() }
    }
}

/// One call, from its first intent in this run to its end: the facts of its acceptance, or how its step ends without it.
pub(super) struct CallRun<'r, 'a, 'c> {
    pub(super) runner: &'r mut Runner<'a, 'c>,
    pub(super) at: At<'a>,
    unwritten: &'r mut Unwritten,
    pub(super) media: Option<MediaCall>,
    /// What the plan says of it; none if it was frozen before, and the ledger says it.
    planned: Option<PlannedCall>,
    /// Its events are those that the ledger has: see [`CallRun::note`].
    pub(super) record: CallRecord,
    pub(super) retry: Retry,
    /// How often it was made in this run.
    pub(super) attempts: u32,
    /// The last answer that settled nothing.
    pub(super) last: Option<Outcome>,
    /// Why it was withdrawn right before it left.
    held: Option<Problem>,
    /// When its intent was recorded, by a clock that nobody sets.
    recorded: Option<Timestamp>,
    /// What is noted with the next intent: of a publication what the draft holds.
    pub(super) marks: Option<String>,
}

impl<'a> Runner<'a, '_> {
    pub(super) fn calls(&mut self, at: At<'a>, calls: Vec<StepCall>, write: Write) -> StepEnd {
        let step = at.step;
        if step.spec.effect != Effect::Mass
            && let Err(error) = self.ledger.sync()
        {
            return self.store_failed(&error);
        }
        let mut unwritten = Unwritten::new(write, &calls);
        // From the first question on: what is asked about begins before.
        let mut deadline = None;
        let count = calls.len();
        let mut facts: Vec<Event> = Vec::new();
        for call in calls {
            if let Some(record) = call.record.as_ref().filter(|record| record.status == Status::Accepted) {
                self.remember_given(call.media.as_ref(), record.acceptance());
                facts.extend(record.acceptance().cloned());
                continue;
            }
            if !facts.is_empty() && (self.settings.interrupted)() {
                self.stopped = Some(say!("the run was interrupted"));
                let message = say!(
                    "interrupted after {done} of {calls} calls; the next run continues",
                    done = Count::from(facts.len()),
                    calls = Count::from(count)
                );
                let outputs = outputs(step, facts.iter());
                return StepEnd { outputs, stop: true, ..StepEnd::problem(StepOutcome::NotRun, message, Vec::new()) };
            }
            let mut run = CallRun::new(self, at, call, &mut unwritten);
            let before = match run.uploaded() {
                Ok(None) => run.deleted(),
                known => known,
            };
            let end = match (before, step.poll) {
                (Err(error), _) => return run.runner.store_failed(&error),
                (Ok(Some(fact)), _) => Ok(fact),
                (Ok(None), _) if run.effect() == Effect::Publish => run.publish(),
                (Ok(None), _) if run.effect() == Effect::Unpublish => run.unpublish(),
                (Ok(None), Some(poll)) => {
                    let deadline = *deadline.get_or_insert_with(|| poll.deadline(run.runner.clock.now()));
                    match run.known(facts.last()) {
                        Ok(None) => run.poll(poll, deadline),
                        Ok(Some(fact)) => Ok(fact),
                        Err(end) => Err(end),
                    }
                }
                (Ok(None), None) => run.attempts(),
            };
            match end {
                Ok(fact) => {
                    run.runner.remember_given(run.media.as_ref(), Some(&fact));
                    facts.push(fact);
                }
                Err(end) => return StepEnd { outputs: outputs(step, facts.iter()), ..end },
            }
        }
        self.ended.sent |= step.spec.effect == Effect::Publish;
        StepEnd { outputs: outputs(step, facts.iter()), ..StepEnd::new(StepOutcome::Succeeded) }
    }

    /// The event of an outcome.
    pub(super) fn event(&self, kind: EventKind, outcome: &Outcome) -> Event {
        event_of(kind, outcome, self.clock.now(), &self.settings.run_id)
    }
}

impl<'r, 'a, 'c> CallRun<'r, 'a, 'c> {
    fn new(runner: &'r mut Runner<'a, 'c>, at: At<'a>, call: StepCall, unwritten: &'r mut Unwritten) -> Self {
        let StepCall { frozen, record, media, planned } = call;
        // What was planned now may know more than what was frozen: how many people a tag has.
        let record = match record {
            Some(mut record) => {
                record.frozen = frozen;
                record
            }
            None => CallRecord::planned(frozen),
        };
        let retry = at.step.retry.retry();
        Self {
            runner,
            at,
            unwritten,
            media,
            planned,
            record,
            retry,
            attempts: 0,
            last: None,
            held: None,
            recorded: None,
            marks: None,
        }
    }

    /// Appends an event to the ledger and adds it to the record, or neither. The first event of a call that is new
    /// freezes all that are.
    pub(super) fn note(&mut self, event: Event) -> Result<(), LedgerError> {
        next_status(self.record.status, event.kind).expect(LEGAL);
        let (ledger, scope) = (&mut *self.runner.ledger, &self.runner.settings.scope);
        let (id, new) = (&self.record.frozen.id, &mut self.unwritten.calls);
        if new.iter().any(|call| call.id == *id) {
            let calls = std::mem::take(new);
            match self.unwritten.write {
                Write::All => ledger.freeze(scope, &self.unwritten.kept, &calls, id, &event)?,
                Write::New | Write::None => ledger.extend(scope, &calls, id, &event)?,
            }
        } else {
            ledger.append(scope, id, &event)?;
        }
        self.record.push(event).expect(LEGAL);
        Ok(())
    }

    /// What a person has deleted needs no call.
    fn deleted(&mut self) -> Result<Option<Event>, LedgerError> {
        if self.at.step.spec.effect != Effect::Delete {
            return Ok(None);
        }
        let Ok(body) = self.fill() else { return Ok(None) };
        let Some((job, article)) = deleted::asked(&body) else { return Ok(None) };
        let records = self.runner.ledger.calls(&self.runner.settings.scope)?;
        let mut known = deleted::deletions(&records);
        let Some(known) = known.find(|known| known.by.is_some() && known.covers(job, article)) else { return Ok(None) };
        let (now, run_id) = (self.runner.clock.now(), &self.runner.settings.run_id);
        self.note(Event { body: Some(body), ..Event::new(EventKind::Attempted, now, run_id) })?;
        let before = known.words();
        let fact = Event { note: Some(noted(&before)), ..Event::new(EventKind::Accepted, now, run_id) };
        self.note(fact.clone())?;
        let report = self.report(CallOutcome::Accepted, None);
        self.say(CallReport { errmsg: Some(before.to_string()), ..report });
        Ok(Some(fact))
    }

    /// Makes the call until it is settled, or may not be repeated any more.
    fn attempts(&mut self) -> Result<Event, StepEnd> {
        let mut pause = None;
        loop {
            self.wait_for_turn(pause)?;
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

    /// Waits until the call may be made (again), after a pause if it was made before.
    fn wait_for_turn(&mut self, pause: Option<Duration>) -> Result<(), StepEnd> {
        let wait = match (self.resend_pause()?, pause) {
            (Some(pause), _) => Some((pause, say!("before repeating the same send with the same clientmsgid"))),
            (None, Some(pause)) => {
                let too_fast = self.runner.settings.scope.platform.is_real()
                    && self.last.as_ref().is_some_and(policy::is_rate_limit);
                let least = if too_fast { limits::MASS_CALLS_WINDOW } else { Duration::ZERO };
                Some((pause.max(least), say!("before another attempt")))
            }
            (None, None) => None,
        };
        if let Some((pause, why)) = wait
            && !self.runner.wait(self.at.index, pause, why)
        {
            return Err(self.interrupted());
        }
        if self.is_mass() {
            match self.runner.pace(self.at.index) {
                Ok(true) => {}
                Ok(false) => return Err(self.interrupted()),
                Err(error) => return Err(self.store_failed(self.record.status, &error)),
            }
        }
        Ok(())
    }

    /// How long a send in doubt must wait before it is repeated; none if it is in no doubt.
    fn resend_pause(&mut self) -> Result<Option<Duration>, StepEnd> {
        let Some((first, last)) = self.record.in_doubt_since().filter(|_| self.is_mass()) else { return Ok(None) };
        // Too fast for its name, in this very run: WeChat tells the job a minute later.
        if policy::foreign(&self.record).is_some() && self.attempts == 0 {
            return Err(self.give_up(Problem::new(say!("it is not repeated until that is settled"))));
        }
        let asked = self.at.step.retry.resend_after;
        let resend_after =
            if self.runner.settings.scope.platform.is_real() { asked.max(limits::RESEND_AFTER_MIN) } else { asked };
        match policy::resend(self.times(), first, last, resend_after, self.at.step.timeout) {
            Ok(pause) => Ok(Some(pause)),
            Err(why) => Err(self.give_up(why)),
        }
    }

    pub(super) fn times(&self) -> Times {
        Times::of(self.runner.clock, self.runner.client.server_time().filter(|_| self.has_its_clock()))
    }

    /// Whether the server's clock is to agree with ours: the one of a rehearsal has the time of the run, whatever its `Date` says.
    fn has_its_clock(&self) -> bool {
        !self.runner.settings.scope.platform.is_rehearsal()
    }

    /// Before a send is repeated, the server's clock is to be known: if no answer of this run told it, a question does that
    /// changes nothing.
    fn ask_the_time(&mut self) {
        let known = |runner: &Runner<'_, '_>| runner.client.server_time().is_some();
        if !self.in_doubt() || !self.has_its_clock() || known(self.runner) || self.runner.asked_time {
            return;
        }
        self.runner.asked_time = true;
        let body = json!({ "cgi_path": self.record.frozen.path }).to_string();
        let timeout = limits::QUOTA_TIMEOUT.min(self.at.step.timeout);
        self.runner.client.call(Method::Post, super::doctor::QUOTA, Body::Json(&body), timeout);
        if !known(self.runner) {
            let text = say!(
                "the server does not report its time (`Date`); this machine's clock alone decides whether a send in doubt may be repeated"
            );
            (self.runner.emit)(RunEvent::Note { text });
        }
    }

    /// Notes the intent, if nothing keeps the call from being made.
    pub(super) fn begin(&mut self) -> Result<(), StepEnd> {
        let body = match self.record.sent_body().filter(|_| self.is_mass()) {
            // In doubt: the same bytes again.
            Some(sent) => {
                let sent = sent.to_owned();
                self.hold_values(&sent)?;
                sent
            }
            None => self.fill()?,
        };
        // A token first: what is noted as attempted is then really attempted.
        if let Err(error) = self.runner.client.ready() {
            return Err(self.no_token(error));
        }
        // With the token known, too, and before the ledger holds it.
        let upload = self.media.as_ref().and_then(|media| media.upload.as_ref());
        if self.runner.client.withholds(upload.map_or(Body::Json(&body), Body::File)) {
            return Err(self.refused(&Outcome::Withheld, true));
        }
        self.ask_the_time();
        // Somebody may have asked to stop while the token was fetched: what has not begun does not begin.
        if (self.runner.settings.interrupted)() {
            return Err(self.interrupted());
        }
        // The waits may have taken longer than they were to take: a machine that slept, a token that was long in coming.
        self.resend_pause()?;
        let times = self.times();
        let at = if self.effect().is_once() { times.attempted() } else { times.now };
        let intent = Event::new(EventKind::Attempted, at, &self.runner.settings.run_id);
        let result = self.marks.take();
        if let Err(error) = self.note(Event { body: Some(body), result, ..intent }) {
            return Err(self.store_failed(self.record.status, &error));
        }
        self.attempts += 1;
        self.recorded = Some(self.runner.clock.steady());
        let mass = self.is_mass();
        self.runner.recent.iter_mut().filter(|_| mass).for_each(|recent| recent.push_back(times.now));
        Ok(())
    }

    pub(super) fn send(&mut self) -> Outcome {
        let timeout = self.at.step.timeout;
        let (path, body) = match self.media.as_ref().and_then(|media| media.upload.as_ref()) {
            Some(upload) => (upload.target.path(), Body::File(upload)),
            None => {
                let body = self.record.sent_body().expect("the intent was noted with its body");
                (self.record.frozen.path.as_str(), Body::Json(body))
            }
        };
        let Some(since) = self.record.in_doubt_since().filter(|_| self.effect().is_once()) else {
            return self.runner.client.call(Method::Post, path, body, timeout);
        };
        let repeated = self.record.status == Status::InFlight { doubt: true };
        let (clock, held, its_clock) = (self.runner.clock, RefCell::new(None), self.has_its_clock());
        let recorded = self.recorded.filter(|_| self.runner.ledger.is_shared());
        let mass = self.is_mass();
        let answer = self.runner.client.post_while(path, body, timeout, &|server| {
            let times = Times::of(clock, server.filter(|_| its_clock));
            let fresh = recorded.map_or(Ok(()), |recorded| policy::is_fresh(times.steady, recorded));
            // A publication has no key that is forgotten.
            let leaves = || if mass { policy::may_leave(times, since, repeated, timeout) } else { Ok(()) };
            fresh.and_then(|()| leaves()).map_err(|problem| {
                let why = problem.message.clone();
                held.replace(Some(problem));
                why
            })
        });
        self.held = held.into_inner();
        answer
    }

    /// Notes what became of an attempt: the facts if WeChat has it, none if it may be made again.
    pub(super) fn note_outcome(&mut self, answer: Outcome) -> Result<Option<Event>, StepEnd> {
        let repeated = self.record.status == Status::InFlight { doubt: true };
        let again = self.record.sent_body().is_some_and(|body| policy::may_have_sent(&self.record, body));
        let (mut kind, mut next) = policy::judge(self.effect(), again, &answer);
        let mut event = self.runner.event(kind, &answer);
        let mut lost: Option<Problem> = None;
        if let (Some(media), Next::Done) = (&self.media, &next)
            && let Err(problem) =
                self.runner.take(media, self.record.sent_body().unwrap_or_default(), &answer, &mut event)
        {
            event.note = Some(noted(&problem.message));
            if self.effect() == Effect::Publish {
                (kind, next) = (EventKind::Unknown, Next::Doubt);
            } else {
                // It was carried out, and is not what was asked for: the next run does it again.
                (kind, next) = (EventKind::Refused, Next::Fail { stop: false });
                lost = Some(problem);
            }
            event.kind = kind;
        }
        // Known, whether or not the ledger takes it.
        let status = next_status(self.record.status, kind).expect(LEGAL);
        let noted = self.note(event.clone());
        if next == Next::Done {
            self.accepted(kind, &answer, repeated);
        }
        if let Err(error) = noted {
            if next != Next::Done {
                self.finish(outcome_of(status), Some(&answer));
            }
            return Err(self.store_failed(status, &error));
        }
        match (next, lost) {
            (Next::Done, _) => Ok(Some(event)),
            (Next::Again | Next::Doubt, _) => {
                self.last = Some(answer);
                Ok(None)
            }
            (Next::Fail { stop }, None) => Err(self.refused(&answer, stop)),
            (Next::Fail { .. }, Some(problem)) => {
                let report = self.report(CallOutcome::Refused, Some(&answer));
                self.say(CallReport { errmsg: Some(problem.message.to_string()), ..report });
                Err(StepEnd { error: Some(problem), ..StepEnd::new(StepOutcome::Failed) })
            }
        }
    }

    /// WeChat has it; `repeated` if an earlier attempt may have done the same.
    fn accepted(&mut self, kind: EventKind, answer: &Outcome, repeated: bool) {
        self.runner.ended.sent |= self.is_mass();
        let outcome = if kind == EventKind::Adopted { CallOutcome::Adopted } else { CallOutcome::Accepted };
        self.finish(outcome, Some(answer));
        let adds = self.media.as_ref().is_some_and(|media| media.gives.is_some());
        if repeated && adds && self.effect() == Effect::Media {
            let step = self.at.step.name();
            let text = say!(
                "`{step}`: an earlier attempt got no conclusive answer and may have left a duplicate in the library",
                step
            );
            (self.runner.emit)(RunEvent::Note { text });
        }
    }

    /// Asks for a status until it is the one that is waited for. Reads are simply repeated; only the last is noted.
    fn poll(&mut self, poll: Poll, deadline: Timestamp) -> Result<Event, StepEnd> {
        let question = self.question(poll)?;
        let until = question.until;
        loop {
            if (self.runner.settings.interrupted)() {
                return Err(self.interrupted());
            }
            if let Some(mass) = self.told(&question.body, poll)? {
                return self.by_event(question.body, &mass);
            }
            let timeout = self.at.step.timeout;
            let answer = self.runner.client.call(Method::Post, &question.path, Body::Json(&question.body), timeout);
            self.attempts += 1;
            let seen = question.seen(&answer);
            let pause = match (policy::judge(Effect::Read, false, &answer).1, &seen) {
                (Next::Done, Some(seen)) if seen.status() == until => {
                    let facts = Event { result: Some(seen.kept()), ..self.runner.event(EventKind::Accepted, &answer) };
                    return self.seen(question.body, Some(&answer), facts);
                }
                (Next::Done, Some(seen)) if seen.is_final() => return Err(self.ended(question, &answer, seen)),
                (Next::Done, _) => {
                    self.retry = self.at.step.retry.retry();
                    poll.every
                }
                (Next::Fail { stop }, _) => return Err(self.not_told(&question, &answer, stop)),
                (Next::Again | Next::Doubt, _) => match self.retry.next() {
                    Some(pause) => pause,
                    None => {
                        self.last = Some(answer);
                        return Err(self.give_up(Problem::new(say!("no answer"))));
                    }
                },
            };
            let publishes = question.publication;
            let seen = seen.map_or_else(|| say!("not known"), |seen| Phrase::verbatim(seen.status()));
            let left = deadline.duration_since(self.runner.clock.now());
            if left <= SignedDuration::ZERO {
                let after = words(poll.timeout);
                let message = say!("the status is still {seen} after {after}, expected {until}", seen, after, until);
                let help = match publishes {
                    true => say!("WeChat may still be reviewing it: run it again, or raise `timeout`"),
                    false => say!("WeChat may still be sending: run it again, or raise `timeout`"),
                };
                return Err(self.unseen(&answer, message, help));
            }
            let why = say!("for {until}; the status is {seen} now", until, seen);
            if !self.runner.wait(self.at.index, pause.min(left.unsigned_abs()), why) {
                return Err(self.interrupted());
            }
        }
    }

    /// What the job's event says, if it was received and says what is waited for: nobody need be asked then. Whether what was sent
    /// was deleted since, it does not say.
    fn told(&mut self, body: &str, poll: Poll) -> Result<Option<MassResult>, StepEnd> {
        let job = || match serde_json::from_str::<Value>(body).ok()?.get("msg_id")? {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let Some(job) = job().filter(|_| poll.until == SENT) else { return Ok(None) };
        let Scope { platform, appid, .. } = &self.runner.settings.scope;
        let known = delivery::of_job(&*self.runner.ledger, platform.name(), appid, job);
        known.map_err(|error| self.store_failed(self.record.status, &error))
    }

    /// Ends by what the event says.
    fn by_event(&mut self, body: String, mass: &MassResult) -> Result<Event, StepEnd> {
        if let Some(why) = mass.failure() {
            self.finish(CallOutcome::Accepted, None);
            let (job, status) = (mass.msg_id.to_string(), mass.status.text());
            let message = say!("job {job} ended with `{status}`: {why}", job, status, why);
            let command = self.runner.plan.command("report", &[]);
            let help = say!("for its numbers, run: {command}", command);
            return Err(StepEnd::problem(StepOutcome::Failed, message, vec![help]));
        }
        let mut facts = Event::new(EventKind::Accepted, self.runner.clock.now(), &self.runner.settings.run_id);
        facts.msg_id = Some(mass.msg_id);
        facts.note = Some(format!("{}: {}", events::MASS, mass.status.text()));
        facts.result = Some(frozen::seen(SENT, &mass.links));
        self.seen(body, None, facts)
    }

    /// The status is there: intent and facts are noted together.
    pub(super) fn seen(&mut self, body: String, answer: Option<&Outcome>, facts: Event) -> Result<Event, StepEnd> {
        self.finish(CallOutcome::Accepted, answer);
        let intent = Event::new(EventKind::Attempted, self.runner.clock.now(), &self.runner.settings.run_id);
        let noted = self.note(Event { body: Some(body), ..intent }).and_then(|()| self.note(facts.clone()));
        match noted {
            Ok(()) => Ok(facts),
            Err(error) => Err(self.store_failed(self.record.status, &error)),
        }
    }

    /// WeChat answered, and the status will not be the one that is waited for, or not in time.
    pub(super) fn unseen(&mut self, answer: &Outcome, message: Phrase, help: Phrase) -> StepEnd {
        self.finish(CallOutcome::Accepted, Some(answer));
        StepEnd::problem(StepOutcome::Failed, message, vec![help])
    }

    /// The body of the frozen call with its slots filled.
    pub(super) fn fill(&self) -> Result<String, StepEnd> {
        let payload = match &self.planned {
            Some(call) => Cow::Borrowed(&call.payload),
            None => match frozen::payload(&self.record.frozen) {
                Ok(payload) => Cow::Owned(payload),
                Err(error) => return Err(StepEnd::problem(StepOutcome::Failed, error.words(), Vec::new())),
            },
        };
        let slots = &self.runner.facts.slots;
        let filled = payload.fill(&|slot| slots.get(slot).cloned());
        filled.map_err(|missing| {
            let error = Some(self.missing(&missing));
            StepEnd { error, ..StepEnd::new(StepOutcome::Failed) }
        })
    }

    /// Why a value is not there, and how it can be.
    fn missing(&self, missing: &MissingValue) -> Problem {
        let Slot::Output { step, key, output: Output::MsgId | Output::MsgIds, index } = &missing.0 else {
            let help = say!("WeChat did not return it, or its step was settled without it");
            return Problem::new(missing.message()).help(help);
        };
        let (name, plan) = (step_name(step, key.as_deref()), self.runner.plan);
        let call = index.map_or(1, |index| index + 1);
        let message =
            say!("`{step}` was sent, but its job is unknown: {missing}", step = &name, missing = missing.to_string());
        let problem = Problem::new(message)
            .help(say!("WeChat reported that it already has the send (45065) without its msg_id, or it was settled by hand without one"))
            .help(say!(
                "look up the job (the MsgID in the event MASSSENDJOBFINISH), run: {command} --sent MSG_ID --chunk {call}, then run the plan again",
                command = doubt::settle(plan, &name, None),
                call
            ));
        match self.at.step.spec.effect {
            Effect::Read => problem.help(say!(
                "without it qunfa cannot ask WeChat; check the console (群发记录) instead, and remove `{step}` from the plan",
                step = &self.at.step.id
            )),
            Effect::Delete => problem.help(say!(
                "without it qunfa cannot delete the message; delete it in the console instead: the message card stays with those who got it; only the body can no longer be opened"
            )),
            _ => problem,
        }
    }

    /// What is sent again should be what would be sent now, but for what each run has of its own.
    fn hold_values(&mut self, sent: &str) -> Result<(), StepEnd> {
        let payload = match frozen::payload(&self.record.frozen) {
            Ok(payload) => payload,
            Err(error) => return Err(self.store_failed(self.record.status, &error)),
        };
        let slots = &self.runner.facts.slots;
        let known = |slot: &Slot| match slot {
            Slot::RunId | Slot::RunTime => None,
            slot => slots.get(slot).cloned(),
        };
        if payload.may_be(sent, &known) {
            return Ok(());
        }
        let why = say!("the sent body differs from the current one: a value assigned by WeChat has changed");
        if self.runner.settings.approved {
            return Err(self.give_up(Problem::new(say!("{why}, and --expect does not cover it", why))));
        }
        let text = say!(
            "`{step}` call {call}: {why}; sending the same bytes again",
            step = self.at.step.name(),
            call = self.record.frozen.id.chunk,
            why
        );
        (self.runner.emit)(RunEvent::Note { text });
        Ok(())
    }

    /// What the call does to the world; the others of its step may do less.
    pub(super) fn effect(&self) -> Effect {
        self.record.frozen.effect
    }

    fn is_mass(&self) -> bool {
        self.effect() == Effect::Mass
    }

    /// Whether it is not known if something was done that must not be done twice.
    pub(super) fn in_doubt(&self) -> bool {
        self.effect().is_once() && self.record.status.in_doubt()
    }

    /// WeChat said no. If an earlier attempt is in doubt, that settles nothing.
    pub(super) fn refused(&mut self, answer: &Outcome, stop: bool) -> StepEnd {
        self.finish(self.outcome(Some(answer)), Some(answer));
        let problem = self.held.take().unwrap_or_else(|| policy::advice(answer));
        if self.in_doubt() {
            let known = matches!(answer, Outcome::Withdrawn(_));
            let problem = if known { problem } else { Problem::new(problem.message) };
            return StepEnd { stop: true, ..self.unknown(problem) };
        }
        let Problem { message, mut help, errcode } = problem;
        if self.record.status.in_doubt() && self.effect() == Effect::Unpublish {
            help.push(say!(
                "an earlier attempt got no conclusive answer and may have deleted it: see the console (发表记录)"
            ));
        }
        if self.record.status.in_doubt() && self.effect() == Effect::Delete {
            let command = self.runner.plan.command("status", &["--refresh"]);
            help.push(say!(
                "an earlier attempt got no conclusive answer and may have deleted it: see `{command}`",
                command
            ));
        }
        let error = Some(Problem { message, help, errcode });
        StepEnd { error, stop, ..StepEnd::new(StepOutcome::Failed) }
    }

    fn no_token(&mut self, error: TokenError) -> StepEnd {
        let answer = Outcome::NoToken(error);
        if (self.runner.settings.interrupted)() {
            self.last = Some(answer);
            return self.interrupted();
        }
        self.refused(&answer, true)
    }

    pub(super) fn give_up(&mut self, why: Problem) -> StepEnd {
        let last = self.last.take();
        self.finish(self.outcome(None), last.as_ref());
        if self.in_doubt() {
            return self.unknown(why);
        }
        let Problem { message, help, errcode } = last.as_ref().map_or(why, policy::advice);
        let times = say!("{attempts} attempt" | "{attempts} attempts", attempts = self.attempts);
        let error = Some(Problem { message: say!("{message} (gave up after {times})", message, times), help, errcode });
        StepEnd { error, ..StepEnd::new(StepOutcome::Failed) }
    }

    pub(super) fn interrupted(&mut self) -> StepEnd {
        self.runner.stopped.get_or_insert_with(|| say!("the run was interrupted"));
        if self.attempts > 0 {
            let last = self.last.take();
            self.finish(self.outcome(None), last.as_ref());
        }
        let end = if self.in_doubt() {
            self.unknown(Problem::new(say!("the run was interrupted before it could be repeated")))
        } else {
            StepEnd::problem(StepOutcome::NotRun, say!("interrupted; the next run continues here"), Vec::new())
        };
        StepEnd { stop: true, ..end }
    }

    /// The store failed when the call stood at `status`. That a send is in doubt is worse, and is said first.
    pub(super) fn store_failed(&mut self, status: Status, error: &LedgerError) -> StepEnd {
        let end = self.runner.store_failed(error);
        if self.effect().is_once() && status.in_doubt() {
            return StepEnd { stop: true, ..self.unknown(Problem::new(error.words())) };
        }
        end
    }

    /// What to do is to wait for the next run, unless the reason says something else.
    pub(super) fn unknown(&self, why: Problem) -> StepEnd {
        let error = Some(doubt::problem(self.runner.plan, &self.record, why));
        StepEnd { error, ..StepEnd::new(StepOutcome::Unknown) }
    }

    /// What reports say of it when it ends without success. A status that is asked for is noted only when it is there,
    /// and asking leaves no doubt.
    fn outcome(&self, refusal: Option<&Outcome>) -> CallOutcome {
        match (self.at.step.poll.filter(|_| self.effect() == Effect::Read), refusal) {
            (None, _) => outcome_of(self.record.status),
            (Some(_), Some(Outcome::Reply(_))) => CallOutcome::Refused,
            (Some(_), _) => CallOutcome::NotSent,
        }
    }

    pub(super) fn report(&self, outcome: CallOutcome, last: Option<&Outcome>) -> CallReport {
        let frozen = &self.record.frozen;
        let (reply, why) = match last {
            Some(Outcome::Reply(reply)) => (Some(reply), None),
            Some(Outcome::NotSent(why) | Outcome::Unknown(why) | Outcome::Withdrawn(why)) => {
                (None, Some(why.to_string()))
            }
            Some(Outcome::NoToken(error)) => (None, Some(error.words().to_string())),
            Some(Outcome::Withheld) => (None, Some(policy::withheld().to_string())),
            None => (None, None),
        };
        CallReport {
            chunk: frozen.id.chunk,
            path: frozen.path.clone(),
            clientmsgid: frozen.is_mass().then(|| frozen.idempotency_key.clone()),
            recipients: frozen.recipients,
            attempts: self.attempts,
            outcome,
            errcode: reply.map(|reply| reply.errcode),
            errmsg: reply.map(|reply| reply.errmsg.clone()).filter(|words| !words.is_empty()).or(why),
            rid: reply.and_then(|reply| errcode::rid(&reply.errmsg)).map(str::to_owned),
            msg_id: reply.and_then(crate::wechat::Reply::msg_id),
            msg_data_id: reply.and_then(crate::wechat::Reply::msg_data_id),
        }
    }

    pub(super) fn finish(&mut self, outcome: CallOutcome, last: Option<&Outcome>) {
        self.say(self.report(outcome, last));
    }

    pub(super) fn say(&mut self, call: CallReport) {
        (self.runner.emit)(RunEvent::CallFinished { step: self.at.index, call });
    }
}

/// The event of an outcome.
pub(super) fn event_of(kind: EventKind, outcome: &Outcome, at: Timestamp, run_id: &str) -> Event {
    let mut event = Event::new(kind, at, run_id);
    match outcome {
        Outcome::Reply(reply) => {
            event.errcode = Some(reply.errcode);
            event.note = Some(reply.errmsg.clone()).filter(|words| !words.is_empty());
            event.msg_id = reply.msg_id();
            event.msg_data_id = reply.msg_data_id();
            event.result = reply.msg_status().map(str::to_owned);
        }
        Outcome::NotSent(why) | Outcome::Unknown(why) | Outcome::Withdrawn(why) => event.note = Some(noted(why)),
        Outcome::NoToken(error) => event.note = Some(noted(&error.words())),
        Outcome::Withheld => event.note = Some(noted(&policy::withheld())),
    }
    event
}

/// Words of ours as the ledger keeps them: in English, whoever runs it.
pub(super) fn noted(words: &Phrase) -> String {
    words.in_language(Language::En)
}

/// A length of time as a plan writes it.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{}ms", duration.as_millis()).replace("000ms", "s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

pub(super) fn outcome_of(status: Status) -> CallOutcome {
    match status {
        Status::Accepted => CallOutcome::Accepted,
        Status::Refused => CallOutcome::Refused,
        Status::NotSent | Status::Planned | Status::GivenUp => CallOutcome::NotSent,
        Status::InFlight { .. } | Status::Unknown => CallOutcome::Unknown,
    }
}
