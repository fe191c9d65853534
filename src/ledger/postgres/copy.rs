//! A whole ledger in PostgreSQL, out of it and into it.

use super::{fault::Fault, link::Link, reads, writes};
use crate::{
    ledger::{CallRecord, Scope, parts::Part, rows},
    locale::say,
    platform::Platform,
};

/// Calls that are fetched at once: a call may have hundreds of kilobytes.
const AT_ONCE: i64 = 50;

/// The AppIDs of which there is something.
pub(super) fn accounts(link: &Link) -> Result<Vec<String>, Fault> {
    let rows = link.query(
        "SELECT appid FROM runs UNION SELECT appid FROM calls UNION SELECT appid FROM observations ORDER BY appid",
        &[],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn platform(name: &str) -> Result<Platform, Fault> {
    Platform::from_name(name).ok_or_else(|| Fault::Damaged(say!("a run has an unknown platform")))
}

/// Gives one part after the other; `Ok(Err(..))` is the error of who takes them.
pub(super) fn each_part<E>(link: &Link, take: &mut dyn FnMut(Part) -> Result<(), E>) -> Result<Result<(), E>, Fault> {
    for row in link.query("SELECT base, appid, endpoint, text FROM kept", &[])? {
        if let Err(error) = take(Part::Kept([row.get(0), row.get(1), row.get(2), row.get(3)])) {
            return Ok(Err(error));
        }
    }
    let mut after = 0_i64;
    loop {
        let found = link.query(
            "SELECT run_id, platform, occurrence, path, digest, started_at, report, appid, plan, outcome, exit_code, number
             FROM runs WHERE number > $1 ORDER BY number LIMIT $2",
            &[&after, &AT_ONCE],
        )?;
        let Some(last) = found.last() else { break };
        after = last.get(11);
        for row in &found {
            let code: Option<i64> = row.get(10);
            let ended = row.get::<_, Option<String>>(9).zip(code.and_then(|code| code.try_into().ok()));
            let run = reads::run_row(row).run()?;
            let (appid, plan) = (row.get(7), row.get(8));
            let scope = Scope { platform: run.platform, appid, plan, occurrence: run.occurrence.clone() };
            if let Err(error) = take(Part::Run { scope, run, ended }) {
                return Ok(Err(error));
            }
        }
    }
    after = 0;
    loop {
        let found = link.query(
            "SELECT id, step, key, chunk, action, path, idempotency_key, digest, payload, message_digest, recipients, mass,
             effect, platform, appid, plan, occurrence FROM live_calls WHERE id > $1 ORDER BY id LIMIT $2",
            &[&after, &AT_ONCE],
        )?;
        let Some(last) = found.last() else { break };
        after = last.get(0);
        let mut events = reads::events(link, found.iter().map(|row| row.get(0)).collect())?;
        for row in &found {
            let (appid, plan, occurrence) = (row.get(14), row.get(15), row.get(16));
            let scope = Scope { platform: platform(row.get(13))?, appid, plan, occurrence };
            let (id, frozen) = reads::frozen(row)?;
            let happened = events.remove(&id).unwrap_or_default().into_iter();
            let happened = happened.map(|row| row.event(&frozen)).collect::<Result<_, _>>()?;
            let record = Box::new(rows::whole(frozen, happened)?);
            if let Err(error) = take(Part::Call { scope, record }) {
                return Ok(Err(error));
            }
        }
    }
    after = 0;
    loop {
        let found = link.query(
            "SELECT kind, subject, at, body, platform, appid, number FROM observations WHERE number > $1 ORDER BY number LIMIT $2",
            &[&after, &AT_ONCE],
        )?;
        let Some(last) = found.last() else { return Ok(Ok(())) };
        after = last.get(6);
        for row in &found {
            let seen = rows::observation(row.get(0), row.get(1), row.get(2), row.get(3))?;
            if let Err(error) = take(Part::Observed { platform: row.get(4), appid: row.get(5), seen }) {
                return Ok(Err(error));
            }
        }
    }
}

pub(super) fn insert(link: &Link, part: Part) -> Result<(), Fault> {
    match part {
        Part::Kept([base, appid, endpoint, text]) => link
            .execute(
                "INSERT INTO kept (base, appid, endpoint, text) VALUES ($1, $2, $3, $4)",
                &[&base, &appid, &endpoint, &text],
            )
            .map(drop),
        Part::Run { scope, run, ended } => {
            let (outcome, code) = ended.unzip();
            link.execute(
                "INSERT INTO runs (run_id, platform, appid, plan, occurrence, path, digest, started_at, report, outcome, exit_code)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                &[
                    &run.run_id,
                    &run.platform.name(),
                    &scope.appid,
                    &scope.plan,
                    &run.occurrence,
                    &run.path,
                    &run.digest,
                    &run.started_at.as_millisecond(),
                    &run.report,
                    &outcome,
                    &code.map(i64::from),
                ],
            )
            .map(drop)
        }
        Part::Call { scope, record } => {
            let CallRecord { frozen, events, .. } = *record;
            writes::insert(link, &scope, &frozen)?;
            let mut standing = writes::standing(link, &scope, &frozen.id, true)?.into_iter().next();
            for event in &events {
                let Some(before) = standing.take() else { break };
                match writes::append(link, None, &before, &frozen.id, event)? {
                    writes::Written::Done(after) => standing = Some(after),
                    writes::Written::Changed => break,
                }
            }
            let step = &frozen.id.step;
            standing.map(drop).ok_or_else(|| Fault::Conflict(say!("step `{step}` has different calls", step)))
        }
        Part::Observed { platform, appid, seen } => writes::observe(link, &platform, &appid, &[seen]).map(drop),
    }
}
