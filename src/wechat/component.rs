//! An account's token by way of a third-party platform: the platform's own token, and with it the account's.
//! <https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/creat_token.md>

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    fetch::{Asking, fetch},
    seal,
    token::{Layer, Token, TokenError, TokenStore},
    transport::{Body, Method, Request},
};
use crate::{
    locale::{Phrase, say},
    redact::Secret,
};

/// Where a token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the store.
    Cached,
    /// From WeChat, just now.
    Fetched,
}

/// Reads the ticket that WeChat sent last.
pub type Ticket<'a> = Box<dyn FnMut() -> Result<Secret, Phrase> + 'a>;

/// A third-party platform that acts for an account.
pub struct Component<'a> {
    /// The platform's AppID.
    pub appid: String,
    /// The AppID of the account.
    pub account: String,
    /// The address of the API.
    pub base: String,
    /// The platform's AppSecret.
    pub secret: Secret,
    /// The latest ticket; WeChat sends another every ten minutes.
    pub ticket: Ticket<'a>,
    /// The refresh token that the account names.
    pub refresh_token: Secret,
    /// Where the platform's own token is kept, for all of its accounts.
    pub store: Box<dyn TokenStore + 'a>,
    /// Tells a person what happened.
    pub tell: Box<dyn Fn(&Phrase) + 'a>,
}

/// What a try to get the account's token lacks.
#[derive(PartialEq, Eq)]
enum Lacks {
    Nothing,
    /// The platform's token; or another, for WeChat rejects this one.
    Own,
}

/// Whether WeChat rejects the platform's token, when asked with it for the account's.
fn rejects_own(error: &TokenError) -> bool {
    matches!(error, TokenError::Refused { errcode: 40001 | 40014 | 42001 | 42006, .. })
}

