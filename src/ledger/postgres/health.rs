//! Whether a server can hold a ledger: what is asked before each run, and what `doctor` says beside it.

use super::{
    Target,
    fault::{self, Fault},
    link::Link,
    schema,
};
use crate::{
    ledger::store::Health,
    limits,
    locale::{Count, say},
    problem::Problem,
};

/// Refuses a server that loses what it says to have, or that cannot be written.
pub(super) fn fit(link: &Link) -> Result<(), Fault> {
    let row = link.query_one(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'), pg_is_in_recovery(), current_setting('server_encoding')",
        &[],
    )?;
    unfit([row.get(0), row.get(1), row.get(3)], row.get(2)).map_or(Ok(()), Err)
}

/// By `fsync`, `full_page_writes` and the encoding, and whether it is a standby.
fn unfit([fsync, pages, encoding]: [&str; 3], is_standby: bool) -> Option<Fault> {
    if is_standby {
        return Some(fault::standby());
    }
    for (name, value) in [("fsync", fsync), ("full_page_writes", pages)] {
        if value != "on" {
            return Some(Fault::Unusable(
                say!("cannot be stored safely: `{name}` is {value} on the server", name, value),
                say!("set `{name} = on`; without it, a power cut loses sends", name),
            ));
        }
    }
    (encoding != "UTF8").then(|| {
        Fault::Unusable(
            say!("cannot be used: the encoding of the database is {encoding}", encoding),
            say!("create a database with ENCODING 'UTF8'"),
        )
    })
}

/// Refuses a way to the server on which a session is not one: a pooler that gives each transaction another one, or a database
/// whose locks lock nothing. With a single client such a way looks sound, so that a second connection is made for it.
pub(super) fn sessions(target: &Target, first: &Link) -> Result<(), Fault> {
    let pid = |link: &Link| link.query_one("SELECT pg_backend_pid()", &[]).map(|row| row.get::<_, i32>(0));
    let before = pid(first)?;
    let second = target.connect(limits::STORE_CONNECT)?;
    second.batch("BEGIN")?;
    let other = pid(&second)?;
    let after = pid(first)?;
    if before == other || before != after {
        return Err(fault::pooled());
    }
    let lock = "SELECT pg_try_advisory_lock($1)";
    let key = i64::from(before) << 32 | i64::from(other);
    let both = first.query_one(lock, &[&key])?.get::<_, bool>(0) && second.query_one(lock, &[&key])?.get::<_, bool>(0);
    first.query("SELECT pg_advisory_unlock($1)", &[&key])?;
    second.batch("ROLLBACK")?;
    if both { Err(unlocked()) } else { Ok(()) }
}

fn unlocked() -> Fault {
    Fault::Unusable(
        say!("cannot be used: its advisory locks do not lock"),
        say!("use PostgreSQL itself: databases that only speak its protocol lack what keeps two runs apart"),
    )
}

/// How a ledger is; `None` if there is none yet and this role may make it.
pub(super) fn examine(target: &Target) -> Result<Option<Health>, Fault> {
    let link = target.connect(limits::STORE_CONNECT)?;
    sessions(target, &link)?;
    fit(&link)?;
    let name = &target.address.schema;
    let Some(format) = schema::format(&link, name)? else {
        return if may_create(&link, name)? { Ok(None) } else { Err(schema::unmade()) };
    };
    let newest = schema::FORMAT;
    if format == newest {
        let missing = schema::missing_rights(&link, name)?;
        if !missing.is_empty() {
            let missing = crate::locale::list(missing);
            return Err(Fault::Unusable(
                say!("cannot be used: this role may not do what a run does; missing: {missing}", missing),
                say!("the owner grants them: qunfa state grants --role ROLE"),
            ));
        }
    }
    let mut warnings: Vec<Problem> = target.address.note.clone().map(Problem::new).into_iter().collect();
    warnings.extend(replicas(&link)?);
    warnings.extend(connections(&link)?);
    let security = if link.encrypted { say!("TLS") } else { say!("not encrypted, on this machine") };
    let about = say!("PostgreSQL {version}, {security}", version = link.version, security);
    Ok(Some(Health { format, newest, damage: Vec::new(), warnings, about: Some(about) }))
}

fn may_create(link: &Link, schema: &str) -> Result<bool, Fault> {
    let may =
        "SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = $1),
        has_database_privilege(current_database(), 'CREATE'))";
    Ok(link.query_one(may, &[&schema])?.get(0))
}

/// A standby that lags is promoted without what was committed last: a send that the ledger does not know of.
fn replicas(link: &Link) -> Result<Option<Problem>, Fault> {
    let row = link.query_one(
        "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_replication), current_setting('synchronous_standby_names')",
        &[],
    )?;
    Ok(lags(row.get(0), row.get(1)))
}

fn lags(replicas: i64, standbys: &str) -> Option<Problem> {
    (replicas > 0 && standbys.is_empty()).then(|| {
        Problem::new(say!(
            "the server has {count} standby server, and no commit waits for it"
                | "the server has {count} standby servers, and no commit waits for them",
            count = Count(replicas.unsigned_abs())
        ))
        .help(say!("set `synchronous_standby_names`, so that a failover loses no send"))
    })
}

/// A run holds one session for as long as it lasts.
fn connections(link: &Link) -> Result<Option<Problem>, Fault> {
    let row = link.query_one(
        "SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
         - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'), current_setting('max_connections')::bigint",
        &[],
    )?;
    Ok(full(row.get(0), row.get(1)))
}

fn full(left: i64, all: i64) -> Option<Problem> {
    let (left, all) = (u64::try_from(left).unwrap_or(0), all.unsigned_abs());
    (left < limits::STORE_CONNECTIONS_LEFT).then(|| {
        Problem::new(say!(
            "the server has {left} of {all} connection left" | "the server has {left} of {all} connections left",
            left = Count(left),
            all = Count(all)
        ))
        .help(say!("each running account holds one: raise `max_connections`, or use a pooler in session mode"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::tests::{BOTH, speaking};

    #[test]
    fn what_a_server_lacks_is_told_with_the_remedy() {
        assert!(unfit(["on", "on", "UTF8"], false).is_none() && lags(0, "").is_none() && lags(1, "x").is_none());
        assert!(full(5, 100).is_none());
        for (language, suffix) in BOTH {
            let said = speaking(language, || {
                let mut said = Vec::new();
                let faults = [
                    unfit(["on", "on", "UTF8"], true),
                    unfit(["off", "on", "UTF8"], false),
                    unfit(["on", "on", "LATIN1"], false),
                    Some(fault::pooled()),
                    Some(unlocked()),
                    Some(schema::unmade()),
                    Some(schema::not_allowed()),
                ];
                for fault in faults.into_iter().flatten() {
                    let Fault::Unusable(what, help) = fault else { panic!("{fault:?}") };
                    said.push(format!("{what}\n  {help}"));
                }
                for problem in [lags(1, ""), lags(3, ""), full(1, 100), full(-2, 100)].into_iter().flatten() {
                    said.push(format!("{}\n  {}", problem.message, problem.help[0]));
                }
                said.join("\n")
            });
            insta::assert_snapshot!(format!("health{suffix}"), said);
        }
    }
}
