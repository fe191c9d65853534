//! What is written, in whose name, and held against what is there.
//!
//! Every statement that adds an event holds the epoch of the account (`FOR SHARE`): whoever takes the account counts it up, and
//! waits until an event that is being written is there, or makes it impossible.

use tokio_postgres::{error::SqlState, types::ToSql};

use super::{fault::Fault, link::Link, reads::worded};
use crate::{
    ledger::{CallId, Event, EventKind, FrozenCall, Observation, Scope, Status, next_status, rows, sql},
    locale::say,
    payload,
};

/// In whose name is written: the AppID, and the count of its writers. None for who got past the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) appid: String,
    pub(super) epoch: i64,
}

/// Where a call stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) call: i64,
    chunk: u32,
    pub(super) status: Status,
    /// Number of its last event.
    pub(super) last: i64,
    /// Of its body with the slots unfilled.
    digest: String,
}

/// What became of an event that was to be written.
#[derive(Debug)]
pub(super) enum Written {
    Done(Standing),
    /// Something else happened to the call meanwhile: nothing was written.
    Changed,
}

/// Where the calls of a step stand, or one of them, in the order in which they were frozen.
pub(super) fn standing(link: &Link, scope: &Scope, id: &CallId, one: bool) -> Result<Vec<Standing>, Fault> {
    let Scope { platform, appid, plan, occurrence } = scope;
    let (key, chunk) = (id.key.as_deref().unwrap_or(""), one.then_some(i64::from(id.chunk)));
    let found = link.query(
        "SELECT c.id, c.chunk, c.digest, e.number, e.kind FROM live_calls c LEFT JOIN events e ON e.call = c.id
         WHERE platform = $1 AND appid = $2 AND plan = $3 AND occurrence = $4 AND step = $5 AND key = $6
         AND ($7::bigint IS NULL OR chunk = $7) ORDER BY c.id, e.number",
        &[&platform.name(), appid, plan, occurrence, &id.step, &key, &chunk],
    )?;
    let mut calls: Vec<Standing> = Vec::new();
    for row in found {
        let call: i64 = row.get(0);
        if calls.last().is_none_or(|last| last.call != call) {
            let chunk = u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX);
            calls.push(Standing { call, chunk, status: Status::Planned, last: 0, digest: row.get(2) });
        }
        let (Some(standing), Some(kind)) = (calls.last_mut(), row.get::<_, Option<&str>>(4)) else { continue };
        standing.status = rows::after(standing.status, kind, &id.step)?;
        standing.last = row.get(3);
    }
    Ok(calls)
}

/// Adds an event to a call that stands as it is said to, in one question.
pub(super) fn append(
    link: &Link,
    name: Option<&Name>,
    standing: &Standing,
    id: &CallId,
    event: &Event,
) -> Result<Written, Fault> {
    let status = next_status(standing.status, event.kind).map_err(|illegal| {
        let CallId { step, chunk, .. } = id;
        Fault::Conflict(say!("call {call} of step `{step}`: {why}", call = *chunk, step, why = illegal.words()))
    })?;
    let hash = event.body.as_ref().map(|body| payload::digest(body.as_bytes()));
    // A body that the server has is not sent to it again: its digest says which it is.
    let body = event.body.as_ref().filter(|_| hash.as_ref() != Some(&standing.digest));
    let (msg_id, msg_data_id) = (event.msg_id.map(|id| id.to_string()), event.msg_data_id.map(|id| id.to_string()));
    let (note, result) = (event.note.as_deref().map(without_nul), event.result.as_deref().map(without_nul));
    // A power cut may take that WeChat accepted a call, and nothing else: the next write is of the same log.
    let synced = if matches!(event.kind, EventKind::Accepted | EventKind::Adopted) { "off" } else { "on" };
    let (appid, epoch) = name.map_or((None, 0), |name| (Some(&name.appid), name.epoch));
    let added = link.query_opt(
        "WITH mine AS MATERIALIZED (SELECT 1 FROM accounts WHERE appid = $1::text AND epoch = $2::bigint FOR SHARE),
         later AS MATERIALIZED (SELECT set_config('synchronous_commit', $3, true)),
         stands AS MATERIALIZED (SELECT coalesce(max(number), 0) AS last FROM events WHERE call = $4::bigint)
         INSERT INTO events (call, number, epoch, kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest)
         SELECT $4, $5::bigint + 1, $2, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM later, stands
         WHERE stands.last = $5::bigint AND ($1::text IS NULL OR EXISTS (SELECT 1 FROM mine)) RETURNING number",
        &[
            &appid,
            &epoch,
            &synced,
            &standing.call,
            &standing.last,
            &event.kind.name(),
            &event.at.as_millisecond(),
            &event.run_id,
            &event.errcode,
            &note,
            &msg_id,
            &msg_data_id,
            &result,
            &body,
            &hash,
        ],
    );
    match added {
        Ok(Some(row)) => Ok(Written::Done(Standing { status, last: row.get(0), ..standing.clone() })),
        Ok(None) => Ok(Written::Changed),
        Err(Fault::Sql(error)) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Written::Changed),
        Err(fault) => Err(fault),
    }
}

