//! Rows of a ledger in PostgreSQL. Whole scopes are read with two questions, however many calls they have.

use std::{borrow::Cow, collections::HashMap};

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{fault::Fault, link::Link};
use crate::{
    ledger::{
        AccountRun, CallRecord, Edition, EditionCall, Event, EventKind, FrozenCall, LastRun, Observation, RunRecord,
        Scope, Usage,
        rows::{self, CallRow, EventRow, RunRow, StandingRow},
        sql,
    },
    platform::Platform,
};

/// A question as PostgreSQL takes it: its parameters have other names, and retired calls are not asked for.
pub(super) fn worded(question: &str) -> Cow<'_, str> {
    question.replace('?', "$").replace("calls c", "live_calls c").into()
}

pub(super) fn calls(link: &Link, scope: &Scope) -> Result<Vec<CallRecord>, Fault> {
    let Scope { platform, appid, plan, occurrence } = scope;
    let found = link.query(&worded(sql::CALLS), &[&platform.name(), appid, plan, occurrence])?;
    let calls: Vec<(i64, FrozenCall)> = found.iter().map(frozen).collect::<Result<_, _>>()?;
    let mut events = events(link, calls.iter().map(|(id, _)| *id).collect())?;
    let mut records = Vec::with_capacity(calls.len());
    for (id, frozen) in calls {
        let happened = events.remove(&id).unwrap_or_default().into_iter();
        let happened = happened.map(|row| row.event(&frozen)).collect::<Result<_, _>>()?;
        records.push(rows::record(frozen, happened)?);
    }
    Ok(records)
}

pub(super) fn events(link: &Link, calls: Vec<i64>) -> Result<HashMap<i64, Vec<EventRow>>, Fault> {
    let mut of_calls: HashMap<i64, Vec<EventRow>> = HashMap::new();
    if calls.is_empty() {
        return Ok(of_calls);
    }
    let question = format!("SELECT {}, call FROM events WHERE call = ANY($1) ORDER BY call, number", sql::EVENT);
    for row in link.query(&question, &[&calls])? {
        of_calls.entry(row.get(10)).or_default().push(event_row(&row));
    }
    Ok(of_calls)
}

