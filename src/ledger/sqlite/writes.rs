//! Rows of a ledger in SQLite that are written, each held against what is there.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::fault::Fault;
use crate::{
    ledger::{CallId, Event, FrozenCall, Observation, Scope, Status, name::is_address, next_status, rows, sql},
    locale::say,
    payload,
};

/// A new row; a call that is there is a conflict, or is planned anew, and keeps its key.
pub(super) fn insert_call(
    transaction: &Transaction<'_>,
    scope: &Scope,
    call: &FrozenCall,
    anew: bool,
) -> Result<(), Fault> {
    let or_else = if anew {
        "ON CONFLICT DO UPDATE SET action = ?8, path = ?9, digest = ?11, payload = ?12, message_digest = ?13, recipients = ?14,
         mass = ?15, effect = ?16"
    } else {
        "ON CONFLICT DO NOTHING"
    };
    let FrozenCall { id, action, path, idempotency_key, digest, payload, message_digest, .. } = call;
    let rows = transaction
        .prepare_cached(&format!(
            "INSERT INTO calls (platform, appid, plan, occurrence, step, key, chunk, action, path, idempotency_key, digest,
             payload, message_digest, recipients, mass, effect)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) {or_else}"
        ))?
        .execute(params![
            scope.platform,
            scope.appid,
            scope.plan,
            scope.occurrence,
            id.step,
            id.key.as_deref().unwrap_or(""),
            id.chunk,
            action,
            path,
            idempotency_key,
            digest,
            payload,
            message_digest,
            call.recipients.and_then(|count| i64::try_from(count).ok()),
            call.is_mass(),
            call.effect.name(),
        ])?;
    if rows == 0 {
        return Err(Fault::Conflict(say!("step `{step}` already has a call {call}", step = &id.step, call = id.chunk)));
    }
    Ok(())
}

/// Where the calls of a step stand, or one of them: row, status, number of the last event.
fn standing(
    transaction: &Transaction<'_>,
    scope: &Scope,
    id: &CallId,
    chunk: Option<u32>,
) -> Result<Vec<(i64, Status, i64)>, Fault> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT c.id, e.number, e.kind FROM calls c LEFT JOIN events e ON e.call = c.id
         WHERE {OF_STEP}{} ORDER BY c.id, e.number",
        if chunk.is_some() { " AND chunk = ?7" } else { "" }
    ))?;
    let key = id.key.as_deref().unwrap_or("");
    let mut rows = match chunk {
        None => statement.query(params![scope.platform, scope.appid, scope.plan, scope.occurrence, id.step, key])?,
        Some(chunk) => {
            statement.query(params![scope.platform, scope.appid, scope.plan, scope.occurrence, id.step, key, chunk])?
        }
    };
    let mut calls: Vec<(i64, Status, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let call = row.get(0)?;
        if calls.last().is_none_or(|(last, ..)| *last != call) {
            calls.push((call, Status::Planned, 0));
        }
        let (Some((_, status, last)), Some(name)) = (calls.last_mut(), row.get::<_, Option<String>>(2)?) else {
            continue;
        };
        *status = rows::after(*status, &name, &id.step)?;
        *last = row.get(1)?;
    }
    Ok(calls)
}

/// The step of a call, in the order of the parameters of [`standing`].
const OF_STEP: &str = "platform = ?1 AND appid = ?2 AND plan = ?3 AND occurrence = ?4 AND step = ?5 AND key = ?6";

/// Adds an event to a call, if it may follow.
pub(super) fn note(transaction: &Transaction<'_>, scope: &Scope, id: &CallId, event: &Event) -> Result<(), Fault> {
    let CallId { step, chunk, .. } = id;
    let standing = standing(transaction, scope, id, Some(*chunk))?;
    let Some((call, status, last)) = standing.first() else {
        return Err(Fault::Conflict(say!("step `{step}` has no call {call}", step, call = *chunk)));
    };
    next_status(*status, event.kind).map_err(|illegal| {
        Fault::Conflict(say!("call {call} of step `{step}`: {why}", call = *chunk, step, why = illegal.words()))
    })?;
    insert_event(transaction, *call, last + 1, event)
}

