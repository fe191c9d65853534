//! Takes a sent message back by hand: one job after the other, each attempt on record before it is made.
//!
//! Deleting twice is deleting once, so what nobody knows the outcome of is asked (`mass/get`) and repeated. Failed attempts
//! may count against the ten of a day, so it is asked first whether the job can be deleted at all.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_deletemassmsg>

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    attempt::{event_of, noted, outcome_of},
    policy::{self, Next},
};
use crate::{
    clock::Clock,
    ledger::{CallRecord, Event, EventKind, Ledger, LedgerError, Scope},
    limits,
    locale::{Phrase, say},
    payload::Effect,
    problem::Problem,
    render::RetryPolicy,
    report::{CallReport, RunEvent},
    retry::Retry,
    wechat::{
        client::{Client, Outcome},
        errcode,
        transport::{Body, Method},
    },
};

/// What tells where a job stands.
const GET: &str = "/cgi-bin/message/mass/get";
/// The job cannot be deleted as it stands: it is still being sent.
const NOT_NOW: i64 = 40065;

/// A job to be deleted.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Its `msg_id`.
    pub(crate) id: u64,
    /// The call that deletes it, with what happened to it before.
    pub(crate) record: CallRecord,
    /// Whether the ledger has the call.
    pub(crate) is_known: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    Deleted,
    /// WeChat had no such message any more, or it reached nobody.
    Gone,
    Failed {
        problem: Problem,
        /// Others would fail for the same reason.
        stop: bool,
    },
    Interrupted,
    Store(LedgerError),
}

/// What jobs are deleted with.
pub(crate) struct TakeBack<'a, 'c> {
    pub(crate) ledger: &'a mut dyn Ledger,
    pub(crate) client: &'a mut Client<'c>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) scope: &'a Scope,
    pub(crate) run_id: &'a str,
    /// True once somebody asked to stop.
    pub(crate) interrupted: &'a dyn Fn() -> bool,
    pub(crate) emit: &'a mut dyn FnMut(RunEvent),
    /// Who does it, and why.
    pub(crate) note: &'a str,
    /// Of one request.
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    /// Until when a job is waited for that is still being sent.
    pub(crate) deadline: Timestamp,
}

impl TakeBack<'_, '_> {
    /// Deletes one job; `step` is the number of its step among those that are shown.
    pub(crate) fn job(&mut self, step: usize, job: &mut Job) -> End {
        let mut tries = self.retry.retry();
        let mut looks = Retry::new(u32::MAX, self.retry.backoff, self.retry.max_backoff.min(limits::DELETE_LOOK));
        let mut made: (u32, Option<Outcome>) = (0, None);
        let end = loop {
            if (self.interrupted)() {
                break End::Interrupted;
            }
            let state = self.state(job.id);
            match state.as_deref() {
                Some("DELETE") => match self.gone(job) {
                    Ok(()) if made.0 > 0 => break End::Deleted,
                    Ok(()) => break End::Gone,
                    Err(error) => break End::Store(error),
                },
                Some("SEND_FAIL") => {
                    let problem =
                        Problem::new(say!("WeChat could not send it (SEND_FAIL), so there is nothing to delete"));
                    break End::Failed { problem, stop: false };
                }
                Some("SENDING") => {}
                _ => match self.attempt(job) {
                    Err(error) => break End::Store(error),
                    Ok((next, outcome)) => {
                        made = (made.0 + 1, Some(outcome));
                        match next {
                            Next::Done => break End::Deleted,
                            Next::Fail { stop } => break failed(&made, stop),
                            // As long as nobody says that it is sent, it may be on its way.
                            Next::Doubt if state.is_none() => {}
                            Next::Again | Next::Doubt => match tries.next() {
                                None => break failed(&made, false),
                                Some(pause) if self.wait(step, pause, say!("before another attempt")) => continue,
                                Some(_) => break End::Interrupted,
                            },
                        }
                    }
                },
            }
            let left = self.deadline.duration_since(self.clock.now());
            if left <= SignedDuration::ZERO {
                break self.too_late();
            }
            let pause = looks.next().unwrap_or(limits::DELETE_LOOK).min(left.unsigned_abs());
            let why = say!("until WeChat has sent it: what is still being sent cannot be deleted (40065)");
            if !self.wait(step, pause, why) {
                break End::Interrupted;
            }
        };
        if made.0 > 0 || matches!(end, End::Gone) {
            (self.emit)(RunEvent::CallFinished { step, call: report(job, made.0, made.1.as_ref()) });
        }
        end
    }

    fn too_late(&self) -> End {
        let problem = Problem::new(say!("it is still being sent, so it could not be deleted in time"))
            .help(say!("run the same command again, or give it longer with --timeout"));
        End::Failed { problem, stop: false }
    }

    fn wait(&mut self, step: usize, duration: Duration, why: Phrase) -> bool {
        (self.emit)(RunEvent::Waiting { step, duration, why });
        self.clock.sleep(duration)
    }