pub(super) fn uploaded(link: &Link, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, Fault> {
    let Some(row) = link.query_opt(&worded(sql::UPLOADED), &[&key, &platform, &appid])? else { return Ok(None) };
    let (id, frozen) = frozen(&row)?;
    let happened = events(link, vec![id])?.remove(&id).unwrap_or_default().into_iter();
    let happened: Vec<Event> = happened.map(|row| row.event(&frozen)).collect::<Result<_, _>>()?;
    Ok(happened.into_iter().rev().find(|event| event.kind == EventKind::Accepted && event.result.is_some()))
}

/// Of an account (platform, AppID) and kind.
pub(super) fn observations(link: &Link, of: [&str; 3], subjects: Option<&[String]>) -> Result<Vec<Observation>, Fault> {
    let question = sql::observations("AND (?4::text[] IS NULL OR subject = ANY(?4))");
    let mut seen = Vec::new();
    for row in link.query(&worded(&question), &[&of[0], &of[1], &of[2], &subjects])? {
        seen.push(rows::observation(row.get(0), row.get(1), row.get(2), row.get(3))?);
    }
    Ok(seen)
}

pub(super) fn mass_attempts(
    link: &Link,
    platform: &str,
    appid: &str,
    since: Timestamp,
) -> Result<Vec<Timestamp>, Fault> {
    let found = link.query(&worded(sql::MASS_ATTEMPTS), &[&since.as_millisecond(), &platform, &appid])?;
    Ok(found.iter().map(|row| rows::time(row.get(0), row.get(1))).collect::<Result<_, _>>()?)
}

pub(super) fn usage(link: &Link, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, Fault> {
    let found = link.query(&worded(sql::USAGE), &[&since.as_millisecond(), &platform, &appid])?;
    let usage = |row: &Row| rows::usage(row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
    Ok(found.iter().map(usage).collect::<Result<_, _>>()?)
}

pub(super) fn edition_before(
    link: &Link,
    scope: &Scope,
    step: &str,
    key: Option<&str>,
) -> Result<Option<Edition>, Fault> {
    let Scope { platform, appid, plan, occurrence } = scope;
    let key = key.unwrap_or("");
    let found =
        link.query_opt(&worded(sql::EDITION_BEFORE), &[&platform.name(), appid, plan, occurrence, &step, &key])?;
    let edition = |row: Row| Ok(Edition { occurrence: row.get(0), recipients: rows::people(row.get(1), step)? });
    found.map(edition).transpose()
}

pub(super) fn other_editions(link: &Link, scope: &Scope) -> Result<Vec<EditionCall>, Fault> {
    let Scope { platform, appid, plan, occurrence } = scope;
    let found = link.query(&worded(sql::OTHER_EDITIONS), &[&platform.name(), appid, plan, occurrence])?;
    Ok(rows::editions(found.iter().map(standing_row))?)
}

pub(super) fn with_messages(
    link: &Link,
    platform: &str,
    appid: &str,
    digests: &[String],
) -> Result<Vec<(String, Scope)>, Fault> {
    let Some(known) = Platform::from_name(platform) else { return Ok(Vec::new()) };
    let found = link.query(&worded(&sql::with_messages("= ANY(?1)")), &[&digests, &platform, &appid])?;
    let scope = |row: Row| {
        let (plan, occurrence) = (row.get(1), row.get(2));
        (row.get(0), Scope { platform: known, appid: appid.to_owned(), plan, occurrence })
    };
    Ok(found.into_iter().map(scope).collect())
}

pub(super) fn runs(link: &Link, appid: &str, plan: &str) -> Result<Vec<RunRecord>, Fault> {
    let found = link.query(
        "SELECT run_id, platform, occurrence, path, digest, started_at, report FROM runs
         WHERE appid = $1 AND plan = $2 ORDER BY started_at DESC, number DESC",
        &[&appid, &plan],
    )?;
    Ok(found.iter().map(|row| run_row(row).run()).collect::<Result<_, _>>()?)
}

pub(super) fn accounts(link: &Link, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, Fault> {
    let mut accounts = rows::Accounts::default();
    let runs = link.query(
        "SELECT DISTINCT ON (appid) appid, started_at, run_id, path, digest, outcome, exit_code FROM runs
         WHERE platform = $1 AND plan = $2 AND occurrence = $3 ORDER BY appid, started_at DESC, number DESC",
        &[&platform, &plan, &occurrence],
    )?;
    for row in runs {
        let exit_code: Option<i64> = row.get(6);
        let run = LastRun {
            run_id: row.get(2),
            path: row.get(3),
            digest: row.get(4),
            started_at: Timestamp::UNIX_EPOCH,
            ended: row.get::<_, Option<String>>(5).zip(exit_code.and_then(|code| code.try_into().ok())),
        };
        accounts.ran(row.get(0), row.get(1), run)?;
    }
    let found = link.query(&worded(sql::ACCOUNTS), &[&platform, &plan, &occurrence])?;
    Ok(accounts.count(found.iter().map(standing_row))?)
}

pub(super) fn run_row(row: &Row) -> RunRow {
    RunRow {
        run_id: row.get(0),
        platform: row.get(1),
        occurrence: row.get(2),
        path: row.get(3),
        digest: row.get(4),
        started_at: row.get(5),
        report: row.get(6),
    }
}

pub(super) fn frozen(row: &Row) -> Result<(i64, FrozenCall), rows::Damage> {
    let call = CallRow {
        id: row.get(0),
        step: row.get(1),
        key: row.get(2),
        chunk: row.get(3),
        action: row.get(4),
        path: row.get(5),
        idempotency_key: row.get(6),
        digest: row.get(7),
        payload: row.get(8),
        message_digest: row.get(9),
        recipients: row.get(10),
        mass: row.get(11),
        effect: row.get(12),
    };
    Ok((call.id, call.frozen()?))
}

fn event_row(row: &Row) -> EventRow {
    EventRow {
        kind: row.get(0),
        at: row.get(1),
        run_id: row.get(2),
        errcode: row.get(3),
        note: row.get(4),
        msg_id: row.get(5),
        msg_data_id: row.get(6),
        result: row.get(7),
        body: row.get(8),
        body_digest: row.get(9),
    }
}

fn standing_row(row: &Row) -> StandingRow {
    StandingRow {
        call: row.get(0),
        of: row.get(1),
        step: row.get(2),
        key: row.get(3),
        chunk: row.get(4),
        event: row.get::<_, Option<String>>(5).zip(row.get(6)),
    }
}