/// Adds an event, whatever the call stands.
pub(super) fn insert_event(transaction: &Transaction<'_>, call: i64, number: i64, event: &Event) -> Result<(), Fault> {
    let hash = event.body.as_ref().map(|body| payload::digest(body.as_bytes()));
    transaction
        .prepare_cached(
            "INSERT INTO events (call, number, kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
             CASE WHEN ?12 <> (SELECT digest FROM calls WHERE id = ?1) THEN ?11 END, ?12)",
        )?
        .execute(params![
            call,
            number,
            event.kind.name(),
            event.at.as_millisecond(),
            event.run_id,
            event.errcode,
            event.note,
            event.msg_id.map(|id| id.to_string()),
            event.msg_data_id.map(|id| id.to_string()),
            event.result,
            event.body,
            hash,
        ])?;
    Ok(())
}

/// Freezes the calls of a step in place of what was frozen of it and came to nothing.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    scope: &Scope,
    kept: &[u32],
    calls: &[FrozenCall],
    first: &CallId,
) -> Result<(), Fault> {
    let known = standing(transaction, scope, first, None)?;
    let stays = |status: &Status| status.in_doubt() || *status == Status::Accepted;
    for (id, status, _) in &known {
        let chunk: u32 =
            transaction.prepare_cached("SELECT chunk FROM calls WHERE id = ?1")?.query_one([id], |row| row.get(0))?;
        if stays(status) != kept.contains(&chunk) {
            return Err(Fault::Conflict(say!(
                "step `{step}` is {status}",
                step = &first.step,
                status = status.words()
            )));
        }
    }
    let staying = known.iter().filter(|(_, status, _)| stays(status)).count();
    if staying != kept.len() || calls.iter().any(|call| kept.contains(&call.id.chunk)) {
        return Err(Fault::Conflict(say!("step `{step}` has different calls", step = &first.step)));
    }
    if known.is_empty() {
        // The usual case: nothing was there, and nothing is left over.
        return calls.iter().try_for_each(|call| insert_call(transaction, scope, call, false));
    }
    let key = first.key.as_deref().unwrap_or("");
    // Calls whose attempts all provably came to nothing are planned anew; their history stays with them where the number
    // of the call is still there.
    let never = "NOT EXISTS (SELECT 1 FROM events WHERE call = calls.id)";
    let of_step = params![scope.platform, scope.appid, scope.plan, scope.occurrence, first.step, key];
    transaction.prepare_cached(&format!("DELETE FROM calls WHERE {OF_STEP} AND {never}"))?.execute(of_step)?;
    calls.iter().try_for_each(|call| insert_call(transaction, scope, call, true))?;
    // Fewer calls than before: what is left over was refused or never left, and is no part of the step any more.
    let stay: Vec<u32> = kept.iter().copied().chain(calls.iter().map(|call| call.id.chunk)).collect();
    let stay = serde_json::to_string(&stay).unwrap_or_default();
    let gone = "chunk NOT IN (SELECT value FROM json_each(?7))";
    for left_over in [
        format!("DELETE FROM events WHERE call IN (SELECT id FROM calls WHERE {OF_STEP} AND {gone})"),
        format!("DELETE FROM calls WHERE {OF_STEP} AND {gone}"),
    ] {
        let parameters = params![scope.platform, scope.appid, scope.plan, scope.occurrence, first.step, key, stay];
        transaction.prepare_cached(&left_over)?.execute(parameters)?;
    }
    Ok(())
}

/// Where the ledger is kept from now on.
pub(super) fn note_home(transaction: &Transaction<'_>, home: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM home", [])?;
    transaction.execute("INSERT INTO home VALUES (?1)", [home]).map(drop)
}

/// Keeps what is new of what was observed, and counts it. A ledger that was copied away meanwhile takes nothing.
pub(super) fn observe(
    transaction: &Transaction<'_>,
    platform: &str,
    appid: &str,
    seen: &[Observation],
) -> Result<usize, Fault> {
    let home = transaction.query_row("SELECT path FROM home", [], |row| row.get::<_, String>(0)).optional()?;
    if let Some(to) = home.filter(|home| is_address(home)) {
        return Err(Fault::Conflict(say!("it was copied to {to}, which is used since", to)));
    }
    let mut statement = transaction.prepare_cached(sql::OBSERVE)?;
    let mut new = 0;
    for Observation { kind, subject, at, body } in seen {
        let digest = payload::digest(body.as_bytes());
        new += statement.execute(params![platform, appid, kind, subject, at.as_millisecond(), body, digest])?;
    }
    Ok(new)
}
