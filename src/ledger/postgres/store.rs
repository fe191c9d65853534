//! State in PostgreSQL: the ledger, the locks of accounts, and tokens that must be shared.

use super::{
    Postgres, Target,
    address::Address,
    backend_with, copy,
    fault::Fault,
    health,
    link::Link,
    lock_key, owner_in,
    schema::{self, FORMAT},
    tokens::{self, PostgresTokens},
};
use crate::{
    ledger::{
        Ledger, LedgerError,
        parts::Sink,
        store::{Health, Move, Owner, Password, Queue, SavedToken, Store, TokenKey, Tokens, WriteError},
    },
    limits,
    locale::Phrase,
    wechat::token::TokenError,
};

/// The state in a schema of a database.
#[derive(Debug, Clone)]
pub(crate) struct PostgresStore {
    target: Target,
}

impl PostgresStore {
    /// Nothing is connected yet.
    pub(crate) fn new(address: &str, password: Password) -> Result<Self, Phrase> {
        let address = Address::parse(address)?;
        Ok(Self { target: Target { address, password } })
    }

    fn schema(&self) -> &str {
        &self.target.address.schema
    }

    /// The lock of an account, for as long as the connection lives.
    fn lock(&self, link: &Link, appid: &str) -> Result<(), WriteError> {
        let key = lock_key(self.schema(), appid);
        let taken = self.told(link.query_one("SELECT pg_try_advisory_lock($1)", &[&key]))?;
        if taken.get(0) {
            return Ok(());
        }
        let backend = self.told(backend_with(link, key))?;
        let owner = backend.map(|backend| self.told(owner_in(link, appid, backend))).transpose()?;
        Err(WriteError::Held(owner.flatten()))
    }

    /// The ledger in the format of this version, made where there is none, on a server that keeps what it says to keep.
    fn writable(&self) -> Result<Postgres, LedgerError> {
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        self.told(health::sessions(&self.target, &link))?;
        self.told(health::fit(&link))?;
        match self.told(schema::format(&link, self.schema()))? {
            Some(found) if found > FORMAT => {
                return Err(LedgerError::Newer { path: self.name(), found, known: FORMAT });
            }
            Some(FORMAT) => {}
            _ => self.told(schema::migrate(&link, self.schema())).map(drop)?,
        }
        Ok(Postgres::new(self.target.clone(), link))
    }

    fn told<T>(&self, answer: Result<T, Fault>) -> Result<T, LedgerError> {
        answer.map_err(|fault| self.target.told(fault))
    }
}

impl Store for PostgresStore {
    fn name(&self) -> String {
        self.target.name()
    }

    fn note(&self) -> Option<Phrase> {
        self.target.address.note.clone()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn read(&self) -> Result<Option<Box<dyn Ledger>>, LedgerError> {
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        match self.told(schema::format(&link, self.schema()))? {
            None => return Ok(None),
            Some(found) if found > FORMAT => {
                return Err(LedgerError::Newer { path: self.name(), found, known: FORMAT });
            }
            Some(found) if found < FORMAT => self.told(schema::migrate(&link, self.schema())).map(drop)?,
            Some(_) => {}
        }
        Ok(Some(Box::new(Postgres::new(self.target.clone(), link))))
    }

    fn write(&self, _platform: &str, appid: &str, owner: &Owner) -> Result<Box<dyn Ledger>, WriteError> {
        let ledger = self.writable()?;
        ledger.hold(appid, owner)?;
        Ok(Box::new(ledger))
    }

    fn observe(&self) -> Result<Box<dyn Ledger>, WriteError> {
        Ok(Box::new(self.writable()?))
    }

    fn holder(&self, appid: &str) -> Result<Option<Option<Owner>>, LedgerError> {
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        let key = lock_key(self.schema(), appid);
        let Some(backend) = self.told(backend_with(&link, key))? else { return Ok(None) };
        self.told(owner_in(&link, appid, backend)).map(Some)
    }

    fn tokens<'q>(&self, key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Box<dyn Tokens + 'q> {
        Box::new(PostgresTokens::new(self.target.clone(), key, queue))
    }

    fn all_tokens(&self) -> Result<Vec<SavedToken>, Phrase> {
        let all = self.target.connect(limits::STORE_CONNECT).and_then(|link| tokens::all(&link));
        self.told(all).map_err(|error| error.words())
    }

    fn forget_all_tokens(&self, _queue: &dyn Queue) -> Result<(), TokenError> {
        let gone = self.target.connect(limits::STORE_CONNECT).and_then(|link| tokens::forget_all(&link));
        self.told(gone).map_err(|error| TokenError::Source(error.words()))
    }

    fn examine(&self) -> Result<Option<Health>, LedgerError> {
        let health = self.told(health::examine(&self.target))?;
        match health {
            Some(Health { format, newest, .. }) if format > newest => {
                Err(LedgerError::Newer { path: self.name(), found: format, known: newest })
            }
            health => Ok(health),
        }
    }

    fn migrate(&self) -> Result<bool, LedgerError> {
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        self.told(health::fit(&link))?;
        if let Some(found) = self.told(schema::format(&link, self.schema()))?.filter(|found| *found > FORMAT) {
            return Err(LedgerError::Newer { path: self.name(), found, known: FORMAT });
        }
        self.told(schema::migrate(&link, self.schema()))
    }

    fn grants(&self, role: &str, reads_only: bool) -> Option<String> {
        Some(schema::grants(self.schema(), role, reads_only))
    }

    fn each_part(&self, moving: Option<Move<'_>>, take: &mut Sink<'_>) -> Result<(), WriteError> {
        if self.read()?.is_none() {
            return Ok(());
        }
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        if moving.is_some() {
            for appid in self.told(copy::accounts(&link))? {
                self.lock(&link, &appid)?;
            }
        }
        Ok(self.told(copy::each_part(&link, take))??)
    }

    fn fill(
        &self,
        _owner: &Owner,
        give: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.migrate()?;
        let link = self.told(self.target.connect(limits::STORE_CONNECT))?;
        self.told(health::sessions(&self.target, &link))?;
        self.told(link.batch("BEGIN; LOCK TABLE calls, runs, observations IN SHARE ROW EXCLUSIVE MODE"))?;
        if !self.told(copy::accounts(&link))?.is_empty() {
            return Err(WriteError::Filled { path: self.name() });
        }
        give(&mut |part| self.told(copy::insert(&link, part)))?;
        Ok(self.told(link.batch("COMMIT"))?)
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }
}
