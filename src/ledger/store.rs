//! Where the state of accounts is kept: the ledger, who may write it, and the tokens.

use std::rc::Rc;

use jiff::Timestamp;

pub use super::owner::Owner;
use super::{Ledger, LedgerError, parts::Sink};
use crate::{
    locale::{Phrase, say},
    problem::Problem,
    redact::Secret,
    wechat::token::{Token, TokenError, TokenStore},
};

/// How the password of a store is had; none if it needs none. It is asked for with every connection, since one that a command
/// prints may be good for minutes.
pub type Password = Rc<dyn Fn() -> Result<Option<Secret>, Phrase>>;

/// A store, named and not yet opened.
pub trait Store {
    /// As messages name it.
    fn name(&self) -> String;

    /// Opens the ledger for reading; `None` if there is none yet. An older format is brought up to date.
    fn read(&self) -> Result<Option<Box<dyn Ledger>>, LedgerError>;

    /// Takes the lock of an account (an AppID, whatever the platform) and opens the ledger for writing that account's calls,
    /// making it where there is none. The lock is held as long as what is returned lives, and ends with the process, however
    /// it ends; it does not wait. The owner is told to whoever asks meanwhile.
    fn write(&self, platform: &str, appid: &str, owner: &Owner) -> Result<Box<dyn Ledger>, WriteError>;

    /// Opens the ledger for [`Ledger::observe`], making it where there is none, without the lock of any account: a run in
    /// progress goes on, and waits for no more than the moment of a write. Calls are not written through it.
    fn observe(&self) -> Result<Box<dyn Ledger>, WriteError>;

    /// Who holds the lock of an account, if somebody does; an owner that cannot be read is `None`. Changes nothing.
    fn holder(&self, appid: &str) -> Result<Option<Option<Owner>>, LedgerError>;

    /// Where the token of an account is kept; never in the ledger.
    fn tokens<'q>(&self, key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Box<dyn Tokens + 'q>;

    /// Every token that is kept, whichever account it is of; without its value.
    fn all_tokens(&self) -> Result<Vec<SavedToken>, Phrase>;

    fn forget_all_tokens(&self, queue: &dyn Queue) -> Result<(), TokenError>;

    /// Looks at the ledger without changing it; `None` if there is none yet.
    fn examine(&self) -> Result<Option<Health>, LedgerError>;

    /// What is to be said about how it was named.
    fn note(&self) -> Option<Phrase> {
        None
    }

    /// Whether other machines have the same state.
    fn is_shared(&self) -> bool {
        false
    }

    /// Makes the ledger, or brings it up to date; whether there was anything to do.
    fn migrate(&self) -> Result<bool, LedgerError>;

    /// The statements by which a role may run plans, or read alone; none where the rights of files decide.
    fn grants(&self, role: &str, reads_only: bool) -> Option<String>;

    /// Everything of the ledger, in the order in which it was written; a ledger that is not there has nothing. If it moves, the
    /// locks of all accounts are held meanwhile, and at the end the ledger notes where it is from now on, if it can be found
    /// without being named.
    fn each_part(&self, moving: Option<Move<'_>>, take: &mut Sink<'_>) -> Result<(), WriteError>;

    /// Takes everything of another ledger, all of it or nothing; this one is empty, and nobody writes to it meanwhile.
    fn fill(
        &self,
        owner: &Owner,
        give: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError>;

    /// Bytes that are free where the state is, or will be; `None` where nobody says.
    fn free_bytes(&self) -> Option<u64>;
}

/// A ledger that moves: by whom, and to which store.
#[derive(Debug, Clone, Copy)]
pub struct Move<'m> {
    pub owner: &'m Owner,
    pub to: &'m str,
}

/// Somebody who waits for a lock that others hold for moments.
pub trait Queue {
    /// Who it is, for those who wait for it.
    fn owner(&self) -> Owner;
    /// Asked again and again while the lock is held, by whom as far as that is known: lets a moment pass. False if the wait is
    /// over.
    fn wait(&self, holder: Option<&Owner>) -> bool;
}

/// Why a ledger cannot be written.
#[derive(Debug)]
pub enum WriteError {
    /// Another run has the lock of the account, and who.
    Held(Option<Owner>),
    /// The lock can neither be had nor is it held.
    Lock(Phrase),
    /// The ledger is a copy of one that is still there, and that has sends which it does not know.
    Copy {
        /// The copy, as it is named.
        path: String,
        /// Where the ledger was kept before.
        home: String,
    },
    /// The ledger was moved, and is used no more.
    Moved {
        path: String,
        /// Where it is now.
        to: String,
    },
    /// Another ledger was to be copied into one that has something already.
    Filled { path: String },
    /// There is a lock, and no ledger.
    Ledger(LedgerError),
}

impl WriteError {
    /// What a person is told.
    pub fn words(&self) -> Phrase {
        match self {
            Self::Held(_) => say!("another run of the account is in progress"),
            Self::Lock(why) => why.clone(),
            Self::Copy { path, home } => {
                say!(
                    "the state store {path} is a copy of {home}, which is still there and has sends that it does not know",
                    path,
                    home
                )
            }
            Self::Moved { path, to } => {
                say!("the state store {path} was copied to {to}, which is used since", path, to)
            }
            Self::Filled { path } => {
                say!("the state store {path} is not empty; everything is copied into an empty one", path)
            }
            Self::Ledger(error) => error.words(),
        }
    }
}

impl From<LedgerError> for WriteError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// Which token: each is kept apart.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey<'a> {
    pub appid: &'a str,
    /// The address that gave it.
    pub base: &'a str,
    /// `stable` or `classic`; by way of a third-party platform `authorizer`, and `component` for the platform's own token, whose
    /// AppID is then the platform's.
    pub endpoint: &'a str,
    /// The secret that it is got with, for a store that others may read; without it such a store keeps no token.
    pub seal: Option<&'a Secret>,
}

/// Where one token is kept, and what a person may ask of it. [`TokenStore::kept`] is no token: neither [`Store::all_tokens`] nor
/// what forgets tokens touches it, and it has a row of its own even where no token is saved.
pub trait Tokens: TokenStore {
    /// The token last saved, without waiting for who fetches one.
    fn saved(&self) -> Result<Option<Token>, Phrase>;
    /// Forgets it; true if there was one.
    fn forget(&self) -> Result<bool, TokenError>;
}

/// A token that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedToken {
    pub appid: String,
    /// The address that gave it.
    pub base: String,
    /// Until when it is used.
    pub good_until: Timestamp,
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The format that it has.
    pub format: i64,
    /// The format that this version writes.
    pub newest: i64,
    /// What is wrong with it.
    pub damage: Vec<Phrase>,
    /// What is not wrong yet, and what to do about it.
    pub warnings: Vec<Problem>,
    /// What it is, if it is not a file.
    pub about: Option<Phrase>,
}