impl Component<'_> {
    /// The account's token, other than the one that WeChat rejected. Each lock is held by itself: stores may have one for all
    /// tokens.
    pub(super) fn renew(
        &mut self,
        store: &dyn TokenStore,
        rejected: Option<&Secret>,
        asking: &mut Asking<'_>,
        learned: &mut Vec<Secret>,
    ) -> Result<(Token, Origin), TokenError> {
        let mut own: Option<Secret> = None;
        let mut tries = 0;
        loop {
            let (mut lacks, mut origin) = (Lacks::Nothing, Origin::Cached);
            let got = store.exclusively(&mut |saved| {
                let now = asking.clock.now();
                // Somebody else may have fetched one meanwhile.
                if let Some(saved) = saved.filter(|saved| saved.is_fresh(now) && Some(&saved.value) != rejected) {
                    return Ok(saved);
                }
                let Some(own) = &own else {
                    lacks = Lacks::Own;
                    return Err(TokenError::Interrupted);
                };
                origin = Origin::Fetched;
                let fetched = self.authorized(store, own, asking, learned);
                if tries < 2 && fetched.as_ref().is_err_and(rejects_own) {
                    lacks = Lacks::Own;
                }
                fetched
            });
            if lacks == Lacks::Nothing {
                return got.map(|token| (token, origin));
            }
            tries += 1;
            own = Some(self.own(own.as_ref(), asking, learned)?.0.value);
        }
    }

    /// The platform's token, other than the one that WeChat rejected.
    pub(super) fn own(
        &mut self,
        rejected: Option<&Secret>,
        asking: &mut Asking<'_>,
        learned: &mut Vec<Secret>,
    ) -> Result<(Token, Origin), TokenError> {
        let Self { appid, secret, ticket, store, .. } = self;
        let mut origin = Origin::Cached;
        let token = store.exclusively(&mut |saved| {
            let now = asking.clock.now();
            if let Some(saved) = saved.filter(|saved| saved.is_fresh(now) && Some(&saved.value) != rejected) {
                return Ok(saved);
            }
            let ticket = ticket().map_err(TokenError::Source)?;
            learned.push(ticket.clone());
            let body = json!({
                "component_appid": appid,
                "component_appsecret": secret.expose(),
                "component_verify_ticket": ticket.expose(),
            });
            let (path, body) = ("/cgi-bin/component/api_component_token", body.to_string());
            let timeout = asking.timeout;
            let request =
                Request { method: Method::Post, path, query: &[], headers: &[], body: Body::Json(&body), timeout };
            origin = Origin::Fetched;
            fetch(&request, Layer::Component, "component_access_token", asking).map(|(token, _)| token)
        })?;
        learned.push(token.value.clone());
        Ok((token, origin))
    }

    /// The account's token from WeChat. What WeChat gives instead of the refresh token is kept before anything else.
    fn authorized(
        &self,
        store: &dyn TokenStore,
        own: &Secret,
        asking: &mut Asking<'_>,
        learned: &mut Vec<Secret>,
    ) -> Result<Token, TokenError> {
        let kept = store.kept()?.and_then(|text| self.unsealed(&text));
        learned.extend(kept.clone());
        let used = kept.as_ref().unwrap_or(&self.refresh_token);
        let (answer, used) = match self.ask(own, used, asking) {
            // Whoever authorised the platform again may have got the same token as before.
            Err(TokenError::Refused { errcode: 61023, .. }) if kept.is_some() => {
                (self.ask(own, &self.refresh_token, asking)?, &self.refresh_token)
            }
            answer => (answer?, used),
        };
        let (token, next) = answer;
        let next = next.unwrap_or_else(|| used.clone());
        learned.push(next.clone());
        if next != *kept.as_ref().unwrap_or(&self.refresh_token) {
            store.keep(&self.sealed(&next).map_err(TokenError::Source)?)?;
        }
        if next != *used {
            (self.tell)(&say!(
                "WeChat replaced the refresh token of {appid}; the new one is kept, sealed, in the state store and used from now on. Store the current one where `component.refresh_token` points too: another state store does not have it",
                appid = self.account.as_str()
            ));
        }
        Ok(token)
    }

    /// The account's token, and the refresh token that came with it.
    fn ask(
        &self,
        own: &Secret,
        refresh_token: &Secret,
        asking: &mut Asking<'_>,
    ) -> Result<(Token, Option<Secret>), TokenError> {
        let body = json!({
            "component_appid": self.appid,
            "authorizer_appid": self.account,
            "authorizer_refresh_token": refresh_token.expose(),
        });
        let (path, body) = ("/cgi-bin/component/api_authorizer_token", body.to_string());
        let query = [("access_token", own)];
        let timeout = asking.timeout;
        let request =
            Request { method: Method::Post, path, query: &query, headers: &[], body: Body::Json(&body), timeout };
        let (token, reply) = fetch(&request, Layer::Authorizer, "authorizer_access_token", asking)?;
        let next = reply.text("authorizer_refresh_token").filter(|text| !text.is_empty());
        Ok((token, next.map(|text| Secret::new(text.to_owned()))))
    }

    /// What the account names, by its digest: once that is another one, what was kept in its place is of no use.
    fn named(&self) -> String {
        let digest = Sha256::digest(["qunfa refresh token", self.refresh_token.expose()].join("\0"));
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What a sealed token is bound to: it opens nowhere else.
    fn bound(&self, named: &str) -> String {
        [&self.appid, &self.account, &self.base, named].join("\0")
    }

    fn sealed(&self, token: &Secret) -> Result<String, Phrase> {
        let named = self.named();
        let sealed = seal::seal(&self.secret, "refresh token", &self.bound(&named), token)?;
        Ok(format!("1 {named} {sealed}"))
    }

    /// The refresh token that was kept, unless the account names another one by now.
    fn unsealed(&self, text: &str) -> Option<Secret> {
        let named = self.named();
        let sealed = text.strip_prefix("1 ")?.strip_prefix(&named)?.strip_prefix(' ')?;
        let token = seal::open(&self.secret, "refresh token", &self.bound(&named), sealed);
        if token.is_none() {
            (self.tell)(&say!(
                "the state store has a newer refresh token of {appid}, but it does not open with this secret of the platform; using the one that `component.refresh_token` points to",
                appid = self.account.as_str()
            ));
        }
        token
    }
}
