//! The state of a project: ledger, token, lock. One folder, `.qunfa` in the project root, unless `--state` names another.
#![expect(clippy::disallowed_methods, reason = "this module is an adapter: it owns the files of the state")]

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    redact::Secret,
    wechat::token::{Token, TokenError, TokenStore},
};

/// Where the state is.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The ledger.
    pub(super) path: PathBuf,
}

impl State {
    /// Of a project, or as `--state` says (`sqlite:PATH`).
    pub(super) fn locate(option: Option<&str>, root: &Path) -> Result<Self, String> {
        match option {
            None => Ok(Self { path: root.join(".qunfa/state.db") }),
            Some(text) => match text.strip_prefix("sqlite:") {
                Some(path) if !path.is_empty() => Ok(Self { path: path.into() }),
                _ => Err(format!("`{text}` is not a state store: write --state sqlite:PATH")),
            },
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    /// Takes the lock of an account; it is the operating system's, and dies with this process.
    pub(super) fn lock(&self, appid: &str, owner: &Owner) -> Result<Lock, LockError> {
        let path = self.beside(&format!(".{appid}.lock"));
        let failed = |error: std::io::Error| {
            LockError::Failed(format!("the lock {} cannot be made: {}", path.display(), super::world::reason(&error)))
        };
        let mut file = open_private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held(serde_json::from_str(&text).ok()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let text = serde_json::to_string(owner).unwrap_or_default();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Who holds the lock of an account, if somebody does; an owner that cannot be read is `None`. Changes nothing, but a
    /// run that begins in this very instant takes it for another run.
    pub(super) fn holder(&self, appid: &str) -> Option<Option<Owner>> {
        let mut file = File::open(self.beside(&format!(".{appid}.lock"))).ok()?;
        match file.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Some(serde_json::from_str(&text).ok())
            }
            Ok(()) | Err(fs::TryLockError::Error(_)) => None,
        }
    }

    /// The files of the state that others than their owner may read or write.
    #[cfg(unix)]
    pub(super) fn open_to_others(&self) -> Vec<(PathBuf, u32)> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: PathBuf| {
            let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o777;
            (mode & 0o077 != 0).then_some((path, mode))
        };
        [self.path.clone(), self.beside(".tokens")].into_iter().filter_map(mode).collect()
    }

    /// The files of the state that others than their owner may read or write.
    #[cfg(not(unix))]
    pub(super) fn open_to_others(&self) -> Vec<(PathBuf, u32)> {
        Vec::new()
    }

    /// Bytes that are free where the state is, or will be; `None` where the system does not say.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let there = self
            .path
            .ancestors()
            .skip(1)
            .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let folder = { there }.find(|folder| folder.exists())?;
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

    /// Where the token of an account is kept: beside the ledger, never in it.
    pub(super) fn tokens(&self, appid: &str, base: &str, endpoint: &str) -> TokenFile {
        TokenFile { path: self.beside(".tokens"), key: format!("{base} {appid} {endpoint}") }
    }
}

/// Who holds a lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owner {
    /// Its process.
    pub(super) pid: u32,
    /// Its machine.
    pub(super) host: String,
    /// Since when.
    pub(super) since: Timestamp,
    /// The plan that it runs.
    pub(super) plan: String,
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another run has it, and who.
    Held(Option<Owner>),
    /// The file cannot be made.
    Failed(String),
}

fn open_private(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        crate::ledger::sqlite::make_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Tokens by address, AppID and endpoint, in a private file that is written whole or not at all.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    access_token: String,
    good_until: Timestamp,
}

type SavedTokens = std::collections::BTreeMap<String, Saved>;

impl TokenFile {
    fn read(&self) -> SavedTokens {
        // A file that cannot be read costs a token, and nothing else.
        fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, tokens: &SavedTokens) -> Result<(), String> {
        let failed = |error: &std::io::Error| {
            format!("the token cannot be saved in {}: {}", self.path.display(), super::world::reason(error))
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // `tempfile` makes files of mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(tokens).unwrap_or_default();
        file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        file.persist(&self.path).map(drop).map_err(|error| failed(&error.error))
    }

    fn locked<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |error: std::io::Error| {
            format!("the lock {} cannot be made: {}", path.display(), super::world::reason(&error))
        };
        let file = open_private(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(work())
    }

    /// AppID, address and end of every token that is kept, whichever account it is of.
    pub(super) fn all(&self) -> Vec<(String, String, Timestamp)> {
        let split = |(key, saved): (String, Saved)| {
            let mut words = key.split(' ').map(str::to_owned);
            let (base, appid) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            (appid, base, saved.good_until)
        };
        self.read().into_iter().map(split).collect()
    }

    /// Forgets every token.
    pub(super) fn clear_all(&self) -> Result<(), String> {
        if self.path.exists() { self.locked(|| self.write(&SavedTokens::new()))? } else { Ok(()) }
    }

    /// Forgets the token; true if there was one.
    pub(super) fn clear(&self) -> Result<bool, String> {
        if !self.path.exists() {
            return Ok(false);
        }
        self.locked(|| {
            let mut tokens = self.read();
            let had = tokens.remove(&self.key).is_some();
            self.write(&tokens).map(|()| had)
        })?
    }
}

impl TokenStore for TokenFile {
    fn load(&self) -> Result<Option<Token>, String> {
        Ok(self
            .read()
            .remove(&self.key)
            .map(|saved| Token { value: Secret::new(saved.access_token), good_until: saved.good_until }))
    }

    fn save(&self, token: &Token) -> Result<(), String> {
        let mut tokens = self.read();
        tokens.insert(
            self.key.clone(),
            Saved { access_token: token.value.expose().to_owned(), good_until: token.good_until },
        );
        self.write(&tokens)
    }

    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        let fetched = self.locked(|| {
            let saved = self.load().map_err(TokenError::Source)?;
            let token = fetch(saved.clone())?;
            if saved.as_ref() != Some(&token) {
                self.save(&token).map_err(TokenError::Source)?;
            }
            Ok(token)
        });
        fetched.map_err(TokenError::Source)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { pid: 1, host: "h".into(), since: Timestamp::UNIX_EPOCH, plan: "p".into() }
    }

    #[test]
    fn a_second_lock_says_who_holds_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State { path: folder.path().join("state.db") };
        let lock = state.lock("wx1", &owner()).expect("free");
        assert!(matches!(state.lock("wx1", &owner()), Err(LockError::Held(Some(Owner { pid: 1, .. })))));
        assert!(state.lock("wx2", &owner()).is_ok(), "another account has a lock of its own");
        drop(lock);
        assert!(state.lock("wx1", &owner()).is_ok());
    }

    #[test]
    fn tokens_are_kept_apart_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = State { path: folder.path().join("state.db") };
        let (a, b) = (state.tokens("wx1", "https://a", "stable"), state.tokens("wx2", "https://a", "stable"));
        let token = Token { value: Secret::new("t".into()), good_until: Timestamp::UNIX_EPOCH };
        a.save(&token).expect("writes");
        assert_eq!((a.load(), b.load()), (Ok(Some(token)), Ok(None)));
        assert_eq!((a.clear(), a.clear()), (Ok(true), Ok(false)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join("state.db.tokens")).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_store_is_named_by_its_kind() {
        assert!(State::locate(Some("sqlite:x.db"), Path::new("/p")).is_ok());
        assert!(State::locate(Some("x.db"), Path::new("/p")).is_err());
        assert_eq!(State::locate(None, Path::new("p")).expect("valid").path, Path::new("p/.qunfa/state.db"));
    }
}
