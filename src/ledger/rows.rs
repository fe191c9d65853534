//! Rows as every store holds them, and what they mean. A store fetches rows; whether they make sense is decided here, so that
//! no two stores decide it differently.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    AccountRun, CallId, CallRecord, EditionCall, Event, EventKind, FrozenCall, LastRun, Observation, RunRecord, Status,
    Usage, next_status,
};
use crate::{
    locale::{Phrase, say},
    payload::{self, Effect},
    platform::Platform,
};

/// What makes no sense in a row.
#[derive(Debug)]
pub(super) struct Damage(pub(super) Phrase);

/// A row of `calls`, without whose it is.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) id: i64,
    pub(super) step: String,
    /// Empty for none.
    pub(super) key: String,
    pub(super) chunk: i64,
    pub(super) action: String,
    pub(super) path: String,
    pub(super) idempotency_key: String,
    pub(super) digest: String,
    pub(super) payload: String,
    pub(super) message_digest: Option<String>,
    pub(super) recipients: Option<i64>,
    pub(super) mass: bool,
    pub(super) effect: Option<String>,
}

/// A row of `events`, without whose it is.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) kind: String,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) run_id: String,
    pub(super) errcode: Option<i64>,
    pub(super) note: Option<String>,
    /// Numbers of 64 bits without a sign, as text.
    pub(super) msg_id: Option<String>,
    pub(super) msg_data_id: Option<String>,
    pub(super) result: Option<String>,
    /// Left out where its digest is that of the payload.
    pub(super) body: Option<String>,
    pub(super) body_digest: Option<String>,
}

/// A row of `runs`.
#[derive(Debug)]
pub(super) struct RunRow {
    pub(super) run_id: String,
    pub(super) platform: String,
    pub(super) occurrence: String,
    pub(super) path: String,
    pub(super) digest: String,
    pub(super) started_at: i64,
    pub(super) report: Option<String>,
}

/// A call with one of its events, or with none.
#[derive(Debug)]
pub(super) struct StandingRow {
    pub(super) call: i64,
    /// What tells calls apart: the occurrence for other editions, the AppID for other accounts.
    pub(super) of: String,
    pub(super) step: String,
    pub(super) key: String,
    pub(super) chunk: i64,
    pub(super) event: Option<(String, i64)>,
}

impl CallRow {
    pub(super) fn frozen(self) -> Result<FrozenCall, Damage> {
        let Self { step, key, chunk, .. } = self;
        let effect = effect(self.effect.as_deref(), self.mass, &step)?;
        let recipients = self.recipients.map(|count| people(count, &step)).transpose()?;
        let number = chunk_number(chunk, &step)?;
        if payload::digest(self.payload.as_bytes()) != self.digest {
            return Err(Damage(say!(
                "the hash of call {call} of step `{step}` does not match",
                call = number,
                step = &step
            )));
        }
        Ok(FrozenCall {
            id: CallId { step, key: Some(key).filter(|key| !key.is_empty()), chunk: number },
            action: self.action,
            path: self.path,
            idempotency_key: self.idempotency_key,
            digest: self.digest,
            payload: self.payload,
            message_digest: self.message_digest,
            recipients,
            effect,
        })
    }
}

impl EventRow {
    /// `frozen` is the call that it happened to.
    pub(super) fn event(self, frozen: &FrozenCall) -> Result<Event, Damage> {
        let step = &frozen.id.step;
        let kind = kind(&self.kind, step)?;
        let number = |text: Option<String>| {
            let number = text.as_deref().map(str::parse).transpose();
            number.map_err(|_| Damage(say!("step `{step}` has an id that is not a number", step)))
        };
        let mut body = self.body;
        if body.is_none() && self.body_digest.as_ref() == Some(&frozen.digest) {
            body = Some(frozen.payload.clone());
        } else if let (Some(body), Some(hash)) = (&body, &self.body_digest)
            && payload::digest(body.as_bytes()) != *hash
        {
            // Format 1 of SQLite had no hashes.
            return Err(Damage(say!("the hash of the sent body of step `{step}` does not match", step)));
        }
        Ok(Event {
            kind,
            at: time(self.at, step)?,
            run_id: self.run_id,
            errcode: self.errcode,
            note: self.note,
            msg_id: number(self.msg_id)?,
            msg_data_id: number(self.msg_data_id)?,
            result: self.result,
            body,
        })
    }
}

impl RunRow {
    pub(super) fn run(self) -> Result<RunRecord, Damage> {
        let Self { run_id, occurrence, path, digest, report, .. } = self;
        let platform = Platform::from_name(&self.platform);
        let platform = platform.ok_or_else(|| Damage(say!("a run has an unknown platform")))?;
        let started_at = start(self.started_at)?;
        Ok(RunRecord { run_id, platform, occurrence, path, digest, started_at, report })
    }
}

/// A call and what happened to it. What WeChat has is not sent again: a million people need not be in memory twice. What was
/// put into its slots is kept, for it says which draft was sent.
pub(super) fn record(frozen: FrozenCall, mut events: Vec<Event>) -> Result<CallRecord, Damage> {
    let last = events.last().map(|event| event.kind);
    if frozen.is_mass() && matches!(last, Some(EventKind::Accepted | EventKind::Adopted)) {
        let twice = |event: &&mut Event| event.body.as_ref() == Some(&frozen.payload);
        events.iter_mut().filter(twice).for_each(|event| event.body = None);
    }
    whole(frozen, events)
}

