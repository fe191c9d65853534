//! The ledger in SQLite: one file, mode 0600, WAL with `synchronous=FULL`, so that what is committed survives a power cut.
//!
//! Rule for changes of the format: `user_version` counts up with every change, and `CHANGES` holds how each format is
//! made from the one before; nothing is ever removed or given another meaning. A version of qunfa brings every older
//! format up to date in one transaction, and refuses every newer one without touching it.
//!
//! What can be sent again is kept beside its SHA-256, and looked at when it is read: damage that SQLite itself does not
//! notice is never sent.
#![expect(clippy::disallowed_methods, reason = "this module is an adapter: it owns the file of the ledger")]

use std::{fs, path::Path, time::Duration};

use jiff::Timestamp;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, ToSql, Transaction, TransactionBehavior, config::DbConfig, params,
};

use crate::payload::{self, Payload};

use super::{
    CallId, CallRecord, Edition, Event, FrozenCall, Kind, Ledger, LedgerError, RunRecord, Scope, Status, Usage,
};

/// The format that this version writes.
pub const FORMAT: i64 = CHANGES.len() as i64;
/// "qunf", so that no other database is taken for one.
const APPLICATION_ID: i64 = 0x7175_6e66;

/// How each format is made from the one before, from format 1 on.
const CHANGES: &[&str] = &[
    "
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, platform TEXT NOT NULL, appid TEXT NOT NULL, plan TEXT NOT NULL, occurrence TEXT NOT NULL,
    path TEXT NOT NULL, digest TEXT NOT NULL, started_at INTEGER NOT NULL, report TEXT
);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, platform TEXT NOT NULL, appid TEXT NOT NULL, plan TEXT NOT NULL, occurrence TEXT NOT NULL,
    step TEXT NOT NULL, key TEXT NOT NULL, chunk INTEGER NOT NULL,
    action TEXT NOT NULL, path TEXT NOT NULL, idempotency_key TEXT NOT NULL, digest TEXT NOT NULL, payload TEXT NOT NULL,
    message_digest TEXT, recipients INTEGER, mass INTEGER NOT NULL,
    UNIQUE (platform, appid, plan, occurrence, step, key, chunk)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, call INTEGER NOT NULL REFERENCES calls (id), kind TEXT NOT NULL, at INTEGER NOT NULL,
    run_id TEXT NOT NULL, errcode INTEGER, note TEXT, msg_id TEXT, msg_data_id TEXT, result TEXT, body TEXT
);
CREATE INDEX events_of_call ON events (call);
CREATE INDEX attempts ON events (at) WHERE kind = 'attempted';
",
    // The sent bytes beside their hash.
    "ALTER TABLE events ADD COLUMN body_digest TEXT;",
    // A sync takes as long as there are pages to write: the events of a call stand together, in one tree. A body that is
    // the payload of its call is not kept twice: its hash says so.
    "
CREATE TABLE events_of_calls (
    call INTEGER NOT NULL REFERENCES calls (id), number INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL,
    run_id TEXT NOT NULL, errcode INTEGER, note TEXT, msg_id TEXT, msg_data_id TEXT, result TEXT, body TEXT, body_digest TEXT,
    PRIMARY KEY (call, number)
) WITHOUT ROWID;
INSERT INTO events_of_calls SELECT call, row_number() OVER (PARTITION BY call ORDER BY id), kind, at, run_id, errcode, note,
    msg_id, msg_data_id, result, body, body_digest FROM events;
DROP TABLE events;
ALTER TABLE events_of_calls RENAME TO events;
",
    // What was uploaded is found by its key.
    "CREATE INDEX uploads ON calls (idempotency_key) WHERE NOT mass;",
];

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its format; see [`FORMAT`].
    pub format: i64,
    /// What SQLite finds wrong with it.
    pub damage: Vec<String>,
}

/// A ledger file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: String,
    /// A commit was written and not synced.
    unsynced: bool,
}

