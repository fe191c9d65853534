//! The calls of a step: intent, call, outcome, and again if the outcome asks for it.

use super::*;
use crate::{
    ledger::next_status,
    run::policy::{Next, Resend},
    wechat::transport::{Body, Method},
};

/// Calls that are frozen with the first attempt among them.
pub(super) struct Unfrozen<'a> {
    freeze: Freeze,
    calls: &'a [FrozenCall],
}

/// How a call ended.
enum CallEnd {
    /// WeChat has it: the facts.
    Accepted(Box<Event>),
    /// It has not.
    Failed(StepEnd),
}

impl Runner<'_, '_> {
    pub(super) fn calls(&mut self, index: usize, step: &RenderedStep, calls: Vec<TodoCall>, freeze: Freeze) -> StepEnd {
        if step.spec.effect != Effect::Mass
            && let Err(error) = self.ledger.sync()
        {
            return self.store_failed(&error);
        }
        let new = calls.iter().filter(|call| freeze != Freeze::Nothing && call.record.is_none());
        let new: Vec<FrozenCall> = new.map(|call| call.frozen.clone()).collect();
        let mut unfrozen = Unfrozen { freeze, calls: &new };
        let mut facts: Vec<Event> = Vec::new();
        let deadline = step.poll.map(|poll| {
            self.clock
                .now()
                .saturating_add(SignedDuration::try_from(poll.timeout).unwrap_or(SignedDuration::MAX))
                .unwrap_or(jiff::Timestamp::MAX)
        });
        for call in &calls {
            if let Some(record) = call.record.as_ref().filter(|record| record.status == Status::Accepted) {
                self.remember_given(call, record.acceptance());
                facts.extend(record.acceptance().cloned());
                continue;
            }
            if !facts.is_empty() && (self.settings.interrupted)() {
                self.stopped = Some("the run was interrupted".into());
                let outputs = outputs(step, facts.iter());
                let done = facts.len();
                return StepEnd {
                    outputs,
                    stop: true,
                    ..StepEnd::problem(
                        StepOutcome::NotRun,
                        format!("interrupted after {done} of {} calls; the next run goes on", calls.len()),
                        vec![],
                    )
                };
            }
            match self.uploaded(index, call, &mut unfrozen) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    facts.push(event);
                    continue;
                }
                Err(error) => return self.store_failed(&error),
            }
            let end = match deadline {
                Some(deadline) => self.poll(index, step, call, deadline, &mut unfrozen),
                None => self.attempts(index, step, call, &mut unfrozen),
            };
            match end {
                CallEnd::Accepted(event) => {
                    self.remember_given(call, Some(&event));
                    facts.push(*event);
                }
                CallEnd::Failed(end) => return StepEnd { outputs: outputs(step, facts.iter()), ..end },
            }
        }
        StepEnd { outputs: outputs(step, facts.iter()), ..StepEnd::new(StepOutcome::Succeeded) }
    }

    /// Makes a call until it is settled, or may not be repeated any more.
    fn attempts(&mut self, index: usize, step: &RenderedStep, call: &TodoCall, unfrozen: &mut Unfrozen<'_>) -> CallEnd {
        let effect = step.spec.effect;
        let mass = effect == Effect::Mass;
        let mut status = call.record.as_ref().map_or(Status::Planned, |record| record.status);
        let mut first = call.record.as_ref().and_then(CallRecord::first_attempt).filter(|_| status.in_doubt());
        let mut last = call.record.as_ref().and_then(CallRecord::last_attempt);
        let mut sent_body =
            call.record.as_ref().filter(|_| status.in_doubt()).and_then(CallRecord::sent_body).map(str::to_owned);
        let mut outcome: Option<Outcome> = None;
        let mut attempts = 0;
        loop {
            if attempts >= step.retry.attempts {
                return self.give_up(
                    index,
                    step,
                    call,
                    attempts,
                    status,
                    outcome.as_ref(),
                    format!("no clear answer after {attempts} attempts"),
                );
            }
            if mass && status.in_doubt() {
                let (first, last) =
                    (first.unwrap_or_else(|| self.clock.now()), last.unwrap_or_else(|| self.clock.now()));
                match policy::resend(self.clock.now(), first, last, self.resend_after(step), step.timeout) {
                    Resend::Never(why) => {
                        return self.give_up(index, step, call, attempts, status, outcome.as_ref(), why);
                    }
                    Resend::After(pause) => {
                        if !self.wait(index, pause, "before the same send is repeated with the same clientmsgid") {
                            return self.interrupted(index, step, call, attempts, status, outcome.as_ref());
                        }
                    }
                }
            } else if attempts > 0 {
                let mut pause = policy::backoff(&step.retry, attempts + 1);
                if self.settings.real && outcome.as_ref().is_some_and(policy::is_rate_limit) {
                    pause = pause.max(Duration::from_secs(60));
                }
                if !self.wait(index, pause, "before another attempt") {
                    return self.interrupted(index, step, call, attempts, status, outcome.as_ref());
                }
            }
            if mass {
                match self.pace(index) {
                    Ok(true) => {}
                    Ok(false) => return self.interrupted(index, step, call, attempts, status, outcome.as_ref()),
                    Err(error) => return self.store_failed_in(step, call, status, &error),
                }
            }
            let body = match &sent_body {
                Some(body) => body.clone(),
                None => match payload_of(&call.frozen).fill(&|name| self.slots.get(name).cloned()) {
                    Ok(body) => body,
                    Err(missing) => {
                        return CallEnd::Failed(StepEnd::problem(
                            StepOutcome::Failed,
                            missing.to_string(),
                            vec!["WeChat did not say it, or the step that gives it was settled without it".into()],
                        ));
                    }
                },
            };
            // A token first: what is noted as attempted is then really attempted.
            if let Err(error) = self.client.ready() {
                return self.no_token(index, step, call, attempts, status, Outcome::NoToken(error));
            }
            // Somebody may have asked to stop while the token was fetched: what has not begun does not begin.
            if (self.settings.interrupted)() {
                return self.interrupted(index, step, call, attempts, status, outcome.as_ref());
            }
            let now = self.clock.now();
            if let (true, Some(first), Some(last)) = (mass && status.in_doubt(), first, last)
                && let Resend::Never(why) = policy::resend(now, first, last, self.resend_after(step), step.timeout)
            {
                // The waits took longer than they were to take: a machine that slept, a token that was long in coming.
                return self.give_up(index, step, call, attempts, status, outcome.as_ref(), why);
            }
            let mut intent = Event::new(Kind::Attempted, now, &self.settings.run_id);
            intent.body = Some(body.clone());
            if let Err(error) = self.record_intent(call, &intent, unfrozen) {
                return self.store_failed_in(step, call, status, &error);
            }
            status = next_status(status, Kind::Attempted).unwrap_or(Status::InFlight { doubt: true });
            attempts += 1;
            self.recent.iter_mut().filter(|_| mass).for_each(|recent| recent.push_back(now));
            first = first.or(Some(now));
            last = Some(now);
            sent_body = mass.then(|| body.clone());
            let answer = match call.media.as_ref().and_then(|media| media.upload.as_ref()) {
                Some(upload) => self.client.call(Method::Post, upload.target.path(), Body::File(upload), step.timeout),
                None => self.client.call(Method::Post, &call.frozen.path, Body::Json(&body), step.timeout),
            };
            let doubt = status == Status::InFlight { doubt: true };
            let mut lost: Option<Problem> = None;
            let (mut kind, mut next) = policy::judge(effect, &answer);
            let mut event = event(kind, &answer, self.clock, &self.settings.run_id);
            if let (Some(media), Next::Done) = (&call.media, &next)
                && let Err(problem) = self.take(media, &answer, &mut event)
            {
                // It was carried out, and is not what was asked for: the next run does it again.
                (kind, next) = (Kind::Refused, Next::Fail { stop: false });
                (event.kind, event.note) = (kind, Some(problem.message.clone()));
                lost = Some(problem);
            }
            let recorded = self.ledger.append(&self.settings.scope, &call.frozen.id, &event);
            status = next_status(status, kind).unwrap_or(Status::Unknown);
            if next == Next::Done {
                self.ended.sent |= mass;
                let became = if kind == Kind::Adopted { CallOutcome::Adopted } else { CallOutcome::Accepted };
                self.finish(index, call_report(&call.frozen.path, &call.frozen, attempts, became, Some(&answer)));
                if effect == Effect::Media && doubt && call.media.as_ref().is_some_and(|media| media.gives.is_some()) {
                    let what = "an earlier attempt got no clear answer, and may have left one too many in the library";
                    (self.emit)(RunEvent::Note { text: format!("`{}`: {what}", step.name()) });
                }
            }
            if let Err(error) = recorded {
                if next != Next::Done {
                    self.finish(
                        index,
                        call_report(&call.frozen.path, &call.frozen, attempts, outcome_of(status), Some(&answer)),
                    );
                }
                return self.store_failed_in(step, call, status, &error);
            }
            if !status.in_doubt() {
                // What is settled may be planned anew: another attempt is the first again.
                (first, sent_body) = (None, None);
            }
            match next {
                Next::Done => return CallEnd::Accepted(Box::new(event)),
                Next::Again | Next::Doubt => outcome = Some(answer),
                Next::Fail { stop } => {
                    let Some(problem) = lost else {
                        return self.refused(index, step, call, attempts, status, &answer, stop);
                    };
                    let report =
                        call_report(&call.frozen.path, &call.frozen, attempts, CallOutcome::Refused, Some(&answer));
                    self.finish(index, CallReport { errmsg: Some(problem.message.clone()), ..report });
                    return CallEnd::Failed(StepEnd { error: Some(problem), ..StepEnd::new(StepOutcome::Failed) });
                }
            }
        }
    }

    /// The store failed in a call. That a send is in doubt is worse, and is said first.
    fn store_failed_in(
        &mut self,
        step: &RenderedStep,
        call: &TodoCall,
        status: Status,
        error: &LedgerError,
    ) -> CallEnd {
        let end = self.store_failed(error);
        if !(status.in_doubt() && step.spec.effect == Effect::Mass) {
            return CallEnd::Failed(end);
        }
        CallEnd::Failed(StepEnd { stop: true, ..self.unknown(step, call, &chain(error)) })
    }

    fn resend_after(&self, step: &RenderedStep) -> Duration {
        let asked = step.retry.resend_after;
        if self.settings.real { asked.max(limits::RESEND_AFTER_MIN) } else { asked }
    }

    pub(super) fn record_intent(
        &mut self,
        call: &TodoCall,
        intent: &Event,
        unfrozen: &mut Unfrozen<'_>,
    ) -> Result<(), LedgerError> {
        let (ledger, scope, id) = (&mut *self.ledger, &self.settings.scope, &call.frozen.id);
        if call.record.is_some() || unfrozen.calls.is_empty() {
            return ledger.append(scope, id, intent);
        }
        let calls = std::mem::take(&mut unfrozen.calls);
        match unfrozen.freeze {
            Freeze::All => ledger.freeze(scope, calls, id, intent),
            Freeze::New | Freeze::Nothing => ledger.extend(scope, calls, id, intent),
        }
    }

    pub(super) fn finish(&mut self, step: usize, call: CallReport) {
        (self.emit)(RunEvent::CallFinished { step, call });
    }

    /// WeChat said no. If an earlier attempt is in doubt, that settles nothing.
    fn refused(
        &mut self,
        index: usize,
        step: &RenderedStep,
        call: &TodoCall,
        attempts: u32,
        status: Status,
        answer: &Outcome,
        stop: bool,
    ) -> CallEnd {
        self.finish(index, call_report(&call.frozen.path, &call.frozen, attempts, outcome_of(status), Some(answer)));
        let (message, mut help, errcode) = policy::advice(answer);
        if status.in_doubt() && step.spec.effect == Effect::Mass {
            return CallEnd::Failed(StepEnd { stop: true, ..self.unknown(step, call, &message) });
        }
        if status.in_doubt() && step.spec.effect == Effect::Delete {
            help.push(
                "an earlier attempt got no clear answer, and may have deleted it: see `qunfa status --refresh`".into(),
            );
        }
        CallEnd::Failed(StepEnd {
            outcome: StepOutcome::Failed,
            outputs: BTreeMap::new(),
            error: Some(Problem { message, help, errcode }),
            stop,
        })
    }

    fn no_token(
        &mut self,
        index: usize,
        step: &RenderedStep,
        call: &TodoCall,
        attempts: u32,
        status: Status,
        answer: Outcome,
    ) -> CallEnd {
        if (self.settings.interrupted)() {
            return self.interrupted(index, step, call, attempts, status, Some(&answer));
        }
        self.refused(
            index,
            step,
            call,
            attempts,
            if status == Status::Planned { Status::NotSent } else { status },
            &answer,
            true,
        )
    }

    /// No more attempts.
    fn give_up(
        &mut self,
        index: usize,
        step: &RenderedStep,
        call: &TodoCall,
        attempts: u32,
        status: Status,
        last: Option<&Outcome>,
        why: String,
    ) -> CallEnd {
        self.finish(index, call_report(&call.frozen.path, &call.frozen, attempts, outcome_of(status), last));
        if status.in_doubt() && step.spec.effect == Effect::Mass {
            return CallEnd::Failed(self.unknown(step, call, &why));
        }
        let (message, help, errcode) = last.map_or((why, Vec::new(), None), policy::advice);
        let times = if attempts == 1 { "one attempt".to_owned() } else { format!("{attempts} attempts") };
        let error = Some(Problem { message: format!("{message} (given up after {times})"), help, errcode });
        CallEnd::Failed(StepEnd { error, ..StepEnd::new(StepOutcome::Failed) })
    }

    fn unknown(&self, step: &RenderedStep, call: &TodoCall, why: &str) -> StepEnd {
        let plan = &self.plan.path;
        let help = vec![
            format!(
                "look at the console (群发记录), or run it again within 24 hours: the same send is then repeated with the same clientmsgid {}",
                call.frozen.idempotency_key
            ),
            format!("if you know what happened: qunfa resolve {plan} {} --sent MSG_ID, or --not-sent", step.name()),
        ];
        StepEnd::problem(
            StepOutcome::Unknown,
            format!("whether call {} was sent is not known: {why}", call.frozen.id.chunk),
            help,
        )
    }

    fn interrupted(
        &mut self,
        index: usize,
        step: &RenderedStep,
        call: &TodoCall,
        attempts: u32,
        status: Status,
        last: Option<&Outcome>,
    ) -> CallEnd {
        self.stopped.get_or_insert_with(|| "the run was interrupted".into());
        if attempts > 0 {
            self.finish(index, call_report(&call.frozen.path, &call.frozen, attempts, outcome_of(status), last));
        }
        if status.in_doubt() && step.spec.effect == Effect::Mass {
            return CallEnd::Failed(StepEnd {
                stop: true,
                ..self.unknown(step, call, "the run was interrupted before it could be repeated")
            });
        }
        CallEnd::Failed(StepEnd {
            stop: true,
            ..StepEnd::problem(StepOutcome::NotRun, "interrupted; the next run goes on here", Vec::new())
        })
    }

    /// Asks for a status until it is the one that is waited for. Reads are simply repeated.
    fn poll(
        &mut self,
        index: usize,
        step: &RenderedStep,
        call: &TodoCall,
        deadline: jiff::Timestamp,
        unfrozen: &mut Unfrozen<'_>,
    ) -> CallEnd {
        let Some(poll) = step.poll else { return CallEnd::Failed(StepEnd::new(StepOutcome::Failed)) };
        let body = match payload_of(&call.frozen).fill(&|name| self.slots.get(name).cloned()) {
            Ok(body) => body,
            Err(missing) => {
                let help =
                    vec!["WeChat did not say the msg_id (45065 without one), or the send was settled by hand".into()];
                return CallEnd::Failed(StepEnd::problem(StepOutcome::Failed, missing.to_string(), help));
            }
        };
        let (mut polls, mut failures) = (0, 0);
        loop {
            if (self.settings.interrupted)() {
                return self.interrupted(index, step, call, polls, Status::NotSent, None);
            }
            let answer = self.client.call(Method::Post, &call.frozen.path, Body::Json(&body), step.timeout);
            polls += 1;
            let (kind, next) = policy::judge(Effect::Read, &answer);
            let seen = match &answer {
                Outcome::Reply(reply) => reply.msg_status().map(str::to_owned),
                _ => None,
            };
            let pause = match (&next, seen.as_deref()) {
                (Next::Done, Some(status)) if status == poll.until => {
                    let facts = event(Kind::Accepted, &answer, self.clock, &self.settings.run_id);
                    self.finish(
                        index,
                        call_report(&call.frozen.path, &call.frozen, polls, CallOutcome::Accepted, Some(&answer)),
                    );
                    let mut intent = Event::new(Kind::Attempted, self.clock.now(), &self.settings.run_id);
                    intent.body = Some(body);
                    let recorded = self
                        .record_intent(call, &intent, unfrozen)
                        .and_then(|()| self.ledger.append(&self.settings.scope, &call.frozen.id, &facts));
                    return match recorded {
                        Ok(()) => CallEnd::Accepted(Box::new(facts)),
                        Err(error) => CallEnd::Failed(self.store_failed(&error)),
                    };
                }
                (Next::Done, Some(status @ ("SEND_FAIL" | "DELETE"))) => {
                    self.finish(
                        index,
                        call_report(&call.frozen.path, &call.frozen, polls, CallOutcome::Accepted, Some(&answer)),
                    );
                    let help = if status == "DELETE" {
                        "it was deleted, or all recipients were filtered out (four messages a month, blocked)"
                    } else {
                        "the console (群发记录) and the event MASSSENDJOBFINISH say why"
                    };
                    return CallEnd::Failed(StepEnd::problem(
                        StepOutcome::Failed,
                        format!("the status is {status}, and {} was waited for", poll.until),
                        vec![help.into()],
                    ));
                }
                (Next::Done, _) => {
                    failures = 0;
                    poll.every
                }
                (Next::Fail { stop }, _) => {
                    return self.refused(
                        index,
                        step,
                        call,
                        polls,
                        next_status(Status::InFlight { doubt: false }, kind).unwrap_or(Status::Refused),
                        &answer,
                        *stop,
                    );
                }
                (Next::Again | Next::Doubt, _) => {
                    failures += 1;
                    if failures >= step.retry.attempts {
                        return self.give_up(
                            index,
                            step,
                            call,
                            polls,
                            Status::NotSent,
                            Some(&answer),
                            "no answer".into(),
                        );
                    }
                    policy::backoff(&step.retry, failures + 1)
                }
            };
            let now = self.clock.now();
            let left = deadline.duration_since(now);
            if left <= SignedDuration::ZERO {
                self.finish(
                    index,
                    call_report(&call.frozen.path, &call.frozen, polls, CallOutcome::Accepted, Some(&answer)),
                );
                let message = format!(
                    "the status is {} after {}, and {} was waited for",
                    seen.as_deref().unwrap_or("not known"),
                    words(poll.timeout),
                    poll.until
                );
                return CallEnd::Failed(StepEnd::problem(
                    StepOutcome::Failed,
                    message,
                    vec!["WeChat may still be sending: run it again, or raise `timeout`".into()],
                ));
            }
            let pause = pause.min(left.unsigned_abs());
            if !self.wait(
                index,
                pause,
                &format!("for {}, which is {} now", poll.until, seen.as_deref().unwrap_or("not known")),
            ) {
                return self.interrupted(index, step, call, polls, Status::NotSent, None);
            }
        }
    }
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
        Status::NotSent | Status::Planned => CallOutcome::NotSent,
        Status::InFlight { .. } | Status::Unknown => CallOutcome::Unknown,
    }
}
