//! One access token: cached by AppID with its expiry, fetched once, refreshed once when WeChat rejects it.
//! <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken>

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::{
    clock::Clock,
    limits,
    locale::{Phrase, say},
    plan::account::TokenEndpoint,
    redact::Secret,
    retry::Retry,
    wechat::{
        self, Reply, errcode,
        transport::{Body, Failure, Method, Request, Transport},
    },
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
}

/// Where tokens come from.
pub enum TokenSource {
    Endpoint {
        endpoint: TokenEndpoint,
        appid: String,
        secret: Secret,
    },
    /// A central store; it is asked again after a rejection.
    Given(Box<dyn FnMut() -> Result<Secret, Phrase>>),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    Refused {
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
            Self::Refused { errcode, errmsg } => {
                say!("WeChat refused to issue an access token: {errcode} {errmsg}", errcode = *errcode, errmsg)
            }
            Self::Unreachable(why) => say!("cannot fetch an access token: {why}", why),
            Self::Source(why) => why.clone(),
            Self::Interrupted => say!("the fetch of the access token was interrupted"),
        }
    }
}

/// Keeps the one token of a run.
pub struct Keeper<'a> {
    source: TokenSource,
    store: &'a dyn TokenStore,
    current: Option<Token>,
    timeout: Duration,
    pause: Duration,
    /// How often a token was fetched.
    pub(crate) fetches: u32,
}

impl<'a> Keeper<'a> {
    /// A keeper that has no token yet. `pause` is the one before a second try; before the third it is twice as long.
    pub fn new(source: TokenSource, store: &'a dyn TokenStore, timeout: Duration, pause: Duration) -> Self {
        Self { source, store, current: None, timeout, pause, fetches: 0 }
    }

    /// Whether somebody else keeps the token.
    pub fn is_given(&self) -> bool {
        matches!(self.source, TokenSource::Given(_))
    }

    /// A token that can be used now.
    pub fn get(&mut self, transport: &mut dyn Transport, clock: &dyn Clock) -> Result<Secret, TokenError> {
        if let Some(token) = &self.current
            && token.is_fresh(clock.now())
        {
            return Ok(token.value.clone());
        }
        self.renew(None, transport, clock)
    }

    /// A token other than the one that WeChat rejected.
    pub fn renew(
        &mut self,
        rejected: Option<&Secret>,
        transport: &mut dyn Transport,
        clock: &dyn Clock,
    ) -> Result<Secret, TokenError> {
        let (timeout, pause, fetches) = (self.timeout, self.pause, &mut self.fetches);
        let token = match &mut self.source {
            TokenSource::Given(read) => {
                let value = read().map_err(TokenError::Source)?;
                // Its end is not known: it is used until it is rejected.
                Token { value, good_until: Timestamp::MAX }
            }
            TokenSource::Endpoint { endpoint, appid, secret } => self.store.exclusively(&mut |saved| {
                // Somebody else may have fetched one meanwhile.
                if let Some(saved) = saved.filter(|saved| saved.is_fresh(clock.now()) && Some(&saved.value) != rejected)
                {
                    return Ok(saved);
                }
                let fetched = fetch(*endpoint, appid, secret, (timeout, pause), transport, clock)?;
                *fetches += 1;
                Ok(fetched)
            })?,
        };
        let value = token.value.clone();
        self.current = Some(token);
        Ok(value)
    }
}

fn fetch(
    endpoint: TokenEndpoint,
    appid: &str,
    secret: &Secret,
    (timeout, pause): (Duration, Duration),
    transport: &mut dyn Transport,
    clock: &dyn Clock,
) -> Result<Token, TokenError> {
    let credential = Secret::new("client_credential".into());
    let id = Secret::new(appid.to_owned());
    let query = [("grant_type", &credential), ("appid", &id), ("secret", secret)];
    let body =
        json!({ "grant_type": "client_credential", "appid": appid, "secret": secret.expose(), "force_refresh": false })
            .to_string();
    let request = match endpoint {
        TokenEndpoint::Stable => Request {
            method: Method::Post,
            path: "/cgi-bin/stable_token",
            query: &[],
            body: Body::Json(&body),
            timeout,
        },
        TokenEndpoint::Classic => {
            Request { method: Method::Get, path: "/cgi-bin/token", query: &query, body: Body::Json(""), timeout }
        }
    };
    let mut retry = Retry::new(limits::TOKEN_TRIES, pause, Duration::MAX);
    loop {
        let why = match ask(&request, transport, clock)? {
            Asked::Token(token) => return Ok(token),
            Asked::Nothing(why) => why,
        };
        let Some(pause) = retry.next() else {
            return Err(TokenError::Unreachable(say!("{why} (tried {tries} times)", why, tries = limits::TOKEN_TRIES)));
        };
        if !clock.sleep(pause) {
            return Err(TokenError::Interrupted);
        }
    }
}

/// What came of one try.
enum Asked {
    Token(Token),
    /// Why it may be tried again.
    Nothing(Phrase),
}

fn ask(request: &Request<'_>, transport: &mut dyn Transport, clock: &dyn Clock) -> Result<Asked, TokenError> {
    let reply = match transport.send(request) {
        Ok(answer) => wechat::decode(answer.status, &answer.body).map_err(|error| error.0),
        Err(Failure::NotSent(why) | Failure::MaybeSent(why)) => Err(why),
    };
    match reply {
        Ok(reply) if reply.errcode == 0 => {
            let token = token(&reply, clock.now());
            Ok(token.map_or_else(|| Asked::Nothing(say!("the answer contains no token")), Asked::Token))
        }
        Ok(reply) if errcode::disposition(reply.errcode) == errcode::Disposition::Retry => {
            Ok(Asked::Nothing(Phrase::verbatim(format!("{} {}", reply.errcode, errcode::strip(&reply.errmsg)))))
        }
        Ok(reply) => Err(TokenError::Refused { errcode: reply.errcode, errmsg: reply.errmsg }),
        Err(why) => Ok(Asked::Nothing(why)),
    }
}

/// The token of an answer, if it holds one that ends in a time that makes sense.
fn token(reply: &Reply, now: Timestamp) -> Option<Token> {
    let value = reply.text("access_token").filter(|value| !value.is_empty())?;
    let seconds = reply.members.get("expires_in")?.as_u64().filter(|seconds| (1..=7 * 86_400).contains(seconds))?;
    let margin = limits::TOKEN_MARGIN.as_secs().min(seconds / 2);
    let lasts = jiff::SignedDuration::from_secs(i64::try_from(seconds - margin).unwrap_or(0));
    Some(Token { value: Secret::new(value.to_owned()), good_until: now + lasts })
}
