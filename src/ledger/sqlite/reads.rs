//! Rows of a ledger in SQLite.

use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension as _, Row, ToSql, params,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::fault::Fault;
use crate::{
    ledger::{
        AccountRun, CallRecord, Edition, EditionCall, Event, EventKind, FrozenCall, LastRun, Observation, RunRecord,
        Scope, Usage,
        rows::{self, CallRow, EventRow, RunRow, StandingRow},
        sql,
    },
    platform::Platform,
};

impl ToSql for Platform {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Platform {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_name(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

pub(super) fn calls(connection: &Connection, scope: &Scope) -> Result<Vec<CallRecord>, Fault> {
    let mut statement = connection.prepare_cached(sql::CALLS)?;
    let mut rows = statement.query(params![scope.platform, scope.appid, scope.plan, scope.occurrence])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let call = call_row(row)?;
        let id = call.id;
        let frozen = call.frozen()?;
        let events = events(connection, id, &frozen)?;
        records.push(rows::record(frozen, events)?);
    }
    Ok(records)
}

pub(super) fn events(connection: &Connection, call: i64, frozen: &FrozenCall) -> Result<Vec<Event>, Fault> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {} FROM events WHERE call = ?1 ORDER BY number", sql::EVENT))?;
    let mut rows = statement.query([call])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event_row(row)?.event(frozen)?);
    }
    Ok(events)
}

pub(super) fn uploaded(
    connection: &Connection,
    platform: &str,
    appid: &str,
    key: &str,
) -> Result<Option<Event>, Fault> {
    let mut statement = connection.prepare_cached(sql::UPLOADED)?;
    let mut rows = statement.query(params![key, platform, appid])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let call = call_row(row)?;
    let id = call.id;
    let events = events(connection, id, &call.frozen()?)?;
    Ok(events.into_iter().rev().find(|event| event.kind == EventKind::Accepted && event.result.is_some()))
}

pub(super) fn mass_attempts(
    connection: &Connection,
    platform: &str,
    appid: &str,
    since: Timestamp,
) -> Result<Vec<Timestamp>, Fault> {
    let mut statement = connection.prepare_cached(sql::MASS_ATTEMPTS)?;
    let mut rows = statement.query(params![since.as_millisecond(), platform, appid])?;
    let mut times = Vec::new();
    while let Some(row) = rows.next()? {
        times.push(rows::time(row.get(0)?, &row.get::<_, String>(1)?)?);
    }
    Ok(times)
}

pub(super) fn usage(
    connection: &Connection,
    platform: &str,
    appid: &str,
    since: Timestamp,
) -> Result<Vec<Usage>, Fault> {
    let mut statement = connection.prepare_cached(sql::USAGE)?;
    let mut rows = statement.query(params![since.as_millisecond(), platform, appid])?;
    let mut used = Vec::new();
    while let Some(row) = rows.next()? {
        let (step, effect): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        used.push(rows::usage(&step, effect.as_deref(), row.get(2)?, row.get(3)?, row.get(4)?)?);
    }
    Ok(used)
}

/// Of an account (platform, AppID) and kind.
pub(super) fn observations(
    connection: &Connection,
    of: [&str; 3],
    subjects: Option<&[String]>,
) -> Result<Vec<Observation>, Fault> {
    let among = "AND (?4 IS NULL OR subject IN (SELECT value FROM json_each(?4)))";
    let mut statement = connection.prepare_cached(&sql::observations(among))?;
    let subjects = subjects.map(|subjects| serde_json::to_string(subjects).unwrap_or_default());
    let mut rows = statement.query(params![of[0], of[1], of[2], subjects])?;
    let mut seen = Vec::new();
    while let Some(row) = rows.next()? {
        seen.push(rows::observation(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)?);
    }
    Ok(seen)
}

pub(super) fn edition_before(
    connection: &Connection,
    scope: &Scope,
    step: &str,
    key: Option<&str>,
) -> Result<Option<Edition>, Fault> {
    let mut statement = connection.prepare_cached(sql::EDITION_BEFORE)?;
    let parameters = params![scope.platform, scope.appid, scope.plan, scope.occurrence, step, key.unwrap_or("")];
    let found = statement.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let edition = |(occurrence, count)| Ok(Edition { occurrence, recipients: rows::people(count, step)? });
    found.map(edition).transpose()
}

