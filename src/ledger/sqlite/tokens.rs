//! Tokens by address, AppID and endpoint, in a private file beside the ledger that is written whole or not at all; and in
//! another one what is kept beside a token and outlives it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    files::{beside, make_folder, open_own, place, read_bounded, reason},
    lock::Lock,
};
use crate::{
    ledger::store::{Queue, SavedToken, TokenKey, Tokens, WriteError},
    limits,
    locale::{Phrase, say},
    redact::Secret,
    wechat::token::{Token, TokenError, TokenStore},
};

/// The file of all tokens.
#[derive(Debug)]
pub(super) struct TokenFile {
    /// The ledger that it is beside, as it was named.
    pub(super) ledger: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    access_token: String,
    good_until: Timestamp,
}

/// By `ADDRESS APPID ENDPOINT`.
type SavedTokens = BTreeMap<String, Saved>;

/// By the same.
type Kept = BTreeMap<String, String>;

impl TokenFile {
    pub(super) fn path(&self) -> std::io::Result<PathBuf> {
        place(&self.ledger).map(|ledger| beside(&ledger, ".tokens"))
    }

    /// The file of what is kept beside tokens. To lose a token costs another one; to lose this may cost an authorisation.
    pub(super) fn kept_path(&self) -> std::io::Result<PathBuf> {
        place(&self.ledger).map(|ledger| beside(&ledger, ".kept"))
    }

    fn read_kept(&self) -> Result<Kept, Phrase> {
        let failed = |why: Phrase| {
            let path = self.ledger.display().to_string();
            say!("cannot read {path}.kept: {why}", path, why)
        };
        let path = self.kept_path().map_err(|error| failed(reason(&error)))?;
        let bytes = match open_own(&path, false) {
            Ok(mut file) => read_bounded(&mut file, limits::TOKENS_BYTES_MAX),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Kept::new()),
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| failed(reason(&error)))?;
        serde_json::from_slice(&bytes).map_err(|_| failed(say!("it is damaged")))
    }

    fn write_kept(&self, kept: &Kept) -> Result<(), Phrase> {
        let failed = |error: &std::io::Error| {
            let path = format!("{}.kept", self.ledger.display());
            say!("cannot save the token in {path}: {why}", path, why = reason(error))
        };
        let path = self.kept_path().map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(kept).unwrap_or_default();
        write_whole(&path, &text, true).map_err(|error| failed(&error))
    }

    /// Whether there is something by its name.
    fn is_there(&self) -> bool {
        self.path().is_ok_and(|path| fs::symlink_metadata(path).is_ok())
    }

    fn read(&self) -> SavedTokens {
        // A file that cannot be read, or is not ours, costs a token, and nothing else.
        let opened = self.path().and_then(|path| open_own(&path, false));
        let bytes = opened.and_then(|mut file| read_bounded(&mut file, limits::TOKENS_BYTES_MAX));
        bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, tokens: &SavedTokens) -> Result<(), Phrase> {
        let failed = |error: &std::io::Error| {
            let path = format!("{}.tokens", self.ledger.display());
            say!("cannot save the token in {path}: {why}", path, why = reason(error))
        };
        let path = self.path().map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(tokens).unwrap_or_default();
        write_whole(&path, &text, false).map_err(|error| failed(&error))
    }

    /// Works with the file while nobody else does.
    fn locked<T>(&self, queue: &dyn Queue, work: impl FnOnce() -> Result<T, TokenError>) -> Result<T, TokenError> {
        let failed = |error: std::io::Error| {
            let path = format!("{}.tokens.lock", self.ledger.display());
            TokenError::Source(say!("cannot create the lock {path}: {why}", path, why = reason(&error)))
        };
        let path = beside(&self.path().map_err(failed)?, ".lock");
        make_folder(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        loop {
            match Lock::take(&path, &queue.owner()) {
                Ok(_lock) => return work(),
                Err(WriteError::Held(holder)) if queue.wait(holder.as_ref()) => {}
                Err(WriteError::Held(_)) => return Err(TokenError::Interrupted),
                Err(error) => return Err(TokenError::Source(error.words())),
            }
        }
    }

    /// What is kept beside tokens: address, AppID, endpoint, text.
    pub(super) fn all_kept(&self) -> Result<Vec<[String; 4]>, Phrase> {
        let row = |(key, text): (String, String)| {
            let mut words = key.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            [word(), word(), word(), text]
        };
        Ok(self.read_kept()?.into_iter().map(row).collect())
    }

    pub(super) fn keep(&self, [base, appid, endpoint, text]: [String; 4]) -> Result<(), Phrase> {
        let mut kept = self.read_kept()?;
        kept.insert(format!("{base} {appid} {endpoint}"), text);
        self.write_kept(&kept)
    }

    pub(super) fn all(&self) -> Vec<SavedToken> {
        let split = |(key, saved): (String, Saved)| {
            let mut words = key.split(' ').map(str::to_owned);
            let (base, appid) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            SavedToken { appid, base, good_until: saved.good_until }
        };
        self.read().into_iter().map(split).collect()
    }

    pub(super) fn forget_all(&self, queue: &dyn Queue) -> Result<(), TokenError> {
        if !self.is_there() {
            return Ok(());
        }
        self.locked(queue, || self.write(&SavedTokens::new()).map_err(TokenError::Source))
    }
}

