//! The ledger in PostgreSQL, which machines share.
//!
//! The lock of an account is one of the session that writes: with the session the lock is gone, and so is the way to write. An
//! intent that was committed is therefore the proof that the lock was held. The epoch of the account, counted up by everyone
//! who takes the lock and looked at in every write, covers what sessions cannot: a lock that a pooler or another database
//! only seems to give, and a connection that was made again.
//!
//! A connection that is lost in the middle of a run is made again for what must be recorded: the outcome of a call that was
//! made. It is recorded if nobody had the account meanwhile. An intent is never tried twice: without its answer the call is
//! not made.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use self::{
    address::Address,
    fault::Fault,
    link::{Deadline, Link},
    writes::{Name, Standing, Written},
};
use super::{
    AccountRun, CallId, CallRecord, Edition, EditionCall, Ending, Event, EventKind, FrozenCall, Ledger, LedgerError,
    Observation, RunRecord, Scope, Usage,
    name::without_password,
    store::{Owner, Password, WriteError},
};
use crate::{
    limits,
    locale::{Phrase, say},
};

pub use self::schema::FORMAT;

mod address;
mod copy;
mod fault;
mod health;
mod link;
mod reads;
mod schema;
pub(crate) mod store;
mod tokens;
mod writes;

/// The way to a server.
#[derive(Clone)]
pub(super) struct Target {
    address: Address,
    password: Password,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.address).finish()
    }
}

impl Target {
    fn connect(&self, within: Duration) -> Result<Link, Fault> {
        let password = (self.password)().map_err(|why| {
            Fault::Unusable(
                say!("cannot be opened: no password: {why}", why),
                say!("set QUNFA_STATE_PASSWORD, QUNFA_STATE_PASSWORD_FILE or QUNFA_STATE_PASSWORD_COMMAND"),
            )
        })?;
        Link::open(&self.address, password.as_ref(), within)
    }

    /// As messages name it.
    fn name(&self) -> String {
        self.address.name()
    }

    fn told(&self, fault: Fault) -> LedgerError {
        let path = self.name();
        match fault {
            // It was prepared in this session, which is not the one that is asked now.
            Fault::Sql(error) if error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => {
                self.told(fault::pooled())
            }
            Fault::Sql(error) => LedgerError::Remote { path, what: fault::server_words(&error), help: None },
            Fault::Lost(what) => LedgerError::Remote { path, what, help: None },
            Fault::Unusable(what, help) => LedgerError::Remote { path, what, help: Some(help) },
            Fault::Damaged(what) => LedgerError::Damaged { path, what },
            Fault::Conflict(what) => LedgerError::Conflict { path, what },
            Fault::TakenOver(by) => LedgerError::TakenOver { path, by },
        }
    }
}

/// Who holds an account: written where the lock is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    owner: Owner,
    /// The process of the server in which the session of the lock is.
    backend: i32,
}

/// What makes it the writer of an account.
#[derive(Debug, Clone)]
struct Held {
    name: Name,
    owner: Owner,
    backend: i32,
}

#[derive(Debug)]
pub struct Postgres {
    target: Target,
    link: RefCell<Link>,
    /// None when the ledger is read.
    held: RefCell<Option<Held>>,
    /// Where calls stand, as far as this writer knows: a write needs no question before it.
    known: RefCell<HashMap<(Scope, CallId), Standing>>,
    /// Acceptances that a crash of the server may take: since the last write that was synced.
    unsynced: RefCell<Vec<(Scope, CallId, Event)>>,
    /// The connection could not be made again: nothing more is tried.
    dead: Cell<bool>,
    /// It was lost once: what does not decide over sends is not waited for any more.
    lost: Cell<bool>,
}

/// The key of the lock of an account. One schema has nothing to do with another.
fn lock_key(schema: &str, appid: &str) -> i64 {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(format!("qunfa account\0{schema}\0{appid}"));
    i64::from_be_bytes(hash[..8].try_into().expect("a hash has more"))
}

/// Who has a lock: the process of the server, if somebody has it.
fn backend_with(link: &Link, key: i64) -> Result<Option<i32>, Fault> {
    let holder = "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND classid::bigint = $1 AND objid::bigint = $2";
    let (high, low) = ((key >> 32) & 0xffff_ffff, key & 0xffff_ffff);
    Ok(link.query_opt(holder, &[&high, &low])?.map(|row| row.get(0)))
}

