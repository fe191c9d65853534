//! Tokens of accounts whose state is in PostgreSQL.
//!
//! The stable endpoint gives every caller the same token, so that nobody needs to be told of it: it is in memory alone. Where a new
//! token ends the one before, machines share it: sealed with the secret that it was got with, so that who reads the database
//! reads no token.

use std::cell::RefCell;

use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::{
    Holder, Target, backend_with,
    fault::Fault,
    link::{Link, Parameters},
    lock_key, owner_in,
};
use crate::{
    ledger::store::{Queue, SavedToken, TokenKey, Tokens},
    limits,
    locale::Phrase,
    redact::Secret,
    wechat::{
        seal,
        token::{Token, TokenError, TokenStore},
    },
};

/// What a sealed token is for.
const PURPOSE: &str = "token";

pub(super) struct PostgresTokens<'q> {
    target: Target,
    appid: String,
    base: String,
    endpoint: String,
    /// What it is sealed with; without it, or if nobody else needs it, a token is in memory alone.
    secret: Option<Secret>,
    queue: Box<dyn Queue + 'q>,
    /// While nobody else fetches it.
    link: RefCell<Option<Link>>,
}

impl<'q> PostgresTokens<'q> {
    pub(super) fn new(target: Target, key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Self {
        let TokenKey { appid, base, endpoint, seal } = key;
        let secret = seal.filter(|_| endpoint != "stable").cloned();
        let (appid, base, endpoint) = (appid.to_owned(), base.to_owned(), endpoint.to_owned());
        Self { target, appid, base, endpoint, secret, queue, link: RefCell::default() }
    }

    /// What the seal is bound to.
    fn bound(&self) -> String {
        format!("{}\0{}\0{}", self.base, self.appid, self.endpoint)
    }

    /// Over the connection that holds the lock, or one of its own.
    fn ask<T>(&self, question: impl FnOnce(&Link) -> Result<T, Fault>) -> Result<T, Phrase> {
        let told = |fault| self.target.told(fault).words();
        if let Some(link) = &*self.link.borrow() {
            return question(link).map_err(told);
        }
        let link = self.target.connect(limits::STORE_CONNECT).map_err(told)?;
        question(&link).map_err(told)
    }

    /// A row of a table; none if there are no tables yet.
    fn row(&self, column: &str, table: &str) -> Result<Option<(String, Option<i64>)>, Phrase> {
        let until = if table == "tokens" { "good_until" } else { "NULL::bigint" };
        let question =
            format!("SELECT {column}, {until} FROM {table} WHERE appid = $1 AND base = $2 AND endpoint = $3");
        self.ask(|link| {
            let row = unless_unmade(link.query_opt(&question, &[&self.appid, &self.base, &self.endpoint]))?;
            Ok(row.flatten().map(|row| (row.get(0), row.get(1))))
        })
    }

    fn save(&self, token: &Token) -> Result<(), Phrase> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let sealed = seal::seal(secret, PURPOSE, &self.bound(), &token.value)?;
        self.ask(|link| {
            link.execute(
                "INSERT INTO tokens (appid, base, endpoint, sealed, good_until) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (appid, base, endpoint) DO UPDATE SET sealed = $4, good_until = $5",
                &[&self.appid, &self.base, &self.endpoint, &sealed, &token.good_until.as_millisecond()],
            )
        })
        .map(drop)
    }

    /// Waits until nobody else fetches it; the lock goes with the connection.
    fn lock(&self) -> Result<(), TokenError> {
        let source = |fault| TokenError::Source(self.target.told(fault).words());
        let link = self.target.connect(limits::STORE_CONNECT).map_err(source)?;
        // A lock as that of an account, which nobody writes for.
        let name = format!("token {} {} {}", self.base, self.appid, self.endpoint);
        let key = lock_key(&self.target.address.schema, &name);
        let taken = "SELECT pg_try_advisory_lock($1), pg_backend_pid()";
        loop {
            let row = link.query_one(taken, &[&key]).map_err(source)?;
            if row.get(0) {
                let holder = Holder { owner: self.queue.owner(), backend: row.get(1) };
                say_who(&link, &name, &holder).map_err(source)?;
                self.link.replace(Some(link));
                return Ok(());
            }
            let backend = backend_with(&link, key).map_err(source)?;
            let owner = backend.map(|backend| owner_in(&link, &name, backend)).transpose().map_err(source)?.flatten();
            if !self.queue.wait(owner.as_ref()) {
                return Err(TokenError::Interrupted);
            }
        }
    }
}

