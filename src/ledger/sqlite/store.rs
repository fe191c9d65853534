//! State in files: the ledger, and beside it, by its name and a suffix, the locks of accounts and the tokens.

use std::path::{Path, PathBuf};

use super::{
    Sqlite,
    files::beside,
    lock::{self, Lock},
    tokens::{TokenEntry, TokenFile},
};
use crate::ledger::{
    Ledger, LedgerError,
    store::{Health, Owner, SavedToken, Store, TokenKey, Tokens, WriteError},
};

/// The state in a folder, by the path of its ledger.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    path: PathBuf,
}

impl SqliteStore {
    /// Nothing is opened yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn lock(&self, appid: &str) -> PathBuf {
        beside(&self.path, &format!(".{appid}.lock"))
    }

    fn token_file(&self) -> TokenFile {
        TokenFile { path: beside(&self.path, ".tokens") }
    }

    /// The files of the state that others than their owner may read or write.
    #[cfg(unix)]
    fn open_to_others(&self) -> Vec<crate::problem::Problem> {
        use std::os::unix::fs::PermissionsExt as _;
        let warning = |path: PathBuf| {
            let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
            let path = path.display();
            (mode & 0o077 != 0).then(|| crate::problem::Problem {
                message: format!("{path} has mode {mode:04o}, so that others can read it"),
                help: vec![format!("chmod 600 {path}")],
                errcode: None,
            })
        };
        [self.path.clone(), self.token_file().path].into_iter().filter_map(warning).collect()
    }

    #[cfg(not(unix))]
    fn open_to_others(&self) -> Vec<crate::problem::Problem> {
        Vec::new()
    }
}

impl Store for SqliteStore {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self) -> Result<Option<Box<dyn Ledger>>, LedgerError> {
        if self.path.exists() { Ok(Some(Box::new(Sqlite::open(&self.path)?))) } else { Ok(None) }
    }

    fn write(&self, _platform: &str, appid: &str, owner: &Owner) -> Result<Box<dyn Ledger>, WriteError> {
        let lock = Lock::take(&self.lock(appid), owner)?;
        Ok(Box::new(Sqlite { _lock: Some(lock), ..Sqlite::open(&self.path)? }))
    }

    fn holder(&self, appid: &str) -> Result<Option<Option<Owner>>, LedgerError> {
        Ok(lock::holder(&self.lock(appid)))
    }

    fn tokens(&self, key: TokenKey<'_>) -> Box<dyn Tokens> {
        Box::new(TokenEntry::new(self.token_file(), key))
    }

    fn all_tokens(&self) -> Result<Vec<SavedToken>, String> {
        Ok(self.token_file().all())
    }

    fn forget_all_tokens(&self) -> Result<(), String> {
        self.token_file().forget_all()
    }

    fn examine(&self) -> Result<Option<Health>, LedgerError> {
        let health = Sqlite::examine(&self.path)?;
        Ok(health.map(|health| Health { warnings: self.open_to_others(), ..health }))
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
