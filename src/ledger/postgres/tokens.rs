//! Tokens of accounts whose state is in PostgreSQL. The stable endpoint gives every caller the same token, so that nobody needs to
//! be told of it: it is in memory alone.

use crate::{
    ledger::store::{Queue, TokenKey, Tokens},
    locale::Phrase,
    wechat::token::{Token, TokenError, TokenStore},
};

pub(super) struct PostgresTokens<'q> {
    _queue: Box<dyn Queue + 'q>,
}

impl<'q> PostgresTokens<'q> {
    pub(super) fn new(_key: TokenKey<'_>, queue: Box<dyn Queue + 'q>) -> Self {
        Self { _queue: queue }
    }
}

impl TokenStore for PostgresTokens<'_> {
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError> {
        fetch(None)
    }
}

impl Tokens for PostgresTokens<'_> {
    fn saved(&self) -> Result<Option<Token>, Phrase> {
        Ok(None)
    }

    fn forget(&self) -> Result<bool, TokenError> {
        Ok(false)
    }
}
