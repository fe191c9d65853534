//! The tables: how each format is made from the one before, by whom they are used, and what they must be like.
//!
//! The rule is that of every store: nothing is removed or given another meaning. Who owns the schema makes and changes it; who
//! runs plans has the rights of [`grants`] and can neither change nor remove what happened.

use tokio_postgres::error::SqlState;

use super::{fault::Fault, link::Link};
use crate::locale::say;

/// The format that this version writes.
pub const FORMAT: i64 = CHANGES.len() as i64;

/// How each format is made from the one before, from format 1 on. Text is compared byte by byte, as in SQLite. A call that is
/// not part of its step any more is retired, and not deleted: what happened to it stays. Who had the rights of a run, or of
/// reading, has them of what is new as well. Format 3 has the effects `publish` and `unpublish`, and `adopted` after `unknown`,
/// which an older version would take for damage: no other change.
const CHANGES: &[&str] = &["
CREATE TABLE accounts (
    appid TEXT COLLATE \"C\" PRIMARY KEY, epoch BIGINT NOT NULL, holder TEXT,
    seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE runs (
    run_id TEXT COLLATE \"C\" PRIMARY KEY, number BIGINT GENERATED ALWAYS AS IDENTITY, platform TEXT COLLATE \"C\" NOT NULL,
    appid TEXT COLLATE \"C\" NOT NULL, plan TEXT COLLATE \"C\" NOT NULL, occurrence TEXT COLLATE \"C\" NOT NULL, path TEXT NOT NULL,
    digest TEXT NOT NULL, started_at BIGINT NOT NULL, outcome TEXT, exit_code BIGINT, report TEXT
);
CREATE INDEX runs_of_plan ON runs (plan, occurrence, platform);
CREATE TABLE calls (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, platform TEXT COLLATE \"C\" NOT NULL, appid TEXT COLLATE \"C\" NOT NULL,
    plan TEXT COLLATE \"C\" NOT NULL, occurrence TEXT COLLATE \"C\" NOT NULL, step TEXT COLLATE \"C\" NOT NULL,
    key TEXT COLLATE \"C\" NOT NULL, chunk BIGINT NOT NULL, action TEXT NOT NULL, path TEXT NOT NULL,
    idempotency_key TEXT COLLATE \"C\" NOT NULL, digest TEXT NOT NULL, payload TEXT NOT NULL, message_digest TEXT COLLATE \"C\",
    recipients BIGINT, mass BOOLEAN NOT NULL, effect TEXT, retired BOOLEAN NOT NULL DEFAULT false
);
ALTER TABLE calls ALTER payload SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX calls_once ON calls (platform, appid, plan, occurrence, step, key, chunk) WHERE NOT retired;
CREATE INDEX calls_of_plan ON calls (plan, occurrence, platform) WHERE NOT retired;
CREATE INDEX uploads ON calls (idempotency_key) WHERE NOT mass;
CREATE INDEX messages ON calls (message_digest) WHERE mass;
CREATE VIEW live_calls AS SELECT * FROM calls WHERE NOT retired;
CREATE TABLE events (
    call BIGINT NOT NULL REFERENCES calls (id), number BIGINT NOT NULL, epoch BIGINT NOT NULL, kind TEXT NOT NULL,
    at BIGINT NOT NULL, run_id TEXT NOT NULL, errcode BIGINT, note TEXT, msg_id TEXT, msg_data_id TEXT, result TEXT,
    body TEXT, body_digest TEXT, PRIMARY KEY (call, number)
);
ALTER TABLE events ALTER body SET STORAGE EXTERNAL;
CREATE INDEX attempts ON events (at) WHERE kind = 'attempted';
CREATE TABLE tokens (
    appid TEXT COLLATE \"C\", base TEXT COLLATE \"C\", endpoint TEXT COLLATE \"C\", sealed TEXT NOT NULL,
    good_until BIGINT NOT NULL, PRIMARY KEY (appid, base, endpoint)
);
CREATE TABLE kept (
    appid TEXT COLLATE \"C\", base TEXT COLLATE \"C\", endpoint TEXT COLLATE \"C\", text TEXT NOT NULL,
    PRIMARY KEY (appid, base, endpoint)
);
CREATE VIEW history AS SELECT c.platform, c.appid, c.plan, c.occurrence, c.step, c.key, c.chunk, c.recipients, e.number,
    e.kind, to_timestamp(e.at / 1000.0) AS at, e.run_id, e.errcode, e.note, e.msg_id, e.msg_data_id, e.result
    FROM calls c JOIN events e ON e.call = c.id;
", "
CREATE TABLE observations (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, platform TEXT COLLATE \"C\" NOT NULL, appid TEXT COLLATE \"C\" NOT NULL,
    kind TEXT COLLATE \"C\" NOT NULL, subject TEXT COLLATE \"C\" NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL,
    digest TEXT COLLATE \"C\" NOT NULL, UNIQUE (platform, appid, kind, subject, digest)
);
DO $$ DECLARE given record; BEGIN
    FOR given IN SELECT grantee, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND table_name = 'events' AND privilege_type IN ('SELECT', 'INSERT')
    LOOP EXECUTE format('GRANT %s ON observations TO %I', given.privilege_type, given.grantee); END LOOP;
END $$;
", ""];

/// What a run reads and writes, one right a line.
const RUN_RIGHTS: &[&str] = &[
    "USAGE ON SCHEMA {schema}",
    "SELECT ON {schema}.format, {schema}.accounts, {schema}.runs, {schema}.calls, {schema}.live_calls, {schema}.events, {schema}.observations, {schema}.tokens, {schema}.kept, {schema}.history",
    "INSERT ON {schema}.accounts, {schema}.runs, {schema}.calls, {schema}.events, {schema}.observations, {schema}.tokens, {schema}.kept",
    "UPDATE (epoch, holder, seen_at) ON {schema}.accounts",
    "UPDATE (outcome, exit_code, report) ON {schema}.runs",
    "UPDATE (action, path, digest, payload, message_digest, recipients, mass, effect, retired) ON {schema}.calls",
    "UPDATE (sealed, good_until), DELETE ON {schema}.tokens",
    "UPDATE (text) ON {schema}.kept",
];

/// What reports and statuses read. Tokens are not among it.
const READ_RIGHTS: &[&str] = &[
    "USAGE ON SCHEMA {schema}",
    "SELECT ON {schema}.format, {schema}.accounts, {schema}.runs, {schema}.calls, {schema}.live_calls, {schema}.events, {schema}.observations, {schema}.history",
];

/// The statements that give a role what runs need, or what reading needs. Run them as the owner of the schema.
pub(super) fn grants(schema: &str, role: &str, reads_only: bool) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let rights = if reads_only { READ_RIGHTS } else { RUN_RIGHTS };
    let line = |right: &&str| format!("GRANT {} TO {role};\n", right.replace("{schema}", schema));
    rights.iter().map(line).collect()
}

/// Rights that a run needs and this role does not have, as they are granted; empty if it may do what a run does.
pub(super) fn missing_rights(link: &Link, schema: &str) -> Result<Vec<String>, Fault> {
    let has = |table: &str, right: &str, column: Option<&str>| -> Result<bool, Fault> {
        let table = format!("{schema}.{table}");
        let row = match column {
            Some(column) => link.query_one("SELECT has_column_privilege($1, $2, $3)", &[&table, &column, &right])?,
            None => link.query_one("SELECT has_table_privilege($1, $2)", &[&table, &right])?,
        };
        Ok(row.get(0))
    };
    let mut missing = Vec::new();
    let needed: [(&str, &[&str], &[&str]); 6] = [
        ("accounts", &["SELECT", "INSERT"], &["epoch", "holder", "seen_at"]),
        ("runs", &["SELECT", "INSERT"], &["outcome", "exit_code", "report"]),
        ("calls", &["SELECT", "INSERT"], &["action", "payload", "retired"]),
        ("live_calls", &["SELECT"], &[]),
        ("events", &["SELECT", "INSERT"], &[]),
        ("observations", &["SELECT", "INSERT"], &[]),
    ];
    for (table, rights, columns) in needed {
        for right in rights {
            if !has(table, right, None)? {
                missing.push(format!("{right} ON {schema}.{table}"));
            }
        }
        for column in columns {
            if !has(table, "UPDATE", Some(column))? {
                missing.push(format!("UPDATE ({column}) ON {schema}.{table}"));
            }
        }
    }
    Ok(missing)
}

/// The format of the tables; none if there are none.
pub(super) fn format(link: &Link, schema: &str) -> Result<Option<i64>, Fault> {
    // Names of the catalogue are readable by everyone, the table itself is not. All in one question: between two, somebody else
    // may make the tables.
    let present = "SELECT count(*) FILTER (WHERE c.relname = 'format'), count(*) FILTER (WHERE c.relname = 'calls')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1";
    let row = link.query_one(present, &[&schema])?;
    let [format, calls] = [0, 1].map(|column| row.get::<_, i64>(column) > 0);
    if !format {
        return if calls { Err(Fault::Damaged(say!("it has tables but no format version"))) } else { Ok(None) };
    }
    let columns = "SELECT count(*) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'format' AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'version'";
    if link.query_one(columns, &[&schema])?.get::<_, i64>(0) > 0 {
        return Err(Fault::Damaged(say!("it is a database of another program")));
    }
    match link.query_opt(&format!("SELECT max(version) FROM {schema}.format"), &[]) {
        Ok(row) => Ok(row.and_then(|row| row.get::<_, Option<i64>>(0))),
        Err(Fault::Sql(error)) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Err(not_allowed()),
        Err(fault) => Err(fault),
    }
}

/// What a role is told that may not do what a run does.
pub(super) fn not_allowed() -> Fault {
    Fault::Unusable(
        say!("cannot be used: this role does not have the rights of a run"),
        say!("the owner grants them: qunfa state grants --role ROLE"),
    )
}

/// What a role is told that may not make the tables.
pub(super) fn unmade() -> Fault {
    Fault::Unusable(
        say!("has no tables of this version, and this role may not create them"),
        say!("run once, as the owner of the schema: qunfa state migrate"),
    )
}

/// Makes the tables, or brings them up to date; says whether there was anything to do. Two may begin at once.
pub(super) fn migrate(link: &Link, schema: &str) -> Result<bool, Fault> {
    let owner_needed = |fault: Fault| match fault {
        Fault::Sql(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => unmade(),
        fault => fault,
    };
    let migrated = link.transaction(|| {
        // Whoever is second finds everything done: it is looked at after the lock, and not before.
        link.query("SELECT pg_advisory_xact_lock(hashtextextended('qunfa tables ' || $1, 0))", &[&schema])?;
        let found = format(link, schema)?.unwrap_or(0);
        if found >= FORMAT {
            return Ok(false);
        }
        let has_schema = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)";
        if found == 0 {
            if !link.query_one(has_schema, &[&schema])?.get::<_, bool>(0) {
                link.batch(&format!("CREATE SCHEMA {schema}"))?;
            }
            link.batch("CREATE TABLE format (version BIGINT PRIMARY KEY)")?;
        }
        for (number, change) in (1_i64..).zip(CHANGES).skip(usize::try_from(found).unwrap_or(0)) {
            link.batch(change)?;
            link.execute("INSERT INTO format VALUES ($1)", &[&number])?;
        }
        Ok(true)
    });
    migrated.map_err(owner_needed)
}