/// A call and what happened to it, with every body.
pub(super) fn whole(frozen: FrozenCall, events: Vec<Event>) -> Result<CallRecord, Damage> {
    let step = frozen.id.step.clone();
    CallRecord::new(frozen, events).map_err(|illegal| Damage(say!("step `{step}`: {why}", step, why = illegal.words())))
}

/// A call that counts against a quota, of its columns step, effect, mass, payload, and when it was taken.
pub(super) fn usage(
    step: &str,
    effect_name: Option<&str>,
    mass: bool,
    payload: String,
    at: i64,
) -> Result<Usage, Damage> {
    Ok(Usage { effect: effect(effect_name, mass, step)?, payload, at: time(at, step)? })
}

/// The calls of other editions: the rows of a call stand together, its events in order.
pub(super) fn editions(rows: impl Iterator<Item = StandingRow>) -> Result<Vec<EditionCall>, Damage> {
    let mut calls: Vec<(i64, EditionCall)> = Vec::new();
    for row in rows {
        let StandingRow { call, of, step, key, chunk, event } = row;
        if calls.last().is_none_or(|(last, _)| *last != call) {
            let chunk = chunk_number(chunk, &step)?;
            let id = CallId { step, key: Some(key).filter(|key| !key.is_empty()), chunk };
            calls.push((call, EditionCall { occurrence: of, id, status: Status::Planned, at: None }));
        }
        let (Some((_, call)), Some((kind, at))) = (calls.last_mut(), event) else { continue };
        call.status = after(call.status, &kind, &call.id.step)?;
        call.at = call.at.max(Some(time(at, &call.id.step)?));
    }
    Ok(calls.into_iter().map(|(_, call)| call).collect())
}

/// Accounts by their AppIDs.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<String, AccountRun>);

impl Accounts {
    /// A run of an account; of several the last one told counts.
    pub(super) fn ran(&mut self, appid: String, started_at: i64, run: LastRun) -> Result<(), Damage> {
        self.account(appid).run = Some(LastRun { started_at: start(started_at)?, ..run });
        Ok(())
    }

    /// Where the calls of all accounts stand: the rows of a call stand together, its events in order.
    pub(super) fn count(mut self, rows: impl Iterator<Item = StandingRow>) -> Result<Vec<AccountRun>, Damage> {
        let mut last: Option<(i64, String, Status)> = None;
        for StandingRow { call, of, step, event, .. } in rows {
            if last.as_ref().is_none_or(|(last, ..)| *last != call) {
                let done = last.replace((call, of, Status::Planned));
                done.into_iter().for_each(|(_, appid, status)| self.account(appid).count(status));
            }
            let (Some((_, _, status)), Some((kind, _))) = (&mut last, event) else { continue };
            *status = after(*status, &kind, &step)?;
        }
        last.into_iter().for_each(|(_, appid, status)| self.account(appid).count(status));
        Ok(self.0.into_values().collect())
    }

    fn account(&mut self, appid: String) -> &mut AccountRun {
        self.0.entry(appid.clone()).or_insert_with(|| AccountRun::new(appid))
    }
}

/// Where a call stands after an event of this name.
pub(super) fn after(status: Status, event: &str, step: &str) -> Result<Status, Damage> {
    next_status(status, kind(event, step)?)
        .map_err(|illegal| Damage(say!("step `{step}`: {why}", step, why = illegal.words())))
}

/// The number of people of a row.
pub(super) fn people(count: i64, step: &str) -> Result<u64, Damage> {
    u64::try_from(count)
        .map_err(|_| Damage(say!("step `{step}` has an invalid number of recipients: {count}", step, count)))
}

/// The time of an event.
pub(super) fn time(milliseconds: i64, step: &str) -> Result<Timestamp, Damage> {
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| Damage(say!("step `{step}` has an event without a valid time", step)))
}

fn start(milliseconds: i64) -> Result<Timestamp, Damage> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| Damage(say!("a run has no valid start time")))
}

fn kind(name: &str, step: &str) -> Result<EventKind, Damage> {
    EventKind::from_name(name)
        .ok_or_else(|| Damage(say!("step `{step}` has an unknown event `{kind}`", step, kind = name)))
}

fn chunk_number(chunk: i64, step: &str) -> Result<u32, Damage> {
    u32::try_from(chunk).map_err(|_| Damage(say!("step `{step}` has an id that is not a number", step)))
}

/// An effect by its name; `mass` says it a second time, for the indexes.
fn effect(name: Option<&str>, mass: bool, step: &str) -> Result<Effect, Damage> {
    let known = name.and_then(Effect::from_name);
    known.filter(|effect| (*effect == Effect::Mass) == mass).ok_or_else(|| {
        let name = name.unwrap_or("none");
        Damage(say!("step `{step}` has an unknown effect `{name}`", step, name))
    })
}

/// A row of `observations`: kind, subject, time in milliseconds, body.
pub(super) fn observation(kind: String, subject: String, at: i64, body: String) -> Result<Observation, Damage> {
    let at = Timestamp::from_millisecond(at)
        .map_err(|_| Damage(say!("`{kind}` of {subject} has an invalid time", kind = &kind, subject = &subject)))?;
    Ok(Observation { kind, subject, at, body })
}
