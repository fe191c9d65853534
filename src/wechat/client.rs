//! Calls with the one token: adds it, refreshes it once, reads the answer.

use std::time::Duration;

use crate::{
    clock::Clock,
    redact::Redactor,
    wechat::{
        self, Reply, bounded, errcode,
        token::{Keeper, TokenError},
        transport::{Answer, Body, Failure, Method, Request, Transport},
    },
};

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// WeChat answered; `errcode` decides.
    Reply(Reply),
    /// It provably never left.
    NotSent(String),
    /// It may have been carried out.
    Unknown(String),
    /// There is no token to make it with; nothing left.
    NoToken(TokenError),
    /// What it was to carry holds a secret or a token of this process; nothing left.
    Withheld,
}

/// The client of one run.
pub struct Client<'a> {
    transport: &'a mut dyn Transport,
    keeper: Keeper<'a>,
    clock: &'a dyn Clock,
    redactor: Redactor,
}

impl<'a> Client<'a> {
    /// A client; `redactor` knows the secrets that are there from the start.
    pub fn new(transport: &'a mut dyn Transport, keeper: Keeper<'a>, clock: &'a dyn Clock, redactor: Redactor) -> Self {
        Self { transport, keeper, clock, redactor }
    }

    /// The secrets known by now.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// How often a token was fetched.
    pub fn token_fetches(&self) -> u32 {
        self.keeper.fetches
    }

    /// Makes sure that there is a token, so that a call that is noted as attempted is really made.
    pub fn ready(&mut self) -> Result<(), TokenError> {
        let token = self.keeper.get(self.transport, self.clock).map_err(|error| self.clean_error(error))?;
        self.redactor.learn(&token);
        Ok(())
    }

    /// Whether a call is not made because of what it carries: no message is meant to hold a secret. The token's own endpoint,
    /// which is asked for it with the secret, is not called through here.
    pub fn withholds(&self, body: Body<'_>) -> bool {
        match body {
            Body::Json(text) => self.redactor.finds(text.as_bytes()),
            Body::File(upload) => self.redactor.finds(&upload.form().1),
        }
    }

    /// One call. A rejected token is refreshed once, and the call made once more.
    pub fn call(&mut self, method: Method, path: &str, body: Body<'_>, timeout: Duration) -> Outcome {
        let mut token = match self.keeper.get(self.transport, self.clock) {
            Ok(token) => token,
            Err(error) => return Outcome::NoToken(self.clean_error(error)),
        };
        let mut refreshed = false;
        loop {
            self.redactor.learn(&token);
            if self.withholds(body) {
                return Outcome::Withheld;
            }
            let request = Request { method, path, query: &[("access_token", &token)], body, timeout };
            let reply = match self.transport.send(&request) {
                Ok(Answer { status, body }) => wechat::decode(status, &body),
                Err(Failure::NotSent(why)) => return Outcome::NotSent(why),
                Err(Failure::MaybeSent(why)) => return Outcome::Unknown(why),
            };
            let reply = match reply {
                Ok(reply) => self.clean(reply),
                Err(unreadable) => return Outcome::Unknown(unreadable.to_string()),
            };
            if refreshed || errcode::disposition(reply.errcode) != errcode::Disposition::RefreshToken {
                return Outcome::Reply(reply);
            }
            refreshed = true;
            token = match self.keeper.renew(Some(&token), self.transport, self.clock) {
                // A central store that still has the rejected token will not help by being asked again.
                Ok(other) if other == token && self.keeper.is_given() => return Outcome::Reply(reply),
                Ok(other) => other,
                Err(error) => return Outcome::NoToken(self.clean_error(error)),
            };
        }
    }

    /// A server may echo what it was sent: no secret goes further than here.
    fn clean(&self, mut reply: Reply) -> Reply {
        reply.errmsg = bounded(self.redactor.clean(&reply.errmsg));
        reply.members.values_mut().for_each(|value| self.redactor.clean_value(value));
        reply
    }

    fn clean_error(&self, error: TokenError) -> TokenError {
        match error {
            TokenError::Refused { errcode, errmsg } => {
                TokenError::Refused { errcode, errmsg: bounded(self.redactor.clean(&errmsg)) }
            }
            TokenError::Unreachable(why) => TokenError::Unreachable(bounded(self.redactor.clean(&why))),
            other => other,
        }
    }
}