/// Writes a private file, whole or not at all; if that matters more than time, a power cut does not take it back.
fn write_whole(path: &Path, text: &str, durable: bool) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    if durable {
        file.as_file().sync_all()?;
    }
    // A link in its place is replaced, and not followed.
    file.persist(path)?;
    #[cfg(unix)]
    if durable {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// One token in the file.
pub(super) struct TokenEntry<'q> {
    file: TokenFile,
    key: String,
    queue: Box<dyn Queue + 'q>,
}

impl<'q> TokenEntry<'q> {
    pub(super) fn new(file: TokenFile, key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Self {
        let TokenKey { appid, base, endpoint, .. } = key;
        Self { file, key: format!("{base} {appid} {endpoint}"), queue }
    }

    fn save(&self, token: &Token) -> Result<(), Phrase> {
        let mut tokens = self.file.read();
        let saved = Saved { access_token: token.value.expose().to_owned(), good_until: token.good_until };
        tokens.insert(self.key.clone(), saved);
        self.file.write(&tokens)
    }
}

impl TokenStore for TokenEntry<'_> {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        self.file.locked(&*self.queue, || {
            let saved = self.saved().map_err(TokenError::Source)?;
            let token = fetch(saved.clone())?;
            if saved.as_ref() != Some(&token) {
                self.save(&token).map_err(TokenError::Source)?;
            }
            Ok(token)
        })
    }

    fn kept(&self) -> Result<Option<String>, TokenError> {
        self.file.read_kept().map(|mut kept| kept.remove(&self.key)).map_err(TokenError::Source)
    }

    fn keep(&self, text: &str) -> Result<(), TokenError> {
        let mut kept = self.file.read_kept().map_err(TokenError::Source)?;
        kept.insert(self.key.clone(), text.to_owned());
        self.file.write_kept(&kept).map_err(TokenError::Source)
    }
}

impl Tokens for TokenEntry<'_> {
    fn saved(&self) -> Result<Option<Token>, Phrase> {
        let saved = self.file.read().remove(&self.key);
        Ok(saved.map(|saved| Token { value: Secret::new(saved.access_token), good_until: saved.good_until }))
    }

    fn forget(&self) -> Result<bool, TokenError> {
        if !self.file.is_there() {
            return Ok(false);
        }
        self.file.locked(&*self.queue, || {
            let mut tokens = self.file.read();
            let had = tokens.remove(&self.key).is_some();
            self.file.write(&tokens).map(|()| had).map_err(TokenError::Source)
        })
    }
}