impl Sqlite {
    /// Opens a store for writing, making it where there is none.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let name = path.display().to_string();
        let failed = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| LedgerError::Store {
            path: name.clone(),
            what: what.into(),
            source: Some(source),
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_folder(parent).map_err(|error| failed("cannot be made", error.into()))?;
        }
        // SQLite gives its side files the mode of the main file.
        private(path).map_err(|error| failed("cannot be opened for writing", error.into()))?;
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|error| failed("cannot be opened", error.into()))?;
        let mut store = Self { connection, path: name, unsynced: false };
        store.prepare()?;
        Ok(store)
    }

    /// Opens a store for reading; `None` if there is none yet.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, LedgerError> {
        if path.exists() { Self::open(path).map(Some) } else { Ok(None) }
    }

    /// Looks at a store without changing it; `None` if there is none yet.
    pub fn examine(path: &Path) -> Result<Option<Health>, LedgerError> {
        if !path.exists() {
            return Ok(None);
        }
        let name = path.display().to_string();
        let failed = |error| wrap(&name, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        let store = Self { connection, path: name.clone(), unsynced: false };
        let format = store.check_identity()?;
        let mut statement = store.connection.prepare("PRAGMA integrity_check(5)").map_err(failed)?;
        let said = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
        let said: Vec<String> = said.collect::<Result<_, _>>().map_err(failed)?;
        Ok(Some(Health { format, damage: said.into_iter().filter(|line| line != "ok").collect() }))
    }

    /// The format of a store that is ours and not newer than this version.
    fn check_identity(&self) -> Result<i64, LedgerError> {
        let (id, version) = self.identity()?;
        if id != 0 && id != APPLICATION_ID {
            return Err(self.damaged("it is a database of another program"));
        }
        if version > FORMAT {
            return Err(LedgerError::Newer { path: self.path.clone(), found: version, known: FORMAT });
        }
        Ok(version)
    }

    fn prepare(&mut self) -> Result<(), LedgerError> {
        self.connection.busy_timeout(Duration::from_secs(10)).map_err(|error| self.error(error))?;
        // Statements are planned once, and not again for each value that is bound to them.
        let stable = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        stable.map_err(|error| self.error(error))?;
        // The version is looked at before anything is written: a newer store stays as it is.
        let version = self.check_identity()?;
        // A commit writes whole pages, and its sync takes as long as there is to write: half of the usual size, which still holds any event whole. An older
        // store keeps its pages.
        let pragmas = "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 256; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
        self.connection.execute_batch(pragmas).map_err(|error| self.error(error))?;
        if version < FORMAT {
            let path = self.path.clone();
            let failed = |error| wrap(&path, error);
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            // Another process may have done it meanwhile.
            let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
            let tables: i64 =
                transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(failed)?;
            if version == 0 && tables > 0 {
                return Err(LedgerError::Damaged { path, what: "it holds tables and no format version".into() });
            }
            for change in CHANGES.iter().skip(usize::try_from(version).unwrap_or(0)) {
                transaction.execute_batch(change).map_err(failed)?;
            }
            let head = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};");
            transaction.execute_batch(&head).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(())
    }

    fn identity(&self) -> Result<(i64, i64), LedgerError> {
        let pragma = |name: &str| {
            self.connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
                .map_err(|error| self.error(error))
        };
        Ok((pragma("application_id")?, pragma("user_version")?))
    }

    fn error(&self, error: rusqlite::Error) -> LedgerError {
        wrap(&self.path, error)
    }

    fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn append_event(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| wrap(&path, error))?;
        let row = call_row(&transaction, scope, id).map_err(|error| wrap(&path, error))?;
        let row = row.ok_or_else(|| LedgerError::Damaged {
            path: path.clone(),
            what: format!("step `{}` has no call {}", id.step, id.chunk),
        })?;
        insert_event(&transaction, row, event).map_err(|error| wrap(&path, error))?;
        transaction.commit().map_err(|error| wrap(&path, error))
    }

    /// The calls of a scope, or of one of its steps.
    fn records(&self, scope: &Scope, step: Option<(&str, &str)>) -> Result<Vec<CallRecord>, LedgerError> {
        let columns =
            "id, step, key, chunk, action, path, idempotency_key, digest, payload, message_digest, recipients, mass";
        let of_scope = "platform = ?1 AND appid = ?2 AND plan = ?3 AND occurrence = ?4";
        let only = if step.is_some() { "AND step = ?5 AND key = ?6" } else { "" };
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {columns} FROM calls WHERE {of_scope} {only} ORDER BY id"))
            .map_err(|error| self.error(error))?;
        let (step, key) = step.unzip();
        let parameters: [&dyn ToSql; 6] = [&scope.platform, &scope.appid, &scope.plan, &scope.occurrence, &step, &key];
        let used = if step.is_some() { 6 } else { 4 };
        let rows = statement.query_map(&parameters[..used], |row| {
            let key: String = row.get(2)?;
            let id = CallId { step: row.get(1)?, key: Some(key).filter(|key| !key.is_empty()), chunk: row.get(3)? };
            let recipients: Option<i64> = row.get(10)?;
            Ok((
                row.get::<_, i64>(0)?,
                FrozenCall {
                    id,
                    action: row.get(4)?,
                    path: row.get(5)?,
                    idempotency_key: row.get(6)?,
                    digest: row.get(7)?,
                    payload: row.get(8)?,
                    message_digest: row.get(9)?,
                    recipients: recipients.and_then(|n| u64::try_from(n).ok()),
                    mass: row.get(11)?,
                },
            ))
        });
        let mut calls = Vec::new();
        for row in rows.map_err(|error| self.error(error))? {
            let (row, frozen) = row.map_err(|error| self.error(error))?;
            if Payload::from_raw(frozen.payload.clone()).digest() != frozen.digest {
                return Err(self.damaged(format!(
                    "call {} of step `{}` is not what its hash says",
                    frozen.id.chunk, frozen.id.step
                )));
            }
            let events = self.events(row, &frozen)?;
            let step = frozen.id.step.clone();
            calls.push(
                CallRecord::new(frozen, events).map_err(|illegal| self.damaged(format!("step `{step}`: {illegal}")))?,
            );
        }
        Ok(calls)
    }

    fn events(&self, call: i64, frozen: &FrozenCall) -> Result<Vec<Event>, LedgerError> {
        let id = &frozen.id;
        let mut statement = (self.connection)
            .prepare_cached("SELECT kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest FROM events WHERE call = ?1 ORDER BY number")
            .map_err(|error| self.error(error))?;
        let rows = statement.query_map([call], |row| {
            let (kind, at): (String, i64) = (row.get(0)?, row.get(1)?);
            let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
            Ok((
                kind,
                at,
                row.get::<_, Option<String>>(9)?,
                Event {
                    kind: Kind::Unknown,
                    at: Timestamp::UNIX_EPOCH,
                    run_id: row.get(2)?,
                    errcode: row.get(3)?,
                    note: row.get(4)?,
                    msg_id: number(row.get(5)?),
                    msg_data_id: number(row.get(6)?),
                    result: row.get(7)?,
                    body: row.get(8)?,
                },
            ))
        });
        let mut events = Vec::new();
        for row in rows.map_err(|error| self.error(error))? {
            let (name, at, hash, mut event): (String, _, _, _) = row.map_err(|error| self.error(error))?;
            if event.body.is_none() && hash.as_ref() == Some(&frozen.digest) {
                event.body = Some(frozen.payload.clone());
            }
            // Format 1 had no hashes.
            if let (Some(body), Some(hash)) = (&event.body, &hash)
                && payload::digest(body.as_bytes()) != *hash
            {
                return Err(self.damaged(format!("what was sent of step `{}` is not what its hash says", id.step)));
            }
            let kind = Kind::from_name(&name)
                .ok_or_else(|| self.damaged(format!("step `{}` has an event `{name}`", id.step)))?;
            let at = Timestamp::from_millisecond(at)
                .map_err(|_| self.damaged(format!("step `{}` has an event at no time", id.step)))?;
            events.push(Event { kind, at, ..event });
        }
        // What WeChat has is not sent again: a million people need not be in memory twice. What was put into its slots is
        // kept, for it says which draft was sent.
        if frozen.mass && events.last().is_some_and(|event| matches!(event.kind, Kind::Accepted | Kind::Adopted)) {
            let twice = |event: &&mut Event| event.body.as_ref() == Some(&frozen.payload);
            events.iter_mut().filter(twice).for_each(|event| event.body = None);
        }
        Ok(events)
    }
}