/// Tells who waits who has the lock.
fn say_who(link: &Link, name: &str, holder: &Holder) -> Result<(), Fault> {
    let holder = serde_json::to_string(holder).unwrap_or_default();
    let told = link.execute(
        "INSERT INTO accounts (appid, epoch, holder) VALUES ($1, 0, $2)
         ON CONFLICT (appid) DO UPDATE SET holder = $2, seen_at = clock_timestamp()",
        &[&name, &holder],
    );
    unless_unmade(told).map(drop)
}

/// None where the tables are not made yet.
fn unless_unmade<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Sql(error)) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl TokenStore for PostgresTokens<'_> {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        if self.secret.is_none() {
            return fetch(None);
        }
        self.lock()?;
        let fetched = self.saved().map_err(TokenError::Source).and_then(|saved| {
            let token = fetch(saved.clone())?;
            if saved.as_ref() != Some(&token) {
                self.save(&token).map_err(TokenError::Source)?;
            }
            Ok(token)
        });
        self.link.replace(None);
        fetched
    }

    fn kept(&self) -> Result<Option<String>, TokenError> {
        let row = self.row("text", "kept").map_err(TokenError::Source)?;
        Ok(row.map(|(text, _)| text))
    }

    fn keep(&self, text: &str) -> Result<(), TokenError> {
        let kept = self.ask(|link| {
            link.execute(
                "INSERT INTO kept (appid, base, endpoint, text) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (appid, base, endpoint) DO UPDATE SET text = $4",
                &[&self.appid, &self.base, &self.endpoint, &text],
            )
        });
        kept.map(drop).map_err(TokenError::Source)
    }
}

impl Tokens for PostgresTokens<'_> {
    fn saved(&self) -> Result<Option<Token>, Phrase> {
        let Some(secret) = &self.secret else { return Ok(None) };
        let row = self.row("sealed", "tokens")?;
        Ok(row.and_then(|(sealed, until)| {
            let value = seal::open(secret, PURPOSE, &self.bound(), &sealed)?;
            Some(Token { value, good_until: Timestamp::from_millisecond(until?).ok()? })
        }))
    }

    fn forget(&self) -> Result<bool, TokenError> {
        let gone = "DELETE FROM tokens WHERE appid = $1 AND base = $2 AND endpoint = $3";
        let parameters: Parameters<'_> = &[&self.appid, &self.base, &self.endpoint];
        let gone = self.ask(|link| unless_unmade(link.execute(gone, parameters))).map_err(TokenError::Source)?;
        Ok(gone.is_some_and(|rows| rows > 0))
    }
}

/// Every token that is saved, without its value.
pub(super) fn all(link: &Link) -> Result<Vec<SavedToken>, Fault> {
    let asked = "SELECT appid, base, good_until FROM tokens ORDER BY appid, base, endpoint";
    let rows = unless_unmade(link.query(asked, &[]))?.unwrap_or_default();
    let saved = |row: &tokio_postgres::Row| {
        let good_until = Timestamp::from_millisecond(row.get(2)).ok()?;
        Some(SavedToken { appid: row.get(0), base: row.get(1), good_until })
    };
    Ok(rows.iter().filter_map(saved).collect())
}

pub(super) fn forget_all(link: &Link) -> Result<(), Fault> {
    unless_unmade(link.execute("DELETE FROM tokens", &[])).map(drop)
}
