//! A whole ledger in SQLite, out of it and into it.

use rusqlite::{Connection, Transaction, params};

use super::{fault::Fault, reads, writes};
use crate::{
    ledger::{CallRecord, Scope, parts::Part, rows},
    locale::say,
    platform::Platform,
};

/// The AppIDs of which there is something.
pub(super) fn accounts(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(
        "SELECT appid FROM runs UNION SELECT appid FROM calls UNION SELECT appid FROM observations ORDER BY appid",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn is_empty(connection: &Connection) -> Result<bool, Fault> {
    accounts(connection).map(|accounts| accounts.is_empty())
}

/// Gives one part after the other; `Ok(Err(..))` is the error of who takes them.
pub(super) fn each_part<E>(
    connection: &Connection,
    take: &mut dyn FnMut(Part) -> Result<(), E>,
) -> Result<Result<(), E>, Fault> {
    let platform =
        |name: String| Platform::from_name(&name).ok_or_else(|| Fault::Damaged(say!("a run has an unknown platform")));
    let mut statement = connection.prepare(
        "SELECT run_id, platform, occurrence, path, digest, started_at, report, appid, plan, outcome, exit_code
         FROM runs ORDER BY rowid",
    )?;
    let mut runs = statement.query([])?;
    while let Some(row) = runs.next()? {
        let run = reads::run_row(row)?.run()?;
        let ended = row.get::<_, Option<String>>(9)?.zip(row.get(10)?);
        let (appid, plan) = (row.get(7)?, row.get(8)?);
        let scope = Scope { platform: run.platform, appid, plan, occurrence: run.occurrence.clone() };
        if let Err(error) = take(Part::Run { scope, run, ended }) {
            return Ok(Err(error));
        }
    }
    let mut statement = connection.prepare(
        "SELECT id, step, key, chunk, action, path, idempotency_key, digest, payload, message_digest, recipients, mass, effect,
         platform, appid, plan, occurrence FROM calls ORDER BY id",
    )?;
    let mut calls = statement.query([])?;
    while let Some(row) = calls.next()? {
        let call = reads::call_row(row)?;
        let (id, scope) = (
            call.id,
            Scope {
                platform: platform(row.get(13)?)?,
                appid: row.get(14)?,
                plan: row.get(15)?,
                occurrence: row.get(16)?,
            },
        );
        let frozen = call.frozen()?;
        let events = reads::events(connection, id, &frozen)?;
        let record = Box::new(rows::whole(frozen, events)?);
        if let Err(error) = take(Part::Call { scope, record }) {
            return Ok(Err(error));
        }
    }
    let mut statement =
        connection.prepare("SELECT kind, subject, at, body, platform, appid FROM observations ORDER BY number")?;
    let mut observed = statement.query([])?;
    while let Some(row) = observed.next()? {
        let seen = rows::observation(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)?;
        if let Err(error) = take(Part::Observed { platform: row.get(4)?, appid: row.get(5)?, seen }) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

pub(super) fn insert(transaction: &Transaction<'_>, part: Part) -> Result<(), Fault> {
    match part {
        // Not in this file: see the store.
        Part::Kept(_) => {}
        Part::Run { scope, run, ended } => {
            let (outcome, code) = ended.unzip();
            transaction
                .prepare_cached(
                    "INSERT INTO runs (run_id, platform, appid, plan, occurrence, path, digest, started_at, report, outcome,
                     exit_code) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .execute(params![
                    run.run_id,
                    run.platform,
                    scope.appid,
                    scope.plan,
                    run.occurrence,
                    run.path,
                    run.digest,
                    run.started_at.as_millisecond(),
                    run.report,
                    outcome,
                    code
                ])?;
        }
        Part::Call { scope, record } => {
            let CallRecord { frozen, events, .. } = *record;
            writes::insert_call(transaction, &scope, &frozen, false)?;
            let call = transaction.last_insert_rowid();
            for (number, event) in (1_i64..).zip(&events) {
                writes::insert_event(transaction, call, number, event)?;
            }
        }
        Part::Observed { platform, appid, seen } => {
            writes::observe(transaction, &platform, &appid, &[seen])?;
        }
    }
    Ok(())
}
