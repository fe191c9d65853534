//! State in files: the ledger, and beside it, by its name and a suffix, the locks of accounts and the tokens.

use std::path::{Path, PathBuf};

use super::{
    FORMAT, Sqlite,
    files::{beside, make_folder, place, reason},
    lock::{self, Lock},
    tokens::{TokenEntry, TokenFile},
};
use crate::{
    ledger::{
        Ledger, LedgerError,
        name::is_address,
        parts::{Part, Sink},
        store::{Health, Move, Owner, Queue, SavedToken, Store, TokenKey, Tokens, WriteError},
    },
    locale::{Phrase, say},
    problem::Problem,
    text::quoted,
    wechat::token::TokenError,
};

/// The state in a folder, by the path of its ledger.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    /// As it was named.
    path: PathBuf,
    /// Whether a person named it, and so says which of two copies is meant.
    meant: bool,
}

impl SqliteStore {
    /// Nothing is opened yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, meant: false }
    }

    /// As a person names it.
    pub(crate) fn meant(path: PathBuf) -> Self {
        Self { path, meant: true }
    }

    /// The one name of the ledger, by which all of its files are named.
    fn place(&self) -> Result<PathBuf, LedgerError> {
        place(&self.path).map_err(|error| LedgerError::Store {
            path: self.name(),
            what: say!("cannot be opened: {why}", why = reason(&error)),
            source: None,
        })
    }

    /// What it is that has the name of the ledger, if it cannot be one; what cannot be looked at is left for who opens it.
    pub(in crate::ledger) fn other_kind(&self) -> Option<Phrase> {
        let place = place(&self.path).ok()?;
        if ["/dev", "/proc", "/sys"].iter().any(|folder| place.starts_with(folder)) && !place.starts_with("/dev/shm") {
            return Some(say!("files there are not durable"));
        }
        let kind = place.symlink_metadata().ok()?.file_type();
        (!kind.is_file()).then(|| if kind.is_dir() { say!("it is a folder") } else { say!("it is not a regular file") })
    }

    /// The ledger by its one name, if there is one.
    fn found(&self) -> Result<Option<PathBuf>, LedgerError> {
        // What is no file is found, and said to be none when it is opened.
        self.place().map(|place| Some(place).filter(|place| place.symlink_metadata().is_ok()))
    }

    fn token_file(&self) -> TokenFile {
        TokenFile { ledger: self.path.clone() }
    }

    /// The files of the state that others than their owner may read or write.
    #[cfg(unix)]
    fn open_to_others(&self) -> Vec<Problem> {
        use std::os::unix::fs::PermissionsExt as _;
        let warning = |path: PathBuf| {
            let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
            let path = path.display().to_string();
            (mode & 0o077 != 0).then(|| {
                let mode = format!("{mode:04o}");
                Problem::new(say!("{path} has mode {mode}; other users can read it", path = &path, mode))
                    .help(Phrase::verbatim(format!("chmod 600 {}", quoted(&path))))
            })
        };
        [place(&self.path), self.token_file().path(), self.token_file().kept_path()]
            .into_iter()
            .flatten()
            .filter_map(warning)
            .collect()
    }

    #[cfg(not(unix))]
    fn open_to_others(&self) -> Vec<Problem> {
        Vec::new()
    }
}