/// Who says to have an account, if it is in this process of the server.
fn owner_in(link: &Link, appid: &str, backend: i32) -> Result<Option<Owner>, Fault> {
    let row = link.query_opt("SELECT holder FROM accounts WHERE appid = $1", &[&appid])?;
    let text = row.and_then(|row| row.get::<_, Option<String>>(0));
    let holder = text.and_then(|text| serde_json::from_str::<Holder>(&text).ok());
    Ok(holder.filter(|holder| holder.backend == backend).map(|holder| holder.owner))
}

impl Postgres {
    /// Opens a ledger that is there; who writes it needs the lock, which its store takes.
    pub fn open(address: &str, password: Password) -> Result<Self, LedgerError> {
        let malformed = |what| LedgerError::Remote { path: without_password(address), what, help: None };
        let target = Target { address: Address::parse(address).map_err(malformed)?, password };
        let link = target.connect(limits::STORE_CONNECT).map_err(|fault| target.told(fault))?;
        Ok(Self::new(target, link))
    }

    /// A ledger that is read, over a connection.
    fn new(target: Target, link: Link) -> Self {
        Self {
            target,
            link: RefCell::new(link),
            held: RefCell::default(),
            known: RefCell::default(),
            unsynced: RefCell::default(),
            dead: Cell::default(),
            lost: Cell::default(),
        }
    }

    /// Becomes the writer of an account, if nobody is.
    fn hold(&self, appid: &str, owner: &Owner) -> Result<(), WriteError> {
        let link = self.link.borrow();
        let told = |fault| WriteError::Ledger(self.failed(fault));
        let key = lock_key(&self.target.address.schema, appid);
        for _ in 0..limits::LOCK_TRIES {
            let taken = link.query_one("SELECT pg_try_advisory_lock($1), pg_backend_pid()", &[&key]).map_err(told)?;
            let backend: i32 = taken.get(1);
            if taken.get(0) {
                let holder = Holder { owner: owner.clone(), backend };
                let holder = serde_json::to_string(&holder).unwrap_or_default();
                let counted = link.query_one(
                    "INSERT INTO accounts (appid, epoch, holder) VALUES ($1, 1, $2) ON CONFLICT (appid) DO UPDATE
                     SET epoch = accounts.epoch + 1, holder = $2, seen_at = clock_timestamp() RETURNING epoch",
                    &[&appid, &holder],
                );
                let epoch = counted.map_err(told)?.get(0);
                let name = Name { appid: appid.to_owned(), epoch };
                self.held.replace(Some(Held { name, owner: owner.clone(), backend }));
                return Ok(());
            }
            // Whoever has just taken it has not said yet who it is; whoever had it may be gone by now.
            if let Some(backend) = backend_with(&link, key).map_err(told)? {
                let owner = owner_in(&link, appid, backend).map_err(told)?;
                if owner.is_some() {
                    return Err(WriteError::Held(owner));
                }
            }
            link::pause(limits::LOCK_PAUSE);
        }
        Err(WriteError::Held(None))
    }

    /// The error of a fault; that the connection was lost is remembered.
    fn failed(&self, fault: Fault) -> LedgerError {
        self.lost.set(self.lost.get() || matches!(fault, Fault::Lost(_)));
        self.target.told(fault)
    }

    /// The account in whose name is written, if it is the one of a scope.
    fn name(&self) -> Option<Name> {
        self.held.borrow().as_ref().map(|held| held.name.clone())
    }

    /// A question that changes nothing: a connection that was lost is made again for it.
    fn read<T>(&self, question: impl Fn(&Link) -> Result<T, Fault>) -> Result<T, LedgerError> {
        self.read_within(limits::STORE_ANSWER, question)
    }

    fn read_within<T>(&self, within: Duration, question: impl Fn(&Link) -> Result<T, Fault>) -> Result<T, LedgerError> {
        let until = Deadline::after(within);
        self.alive(until)?;
        let answer = self.link.borrow().patiently(within, &question);
        match answer {
            Err(Fault::Lost(why)) => {
                self.reconnect(until, why)?;
                question(&self.link.borrow()).map_err(|fault| self.failed(fault))
            }
            answer => answer.map_err(|fault| self.failed(fault)),
        }
    }