pub(super) fn other_editions(connection: &Connection, scope: &Scope) -> Result<Vec<EditionCall>, Fault> {
    let mut statement = connection.prepare_cached(sql::OTHER_EDITIONS)?;
    let parameters = params![scope.platform, scope.appid, scope.plan, scope.occurrence];
    let rows = statement.query_map(parameters, standing_row)?;
    Ok(rows::editions(rows.collect::<Result<Vec<_>, _>>()?.into_iter())?)
}

pub(super) fn with_messages(
    connection: &Connection,
    platform: &str,
    appid: &str,
    digests: &[String],
) -> Result<Vec<(String, Scope)>, Fault> {
    let known = Platform::from_name(platform).ok_or(FromSqlError::InvalidType).map_err(rusqlite::Error::from)?;
    let mut statement = connection.prepare_cached(&sql::with_messages("IN (SELECT value FROM json_each(?1))"))?;
    let digests = serde_json::to_string(digests).unwrap_or_default();
    let scopes = statement.query_map(params![digests, platform, appid], |row| {
        let scope = Scope { platform: known, appid: appid.to_owned(), plan: row.get(1)?, occurrence: row.get(2)? };
        Ok((row.get(0)?, scope))
    })?;
    Ok(scopes.collect::<Result<_, _>>()?)
}

pub(super) fn runs(connection: &Connection, appid: &str, plan: &str) -> Result<Vec<RunRecord>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT run_id, platform, occurrence, path, digest, started_at, report FROM runs
         WHERE appid = ?1 AND plan = ?2 ORDER BY started_at DESC, rowid DESC",
    )?;
    let mut rows = statement.query(params![appid, plan])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(run_row(row)?.run()?);
    }
    Ok(runs)
}

pub(super) fn accounts(
    connection: &Connection,
    platform: &str,
    plan: &str,
    occurrence: &str,
) -> Result<Vec<AccountRun>, Fault> {
    let mut accounts = rows::Accounts::default();
    let mut runs = connection.prepare_cached(
        "SELECT appid, started_at, run_id, path, digest, outcome, exit_code FROM runs
         WHERE platform = ?1 AND plan = ?2 AND occurrence = ?3 ORDER BY started_at, rowid",
    )?;
    let mut rows = runs.query([platform, plan, occurrence])?;
    while let Some(row) = rows.next()? {
        let run = LastRun {
            run_id: row.get(2)?,
            path: row.get(3)?,
            digest: row.get(4)?,
            started_at: Timestamp::UNIX_EPOCH,
            ended: row.get::<_, Option<String>>(5)?.zip(row.get(6)?),
        };
        accounts.ran(row.get(0)?, row.get(1)?, run)?;
    }
    let mut statement = connection.prepare_cached(sql::ACCOUNTS)?;
    let rows = statement.query_map([platform, plan, occurrence], standing_row)?;
    Ok(accounts.count(rows.collect::<Result<Vec<_>, _>>()?.into_iter())?)
}

pub(super) fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        run_id: row.get(0)?,
        platform: row.get(1)?,
        occurrence: row.get(2)?,
        path: row.get(3)?,
        digest: row.get(4)?,
        started_at: row.get(5)?,
        report: row.get(6)?,
    })
}

pub(super) fn call_row(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    Ok(CallRow {
        id: row.get(0)?,
        step: row.get(1)?,
        key: row.get(2)?,
        chunk: row.get(3)?,
        action: row.get(4)?,
        path: row.get(5)?,
        idempotency_key: row.get(6)?,
        digest: row.get(7)?,
        payload: row.get(8)?,
        message_digest: row.get(9)?,
        recipients: row.get(10)?,
        mass: row.get(11)?,
        effect: row.get(12)?,
    })
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        kind: row.get(0)?,
        at: row.get(1)?,
        run_id: row.get(2)?,
        errcode: row.get(3)?,
        note: row.get(4)?,
        msg_id: row.get(5)?,
        msg_data_id: row.get(6)?,
        result: row.get(7)?,
        body: row.get(8)?,
        body_digest: row.get(9)?,
    })
}

fn standing_row(row: &Row<'_>) -> rusqlite::Result<StandingRow> {
    Ok(StandingRow {
        call: row.get(0)?,
        of: row.get(1)?,
        step: row.get(2)?,
        key: row.get(3)?,
        chunk: row.get(4)?,
        event: row.get::<_, Option<String>>(5)?.zip(row.get(6)?),
    })
}
