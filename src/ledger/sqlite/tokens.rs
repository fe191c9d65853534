//! Tokens by address, AppID and endpoint, in a private file beside the ledger that is written whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ledger::store::{SavedToken, TokenKey, Tokens},
    problem::reason,
    redact::Secret,
    wechat::token::{Token, TokenError, TokenStore},
};

/// The file of all tokens.
#[derive(Debug)]
pub(super) struct TokenFile {
    pub(super) path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    access_token: String,
    good_until: Timestamp,
}

/// By `ADDRESS APPID ENDPOINT`.
type SavedTokens = BTreeMap<String, Saved>;

impl TokenFile {
    fn read(&self) -> SavedTokens {
        // A file that cannot be read costs a token, and nothing else.
        fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, tokens: &SavedTokens) -> Result<(), String> {
        let failed =
            |error: &std::io::Error| format!("the token cannot be saved in {}: {}", self.path.display(), reason(error));
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // `tempfile` makes files of mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(tokens).unwrap_or_default();
        file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        file.persist(&self.path).map(drop).map_err(|error| failed(&error.error))
    }

    fn locked<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        let path = super::files::beside(&self.path, ".lock");
        let failed = |error: std::io::Error| format!("the lock {} cannot be made: {}", path.display(), reason(&error));
        let file = super::files::open_private(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(work())
    }

    pub(super) fn all(&self) -> Vec<SavedToken> {
        let split = |(key, saved): (String, Saved)| {
            let mut words = key.split(' ').map(str::to_owned);
            let (base, appid) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            SavedToken { appid, base, good_until: saved.good_until }
        };
        self.read().into_iter().map(split).collect()
    }

    pub(super) fn forget_all(&self) -> Result<(), String> {
        if self.path.exists() { self.locked(|| self.write(&SavedTokens::new()))? } else { Ok(()) }
    }
}

/// One token in the file.
#[derive(Debug)]
pub(super) struct TokenEntry {
    file: TokenFile,
    key: String,
}

impl TokenEntry {
    pub(super) fn new(file: TokenFile, TokenKey { appid, base, endpoint }: TokenKey<'_>) -> Self {
        Self { file, key: format!("{base} {appid} {endpoint}") }
    }

    fn save(&self, token: &Token) -> Result<(), String> {
        let mut tokens = self.file.read();
        let saved = Saved { access_token: token.value.expose().to_owned(), good_until: token.good_until };
        tokens.insert(self.key.clone(), saved);
        self.file.write(&tokens)
    }
}

impl TokenStore for TokenEntry {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        let fetched = self.file.locked(|| {
            let saved = self.saved().map_err(TokenError::Source)?;
            let token = fetch(saved.clone())?;
            if saved.as_ref() != Some(&token) {
                self.save(&token).map_err(TokenError::Source)?;
            }
            Ok(token)
        });
        fetched.map_err(TokenError::Source)?
    }
}

impl Tokens for TokenEntry {
    fn saved(&self) -> Result<Option<Token>, String> {
        let saved = self.file.read().remove(&self.key);
        Ok(saved.map(|saved| Token { value: Secret::new(saved.access_token), good_until: saved.good_until }))
    }

    fn forget(&self) -> Result<bool, String> {
        if !self.file.path.exists() {
            return Ok(false);
        }
        self.file.locked(|| {
            let mut tokens = self.file.read();
            let had = tokens.remove(&self.key).is_some();
            self.file.write(&tokens).map(|()| had)
        })?
    }
}
