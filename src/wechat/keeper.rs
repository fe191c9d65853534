//! The one token of a run: cached with its end, fetched once, refreshed once when WeChat rejects it.
//! <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken>

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    component::{Component, Origin},
    fetch::{Asking, fetch},
    token::{Layer, Token, TokenError, TokenStore},
    transport::{Body, Method, Request, Transport},
};
use crate::{clock::Clock, locale::Phrase, plan::account::TokenEndpoint, redact::Secret};

/// Where tokens come from.
pub enum TokenSource<'a> {
    Endpoint {
        endpoint: TokenEndpoint,
        appid: String,
        secret: Secret,
    },
    /// A third-party platform, which the account has authorised.
    Component(Box<Component<'a>>),
    /// A central store; it is asked again after a rejection.
    Given(Box<dyn FnMut() -> Result<Secret, Phrase> + 'a>),
}

/// Keeps the one token of a run.
pub struct Keeper<'a> {
    source: TokenSource<'a>,
    store: &'a dyn TokenStore,
    current: Option<Token>,
    timeout: Duration,
    pause: Duration,
    /// How often a token was fetched.
    pub(crate) fetches: u32,
    /// Secrets that came up on the way to the token, and that nobody else knows yet.
    learned: Vec<Secret>,
}

impl<'a> Keeper<'a> {
    /// A keeper that has no token yet. `pause` is the one before a second try; before the third it is twice as long.
    pub fn new(source: TokenSource<'a>, store: &'a dyn TokenStore, timeout: Duration, pause: Duration) -> Self {
        Self { source, store, current: None, timeout, pause, fetches: 0, learned: Vec::new() }
    }

    /// Whether somebody else keeps the token.
    pub fn is_given(&self) -> bool {
        matches!(self.source, TokenSource::Given(_))
    }

    /// Secrets that came up since this was asked last.
    pub(super) fn learned(&mut self) -> Vec<Secret> {
        std::mem::take(&mut self.learned)
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

    /// The token of the third-party platform, if there is one: where it comes from.
    pub(super) fn of_component(
        &mut self,
        transport: &mut dyn Transport,
        clock: &dyn Clock,
    ) -> Option<Result<Origin, TokenError>> {
        let TokenSource::Component(component) = &mut self.source else { return None };
        let mut asking = Asking { transport, clock, timeout: self.timeout, pause: self.pause };
        Some(component.own(None, &mut asking, &mut self.learned).map(|(_, origin)| origin))
    }

    /// A token other than the one that WeChat rejected.
    pub fn renew(
        &mut self,
        rejected: Option<&Secret>,
        transport: &mut dyn Transport,
        clock: &dyn Clock,
    ) -> Result<Secret, TokenError> {
        let mut asking = Asking { transport, clock, timeout: self.timeout, pause: self.pause };
        let (fetches, learned) = (&mut self.fetches, &mut self.learned);
        let token = match &mut self.source {
            TokenSource::Given(read) => {
                let value = read().map_err(TokenError::Source)?;
                // Its end is not known: it is used until it is rejected.
                Token { value, good_until: Timestamp::MAX }
            }
            TokenSource::Component(component) => {
                let (token, origin) = component.renew(self.store, rejected, &mut asking, learned)?;
                *fetches += u32::from(origin == Origin::Fetched);
                token
            }
            TokenSource::Endpoint { endpoint, appid, secret } => self.store.exclusively(&mut |saved| {
                // Somebody else may have fetched one meanwhile.
                if let Some(saved) = saved.filter(|saved| saved.is_fresh(clock.now()) && Some(&saved.value) != rejected)
                {
                    return Ok(saved);
                }
                let fetched = of_account(*endpoint, appid, secret, &mut asking)?;
                *fetches += 1;
                Ok(fetched)
            })?,
        };
        let value = token.value.clone();
        self.current = Some(token);
        Ok(value)
    }
}

fn of_account(
    endpoint: TokenEndpoint,
    appid: &str,
    secret: &Secret,
    asking: &mut Asking<'_>,
) -> Result<Token, TokenError> {
    let credential = Secret::new("client_credential".into());
    let id = Secret::new(appid.to_owned());
    let query = [("grant_type", &credential), ("appid", &id), ("secret", secret)];
    let body =
        json!({ "grant_type": "client_credential", "appid": appid, "secret": secret.expose(), "force_refresh": false })
            .to_string();
    let timeout = asking.timeout;
    let request = match endpoint {
        TokenEndpoint::Stable => Request {
            method: Method::Post,
            path: "/cgi-bin/stable_token",
            query: &[],
            headers: &[],
            body: Body::Json(&body),
            timeout,
        },
        TokenEndpoint::Classic => Request {
            method: Method::Get,
            path: "/cgi-bin/token",
            query: &query,
            headers: &[],
            body: Body::Json(""),
            timeout,
        },
    };
    fetch(&request, Layer::Account, "access_token", asking).map(|(token, _)| token)
}