    /// All of it or nothing; nothing of it is tried twice. In the middle of a run a connection that is known to be lost
    /// is made again first: nothing of this was sent over it.
    fn write<T>(&self, change: impl FnOnce(&Link, Option<&Name>) -> Result<T, Fault>) -> Result<T, LedgerError> {
        self.alive(Deadline::after(limits::STORE_ANSWER))?;
        let (link, name) = (self.link.borrow(), self.name());
        let written = link.transaction(|| {
            match &name {
                Some(name) if !writes::holds(&link, name)? => return Err(self.taken_over(&link)),
                _ => {}
            }
            change(&link, name.as_ref())
        });
        drop(link);
        match written {
            Ok(written) => {
                self.unsynced.borrow_mut().clear();
                Ok(written)
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn taken_over(&self, link: &Link) -> Fault {
        let appid = self.name().map(|name| name.appid).unwrap_or_default();
        let key = lock_key(&self.target.address.schema, &appid);
        let by = backend_with(link, key).ok().flatten();
        Fault::TakenOver(by.and_then(|backend| owner_in(link, &appid, backend).ok().flatten()))
    }

    /// Makes sure that there is a connection before something is asked.
    fn alive(&self, until: Deadline) -> Result<(), LedgerError> {
        if self.dead.get() || self.link.borrow().is_gone() {
            let why = say!("lost its connection: {why}", why = say!("the connection was closed"));
            self.reconnect(until, why)?;
        }
        Ok(())
    }

    /// Connects again, and is the writer that it was, if nobody was it meanwhile.
    fn reconnect(&self, until: Deadline, why: Phrase) -> Result<(), LedgerError> {
        if self.dead.get() {
            return Err(self.failed(Fault::Lost(why)));
        }
        let mut last = Fault::Lost(why);
        loop {
            let left = until.left();
            if left.is_zero() {
                break;
            }
            let connected = self.target.connect(left.min(limits::STORE_CONNECT));
            let resumed = connected.and_then(|link| {
                let resumed = link.patiently(until.left(), |link| self.resume(link))?;
                Ok(resumed.then_some(link))
            });
            match resumed {
                Ok(Some(link)) => {
                    self.link.replace(link);
                    return Ok(());
                }
                Ok(None) => {}
                Err(fault @ Fault::Lost(_)) => last = fault,
                Err(fault) => {
                    last = fault;
                    break;
                }
            }
            link::pause(limits::LOCK_LOOK.min(left));
        }
        self.dead.set(true);
        Err(self.failed(last))
    }

    /// Whether a new connection can take the place of the old one; not yet if our own session of before is not over.
    fn resume(&self, link: &Link) -> Result<bool, Fault> {
        let held = self.held.borrow().clone();
        let Some(Held { name, owner, backend }) = held else { return Ok(true) };
        let key = lock_key(&self.target.address.schema, &name.appid);
        let taken = link.query_one("SELECT pg_try_advisory_lock($1), pg_backend_pid()", &[&key])?;
        let own: i32 = taken.get(1);
        if !taken.get::<_, bool>(0) {
            // A server that was not told that the connection is gone keeps the session, and with it the lock. It is ours to end:
            // nothing comes from it any more.
            return match backend_with(link, key)? {
                Some(holder) if holder == backend && owner_in(link, &name.appid, holder)?.as_ref() == Some(&owner) => {
                    link.query("SELECT pg_terminate_backend($1)", &[&backend])?;
                    Ok(false)
                }
                Some(holder) => Err(Fault::TakenOver(owner_in(link, &name.appid, holder)?)),
                None => Ok(false),
            };
        }
        let holder = serde_json::to_string(&Holder { owner: owner.clone(), backend: own }).unwrap_or_default();
        let mine = "UPDATE accounts SET holder = $3, seen_at = clock_timestamp() WHERE appid = $1 AND epoch = $2";
        if link.execute(mine, &[&name.appid, &name.epoch, &holder])? == 0 {
            return Err(Fault::TakenOver(None));
        }
        self.held.replace(Some(Held { name, owner, backend: own }));
        self.known.borrow_mut().clear();
        // A crash of the server may have taken what it had said to have.
        for (scope, id, event) in self.unsynced.borrow().iter() {
            self.add(link, scope, id, event)?;
        }
        Ok(true)
    }

    /// Adds an event unless it is there already, as it is after an answer that did not arrive.
    fn add(&self, link: &Link, scope: &Scope, id: &CallId, event: &Event) -> Result<(), Fault> {
        let last = "SELECT kind, at, run_id FROM events WHERE call = $1 AND number = $2";
        for standing in writes::standing(link, scope, id, true)? {
            let is_there = link.query_opt(last, &[&standing.call, &standing.last])?.is_some_and(|row| {
                row.get::<_, &str>(0) == event.kind.name()
                    && row.get::<_, i64>(1) == event.at.as_millisecond()
                    && row.get::<_, &str>(2) == event.run_id
            });
            if is_there {
                self.known.borrow_mut().insert((scope.clone(), id.clone()), standing);
                return Ok(());
            }
        }
        // A call that is not there is a conflict there.
        self.append_over(link, scope, id, event)
    }

    /// Adds an event in one question if where the call stands is known, and holds it against what is there.
    fn append_over(&self, link: &Link, scope: &Scope, id: &CallId, event: &Event) -> Result<(), Fault> {
        let key = (scope.clone(), id.clone());
        let mut known = self.known.borrow_mut().remove(&key);
        let name = self.name();
        for _ in 0..limits::LOCK_TRIES {
            let (standing, fresh) = match known.take() {
                Some(standing) => (standing, false),
                None => {
                    let CallId { step, chunk, .. } = id;
                    let standing = writes::standing(link, scope, id, true)?.into_iter().next();
                    let none = || Fault::Conflict(say!("step `{step}` has no call {call}", step, call = *chunk));
                    (standing.ok_or_else(none)?, true)
                }
            };
            match writes::append(link, name.as_ref(), &standing, id, event)? {
                Written::Done(standing) => {
                    self.known.borrow_mut().insert(key, standing);
                    return Ok(());
                }
                Written::Changed => match &name {
                    Some(name) if !writes::holds(link, name)? => return Err(self.taken_over(link)),
                    // Another process is writing to the same call in this very moment.
                    _ if fresh => link::pause(limits::LOCK_PAUSE),
                    _ => {}
                },
            }
        }
        // Nobody is that quick: something of the database keeps the row from being written.
        Err(fault::not_added())
    }

    /// Freezes one call with its first attempt in one question, as most sends are; false if there is more to it, and nothing was
    /// written.
    fn first(
        &self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
        of_step: bool,
    ) -> Result<bool, LedgerError> {
        let ([call], Some(name)) = (calls, self.name()) else { return Ok(false) };
        let is_plain = attempt.errcode.is_none()
            && attempt.note.is_none()
            && attempt.msg_id.is_none()
            && attempt.msg_data_id.is_none()
            && attempt.result.is_none();
        if call.id != *first || !is_plain {
            return Ok(false);
        }
        self.alive(Deadline::after(limits::STORE_ANSWER))?;
        let made = writes::first(&self.link.borrow(), &name, scope, call, attempt, of_step);
        let Some(standing) = made.map_err(|fault| self.failed(fault))? else { return Ok(false) };
        self.known.borrow_mut().insert((scope.clone(), first.clone()), standing);
        // Its commit is on disk, and with it is all that came before.
        self.unsynced.borrow_mut().clear();
        Ok(true)
    }

    /// Forgets where the calls of a step stood.
    fn forget(&self, scope: &Scope, first: &CallId) {
        let same = |(of, id): &(Scope, CallId)| of == scope && id.step == first.step && id.key == first.key;
        self.known.borrow_mut().retain(|key, _| !same(key));
    }
}

impl Ledger for Postgres {
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
        self.read(|link| reads::calls(link, scope))
    }

    fn freeze(
        &mut self,
        scope: &Scope,
        kept: &[u32],
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.forget(scope, first);
        if kept.is_empty() && self.first(scope, calls, first, attempt, true)? {
            return Ok(());
        }
        self.write(|link, _| {
            writes::replace(link, scope, kept, calls, first)?;
            self.append_over(link, scope, first, attempt)
        })
        .inspect_err(|_| self.forget(scope, first))
    }

    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.forget(scope, first);
        if self.first(scope, calls, first, attempt, false)? {
            return Ok(());
        }
        self.write(|link, _| {
            calls.iter().try_for_each(|call| writes::insert(link, scope, call))?;
            self.append_over(link, scope, first, attempt)
        })
        .inspect_err(|_| self.forget(scope, first))
    }

    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        let until = Deadline::after(limits::STORE_ANSWER);
        self.alive(until)?;
        // What became of a call is worth another connection, for which time is left.
        let patience = if event.kind == EventKind::Attempted { limits::STORE_ANSWER } else { limits::STORE_OUTCOME };
        let appended = self.link.borrow().patiently(patience, |link| self.append_over(link, scope, id, event));
        match appended {
            // The call was made, and what became of it is known to nobody else.
            Err(Fault::Lost(why)) if event.kind != EventKind::Attempted && self.name().is_some() => {
                self.reconnect(until, why)?;
                let added = self.add(&self.link.borrow(), scope, id, event);
                added.map_err(|fault| self.failed(fault))?;
            }
            Err(fault) => {
                self.forget(scope, id);
                return Err(self.failed(fault));
            }
            Ok(()) => {}
        }
        let mut unsynced = self.unsynced.borrow_mut();
        match event.kind {
            EventKind::Accepted | EventKind::Adopted => unsynced.push((scope.clone(), id.clone(), event.clone())),
            _ => unsynced.clear(),
        }
        Ok(())
    }

    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError> {
        self.read(|link| reads::uploaded(link, platform, appid, key))
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        if self.unsynced.borrow().is_empty() {
            return Ok(());
        }
        let seen = |link: &Link| match self.name() {
            // The log is one: a commit that is synced syncs what was written before it.
            Some(Name { appid, epoch }) => {
                let mine = "UPDATE accounts SET seen_at = clock_timestamp() WHERE appid = $1 AND epoch = $2";
                if link.execute(mine, &[&appid, &epoch])? == 0 { Err(self.taken_over(link)) } else { Ok(()) }
            }
            None => Ok(()),
        };
        self.read(seen)?;
        self.unsynced.borrow_mut().clear();
        Ok(())
    }

    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        self.read(|link| reads::mass_attempts(link, platform, appid, since))
    }

    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError> {
        self.read(|link| reads::usage(link, platform, appid, since))
    }

    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError> {
        self.read(|link| reads::edition_before(link, scope, step, key))
    }

    fn other_editions(&self, scope: &Scope) -> Result<Vec<EditionCall>, LedgerError> {
        self.read(|link| reads::other_editions(link, scope))
    }

    fn with_messages(
        &self,
        platform: &str,
        appid: &str,
        digests: &[String],
    ) -> Result<Vec<(String, Scope)>, LedgerError> {
        self.read(|link| reads::with_messages(link, platform, appid, digests))
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
        self.write(|link, _| {
            link.execute(
                "INSERT INTO runs (run_id, platform, appid, plan, occurrence, path, digest, started_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[&run_id, &platform.name(), appid, plan, occurrence, &path, &digest, &at.as_millisecond()],
            )
        })
        .map(drop)
    }

    fn end_run(&mut self, run_id: &str, ending: &Ending<'_>) -> Result<(), LedgerError> {
        let Ending { outcome, exit_code, report } = ending;
        // The same twice is the same. Nothing depends on it: it is not waited for as what was sent is.
        let within = if self.lost.get() { limits::STORE_LAST } else { limits::STORE_ANSWER };
        self.read_within(within, |link| {
            link.execute(
                "UPDATE runs SET report = $2, outcome = $3, exit_code = $4 WHERE run_id = $1",
                &[&run_id, report, outcome, &i64::from(*exit_code)],
            )
        })?;
        self.unsynced.borrow_mut().clear();
        Ok(())
    }

    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError> {
        self.read(|link| reads::runs(link, appid, plan))
    }

    fn accounts(&self, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, LedgerError> {
        self.read(|link| reads::accounts(link, platform, plan, occurrence))
    }

    fn observe(&mut self, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, LedgerError> {
        // The same twice is the same.
        self.read(|link| link.transaction(|| writes::observe(link, platform, appid, seen)))
    }

    fn observations(
        &self,
        platform: &str,
        appid: &str,
        kind: &str,
        subjects: Option<&[String]>,
    ) -> Result<Vec<Observation>, LedgerError> {
        self.read(|link| reads::observations(link, [platform, appid, kind], subjects))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn time(&self) -> Result<Option<Timestamp>, LedgerError> {
        let asked = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let told: i64 = self.read(|link| Ok(link.query_one(asked, &[])?.get(0)))?;
        Ok(Timestamp::from_millisecond(told).ok())
    }
}