/// Freezes one call with its first attempt, in one question: of a step that has none yet, or (`of_step` is false) beside others.
/// None if it is not as simple as that, or the account is another's: then nothing was written.
pub(super) fn first(
    link: &Link,
    name: &Name,
    scope: &Scope,
    call: &FrozenCall,
    attempt: &Event,
    of_step: bool,
) -> Result<Option<Standing>, Fault> {
    let Scope { platform, plan, occurrence, .. } = scope;
    let FrozenCall { id, action, path, idempotency_key, digest, payload, message_digest, .. } = call;
    let status = match next_status(Status::Planned, attempt.kind) {
        Ok(status) if attempt.kind == EventKind::Attempted && scope.appid == name.appid => status,
        _ => return Ok(None),
    };
    let hash = attempt.body.as_ref().map(|body| payload::digest(body.as_bytes()));
    let body = attempt.body.as_ref().filter(|_| hash.as_ref() != Some(digest));
    let made = link.query_opt(
        "WITH mine AS MATERIALIZED (SELECT 1 FROM accounts WHERE appid = $1::text AND epoch = $2::bigint FOR SHARE),
         known AS MATERIALIZED (SELECT 1 FROM live_calls WHERE platform = $3::text AND appid = $1::text AND plan = $4::text
             AND occurrence = $5::text AND step = $6::text AND key = $7::text AND ($9::boolean OR chunk = $8::bigint) LIMIT 1),
         made AS (INSERT INTO calls (platform, appid, plan, occurrence, step, key, chunk, action, path, idempotency_key, digest,
             payload, message_digest, recipients, mass, effect)
             SELECT $3, $1, $4, $5, $6, $7, $8, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text, $16::bigint,
             $17::boolean, $18::text FROM mine WHERE NOT EXISTS (SELECT 1 FROM known) RETURNING id)
         INSERT INTO events (call, number, epoch, kind, at, run_id, body, body_digest)
         SELECT id, 1, $2, 'attempted', $19::bigint, $20::text, $21::text, $22::text FROM made RETURNING call",
        &[
            &name.appid,
            &name.epoch,
            &platform.name(),
            plan,
            occurrence,
            &id.step,
            &id.key.as_deref().unwrap_or(""),
            &i64::from(id.chunk),
            &of_step,
            action,
            path,
            idempotency_key,
            digest,
            payload,
            message_digest,
            &people(call),
            &call.is_mass(),
            &call.effect.name(),
            &attempt.at.as_millisecond(),
            &attempt.run_id,
            &body,
            &hash,
        ],
    );
    let standing = |call| Standing { call, chunk: id.chunk, status, last: 1, digest: digest.clone() };
    match made {
        Ok(row) => Ok(row.map(|row| standing(row.get(0)))),
        Err(Fault::Sql(error)) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether the account is still that of this name; it stays so until the transaction ends.
pub(super) fn holds(link: &Link, name: &Name) -> Result<bool, Fault> {
    let mine = "SELECT 1 FROM accounts WHERE appid = $1 AND epoch = $2 FOR SHARE";
    link.query_opt(mine, &[&name.appid, &name.epoch]).map(|row| row.is_some())
}

/// Freezes the calls of a step in place of what was frozen of it and came to nothing.
pub(super) fn replace(
    link: &Link,
    scope: &Scope,
    kept: &[u32],
    calls: &[FrozenCall],
    first: &CallId,
) -> Result<(), Fault> {
    let known = standing(link, scope, first, false)?;
    let stays = |standing: &&Standing| standing.status.in_doubt() || standing.status == Status::Accepted;
    if let Some(other) = known.iter().find(|call| stays(call) != kept.contains(&call.chunk)) {
        return Err(Fault::Conflict(say!(
            "step `{step}` is {status}",
            step = &first.step,
            status = other.status.words()
        )));
    }
    let staying = known.iter().filter(stays).count();
    if staying != kept.len() || calls.iter().any(|call| kept.contains(&call.id.chunk)) {
        return Err(Fault::Conflict(say!("step `{step}` has different calls", step = &first.step)));
    }
    // What was never attempted, and what is no part of the step any more, is retired. A call whose attempts all provably came
    // to nothing is planned anew, and keeps its key and its history.
    let again = |call: &Standing| calls.iter().any(|new| new.id.chunk == call.chunk);
    let open: Vec<&Standing> = known.iter().filter(|call| !stays(call)).collect();
    let retired: Vec<i64> = open.iter().filter(|call| call.last == 0 || !again(call)).map(|call| call.call).collect();
    if !retired.is_empty() {
        link.execute("UPDATE calls SET retired = true WHERE id = ANY($1)", &[&retired])?;
    }
    for call in calls {
        match open.iter().find(|known| known.chunk == call.id.chunk && known.last > 0) {
            Some(known) => plan_anew(link, known.call, call)?,
            None => insert(link, scope, call)?,
        }
    }
    Ok(())
}

fn plan_anew(link: &Link, id: i64, call: &FrozenCall) -> Result<(), Fault> {
    let FrozenCall { action, path, digest, payload, message_digest, .. } = call;
    link.execute(
        "UPDATE calls SET action = $2, path = $3, digest = $4, payload = $5, message_digest = $6, recipients = $7, mass = $8,
         effect = $9 WHERE id = $1",
        &[&id, action, path, digest, payload, message_digest, &people(call), &call.is_mass(), &call.effect.name()],
    )
    .map(drop)
}

/// A new call; one that is there is a conflict.
pub(super) fn insert(link: &Link, scope: &Scope, call: &FrozenCall) -> Result<(), Fault> {
    let Scope { platform, appid, plan, occurrence } = scope;
    let FrozenCall { id, action, path, idempotency_key, digest, payload, message_digest, .. } = call;
    let rows = link.execute(
        "INSERT INTO calls (platform, appid, plan, occurrence, step, key, chunk, action, path, idempotency_key, digest, payload,
         message_digest, recipients, mass, effect)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (platform, appid, plan, occurrence, step, key, chunk) WHERE NOT retired DO NOTHING",
        &[
            &platform.name(),
            appid,
            plan,
            occurrence,
            &id.step,
            &id.key.as_deref().unwrap_or(""),
            &i64::from(id.chunk),
            action,
            path,
            idempotency_key,
            digest,
            payload,
            message_digest,
            &people(call),
            &call.is_mass(),
            &call.effect.name(),
        ],
    )?;
    if rows == 0 {
        return Err(Fault::Conflict(say!("step `{step}` already has a call {call}", step = &id.step, call = id.chunk)));
    }
    Ok(())
}

/// Keeps what is new of what was observed, and counts it.
pub(super) fn observe(link: &Link, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, Fault> {
    let mut new = 0;
    for Observation { kind, subject, at, body } in seen {
        let body = without_nul(body);
        let digest = payload::digest(body.as_bytes());
        let row: [&(dyn ToSql + Sync); 7] = [&platform, &appid, kind, subject, &at.as_millisecond(), &body, &digest];
        new += usize::try_from(link.execute(&worded(sql::OBSERVE), &row)?).unwrap_or(0);
    }
    Ok(new)
}

fn people(call: &FrozenCall) -> Option<i64> {
    call.recipients.and_then(|count| i64::try_from(count).ok())
}

/// Text of PostgreSQL cannot hold U+0000, and an outcome must be recorded whatever the server said.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}