fn wrap(path: &str, error: rusqlite::Error) -> LedgerError {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    let path = path.to_owned();
    let what = match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            return LedgerError::Damaged { path, what: error.to_string() };
        }
        Some(ErrorCode::DiskFull) => "cannot be written: the disk is full",
        Some(ErrorCode::ReadOnly) => "cannot be written: it is read-only",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "is in use by another process",
        Some(ErrorCode::SystemIoFailure) => "cannot be read or written",
        _ => "failed",
    };
    LedgerError::Store { path, what: what.into(), source: Some(Box::new(error)) }
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map(drop)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<()> {
    fs::OpenOptions::new().read(true).append(true).create(true).open(path).map(drop)
}

/// The folder of the state keeps itself out of git.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    if folder.file_name().is_some_and(|name| name == ".qunfa") {
        fs::write(folder.join(".gitignore"), "*\n")?;
    }
    Ok(())
}

fn insert_event(transaction: &Transaction<'_>, call: i64, event: &Event) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO events (call, number, kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest)
             VALUES (?1, (SELECT ifnull(max(number), 0) + 1 FROM events WHERE call = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
             nullif(?10, (SELECT payload FROM calls WHERE id = ?1)), ?11)",
        )?
        .execute(params![
            call, event.kind.name(), event.at.as_millisecond(), event.run_id, event.errcode, event.note,
            event.msg_id.map(|id| id.to_string()), event.msg_data_id.map(|id| id.to_string()), event.result, event.body,
            event.body.as_ref().map(|body| payload::digest(body.as_bytes())),
        ])
        .map(drop)
}

