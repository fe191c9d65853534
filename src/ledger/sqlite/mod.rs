//! The ledger in SQLite: one file, mode 0600, WAL with `synchronous=FULL`, so that what is committed survives a power cut.
//!
//! Rule for changes of the format: `user_version` counts up with every change, and `CHANGES` holds how each format is
//! made from the one before; nothing is ever removed or given another meaning. A version of qunfa brings every older
//! format up to date in one transaction, and refuses every newer one without touching it.
//!
//! What can be sent again is kept beside its SHA-256, and looked at when it is read: damage that SQLite itself does not
//! notice is never sent.
#![expect(clippy::disallowed_methods, reason = "this module is an adapter: it owns the files of the state")]

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, config::DbConfig, params};

pub(crate) use self::files::make_folder;
use self::{
    fault::Fault,
    files::{Identity, beside, check_place, create_private, ours, place, reason, sync_folder},
    lock::Lock,
};
use super::{
    AccountRun, CallId, CallRecord, Edition, EditionCall, Ending, Event, EventKind, FrozenCall, Ledger, LedgerError,
    Observation, RunRecord, Scope, Usage,
    name::is_address,
    parts::Sink,
    store::{Health, WriteError},
};
use crate::{
    limits,
    locale::{Phrase, say},
};

mod copy;
mod fault;
mod files;
mod lock;
mod reads;
pub(crate) mod store;
mod tokens;
mod writes;

/// The format that this version writes.
pub const FORMAT: i64 = CHANGES.len() as i64;
/// `PRAGMA synchronous`: each commit is synced.
const FULL: i64 = 2;
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
    // What a call does to the world by its name, so that nobody needs to know the actions of the version that wrote it. A call
    // of another action than there were by then, which was no mass call, has a name that is none.
    "
ALTER TABLE calls ADD COLUMN effect TEXT;
UPDATE calls SET effect = CASE action
    WHEN 'send_by_tag' THEN 'mass' WHEN 'send_by_openid' THEN 'mass' WHEN 'preview' THEN 'preview' WHEN 'delete' THEN 'delete'
    WHEN 'check' THEN 'read' WHEN 'set_speed' THEN 'setting' WHEN 'upload_image' THEN 'media'
    WHEN 'upload_material' THEN 'media' WHEN 'create_draft' THEN 'media'
    ELSE CASE WHEN mass THEN 'mass' ELSE 'that of ' || action END END;
",
    // How often an account had a writer. The last one alone writes, even if the file of its lock was deleted.
    "CREATE TABLE writers (appid TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;",
    // The events `given_up` and `named`, which an older version would take for damage: no other change.
    "",
    // A message that was sent under another name is found by its digest.
    "CREATE INDEX messages ON calls (message_digest) WHERE mass;",
    // Where the ledger is kept, by which a copy is told from it.
    "CREATE TABLE home (path TEXT NOT NULL);",
    // How a run ended, so that nobody reads reports to know it.
    "ALTER TABLE runs ADD COLUMN outcome TEXT; ALTER TABLE runs ADD COLUMN exit_code INTEGER;",
    // What WeChat says about an account apart from the calls. The same thing is kept once.
    "
CREATE TABLE observations (
    number INTEGER PRIMARY KEY, platform TEXT NOT NULL, appid TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    at INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL, UNIQUE (platform, appid, kind, subject, digest)
);
",
    // The effects `publish` and `unpublish`, and `adopted` after `unknown`, which an older version would take for damage: no other
    // change.
    "",
];

#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// As messages name it.
    path: String,
    /// Absolute, and through no link.
    file: PathBuf,
    /// A commit was written and not synced.
    unsynced: bool,
    /// None when the store is read. It is given up after the file is closed.
    held: Option<Held>,
}

/// What makes it the writer of an account.
#[derive(Debug)]
struct Held {
    _lock: Lock,
    appid: String,
    /// Which writer of the account it is, from 1.
    number: i64,
    /// The files that are written, by their names.
    files: Vec<(PathBuf, Identity)>,
}

impl Held {
    /// Whether nobody else writes, and what is written is found by its name.
    fn check(&self, transaction: &Transaction<'_>) -> Result<(), Fault> {
        let gone = |(path, identity): &&(PathBuf, Identity)| Identity::at(path).ok().as_ref() != Some(identity);
        if let Some((path, _)) = self.files.iter().find(gone) {
            return Err(Fault::Conflict(say!(
                "{path} was deleted or replaced while in use",
                path = path.display().to_string()
            )));
        }
        let last = transaction
            .prepare_cached("SELECT number FROM writers WHERE appid = ?1")?
            .query_row([&self.appid], |row| row.get::<_, i64>(0))
            .optional()?;
        if last != Some(self.number) {
            return Err(Fault::Conflict(say!(
                "another run has taken over the account, because this run's lock file was deleted or replaced"
            )));
        }
        Ok(())
    }
}

