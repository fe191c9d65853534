//! Calls with the one token: adds it, refreshes it once, reads the answer.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    clock::Clock,
    locale::Phrase,
    redact::Redactor,
    wechat::{
        self, Reply, bounded,
        component::Origin,
        errcode,
        keeper::Keeper,
        token::TokenError,
        transport::{Answer, Body, Failure, Method, Request, Transport},
    },
};

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// WeChat answered; `errcode` decides.
    Reply(Reply),
    /// It provably never left.
    NotSent(Phrase),
    /// It may have been carried out.
    Unknown(Phrase),
    /// There is no token to make it with; nothing left.
    NoToken(TokenError),
    /// What it was to carry holds a secret or a token of this process; nothing left.
    Withheld,
    /// Right before it was to leave, whoever asked for it did not want it any more, and why; nothing left.
    Withdrawn(Phrase),
}

/// What is asked right before a call leaves, with the time of the server as far as it is known; an error says why the call is
/// not wanted any more.
pub type StillWanted<'w> = dyn Fn(Option<Timestamp>) -> Result<(), Phrase> + 'w;

/// Notes what time the server tells.
struct Timed<'a> {
    inner: &'a mut dyn Transport,
    clock: &'a dyn Clock,
    /// The time that the server told last, and what the steady clock said then.
    told: Option<(Timestamp, Timestamp)>,
}

impl Transport for Timed<'_> {
    fn send(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let answer = self.inner.send(request)?;
        self.told = answer.date.map(|date| (date, self.clock.steady())).or(self.told);
        Ok(answer)
    }
}

/// The client of one run.
pub struct Client<'a> {
    transport: Timed<'a>,
    keeper: Keeper<'a>,
    clock: &'a dyn Clock,
    redactor: Redactor,
}

impl<'a> Client<'a> {
    /// A client; `redactor` knows the secrets that are there from the start.
    pub fn new(transport: &'a mut dyn Transport, keeper: Keeper<'a>, clock: &'a dyn Clock, redactor: Redactor) -> Self {
        Self { transport: Timed { inner: transport, clock, told: None }, keeper, clock, redactor }
    }

    /// The secrets known by now.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// What time it is for the server, as it told with an earlier answer; none if no answer told it.
    pub fn server_time(&self) -> Option<Timestamp> {
        let (date, then) = self.transport.told?;
        date.checked_add(self.clock.steady().duration_since(then)).ok()
    }

    /// How often a token was fetched.
    pub fn token_fetches(&self) -> u32 {
        self.keeper.fetches
    }

    /// Makes sure that there is a token, so that a call that is noted as attempted is really made.
    pub fn ready(&mut self) -> Result<(), TokenError> {
        let token = self.keeper.get(&mut self.transport, self.clock);
        let token = self.known(token)?;
        self.redactor.learn(&token);
        Ok(())
    }

    /// Where the token of the third-party platform comes from, if the account's is by way of one.
    pub fn component_ready(&mut self) -> Option<Result<Origin, TokenError>> {
        let origin = self.keeper.of_component(&mut self.transport, self.clock)?;
        Some(self.known(origin))
    }

    /// What the keeper found, with all secrets that it met on the way known from here on.
    fn known<T>(&mut self, found: Result<T, TokenError>) -> Result<T, TokenError> {
        for secret in self.keeper.learned() {
            self.redactor.learn(&secret);
        }
        found.map_err(|error| self.clean_error(error))
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
        self.exchange(&Request { method, path, query: &[], headers: &[], body, timeout }, &|_| Ok(()))
    }

    /// A POST that is answered with a file. What is answered in JSON, or not as it should be, is no file.
    pub fn file(&mut self, path: &str, body: Body<'_>, timeout: Duration) -> Result<Vec<u8>, Outcome> {
        let mut file = None;
        let call = Request { method: Method::Post, path, query: &[], headers: &[], body, timeout };
        let outcome = self.answered(&call, &|_| Ok(()), &mut file);
        file.ok_or(outcome)
    }

    /// A POST that is made only while it is wanted: that is asked each time right before it leaves, for a token that had to be
    /// fetched, a lock that was held or a machine that slept may have taken any time.
    pub fn post_while(&mut self, path: &str, body: Body<'_>, timeout: Duration, wanted: &StillWanted<'_>) -> Outcome {
        self.exchange(&Request { method: Method::Post, path, query: &[], headers: &[], body, timeout }, wanted)
    }

    fn exchange(&mut self, call: &Request<'_>, wanted: &StillWanted<'_>) -> Outcome {
        self.answered(call, wanted, &mut None)
    }

    /// One call; `file` is what was answered with success that is no JSON.
    fn answered(&mut self, call: &Request<'_>, wanted: &StillWanted<'_>, file: &mut Option<Vec<u8>>) -> Outcome {
        let Request { method, path, body, timeout, .. } = *call;
        let token = self.keeper.get(&mut self.transport, self.clock);
        let mut token = match self.known(token) {
            Ok(token) => token,
            Err(error) => return Outcome::NoToken(error),
        };
        let mut refreshed = false;
        loop {
            self.redactor.learn(&token);
            if self.withholds(body) {
                return Outcome::Withheld;
            }
            if let Err(why) = wanted(self.server_time()) {
                return Outcome::Withdrawn(why);
            }
            let request = Request { method, path, query: &[("access_token", &token)], headers: &[], body, timeout };
            let reply = match self.transport.send(&request) {
                Ok(Answer { status, body, .. }) => {
                    let reply = wechat::decode(status, &body);
                    *file = Some(body).filter(|body| status == 200 && reply.is_err() && !body.is_empty());
                    reply
                }
                Err(Failure::NotSent(why)) => return Outcome::NotSent(why),
                Err(Failure::MaybeSent(why)) => return Outcome::Unknown(why),
            };
            let reply = match reply {
                Ok(reply) => self.clean(reply),
                Err(unreadable) => return Outcome::Unknown(unreadable.0),
            };
            if refreshed || errcode::disposition(reply.errcode) != errcode::Disposition::RefreshToken {
                return Outcome::Reply(reply);
            }
            refreshed = true;
            let other = self.keeper.renew(Some(&token), &mut self.transport, self.clock);
            token = match self.known(other) {
                // A central store that still has the rejected token will not help by being asked again.
                Ok(other) if other == token && self.keeper.is_given() => return Outcome::Reply(reply),
                Ok(other) => other,
                Err(error) => return Outcome::NoToken(error),
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
            TokenError::Refused { layer, errcode, errmsg } => {
                TokenError::Refused { layer, errcode, errmsg: bounded(self.redactor.clean(&errmsg)) }
            }
            TokenError::Unreachable(why) => {
                TokenError::Unreachable(why.with_texts(&|text| bounded(self.redactor.clean(text))))
            }
            other => other,
        }
    }
}