/// A new row; `or_else` says what happens if there is one.
fn insert_call(transaction: &Transaction<'_>, scope: &Scope, call: &FrozenCall, or_else: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(&format!("INSERT INTO calls (platform, appid, plan, occurrence, step, key, chunk, action, path, idempotency_key, digest, payload, message_digest, recipients, mass) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15){or_else}"))?
        .execute(params![
            scope.platform, scope.appid, scope.plan, scope.occurrence, call.id.step, call.id.key.as_deref().unwrap_or(""), call.id.chunk,
            call.action, call.path, call.idempotency_key, call.digest, call.payload, call.message_digest,
            call.recipients.and_then(|n| i64::try_from(n).ok()), call.mass,
        ])
        .map(drop)
}

fn call_row(transaction: &Transaction<'_>, scope: &Scope, id: &CallId) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT id FROM calls WHERE platform = ?1 AND appid = ?2 AND plan = ?3 AND occurrence = ?4 AND step = ?5 AND key = ?6 AND chunk = ?7")?
        .query_row(params![scope.platform, scope.appid, scope.plan, scope.occurrence, id.step, id.key.as_deref().unwrap_or(""), id.chunk], |row| row.get(0))
        .optional()
}

impl Ledger for Sqlite {
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
        self.records(scope, None)
    }

    fn freeze(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let known = self.records(scope, Some((&first.step, first.key.as_deref().unwrap_or(""))))?;
        let settled =
            |record: &CallRecord| matches!(record.status, Status::Planned | Status::Refused | Status::NotSent);
        if !known.iter().all(settled) {
            let what = format!("step `{}` was changed by another process", first.step);
            return Err(LedgerError::Damaged { path, what });
        }
        let write = |transaction: &Transaction<'_>| -> rusqlite::Result<()> {
            let key = first.key.as_deref().unwrap_or("");
            let of_step = "platform = ?1 AND appid = ?2 AND plan = ?3 AND occurrence = ?4 AND step = ?5 AND key = ?6";
            let parameters = params![scope.platform, scope.appid, scope.plan, scope.occurrence, first.step, key];
            if known.is_empty() {
                // The usual case: nothing was there, and nothing is left over.
                calls.iter().try_for_each(|call| insert_call(transaction, scope, call, ""))?;
                let row = call_row(transaction, scope, first)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                return insert_event(transaction, row, attempt);
            }
            // Calls whose attempts all provably came to nothing are planned anew; their history stays with them where
            // the number of the call is still there.
            let never = "NOT EXISTS (SELECT 1 FROM events WHERE call = calls.id)";
            transaction
                .prepare_cached(&format!("DELETE FROM calls WHERE {of_step} AND {never}"))?
                .execute(parameters)?;
            let again = " ON CONFLICT DO UPDATE SET action = ?8, path = ?9, digest = ?11, payload = ?12, message_digest = ?13, recipients = ?14";
            calls.iter().try_for_each(|call| insert_call(transaction, scope, call, again))?;
            // Fewer calls than before: what is left over was refused or never left, and is no part of the step any more.
            let count = i64::try_from(calls.len()).unwrap_or(i64::MAX);
            for left_over in [
                format!("DELETE FROM events WHERE call IN (SELECT id FROM calls WHERE {of_step} AND chunk > ?7)"),
                format!("DELETE FROM calls WHERE {of_step} AND chunk > ?7"),
            ] {
                transaction.prepare_cached(&left_over)?.execute(params![
                    scope.platform,
                    scope.appid,
                    scope.plan,
                    scope.occurrence,
                    first.step,
                    key,
                    count
                ])?;
            }
            let row = call_row(transaction, scope, first)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            insert_event(transaction, row, attempt)
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| wrap(&path, error))?;
        write(&transaction).map_err(|error| wrap(&path, error))?;
        transaction.commit().map_err(|error| wrap(&path, error))
    }

    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let failed = |error| wrap(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        calls.iter().try_for_each(|call| insert_call(&transaction, scope, call, "")).map_err(failed)?;
        let row = call_row(&transaction, scope, first).map_err(failed)?;
        let row = row.ok_or(rusqlite::Error::QueryReturnedNoRows).map_err(failed)?;
        insert_event(&transaction, row, attempt).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError> {
        let accepted =
            "EXISTS (SELECT 1 FROM events e WHERE e.call = c.id AND e.kind = 'accepted' AND e.result IS NOT NULL)";
        let call = self
            .connection
            .prepare_cached(&format!(
                "SELECT c.id, c.digest, c.payload FROM calls c WHERE c.idempotency_key = ?1 AND NOT c.mass AND c.platform = ?2
                 AND c.appid = ?3 AND {accepted} ORDER BY c.id DESC LIMIT 1"
            ))
            .and_then(|mut statement| {
                let found = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                statement.query_row(params![key, platform, appid], found).optional()
            });
        let Some((row, digest, payload)) = call.map_err(|error| self.error(error))? else { return Ok(None) };
        let frozen = FrozenCall {
            id: CallId { step: "an upload".into(), key: None, chunk: 1 },
            action: String::new(),
            path: String::new(),
            idempotency_key: key.to_owned(),
            digest,
            payload,
            message_digest: None,
            recipients: None,
            mass: false,
        };
        let events = self.events(row, &frozen)?;
        Ok(events.into_iter().rev().find(|event| event.kind == Kind::Accepted && event.result.is_some()))
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        if self.unsynced {
            let wal = fs::File::open(format!("{}-wal", self.path)).and_then(|wal| wal.sync_data());
            wal.map_err(|error| LedgerError::Store {
                path: self.path.clone(),
                what: "cannot be written".into(),
                source: Some(error.into()),
            })?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        let path = self.path.clone();
        // Without a sync of its own: the sync of the next commit is one of the whole log.
        let later = matches!(event.kind, Kind::Accepted | Kind::Adopted);
        if later {
            self.connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(|error| wrap(&path, error))?;
        }
        let appended = self.append_event(scope, id, event);
        if later {
            self.unsynced = true;
            self.connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| wrap(&path, error))?;
        }
        appended
    }

    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let mut statement = self.connection
            .prepare_cached("SELECT e.at FROM events e JOIN calls c ON c.id = e.call WHERE e.kind = 'attempted' AND e.at >= ?1 AND c.mass AND c.platform = ?2 AND c.appid = ?3 ORDER BY e.at")
            .map_err(|error| self.error(error))?;
        let rows = statement
            .query_map(params![since.as_millisecond(), platform, appid], |row| row.get::<_, i64>(0))
            .map_err(|error| self.error(error))?;
        let times: Result<Vec<i64>, _> = rows.collect();
        Ok(times
            .map_err(|error| self.error(error))?
            .into_iter()
            .filter_map(|at| Timestamp::from_millisecond(at).ok())
            .collect())
    }

    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT c.action, c.payload, e.at FROM events e JOIN calls c ON c.id = e.call
                 WHERE e.kind IN ('accepted', 'adopted', 'resolved_sent') AND e.at >= ?1 AND c.platform = ?2 AND c.appid = ?3",
            )
            .map_err(|error| self.error(error))?;
        let rows = statement
            .query_map(params![since.as_millisecond(), platform, appid], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?))
            })
            .map_err(|error| self.error(error))?;
        let mut usage = Vec::new();
        for row in rows {
            let (action, payload, at) = row.map_err(|error| self.error(error))?;
            let spec = crate::plan::action::SPECS.iter().find(|spec| spec.name == action);
            let at = Timestamp::from_millisecond(at).map_err(|_| self.damaged("a call was accepted at no time"))?;
            usage.extend(spec.map(|spec| Usage { effect: spec.effect, payload, at }));
        }
        Ok(usage)
    }

    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT c.occurrence, sum(c.recipients), max(c.id) AS last FROM calls c
                 JOIN events e ON e.call = c.id AND e.kind IN ('accepted', 'adopted', 'resolved_sent')
                 WHERE c.platform = ?1 AND c.appid = ?2 AND c.plan = ?3 AND c.occurrence <> ?4 AND c.step = ?5 AND c.key = ?6
                 AND c.recipients IS NOT NULL GROUP BY c.occurrence ORDER BY last DESC LIMIT 1",
            )
            .and_then(|mut statement| {
                let parameters =
                    params![scope.platform, scope.appid, scope.plan, scope.occurrence, step, key.unwrap_or("")];
                let edition = |row: &rusqlite::Row<'_>| {
                    let recipients: i64 = row.get(1)?;
                    Ok(Edition { occurrence: row.get(0)?, recipients: u64::try_from(recipients).unwrap_or(0) })
                };
                statement.query_row(parameters, edition).optional()
            })
            .map_err(|error| self.error(error))
    }

    fn begin_run(
        &mut self,
        scope: &Scope,
        run_id: &str,
        path: &str,
        digest: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        (self.connection)
            .execute(
                "INSERT INTO runs (run_id, platform, appid, plan, occurrence, path, digest, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![run_id, scope.platform, scope.appid, scope.plan, scope.occurrence, path, digest, at.as_millisecond()],
            )
            .map(drop)
            .map_err(|error| self.error(error))
    }

    fn end_run(&mut self, run_id: &str, report: &str) -> Result<(), LedgerError> {
        self.connection
            .execute("UPDATE runs SET report = ?2 WHERE run_id = ?1", params![run_id, report])
            .map(drop)
            .map_err(|error| self.error(error))
    }

    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError> {
        let mut statement = (self.connection)
            .prepare_cached("SELECT run_id, started_at, report, platform, occurrence, path, digest FROM runs WHERE appid = ?1 AND plan = ?2 ORDER BY started_at DESC, rowid DESC")
            .map_err(|error| self.error(error))?;
        let rows = statement
            .query_map(params![appid, plan], |row| {
                let record = RunRecord {
                    run_id: row.get(0)?,
                    started_at: Timestamp::UNIX_EPOCH,
                    report: row.get(2)?,
                    platform: row.get(3)?,
                    occurrence: row.get(4)?,
                    path: row.get(5)?,
                    digest: row.get(6)?,
                };
                Ok((record, row.get::<_, i64>(1)?))
            })
            .map_err(|error| self.error(error))?;
        let mut runs = Vec::new();
        for row in rows {
            let (record, at) = row.map_err(|error| self.error(error))?;
            let started_at = Timestamp::from_millisecond(at).map_err(|_| self.damaged("a run began at no time"))?;
            runs.push(RunRecord { started_at, ..record });
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope { platform: "sandbox".into(), appid: "wx1".into(), plan: "p".into(), occurrence: "once".into() }
    }

    fn call(chunk: u32) -> FrozenCall {
        let id = CallId { step: "s".into(), key: None, chunk };
        FrozenCall {
            id,
            action: "send_by_openid".into(),
            path: "/p".into(),
            idempotency_key: "k".into(),
            digest: Payload::from_raw("{}".into()).digest().to_owned(),
            payload: "{}".into(),
            message_digest: None,
            recipients: Some(2),
            mass: true,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sub/state.db");
        let mut store = Sqlite::open(&path).expect("opens");
        let calls = [call(1), call(2)];
        let mut attempt = Event::new(Kind::Attempted, at(10), "r1");
        attempt.body = Some("{}".into());
        store.freeze(&scope(), &calls, &calls[0].id, &attempt).expect("writes");
        let mut accepted = Event::new(Kind::Accepted, at(11), "r1");
        accepted.msg_id = Some(9_007_199_254_740_993);
        store.append(&scope(), &calls[0].id, &accepted).expect("writes");
        drop(store);
        let store = Sqlite::open_existing(&path).expect("opens").expect("is there");
        let records = store.calls(&scope()).expect("reads");
        assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [Status::Accepted, Status::Planned]);
        assert_eq!(records[0].acceptance().and_then(|event| event.msg_id), Some(9_007_199_254_740_993));
        assert_eq!(store.mass_attempts("sandbox", "wx1", at(10)).expect("reads"), [at(10)]);
        assert!(store.mass_attempts("wechat", "wx1", at(0)).expect("reads").is_empty());
    }

    #[test]
    fn a_step_that_was_sent_is_not_frozen_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Sqlite::open(&folder.path().join("state.db")).expect("opens");
        let calls = [call(1)];
        store.freeze(&scope(), &calls, &calls[0].id, &Event::new(Kind::Attempted, at(1), "r")).expect("writes");
        store.append(&scope(), &calls[0].id, &Event::new(Kind::Accepted, at(2), "r")).expect("writes");
        let again = store.freeze(&scope(), &calls, &calls[0].id, &Event::new(Kind::Attempted, at(3), "r"));
        assert!(matches!(again, Err(LedgerError::Damaged { .. })));
    }

    #[test]
    fn an_older_format_is_brought_up_to_date() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        let old = Connection::open(&path).expect("opens");
        old.execute_batch(&format!(
            "{} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;",
            CHANGES[0]
        ))
        .expect("writes");
        let payload = Payload::from_raw("{}".into());
        let digest = payload.digest();
        old.execute_batch(&format!(
            "INSERT INTO calls VALUES (1, 'sandbox', 'wx1', 'p', 'once', 's', '', 1, 'send_by_openid', '/p', 'k', '{digest}', '{{}}', NULL, 2, 1);
             INSERT INTO events (call, kind, at, run_id, body) VALUES (1, 'attempted', 1000, 'r', '{{}}');"
        ))
        .expect("writes");
        drop(old);
        let mut store = Sqlite::open(&path).expect("opens");
        assert_eq!(store.identity().expect("reads"), (APPLICATION_ID, FORMAT));
        let records = store.calls(&scope()).expect("reads");
        assert_eq!(records[0].sent_body(), Some("{}"), "what was known is known");
        store.append(&scope(), &call(1).id, &Event::new(Kind::Accepted, at(2), "r")).expect("writes");
        assert_eq!(store.calls(&scope()).expect("reads")[0].sent_body(), None, "what was accepted is not sent again");
    }

    #[test]
    fn bytes_that_are_not_what_their_hash_says_are_damage() {
        for change in ["UPDATE calls SET payload = '{\"a\":1}'", "UPDATE events SET body = '{\"a\":1}'"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("state.db");
            let mut store = Sqlite::open(&path).expect("opens");
            let mut attempt = Event::new(Kind::Attempted, at(1), "r");
            attempt.body = Some("{}".into());
            store.freeze(&scope(), &[call(1)], &call(1).id, &attempt).expect("writes");
            assert!(store.calls(&scope()).is_ok());
            store.connection.execute_batch(change).expect("writes");
            assert!(matches!(store.calls(&scope()), Err(LedgerError::Damaged { .. })), "{change}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        let mut store = Sqlite::open(&path).expect("opens");
        store.begin_run(&scope(), "r", "p.yaml", "sha256:x", at(1)).expect("writes");
        for name in ["state.db", "state.db-wal"] {
            let mode = fs::metadata(folder.path().join(name)).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn newer_foreign_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        drop(Sqlite::open(&path).expect("opens"));
        Connection::open(&path).expect("opens").execute_batch("PRAGMA user_version = 99").expect("writes");
        assert!(matches!(Sqlite::open(&path), Err(LedgerError::Newer { found: 99, .. })));
        fs::write(&path, "this is no database, and it is longer than a header would be, for sure it is")
            .expect("writes");
        assert!(matches!(Sqlite::open(&path), Err(LedgerError::Damaged { .. })));
    }
}