impl Store for SqliteStore {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self) -> Result<Option<Box<dyn Ledger>>, LedgerError> {
        let Some(place) = self.found()? else { return Ok(None) };
        Ok(Some(Box::new(Sqlite::open_at(&place, self.name())?)))
    }

    fn write(&self, _platform: &str, appid: &str, owner: &Owner) -> Result<Box<dyn Ledger>, WriteError> {
        let path = lock_of(&self.path, appid);
        let failed = |error: std::io::Error| {
            WriteError::Lock(say!(
                "cannot create the lock {path}: {why}",
                path = path.display().to_string(),
                why = reason(&error)
            ))
        };
        let place = place(&self.path).map_err(failed)?;
        make_folder(place.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let lock = Lock::take(&lock_of(&place, appid), owner)?;
        let mut ledger = Sqlite::open_at(&place, self.name())?;
        ledger.check()?;
        ledger.hold(lock, &place, appid)?;
        match ledger.settle(&place, self.meant)? {
            None => Ok(Box::new(ledger)),
            Some(to) if is_address(&to) => Err(WriteError::Moved { path: self.name(), to }),
            Some(home) => Err(WriteError::Copy { path: place.display().to_string(), home }),
        }
    }

    fn observe(&self) -> Result<Box<dyn Ledger>, WriteError> {
        let place = self.place()?;
        let mut ledger = Sqlite::open_at(&place, self.name())?;
        match ledger.stay(&place, self.meant)? {
            None => Ok(Box::new(ledger)),
            Some(to) => Err(WriteError::Moved { path: self.name(), to }),
        }
    }

    fn holder(&self, appid: &str) -> Result<Option<Option<Owner>>, LedgerError> {
        Ok(lock::holder(&lock_of(&self.place()?, appid)))
    }

    fn tokens<'q>(&self, key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Box<dyn Tokens + 'q> {
        Box::new(TokenEntry::new(self.token_file(), key, queue))
    }

    fn all_tokens(&self) -> Result<Vec<SavedToken>, Phrase> {
        Ok(self.token_file().all())
    }

    fn forget_all_tokens(&self, queue: &dyn Queue) -> Result<(), TokenError> {
        self.token_file().forget_all(queue)
    }

    fn examine(&self) -> Result<Option<Health>, LedgerError> {
        let Some(place) = self.found()? else { return Ok(None) };
        let health = Some(Sqlite::examine(&place, self.name())?);
        Ok(health.map(|health| Health { warnings: self.open_to_others(), ..health }))
    }

    fn migrate(&self) -> Result<bool, LedgerError> {
        let place = self.place()?;
        let before = if self.found()?.is_some() { Sqlite::examine(&place, self.name())?.format } else { 0 };
        drop(Sqlite::open_at(&place, self.name())?);
        Ok(before < FORMAT)
    }

    fn grants(&self, _role: &str, _reads_only: bool) -> Option<String> {
        None
    }

    fn each_part(&self, moving: Option<Move<'_>>, take: &mut Sink<'_>) -> Result<(), WriteError> {
        let Some(place) = self.found()? else { return Ok(()) };
        let mut ledger = Sqlite::open_at(&place, self.name())?;
        ledger.check()?;
        let unreadable = |what| LedgerError::Store { path: self.name(), what, source: None };
        for kept in self.token_file().all_kept().map_err(unreadable)? {
            take(Part::Kept(kept))?;
        }
        match moving {
            None => Ok(ledger.each_part(take)?),
            Some(Move { owner, to }) => {
                let lock = |appid: &String| Lock::take(&lock_of(&place, appid), owner);
                ledger.move_to(to, |accounts| accounts.iter().map(lock).collect(), take)
            }
        }
    }

    fn fill(
        &self,
        _owner: &Owner,
        give: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let place = self.place()?;
        // Nobody has the lock of an account of which there is nothing, and nobody else writes while this is written.
        let mut ledger = Sqlite::open_at(&place, self.name())?;
        ledger.check()?;
        let files = self.token_file();
        ledger.fill(&mut |sink| {
            give(&mut |part| match part {
                Part::Kept(kept) => {
                    let unwritable = |what| LedgerError::Store { path: self.name(), what, source: None };
                    files.keep(kept).map_err(unwritable)
                }
                part => sink(part),
            })
        })
    }

    fn free_bytes(&self) -> Option<u64> {
        let folders = self.path.ancestors().skip(1);
        let mut folders = folders.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let folder = folders.find(|folder| folder.exists())?;
        #[cfg(unix)]
        {
            let disk = rustix::fs::statvfs(folder).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        }
        #[cfg(not(unix))]
        {
            let _ = folder;
            None
        }
    }
}

fn lock_of(ledger: &Path, appid: &str) -> PathBuf {
    beside(ledger, &format!(".{appid}.lock"))
}