    /// Where the job stands; none if nobody says it.
    fn state(&mut self, job: u64) -> Option<String> {
        let body = json!({ "msg_id": job.to_string() }).to_string();
        match self.client.call(Method::Post, GET, Body::Json(&body), self.timeout) {
            Outcome::Reply(reply) if reply.errcode == 0 => reply.msg_status().map(str::to_owned),
            _ => None,
        }
    }

    /// One attempt: its intent before it, its outcome after it.
    fn attempt(&mut self, job: &mut Job) -> Result<(Next, Outcome), LedgerError> {
        // A token first: what is noted as attempted is then really attempted.
        if let Err(error) = self.client.ready() {
            return Ok((Next::Fail { stop: true }, Outcome::NoToken(error)));
        }
        let body = job.record.frozen.payload.clone();
        self.intend(job)?;
        let outcome = self.client.call(Method::Post, &job.record.frozen.path, Body::Json(&body), self.timeout);
        let (kind, next) = policy::judge(Effect::Delete, false, &outcome);
        let event = event_of(kind, &outcome, self.clock.now(), self.run_id);
        self.note(job, event)?;
        self.ledger.sync()?;
        let not_now = matches!(&outcome, Outcome::Reply(reply) if reply.errcode == NOT_NOW);
        Ok((if not_now { Next::Doubt } else { next }, outcome))
    }

    fn intend(&mut self, job: &mut Job) -> Result<(), LedgerError> {
        let body = job.record.frozen.payload.clone();
        let intent = Event::new(EventKind::Attempted, self.clock.now(), self.run_id);
        self.note(job, Event { body: Some(body), note: Some(self.note.to_owned()), ..intent })
    }

    /// WeChat says that it is deleted: an attempt whose answer was lost did it, another send of the same article, or somebody in
    /// the console.
    fn gone(&mut self, job: &mut Job) -> Result<(), LedgerError> {
        self.intend(job)?;
        let fact = Event::new(EventKind::Accepted, self.clock.now(), self.run_id);
        let note = Some(noted(&say!("WeChat reports it as deleted")));
        self.note(job, Event { note, result: Some("DELETE".to_owned()), ..fact })?;
        self.ledger.sync()
    }

    fn note(&mut self, job: &mut Job, event: Event) -> Result<(), LedgerError> {
        append(&mut *self.ledger, self.scope, (&mut job.record, &mut job.is_known), event)
    }
}

/// Appends an event of what a person does to the ledger and adds it to the record, or neither. The first one brings the call
/// into the ledger, if it is not known there.
pub(super) fn append(
    ledger: &mut dyn Ledger,
    scope: &Scope,
    (record, is_known): (&mut CallRecord, &mut bool),
    event: Event,
) -> Result<(), LedgerError> {
    let id = &record.frozen.id;
    if *is_known {
        ledger.append(scope, id, &event)?;
    } else {
        ledger.extend(scope, std::slice::from_ref(&record.frozen), id, &event)?;
        *is_known = true;
    }
    record.push(event).expect("an attempt is followed by its outcome, and what is done is not done again");
    Ok(())
}

/// Why it was not deleted, by the last answer.
fn failed((attempts, last): &(u32, Option<Outcome>), stop: bool) -> End {
    let problem = last.as_ref().map_or_else(|| Problem::new(say!("no answer")), policy::advice);
    let problem = match last {
        Some(Outcome::Reply(reply)) if reply.errcode == NOT_NOW => {
            problem.help(say!("it may be deleted already: open one of its articles on a phone to see"))
        }
        _ => problem,
    };
    let times = say!("{attempts} attempt" | "{attempts} attempts", attempts = *attempts);
    let message = match attempts {
        0 | 1 => problem.message,
        _ => say!("{message} (gave up after {times})", message = &problem.message, times),
    };
    End::Failed { problem: Problem { message, ..problem }, stop }
}

fn report(job: &Job, attempts: u32, last: Option<&Outcome>) -> CallReport {
    let (reply, why) = match last {
        Some(Outcome::Reply(reply)) => (Some(reply), None),
        Some(Outcome::NotSent(why) | Outcome::Unknown(why) | Outcome::Withdrawn(why)) => (None, Some(why.to_string())),
        Some(Outcome::NoToken(error)) => (None, Some(error.words().to_string())),
        Some(Outcome::Withheld) => (None, Some(policy::withheld().to_string())),
        None => (None, None),
    };
    // What WeChat was asked after a lost answer says more than that answer.
    let seen = job.record.acceptance().is_some_and(|fact| fact.result.is_some());
    let (reply, why) = if seen { (None, Some(say!("WeChat reports it as deleted").to_string())) } else { (reply, why) };
    CallReport {
        chunk: job.record.frozen.id.chunk,
        path: job.record.frozen.path.clone(),
        clientmsgid: None,
        recipients: None,
        attempts,
        outcome: outcome_of(job.record.status),
        errcode: reply.map(|reply| reply.errcode),
        errmsg: reply.map(|reply| reply.errmsg.clone()).filter(|words| !words.is_empty()).or(why),
        rid: reply.and_then(|reply| errcode::rid(&reply.errmsg)).map(str::to_owned),
        msg_id: Some(job.id),
        msg_data_id: None,
    }
}
