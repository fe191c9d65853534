//! A token, where it is kept, and why there is none.

use jiff::Timestamp;

use crate::{
    locale::{Phrase, say},
    redact::Secret,
};

/// A token and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub value: Secret,
    /// Until when it is used: a little before WeChat stops taking it.
    pub good_until: Timestamp,
}

impl Token {
    /// Whether it is good for long enough to be used.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.good_until
    }
}

/// Where tokens are kept between runs.
pub trait TokenStore {
    /// Runs `fetch` while no other process fetches for the same account, with what is saved by then, and saves what it gives,
    /// whole or not at all. If it fails, what is saved stays.
    fn exclusively(
        &self,
        fetch: &mut dyn FnMut(Option<Token>) -> Result<Token, TokenError>,
    ) -> Result<Token, TokenError>;

    /// The text that is kept beside the token, and that outlives it: forgetting the token does not forget it.
    fn kept(&self) -> Result<Option<String>, TokenError>;

    /// Keeps a text beside the token, in place of an earlier one. It is called inside [`Self::exclusively`], and the text is on
    /// disk when it returns: nobody else has it any more.
    fn keep(&self, text: &str) -> Result<(), TokenError>;
}

/// Which token: one that an account gets by itself, or one of the two by which a third-party platform acts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The account's own.
    Account,
    /// The platform's (`component_access_token`).
    Component,
    /// The account's, given to the platform (`authorizer_access_token`).
    Authorizer,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    Refused {
        layer: Layer,
        errcode: i64,
        errmsg: String,
    },
    /// No answer could be had, after some tries.
    Unreachable(Phrase),
    /// The store failed, or the token from outside cannot be read.
    Source(Phrase),
    /// The run was interrupted while it waited.
    Interrupted,
}

impl TokenError {
    /// What a person is told.
    pub fn words(&self) -> Phrase {
        match self {
            Self::Refused { errcode, errmsg, .. } => {
                say!("WeChat refused to issue an access token: {errcode} {errmsg}", errcode = *errcode, errmsg)
            }
            Self::Unreachable(why) => say!("cannot fetch an access token: {why}", why),
            Self::Source(why) => why.clone(),
            Self::Interrupted => say!("the fetch of the access token was interrupted"),
        }
    }
}