impl Sqlite {
    /// Opens a ledger, making it where there is none; who writes it needs the lock, which its store takes.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let name = path.display().to_string();
        let place = place(path).map_err(|error| unusable(&name, &error))?;
        Self::open_at(&place, name)
    }

    /// Opens the ledger of a place, which is absolute and through no link: no name of it can be a URI or memory for SQLite, of
    /// which a build may understand such names. `name` is for messages.
    fn open_at(place: &Path, name: String) -> Result<Self, LedgerError> {
        make_file(place).map_err(|error| unusable(&name, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Self::connect(place, name, flags)?;
        if store.connection.is_readonly("main").map_err(|error| store.error(error))? {
            let what = say!("cannot be opened for writing");
            return Err(LedgerError::Store { path: store.path, what, source: None });
        }
        store.prepare()?;
        Ok(store)
    }

    fn connect(place: &Path, name: String, flags: OpenFlags) -> Result<Self, LedgerError> {
        let connection = Connection::open_with_flags(place, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW)
            .map_err(|error| wrap(&name, error))?;
        let file = place.to_owned();
        let mut store = Self { connection, path: name, file, unsynced: false, held: None };
        let waits = match PATIENCE.get() {
            Some(_) => store.connection.busy_handler(Some(goes_on)),
            None => store.connection.busy_timeout(limits::STORE_BUSY),
        };
        waits.map_err(|error| store.error(error))?;
        Ok(store)
    }

    /// Looks at a ledger without changing it.
    fn examine(place: &Path, name: String) -> Result<Health, LedgerError> {
        check_files(place).map_err(|error| unusable(&name, &error))?;
        let store = Self::connect(place, name, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let format = store.check_identity()?;
        let damage = store.damage(format).map_err(|error| store.error(error))?;
        Ok(Health { format, newest: FORMAT, damage, warnings: Vec::new(), about: None })
    }

    /// Refuses a ledger that is damaged, before anything is decided by what it says.
    fn check(&self) -> Result<(), LedgerError> {
        match self.damage(FORMAT).map_err(|error| self.error(error))?.into_iter().next() {
            Some(what) => Err(self.damaged(what)),
            None => Ok(()),
        }
    }

    /// What is wrong with the file: its pages, its indexes, which must say what the tables say, rows of nothing, and whatever
    /// is in it besides what this version makes (a trigger, say, by which an intent is not written).
    fn damage(&self, format: i64) -> rusqlite::Result<Vec<Phrase>> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(5)")?;
        let said = statement.query_map([], |row| row.get::<_, String>(0))?;
        let said: Vec<String> = said.collect::<Result<_, _>>()?;
        // Its first line may name the database, which is the only one.
        let finding = |line: &String| line.trim_start_matches("*** in database main ***").trim_start().to_owned();
        let findings = said.iter().map(finding).filter(|line| line != "ok");
        let mut damage: Vec<Phrase> = findings.map(|words| say!("SQLite reports: {words}", words)).collect();
        if format == FORMAT && damage.is_empty() {
            let made = Connection::open_in_memory()?;
            made.execute_batch(&CHANGES.concat())?;
            let (found, made) = (schema(&self.connection)?, schema(&made)?);
            let strange = found.iter().find(|part| !made.contains(part)).map(|(name, _)| name);
            let missing =
                || made.iter().map(|(name, _)| name).find(|name| !found.iter().any(|(other, _)| other == *name));
            if let Some(name) = strange {
                damage.push(say!("it contains `{name}`, which is not as qunfa creates it", name));
            } else if let Some(name) = missing() {
                damage.push(say!("`{name}` is missing from it", name));
            }
            let mut statement = self.connection.prepare("PRAGMA foreign_key_check")?;
            if statement.exists([])? {
                damage.push(say!("it has an event for a missing call"));
            }
        }
        Ok(damage)
    }

    /// Becomes the writer of an account, whose lock was taken: who was it before writes nothing any more.
    fn hold(&mut self, lock: Lock, place: &Path, appid: &str) -> Result<(), LedgerError> {
        // Needs no sync of its own: a power cut ends all writers.
        let count = "INSERT INTO writers VALUES (?1, 1) ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number";
        let counted = self.later(|store| {
            store.connection.query_row(count, [appid], |row| row.get(0)).map_err(|error| store.error(error))
        });
        let number: i64 = counted?;
        let files = [place.to_owned(), beside(place, "-wal")].into_iter();
        let files: Result<Vec<_>, _> = files.map(|path| Ok((path.clone(), Identity::at(&path)?))).collect();
        let files = files.map_err(|error| unusable(&self.path, &error))?;
        self.held = Some(Held { _lock: lock, appid: appid.to_owned(), number, files });
        Ok(())
    }

    /// Notes where the ledger is kept. If it was kept elsewhere and is still there, it is a copy. Unless this one is `meant`, it
    /// is not used when the other has sends of the account that it does not know: then where the other is.
    fn settle(&mut self, place: &Path, meant: bool) -> Result<Option<String>, LedgerError> {
        let here = place.to_string_lossy().into_owned();
        let home = self.connection.query_row("SELECT path FROM home", [], |row| row.get::<_, String>(0)).optional();
        let home = home.map_err(|error| self.error(error))?;
        if home.as_ref() == Some(&here) {
            return Ok(None);
        }
        if let Some(server) = home.as_ref().filter(|home| !meant && is_address(home)) {
            return Ok(Some(server.clone()));
        }
        let still_there = |home: &String| match (Identity::at(Path::new(home)), Identity::at(place)) {
            (Ok(home), Ok(this)) => home != this,
            _ => false,
        };
        let appid = self.held.as_ref().map(|held| held.appid.clone()).unwrap_or_default();
        // What is there now need not be a ledger.
        let other = |home: &String| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Self::connect(Path::new(home), home.clone(), flags).ok()?.attempted(&appid).ok()
        };
        let home = home.filter(|home| !meant && still_there(home));
        if let Some((home, other)) = home.and_then(|home| other(&home).map(|other| (home, other))) {
            let own = self.attempted(&appid).map_err(|error| self.error(error))?;
            return Ok((!other.is_subset(&own)).then_some(home));
        }
        self.later(|store| store.note_home(&here))?;
        Ok(None)
    }

    /// Makes sure that this is the ledger that is used: where it went, if it was copied to a server and nobody means this one.
    fn stay(&mut self, place: &Path, meant: bool) -> Result<Option<String>, LedgerError> {
        let home = self.connection.query_row("SELECT path FROM home", [], |row| row.get::<_, String>(0)).optional();
        let moved = home.map_err(|error| self.error(error))?.filter(|home| is_address(home));
        if moved.is_some() && meant {
            self.later(|store| store.note_home(&place.to_string_lossy()))?;
            return Ok(None);
        }
        Ok(moved)
    }

    /// Notes where the ledger is kept from now on: a path, or the address of a server.
    fn note_home(&mut self, home: &str) -> Result<(), LedgerError> {
        self.write(|transaction| Ok(writes::note_home(transaction, home)?))
    }

    /// Gives everything away: nobody writes meanwhile, and afterwards it is known where it went.
    fn move_to(
        &mut self,
        to: &str,
        lock: impl FnOnce(Vec<String>) -> Result<Vec<Lock>, WriteError>,
        take: &mut Sink<'_>,
    ) -> Result<(), WriteError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| told(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let accounts = copy::accounts(&transaction).map_err(|fault| told(&path, fault))?;
        let _locks = lock(accounts)?;
        copy::each_part(&transaction, take).map_err(|fault| told(&path, fault))??;
        writes::note_home(&transaction, to).map_err(failed)?;
        Ok(transaction.commit().map_err(failed)?)
    }

    fn each_part(&self, take: &mut Sink<'_>) -> Result<(), LedgerError> {
        copy::each_part(&self.connection, take).map_err(|fault| self.error(fault))?
    }

    /// All of another ledger, or nothing of it.
    fn fill(&mut self, give: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| told(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if !copy::is_empty(&transaction).map_err(|fault| told(&path, fault))? {
            return Err(WriteError::Filled { path });
        }
        give(&mut |part| copy::insert(&transaction, part).map_err(|fault| told(&path, fault)))?;
        transaction.commit().map_err(failed)?;
        Ok(())
    }

    /// The mass calls of an account that were attempted, by platform and key.
    fn attempted(&self, appid: &str) -> rusqlite::Result<HashSet<(String, String)>> {
        let attempted = "EXISTS (SELECT 1 FROM events e WHERE e.call = calls.id AND e.kind = 'attempted')";
        let mut statement = self.connection.prepare(&format!(
            "SELECT platform, idempotency_key FROM calls WHERE mass AND appid = ?1 AND {attempted}"
        ))?;
        let sent = statement.query_map([appid], |row| Ok((row.get(0)?, row.get(1)?)))?;
        sent.collect()
    }

    /// A write without a sync of its own: the sync of the next commit is one of the whole log.
    fn later<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(|error| self.error(error))?;
        let written = write(self);
        self.unsynced = true;
        self.connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| self.error(error))?;
        written
    }

    /// The format of a store that is ours and not newer than this version.
    fn check_identity(&self) -> Result<i64, LedgerError> {
        let (id, version) = self.identity()?;
        if id != 0 && id != APPLICATION_ID {
            return Err(self.damaged(say!("it is a database of another program")));
        }
        if version > FORMAT {
            return Err(LedgerError::Newer { path: self.path.clone(), found: version, known: FORMAT });
        }
        Ok(version)
    }

    fn prepare(&mut self) -> Result<(), LedgerError> {
        // Statements are planned once, and not again for each value that is bound to them.
        let stable = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        stable.map_err(|error| self.error(error))?;
        // The version is looked at before anything is written: a newer store stays as it is.
        let version = self.check_identity()?;
        // A commit writes whole pages, and its sync takes as long as there is to write: half of the usual size, which still holds any event whole. An older
        // store keeps its pages.
        let pragmas = "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 256; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
        self.connection.execute_batch(pragmas).map_err(|error| self.error(error))?;
        self.check_durability()?;
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
                return Err(LedgerError::Damaged { path, what: say!("it has tables but no format version") });
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

    /// What was asked for need not be what there is: in memory, or on a disk of the network, there is no such log.
    fn check_durability(&self) -> Result<(), LedgerError> {
        let pragma = |name: &str| format!("PRAGMA {name}");
        let journal: String = (self.connection)
            .query_row(&pragma("journal_mode"), [], |row| row.get(0))
            .map_err(|error| self.error(error))?;
        let synchronous: i64 = (self.connection)
            .query_row(&pragma("synchronous"), [], |row| row.get(0))
            .map_err(|error| self.error(error))?;
        if journal != "wal" || synchronous != FULL {
            let what = say!(
                "cannot be stored safely (journal `{journal}`, synchronous {synchronous}); use a disk of this machine",
                journal,
                synchronous
            );
            return Err(LedgerError::Store { path: self.path.clone(), what, source: None });
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

    fn error(&self, fault: impl Into<Fault>) -> LedgerError {
        told(&self.path, fault)
    }

    fn damaged(&self, what: Phrase) -> LedgerError {
        self.error(Fault::Damaged(what))
    }

    /// All of it or nothing; nobody else writes meanwhile.
    fn write(&mut self, change: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>) -> Result<(), LedgerError> {
        let path = &self.path;
        let failed = |error: rusqlite::Error| told(path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let alone = self.held.as_ref().map_or(Ok(()), |held| held.check(&transaction));
        alone.and_then(|()| change(&transaction)).map_err(|fault| told(path, fault))?;
        transaction.commit().map_err(failed)
    }
}

/// Makes the file of a ledger where there is none, so that a power cut does not lose it, and looks at those that are there. None
/// is opened: with the closing of any, SQLite's own locks of it would be gone from this process.
fn make_file(place: &Path) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    match create_private(place) {
        // SQLite gives its side files the mode of the main file.
        Ok(_) => {
            sync_folder(folder)?;
            folder.parent().map_or(Ok(()), sync_folder)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // Of a folder that cannot be written, what is there may still be read.
        Err(error) if fs::symlink_metadata(place).is_err() => return Err(error),
        Err(_) => {}
    }
    check_files(place)
}

fn check_files(place: &Path) -> io::Result<()> {
    check_place(place)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        let path = beside(place, suffix);
        check_place(&path)
            .map_err(|error| ours(say!("{path}: {why}", path = path.display().to_string(), why = reason(&error))))?;
    }
    Ok(())
}

fn unusable(name: &str, error: &io::Error) -> LedgerError {
    LedgerError::Store {
        path: name.to_owned(),
        what: say!("cannot be opened: {why}", why = reason(error)),
        source: None,
    }
}

/// All that a database holds besides its rows, by name; not what it notes about itself to plan queries.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let parts = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'";
    let mut statement = connection.prepare(parts)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn told(path: &str, fault: impl Into<Fault>) -> LedgerError {
    let path = path.to_owned();
    match fault.into() {
        Fault::Sql(error) => wrap(&path, error),
        Fault::Damaged(what) => LedgerError::Damaged { path, what },
        Fault::Conflict(what) => LedgerError::Conflict { path, what },
    }
}

/// How this process waits for another one that writes to a store: it is told how long it has waited and how long to wait now, and
/// says whether it goes on.
pub(super) type Patience = fn(Duration, Duration) -> bool;

static PATIENCE: OnceLock<Patience> = OnceLock::new();
/// The last wait ended because somebody asked to stop.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on, waits before a run begins are waited like this; without it, nothing ends them but time.
pub(super) fn wait_with(patience: Patience) {
    PATIENCE.get_or_init(|| patience);
}

/// Whether a wait goes on that was waited so many times: a write takes milliseconds.
fn goes_on(times: i32) -> bool {
    const SHORT: Duration = Duration::from_millis(5);
    const SHORTS: u32 = 20;
    let times = times.unsigned_abs();
    let waited = SHORT * times.min(SHORTS) + limits::LOCK_LOOK * times.saturating_sub(SHORTS);
    let pause = if times < SHORTS { SHORT } else { limits::LOCK_LOOK };
    let waits = waited < limits::STORE_BUSY;
    let goes_on = waits && PATIENCE.get().is_some_and(|patience| patience(waited, pause));
    STOPPED.store(waits && !goes_on, Ordering::SeqCst);
    goes_on
}

fn wrap(path: &str, error: rusqlite::Error) -> LedgerError {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    let path = path.to_owned();
    // SQLite's own words, which are English, stand only where there are none of ours.
    let (what, source) = match code {
        Some(ErrorCode::NotADatabase) => {
            return LedgerError::Damaged { path, what: say!("it is not an SQLite database") };
        }
        Some(ErrorCode::DatabaseBusy) if STOPPED.load(Ordering::SeqCst) => return LedgerError::Stopped { path },
        Some(ErrorCode::DatabaseCorrupt) => {
            return LedgerError::Damaged { path, what: say!("parts of it were overwritten or are missing") };
        }
        Some(ErrorCode::DiskFull) => (say!("cannot be written: the disk is full"), None),
        Some(ErrorCode::ReadOnly) => (say!("cannot be written: it is read-only"), None),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (say!("is in use by another process"), None),
        Some(ErrorCode::SystemIoFailure) => (say!("cannot be read or written: the disk or its network failed"), None),
        Some(ErrorCode::CannotOpen) => (say!("cannot be opened"), None),
        Some(ErrorCode::PermissionDenied) => (say!("cannot be opened: {why}", why = say!("permission denied")), None),
        _ => (say!("cannot be used"), Some(error.into())),
    };
    LedgerError::Store { path, what, source }
}

impl Ledger for Sqlite {
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
        reads::calls(&self.connection, scope).map_err(|fault| self.error(fault))
    }

    fn freeze(
        &mut self,
        scope: &Scope,
        kept: &[u32],
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(|transaction| {
            writes::replace(transaction, scope, kept, calls, first)?;
            writes::note(transaction, scope, first, attempt)
        })
    }

    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(|transaction| {
            calls.iter().try_for_each(|call| writes::insert_call(transaction, scope, call, false))?;
            writes::note(transaction, scope, first, attempt)
        })
    }

    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        let append = |store: &mut Self| store.write(|transaction| writes::note(transaction, scope, id, event));
        if matches!(event.kind, EventKind::Accepted | EventKind::Adopted) { self.later(append) } else { append(self) }
    }

    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError> {
        reads::uploaded(&self.connection, platform, appid, key).map_err(|fault| self.error(fault))
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        if self.unsynced {
            let wal = fs::File::open(beside(&self.file, "-wal")).and_then(|wal| wal.sync_data());
            wal.map_err(|error| LedgerError::Store {
                path: self.path.clone(),
                what: say!("cannot be written"),
                source: Some(error.into()),
            })?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        reads::mass_attempts(&self.connection, platform, appid, since).map_err(|fault| self.error(fault))
    }

    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError> {
        reads::usage(&self.connection, platform, appid, since).map_err(|fault| self.error(fault))
    }

    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError> {
        reads::edition_before(&self.connection, scope, step, key).map_err(|fault| self.error(fault))
    }

    fn with_messages(
        &self,
        platform: &str,
        appid: &str,
        digests: &[String],
    ) -> Result<Vec<(String, Scope)>, LedgerError> {
        reads::with_messages(&self.connection, platform, appid, digests).map_err(|fault| self.error(fault))
    }

    fn other_editions(&self, scope: &Scope) -> Result<Vec<EditionCall>, LedgerError> {
        reads::other_editions(&self.connection, scope).map_err(|fault| self.error(fault))
    }

    fn begin_run(
        &mut self,
        scope: &Scope,
        run_id: &str,
        path: &str,
        digest: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let Scope { platform, appid, plan, occurrence } = scope;
        (self.connection)
            .execute(
                "INSERT INTO runs (run_id, platform, appid, plan, occurrence, path, digest, started_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![run_id, platform, appid, plan, occurrence, path, digest, at.as_millisecond()],
            )
            .map_err(|error| self.error(error))?;
        // From now on something may have been sent, which is to be recorded: nobody ends these waits.
        self.connection.busy_timeout(limits::STORE_BUSY).map_err(|error| self.error(error))
    }

    fn end_run(&mut self, run_id: &str, ending: &Ending<'_>) -> Result<(), LedgerError> {
        self.connection
            .execute(
                "UPDATE runs SET report = ?2, outcome = ?3, exit_code = ?4 WHERE run_id = ?1",
                params![run_id, ending.report, ending.outcome, ending.exit_code],
            )
            .map(drop)
            .map_err(|error| self.error(error))
    }

    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError> {
        reads::runs(&self.connection, appid, plan).map_err(|fault| self.error(fault))
    }

    fn accounts(&self, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, LedgerError> {
        reads::accounts(&self.connection, platform, plan, occurrence).map_err(|fault| self.error(fault))
    }

    fn observe(&mut self, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, LedgerError> {
        let mut new = 0;
        self.write(|transaction| {
            new = writes::observe(transaction, platform, appid, seen)?;
            Ok(())
        })?;
        Ok(new)
    }

    fn observations(
        &self,
        platform: &str,
        appid: &str,
        kind: &str,
        subjects: Option<&[String]>,
    ) -> Result<Vec<Observation>, LedgerError> {
        reads::observations(&self.connection, [platform, appid, kind], subjects).map_err(|fault| self.error(fault))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Row;

    use crate::payload;

    use super::{store::SqliteStore, *};
    use crate::ledger::store::{Owner, Store as _, WriteError};
    use crate::payload::Effect;
    use crate::platform::Platform;

    fn scope() -> Scope {
        Scope { platform: Platform::Sandbox, appid: "wx1".into(), plan: "p".into(), occurrence: "once".into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// Calls of every action that there was before effects had names, and of two that there never were.
    const OLD: &[(&str, bool, &str)] = &[
        ("send_by_tag", true, "mass"),
        ("send_by_openid", true, "mass"),
        ("preview", false, "preview"),
        ("delete", false, "delete"),
        ("check", false, "read"),
        ("set_speed", false, "setting"),
        ("upload_image", false, "media"),
        ("upload_material", false, "media"),
        ("create_draft", false, "media"),
        ("shout", true, "mass"),
    ];

    const OWN: &str = "{\"a\":1}";

    /// A file of an older format, as the version of that time wrote it.
    fn old(path: &Path, format: usize) -> Connection {
        let old = Connection::open(path).expect("opens");
        let head = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {format};");
        old.execute_batch(&format!("{} {head}", CHANGES[..format].concat())).expect("writes");
        let digest = |body: &str| payload::digest(body.as_bytes());
        for (id, (action, mass, effect_of)) in (1_i64..).zip(OLD) {
            let effect = if format < 5 { "" } else { ", ?5" };
            let call = format!(
                "INSERT INTO calls VALUES (?1, 'sandbox', 'wx1', 'p', 'once', ?2, '', 1, ?2, '/p', 'k' || ?1, ?3, '{{}}', NULL, 2, ?4{effect})"
            );
            let mut call = old.prepare(&call).expect("reads");
            let values = params![id, action, digest("{}"), mass, effect_of];
            call.execute(&values[..if format < 5 { 4 } else { 5 }]).expect("writes");
            // Two attempts: with the payload, and with bytes of its own.
            for (number, body) in [(1, "{}"), (2, OWN)] {
                let written = match format {
                    1 => old.execute(
                        "INSERT INTO events (call, kind, at, run_id, body) VALUES (?1, 'attempted', ?2 * 1000, 'r', ?3)",
                        params![id, number, body],
                    ),
                    2 => old.execute(
                        "INSERT INTO events (call, kind, at, run_id, body, body_digest) VALUES (?1, 'attempted', ?2 * 1000, 'r', ?3, ?4)",
                        params![id, number, body, digest(body)],
                    ),
                    _ => old.execute(
                        "INSERT INTO events (call, number, kind, at, run_id, body, body_digest) VALUES (?1, ?2, 'attempted', ?2 * 1000, 'r', nullif(?3, '{}'), ?4)",
                        params![id, number, body, digest(body)],
                    ),
                };
                written.expect("writes");
            }
        }
        old
    }

    #[test]
    fn every_older_format_is_brought_up_to_date() {
        for format in 1..CHANGES.len() {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("state.db");
            drop(old(&path, format));
            let mut store = Sqlite::open(&path).expect("opens");
            assert_eq!(store.identity().expect("reads"), (APPLICATION_ID, FORMAT), "format {format}");
            let records = store.calls(&scope()).expect("reads");
            let read: Vec<_> = records
                .iter()
                .map(|record| (record.frozen.action.as_str(), record.frozen.is_mass(), record.frozen.effect.name()))
                .collect();
            assert_eq!(read, OLD, "format {format}");
            for record in &records {
                let bodies: Vec<_> = record.events.iter().map(|event| event.body.as_deref()).collect();
                assert_eq!(bodies, [Some("{}"), Some(OWN)], "format {format}: what was known is known");
            }
            assert_eq!(store.mass_attempts("sandbox", "wx1", at(2)).expect("reads").len(), 3, "format {format}");
            let id = &records[0].frozen.id;
            store.append(&scope(), id, &Event::new(EventKind::Accepted, at(3), "r")).expect("writes");
            let used = store.usage("sandbox", "wx1", at(3)).expect("reads");
            assert_eq!(used.iter().map(|usage| usage.effect).collect::<Vec<_>>(), [Effect::Mass], "format {format}");
        }
    }

    #[test]
    fn a_call_of_an_old_file_that_nobody_knows_what_it_did_is_damage() {
        let _heard =
            crate::locale::tests::heard("ledger-sqlite-a_call_of_an_old_file_that_nobody_knows_what_it_did_is_damage");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        old(&path, 4).execute_batch("UPDATE calls SET action = 'hum' WHERE action = 'preview'").expect("writes");
        let store = Sqlite::open(&path).expect("opens");
        let error = store.calls(&scope()).expect_err("it is not known what it was").to_string();
        assert!(error.ends_with("is damaged: step `preview` has an unknown effect `that of hum`"), "{error}");
    }

    #[test]
    fn a_change_of_the_format_that_was_released_is_never_edited() {
        assert_eq!(
            payload::digest(CHANGES[..4].concat().as_bytes()),
            "sha256:7fd5e37fc880f7a5f9bc9a948f0faf7fe0a90bd520239dfa83d0c78f962b1dc5"
        );
    }

    #[test]
    fn an_effect_that_is_not_what_the_indexes_say_is_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        drop(old(&path, 4));
        let store = Sqlite::open(&path).expect("opens");
        store.connection.execute_batch("UPDATE calls SET mass = 0 WHERE action = 'shout'").expect("writes");
        assert!(matches!(store.calls(&scope()), Err(LedgerError::Damaged { .. })));
    }

    fn owner() -> Owner {
        Owner { pid: 1, host: "h".into(), since: at(1), plan: "p".into(), command: "qunfa run".into() }
    }

    /// A file that holds what every version of this format holds.
    fn new(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("state.db");
        let mut store = Sqlite::open(&path).expect("opens");
        let call = |step: &str| FrozenCall {
            id: CallId { step: step.into(), key: None, chunk: 1 },
            action: "send_by_tag".into(),
            path: "/p".into(),
            idempotency_key: step.into(),
            digest: payload::digest(b"{}"),
            payload: "{}".into(),
            message_digest: None,
            recipients: None,
            effect: Effect::Mass,
        };
        for call in ["a", "b", "c"].map(call) {
            let attempt = Event { body: Some("{}".into()), ..Event::new(EventKind::Attempted, at(1), "r") };
            store.freeze(&scope(), &[], std::slice::from_ref(&call), &call.id, &attempt).expect("writes");
        }
        path
    }

    #[test]
    fn damage_is_found_before_a_run_begins_and_not_only_where_it_reads() {
        let _heard = crate::locale::tests::heard(
            "ledger-sqlite-damage_is_found_before_a_run_begins_and_not_only_where_it_reads",
        );
        let write = |path: &Path| SqliteStore::new(path.to_owned()).write("sandbox", "wx1", &owner()).map(drop);
        let strange: [(&str, &str); 5] = [
            ("CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END", "it contains `t`"),
            ("CREATE VIEW v AS SELECT 1", "it contains `v`"),
            ("DROP INDEX uploads", "`uploads` is missing"),
            ("DROP TABLE writers", "`writers` is missing"),
            ("PRAGMA foreign_keys = OFF; DELETE FROM calls WHERE step = 'b'", "an event for a missing call"),
        ];
        for (change, why) in strange {
            let folder = tempfile::tempdir().expect("a folder");
            let path = new(&folder);
            assert!(write(&path).is_ok());
            Connection::open(&path).expect("opens").execute_batch(change).expect("writes");
            let error = write(&path).expect_err(change).words().to_string();
            assert!(error.contains("is damaged") && error.contains(why), "{change}: {error}");
        }
        // What SQLite notes to plan queries changes nothing.
        let folder = tempfile::tempdir().expect("a folder");
        let path = new(&folder);
        Connection::open(&path).expect("opens").execute_batch("ANALYZE").expect("writes");
        assert!(write(&path).is_ok());
        // A row that an index does not hold is not found by it, and would be sent again: a page of the index is put back as it
        // was before the row came.
        let index = |connection: &Connection| -> (usize, usize) {
            let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_calls_1'";
            let root: i64 = connection.query_row(root, [], |row| row.get(0)).expect("reads");
            let size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).expect("reads");
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("writes");
            (usize::try_from((root - 1) * size).expect("small"), usize::try_from(size).expect("small"))
        };
        let (from, size) = index(&Connection::open(&path).expect("opens"));
        let before = fs::read(&path).expect("reads")[from..from + size].to_vec();
        let mut store = Sqlite::open(&path).expect("opens");
        let call = CallRecord::clone(&store.calls(&scope()).expect("reads")[0]).frozen;
        let call = FrozenCall { id: CallId { step: "d".into(), key: None, chunk: 1 }, ..call };
        let attempt = Event::new(EventKind::Attempted, at(1), "r");
        store.freeze(&scope(), &[], std::slice::from_ref(&call), &call.id, &attempt).expect("writes");
        drop(store);
        index(&Connection::open(&path).expect("opens"));
        assert!(write(&path).is_ok());
        index(&Connection::open(&path).expect("opens"));
        let mut bytes = fs::read(&path).expect("reads");
        bytes[from..from + size].copy_from_slice(&before);
        fs::write(&path, bytes).expect("writes");
        let error = write(&path).expect_err("the index misses a row").words().to_string();
        assert!(error.contains("index sqlite_autoindex_calls_1"), "{error}");
    }

    /// Each row that cannot be what a version of qunfa wrote, and what reads it.
    #[test]
    fn a_row_that_nobody_wrote_is_damage_that_is_told() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-a_row_that_nobody_wrote_is_damage_that_is_told");
        for (change, why) in [
            ("UPDATE calls SET payload = '{ }' WHERE step = 'b'", "the hash of call 1 of step `b` does not match"),
            ("UPDATE calls SET recipients = -1 WHERE step = 'b'", "an invalid number of recipients: -1"),
            ("UPDATE calls SET effect = 'shout' WHERE step = 'b'", "an unknown effect `shout`"),
            ("UPDATE events SET kind = 'lost'", "step `a` has an unknown event `lost`"),
            ("UPDATE events SET kind = 'accepted'", "step `a`: the event `accepted` is not allowed in the state"),
            ("UPDATE events SET at = 9223372036854775807", "step `a` has an event without a valid time"),
            ("UPDATE events SET msg_id = 'x'", "step `a` has an id that is not a number"),
            (
                "UPDATE events SET body = '[]', body_digest = 'sha256:0'",
                "the hash of the sent body of step `a` does not match",
            ),
            (
                "INSERT INTO runs VALUES ('r', 'sandbox', 'wx1', 'p', 'once', 'p', 'd', 9223372036854775807, NULL, NULL, NULL)",
                "a run has no valid start time",
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = new(&folder);
            Connection::open(&path).expect("opens").execute_batch(change).expect("writes");
            let store = Sqlite::open(&path).expect("opens");
            let read = store.calls(&scope()).map(drop).and_then(|()| store.runs("wx1", "p").map(drop));
            let error = read.expect_err(change).to_string();
            assert!(error.contains("is damaged") && error.contains(why), "{change}: {error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        Connection::open(&path).expect("opens").execute_batch("CREATE TABLE t (a)").expect("writes");
        let error = Sqlite::open(&path).expect_err("a table of somebody").to_string();
        assert!(error.ends_with("it has tables but no format version"), "{error}");
    }

    #[test]
    fn what_does_not_fit_to_the_rows_is_a_conflict_that_is_told() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-what_does_not_fit_to_the_rows_is_a_conflict");
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = Sqlite::open(&new(&folder)).expect("opens");
        let call = CallRecord::clone(&store.calls(&scope()).expect("reads")[0]).frozen;
        let attempt = Event::new(EventKind::Attempted, at(2), "r");
        let calls = std::slice::from_ref(&call);
        let second = CallId { chunk: 2, ..call.id.clone() };
        for (result, why) in [
            (store.extend(&scope(), calls, &call.id, &attempt), "step `a` already has a call 1"),
            (store.append(&scope(), &second, &attempt), "step `a` has no call 2"),
            (store.freeze(&scope(), &[], calls, &call.id, &attempt), "step `a` is unknown"),
            (store.freeze(&scope(), &[1], calls, &call.id, &attempt), "step `a` has different calls"),
        ] {
            let error = result.expect_err(why).to_string();
            assert!(error.contains("another process changed the state store") && error.ends_with(why), "{error}");
        }
    }

    #[test]
    fn what_was_copied_away_or_damaged_takes_and_tells_nothing() {
        let _heard =
            crate::locale::tests::heard("ledger-sqlite-what_was_copied_away_or_damaged_takes_and_tells_nothing");
        let folder = tempfile::tempdir().expect("a folder");
        let place = new(&folder);
        let store = SqliteStore::new(place.clone());
        let mut listener = store.observe().map_err(|error| error.words()).expect("opens");
        let seen = Observation { kind: "EVENT".into(), subject: "7".into(), at: at(1), body: "a".into() };
        assert_eq!(listener.observe("sandbox", "wx1", std::slice::from_ref(&seen)).expect("writes"), 1);
        let mut copied = Sqlite::open(&place).expect("opens");
        copied.note_home("postgresql://db/x").expect("writes");
        let other = Observation { subject: "8".into(), ..seen };
        let refused = listener.observe("sandbox", "wx1", std::slice::from_ref(&other)).expect_err("it is elsewhere");
        assert!(refused.to_string().ends_with("it was copied to postgresql://db/x, which is used since"), "{refused}");
        assert!(matches!(store.observe().err(), Some(WriteError::Moved { .. })));
        let meant = SqliteStore::meant(place).observe().map_err(|error| error.words());
        assert_eq!(meant.expect("a person names it").observe("sandbox", "wx1", &[other]).expect("writes"), 1);
        assert_eq!(copied.observations("sandbox", "wx1", "EVENT", None).expect("reads").len(), 2);
        let damage = format!("UPDATE observations SET at = {}", i64::MAX);
        copied.connection.execute_batch(&damage).expect("writes");
        let damaged = copied.observations("sandbox", "wx1", "EVENT", None).expect_err("at no time");
        assert!(damaged.to_string().ends_with("`EVENT` of 7 has an invalid time"), "{damaged}");
    }

    #[test]
    fn each_failure_of_the_disk_has_words_of_ours() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-each_failure_of_the_disk_has_words_of_ours");
        use rusqlite::ffi;
        for (code, why) in [
            (ffi::SQLITE_NOTADB, "is damaged: it is not an SQLite database"),
            (ffi::SQLITE_CORRUPT, "is damaged: parts of it were overwritten or are missing"),
            (ffi::SQLITE_FULL, "cannot be written: the disk is full"),
            (ffi::SQLITE_READONLY, "cannot be written: it is read-only"),
            (ffi::SQLITE_BUSY, "is in use by another process"),
            (ffi::SQLITE_IOERR, "cannot be read or written: the disk or its network failed"),
            (ffi::SQLITE_CANTOPEN, "cannot be opened"),
            (ffi::SQLITE_PERM, "cannot be opened: permission denied"),
        ] {
            let error = wrap("state.db", rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(error.to_string(), format!("the state store state.db {why}"));
        }
    }

    #[test]
    fn a_journal_that_is_not_the_one_that_was_asked_for_is_refused() {
        let _heard =
            crate::locale::tests::heard("ledger-sqlite-a_journal_that_is_not_the_one_that_was_asked_for_is_refused");
        let connection = Connection::open_in_memory().expect("opens");
        let mut store = Sqlite { connection, path: "x".into(), file: "/x".into(), unsynced: false, held: None };
        let error = store.prepare().expect_err("memory does not last").to_string();
        assert!(error.starts_with("the state store x cannot be stored safely (journal `memory`"), "{error}");
    }

    #[test]
    fn no_name_is_a_uri_or_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["file:x.db?mode=memory", ":memory:", "x.db?vfs=none", "-x.db", "file::memory:"] {
            drop(Sqlite::open(&folder.path().join(name)).expect("opens"));
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn a_writer_that_was_followed_by_another_writes_nothing_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = new(&folder);
        let write = || SqliteStore::new(path.clone()).write("sandbox", "wx1", &owner());
        let lock = folder.path().join("state.db.wx1.lock");
        let append = |ledger: &mut dyn Ledger, step: &str| {
            let id = CallId { step: step.into(), key: None, chunk: 1 };
            ledger
                .append(&scope(), &id, &Event::new(EventKind::Accepted, at(2), "r"))
                .map_err(|error| error.to_string())
        };
        let _heard = crate::locale::tests::heard("ledger-sqlite-a_writer_that_was_followed_by_another");
        let mut first = write().expect("free");
        assert!(write().is_err_and(|held| held.words() == "another run of the account is in progress"));
        fs::rename(&lock, folder.path().join("aside")).expect("is there");
        append(&mut *first, "a").expect("nobody else has begun");
        let mut second = write().expect("nobody has this lock");
        for _ in 0..2 {
            let error = append(&mut *first, "b").expect_err("it was followed");
            assert!(error.contains("another run has taken over the account"), "{error}");
            // Also if its file is put back.
            let _ = fs::rename(folder.path().join("aside"), &lock);
        }
        append(&mut *second, "b").expect("the only writer");
        // A writer of another account is another thing.
        let other = SqliteStore::new(path.clone()).write("sandbox", "wx2", &owner()).expect("free");
        append(&mut *second, "c").expect("still the only writer");
        drop((first, other));
    }

    #[test]
    fn a_ledger_that_is_taken_away_is_not_written_any_more() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-a_ledger_that_is_taken_away_is_not_written_any_more");
        for name in ["state.db", "state.db-wal"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = new(&folder);
            let mut ledger = SqliteStore::new(path.clone()).write("sandbox", "wx1", &owner()).expect("free");
            fs::remove_file(folder.path().join(name)).expect("is there");
            let id = CallId { step: "a".into(), key: None, chunk: 1 };
            let event = Event::new(EventKind::Unknown, at(2), "r");
            let error = ledger.append(&scope(), &id, &event).expect_err(name).to_string();
            assert!(error.contains("was deleted or replaced while in use"), "{name}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn two_names_of_a_ledger_have_one_lock() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let path = new(&folder);
        let at = |name: &str| SqliteStore::new(folder.path().join(name));
        fs::create_dir_all(folder.path().join("x/y")).expect("makes");
        symlink("..", folder.path().join("x/up")).expect("makes");
        symlink("../state.db", folder.path().join("x/other.db")).expect("makes");
        let held = at("state.db").write("sandbox", "wx1", &owner()).expect("free");
        for name in ["state.db", "./state.db", "x/../state.db", "x/up/state.db", "x/other.db", "x/y/../other.db"] {
            assert!(matches!(at(name).write("sandbox", "wx1", &owner()), Err(WriteError::Held(_))), "{name}");
            assert!(at(name).holder("wx1").expect("looks").is_some(), "{name}");
            assert_eq!(at(name).name(), folder.path().join(name).display().to_string(), "messages name it as it was");
        }
        drop(held);
        fs::hard_link(&path, folder.path().join("x/hard.db")).expect("makes");
        for name in ["state.db", "x/hard.db"] {
            let error = at(name).write("sandbox", "wx1", &owner()).err().expect(name).words().to_string();
            assert!(error.contains("it has a second name (hard link)"), "{name}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_beside_the_ledger() {
        use std::os::unix::fs::symlink;
        for name in ["state.db-wal", "state.db-shm", "state.db-journal", "state.db.wx1.lock"] {
            for target in ["victim", "nowhere"] {
                let folder = tempfile::tempdir().expect("a folder");
                let path = new(&folder);
                fs::write(folder.path().join("victim"), "mine").expect("writes");
                let _ = fs::remove_file(folder.path().join(name));
                symlink(target, folder.path().join(name)).expect("makes");
                let error =
                    SqliteStore::new(path).write("sandbox", "wx1", &owner()).err().expect(name).words().to_string();
                assert!(error.contains("it is a link"), "{name}: {error}");
                assert_eq!(fs::read_to_string(folder.path().join("victim")).expect("reads"), "mine", "{name}");
                assert!(!folder.path().join("nowhere").exists(), "{name}");
            }
        }
    }

    // That a sync was asked for cannot be seen from here; that SQLite is told to make one with each commit can.
    #[test]
    fn every_commit_is_synced_but_that_of_an_acceptance() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-every_commit_is_synced_but_that_of_an_acceptance");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        drop(old(&path, 4));
        let mut store = Sqlite::open(&path).expect("opens");
        let says = |store: &Sqlite, pragma: &str| -> String {
            let value = |row: &Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            format!("{:?}", store.connection.query_row(&format!("PRAGMA {pragma}"), [], value).expect("reads"))
        };
        let full = "Integer(2)";
        assert_eq!((says(&store, "synchronous"), says(&store, "journal_mode")), (full.into(), "Text(\"wal\")".into()));
        let id = CallId { step: "preview".into(), key: None, chunk: 1 };
        store.append(&scope(), &id, &Event::new(EventKind::Accepted, at(3), "r")).expect("writes");
        assert!(store.unsynced);
        assert_eq!(says(&store, "synchronous"), full);
        store.sync().expect("syncs");
        assert!(!store.unsynced);
        store.append(&scope(), &id, &Event::new(EventKind::Accepted, at(3), "r")).expect_err("nothing follows");
        assert_eq!(says(&store, "synchronous"), full, "also after a failure");
    }

    #[cfg(unix)]
    #[test]
    fn the_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;

        use crate::{
            ledger::store::{Queue, TokenKey},
            redact::Secret,
            wechat::token::Token,
        };

        struct Alone;

        impl Queue for Alone {
            fn owner(&self) -> Owner {
                owner()
            }

            fn wait(&self, _: Option<&Owner>) -> bool {
                false
            }
        }

        let folder = tempfile::tempdir().expect("a folder");
        let state = SqliteStore::new(folder.path().join("state.db"));
        let mut ledger = state.write("sandbox", "wx1", &owner()).expect("opens");
        ledger.begin_run(&scope(), "r", "p.yaml", "sha256:x", at(1)).expect("writes");
        let key = TokenKey { appid: "wx1", base: "https://a", endpoint: "stable", seal: None };
        let tokens = state.tokens(key, Box::new(Alone));
        tokens.exclusively(&mut |_| Ok(Token { value: Secret::new("t".into()), good_until: at(1) })).expect("saves");
        let names = ["state.db", "state.db-wal", "state.db.wx1.lock", "state.db.tokens", "state.db.tokens.lock"];
        for name in names {
            let mode = fs::metadata(folder.path().join(name)).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(state.examine().expect("reads").expect("is there").warnings, []);
        let path = folder.path().join("state.db.tokens");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        let warnings = state.examine().expect("reads").expect("is there").warnings;
        assert_eq!(warnings[0].help, [format!("chmod 600 {}", path.display())]);
    }
}
